//! What both tiers share: taking away, in the order in which it can be taken.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use autoshare_core::event::RootMode;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::error::Step;
use crate::spec::{CellSpec, InsideRoot, Work};
use crate::{SandboxError, Tier, full, limits, sys};

/// The oldest Landlock that each tier takes. In the full tier mounts carry what an old one lacks; in the narrow tier
/// Landlock is all there is, and scoped signals and abstract sockets came with ABI 6.
pub(crate) const fn landlock_floor(tier: Tier) -> i32 {
    match tier {
        Tier::Full => 2,
        Tier::Narrow => 6,
    }
}

const FIX_LANDLOCK: &str =
    "a kernel with Landlock is needed (6.12 or later for narrow cells), started with `landlock` in lsm=";

/// Address space for the stack to grow into, so that the heap is what meets its limit first and says so.
const STACK_ROOM: u64 = 64 << 20;

/// Signals with a payload, and timers, that may be pending at a time.
const PENDING_SIGNALS: u64 = 4096;

/// Limits that the cell cannot raise again.
pub(crate) fn limit(spec: &CellSpec, tier: Tier) -> Result<(), SandboxError> {
    let most = &spec.limits;
    // Runtimes reserve far more addresses than they use: of programs, only what is private and writable is counted.
    let addresses = match spec.work {
        Work::Tools => most.memory.saturating_add(sys_statm_bytes()).saturating_add(STACK_ROOM),
        Work::Programs => u64::MAX,
    };
    let processes = match (spec.work, tier) {
        // Without a user namespace the kernel counts all that this user runs.
        (Work::Programs, Tier::Narrow) => limits::of_this_user().saturating_add(most.processes),
        _ => most.processes,
    };
    for (resource, value) in [
        (Resource::Data, most.memory),
        (Resource::As, addresses),
        (Resource::Nproc, processes),
        (Resource::Nofile, most.open_files),
        (Resource::Fsize, most.file_size),
        (Resource::Cpu, most.cpu_seconds),
        // Not 0: that stops files, but not a crash handler of the host's, which runs as root on what it is sent (core(5)).
        (Resource::Core, 1),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
        // Counted for each user of the host, who would go without timers.
        (Resource::Sigpending, PENDING_SIGNALS),
        // No turn before others', whatever this user may do elsewhere.
        (Resource::Rtprio, 0),
        (Resource::Nice, 0),
    ] {
        // A limit that is lower already stays: only root may raise it, and nobody should.
        let old = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
        // The signal at the soft limit says why the cell ended; the hard one is for code that ignores it.
        let grace = if resource == Resource::Cpu { 2 } else { 0 };
        let finite = |value: u64| (value != u64::MAX).then_some(value);
        let new = Rlimit { current: finite(value.min(old)), maximum: finite(value.saturating_add(grace).min(old)) };
        rustix::process::setrlimit(resource, new).step("setting limits")?;
    }
    rustix::process::nice(most.nicer()).step("giving way to others")?;
    sys::set_signals();
    Ok(())
}

/// Bytes of address space in use, which the limit is counted on top of.
fn sys_statm_bytes() -> u64 {
    let text = crate::proc::read("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0);
    pages.saturating_mul(rustix::param::page_size() as u64)
}

/// Drops every capability for good, and every way to get one.
pub(crate) fn drop_privileges() -> Result<(), SandboxError> {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    match sys::drop_bounding() {
        // Without CAP_SETPCAP there is nothing to drop it with; `no_new_privs` then makes the bounding set moot.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {}
        other => other.step("dropping the bounding set")?,
    }
    rustix::thread::clear_ambient_capability_set().step("dropping ambient capabilities")?;
    rustix::thread::set_capabilities(None, none).step("dropping capabilities")?;
    rustix::thread::set_no_new_privs(true).step("setting no_new_privs")
}

/// What may be done below a root that can be read.
fn read_rights(work: Work) -> BitFlags<AccessFs> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    match work {
        Work::Tools => read,
        Work::Programs => read | AccessFs::Execute,
    }
}

/// What may be done below a root that can be written: for tools regular files and directories only; for programs links,
/// pipes and sockets as well; devices for neither.
fn write_rights(work: Work, abi: ABI) -> BitFlags<AccessFs> {
    let files = read_rights(work) | AccessFs::WriteFile | AccessFs::Truncate;
    let names = AccessFs::RemoveFile | AccessFs::RemoveDir | AccessFs::MakeReg | AccessFs::MakeDir | AccessFs::Refer;
    let more = match work {
        Work::Tools => BitFlags::EMPTY,
        // Not ResolveUnix: sockets of the cell's own are reached without it, and it would give the host's.
        Work::Programs => AccessFs::MakeSym | AccessFs::MakeFifo | AccessFs::MakeSock,
    };
    (files | names | more) & AccessFs::from_all(abi)
}

