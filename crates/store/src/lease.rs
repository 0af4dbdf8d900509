//! Who drives a brain.
//!
//! A lease is a lock (flock(2)) on a file that is never removed, so that there is one lock a brain and not one a file.
//! The kernel releases it when the last descriptor of it is closed. This process has one, and closes it at its end,
//! however it ends. The launcher gets another with each cell of the brain and keeps it until the cell is gone, so that
//! a new driver never meets an action that an old one left going on.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use autoshare_core::{BrainId, TenantName};
use autoshare_vault::private::{Others, PrivateDir};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::StoreError;

/// How often a lock that is held is tried, and how long between: looking who holds one takes it for an instant.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(5);
/// The same while whoever signed the lock is gone, or has let go, and only the cells are still ending: 5 s.
const TRIES_WHILE_ENDING: u32 = 1000;

/// The right to drive one brain. Released when dropped, or when the process ends.
#[derive(Debug)]
pub struct Lease {
    pub(crate) tenant: TenantName,
    pub(crate) brain: BrainId,
    pub(crate) epoch: u64,
    pub(crate) lock: Lock,
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

impl AsFd for Lease {
    /// For the launcher to hold as long as a cell of the brain is there.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lock.0.as_fd()
    }
}

/// A held lock.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock of `brain`, or says which process holds it.
    pub(crate) fn take(leases: &PrivateDir, brain: &BrainId) -> Result<Self, StoreError> {
        let mut file = leases.open_or_create(brain.as_str(), Others::MayRead)?;
        let mut tries = 0;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    write_pid(&mut file, &format!("{}\n", std::process::id()))
                        .map_err(|source| StoreError::Lock { path: path(leases, brain), source })?;
                    return Ok(Self(file));
                }
                Err(Errno::WOULDBLOCK) => {}
                Err(errno) => return Err(StoreError::Lock { path: path(leases, brain), source: errno.into() }),
            }
            // Whoever takes it signs it at once, and takes the signature back when letting go: without one, nobody drives.
            let driver = read_pid(&mut file).filter(|pid| is_alive(*pid));
            tries += 1;
            match driver {
                Some(pid) if tries >= TRIES => return Err(StoreError::Driven { brain: brain.clone(), pid }),
                None if tries >= TRIES_WHILE_ENDING => return Err(StoreError::Ending { brain: brain.clone() }),
                _ => std::thread::sleep(PAUSE),
            }
        }
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
        // An error leaves the pid of a process that holds nothing, which is never looked at. The lock itself is not
        // undone but closed: where a cell is still ending, it is still held.
        let _ = self.0.set_len(0);
    }
}

fn write_pid(file: &mut File, pid: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(pid.as_bytes())
}

/// Whether there is such a process. One of another user counts.
fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return true };
    test_kill_process(pid) != Err(Errno::SRCH)
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
