//! Keeping this process's memory to itself.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::VaultError;

/// Makes this process one that other processes of the same user cannot attach to or read (`/proc/PID/mem`, `environ`,
/// ptrace(2)) and of which no core dump is written. To be called before a key is there, and after whatever is forked
/// that others look at: the files of `/proc/PID` belong to root from then on (proc(5), PR_SET_DUMPABLE(2const)).
///
/// # Errors
/// The system's.
pub fn close_to_onlookers() -> Result<(), VaultError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(VaultError::io("close", "/proc/self"))?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(VaultError::io("forbid core dumps of", "/proc/self"))
}
