//! Reading the host's `/proc`, which is how a cell is seen from outside, and the files of cgroups.

#![allow(
    clippy::disallowed_methods,
    reason = "this crate alone reads /proc and cgroups; no path here comes from elsewhere"
)]

use std::collections::BTreeMap;
use std::io;

use rustix::event::{PollFd, PollFlags};
use rustix::process::Pid;

use crate::sys;

/// The namespaces that a full cell has of its own.
pub(crate) const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

pub(crate) fn read(path: &str) -> io::Result<String> {
    std::fs::read_to_string(path)
}

pub(crate) fn write(path: &str, text: &str) -> io::Result<()> {
    std::fs::write(path, text)
}

/// A path without links.
pub(crate) fn resolve(path: &std::path::Path) -> Option<std::path::PathBuf> {
    std::fs::canonicalize(path).ok()
}

/// Makes the clocks that count from the start of the machine count from now, for what this process will start in its new
/// time namespace (time_namespaces(7)).
pub(crate) fn start_clocks() -> io::Result<()> {
    let (monotonic, boottime) = (sys::seconds(libc::CLOCK_MONOTONIC)?, sys::seconds(libc::CLOCK_BOOTTIME)?);
    write("/proc/self/timens_offsets", &format!("monotonic -{monotonic} 0\nboottime -{boottime} 0\n"))
}

/// Whether the running kernel is of this version or a later one.
pub(crate) fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map(|text| text.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

/// The mounts of this process's mount namespace, watched (proc_pid_mountinfo(5): poll(2) tells of a change).
pub(crate) struct Mounts(std::fs::File);

impl std::os::fd::AsFd for Mounts {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Mounts {
    pub(crate) fn watch() -> io::Result<Self> {
        std::fs::File::open("/proc/self/mountinfo").map(Self)
    }

    /// Whether any was made or taken away since they were watched, or since this was last asked.
    pub(crate) fn have_changed(&self) -> bool {
        let nothing = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut [PollFd::new(&self.0, PollFlags::PRI)], Some(&nothing)) != Ok(0)
    }
}

/// The names of the directories in a directory; none where it cannot be listed.
pub(crate) fn folders(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// A line `Name:<tab>value` of `/proc/PID/status` (proc_pid_status(5)).
pub(crate) fn status_field(status: &str, name: &str) -> Option<String> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// Inode numbers of a process's namespaces (namespaces(7)); `self` without a pid.
pub(crate) fn namespaces(pid: Option<Pid>) -> io::Result<BTreeMap<String, u64>> {
    let who = pid.map_or_else(|| "self".to_owned(), |pid| pid.as_raw_nonzero().to_string());
    let number = |name: &str| -> io::Result<u64> {
        let link = std::fs::read_link(format!("/proc/{who}/ns/{name}"))?;
        let text = link.to_string_lossy();
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse().map_err(io::Error::other)
    };
    NAMESPACES.iter().map(|name| Ok(((*name).to_owned(), number(name)?))).collect()
}

/// Threads of this process.
pub(crate) fn threads() -> io::Result<usize> {
    let status = read("/proc/self/status")?;
    let count = status_field(&status, "Threads").and_then(|count| count.parse().ok());
    count.ok_or_else(|| io::Error::other("no thread count in /proc/self/status"))
}

/// `arg_start`, `arg_end`, `env_start`, `env_end` of `/proc/self/stat` (proc_pid_stat(5), fields 48 to 51).
pub(crate) fn start_ranges() -> io::Result<[usize; 4]> {
    let stat = read("/proc/self/stat")?;
    // The second field may hold anything, blanks and brackets too; the third one follows its last bracket.
    let rest = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    let field = |number: usize| rest.split(' ').nth(number - 3).and_then(|field| field.trim().parse().ok());
    let ranges = [field(48), field(49), field(50), field(51)];
    match ranges {
        [Some(a), Some(b), Some(c), Some(d)] => Ok([a, b, c, d]),
        _ => Err(io::Error::other("no argument range in /proc/self/stat")),
    }
}
