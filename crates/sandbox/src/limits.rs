//! Which limits hold a cell, by what, and the watch over what nothing else counts together.

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::cgroup::Version;
use crate::spec::{CellSpec, Work};
use crate::{Tier, proc};

/// How often a cell that has no group is looked at, in milliseconds. What it may take beyond its memory is what it can
/// touch in that time.
pub(crate) const WATCH_MS: u32 = 100;

/// A limit of a cell, and what keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitInForce {
    /// Which: `memory`, `processes`, `processor`, `processor-time`, `open-files`, `file-size`, `tmp-bytes`, `tmp-files`.
    pub name: String,
    /// Its number; 0 where there is none.
    pub value: u64,
    /// Whether it cannot be passed at all.
    pub hard: bool,
    /// What keeps it, in words.
    pub by: String,
}

/// The limits that hold a cell.
pub(crate) fn in_force(spec: &CellSpec, tier: Tier, group: Option<Version>) -> Vec<LimitInForce> {
    let limits = &spec.limits;
    let cgroup = match group {
        Some(Version::V1) => Some("cgroup v1, all processes together"),
        Some(Version::V2) => Some("cgroup v2, all processes together"),
        None => None,
    };
    let limit = |name: &str, value: u64, hard: bool, by: &str| LimitInForce {
        name: name.to_owned(),
        value,
        hard,
        by: by.to_owned(),
    };
    let alone = spec.work == Work::Tools;
    let memory = match (cgroup, alone) {
        (Some(by), _) => limit("memory", limits.memory, true, by),
        (None, true) => limit("memory", limits.memory, true, "rlimit of its one process"),
        (None, false) => limit(
            "memory",
            limits.memory,
            false,
            "rlimit of each process, and a look at all of them every 100 ms: what it touches in between is over",
        ),
    };
    let processes = match (cgroup, tier, alone) {
        (Some(by), ..) => limit("processes", limits.processes, true, by),
        (None, Tier::Full, _) => limit("processes", limits.processes, true, "rlimit in its user namespace"),
        (None, Tier::Narrow, true) => limit("processes", 1, true, "the seccomp filter lets none start"),
        (None, Tier::Narrow, false) => limit(
            "processes",
            limits.processes,
            false,
            "rlimit over all that this user runs, set to what that was when the cell was made and this many more; and a \
             look every 100 ms",
        ),
    };
    let processor = match cgroup {
        Some(by) => limit("processor", limits.cpu_percent, true, by),
        None => limit("processor", 0, false, "nothing: time at once is not limited without cgroups"),
    };
    let mut all = vec![
        memory,
        processes,
        processor,
        limit("processor-time", limits.cpu_seconds, true, "rlimit of each process"),
        limit("open-files", limits.open_files, true, "rlimit of each process"),
        limit("file-size", limits.file_size, true, "rlimit of each process"),
    ];
    if tier == Tier::Full {
        all.push(limit("tmp-bytes", limits.tmp_bytes, true, "the size of its /tmp"));
        all.push(limit("tmp-files", limits.tmp_files, true, "the size of its /tmp"));
    }
    all
}

/// What a process and all that descend from it take: bytes of memory that are theirs, and how many they are.
pub(crate) fn taken(first: Pid) -> (u64, u64) {
    let mut bytes = 0u64;
    let all = tree(first);
    for pid in &all {
        let status = proc::read(&format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
        let kib = |name: &str| -> u64 {
            proc::status_field(&status, name)
                .and_then(|text| text.trim_end_matches(" kB").trim().parse().ok())
                .unwrap_or(0)
        };
        bytes = bytes.saturating_add((kib("RssAnon") + kib("RssShmem")).saturating_mul(1024));
    }
    (bytes, all.len() as u64)
}

/// A process and all that descend from it.
pub(crate) fn tree(first: Pid) -> Vec<Pid> {
    let mut found = vec![first];
    let mut at = 0;
    while let Some(pid) = found.get(at) {
        found.extend(children(*pid));
        at += 1;
    }
    found
}

/// The children of a process (`/proc/PID/task/TID/children` in proc(5)), of all of its threads.
pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    let tasks = format!("/proc/{}/task", pid.as_raw_nonzero());
    let mut found = Vec::new();
    for thread in proc::folders(std::path::Path::new(&tasks)) {
        let listed = proc::read(&format!("{tasks}/{thread}/children")).unwrap_or_default();
        found.extend(listed.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)));
    }
    found
}

/// How many processes and threads this process's user runs, as far as can be seen.
pub(crate) fn of_this_user() -> u64 {
    let own = rustix::process::getuid().as_raw().to_string();
    let count = |pid: &String| {
        let status = proc::read(&format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| proc::status_field(&status, name);
        let is_own = field("Uid")?.split_whitespace().next() == Some(own.as_str());
        if is_own { field("Threads")?.parse::<u64>().ok() } else { None }
    };
    proc::folders(std::path::Path::new("/proc")).iter().filter_map(count).sum()
}
