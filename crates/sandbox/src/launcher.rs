//! The launcher: a forked process of one thread that makes cells from typed specifications and does nothing else.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use autoshare_core::wire::Probe;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cell::{Cell, CellEnd, Confinement};
use crate::cgroup::{Group, Strain};
use crate::error::{Step as _, answer};
use crate::filter::{self, Profile};
use crate::making::{Made, Seen, Workshop};
use crate::probe::{self, Answer, Attempt, Ground, ProbeConfinement, Terrain};
use crate::spec::{CellLimits, CellSpec, Entry, Tier, Work};
use crate::{Refusals, SandboxError, limits, parcel, proc, seal, sys};

/// What a cell's code finds as its environment, and what the launcher has itself.
const ENVIRONMENT: [(&std::ffi::CStr, &std::ffi::CStr); 4] =
    [(c"PATH", c"/usr/bin:/bin"), (c"HOME", c"/tmp"), (c"TMPDIR", c"/tmp"), (c"LANG", c"C.UTF-8")];
/// How long the launcher waits at most where it has cells to watch.
const WATCH: Timespec = Timespec { tv_sec: 0, tv_nsec: limits::WATCH_MS as i64 * 1_000_000 };
/// How long nothing is asked of the launcher before it makes a spare, so that this takes no time from the last cell.
const QUIET: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
const TITLE: &[u8] = b"autoshare-launcher";

/// How long a launcher may take to end its cells when it is dropped, before it is ended itself.
const END_PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// The host's handle on the launcher. When it is dropped, or this process ends, however it ends, the launcher ends its
/// cells, waits until the last of their processes is gone, and ends itself.
#[derive(Debug)]
pub struct Launcher {
    socket: Mutex<OwnedFd>,
    pid: Pid,
}

#[derive(Serialize, Deserialize)]
enum Request {
    Make { spec: CellSpec },
    Expect { spec: CellSpec },
    Strain { pid: i32 },
    Probe { walls: ProbeConfinement, ids: [(u64, u64); 2], terrain: Terrain, attempt: Attempt },
    Victim { folder: PathBuf, ids: [(u64, u64); 2] },
}

#[derive(Serialize, Deserialize)]
struct Report {
    pid: i32,
    confinement: Confinement,
    probes: Vec<Probe>,
}

type Reply = Result<Report, SandboxError>;

