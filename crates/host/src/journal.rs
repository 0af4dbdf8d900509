//! One brain's journal as the loop uses it: the lease, and appends off the async thread.

use std::sync::Arc;
use std::time::Instant;

use autoshare_access::Access;
use autoshare_core::event::Event;
use autoshare_core::histogram::Histogram;
use autoshare_core::{BrainId, Seq};
use autoshare_store::{Durability, Lease, Store};

use crate::{Host, HostError};

/// The journal of the one brain that this process drives.
pub(crate) struct Journal {
    store: Arc<Store>,
    access: Access,
    lease: Arc<Lease>,
    /// How long appending takes.
    appends: Arc<Histogram>,
}

impl Journal {
    /// Takes the lease and reads what there is.
    pub(crate) fn open(
        store: &Arc<Store>,
        access: &Access,
        brain: &BrainId,
        appends: Arc<Histogram>,
    ) -> Result<(Self, Vec<Event>), HostError> {
        let lease = Arc::new(store.lease(access, brain)?);
        let events = store.read(access, brain, Seq(1))?.into_iter().map(|record| record.event).collect();
        Ok((Self { store: Arc::clone(store), access: access.clone(), lease, appends }, events))
    }

    /// What the launcher holds with each cell of this brain.
    pub(crate) fn lease(&self) -> Arc<Lease> {
        Arc::clone(&self.lease)
    }

    /// Appends all or nothing.
    pub(crate) async fn append(&self, events: &[Event], durability: Durability) -> Result<Vec<Seq>, HostError> {
        let (store, access, lease) = (Arc::clone(&self.store), self.access.clone(), Arc::clone(&self.lease));
        let events = events.to_vec();
        let begun = Instant::now();
        let appended = tokio::task::spawn_blocking(move || store.append(&access, &lease, &events, durability)).await;
        self.appends.observe(begun.elapsed());
        Ok(appended.map_err(|e| HostError::Task(e.to_string()))??)
    }
}

impl Host {
    /// The journal of a brain with the right to write to it, and what stands in it. The disk is waited for elsewhere.
    pub(crate) async fn journal(&self, brain: &BrainId) -> Result<(Journal, Vec<Event>), HostError> {
        let (store, access, brain) = (Arc::clone(&self.store), self.access.clone(), brain.clone());
        let appends = Arc::clone(&self.appends);
        tokio::task::spawn_blocking(move || Journal::open(&store, &access, &brain, appends))
            .await
            .map_err(|e| HostError::Task(e.to_string()))?
    }
}
