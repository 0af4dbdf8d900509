//! Making one cell: what the launcher does on its side, and what the new process does on its own.
//!
//! Launcher and new process speak over a pair of their own: *mapped* (ids are set), *built* (capabilities gone, Landlock
//! in force, still to be looked at from outside), *look on* (the launcher has looked), *tried* (the battery's result),
//! *go*. A side that hears nothing gives up, so nothing runs half-made.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use autoshare_core::event::RootMode;
use autoshare_core::wire::Probe;
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, WaitOptions};
use rustix::thread::{Gid, Uid};
use serde::{Deserialize, Serialize};

use crate::battery::Battery;
use crate::cell::Confinement;
use crate::cgroup::{self, Group, Groups};
use crate::error::Step;
use crate::filter::{self, Profile};
use crate::full::{self, INSIDE_ID, Trees};
use crate::spec::{CellSpec, Entry, Inside, InsideRoot, Work};
use crate::sys::{self, Side};
use crate::{Programs, SandboxError, Tier, limits, parcel, proc, seal, sockets};

/// How long any step of making a cell may take. A healthy machine needs milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// Exit status of cell code that panicked.
const PANICKED: i32 = 101;
/// Exit status of a cell that was never finished.
const UNFINISHED: i32 = 102;

/// Who the cell is on the host where the workspace belongs to root: an id that owns nothing and that nobody logs in as.
/// On disk, an id-mapped mount makes root of it; outside of that mount it is a stranger.
pub(crate) const STRANGER: u32 = 2_000_000_000;

pub(crate) const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

const FIX_NAMESPACES: &str = "allow user namespaces to this user (sysctl user.max_user_namespaces=65536; on Debian \
     kernel.unprivileged_userns_clone=1; on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0), or run outside of \
     the container";

/// A cell that is finished and waits for nothing.
pub(crate) struct Made {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    pub(crate) group: Option<Group>,
    pub(crate) confinement: Confinement,
    pub(crate) probes: Vec<Probe>,
    /// What listens on the cell's own loopback.
    pub(crate) listener: Option<OwnedFd>,
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
    pub(crate) own: Option<Namespaces>,
}

/// The ids on the host, and whether mounts map them.
#[derive(Clone, Copy)]
pub(crate) struct Who {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    mapped: bool,
    /// Whether the launcher is root, and so may give up groups and become another.
    pub(crate) by_root: bool,
}

impl Workshop {
    /// Makes a cell of exactly this tier, or none.
    pub(crate) fn make(&mut self, spec: &CellSpec, tier: Tier, socket: &OwnedFd) -> Result<Made, SandboxError> {
        spec.check()?;
        let who = self.who(spec, tier)?;
        let (trees, sockets) = if tier == Tier::Full { self.shown(spec, who)? } else { Default::default() };
        let group = self.group(spec)?;
        let profile = profile(spec.work, tier, group.as_ref());
        if let std::collections::btree_map::Entry::Vacant(place) = self.filters.entry(profile) {
            place.insert(filter::program(profile)?);
        }
        let (ours, theirs) = parcel::pair().step("making a socket pair")?;
        let launcher = rustix::process::getpid().as_raw_nonzero().get();
        let flags = if tier == Tier::Full { NAMESPACES } else { 0 };
        let (side, must_enter) =
            cgroup::clone(group.as_ref(), flags).offered(tier, "making namespaces", FIX_NAMESPACES)?;
        match side {
            Side::Child => {
                drop(ours);
                // A descriptor of its own; the one borrowed here is closed with all the launcher's others.
                let Ok(socket) = socket.try_clone() else { sys::exit_now(UNFINISHED) };
                let child = Child { spec, tier, profile, socket, launcher, who, pair: theirs };
                let group = group.as_ref().filter(|_| must_enter);
                let run = std::panic::AssertUnwindSafe(|| child.live(group, &trees, &sockets, self));
                sys::exit_now(std::panic::catch_unwind(run).unwrap_or(PANICKED))
            }
            Side::Parent(pid, pidfd) => {
                drop(theirs);
                match self.oversee(pid, &ours, tier, who) {
                    Ok((mut confinement, probes, listener)) => {
                        let version = group.as_ref().and(self.groups.as_ref()).and_then(Option::as_ref);
                        confinement.limits = limits::in_force(spec, tier, version.map(Groups::version));
                        Ok(Made { pid, pidfd, group, confinement, probes, listener })
                    }
                    Err(error) => {
                        let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
                        let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
                        Err(error)
                    }
                }
            }
        }
    }