impl Launcher {
    /// Forks the launcher. To be called at the top of `main`, on the thread that lives as long as the process (the
    /// launcher ends with it): before any other thread, before keys are read, and before this process confines itself, because cells inherit what this process is at that moment, except for its environment,
    /// command line and descriptors, which the launcher forgets.
    ///
    /// # Errors
    /// [`SandboxError::TooLate`] if this process has more than one thread, [`SandboxError::Start`],
    /// [`SandboxError::Filter`].
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
        let filters = [(Profile::ToolsFull, filter::program(Profile::ToolsFull, false)?)].into();
        let (ours, theirs) = parcel::pair().map_err(|error| failed("making a socket pair", error))?;
        match sys::fork().map_err(|error| failed("forking", error))? {
            Some(pid) => Ok(Self { socket: Mutex::new(ours), pid }),
            None => {
                drop(ours);
                let serve = std::panic::AssertUnwindSafe(|| {
                    prepare(&theirs)?;
                    Bench {
                        workshop: Workshop::new(entry, filters),
                        best,
                        had_full: false,
                        cells: Vec::new(),
                        victims: Vec::new(),
                    }
                    .serve(&theirs)
                });
                let ended = std::panic::catch_unwind(serve);
                sys::exit_now(i32::from(!matches!(ended, Ok(Ok(())))))
            }
        }
    }

    /// The launcher's process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Makes a cell, of the best tier that this machine offers and none below `spec.least`, in which the entry runs when
    /// this returns. Any thread may call this; cells are made one at a time. Blocks for some milliseconds (seconds, on
    /// a machine in trouble).
    ///
    /// # Errors
    /// Any but [`SandboxError::TooLate`] and [`SandboxError::Start`]; no process is left behind.
    pub fn launch(&self, spec: &CellSpec) -> Result<Cell, SandboxError> {
        self.launch_holding(spec, None)
    }

    /// Says that a cell of this specification will be asked for, so that the launcher can make a spare for it meanwhile. Does
    /// not wait; what goes wrong is for [`Launcher::launch`] to say.
    pub fn expect(&self, spec: &CellSpec) {
        let request = Request::Expect { spec: spec.clone() };
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = parcel::send(&*socket, &request, &[]);
    }

    /// What met its limit in a running cell so far; nothing where there are no cgroups, or no such cell.
    ///
    /// # Errors
    /// [`SandboxError::LauncherGone`].
    pub fn strain(&self, cell: &Cell) -> Result<Strain, SandboxError> {
        let gone = |error: io::Error| SandboxError::LauncherGone(answer(&error));
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        parcel::send(&*socket, &Request::Strain { pid: cell.pid() }, &[]).map_err(gone)?;
        match parcel::receive::<Strain>(&*socket).map_err(gone)? {
            Some((strain, _)) => Ok(strain),
            None => Err(SandboxError::LauncherGone("it ended".into())),
        }
    }

    /// Makes one attempt within chosen walls, on a ground of its own.
    ///
    /// # Errors
    /// [`SandboxError::LauncherGone`]; [`SandboxError::Unavailable`] where this machine lacks a wall; any other where one
    /// could not be put up.
    pub fn probe(&self, walls: &ProbeConfinement, on: &Ground, attempt: Attempt) -> Result<Answer, SandboxError> {
        let terrain = on.terrain().clone();
        self.ask(&Request::Probe { walls: walls.clone(), ids: on.ids(), terrain, attempt })
    }

    /// Starts a process to be attacked, which ends with the launcher.
    pub(crate) fn victim(&self, folder: &Path, ids: [(u64, u64); 2]) -> Result<i32, SandboxError> {
        self.ask(&Request::Victim { folder: folder.to_owned(), ids })
    }

    fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T, SandboxError> {
        let gone = |error: io::Error| SandboxError::LauncherGone(answer(&error));
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        parcel::send(&*socket, request, &[]).map_err(gone)?;
        match parcel::receive::<Result<T, SandboxError>>(&*socket).map_err(gone)? {
            Some((reply, _)) => reply,
            None => Err(SandboxError::LauncherGone("it ended".into())),
        }
    }

    /// [`Launcher::launch`] with a descriptor that the launcher keeps open until the last process of the cell is gone, even if this
    /// process is gone long before. With a lock (flock(2)) as `hold`, whoever has the lock next knows that nothing
    /// the cell was in the middle of is still going on. The cell itself does not get it.
    ///
    /// # Errors
    /// As [`Launcher::launch`].
    pub fn launch_holding(&self, spec: &CellSpec, hold: Option<BorrowedFd<'_>>) -> Result<Cell, SandboxError> {
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
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let fds: Vec<BorrowedFd<'_>> = [cell_end.as_fd(), end_writer.as_fd()].into_iter().chain(hold).collect();
        parcel::send(&*socket, &request, &fds).map_err(gone)?;
        let received = parcel::receive::<Reply>(&*socket).map_err(gone)?;
        drop(socket);
        let Some((reply, fds)) = received else { return Err(SandboxError::LauncherGone("it ended".into())) };
        let report = reply?;
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
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = rustix::net::shutdown(&*socket, rustix::net::Shutdown::Both);
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        self.hang_up();
        // It is this process's child, so its number stays its own until it is waited for.
        let ended = rustix::process::pidfd_open(self.pid, rustix::process::PidfdFlags::empty())
            .and_then(|pidfd| poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&END_PATIENCE)));
        if !matches!(ended, Ok(1)) {
            let _ = rustix::process::kill_process(self.pid, Signal::KILL);
        }
        let _ = rustix::process::waitpid(Some(self.pid), rustix::process::WaitOptions::empty());
    }
}

/// Makes the fork a process that has nothing of the host but its binary. It is not made to die with the host: it learns
/// of the host's end by the socket, which nobody else has, and then has cells to end.
fn prepare(socket: &OwnedFd) -> Result<(), SandboxError> {
    let failed = |step: &str, error: io::Error| SandboxError::Start { step: step.into(), answer: answer(&error) };
    let ranges = proc::start_ranges().map_err(|error| failed("finding the environment", error))?;
    sys::forget_start(ranges, TITLE, &ENVIRONMENT);
    // Out of the terminal's reach: its interrupt is for the host to handle.
    rustix::process::setsid().map_err(|error| failed("leaving the session", error.into()))?;
    // Some descriptors for each cell; cells are given limits of their own.
    let open = rustix::process::getrlimit(Resource::Nofile);
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: open.maximum, maximum: open.maximum });
    // What a narrow cell leaves behind falls to this process; see `sweep`.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| failed("adopting orphans", error.into()))?;
    seal::close_the_rest(&[socket.as_raw_fd()])
}

/// The launcher's state: the cells that it must bury.
struct Bench {
    workshop: Workshop,
    best: Tier,
    /// Whether a full cell was made here.
    had_full: bool,
    cells: Vec<Running>,
    /// Processes that wait to be attacked.
    victims: Vec<Pid>,
}

/// A cell that runs.
struct Running {
    pid: Pid,
    pidfd: OwnedFd,
    tier: Tier,
    group: Option<Group>,
    /// How much it may take, where only a look from outside can tell.
    watched: Option<CellLimits>,
    /// Whether it was ended for taking more.
    over: bool,
    /// Where its end is told.
    end: io::PipeWriter,
    /// What is open until it is gone; not used.
    hold: Option<OwnedFd>,
}

