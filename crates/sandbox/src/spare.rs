//! A spare: a process on its way to being a cell, with namespaces of its own and most of its root, which belongs to nobody
//! yet. It is claimed once, told what to be, and finishes itself from the inside.
//!
//! Launcher and spare speak over a pair of their own: *mapped* (its ids are set), the *order*, *built* (capabilities gone,
//! Landlock in force, still to be looked at from outside), *look on* (the launcher has looked), *tried* (the battery's
//! result), *go*. Once ordered, a side that hears nothing gives up, so nothing runs half-made.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use autoshare_core::event::RootMode;
use autoshare_core::wire::Probe;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, WaitOptions};
use serde::{Deserialize, Serialize};

use crate::battery::Battery;
use crate::cgroup::{self, Group};
use crate::error::Step as _;
use crate::filter::{self, Profile};
use crate::full::{self, INSIDE_ID, Trees};
use crate::making::{FIX_NAMESPACES, NAMESPACES, Who, Workshop, become_id, map_ids};
use crate::spec::{CellSpec, Inside, InsideRoot, Only, Work};
use crate::sys::{self, Side};
use crate::{Programs, SandboxError, Tier, hardware, parcel, seal};

/// How long any step of making a cell may take. A healthy machine needs milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Exit status of cell code that panicked.
const PANICKED: i32 = 101;
/// Exit status of a cell that was never finished.
const UNFINISHED: i32 = 102;

/// What must be known when it is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) tier: Tier,
    pub(crate) work: Work,
    pub(crate) who: Who,
}

/// The launcher's hold on one.
pub(crate) struct Spare {
    pub(crate) kind: Kind,
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    /// The group that it is in.
    pub(crate) group: Option<Group>,
    pub(crate) pair: OwnedFd,
}

/// What a spare is to be. With it come the connection to the host, and a tree for each of `trees`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) spec: CellSpec,
    /// Sockets of the host that lie below its roots, to be covered.
    pub(crate) sockets: Vec<PathBuf>,
    /// The places in the specification of the roots whose trees come along.
    pub(crate) trees: Vec<usize>,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Word {
    GoOn,
}

/// What the launcher hears: that a step is done, or why there will be no cell.
pub(crate) type Heard = Result<Tried, SandboxError>;

/// What a cell tried against itself; nothing, before it comes to that.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Tried {
    pub(crate) probes: Vec<Probe>,
    /// How long it took, in microseconds.
    pub(crate) took_us: u64,
}

impl Spare {
    /// Starts one, in `group`.
    pub(crate) fn make(workshop: &Workshop, kind: Kind, group: Option<Group>) -> Result<Self, SandboxError> {
        let (ours, theirs) = parcel::pair().step("making a socket pair")?;
        let launcher = rustix::process::getpid().as_raw_nonzero().get();
        let Kind { tier, who, .. } = kind;
        let flags = if tier == Tier::Full { NAMESPACES } else { 0 };
        let (side, must_enter) =
            cgroup::clone(group.as_ref(), flags).offered(tier, "making namespaces", FIX_NAMESPACES)?;
        match side {
            Side::Child => {
                drop(ours);
                let child = Child { kind, launcher, pair: theirs, is_counted: group.is_some(), workshop };
                let group = group.as_ref().filter(|_| must_enter);
                let run = std::panic::AssertUnwindSafe(|| child.live(group));
                sys::exit_now(std::panic::catch_unwind(run).unwrap_or(PANICKED))
            }
            Side::Parent(pid, pidfd) => {
                let spare = Self { kind, pid, pidfd, group, pair: ours };
                let mapped = if tier == Tier::Full { map_ids(pid, who) } else { Ok(()) };
                match mapped.and_then(|()| spare.say(&Word::GoOn)) {
                    Ok(()) => Ok(spare),
                    Err(error) => {
                        spare.end();
                        Err(error)
                    }
                }
            }
        }
    }

    pub(crate) fn say(&self, word: &Word) -> Result<(), SandboxError> {
        parcel::send(&self.pair, word, &[]).step("speaking to the cell")
    }

    /// Whether it waits still.
    pub(crate) fn is_alive(&self) -> bool {
        let nothing = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&nothing)) == Ok(0)
    }

    /// Ends it, and gives back what it was in.
    pub(crate) fn end(self) -> Option<Group> {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = rustix::process::waitpid(Some(self.pid), WaitOptions::empty());
        self.group
    }
}

/// What the code of a cell may ask of the kernel; `is_counted` says whether a cgroup counts its memory.
pub(crate) const fn profile(work: Work, tier: Tier, is_counted: bool) -> Profile {
    match (work, tier, is_counted) {
        (Work::Tools, Tier::Narrow, _) => Profile::Tools,
        (Work::Tools, Tier::Full, _) => Profile::ToolsFull,
        (Work::Programs, Tier::Narrow, _) => Profile::Programs,
        (Work::Programs, Tier::Full, false) => Profile::ProgramsFull,
        (Work::Programs, Tier::Full, true) => Profile::ProgramsCounted,
    }
}

