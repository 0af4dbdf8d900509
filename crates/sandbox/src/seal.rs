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
use crate::spec::{CellLimits, InsideRoot};
use crate::{SandboxError, Tier, sys};

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

/// Limits that the cell cannot raise again.
pub(crate) fn limit(limits: &CellLimits, tier: Tier) -> Result<(), SandboxError> {
    let mapped = sys_statm_bytes();
    for (resource, value) in [
        (Resource::Data, limits.memory),
        (Resource::As, limits.memory.saturating_add(mapped).saturating_add(STACK_ROOM)),
        (Resource::Nproc, limits.processes),
        (Resource::Nofile, limits.open_files),
        (Resource::Fsize, limits.file_size),
        (Resource::Cpu, limits.cpu_seconds),
        (Resource::Core, 0),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
    ] {
        // Without a user namespace it would count all that this user runs, and the filter lets no process start.
        if resource == Resource::Nproc && tier == Tier::Narrow {
            continue;
        }
        // A limit that is lower already stays: only root may raise it, and nobody should.
        let old = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
        // The signal at the soft limit says why the cell ended; the hard one is for code that ignores it.
        let grace = if resource == Resource::Cpu { 2 } else { 0 };
        let new = Rlimit { current: Some(value.min(old)), maximum: Some(value.saturating_add(grace).min(old)) };
        rustix::process::setrlimit(resource, new).step("setting limits")?;
    }
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

/// What may be done below a root that can be written: regular files and directories only.
fn write_rights(abi: ABI) -> BitFlags<AccessFs> {
    let files = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::WriteFile | AccessFs::Truncate;
    let names = AccessFs::RemoveFile | AccessFs::RemoveDir | AccessFs::MakeReg | AccessFs::MakeDir | AccessFs::Refer;
    (files | names) & AccessFs::from_all(abi)
}

/// Enters a Landlock domain with every right that kernel and crate know; only the roots are left.
pub(crate) fn landlock(tier: Tier, roots: &[InsideRoot]) -> Result<(), SandboxError> {
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
    let open = |path: &str| rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let apply = || -> Result<_, RulesetError> {
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(abi))?;
        if version >= 4 {
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
                RootMode::Read => AccessFs::ReadFile | AccessFs::ReadDir,
                RootMode::Write => write_rights(abi),
            };
            created = created.add_rule(PathBeneath::new(&root.dir, rights))?;
        }
        if tier == Tier::Full
            && let Ok(tmp) = open("/tmp")
        {
            created = created.add_rule(PathBeneath::new(tmp, write_rights(abi)))?;
        }
        for device in ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"] {
            if let Ok(device) = open(device) {
                created = created.add_rule(PathBeneath::new(device, AccessFs::ReadFile | AccessFs::WriteFile))?;
            }
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