impl Running {
    /// Waits until it is gone; says how it ended. The kernel lets this return when the last process is gone of the pid
    /// namespace that this one began.
    fn wait(&self) -> CellEnd {
        loop {
            match rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => return CellEnd::of(status.exit_status(), status.terminating_signal()),
                Err(rustix::io::Errno::INTR) => {}
                _ => return CellEnd::Lost,
            }
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.workshop.put_away();
        for cell in &self.cells {
            let _ = rustix::process::pidfd_send_signal(&cell.pidfd, Signal::KILL);
        }
        for cell in &self.cells {
            cell.wait();
            if let Some(group) = &cell.group {
                group.close();
            }
        }
        sweep([].iter());
        // Before the directory that their groups lie in.
        self.cells.clear();
    }
}

/// Ends what a narrow cell left. Whoever outlives the first process of one is a child of this process from then on, and
/// so are its own children as soon as it is gone; children that are not `known` are such.
///
/// What forks as fast as it is killed is first kept from forking, all of it; only then does the killing come to an end.
fn sweep<'a>(known: impl Iterator<Item = &'a Pid> + Clone) {
    loop {
        let mut left = limits::children(rustix::process::getpid());
        left.retain(|pid| !known.clone().any(|known| known == pid));
        if left.is_empty() {
            return;
        }
        let mut barren = BTreeSet::new();
        loop {
            let all: Vec<Pid> = left.iter().flat_map(|pid| limits::tree(*pid)).collect();
            let fresh: Vec<Pid> = all.into_iter().filter(|pid| barren.insert(pid.as_raw_nonzero())).collect();
            if fresh.is_empty() {
                break;
            }
            for pid in fresh {
                let none = Rlimit { current: Some(0), maximum: Some(0) };
                let _ = rustix::process::prlimit(Some(pid), Resource::Nproc, none);
            }
        }
        // Their numbers are theirs until they are waited for, so nobody else is hit.
        for pid in &left {
            let _ = rustix::process::kill_process(*pid, Signal::KILL);
        }
        for pid in left {
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        }
    }
}

impl Bench {
    fn serve(&mut self, host: &OwnedFd) -> Result<(), SandboxError> {
        loop {
            let mut watched = vec![PollFd::new(host, PollFlags::IN)];
            watched.extend(self.cells.iter().map(|cell| PollFd::new(&cell.pidfd, PollFlags::IN)));
            let mounts = self.workshop.watched();
            let watches_mounts = mounts.is_some();
            watched.extend(mounts.map(|mounts| PollFd::from_borrowed_fd(mounts, PollFlags::PRI)));
            let is_to_prepare = self.workshop.is_to_prepare();
            let pause = match is_to_prepare {
                true => Some(QUIET),
                false => self.cells.iter().any(|cell| cell.watched.is_some()).then_some(WATCH),
            };
            let found = poll(&mut watched, pause.as_ref());
            let ready: Vec<bool> = watched.iter().map(|fd| !fd.revents().is_empty()).collect();
            match found {
                Ok(0) if is_to_prepare => self.workshop.prepare(),
                // Spares hold on to what the host has let go.
                Ok(_) if watches_mounts && ready.last() == Some(&true) => self.workshop.put_away(),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(SandboxError::LauncherGone(answer(&error.into()))),
            }
            let mut ready = ready.into_iter();
            let asked = ready.next().unwrap_or(false);
            self.bury(&ready.collect::<Vec<bool>>());
            self.watch();
            if asked {
                let gone = |error: io::Error| SandboxError::LauncherGone(answer(&error));
                // The host has let go, or is gone.
                let (request, fds) = match parcel::receive::<Request>(host) {
                    Ok(Some(received)) => received,
                    Ok(None) => return Ok(()),
                    // Only a request to make a cell brings descriptors.
                    Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {
                        self.workshop.put_away();
                        let full: Reply = Err(error).step("taking descriptors: end other cells, or raise `ulimit -n`");
                        parcel::send(host, &full, &[]).map_err(gone)?;
                        continue;
                    }
                    Err(error) => return Err(gone(error)),
                };
                match request {
                    Request::Make { spec } => self.answer(host, &spec, fds),
                    Request::Expect { spec } => {
                        if self.best == Tier::Full {
                            self.workshop.expect(&spec);
                        }
                        Ok(())
                    }
                    Request::Strain { pid } => parcel::send(host, &self.strain(pid), &[]),
                    Request::Probe { walls, ids, terrain, attempt } => {
                        let came = probe::probe(&mut self.workshop, &walls, ids, &terrain, attempt);
                        parcel::send(host, &came, &[])
                    }
                    Request::Victim { folder, ids } => {
                        let victim = probe::victim(&self.workshop, ids, &folder);
                        self.victims.extend(victim.as_ref().ok());
                        parcel::send(host, &victim.map(|pid| pid.as_raw_nonzero().get()), &[])
                    }
                }
                .map_err(gone)?;
            }
        }
    }

