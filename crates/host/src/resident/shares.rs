//! What a tenant shares out of its workspaces, and what it begins brains with.

use std::sync::Arc;

use autoshare_access::{AccessError, ShareRecord};
use autoshare_core::audit::Actor;
use autoshare_core::event::{Event, Root};
use autoshare_core::{BrainId, Seq, ShareId, TenantName};

use super::{Resident, ResidentError};
use crate::shares::{MAX_OF_BRAIN, Offered, ShareError, Sharing, Telling};

impl Resident {
    /// Offers a file or a folder of a brain's workspace to another tenant.
    ///
    /// # Errors
    /// [`ResidentError::NoBrain`], [`ResidentError::Limit`] where its disk is full, [`ResidentError::Share`].
    pub fn offer(
        &self,
        by: &Actor,
        brain: &BrainId,
        path: &str,
        to: &TenantName,
        [name, note]: [&str; 2],
    ) -> Result<(ShareRecord, Telling), ResidentError> {
        self.has_room()?;
        let records = self.records(brain, Seq(1))?;
        let goal = records.iter().find_map(|record| match &record.event {
            Event::Goal(goal) => Some(goal),
            _ => None,
        });
        let root = goal.and_then(|goal| goal.roots.first()).ok_or_else(|| ResidentError::NoBrain(brain.clone()))?;
        let offered = Offered { to, name, note, workspace: &root.path, path };
        Ok(self.sharing()?.offer(self.access(), by, &offered)?)
    }

    pub(super) fn sharing(&self) -> Result<&Arc<Sharing>, ResidentError> {
        self.parts.host.sharing.as_ref().ok_or_else(|| ResidentError::State("nothing is shared here".to_owned()))
    }

    /// The roots of a brain that is begun with these shares.
    pub(super) fn shared_roots(&self, shares: &[ShareId]) -> Result<Vec<Root>, ResidentError> {
        if shares.len() > MAX_OF_BRAIN {
            return Err(ResidentError::Wrong(format!("a brain is begun with {MAX_OF_BRAIN} shares at most")));
        }
        let mut roots: Vec<Root> = Vec::new();
        for id in shares {
            let root = self.sharing()?.root(self.access(), id).map_err(|error| match error {
                ShareError::Access(AccessError::NoShare(id)) => {
                    ResidentError::Wrong(format!("there is no share {id} that this tenant has accepted"))
                }
                other => other.into(),
            })?;
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
        Ok(roots)
    }
}
