//! The host's handle on the launcher, a forked process of one thread, and on those that it forked in turn.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};
use serde::de::DeserializeOwned;

use crate::bench::{Report, Request, be_launcher};
use crate::cell::Cell;
use crate::cgroup::Strain;
use crate::error::{Step as _, answer};
use crate::making::Workshop;
use crate::probe::{Answer, Attempt, Ground, ProbeConfinement};
use crate::spec::{CellSpec, Entry, Tier, Work};
use crate::{Refusals, SandboxError, parcel, proc, sys};

/// How long a launcher may take to end its cells when it is dropped, before it is ended itself.
const END_PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// Launchers at most, on a machine of any size.
const MOST: usize = 16;

/// The host's handle on the launcher. When it is dropped, or this process ends, however it ends, the launcher ends its
/// cells, waits until the last of their processes is gone, and ends itself.
///
/// A launcher makes one cell at a time. When several threads ask at once, the first forks others, of which each makes cells
/// of its own: one for each processor at most.
#[derive(Debug)]
pub struct Launcher {
    crew: Mutex<Crew>,
    /// Told when a launcher has nothing to do any more.
    freed: Condvar,
    /// The first one's process; none, where there is no launcher.
    pid: Option<Pid>,
    made: AtomicU64,
    failed: AtomicU64,
}

/// What a launcher has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Cells that it made.
    pub made: u64,
    /// Cells that it was asked for and did not make.
    pub failed: u64,
    /// Whether all of it is gone, so that it makes no cell any more.
    pub is_gone: bool,
}

#[derive(Debug)]
struct Crew {
    /// Those that have nothing to do.
    idle: Vec<Line>,
    /// How many there were ever.
    count: usize,
    /// The numbers of those that are gone, or never came to be.
    lost: BTreeSet<usize>,
}

/// The connection to one launcher. The first has the number 0.
#[derive(Debug)]
struct Line {
    number: usize,
    socket: OwnedFd,
}

/// One launcher, at the service of one thread until this is dropped.
struct Hired<'a> {
    launcher: &'a Launcher,
    line: Option<Line>,
}

