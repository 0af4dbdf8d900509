//! Brains of which nothing is heard: each is logged once, and counted for as long as it is so.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use autoshare_core::{BrainId, TenantName};

use crate::api::Faces;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(10);

/// Those that were told of.
#[derive(Debug, Default)]
pub(super) struct Silent(Mutex<BTreeSet<(TenantName, BrainId)>>);

/// Looks after brains until it is dropped.
pub(crate) async fn watch(faces: Arc<Faces>) {
    loop {
        look(&faces).await;
        tokio::time::sleep(LOOK).await;
    }
}

/// Logs those that have become silent since the last time, and those that have gone on. Gives how many are.
pub(crate) async fn look(faces: &Faces) -> usize {
    let limit = faces.health.parts.settings.silent_after;
    let mut now = BTreeSet::new();
    for resident in faces.residents.open_now().await {
        let tenant = resident.record().name.clone();
        for (brain, since) in resident.silent(limit) {
            let is_told = faces.health.silent.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = !is_told.contains(&(tenant.clone(), brain.clone()));
            drop(is_told);
            if is_new {
                let (tenant, brain, s) = (faces.opaque(&tenant), brain.to_string(), since.as_secs());
                tracing::warn!(tenant, brain, s, "nothing is heard of a brain that is awake");
            }
            now.insert((tenant.clone(), brain));
        }
    }
    let count = now.len();
    let before = std::mem::replace(&mut *faces.health.silent.0.lock().unwrap_or_else(PoisonError::into_inner), now);
    let told = faces.health.silent.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (tenant, brain) in before.difference(&told) {
        let (tenant, brain) = (faces.opaque(tenant), brain.to_string());
        tracing::info!(tenant, brain, "a brain of which nothing was heard went on, or rests");
    }
    count
}
