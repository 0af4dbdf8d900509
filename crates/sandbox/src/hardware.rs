//! What two programs on one processor can learn from each other, and what this machine does about it. Nothing of this is
//! a wall of the cell; it is looked at, so that it can be said.

use crate::survey::Found;
use crate::{proc, sys};

/// Whether two programs run on one core at once. Where they do, each sees the other's use of caches and units in time.
pub(crate) fn core_sharing() -> Found {
    let active = proc::read("/sys/devices/system/cpu/smt/active").is_ok_and(|text| text.trim() == "1");
    let scheduling = match sys::core_scheduling() {
        Some(true) => "this process has a core-scheduling cookie",
        Some(false) => "core scheduling is there, and not used by cells",
        None => "no core scheduling",
    };
    let found = if active { format!("SMT is on; {scheduling}") } else { "SMT is off or not there".into() };
    let fix = "echo off > /sys/devices/system/cpu/smt/control, or nosmt on the kernel's command line";
    Found { name: "core-sharing", there: !active, found, fix }
}

/// Whether speculation that leaks is off for what is started here (PR_GET_SPECULATION_CTRL in
/// PR_GET_SPECULATION_CTRL(2const); the kernel's `userspace-api/spec_ctrl`).
pub(crate) fn speculation() -> Found {
    const KINDS: [(&str, usize); 2] = [("store bypass", 0), ("indirect branches", 1)];
    let states = KINDS.map(|(name, kind)| (name, sys::speculation(kind)));
    let there = states.iter().all(|(_, state)| state.is_some_and(is_mitigated));
    let words = |state: Option<u32>| match state {
        None => "not told",
        Some(0) => "not affected",
        Some(state) if is_mitigated(state) => "off",
        Some(_) => "on",
    };
    let found: Vec<String> = states.iter().map(|(name, state)| format!("{name}: {}", words(*state))).collect();
    let fix = "spec_store_bypass_disable=on spectre_v2_user=on on the kernel's command line, at the price of speed";
    Found { name: "speculation", there, found: found.join(", "), fix }
}

/// Whether a state says that the processor does not speculate so, or that it does no harm.
const fn is_mitigated(state: u32) -> bool {
    const DISABLE: u32 = 4;
    const FORCE_DISABLE: u32 = 8;
    const DISABLE_NOEXEC: u32 = 16;
    state == 0 || state & (DISABLE | FORCE_DISABLE | DISABLE_NOEXEC) != 0
}

/// Whether equal pages of different programs are kept as one, which tells each by the time of a write what others hold.
/// A cell cannot ask for it; it would inherit it.
pub(crate) fn memory_merging() -> Found {
    let running = proc::read("/sys/kernel/mm/ksm/run").is_ok_and(|text| text.trim() == "1");
    let inherited = sys::merges_memory();
    let found = match (running, inherited) {
        (_, true) => "this process is merged with others, and so would cells be",
        (true, false) => "KSM runs; cells take no part",
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
