//! What two programs on one processor can learn from each other, what a cell does against it, and what this machine does.

use std::io;

use autoshare_core::wire::Probe;

use crate::error::answer;
use crate::survey::Found;
use crate::{proc, sys};

/// Guesses at where indirect branches lead, which leak from one process to another: their number in
/// PR_SET_SPECULATION_CTRL(2const). Guesses past stores are left alone: they leak within a process, which is one cell's
/// alone, and without them interpreters take half as long again (the kernel's `admin-guide/hw-vuln/spectre`).
const INDIRECT_BRANCHES: usize = 1;

/// Keeps this process, and all that it will start, from learning of its neighbours on the processor, as far as kernel and
/// processor offer it: a core of its own at any one time, no pages in common, and unless `speculate`, no guessing at
/// indirect branches, for good. Says what came of it; what was done is read back.
pub(crate) fn keep_apart(speculate: bool) -> Vec<Probe> {
    let name = "no-indirect-guesses";
    let is_off = || sys::speculation(INDIRECT_BRANCHES).is_some_and(is_mitigated);
    vec![
        match speculate {
            true => Probe { name: name.into(), held: true, answer: "allowed by a setting".into() },
            false => fact(name, sys::stop_speculation(INDIRECT_BRANCHES), is_off),
        },
        fact("own-core", sys::schedule_apart(), || sys::core_scheduling() == Some(true)),
        fact("no-memory-merging", sys::stop_merging(), || !sys::merges_memory()),
    ]
}

/// Keeps from programs for how long the machine is up: to be called while this process may still write to its own files in
/// `/proc`. Says what came of it.
pub(crate) fn start_clocks() -> Probe {
    // Kernels before 6.3 refuse programs that share memory with whoever starts them, as posix_spawn(3) lets them, from
    // then on: they would change their clocks without a change of memory.
    let done = match proc::kernel_is_at_least(6, 3) {
        true => sys::unshare_time().and_then(|()| proc::start_clocks()),
        false => Err(io::Error::from_raw_os_error(libc::ENOSYS)),
    };
    let answer = match done {
        Ok(()) => "in force".into(),
        Err(error) => format!("not offered here: {}", answer(&error)),
    };
    Probe { name: "own-clocks".into(), held: true, answer }
}

/// A measure that the kernel does not offer does not count against the cell; one that it took and that is not in force
/// does.
fn fact(name: &str, done: io::Result<()>, in_force: impl Fn() -> bool) -> Probe {
    let (held, answer) = match done {
        _ if in_force() => (true, "in force".into()),
        Ok(()) => (false, "taken, and not in force".into()),
        Err(error) => (true, format!("not offered here: {}", answer(&error))),
    };
    Probe { name: name.into(), held, answer }
}

/// Whether two programs run on one core at once. Where they do, each sees the other's use of caches and units in time.
pub(crate) fn core_sharing() -> Found {
    let active = proc::read("/sys/devices/system/cpu/smt/active").is_ok_and(|text| text.trim() == "1");
    let scheduling = match sys::core_scheduling() {
        Some(true) => "this process has a core-scheduling cookie",
        Some(false) => "each cell is scheduled apart",
        None => "no core scheduling",
    };
    let there = !active || sys::core_scheduling().is_some();
    let found = if active { format!("SMT is on; {scheduling}") } else { "SMT is off or not there".into() };
    let fix = "echo off > /sys/devices/system/cpu/smt/control, or nosmt on the kernel's command line";
    Found { name: "core-sharing", there, found, fix }
}

/// Whether the guesses that leak from one process to another are off for what is started here, or can be turned off
/// (PR_GET_SPECULATION_CTRL(2const); the kernel's `userspace-api/spec_ctrl`).
pub(crate) fn speculation() -> Found {
    let state = sys::speculation(INDIRECT_BRANCHES);
    // What can be controlled, cells turn off.
    let there = state.is_some_and(|state| is_mitigated(state) || is_controlled(state));
    let words = match state {
        None => "not told",
        Some(0) => "not affected",
        Some(state) if is_mitigated(state) => "off",
        Some(state) if is_controlled(state) => "off in cells",
        Some(_) => "on",
    };
    let fix = "spectre_v2_user=prctl on the kernel's command line, for cells to turn it off";
    Found { name: "speculation", there, found: format!("indirect branches: {words}"), fix }
}

/// Whether a process may choose.
const fn is_controlled(state: u32) -> bool {
    const PRCTL: u32 = 1;
    state & PRCTL != 0
}

/// Whether a state says that the processor does not speculate so, or that it does no harm.
const fn is_mitigated(state: u32) -> bool {
    const DISABLE: u32 = 4;
    const FORCE_DISABLE: u32 = 8;
    const DISABLE_NOEXEC: u32 = 16;
    state == 0 || state & (DISABLE | FORCE_DISABLE | DISABLE_NOEXEC) != 0
}

/// Whether equal pages of different programs are kept as one, which tells each by the time of a write what others hold.
/// A cell cannot ask for it, and gives up what it inherits.
pub(crate) fn memory_merging() -> Found {
    let running = proc::read("/sys/kernel/mm/ksm/run").is_ok_and(|text| text.trim() == "1");
    let inherited = sys::merges_memory();
    let found = match (running, inherited) {
        (_, true) => "this process is merged with others; cells are not",
        (true, false) => "KSM runs; neither this process nor cells take part",
        (false, false) => "KSM does not run",
    };
    let fix = "start autoshare where memory is not merged (systemd: MemoryKSM=no)";
    Found { name: "no-memory-merging", there: !inherited, found: found.into(), fix }
}

#[cfg(test)]
mod tests {
    use super::is_mitigated;

    #[test]
    fn a_state_of_speculation_is_read_as_the_kernel_means_it() {
        // PRCTL is 1, ENABLE 2: it can be controlled, and speculates.
        for (state, mitigated) in [(0, true), (3, false), (2, false), (1 | 4, true), (1 | 8, true), (16, true)] {
            assert_eq!(is_mitigated(state), mitigated, "{state}");
        }
    }
}
