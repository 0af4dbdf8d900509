//! The one way to start a program: from inside a finished cell.

use std::ffi::{CString, NulError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use autoshare_core::wire::{Exit, Program, Window};
use rustix::process::{Pid, Signal, WaitOptions};

use crate::sys;

/// The right to start programs. Only the making of a cell gives it, after everything that confines the cell is in force
/// and was tried: whatever is started inherits all of it, and none of it can be taken off.
///
/// It belongs to the first process of the cell, to which every orphan in it falls; so [`Programs::ended`] buries those as
/// well.
#[derive(Debug)]
pub struct Programs {
    ends: OwnedFd,
}

/// Where a program's standard input, output and error lead.
#[derive(Debug)]
pub enum Streams<'a> {
    /// To these descriptors.
    Given([BorrowedFd<'a>; 3]),
    /// Where one is missing, to a terminal of the cell's own, of this size; the others to where they are given.
    Terminal(Window, [Option<BorrowedFd<'a>>; 3]),
}

/// A program that was started, as leader of a session of its own.
#[derive(Debug)]
pub struct Started {
    /// Its process, by the cell's numbering.
    pub pid: Pid,
    /// The other side of its terminal, if it was given one.
    pub terminal: Option<OwnedFd>,
}

impl Programs {
    /// For the making of cells alone. The process has one thread.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { ends: sys::child_signals()? })
    }

    /// Starts a program in a session of its own, with the signals of a fresh process and no descriptor but its streams.
    ///
    /// # Errors
    /// As of posix_spawn(3); above all `ENOENT` and `EACCES` where there is no such program or directory.
    pub fn start(&mut self, program: &Program, streams: &Streams<'_>) -> io::Result<Started> {
        let nul = |_: NulError| io::Error::from_raw_os_error(libc::EINVAL);
        let strings = |texts: &mut dyn Iterator<Item = String>| -> io::Result<Vec<CString>> {
            texts.map(|text| CString::new(text).map_err(nul)).collect()
        };
        let argv = strings(&mut program.argv.iter().cloned())?;
        let envp = strings(&mut program.env.iter().map(|(name, value)| format!("{name}={value}")))?;
        rustix::process::chdir(program.dir.as_str())?;
        let file = find(program)?;
        match streams {
            Streams::Given(fds) => {
                let pid = sys::spawn(&file, &argv, &envp, fds.map(sys::Stream::Fd))?;
                Ok(Started { pid, terminal: None })
            }
            Streams::Terminal(window, fds) => {
                let (ours, path) = terminal(*window)?;
                let streams = (*fds).map(|fd| fd.map_or(sys::Stream::Terminal(&path), sys::Stream::Fd));
                let pid = sys::spawn(&file, &argv, &envp, streams)?;
                Ok(Started { pid, terminal: Some(ours) })
            }
        }
    }

    /// Becomes readable when a child has ended.
    #[must_use]
    pub fn ends(&self) -> BorrowedFd<'_> {
        self.ends.as_fd()
    }

    /// Every process that has ended since it was last asked, orphans too, and how.
    pub fn ended(&mut self) -> Vec<(Pid, Exit)> {
        sys::drain(&self.ends);
        let mut ended = Vec::new();
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let exit = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Exit::Code { code },
                (None, Some(signal)) => Exit::Signal { signal },
                (None, None) => continue,
            };
            ended.push((pid, exit));
        }
        ended
    }

    /// Sends a signal to the process group that a program leads. One that is gone is nothing.
    pub fn signal(&self, leader: Pid, signal: Signal) {
        let _ = rustix::process::kill_process_group(leader, signal);
    }

    /// Kills every process in the cell but the first.
    pub fn kill_all(&self) {
        // In the first process of a pid namespace, -1 is everybody else there.
        sys::kill_others();
    }
}

/// The file of a program: its name if that holds a `/`, else what its own PATH leads to.
fn find(program: &Program) -> io::Result<CString> {
    let nul = |_: NulError| io::Error::from_raw_os_error(libc::EINVAL);
    let name = program.argv.first().map(String::as_str).unwrap_or_default();
    if name.contains('/') {
        return CString::new(name).map_err(nul);
    }
    let path = program.env.get("PATH").map_or("/usr/bin:/bin", String::as_str);
    let mut error = io::Error::from_raw_os_error(libc::ENOENT);
    for folder in path.split(':').filter(|folder| !name.is_empty() && folder.starts_with('/')) {
        let file = CString::new(format!("{folder}/{name}")).map_err(nul)?;
        match rustix::fs::access(&file, rustix::fs::Access::EXEC_OK) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(other) => error = other.into(),
        }
    }
    Err(error)
}

/// A new terminal of the cell's own devpts: the master side, and the path of the other.
fn terminal(window: Window) -> io::Result<(OwnedFd, CString)> {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let path = ptsname(&ours, Vec::new())?;
    let size = rustix::termios::Winsize { ws_row: window.rows, ws_col: window.columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&ours, size)?;
    Ok((ours, path))
}
