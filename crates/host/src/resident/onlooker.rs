//! Who looks on while brains are driven.

use autoshare_core::{BrainId, TenantName};

use super::Resident;
use crate::Progress;

/// Whoever is told what becomes of brains, such as what sends alerts and traces. It is called where brains are driven, and
/// must wait for nothing.
pub trait Onlooker: Send + Sync {
    /// Something happened, and stands in its journal if it is one of its events.
    fn hears(&self, tenant: &TenantName, brain: &BrainId, progress: &Progress);
    /// It is driven no further for now. Whether it ended, what was heard last tells; `is_well`, whether the host could do
    /// its part.
    fn rests(&self, tenant: &TenantName, brain: &BrainId, is_well: bool);
}

/// Nobody.
impl Onlooker for () {
    fn hears(&self, _: &TenantName, _: &BrainId, _: &Progress) {}
    fn rests(&self, _: &TenantName, _: &BrainId, _: bool) {}
}

impl Resident {
    /// Providers that are left alone for now, since their calls failed one after another.
    #[must_use]
    pub fn resting_providers(&self) -> Vec<String> {
        self.parts.host.broker.resting()
    }
}
