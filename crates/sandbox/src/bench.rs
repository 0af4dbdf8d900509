//! The launcher's own side: a process of one thread that makes cells from typed specifications and does nothing else.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use autoshare_core::wire::Probe;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions};
use serde::{Deserialize, Serialize};

use crate::cell::{CellEnd, Confinement};
use crate::cgroup::{Group, Strain};
use crate::error::{Step as _, answer};
use crate::making::{Made, Seen, Workshop};
use crate::probe::{self, Attempt, ProbeConfinement, Terrain};
use crate::spec::{CellLimits, CellSpec, Tier, Work};
use crate::{SandboxError, limits, parcel, proc, seal, sys};

/// What a cell's code finds as its environment, and what the launcher has itself.
const ENVIRONMENT: [(&std::ffi::CStr, &std::ffi::CStr); 4] =
    [(c"PATH", c"/usr/bin:/bin"), (c"HOME", c"/tmp"), (c"TMPDIR", c"/tmp"), (c"LANG", c"C.UTF-8")];
/// How long the launcher waits at most where it has cells to watch.
const WATCH: Timespec = Timespec { tv_sec: 0, tv_nsec: limits::WATCH_MS as i64 * 1_000_000 };
/// How long nothing is asked of the launcher before it makes a spare, so that this takes no time from the last cell.
const QUIET: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
const TITLE: &[u8] = b"autoshare-launcher";

/// What the host asks for.
#[derive(Serialize, Deserialize)]
pub(crate) enum Request {
    Make {
        spec: CellSpec,
    },
    Expect {
        spec: CellSpec,
    },
    Strain {
        pid: i32,
    },
    /// Another launcher; the answer brings the connection to it.
    Another,
    Probe {
        walls: ProbeConfinement,
        ids: [(u64, u64); 2],
        terrain: Terrain,
        attempt: Attempt,
    },
    Victim {
        folder: PathBuf,
        ids: [(u64, u64); 2],
    },
}

/// What is answered about a cell that was made.
#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) pid: i32,
    pub(crate) confinement: Confinement,
    pub(crate) probes: Vec<Probe>,
}

pub(crate) type Reply = Result<Report, SandboxError>;

/// What a new process does that is to be a launcher: serves whoever has the other end of `socket`, until that is closed.
pub(crate) fn be_launcher(socket: &OwnedFd, workshop: Workshop, best: Tier, had_full: bool) -> ! {
    let serve = std::panic::AssertUnwindSafe(|| {
        prepare(socket)?;
        Bench { workshop, best, had_full, cells: Vec::new(), victims: Vec::new(), others: Vec::new() }.serve(socket)
    });
    let ended = std::panic::catch_unwind(serve);
    sys::exit_now(i32::from(!matches!(ended, Ok(Ok(())))))
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
    /// Launchers that this one has forked.
    others: Vec<Pid>,
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
    holds: Vec<OwnedFd>,
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
        // They have cells of their own to end, and are told so when this one is: by the host.
        for pid in &self.others {
            let _ = rustix::process::waitpid(Some(*pid), rustix::process::WaitOptions::empty());
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
                let (request, fds) = match parcel::receive_with::<Request>(host, parcel::MAX_ORDER_FDS) {
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
                    Request::Another => match self.multiply() {
                        Ok(connection) => parcel::send(host, &Ok::<(), SandboxError>(()), &[connection.as_fd()]),
                        Err(error) => parcel::send(host, &Err::<(), SandboxError>(error), &[]),
                    },
                    Request::Strain { pid } => parcel::send(host, &Ok::<Strain, SandboxError>(self.strain(pid)), &[]),
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

    /// Forks a launcher like this one, which has nothing of its cells. It could not be forked by the host, whose threads and
    /// keys it would have.
    fn multiply(&mut self) -> Result<OwnedFd, SandboxError> {
        let (ours, theirs) = parcel::pair().step("making a socket pair")?;
        match sys::fork().step("forking a launcher")? {
            Some(pid) => {
                self.others.push(pid);
                Ok(ours)
            }
            // What is this one's is not taken down: it is not this process's.
            None => be_launcher(&theirs, self.workshop.like_it(), self.best, self.had_full),
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
            .chain(self.victims.iter().chain(&self.others).copied())
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
            cell.holds.clear();
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
        let holds = fds.collect();
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
                self.cells.push(Running { pid, pidfd, tier, group, watched, over: false, end, holds });
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
