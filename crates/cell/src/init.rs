//! The first process of a cell for programs: it starts them, and buries everything that ends there.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use autoshare_core::wire::{FromInit, Stroke, ToInit};
use autoshare_sandbox::{Programs, Streams, parcel};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use crate::CellError;

/// Serves `socket` (a pair of sequenced packets) until the host hangs up; everything in the cell ends with this process.
/// It hands output to nobody: a program's streams are the host's own descriptors.
///
/// # Errors
/// The socket failed, or carried what is no message. Programs that cannot be started are answered, and are no error here.
pub fn serve_programs(socket: OwnedFd, programs: Programs) -> Result<(), CellError> {
    let mut init = Init { socket, programs, jobs: HashMap::new() };
    loop {
        let mut watched =
            [PollFd::new(&init.socket, PollFlags::IN), PollFd::from_borrowed_fd(init.programs.ends(), PollFlags::IN)];
        match poll(&mut watched, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(std::io::Error::from(error).into()),
        }
        let [asked, ended] = watched.map(|fd| !fd.revents().is_empty());
        if ended {
            init.bury()?;
        }
        if asked {
            let Some((message, fds)) = parcel::receive::<ToInit>(&init.socket)? else { return Ok(()) };
            init.answer(message, fds)?;
        }
    }
}

struct Init {
    socket: OwnedFd,
    programs: Programs,
    /// The programs that run, by the process that leads each.
    jobs: HashMap<Pid, u64>,
}

impl Init {
    fn bury(&mut self) -> Result<(), CellError> {
        for (pid, exit) in self.programs.ended() {
            if let Some(job) = self.jobs.remove(&pid) {
                // What it started and did not wait for goes with it, as far as it stayed in its group.
                self.programs.signal(pid, Signal::KILL);
                parcel::send(&self.socket, &FromInit::Ended { job, exit }, &[])?;
            }
        }
        Ok(())
    }

    fn answer(&mut self, message: ToInit, fds: Vec<OwnedFd>) -> Result<(), CellError> {
        match message {
            ToInit::Start { job, program, given, window } => {
                let mut fds = fds.iter().map(|fd| fd.as_fd());
                let streams: [Option<BorrowedFd<'_>>; 3] = given.map(|given| if given { fds.next() } else { None });
                let streams = match streams {
                    [Some(input), Some(output), Some(error)] => Streams::Given([input, output, error]),
                    streams => Streams::Terminal(window, streams),
                };
                match self.programs.start(&program, &streams) {
                    Ok(started) => {
                        self.jobs.insert(started.pid, job);
                        let terminal: Vec<BorrowedFd<'_>> = started.terminal.iter().map(|fd| fd.as_fd()).collect();
                        parcel::send(&self.socket, &FromInit::Started { job }, &terminal)?;
                    }
                    Err(error) => {
                        let errno = error.raw_os_error().unwrap_or(rustix::io::Errno::INVAL.raw_os_error());
                        parcel::send(&self.socket, &FromInit::NotStarted { job, errno }, &[])?;
                    }
                }
            }
            ToInit::Signal { job, stroke } => {
                let leader = self.jobs.iter().find(|(_, running)| **running == job).map(|(pid, _)| *pid);
                let signal = match stroke {
                    Stroke::Interrupt => Signal::INT,
                    Stroke::End => Signal::TERM,
                    Stroke::Kill => Signal::KILL,
                };
                if let Some(leader) = leader {
                    self.programs.signal(leader, signal);
                }
            }
            ToInit::Sweep {} => self.sweep()?,
        }
        Ok(())
    }

    /// Every process here is a child of this one, or falls to it when its parent is gone; so nothing is left when there
    /// are no children any more.
    fn sweep(&mut self) -> Result<(), CellError> {
        self.programs.kill_all();
        while let Ok(_) | Err(rustix::io::Errno::INTR) =
            waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        {
            self.bury()?;
        }
        Ok(parcel::send(&self.socket, &FromInit::Swept {}, &[])?)
    }
}