impl Hired<'_> {
    /// Which one it is.
    fn number(&self) -> usize {
        self.line.as_ref().map_or(0, |line| line.number)
    }

    fn tell(&mut self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<(), SandboxError> {
        let Some(line) = &self.line else { return Err(gone()) };
        parcel::send(&line.socket, request, fds).map_err(|error| self.failed(&error))
    }

    /// Asks for something, and waits for the answer and what comes with it.
    fn ask<T: DeserializeOwned>(
        &mut self,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(T, Vec<OwnedFd>), SandboxError> {
        self.tell(request, fds)?;
        let Some(line) = &self.line else { return Err(gone()) };
        match parcel::receive::<Result<T, SandboxError>>(&line.socket) {
            Ok(Some((reply, fds))) => Ok((reply?, fds)),
            Ok(None) => Err(self.failed(&io::ErrorKind::BrokenPipe.into())),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// One that is gone is not hired again. What this process is short of is no fault of it.
    fn failed(&mut self, error: &io::Error) -> SandboxError {
        if !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) {
            return SandboxError::LauncherGone(answer(error));
        }
        if let Some(line) = self.line.take() {
            self.launcher.crew().lost.insert(line.number);
        }
        gone()
    }
}

impl Drop for Hired<'_> {
    fn drop(&mut self) {
        self.launcher.crew().idle.extend(self.line.take());
        self.launcher.freed.notify_all();
    }
}

fn gone() -> SandboxError {
    SandboxError::LauncherGone("it ended".into())
}

impl Launcher {
    /// Forks the launcher. To be called at the top of `main`, on the thread that lives as long as the process (the
    /// launcher ends with it): before any other thread, before keys are read, and before this process confines itself, because cells inherit what this process is at that moment, except for its environment,
    /// command line and descriptors, which the launcher forgets.
    ///
    /// # Errors
    /// [`SandboxError::TooLate`] if this process has more than one thread, [`SandboxError::Start`].
    pub fn start(entry: Entry) -> Result<Self, SandboxError> {
        Self::start_up_to(entry, Tier::Full)
    }

    /// The same on a machine as if it offered nothing above the narrow tier.
    ///
    /// # Errors
    /// As [`Launcher::start`].
    pub fn start_narrow(entry: Entry) -> Result<Self, SandboxError> {
        Self::start_up_to(entry, Tier::Narrow)
    }

    fn start_up_to(entry: Entry, best: Tier) -> Result<Self, SandboxError> {
        let failed = |step: &str, error: io::Error| SandboxError::Start { step: step.into(), answer: answer(&error) };
        let threads = proc::threads().map_err(|error| failed("counting threads", error))?;
        if threads != 1 {
            return Err(SandboxError::TooLate(threads));
        }
        let (ours, theirs) = parcel::pair().map_err(|error| failed("making a socket pair", error))?;
        match sys::fork().map_err(|error| failed("forking", error))? {
            Some(pid) => {
                let crew = Crew { idle: vec![Line { number: 0, socket: ours }], count: 1, lost: BTreeSet::new() };
                Ok(Self::with(crew, Some(pid)))
            }
            None => {
                drop(ours);
                be_launcher(&theirs, Workshop::new(entry), best, false)
            }
        }
    }

    /// One that makes no cell, whoever asks: for a host that drives no brain.
    #[must_use]
    pub fn none() -> Self {
        let crew = Crew { idle: Vec::new(), count: 1, lost: BTreeSet::from([0]) };
        Self::with(crew, None)
    }

    const fn with(crew: Crew, pid: Option<Pid>) -> Self {
        let (made, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { crew: Mutex::new(crew), freed: Condvar::new(), pid, made, failed }
    }

    /// What it has done so far. Does not wait, and asks nobody: that a launcher is gone is known once a cell was asked for.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let crew = self.crew();
        let is_gone = crew.lost.len() == crew.count;
        drop(crew);
        Tally { made: self.made.load(Ordering::Relaxed), failed: self.failed.load(Ordering::Relaxed), is_gone }
    }

    /// The launcher's process; of several, the first's; 0 where there is none.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.map_or(0, |pid| pid.as_raw_nonzero().get())
    }

    /// Makes a cell, of the best tier that this machine offers and none below `spec.least`, in which the entry runs when
    /// this returns. Any thread may call this; as many cells are made at a time as there are processors. Blocks for some milliseconds (seconds, on
    /// a machine in trouble).
    ///
    /// # Errors
    /// Any but [`SandboxError::TooLate`] and [`SandboxError::Start`]; no process is left behind.
    pub fn launch(&self, spec: &CellSpec) -> Result<Cell, SandboxError> {
        self.launch_holding(spec, &[])
    }

    /// Says that a cell of this specification will be asked for, so that the launcher can make a spare for it meanwhile. Does
    /// not wait; what goes wrong is for [`Launcher::launch`] to say.
    pub fn expect(&self, spec: &CellSpec) {
        let request = Request::Expect { spec: spec.clone() };
        let _ = self.hire(0).and_then(|mut first| first.tell(&request, &[]));
    }

    /// What met its limit in a running cell so far; nothing where there are no cgroups, or no such cell.
    ///
    /// # Errors
    /// [`SandboxError::LauncherGone`].
    pub fn strain(&self, cell: &Cell) -> Result<Strain, SandboxError> {
        self.ask(cell.maker, &Request::Strain { pid: cell.pid() })
    }

    /// Makes one attempt within chosen walls, on a ground of its own.
    ///
    /// # Errors
    /// [`SandboxError::LauncherGone`]; [`SandboxError::Unavailable`] where this machine lacks a wall; any other where one
    /// could not be put up.
    pub fn probe(&self, walls: &ProbeConfinement, on: &Ground, attempt: Attempt) -> Result<Answer, SandboxError> {
        let terrain = on.terrain().clone();
        self.ask(0, &Request::Probe { walls: walls.clone(), ids: on.ids(), terrain, attempt })
    }

    /// Starts a process to be attacked, which ends with the launcher.
    pub(crate) fn victim(&self, folder: &Path, ids: [(u64, u64); 2]) -> Result<i32, SandboxError> {
        self.ask(0, &Request::Victim { folder: folder.to_owned(), ids })
    }

    fn ask<T: DeserializeOwned>(&self, number: usize, request: &Request) -> Result<T, SandboxError> {
        self.hire(number)?.ask(request, &[]).map(|(reply, _)| reply)
    }

    fn crew(&self) -> MutexGuard<'_, Crew> {
        self.crew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the launcher of this number.
    fn hire(&self, number: usize) -> Result<Hired<'_>, SandboxError> {
        let mut crew = self.crew();
        loop {
            if let Some(at) = crew.idle.iter().position(|line| line.number == number) {
                return Ok(Hired { launcher: self, line: Some(crew.idle.swap_remove(at)) });
            }
            if crew.lost.contains(&number) {
                return Err(gone());
            }
            crew = self.freed.wait(crew).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The first launcher that has nothing to do, or one that has yet to be made; where there may be no more, waits.
    fn hire_any(&self) -> Result<Hired<'_>, SandboxError> {
        let most = std::thread::available_parallelism().map_or(1, |processors| processors.get().min(MOST));
        let mut crew = self.crew();
        loop {
            let first = crew.idle.iter().enumerate().min_by_key(|(_, line)| line.number).map(|(at, _)| at);
            if let Some(at) = first {
                return Ok(Hired { launcher: self, line: Some(crew.idle.swap_remove(at)) });
            }
            if crew.lost.len() == crew.count {
                return Err(gone());
            }
            if crew.count < most {
                let number = crew.count;
                crew.count += 1;
                drop(crew);
                return self.another(number);
            }
            crew = self.freed.wait(crew).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A new launcher; the first one itself, where there can be none.
    fn another(&self, number: usize) -> Result<Hired<'_>, SandboxError> {
        let made = self.hire(0).map(|mut first| {
            let socket = first.ask::<()>(&Request::Another, &[]).ok().and_then(|((), mut fds)| fds.pop());
            match socket {
                Some(socket) => Hired { launcher: self, line: Some(Line { number, socket }) },
                None => first,
            }
        });
        if made.as_ref().map_or(true, |hired| hired.number() != number) {
            self.crew().lost.insert(number);
        }
        made
    }

    /// [`Launcher::launch`] with descriptors that the launcher keeps open until the last process of the cell is gone, even if
    /// this process is gone long before. With locks (flock(2)) among `holds`, whoever has such a lock next knows that nothing
    /// the cell was in the middle of is still going on. The cell itself does not get them.
    ///
    /// # Errors
    /// As [`Launcher::launch`].
    pub fn launch_holding(&self, spec: &CellSpec, holds: &[BorrowedFd<'_>]) -> Result<Cell, SandboxError> {
        let made = self.make(spec, holds);
        let count = if made.is_ok() { &self.made } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
        made
    }

    fn make(&self, spec: &CellSpec, holds: &[BorrowedFd<'_>]) -> Result<Cell, SandboxError> {
        spec.check()?;
        let request = Request::Make { spec: spec.clone() };
        parcel::check(&request).step("reading the specification")?;
        let gone = |error: io::Error| SandboxError::LauncherGone(answer(&error));
        let (host_end, cell_end): (OwnedFd, OwnedFd) = match spec.work {
            Work::Tools => UnixStream::pair().map(|(ours, theirs)| (ours.into(), theirs.into())),
            Work::Programs => parcel::pair(),
        }
        .map_err(gone)?;
        let (end_reader, end_writer) = io::pipe().map_err(gone)?;
        let fds: Vec<BorrowedFd<'_>> =
            [cell_end.as_fd(), end_writer.as_fd()].into_iter().chain(holds.iter().copied()).collect();
        let mut hired = self.hire_any()?;
        let (report, fds) = hired.ask::<Report>(&request, &fds)?;
        let maker = hired.number();
        drop(hired);
        let mut fds = fds.into_iter();
        let (Some(pidfd), Some(pid)) = (fds.next(), Pid::from_raw(report.pid)) else {
            return Err(SandboxError::LauncherGone("it sent no handle".into()));
        };
        let listener = if spec.listen.is_some() { fds.next().map(Into::into) } else { None };
        let refusals = match fds.next() {
            Some(listener) if spec.explain => {
                Some(Refusals::until(listener, end_reader.try_clone().map_err(gone)?.into()))
            }
            _ => None,
        };
        Ok(Cell {
            socket: host_end.into(),
            maker,
            pid,
            pidfd,
            end: end_reader,
            ended: None,
            confinement: report.confinement,
            probes: report.probes,
            listener,
            refusals,
        })
    }

    /// Lets the launcher end by itself, as when it is dropped, without waiting for it: for a process that is about to end,
    /// and that has seen its cells end.
    pub fn leave(self) {
        self.hang_up();
        std::mem::forget(self);
    }

    fn hang_up(&self) {
        for line in &self.crew().idle {
            let _ = rustix::net::shutdown(&line.socket, rustix::net::Shutdown::Both);
        }
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        self.hang_up();
        let Some(pid) = self.pid else { return };
        // It is this process's child, so its number stays its own until it is waited for.
        let ended = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
            .and_then(|pidfd| poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&END_PATIENCE)));
        if !matches!(ended, Ok(1)) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    }
}
