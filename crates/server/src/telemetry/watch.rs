//! What is to be looked for, as nobody tells of it: readiness, providers, trails.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use autoshare_core::{BrainId, TenantName};
use autoshare_host::resident::Resident;

use super::alerts::About;
use super::{AlertKind, Telemetry};
use crate::health::{Health, Part};

/// What was seen the last time.
#[derive(Debug, Default)]
pub(super) struct Seen {
    audit_failures: u64,
    resting: BTreeSet<String>,
}

impl Telemetry {
    /// Looks how everything is, and raises alerts about what is new.
    pub(crate) fn look(&self, health: &Health, open: &[Arc<Resident>]) {
        let Some(alerts) = &self.alerts else { return };
        let unwell = health.unwell(open).into_iter().filter(|part| *part != Part::Draining);
        alerts.readiness(unwell.map(Part::name).collect(), &|tenant| self.opaque(tenant));

        let resting: BTreeSet<String> = open.iter().flat_map(|resident| resident.resting_providers()).collect();
        let failures = health.audit_failures().load(Ordering::Relaxed);
        let (new, has_failed) = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let new: Vec<String> = resting.difference(&seen.resting).cloned().collect();
            let has_failed = failures > seen.audit_failures;
            *seen = Seen { audit_failures: failures, resting };
            (new, has_failed)
        };
        for provider in new {
            self.raise(AlertKind::ProviderResting, About { provider: Some(provider), ..About::default() });
        }
        if has_failed {
            let is_broken = |resident: &&Arc<Resident>| resident.auditor().is_some_and(|it| it.broken().is_some());
            let broken = open.iter().filter(is_broken).map(|resident| Some(resident.record().name.clone()));
            let mut whose: Vec<Option<TenantName>> = broken.collect();
            if whose.is_empty() {
                whose.push(None);
            }
            for tenant in whose {
                self.raise(AlertKind::AuditFailed, About { tenant, ..About::default() });
            }
        }
        alerts.settle(&|tenant| self.opaque(tenant));
    }

    /// Nothing is heard of a brain.
    pub(crate) fn silent(&self, tenant: &TenantName, brain: &BrainId) {
        self.raise(AlertKind::Silent, About::of(tenant, brain));
    }
}
