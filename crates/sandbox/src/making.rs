//! Making cells: the launcher's side. The new process's own is in [`crate::spare`].

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use autoshare_core::wire::Probe;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, WaitOptions};
use rustix::thread::{Gid, Uid};

use crate::cell::Confinement;
use crate::cgroup::{Group, Groups};
use crate::error::Step;
use crate::filter::{self, Profile};
use crate::full::{self, INSIDE_ID, Trees};
use crate::spare::{self, Heard, Kind, Order, PATIENCE, Spare, Tried, Word};
use crate::spec::{CellLimits, CellSpec, Entry, Work};
use crate::sys::{self, Side};
use crate::{Refusals, SandboxError, Tier, limits, parcel, proc, sockets};

/// Who the cell is on the host where the workspace belongs to root, or where there is none: an id that owns nothing and
/// that nobody logs in as. On disk, an id-mapped mount makes root of it; outside of that mount it is a stranger.
pub(crate) const STRANGER: u32 = 2_000_000_000;

pub(crate) const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Spares that are kept at most: one for the tools of a brain, one for its programs.
const MOST_SPARES: usize = 2;

/// Kinds that are remembered at most.
const MOST_KINDS: usize = 64;

pub(crate) const FIX_NAMESPACES: &str = "allow user namespaces to this user (sysctl user.max_user_namespaces=65536; on Debian \
     kernel.unprivileged_userns_clone=1; on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0), or run outside of \
     the container";

/// A cell that is finished and waits for nothing.
pub(crate) struct Made {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    pub(crate) group: Option<Group>,
    pub(crate) seen: Seen,
}

/// What the launcher knows of a cell that it has seen finished.
pub(crate) struct Seen {
    pub(crate) confinement: Confinement,
    pub(crate) probes: Vec<Probe>,
    /// What listens on the cell's own loopback.
    pub(crate) listener: Option<OwnedFd>,
    /// Where calls wait that are refused.
    pub(crate) refusals: Option<Refusals>,
}

/// Why a spare did not become a cell.
enum Failure {
    /// It is dead, or does not answer.
    Silent(SandboxError),
    /// It said why, or was judged.
    Told(SandboxError),
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        Self::Told(error)
    }
}

impl From<Failure> for SandboxError {
    fn from(failure: Failure) -> Self {
        let (Failure::Silent(error) | Failure::Told(error)) = failure;
        error
    }
}

/// What stays the same for all cells of a launcher.
pub(crate) struct Workshop {
    pub(crate) entry: Entry,
    /// The seccomp programs that were needed so far.
    pub(crate) filters: BTreeMap<Profile, Vec<libc::sock_filter>>,
    /// A user namespace in which 0 is the stranger, made when first needed.
    pub(crate) stranger: Option<OwnedFd>,
    /// Where groups of processes can be made, if anywhere; looked for when first needed.
    pub(crate) groups: Option<Option<Groups>>,
    /// The launcher's own namespaces, looked at when first needed.
    own: Option<Namespaces>,
    /// What the next full cells will be made of, oldest first.
    spares: Vec<Spare>,
    /// What has been asked for. Whatever is asked for a second time will be asked for again.
    kinds: Vec<Kind>,
    /// What was claimed last and has not been made again.
    claimed: Option<Kind>,
    /// The launcher's mounts, since the spares were made.
    mounts: Option<proc::Mounts>,
}

/// The ids on the host, and whether mounts map them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    mapped: bool,
    /// Whether the launcher is root, and so may give up groups and become another.
    pub(crate) by_root: bool,
}

impl Workshop {
    pub(crate) const fn new(entry: Entry) -> Self {
        Self {
            entry,
            filters: BTreeMap::new(),
            stranger: None,
            groups: None,
            own: None,
            spares: Vec::new(),
            kinds: Vec::new(),
            claimed: None,
            mounts: None,
        }
    }

    /// One for another launcher: with nothing made in it yet but filters.
    pub(crate) fn like_it(&self) -> Self {
        Self { filters: self.filters.clone(), ..Self::new(self.entry) }
    }

    /// The processes that wait to be cells.
    pub(crate) fn spares(&self) -> impl Iterator<Item = Pid> {
        self.spares.iter().map(|spare| spare.pid)
    }

