//! Killing the process between two changes of the disk, for tests of crash-safety (feature `fault`, off by default).
//!
//! Set by a call, never by the environment, so a program built without the feature has no such door.

#[cfg(feature = "fault")]
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(feature = "fault")]
static LEFT: AtomicU64 = AtomicU64::new(0);

/// Has this process kill itself (`SIGKILL`) at the `n`-th point from now on; never for 0.
#[cfg(feature = "fault")]
pub fn set_kill_point(n: u64) {
    LEFT.store(n, Ordering::SeqCst);
}

/// Before or after a change of the disk.
pub(crate) fn point() {
    #[cfg(feature = "fault")]
    if LEFT.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1) {
        // A process may always signal itself, so there is no error to handle; SIGKILL does not return.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