    fn strain(&self, pid: i32) -> Strain {
        let cell = self.cells.iter().find(|cell| cell.pid.as_raw_nonzero().get() == pid);
        cell.and_then(|cell| cell.group.as_ref()).map(Group::strain).unwrap_or_default()
    }

    /// Ends cells that take more than they may and that no group holds.
    fn watch(&mut self) {
        for cell in &mut self.cells {
            let Some(limits) = &cell.watched else { continue };
            let (bytes, processes) = limits::taken(cell.pid);
            if bytes > limits.memory || processes > limits.processes {
                cell.over = true;
                let _ = rustix::process::pidfd_send_signal(&cell.pidfd, Signal::KILL);
            }
        }
    }

    /// Tells the host how each ended cell ended.
    fn bury(&mut self, ended: &[bool]) {
        let known: Vec<Pid> = self
            .cells
            .iter()
            .map(|cell| cell.pid)
            .chain(self.victims.iter().copied())
            .chain(self.workshop.spares())
            .collect();
        let mut ended = ended.iter().copied();
        let groups = &mut self.workshop.groups;
        self.cells.retain_mut(|cell| {
            if !ended.next().unwrap_or(false) {
                return true;
            }
            let mut end = cell.wait();
            let mut group = cell.group.take();
            let killed_by_kernel = group.as_ref().is_some_and(|group| group.strain().out_of_memory > 0);
            if end == CellEnd::Signalled(libc::SIGKILL) && (killed_by_kernel || cell.over) {
                end = CellEnd::OutOfMemory;
            }
            if cell.tier == Tier::Narrow {
                if let Some(group) = &group {
                    group.close();
                }
                sweep(known.iter().filter(|pid| **pid != cell.pid));
                // Closed as it is, nobody uses it again.
                group = None;
            }
            if let (Some(Some(groups)), Some(group)) = (groups.as_mut(), group) {
                groups.give_back(group);
            }
            drop(cell.hold.take());
            if let Ok(text) = serde_json::to_vec(&end) {
                // The host may have dropped its side, and then does not want to know.
                let _ = cell.end.write_all(&text);
            }
            false
        });
    }

    fn answer(&mut self, host: &OwnedFd, spec: &CellSpec, fds: Vec<OwnedFd>) -> io::Result<()> {
        let mut fds = fds.into_iter();
        let (Some(socket), Some(end)) = (fds.next(), fds.next()) else {
            let error = SandboxError::LauncherGone("a request without its descriptors".into());
            return parcel::send(host, &Reply::Err(error), &[]);
        };
        let hold = fds.next();
        match self.make(spec, &socket) {
            Ok(Made { pid, pidfd, group, seen }) => {
                let Seen { confinement, probes, listener, refusals } = seen;
                let tier = confinement.tier;
                let report = Report { pid: pid.as_raw_nonzero().get(), confinement, probes };
                let mut fds = vec![pidfd.as_fd()];
                fds.extend(listener.as_ref().map(|listener| listener.as_fd()));
                fds.extend(refusals.as_ref().map(|refusals| refusals.as_fd()));
                parcel::send(host, &Reply::Ok(report), &fds)?;
                let watched = (group.is_none() && spec.work == Work::Programs).then_some(spec.limits);
                let end = io::PipeWriter::from(end);
                self.cells.push(Running { pid, pidfd, tier, group, watched, over: false, end, hold });
                Ok(())
            }
            Err(error) => parcel::send(host, &Reply::Err(error), &[]),
        }
    }

    /// The best tier to be had. Only a control that this machine lacks leads to the tier below; anything else, above
    /// all a cell that does not hold, is the end of it.
    fn make(&mut self, spec: &CellSpec, socket: &OwnedFd) -> Result<Made, SandboxError> {
        if self.best < spec.least {
            return Err(SandboxError::Unavailable {
                tier: spec.least,
                step: "the launcher was started for narrow cells only".into(),
                answer: "a full cell was asked for".into(),
                fix: "start it with Launcher::start".into(),
            });
        }
        if self.best == Tier::Full {
            match self.workshop.make(spec, Tier::Full, socket) {
                // What was there once is only short of something now.
                Err(SandboxError::Unavailable { .. }) if spec.least == Tier::Narrow && !self.had_full => {}
                other => {
                    self.had_full |= other.is_ok();
                    return other;
                }
            }
        }
        self.workshop.make(spec, Tier::Narrow, socket)
    }
}