    /// Makes a cell of exactly this tier, or none.
    pub(crate) fn make(&mut self, spec: &CellSpec, tier: Tier, socket: &OwnedFd) -> Result<Made, SandboxError> {
        spec.check()?;
        let who = self.who(spec, tier)?;
        let kind = Kind { tier, work: spec.work, who };
        let show = |workshop: &mut Self| match tier {
            Tier::Full => workshop.shown(spec, who),
            Tier::Narrow => Ok(Default::default()),
        };
        let mut shown = show(self)?;
        if let Some(spare) = self.claim(spec, kind) {
            match self.finish(spare, spec, &shown, socket) {
                // It may have broken while it waited, which says nothing of one that is made now.
                Err(Failure::Silent(_)) => shown = show(self)?,
                other => return Ok(other?),
            }
        }
        let spare = self.make_now(spec, kind)?;
        Ok(self.finish(spare, spec, &shown, socket)?)
    }

    /// Makes a cell of a spare, which is used up in any case, and so is what is shown.
    fn finish(
        &mut self,
        spare: Spare,
        spec: &CellSpec,
        (trees, sockets): &(Trees, Vec<PathBuf>),
        socket: &OwnedFd,
    ) -> Result<Made, Failure> {
        let order = Order { spec: spec.clone(), sockets: sockets.clone(), trees: trees.keys().copied().collect() };
        let fds: Vec<BorrowedFd<'_>> = [socket].into_iter().chain(trees.values()).map(AsFd::as_fd).collect();
        let seen = self.oversee(&spare, &order, &fds);
        match seen {
            Ok(mut seen) => {
                let Spare { kind, pid, pidfd, group, .. } = spare;
                let groups = group.as_ref().and(self.groups.as_ref()).and_then(Option::as_ref);
                seen.confinement.limits = limits::in_force(spec, kind.tier, groups.map(Groups::version));
                Ok(Made { pid, pidfd, group, seen })
            }
            Err(error) => {
                self.end(spare);
                Err(error)
            }
        }
    }

    /// Whether [`Workshop::prepare`] has something to do.
    pub(crate) const fn is_to_prepare(&self) -> bool {
        self.claimed.is_some()
    }

    /// Makes a spare of the kind that was claimed last, while nobody waits. What stands in the way will be told to whoever
    /// asks for a cell.
    pub(crate) fn prepare(&mut self) {
        let Some(kind) = self.claimed.take() else { return };
        while self.spares.len() >= MOST_SPARES {
            let oldest = self.spares.remove(0);
            self.end(oldest);
        }
        // It will have the mounts of the moment when it is made. Those that are there have older ones.
        match &self.mounts {
            Some(mounts) if mounts.have_changed() => self.put_away(),
            Some(_) => {}
            None => match proc::Mounts::watch() {
                Ok(mounts) => self.mounts = Some(mounts),
                // Nobody would say when a spare is out of date.
                Err(_) => return,
            },
        }
        let Ok(group) = self.group() else { return };
        // A spare that is made now has the filter that it will need.
        if self.filter(spare::profile(kind.work, kind.tier, group.is_some())).is_err() {
            return;
        }
        self.spares.extend(Spare::make(self, kind, group));
    }

    /// Makes a spare of the kind that such a cell will be of.
    pub(crate) fn expect(&mut self, spec: &CellSpec) {
        let (Ok(()), Ok(who)) = (spec.check(), self.who(spec, Tier::Full)) else { return };
        let kind = Kind { tier: Tier::Full, work: spec.work, who };
        if self.spares.iter().all(|spare| spare.kind != kind) {
            self.claimed = Some(kind);
            self.prepare();
        }
    }