/// Of the narrow tier, what of `/etc` programs need and what says nothing about this host.
const NARROW_ETC: [&str; 6] = [
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/os-release",
];
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Paths and rights beside the roots.
fn beside_roots(work: Work, tier: Tier, abi: ABI) -> Vec<(&'static str, BitFlags<AccessFs>)> {
    let known = AccessFs::from_all(abi);
    let device = AccessFs::ReadFile | AccessFs::WriteFile;
    let mut rules: Vec<(&str, BitFlags<AccessFs>)> = DEVICES.iter().map(|path| (*path, device)).collect();
    if tier == Tier::Full {
        rules.push(("/tmp", write_rights(work, abi)));
    }
    if work == Work::Programs {
        // As far as it is there: of the narrow tier, the host's own.
        rules.extend(full::SYSTEM.map(|path| (path, read_rights(work))));
        if tier == Tier::Full {
            rules.push(("/etc", read_rights(work)));
            let terminal = (device | AccessFs::ReadDir | AccessFs::IoctlDev) & known;
            rules.extend([("/proc", AccessFs::ReadFile | AccessFs::ReadDir), ("/dev", AccessFs::ReadDir.into())]);
            rules.extend([("/dev/pts", terminal), ("/dev/tty", terminal)]);
        } else {
            rules.extend(NARROW_ETC.map(|path| (path, AccessFs::ReadFile | AccessFs::ReadDir)));
        }
    }
    rules
}

/// Enters a Landlock domain with every right that kernel and crate know; only the roots, and for programs what the system
/// runs, are left.
pub(crate) fn landlock(work: Work, tier: Tier, roots: &[InsideRoot]) -> Result<(), SandboxError> {
    let version = sys::landlock_abi();
    if version < landlock_floor(tier) {
        let error = SandboxError::Unavailable {
            tier,
            step: format!("Landlock ABI {}", landlock_floor(tier)),
            answer: format!("ABI {version}"),
            fix: FIX_LANDLOCK.into(),
        };
        return Err(error);
    }
    let abi = ABI::from(version);
    let apply = || -> Result<_, RulesetError> {
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(abi))?;
        // Programs of a full cell have a network of their own, in which they may do as they like.
        if version >= 4 && !(work == Work::Programs && tier == Tier::Full) {
            ruleset = ruleset.handle_access(AccessNet::from_all(abi))?;
        }
        if version >= 6 {
            ruleset = ruleset.scope(Scope::from_all(abi))?;
        }
        let mut created = ruleset.create()?;
        for root in roots {
            if let Some(file) = &root.file {
                created = created.add_rule(PathBeneath::new(file, AccessFs::ReadFile))?;
                continue;
            }
            let rights = match root.mode {
                RootMode::Read => read_rights(work),
                RootMode::Write => write_rights(work, abi),
            };
            created = created.add_rule(PathBeneath::new(&root.dir, rights))?;
        }
        for (path, rights) in beside_roots(work, tier, abi) {
            // What this system does not have needs no rule.
            let Ok(file) = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
                continue;
            };
            let is_dir = rustix::fs::fstat(&file)
                .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory);
            let rights = if is_dir { rights } else { rights & AccessFs::from_file(abi) };
            created = created.add_rule(PathBeneath::new(file, rights))?;
        }
        created.restrict_self()
    };
    let failed = |answer: String| SandboxError::Step { step: "entering the Landlock domain".into(), answer };
    let status = apply().map_err(|error| failed(error.to_string()))?;
    if status.ruleset != RulesetStatus::FullyEnforced || !status.no_new_privs {
        return Err(failed(format!("configured but not in force: {:?}", status.ruleset)));
    }
    Ok(())
}

/// Dies with the launcher. To be called after the last change of credentials, which clears it.
pub(crate) fn die_with_parent() -> Result<(), SandboxError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).step("tying the cell to the launcher")
}

/// Leaves no descriptor but `keep`, and `/dev/null` for 0 to 2.
pub(crate) fn close_the_rest(keep: &[RawFd]) -> Result<(), SandboxError> {
    let null = open_null()?;
    sys::null_stdio(&null).step("closing standard input and output")?;
    drop(null);
    let mut keep: Vec<RawFd> = keep.iter().copied().chain(0..=2).collect();
    sys::close_all_but(&mut keep).step("closing descriptors")
}

fn open_null() -> Result<OwnedFd, SandboxError> {
    let null = rustix::fs::openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .step("opening /dev/null")?;
    if null.as_raw_fd() > 2 {
        return Ok(null);
    }
    // Standard descriptors were closed: keep the copies apart from the original.
    rustix::io::fcntl_dupfd_cloexec(&null, 3).step("opening /dev/null")
}
