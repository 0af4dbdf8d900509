//! Who drives a brain.
//!
//! A lease is a lock (flock(2)) on a file that is never removed, so that there is one lock a brain and not one a file.
//! The kernel releases it when the process ends, however it ends; a child that is forked while it is held must exec or
//! end, else it keeps the lock.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use autoshare_core::{BrainId, TenantName};
use autoshare_vault::private::{Others, PrivateDir};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::StoreError;

/// How often a lock that is held is tried, and how long between: looking who holds one takes it for an instant.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(5);

/// The right to drive one brain. Released when dropped, or when the process ends.
#[derive(Debug)]
pub struct Lease {
    pub(crate) tenant: TenantName,
    pub(crate) brain: BrainId,
    pub(crate) epoch: u64,
    /// Held, not used.
    pub(crate) _lock: Lock,
}

impl Lease {
    /// The brain.
    #[must_use]
    pub const fn brain(&self) -> &BrainId {
        &self.brain
    }

    /// The fencing epoch: the number of this lease among all that the brain ever had.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// A held lock.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock of `brain`, or says which process holds it.
    pub(crate) fn take(leases: &PrivateDir, brain: &BrainId) -> Result<Self, StoreError> {
        let mut file = leases.open_or_create(brain.as_str(), Others::MayRead)?;
        for _ in 0..TRIES {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    write_pid(&mut file, &format!("{}\n", std::process::id()))
                        .map_err(|source| StoreError::Lock { path: path(leases, brain), source })?;
                    return Ok(Self(file));
                }
                Err(Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
                Err(errno) => return Err(StoreError::Lock { path: path(leases, brain), source: errno.into() }),
            }
        }
        Err(StoreError::Driven { brain: brain.clone(), pid: read_pid(&mut file).unwrap_or(0) })
    }

    /// The process that holds the lock of `brain`.
    pub(crate) fn holder(leases: &PrivateDir, brain: &BrainId) -> Result<Option<u32>, StoreError> {
        let mut file = leases.open_or_create(brain.as_str(), Others::MayRead)?;
        for _ in 0..TRIES {
            match flock(&file, FlockOperation::NonBlockingLockShared) {
                Ok(()) => return Ok(None),
                Err(Errno::WOULDBLOCK) => match read_pid(&mut file) {
                    // Locked, and not yet signed.
                    None => std::thread::sleep(PAUSE),
                    pid => return Ok(pid),
                },
                Err(errno) => return Err(StoreError::Lock { path: path(leases, brain), source: errno.into() }),
            }
        }
        Ok(None)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Errors leave the pid of a process that holds nothing, which is never looked at. Unlocking is more than
        // closing: it also takes the lock from children that inherited the descriptor.
        let _ = self.0.set_len(0);
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

fn write_pid(file: &mut File, pid: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(pid.as_bytes())
}

/// The pid in the file; `None` if there is no whole one.
fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.strip_suffix('\n')?.parse().ok()
}

fn path(leases: &PrivateDir, brain: &BrainId) -> PathBuf {
    leases.path().join(brain.as_str())
}