    /// What becomes readable (`POLLPRI`) when spares are out of date, while there are some.
    pub(crate) fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.mounts.as_ref().filter(|_| !self.spares.is_empty()).map(AsFd::as_fd)
    }

    /// Ends all spares.
    pub(crate) fn put_away(&mut self) {
        for spare in std::mem::take(&mut self.spares) {
            self.end(spare);
        }
    }

    fn end(&mut self, spare: Spare) {
        if let (Some(group), Some(Some(groups))) = (spare.end(), self.groups.as_mut()) {
            groups.give_back(group);
        }
    }

    /// A spare that waits, in a group of the cell's limits, if there is one that can be used.
    fn claim(&mut self, spec: &CellSpec, kind: Kind) -> Option<Spare> {
        if kind.tier == Tier::Full && self.kinds.contains(&kind) {
            self.claimed = Some(kind);
        } else if kind.tier == Tier::Full && self.kinds.len() < MOST_KINDS {
            self.kinds.push(kind);
        }
        if self.mounts.as_ref().is_some_and(proc::Mounts::have_changed) {
            self.put_away();
        }
        while let Some(place) = self.spares.iter().position(|spare| spare.kind == kind) {
            let mut spare = self.spares.remove(place);
            let limited = spare.group.as_mut().map_or(Ok(()), |group| group.limit(&spec.limits));
            if limited.is_ok() && spare.is_alive() {
                return Some(spare);
            }
            self.end(spare);
        }
        None
    }

    /// The same, made while somebody waits.
    fn make_now(&mut self, spec: &CellSpec, kind: Kind) -> Result<Spare, SandboxError> {
        let group = self.limited_group(&spec.limits)?;
        self.filter(spare::profile(kind.work, kind.tier, group.is_some()))?;
        Spare::make(self, kind, group)
    }

    /// Has the filter of this profile, for every spare that is made from now on.
    fn filter(&mut self, profile: Profile) -> Result<(), SandboxError> {
        if let std::collections::btree_map::Entry::Vacant(place) = self.filters.entry(profile) {
            place.insert(filter::program(profile, false)?);
        }
        Ok(())
    }

    /// The launcher's side: orders, looks on, judges the battery, says go.
    fn oversee(&mut self, spare: &Spare, order: &Order, fds: &[BorrowedFd<'_>]) -> Result<Seen, Failure> {
        let (pid, pair) = (spare.pid, &spare.pair);
        let Kind { tier, who, .. } = spare.kind;
        let hear = || {
            let heard = parcel::receive_within::<Heard>(pair, PATIENCE).step("waiting for the cell to be made");
            heard.map_err(Failure::Silent)
        };
        let go_on = || spare.say(&Word::GoOn).map_err(Failure::Silent);
        parcel::send(pair, order, fds).step("telling the cell what it is to be").map_err(Failure::Silent)?;
        let (built, mut fds) = hear()?;
        built?;
        let looked = proc::namespaces(Some(pid)).step("looking at the cell's namespaces");
        let namespaces = looked.map_err(Failure::Silent)?;
        if tier == Tier::Full {
            let own = match &mut self.own {
                Some(own) => own,
                none => none.insert(proc::namespaces(None).step("looking at namespaces")?),
            };
            let shared = |name: &&String| own.get(*name) == namespaces.get(*name);
            if let Some(name) = namespaces.keys().find(shared) {
                return Err(SandboxError::NotConfined(format!("it shares the host's {name} namespace")).into());
            }
        }
        go_on()?;
        let refusals = if order.spec.explain {
            let (closed, mut fds) = hear()?;
            closed?;
            fds.pop().map(Refusals::new)
        } else {
            None
        };
        if let Some(refusals) = &refusals {
            answer_until(pair, refusals).step("answering for the filter")?;
        }
        let Tried { probes, took_us } = hear()?.0?;
        if let Some(probe) = probes.iter().find(|probe| !probe.held) {
            return Err(SandboxError::NotHeld { name: probe.name.clone(), answer: probe.answer.clone() }.into());
        }
        let mut confinement = Confinement::look(pid, tier, namespaces, who.mapped)?;
        go_on()?;
        confinement.battery_us = took_us;
        Ok(Seen { confinement, probes, listener: fds.pop(), refusals })
    }

    /// What a full cell is shown of the host: what only root can take of its roots, and where sockets are to be covered.
    pub(crate) fn shown(&mut self, spec: &CellSpec, who: Who) -> Result<(Trees, Vec<PathBuf>), SandboxError> {
        let mut trees = Trees::new();
        if who.by_root {
            let userns = if who.mapped { Some(self.stranger()?) } else { None };
            for (place, root) in spec.roots.iter().enumerate() {
                trees.insert(place, full::take(root, userns)?);
            }
        }
        let sockets = if spec.work == Work::Programs { sockets::of_the_host(spec) } else { Vec::new() };
        Ok((trees, sockets))
    }

    /// Whose the cell is.
    pub(crate) fn who(&self, spec: &CellSpec, tier: Tier) -> Result<Who, SandboxError> {
        if !rustix::process::geteuid().is_root() {
            let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            return Ok(Who { uid, gid, mapped: false, by_root: false });
        }
        let Some(workspace) = spec.roots.first() else {
            return Ok(Who { uid: STRANGER, gid: STRANGER, mapped: false, by_root: true });
        };
        let stat = full::open_root(workspace, OFlags::PATH)
            .and_then(|dir| rustix::fs::fstat(&dir).at(&workspace.path, "it cannot be looked at"))?;
        if stat.st_uid != 0 {
            let gid = if stat.st_gid == 0 { STRANGER } else { stat.st_gid };
            return Ok(Who { uid: stat.st_uid, gid, mapped: false, by_root: true });
        }
        if tier == Tier::Full {
            return Ok(Who { uid: STRANGER, gid: STRANGER, mapped: true, by_root: true });
        }
        Err(SandboxError::Path {
            path: workspace.path.display().to_string(),
            why: "it belongs to root, and a narrow cell cannot work for root without being root: use a workspace that \
                  another user owns (chown), or start as that user"
                .into(),
        })
    }

    /// The group that a new cell is to be in, yet without limits; `None` where there can be none.
    pub(crate) fn group(&mut self) -> Result<Option<Group>, SandboxError> {
        let groups = self.groups.get_or_insert_with(|| Groups::find(rustix::process::getpid()));
        groups.as_mut().map(Groups::take).transpose().step("making a cgroup")
    }

    /// The same, limited. One that cannot be is let go.
    pub(crate) fn limited_group(&mut self, limits: &CellLimits) -> Result<Option<Group>, SandboxError> {
        loop {
            let Some(mut group) = self.group()? else { return Ok(None) };
            match group.limit(limits) {
                Ok(()) => return Ok(Some(group)),
                Err(_) if group.is_used() => {}
                Err(error) => return Err(error).step("limiting its cgroup"),
            }
        }
    }

    fn stranger(&mut self) -> Result<&OwnedFd, SandboxError> {
        if self.stranger.is_none() {
            self.stranger = Some(map_zero_to_stranger()?);
        }
        self.stranger.as_ref().ok_or_else(|| SandboxError::NotConfined("no user namespace".into()))
    }
}

