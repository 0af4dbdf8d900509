//! The host's own walls.
//!
//! The host is trusted, and parses what strangers send it. Once its launcher stands, which makes cells and must keep the
//! powers that this takes, nothing the host itself still has to do needs a new program, a mount, a namespace, or a file
//! outside of a handful of folders. [`confine_host`] takes all of that away, for good, before the first thread starts and
//! the first connection is taken: an attacker who ran code in the host would reach what the host reaches, and no shell, no
//! other program's memory, no file of the machine's and no way to more rights.
//!
//! What it keeps: its data and workspaces, with which it works; sockets of the network, since it is the way out; asking
//! the launcher for cells; signals, which end cells.

mod attest;

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use autoshare_core::wire::Probe;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::Serialize;

use crate::error::{Step as _, answer};
use crate::filter::{self, Profile};
use crate::{SandboxError, proc, sys};

/// The oldest Landlock that will do: with an older one, files could not be moved between folders.
const LANDLOCK_FLOOR: i32 = 2;

/// What the host works with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSpec {
    /// Folders whose content it makes, changes and removes: its data, and workspaces. They must be there.
    pub write: Vec<PathBuf>,
    /// Files and folders that it reads: configuration, keys, certificates. One that is not there is passed over.
    pub read: Vec<PathBuf>,
}

/// What holds the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostConfinement {
    /// The Landlock ABI in force.
    pub landlock_abi: i32,
    /// How many system calls it may make.
    pub calls: usize,
    /// The capabilities that it kept, of those of root.
    pub capabilities: Vec<String>,
    /// What it tried afterwards; each was refused.
    pub probes: Vec<Probe>,
}

/// Files of the system that a server reads, as far as they are there.
const SYSTEM: [&str; 24] = [
    // Names: resolv.conf(5), hosts(5), nsswitch.conf(5), gai.conf(5), and where the first two lead on some systems
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/run/systemd/resolve",
    // Modules that nsswitch.conf names are loaded at the first name
    "/etc/ld.so.cache",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    // Authorities of TLS
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    // Time zones
    "/etc/localtime",
    "/etc/timezone",
    "/usr/share/zoneinfo",
    // How many processors it may use, sockets that listen here, who holds a lock. Of other processes Landlock leaves what
    // everybody may read: neither memory nor environment (PTRACE_MODE_READ, ptrace(2))
    "/proc",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    "/dev/urandom",
];

/// What root's host keeps, with the reason. Workspaces belong to others, who run their cells.
const KEPT: [(CapabilitySet, &str); 4] = [
    (CapabilitySet::DAC_OVERRIDE, "working on files of a workspace's owner"),
    (CapabilitySet::CHOWN, "giving a workspace's owner what is made or put back there"),
    (CapabilitySet::FOWNER, "modes and times of what is put back"),
    (CapabilitySet::KILL, "ending cells, which run as others"),
];

/// Takes away all that a host does not need. To be called once, when the launcher stands and what this process listens on
/// is open, while it has one thread.
///
/// # Errors
/// [`SandboxError::TooLate`] if it has more threads. [`SandboxError::NoWall`] for a layer that this machine lacks,
/// [`SandboxError::Step`] for one that could not be put up, [`SandboxError::NotHeld`] for one that does not hold. The
/// process is then confined in part, and is to end.
pub fn confine_host(spec: &HostSpec) -> Result<HostConfinement, SandboxError> {
    let threads = proc::threads().step("counting threads")?;
    if threads != 1 {
        return Err(SandboxError::TooLate(threads));
    }
    let dumpable = rustix::process::DumpableBehavior::NotDumpable;
    rustix::process::set_dumpable_behavior(dumpable).step("closing its memory to onlookers")?;
    let kept = drop_capabilities()?;
    let landlock_abi = landlock(spec)?;
    let program = filter::program(Profile::Host, false)?;
    sys::install_filter(&program, false).step("installing the list of system calls")?;
    let probes = attest::probes(landlock_abi, kept.0);
    if let Some(Probe { name, answer, .. }) = probes.iter().find(|probe| !probe.held) {
        return Err(SandboxError::NotHeld { name: format!("host: {name}"), answer: answer.clone() });
    }
    let calls = filter::listed(Profile::Host)?.iter().map(|listed| listed.number).collect::<Vec<_>>();
    let calls = calls.chunk_by(|a, b| a == b).count();
    Ok(HostConfinement { landlock_abi, calls, capabilities: kept.1, probes })
}

