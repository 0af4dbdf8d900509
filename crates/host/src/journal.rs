//! One brain's journal as the loop uses it: the lease, and appends off the async thread.

use std::sync::Arc;

use autoshare_access::Access;
use autoshare_core::event::Event;
use autoshare_core::{BrainId, Seq};
use autoshare_store::{Durability, Lease, Store};

use crate::{Host, HostError};

/// The journal of the one brain that this process drives.
pub(crate) struct Journal {
    store: Arc<Store>,
    access: Access,
    lease: Arc<Lease>,
}

impl Journal {
    /// Takes the lease and reads what there is.
    pub(crate) fn open(store: &Arc<Store>, access: &Access, brain: &BrainId) -> Result<(Self, Vec<Event>), HostError> {
        let lease = Arc::new(store.lease(access, brain)?);
        let events = store.read(access, brain, Seq(1))?.into_iter().map(|record| record.event).collect();
        Ok((Self { store: Arc::clone(store), access: access.clone(), lease }, events))
    }

    /// What the launcher holds with each cell of this brain.
    pub(crate) fn lease(&self) -> Arc<Lease> {
        Arc::clone(&self.lease)
    }

    /// Appends all or nothing.
    pub(crate) async fn append(&self, events: &[Event], durability: Durability) -> Result<Vec<Seq>, HostError> {
        let (store, access, lease) = (Arc::clone(&self.store), self.access.clone(), Arc::clone(&self.lease));
        let events = events.to_vec();
        tokio::task::spawn_blocking(move || store.append(&access, &lease, &events, durability))
            .await
            .map_err(|e| HostError::Task(e.to_string()))?
            .map_err(HostError::from)
    }
}

impl Host {
    /// The journal of a brain with the right to write to it, and what stands in it. The disk is waited for elsewhere.
    pub(crate) async fn journal(&self, brain: &BrainId) -> Result<(Journal, Vec<Event>), HostError> {
        let (store, access, brain) = (Arc::clone(&self.store), self.access.clone(), brain.clone());
        tokio::task::spawn_blocking(move || Journal::open(&store, &access, &brain))
            .await
            .map_err(|e| HostError::Task(e.to_string()))?
    }
}