    /// The launcher's side: maps ids, looks on, judges the battery, says go.
    fn oversee(
        &mut self,
        pid: Pid,
        pair: &OwnedFd,
        tier: Tier,
        who: Who,
    ) -> Result<(Confinement, Vec<Probe>, Option<OwnedFd>), SandboxError> {
        if tier == Tier::Full {
            map_ids(pid, who)?;
        }
        let say = || parcel::send(pair, &Word::GoOn, &[]).step("speaking to the cell");
        let hear = || parcel::receive_within::<Heard>(pair, PATIENCE).step("waiting for the cell to be made");
        say()?;
        let (built, mut fds) = hear()?;
        built?;
        let namespaces = proc::namespaces(Some(pid)).step("looking at the cell's namespaces")?;
        if tier == Tier::Full {
            let own = match &mut self.own {
                Some(own) => own,
                none => none.insert(proc::namespaces(None).step("looking at namespaces")?),
            };
            let shared = |name: &&String| own.get(*name) == namespaces.get(*name);
            if let Some(name) = namespaces.keys().find(shared) {
                return Err(SandboxError::NotConfined(format!("it shares the host's {name} namespace")));
            }
        }
        say()?;
        let probes = hear()?.0?;
        if let Some(probe) = probes.iter().find(|probe| !probe.held) {
            return Err(SandboxError::NotHeld { name: probe.name.clone(), answer: probe.answer.clone() });
        }
        let confinement = Confinement::look(pid, tier, namespaces, who.mapped)?;
        say()?;
        Ok((confinement, probes, fds.pop()))
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
            return Err(SandboxError::NotConfined("no workspace".into()));
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

    /// The group that a new cell is to be in; `None` where there can be none.
    pub(crate) fn group(&mut self, spec: &CellSpec) -> Result<Option<Group>, SandboxError> {
        let groups = self.groups.get_or_insert_with(|| Groups::find(rustix::process::getpid()));
        groups.as_mut().map(|groups| groups.take(&spec.limits)).transpose().step("making a cgroup")
    }

    fn stranger(&mut self) -> Result<&OwnedFd, SandboxError> {
        if self.stranger.is_none() {
            self.stranger = Some(map_zero_to_stranger()?);
        }
        self.stranger.as_ref().ok_or_else(|| SandboxError::NotConfined("no user namespace".into()))
    }
}

/// What the code of a cell may ask of the kernel.
pub(crate) const fn profile(work: Work, tier: Tier, group: Option<&Group>) -> Profile {
    match (work, tier, group) {
        (Work::Tools, Tier::Narrow, _) => Profile::Tools,
        (Work::Tools, Tier::Full, _) => Profile::ToolsFull,
        (Work::Programs, Tier::Narrow, _) => Profile::Programs,
        (Work::Programs, Tier::Full, None) => Profile::ProgramsFull,
        (Work::Programs, Tier::Full, Some(_)) => Profile::ProgramsCounted,
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

#[derive(Serialize, Deserialize)]
enum Word {
    GoOn,
}

type Heard = Result<Vec<Probe>, SandboxError>;

/// The roots, the descriptors that stay open, and what listens on the cell's own loopback.
type Built = (Vec<InsideRoot>, Vec<RawFd>, Option<OwnedFd>);

/// The new process's side.
struct Child<'a> {
    spec: &'a CellSpec,
    tier: Tier,
    profile: Profile,
    socket: OwnedFd,
    launcher: i32,
    who: Who,
    pair: OwnedFd,
}

impl Child<'_> {
    /// `group` is what it still has to join.
    fn live(self, group: Option<&Group>, trees: &Trees, sockets: &[PathBuf], workshop: &Workshop) -> i32 {
        let joined = group.map_or(Ok(()), Group::enter).step("joining its cgroup");
        let built = joined.and_then(|()| self.wait()).and_then(|()| self.build(trees, sockets));
        let (roots, kept, listener) = match built {
            Ok(built) => built,
            Err(error) => return self.give_up(error),
        };
        let handed: Vec<BorrowedFd<'_>> = listener.iter().map(AsFd::as_fd).collect();
        let reported = parcel::send(&self.pair, &Heard::Ok(Vec::new()), &handed).step("speaking to the launcher");
        let sealed = reported.and_then(|()| self.wait()).and_then(|()| self.close(&kept, workshop));
        if let Err(error) = sealed {
            return self.give_up(error);
        }
        let battery = Battery { spec: self.spec, tier: self.tier, launcher: self.launcher, descriptors: &kept };
        let probes = battery.run();
        if self.report(Ok(probes.clone())).and_then(|()| self.wait()).is_err() {
            return UNFINISHED;
        }
        drop(self.pair);
        let programs = match self.spec.work {
            Work::Tools => None,
            Work::Programs => match Programs::new() {
                Ok(programs) => Some(programs),
                Err(_) => return UNFINISHED,
            },
        };
        let quota = self.spec.quota;
        (workshop.entry)(Inside { socket: self.socket, roots, quota, tier: self.tier, probes, programs })
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
    fn build(&self, trees: &Trees, sockets: &[PathBuf]) -> Result<Built, SandboxError> {
        let roots = match self.tier {
            Tier::Full => {
                become_id(self.who, INSIDE_ID, INSIDE_ID)?;
                full::build(self.spec, trees, sockets)?
            }
            Tier::Narrow => {
                let roots = narrow_roots(self.spec)?;
                if self.who.by_root {
                    let _ = sys::drop_bounding();
                    become_id(self.who, self.who.uid, self.who.gid)?;
                }
                roots
            }
        };
        // The launcher leads its session; this process leads none yet, so the call cannot fail for that.
        rustix::process::setsid().step("leaving the session")?;
        if self.tier == Tier::Full && self.spec.work == Work::Programs {
            sys::loopback_up().step("bringing up the cell's own loopback")?;
        }
        let listener = self.spec.listen.map(listen).transpose().step("listening on the cell's own loopback")?;
        if self.tier == Tier::Narrow && self.spec.work == Work::Programs {
            // Without a pid namespace, what loses its parent falls to this process, and with it to the launcher.
            rustix::process::set_child_subreaper(Some(rustix::process::getpid())).step("adopting orphans")?;
        }
        seal::limit(self.spec, self.tier)?;
        seal::drop_privileges()?;
        seal::landlock(self.spec.work, self.tier, &roots)?;
        seal::die_with_parent()?;
        let kept =
            roots.iter().map(|root| &root.dir).chain([&self.socket, &self.pair]).map(AsRawFd::as_raw_fd).collect();
        Ok((roots, kept, listener))
    }

    /// The last steps, after which the process cannot be looked into: no descriptors, not dumpable, seccomp.
    fn close(&self, kept: &[RawFd], workshop: &Workshop) -> Result<(), SandboxError> {
        seal::close_the_rest(kept)?;
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
            .step("making the cell not dumpable")?;
        let filter = workshop.filters.get(&self.profile).map(Vec::as_slice).unwrap_or_default();
        sys::install_filter(filter).step("installing the seccomp filter")
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
        let Some(name) = &root.only else {
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

/// Namespace inode numbers by name.
pub(crate) type Namespaces = BTreeMap<String, u64>;
