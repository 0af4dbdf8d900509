//! Killing the process at a chosen append, for tests of crash-safety (feature `fault`, off by default).
//!
//! Set by a call, never by the environment, so a program built without the feature has no such door.

use std::sync::Mutex;
use std::sync::PoisonError;

use rustix::process::{Signal, getpid, kill_process};

/// On which side of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing of it is written.
    Before,
    /// It is committed, and the caller has not been told.
    After,
}

/// Where the process kills itself (`SIGKILL`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KillPoint {
    /// At which call of `append`, counted from the one that follows `set_kill_point`, which is 1.
    pub append: u64,
    /// On which side of it.
    pub when: When,
}

/// How far it is to the kill point.
#[derive(Debug, Default)]
pub(crate) struct Fault(Mutex<Option<KillPoint>>);

impl Fault {
    pub(crate) fn set(&self, point: Option<KillPoint>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = point;
    }

    /// Counts an append; tells whether it is the one, and on which side.
    pub(crate) fn count(&self) -> Option<When> {
        let mut point = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = point.as_mut()?;
        left.append = left.append.saturating_sub(1);
        if left.append == 0 { point.take().map(|point| point.when) } else { None }
    }

    /// Kills this process, if this is the side.
    pub(crate) fn strike(found: Option<When>, here: When) {
        if found == Some(here) {
            // A process may always signal itself, so there is no error to handle; SIGKILL does not return.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}
