//! The attacks, as data. Rows are those of the project's catalogue: A for the file tools, B for what runs in a cell.

use autoshare_sandbox::Work;
use autoshare_sandbox::probe::Attempt;
use serde::{Deserialize, Serialize};

use super::files::FileAttempt;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// A path given to the file tools.
    File(FileAttempt),
    /// Calls of a program that was taken over.
    Raw(Attempt),
}

/// An attack of the battery.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// Its row in the catalogue.
    pub id: &'static str,
    /// What is tried, in words.
    pub tried: &'static str,
    /// What is done.
    pub deed: Deed,
    /// The kinds of cells in which it must fail. The control is that of the last.
    pub works: &'static [Work],
    /// Whether it takes so much that it is made only when it is asked for.
    pub takes_much: bool,
}

const TOOLS: &[Work] = &[Work::Tools];
const PROGRAMS: &[Work] = &[Work::Programs];
const BOTH: &[Work] = &[Work::Tools, Work::Programs];

const fn file(id: &'static str, tried: &'static str, attempt: FileAttempt) -> Attack {
    Attack { id, tried, deed: Deed::File(attempt), works: TOOLS, takes_much: false }
}

const fn raw(id: &'static str, tried: &'static str, attempt: Attempt, works: &'static [Work]) -> Attack {
    Attack { id, tried, deed: Deed::Raw(attempt), works, takes_much: false }
}

const fn bomb(id: &'static str, tried: &'static str, attempt: Attempt, works: &'static [Work]) -> Attack {
    Attack { takes_much: true, ..raw(id, tried, attempt, works) }
}

/// Every attack, in the order of the catalogue.
#[rustfmt::skip]
pub(super) const ATTACKS: &[Attack] = &[
    file("A1", "reads ../ beside the workspace", FileAttempt::DotDot),
    file("A1", "reads ../ after a link", FileAttempt::DotDotLater),
    file("A1", "reads by /proc/self/root", FileAttempt::MagicLink),
    file("A2", "reads through a linked folder", FileAttempt::LinkedFolder),
    file("A2", "reads through a linked file", FileAttempt::LinkedFile),
    file("A3", "reads a hard link to a file outside", FileAttempt::HardLink),
    file("A9", "writes a git hook", FileAttempt::Hook),
    raw("B1", "reads a neighbour's file", Attempt::ReadNeighbour, BOTH),
    raw("B1", "opens it for writing", Attempt::WriteNeighbour, BOTH),
    raw("B1", "makes a file beside it", Attempt::MakeBeside, BOTH),
    raw("B1", "lists its folder", Attempt::ListNeighbour, BOTH),
    raw("B1", "reads it by a link in the workspace", Attempt::FollowLink, BOTH),
    raw("B1", "links it into the workspace", Attempt::LinkIn, BOTH),
    raw("B1", "watches it", Attempt::WatchNeighbour, BOTH),
    raw("B1", "writes a file that may be read only", Attempt::WriteShown, BOTH),
    raw("B1", "changes that file's mode", Attempt::ChangeMode, BOTH),
    raw("B1", "changes that file's times", Attempt::ChangeTimes, BOTH),
    raw("B1", "reads the machine's /etc/hostname", Attempt::ReadHostname, BOTH),
    raw("B1", "reads another process's environment", Attempt::ReadEnvironment, BOTH),
    raw("B2", "connects to the host's loopback", Attempt::ConnectLoopback, BOTH),
    raw("B2", "connects to a socket by path", Attempt::ConnectPath, BOTH),
    raw("B2", "connects to one in the workspace", Attempt::ConnectPathInside, BOTH),
    raw("B2", "connects to an abstract socket", Attempt::ConnectAbstract, BOTH),
    raw("B2", "makes a netlink socket", Attempt::Netlink, BOTH),
    raw("B2", "makes a vsock socket", Attempt::Vsock, BOTH),
    raw("B2", "makes an internet socket (tools)", Attempt::InternetSocket, TOOLS),
    raw("B3", "makes a user namespace", Attempt::UserNamespace, BOTH),
    raw("B3", "makes a network namespace", Attempt::NetworkNamespace, BOTH),
    raw("B3", "mounts in a namespace of its own", Attempt::MountNamespace, BOTH),
    raw("B4", "signals another process", Attempt::Signal, BOTH),
    raw("B4", "traces another process", Attempt::Trace, BOTH),
    raw("B4", "reads another process's memory", Attempt::ReadMemory, BOTH),
    raw("B4", "slows another process down", Attempt::SlowDown, BOTH),
    raw("B4", "binds another process to processors", Attempt::Pin, BOTH),
    raw("B4", "types into a terminal (TIOCSTI)", Attempt::Type, BOTH),
    raw("B5", "sets up io_uring", Attempt::IoUring, BOTH),
    raw("B5", "makes a BPF map", Attempt::Bpf, BOTH),
    raw("B5", "opens a perf event", Attempt::Perf, BOTH),
    raw("B5", "opens a userfaultfd", Attempt::Userfaultfd, BOTH),
    raw("B5", "asks for a keyring", Attempt::Keyring, BOTH),
    raw("B5", "adds a key", Attempt::AddKey, BOTH),
    raw("B5", "switches address randomisation off", Attempt::Personality, BOTH),
    raw("B5", "makes a file in memory", Attempt::Memfd, BOTH),
    raw("B5", "maps memory to execute (tools)", Attempt::ExecutableMemory, TOOLS),
    raw("B6", "reads the binary that confines it", Attempt::ReadOwnBinary, BOTH),
    raw("B6", "opens its own memory as a file", Attempt::OpenOwnMemory, BOTH),
    raw("B7", "leaves a set-uid file behind", Attempt::PlantSetUid, BOTH),
    raw("B7", "starts a process (tools)", Attempt::Fork, TOOLS),
    raw("B7", "runs a program (tools)", Attempt::Exec, TOOLS),
    raw("B7", "has the host's crash handler started", Attempt::CrashHandler, PROGRAMS),
    bomb("B8", "starts 200 processes", Attempt::ManyProcesses, PROGRAMS),
    bomb("B8", "takes 256 MiB of memory", Attempt::MuchMemory, BOTH),
    bomb("B8", "opens 2,000 files", Attempt::ManyDescriptors, BOTH),
    bomb("B8", "writes a file of 32 MiB", Attempt::LargeFile, BOTH),
];
