//! Brains of which nothing is heard: each is logged once, and counted for as long as it is so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use autoshare_core::{BrainId, TenantName};

use crate::api::Faces;

/// How often it is looked, at least.
const LOOK: Duration = Duration::from_secs(10);

/// Those that were told of.
#[derive(Debug, Default)]
pub(super) struct Silent(Mutex<BTreeSet<(TenantName, BrainId)>>);

/// Looks after brains for as long as it is polled.
pub(crate) async fn watch(faces: Arc<Faces>) {
    loop {
        look(&faces).await;
        tokio::time::sleep(LOOK.min(faces.health.parts.settings.silent_after)).await;
    }
}

/// Tells of those that have become silent since the last time, and of those that have gone on; and of all else that nobody
/// tells of by itself.
async fn look(faces: &Faces) {
    let limit = faces.health.parts.settings.silent_after;
    let mut now = BTreeMap::new();
    let open = faces.residents.open_now().await;
    faces.telemetry.look(&faces.health, &open);
    for resident in open {
        let tenant = resident.record().name.clone();
        now.extend(resident.silent(limit).into_iter().map(|(brain, since)| ((tenant.clone(), brain), since)));
    }
    let mut told = faces.health.silent.0.lock().unwrap_or_else(PoisonError::into_inner);
    for ((tenant, brain), since) in now.iter().filter(|(one, _)| !told.contains(one)) {
        faces.telemetry.silent(tenant, brain);
        let (tenant, brain, s) = (faces.opaque(tenant), brain.to_string(), since.as_secs());
        tracing::warn!(tenant, brain, s, "nothing is heard of a brain that is awake");
    }
    for (tenant, brain) in told.iter().filter(|one| !now.contains_key(one)) {
        let (tenant, brain) = (faces.opaque(tenant), brain.to_string());
        tracing::info!(tenant, brain, "a brain of which nothing was heard went on, or rests");
    }
    *told = now.into_keys().collect();
}