/// The first descriptor that a service manager hands over (sd_listen_fds(3)), once it has said that there is one: a copy,
/// so that nothing is taken from anybody if it has not.
///
/// # Errors
/// `EBADF` if it is not open.
pub fn handed_over() -> io::Result<OwnedFd> {
    const FIRST: RawFd = 3;
    sys::copy_of(FIRST)
}

/// Whether [`confine_host`] finds here what it needs, and what is missing otherwise.
pub(crate) fn lacks() -> Option<(String, &'static str)> {
    let abi = sys::landlock_abi();
    if abi < LANDLOCK_FLOOR {
        return Some((format!("Landlock ABI {abi}"), "a kernel from 5.19 on, started with `landlock` in lsm="));
    }
    (!sys::has_seccomp()).then(|| ("no seccomp".to_owned(), "a kernel with CONFIG_SECCOMP_FILTER"))
}

/// Keeps of root's powers those in [`KEPT`], and no way to get others back. Gives their bits and names.
fn drop_capabilities() -> Result<(u64, Vec<String>), SandboxError> {
    let wanted = KEPT.iter().fold(CapabilitySet::empty(), |all, (one, _)| all | *one);
    let held = rustix::thread::capabilities(None).step("reading capabilities")?;
    match sys::drop_bounding() {
        // Without CAP_SETPCAP, `no_new_privs` makes the bounding set moot.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {}
        other => other.step("dropping the bounding set")?,
    }
    rustix::thread::clear_ambient_capability_set().step("dropping ambient capabilities")?;
    let kept = held.permitted & wanted;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).step("dropping capabilities")?;
    rustix::thread::set_no_new_privs(true).step("setting no_new_privs")?;
    let names = kept.iter_names().map(|(name, _)| name.to_lowercase()).collect();
    Ok((kept.bits(), names))
}

/// Enters a Landlock domain with every right that kernel and crate know, but for two: connecting, for which the host is
/// there, and signals, which end cells. No file can be executed, no device or socket of others made, and no TCP port
/// listened on beside those that are open.
fn landlock(spec: &HostSpec) -> Result<i32, SandboxError> {
    if let Some((found, fix)) = lacks() {
        return Err(SandboxError::NoWall { found, fix: fix.to_owned() });
    }
    let version = sys::landlock_abi();
    let abi = ABI::from(version);
    let failed = |answer: String| SandboxError::Step { step: "entering the host's Landlock domain".into(), answer };
    let known = AccessFs::from_all(abi);
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let change = AccessFs::WriteFile | AccessFs::Truncate | AccessFs::RemoveFile | AccessFs::RemoveDir;
    let make = AccessFs::MakeReg | AccessFs::MakeDir | AccessFs::MakeSym | AccessFs::MakeSock | AccessFs::Refer;
    let mut rules: Vec<PathBeneath<_>> = Vec::new();
    let mut add = |path: &Path, rights: BitFlags<AccessFs>| -> io::Result<()> {
        let file = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let is_dir = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) == FileType::Directory;
        let rights = if is_dir { rights } else { rights & AccessFs::from_file(abi) };
        rules.push(PathBeneath::new(file, rights & known));
        Ok(())
    };
    for path in &spec.write {
        add(path, read | change | make).at(path, "make this folder, or name another")?;
    }
    for path in spec.read.iter().map(PathBuf::as_path).chain(SYSTEM.map(Path::new)) {
        match add(path, read) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(SandboxError::Path {
                    path: path.display().to_string(),
                    why: format!("{}; let this user read it, or name another", answer(&error)),
                });
            }
            _ => {}
        }
    }
    add(Path::new("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile).step("opening /dev/null")?;
    let apply = || {
        let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(known)?;
        if version >= 4 {
            ruleset = ruleset.handle_access(AccessNet::BindTcp)?;
        }
        if version >= 6 {
            ruleset = ruleset.scope(Scope::AbstractUnixSocket)?;
        }
        let mut created = ruleset.create()?;
        for rule in rules {
            created = created.add_rule(rule)?;
        }
        created.restrict_self()
    };
    let status = apply().map_err(|error: landlock::RulesetError| failed(error.to_string()))?;
    if status.ruleset != RulesetStatus::FullyEnforced || !status.no_new_privs {
        return Err(failed(format!("configured but not in force: {:?}", status.ruleset)));
    }
    Ok(version)
}