/// What of a full cell is there before it is known what for.
struct Founded {
    root: OwnedFd,
    /// What it did about the clocks of its programs.
    clocks: Option<Probe>,
}

/// A cell to which nothing can be added any more.
struct Built {
    roots: Vec<InsideRoot>,
    /// What listens on its own loopback, for the launcher.
    listener: Option<OwnedFd>,
    /// What it did against its neighbours, and about its clocks.
    facts: Vec<Probe>,
}

/// The new process's own side.
struct Child<'a> {
    kind: Kind,
    launcher: i32,
    pair: OwnedFd,
    is_counted: bool,
    workshop: &'a Workshop,
}

impl Child<'_> {
    /// `group` is what it still has to join.
    fn live(self, group: Option<&Group>) -> i32 {
        let begun = self.begin(group);
        // The order is heard in any case: the launcher would not hear of an error whose sender left it unread.
        let built = match self.hear_order() {
            Ok(None) => return UNFINISHED,
            Ok(Some((order, socket, trees))) => {
                begun.and_then(|founded| self.build(founded, &order, &trees)).map(|built| (order.spec, socket, built))
            }
            Err(error) => Err(error),
        };
        match built {
            Ok((spec, socket, built)) => self.finish(&spec, socket, built),
            Err(error) => self.give_up(error),
        }
    }

    fn finish(self, spec: &CellSpec, socket: OwnedFd, built: Built) -> i32 {
        let Built { roots, listener, facts } = built;
        let dirs = roots.iter().map(|root| &root.dir);
        let kept: Vec<RawFd> = dirs.chain([&socket, &self.pair]).map(AsRawFd::as_raw_fd).collect();
        let handed: Vec<BorrowedFd<'_>> = listener.iter().map(|listener| listener.as_fd()).collect();
        let reported = parcel::send(&self.pair, &Heard::Ok(Tried::default()), &handed).step("speaking to the launcher");
        drop(handed);
        drop(listener);
        let closed = reported.and_then(|()| self.wait()).and_then(|()| self.close(&kept, spec));
        if let Err(error) = closed.and_then(|refusals| self.hand_over(refusals)) {
            return self.give_up(error);
        }
        let begun = Instant::now();
        let mut probes = facts;
        probes.extend(Battery { spec, tier: self.kind.tier, launcher: self.launcher, descriptors: &kept }.run());
        let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let tried = Tried { probes: probes.clone(), took_us };
        if self.report(Ok(tried)).and_then(|()| self.wait()).is_err() {
            return UNFINISHED;
        }
        drop(self.pair);
        let programs = match spec.work {
            Work::Tools => None,
            Work::Programs => match Programs::new() {
                Ok(programs) => Some(programs),
                Err(_) => return UNFINISHED,
            },
        };
        (self.workshop.entry)(Inside { socket, roots, quota: spec.quota, tier: self.kind.tier, probes, programs })
    }

    /// What can be done before it is known what for: in a full cell, most of its root. Nothing of the launcher's stays
    /// open, since it may be a while.
    fn begin(&self, group: Option<&Group>) -> Result<Option<Founded>, SandboxError> {
        self.wait()?;
        group.map_or(Ok(()), Group::enter).step("joining its cgroup")?;
        seal::close_the_rest(&[self.pair.as_raw_fd()])?;
        seal::die_with_parent()?;
        // The launcher leads its session; this process leads none yet, so the call cannot fail for that.
        rustix::process::setsid().step("leaving the session")?;
        let Kind { tier: Tier::Full, work, who } = self.kind else { return Ok(None) };
        let clocks = (work == Work::Programs).then(hardware::start_clocks);
        become_id(who, INSIDE_ID, INSIDE_ID)?;
        // The change of user has undone it.
        seal::die_with_parent()?;
        if work == Work::Programs {
            sys::loopback_up().step("bringing up the cell's own loopback")?;
        }
        Ok(Some(Founded { root: full::found(work)?, clocks }))
    }

    /// `None` if the launcher has no use for it any more.
    fn hear_order(&self) -> Result<Option<(Order, OwnedFd, Trees)>, SandboxError> {
        let heard = parcel::receive_with::<Order>(&self.pair, parcel::MAX_ORDER_FDS).step("hearing the launcher")?;
        let Some((order, fds)) = heard else { return Ok(None) };
        let mut fds = fds.into_iter();
        let Some(socket) = fds.next() else {
            return Err(SandboxError::LauncherGone("an order without a connection".into()));
        };
        let trees = order.trees.iter().copied().zip(fds).collect();
        Ok(Some((order, socket, trees)))
    }

    fn give_up(&self, error: SandboxError) -> i32 {
        let _ = self.report(Err(error));
        UNFINISHED
    }

    fn report(&self, heard: Heard) -> Result<(), SandboxError> {
        parcel::send(&self.pair, &heard, &[]).step("speaking to the launcher")
    }

    fn wait(&self) -> Result<(), SandboxError> {
        parcel::receive_within::<Word>(&self.pair, PATIENCE).step("hearing the launcher").map(drop)
    }

    /// Everything that needs privilege, then no more privilege.
    fn build(&self, founded: Option<Founded>, order: &Order, trees: &Trees) -> Result<Built, SandboxError> {
        let mut facts = Vec::new();
        let roots = match founded {
            Some(Founded { root, clocks }) => {
                facts.extend(clocks);
                full::furnish(&root, &order.spec, trees, &order.sockets)?
            }
            None => {
                let who = self.kind.who;
                let roots = narrow_roots(&order.spec)?;
                if who.by_root {
                    let _ = sys::drop_bounding();
                    become_id(who, who.uid, who.gid)?;
                }
                roots
            }
        };
        let listener = order.spec.listen.map(listen).transpose().step("listening on the cell's own loopback")?;
        if self.kind.tier == Tier::Narrow && order.spec.work == Work::Programs {
            // Without a pid namespace, what loses its parent falls to this process, and with it to the launcher.
            rustix::process::set_child_subreaper(Some(rustix::process::getpid())).step("adopting orphans")?;
        }
        seal::limit(&order.spec, self.kind.tier)?;
        facts.extend(hardware::keep_apart(order.spec.speculate));
        seal::drop_privileges()?;
        seal::landlock(order.spec.work, self.kind.tier, &roots)?;
        seal::die_with_parent()?;
        Ok(Built { roots, listener, facts })
    }

    /// The last steps, after which the process cannot be looked into: no descriptors, not dumpable, seccomp. Gives where refused calls wait, if somebody wants to be told.
    fn close(&self, kept: &[RawFd], spec: &CellSpec) -> Result<Option<OwnedFd>, SandboxError> {
        seal::close_the_rest(kept)?;
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
            .step("making the cell not dumpable")?;
        let profile = profile(spec.work, self.kind.tier, self.is_counted);
        let made;
        let filter = match self.workshop.filters.get(&profile) {
            Some(filter) if !spec.explain => filter,
            // The first of its kind since this process was made, or one that is seldom wanted.
            _ => {
                made = filter::program(profile, spec.explain)?;
                &made
            }
        };
        sys::install_filter(filter, spec.explain).step("installing the seccomp filter")
    }

    /// Before anything is refused: it would wait.
    fn hand_over(&self, refusals: Option<OwnedFd>) -> Result<(), SandboxError> {
        let Some(refusals) = refusals else { return Ok(()) };
        parcel::send(&self.pair, &Heard::Ok(Tried::default()), &[refusals.as_fd()]).step("speaking to the launcher")
    }
}

