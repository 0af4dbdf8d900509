//! How a tenant is, in numbers: nothing here says what its brains are about.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use autoshare_core::BrainId;
use autoshare_store::StoreError;
use autoshare_store::ledger::Spent;

use super::{Resident, held};
use crate::HostError;

/// How long a journal that could not be written counts. Its brain rests by then, and nothing is written that would show that the
/// disk is well again.
const UNWRITTEN: Duration = Duration::from_secs(60);

/// A tenant at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pulse {
    /// Brains that are driven, those that ask among them.
    pub awake: u64,
    /// Brains that are woken when fewer are awake.
    pub waiting: u64,
    /// Brains that wait for a person's answer.
    pub asking: u64,
    /// What was used since the tenant was opened.
    pub spent: Spent,
}

impl Resident {
    /// How it is. Waits for no disk.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse {
            awake: self.awake() as u64,
            waiting: held(&self.waiting).len() as u64,
            asking: self.questions().len() as u64,
            spent: self.ledger().spent(),
        }
    }

    /// Brains that are awake, wait for no person, and of which nothing was heard for longer than `limit`: no record, no piece
    /// of a model's reply, no output of a program. With each, for how long.
    #[must_use]
    pub fn silent(&self, limit: Duration) -> Vec<(BrainId, Duration)> {
        let now = Instant::now();
        let asking: BTreeSet<BrainId> = self.questions().into_iter().map(|question| question.brain).collect();
        let awake = held(&self.awake);
        let silent = awake.iter().filter(|(brain, _)| !asking.contains(brain));
        let silent = silent.map(|(brain, awake)| (brain.clone(), now.saturating_duration_since(awake.heard)));
        silent.filter(|(_, since)| *since > limit).collect()
    }

    /// Whether what happens cannot be written down: the records of calls, or a journal within the last minute, could not be.
    #[must_use]
    pub fn is_unwritten(&self) -> bool {
        held(&self.unwritten).is_some_and(|at| at.elapsed() < UNWRITTEN) || self.calls().broken().is_some()
    }

    pub(super) fn note_sign_of_life(&self, brain: &BrainId) {
        if let Some(awake) = held(&self.awake).get_mut(brain) {
            awake.heard = Instant::now();
        }
    }

    /// Notes whether a journal could be written, by how that ended for which it was to be.
    pub(super) fn note_disk<T>(&self, ended: Result<&T, &HostError>) {
        match ended {
            Ok(_) => *held(&self.unwritten) = None,
            Err(HostError::Store(error)) if is_of_the_disk(error) => *held(&self.unwritten) = Some(Instant::now()),
            Err(_) => {}
        }
    }
}

/// Whether an error says that this machine cannot write, and not that something was asked for which is not to be had.
fn is_of_the_disk(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Failed { .. }
            | StoreError::Full { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Busy { .. }
            | StoreError::Sqlite { .. }
            | StoreError::NoWriter
    )
}
