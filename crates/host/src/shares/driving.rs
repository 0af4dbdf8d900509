//! A brain that is begun with shares: they are shown to its cells for as long as they are in force, and no longer.

use std::sync::Arc;
use std::time::Duration;

use autoshare_access::Access;
use autoshare_core::event::{Event, Root, Shared};
use autoshare_store::Durability;

use super::Sharing;
use super::snapshots::Hold;
use crate::HostError;
use crate::cells::Keeps;
use crate::drive::Driver;

/// How often it is asked whether they still are: by whichever process one was ended, no cell shows it much longer.
const LOOK: Duration = Duration::from_millis(100);

/// Looks after the shares of a brain while something else is done.
pub(crate) struct Watch {
    sharing: Option<Arc<Sharing>>,
    access: Access,
    shared: Vec<Shared>,
}

impl Watch {
    /// Resolves when one of them is in force no more.
    pub(crate) async fn ended(&self) {
        let Some(sharing) = self.sharing.as_ref().filter(|_| !self.shared.is_empty()) else {
            return std::future::pending().await;
        };
        while self.shared.iter().all(|shared| sharing.is_in_force(&self.access, shared)) {
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Driver<'_> {
    pub(crate) fn watch_shares(&self) -> Watch {
        let shared = shared(&self.goal.roots).cloned().collect();
        Watch { sharing: self.host.sharing.clone(), access: self.host.access.clone(), shared }
    }

    /// Takes from the brain what is shared no more, and says so to it. Its cells, which show it, are ended.
    pub(crate) async fn end_shares(&mut self) -> Result<(), HostError> {
        let (sharing, access) = (self.host.sharing.clone(), &self.host.access);
        let is_over = |shared: &&Shared| !sharing.as_ref().is_some_and(|sharing| sharing.is_in_force(access, shared));
        let over: Vec<Shared> = shared(&self.goal.roots).filter(is_over).cloned().collect();
        for shared in over {
            self.end_share(shared).await?;
        }
        Ok(())
    }

    async fn end_share(&mut self, shared: Shared) -> Result<(), HostError> {
        (self.hands, self.shell) = (None, None);
        let is_it = |root: &Root| root.shared.as_ref() == Some(&shared);
        let path = self.goal.roots.iter().find(|root| is_it(root)).map(|root| root.path.clone()).unwrap_or_default();
        self.goal.roots.retain(|root| !is_it(root));
        let Shared { id: share, by } = shared;
        let text =
            format!("{path}, which {by} shared, is shared no more, and cannot be read any more. Go on without it.");
        self.record(vec![Event::ShareEnded { share, text }], Durability::Synced).await
    }

    /// What is to be held with a cell that is made now. What is shared no more is no root any more then.
    pub(crate) async fn keeps(&mut self) -> Result<Keeps, HostError> {
        let shares = self.held_shares().await?;
        Ok(Keeps { lease: Some(self.lease()), shares })
    }

    /// What the launcher is to hold with a cell that shows the brain's roots. A share that cannot be held is none of them
    /// any more.
    async fn held_shares(&mut self) -> Result<Vec<Hold>, HostError> {
        let mut holds = Vec::new();
        for shared in shared(&self.goal.roots).cloned().collect::<Vec<_>>() {
            match self.host.sharing.as_ref().and_then(|sharing| sharing.hold(&self.host.access, &shared)) {
                Some(hold) => holds.push(hold),
                None => self.end_share(shared).await?,
            }
        }
        Ok(holds)
    }
}

fn shared(roots: &[Root]) -> impl Iterator<Item = &Shared> {
    roots.iter().filter_map(|root| root.shared.as_ref())
}
