//! A running cell, as the host holds it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use autoshare_core::wire::Probe;
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use crate::error::Step;
use crate::limits::LimitInForce;
use crate::making::Namespaces;
use crate::{Refusals, SandboxError, Tier, proc, seal, sys};

/// What holds a cell, as seen from outside through `/proc/PID` before any code of others ran in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Its tier.
    pub tier: Tier,
    /// Its user on the host; never 0.
    pub uid: u32,
    /// Its group on the host; never 0.
    pub gid: u32,
    /// Inode numbers of its namespaces by name; in the full tier none is the host's.
    pub namespaces: BTreeMap<String, u64>,
    /// The Landlock ABI in force.
    pub landlock_abi: i32,
    /// Number of seccomp filters in force.
    pub seccomp_filters: u32,
    /// Whether files of root are shown to it, and written by it, through an id-mapped mount.
    pub id_mapped: bool,
    /// The limits that hold it, and what keeps them.
    pub limits: Vec<LimitInForce>,
    /// How long it attacked itself, in microseconds.
    pub battery_us: u64,
}

impl Confinement {
    /// Looks at a cell from outside and refuses one that is not held.
    pub(crate) fn look(pid: Pid, tier: Tier, namespaces: Namespaces, id_mapped: bool) -> Result<Self, SandboxError> {
        let status = proc::read(&format!("/proc/{}/status", pid.as_raw_nonzero())).step("looking at the cell")?;
        let field = |name: &str| proc::status_field(&status, name).unwrap_or_default();
        let ids =
            |name: &str| -> Vec<u32> { field(name).split_whitespace().filter_map(|id| id.parse().ok()).collect() };
        let not = |what: &str| Err(SandboxError::NotConfined(what.to_owned()));
        let (uids, gids) = (ids("Uid"), ids("Gid"));
        let (Some(&uid), Some(&gid)) = (uids.first(), gids.first()) else { return not("no ids in its status") };
        if uids.contains(&0) || gids.contains(&0) || uids.len() != 4 || gids.len() != 4 {
            return not("it runs as root");
        }
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            if u64::from_str_radix(&field(set), 16) != Ok(0) {
                return not(&format!("it has capabilities ({set} {})", field(set)));
            }
        }
        if field("NoNewPrivs") != "1" {
            return not("no_new_privs is not set");
        }
        if field("Seccomp") != "2" {
            return not("no seccomp filter is in force");
        }
        let landlock_abi = sys::landlock_abi();
        if landlock_abi < seal::landlock_floor(tier) {
            return not("Landlock is too old");
        }
        let seccomp_filters = field("Seccomp_filters").parse().unwrap_or(1);
        Ok(Self {
            tier,
            uid,
            gid,
            namespaces,
            landlock_abi,
            seccomp_filters,
            id_mapped,
            limits: Vec::new(),
            battery_us: 0,
        })
    }
}

/// How a cell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellEnd {
    /// Its code returned this; 101 is a panic, 102 a cell whose making was broken off, 134 and 152 are the two below.
    Exited(i32),
    /// A signal ended it; 9 if it was killed.
    Signalled(i32),
    /// It passed its memory: the kernel ended it for that, or it aborted (or says so by its exit status), which is what
    /// the allocator does.
    OutOfMemory,
    /// It used up its processor time.
    OutOfTime,
    /// The launcher ended, and the cell with it.
    Lost,
}

impl CellEnd {
    pub(crate) fn of(exit: Option<i32>, signal: Option<i32>) -> Self {
        const ABORTED: i32 = sys::SIGNAL_STATUS + libc::SIGABRT;
        const TIMED_OUT: i32 = sys::SIGNAL_STATUS + libc::SIGXCPU;
        match (exit, signal) {
            (Some(ABORTED), _) => Self::OutOfMemory,
            (Some(TIMED_OUT), _) => Self::OutOfTime,
            (Some(status), _) => Self::Exited(status),
            (None, Some(signal)) => Self::Signalled(signal),
            (None, None) => Self::Lost,
        }
    }
}

/// A running cell. Dropping it ends every process in it.
#[derive(Debug)]
pub struct Cell {
    /// The host's end of the connection.
    pub socket: UnixStream,
    /// The number of the launcher that made it.
    pub(crate) maker: usize,
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    pub(crate) end: std::io::PipeReader,
    pub(crate) ended: Option<CellEnd>,
    pub(crate) confinement: Confinement,
    pub(crate) probes: Vec<Probe>,
    pub(crate) listener: Option<TcpListener>,
    pub(crate) refusals: Option<Refusals>,
}

impl Cell {
    /// Its first process, by the host's numbering.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// What holds it.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.confinement.tier
    }

    /// What holds it, in detail, as seen from outside.
    #[must_use]
    pub const fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// What it tried from inside before any other code ran in it; each was refused. Unlike what the cell says later,
    /// this comes from the launcher and can be believed.
    #[must_use]
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// What listens on the cell's own loopback, if its specification asked for it; once. It does not block.
    pub fn listener(&mut self) -> Option<TcpListener> {
        self.listener.take()
    }

    /// Where the calls that its filter refuses are told, if its specification asked for it; once.
    pub fn refusals(&mut self) -> Option<Refusals> {
        self.refusals.take()
    }

    /// Ends every process in it, now. Ending one that has ended is nothing.
    pub fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Becomes readable when the cell has ended: for waiting without a thread.
    #[must_use]
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }

    /// Waits until the cell has ended, and says how. Blocks; [`Cell::ended`] says when it will not.
    pub fn wait(&mut self) -> CellEnd {
        if let Some(end) = self.ended {
            return end;
        }
        let mut text = Vec::new();
        let end = match self.end.read_to_end(&mut text) {
            Ok(_) => serde_json::from_slice(&text).unwrap_or(CellEnd::Lost),
            Err(_) => CellEnd::Lost,
        };
        *self.ended.insert(end)
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.kill();
    }
}