/// A user namespace that shows root's files as the stranger's and all others' as they are.
fn map_zero_to_stranger() -> Result<OwnedFd, SandboxError> {
    let (ours, theirs) = parcel::pair().step("making a socket pair")?;
    match sys::clone(libc::CLONE_NEWUSER).offered(Tier::Full, "making a user namespace", FIX_NAMESPACES)? {
        Side::Child => {
            drop(ours);
            // Lives until the launcher has a handle on its namespace.
            let _ = parcel::receive::<()>(&theirs);
            sys::exit_now(0)
        }
        Side::Parent(pid, _pidfd) => {
            drop(theirs);
            let map = format!("0 {STRANGER} 1\n1 1 {}\n", STRANGER - 1);
            let dir = format!("/proc/{}", pid.as_raw_nonzero());
            let taken = proc::write(&format!("{dir}/uid_map"), &map)
                .and_then(|()| proc::write(&format!("{dir}/gid_map"), &map))
                .and_then(|()| {
                    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                    let path = format!("{dir}/ns/user");
                    Ok(rustix::fs::openat(rustix::fs::CWD, path, flags, rustix::fs::Mode::empty())?)
                });
            drop(ours);
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
            taken.offered(Tier::Full, "mapping root away", FIX_NAMESPACES)
        }
    }
}

/// Gives the user namespace of a new process its one user and group.
pub(crate) fn map_ids(pid: Pid, who: Who) -> Result<(), SandboxError> {
    let set = |file: &str, text: &str| proc::write(&format!("/proc/{}/{file}", pid.as_raw_nonzero()), text);
    // Without privilege the kernel asks for this before it lets groups be mapped.
    let groups = if who.by_root { Ok(()) } else { set("setgroups", "deny") };
    groups
        .and_then(|()| set("gid_map", &format!("{INSIDE_ID} {} 1\n", who.gid)))
        .and_then(|()| set("uid_map", &format!("{INSIDE_ID} {} 1\n", who.uid)))
        .offered(Tier::Full, "mapping user ids", FIX_NAMESPACES)
}

/// Becomes this user and group, and leaves every other group as far as that is possible.
pub(crate) fn become_id(who: Who, uid: u32, gid: u32) -> Result<(), SandboxError> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    if who.by_root {
        rustix::thread::set_thread_groups(&[]).step("leaving all groups")?;
    }
    rustix::thread::set_thread_res_gid(gid, gid, gid).step("changing the group")?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).step("changing the user")
}

/// Refuses what the battery tries, until the cell speaks at `pair`.
fn answer_until(pair: &OwnedFd, refusals: &Refusals) -> io::Result<()> {
    let patience = Timespec::try_from(PATIENCE).map_err(io::Error::other)?;
    loop {
        let mut watched = [PollFd::new(pair, PollFlags::IN), PollFd::new(refusals, PollFlags::IN)];
        match poll(&mut watched, Some(&patience)) {
            Ok(0) => return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [spoken, waiting] = watched.map(|fd| fd.revents());
        if waiting.contains(PollFlags::IN) {
            refusals.refuse()?;
        } else if !spoken.is_empty() || !waiting.is_empty() {
            return Ok(());
        }
    }
}

/// Namespace inode numbers by name.
pub(crate) type Namespaces = BTreeMap<String, u64>;