/// A socket that listens on the loopback of this process's network namespace, to which it belongs for good.
fn listen(port: u16) -> io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
    const WAITING: i32 = 128;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    listen(&socket, WAITING)?;
    Ok(socket)
}

/// Opens the roots where there is no root of one's own to build, and refuses what then cannot be promised.
fn narrow_roots(spec: &CellSpec) -> Result<Vec<InsideRoot>, SandboxError> {
    let there = |path: &&std::path::Path| path.symlink_metadata().is_ok();
    let writable = |path: &&std::path::Path| {
        spec.roots.iter().any(|root| root.mode == RootMode::Write && path.starts_with(&root.path))
    };
    let refuse = |path: &std::path::Path, what: &str| SandboxError::Path {
        path: path.display().to_string(),
        why: format!("a narrow cell cannot {what} below a root: move it out, or allow user namespaces for a full cell"),
    };
    if let Some(path) = spec.below_roots(&spec.hide).find(there) {
        return Err(refuse(path, "hide it"));
    }
    // Landlock adds up what the directories above grant, so it cannot take writing away further down.
    let read_only = spec.roots.iter().filter(|root| root.mode == RootMode::Read).map(|root| root.path.as_path());
    if let Some(path) = spec.below_roots(&spec.freeze).filter(there).chain(read_only).find(writable) {
        return Err(refuse(path, "keep it read-only"));
    }
    if let Some(path) = spec.below_roots(&spec.freeze).chain(spec.below_roots(&spec.hide)).find(writable) {
        return Err(refuse(path, "keep it from being made"));
    }
    let open = |root: &crate::RootSpec| {
        let path = root.path.display().to_string();
        let Some(Only { name, .. }) = &root.only else {
            let dir = full::open_root(root, OFlags::RDONLY)?;
            return Ok(InsideRoot { path, dir, mode: root.mode, file: None });
        };
        if root.mode == RootMode::Write {
            return Err(SandboxError::Path {
                path: root.path.join(name).display().to_string(),
                why: "a narrow cell cannot write one file and be kept off its neighbours: open the folder with \
                      --write, or allow user namespaces for a full cell"
                    .into(),
            });
        }
        let dir = full::open_root(root, OFlags::PATH)?;
        let file = Some(full::open_only(root, &dir, name)?);
        Ok(InsideRoot { path, dir, mode: root.mode, file })
    };
    let roots: Vec<InsideRoot> = spec.roots.iter().map(open).collect::<Result<_, SandboxError>>()?;
    if let Some(first) = roots.first() {
        rustix::process::fchdir(&first.dir).step("entering the workspace")?;
    }
    Ok(roots)
}
