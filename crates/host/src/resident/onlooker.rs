//! Who looks on while brains are driven.

use autoshare_core::event::Event;
use autoshare_core::{BrainId, TenantName};

use super::Resident;
use crate::Progress;

/// Whoever is told what becomes of brains, such as what sends alerts and traces. It is called where brains are driven, and
/// must wait for nothing.
pub trait Onlooker: Send + Sync {
    /// A brain begins to be driven, or goes on. Its model is called through `provider`, if that is known.
    fn begins(&self, tenant: &TenantName, brain: &BrainId, model: &str, provider: Option<&str>);
    /// Something happened, and stands in its journal if it is one of its events.
    fn hears(&self, tenant: &TenantName, brain: &BrainId, progress: &Progress);
    /// It is driven no further for now. Whether it ended, what was heard last tells.
    fn rests(&self, tenant: &TenantName, brain: &BrainId);
}

/// Nobody.
impl Onlooker for () {
    fn begins(&self, _: &TenantName, _: &BrainId, _: &str, _: Option<&str>) {}
    fn hears(&self, _: &TenantName, _: &BrainId, _: &Progress) {}
    fn rests(&self, _: &TenantName, _: &BrainId) {}
}

impl Resident {
    pub(super) fn tell_beginning(&self, brain: &BrainId) {
        let host = &self.parts.host;
        let first = host.store.first(self.access(), brain).ok().flatten();
        let Some(Event::Goal(goal)) = first.map(|record| record.event) else { return };
        let route = host.broker.route(&goal.model).ok();
        let provider = route.as_ref().map(autoshare_broker::Route::provider);
        self.parts.onlooker.begins(&self.record().name, brain, &goal.model, provider);
    }

    /// Providers that are left alone for now, since their calls failed one after another.
    #[must_use]
    pub fn resting_providers(&self) -> Vec<String> {
        self.parts.host.broker.resting()
    }
}
