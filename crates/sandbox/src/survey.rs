//! What this machine offers, for `doctor`. Found out by trying, in processes that end at once; changes nothing.

use rustix::process::WaitOptions;
use serde::Serialize;

use crate::making::STRANGER;
use crate::seal::landlock_floor;
use crate::sys::{self, Side};
use crate::{Tier, proc};

/// One layer on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Its stable name.
    pub name: String,
    /// Whether it can be had here.
    pub there: bool,
    /// What was found.
    pub found: String,
    /// What gives it, if it is missing.
    pub fix: Option<String>,
}

/// What this machine offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// The tier that cells get here; `None` if there can be no cell.
    pub tier: Option<Tier>,
    /// The Landlock ABI of the kernel; 0 if none.
    pub landlock_abi: i32,
    /// Each layer.
    pub layers: Vec<Layer>,
}

/// Looks at this machine. May be called in a process with threads.
#[must_use]
pub fn survey() -> Survey {
    let landlock_abi = sys::landlock_abi();
    let userns = user_namespaces();
    let user = user(userns.is_ok());
    let seccomp = sys::has_seccomp();
    let tier = match (userns.is_ok(), seccomp) {
        _ if user == User::NobodyElse => None,
        (true, true) if landlock_abi >= landlock_floor(Tier::Full) => Some(Tier::Full),
        (_, true) if landlock_abi >= landlock_floor(Tier::Narrow) => Some(Tier::Narrow),
        _ => None,
    };
    let layer = |name: &str, there: bool, found: String, fix: &str| Layer {
        name: name.to_owned(),
        there,
        found,
        fix: if there { None } else { Some(fix.to_owned()) },
    };
    let (user_there, user_found, user_fix) = user.words();
    let id_mapped = id_mapped_mounts();
    let (cgroup_there, cgroup_found) = cgroups();
    let layers = vec![
        layer(
            "user-namespaces",
            userns.is_ok(),
            userns.map_or_else(|answer| answer, |()| "can be made".into()),
            namespace_fix(),
        ),
        layer("user", user_there, user_found.to_owned(), user_fix),
        layer(
            "landlock",
            landlock_abi >= landlock_floor(Tier::Narrow),
            format!("ABI {landlock_abi}, errata fixed {:#x}", landlock::Erratum::current().bits()),
            "a kernel from 6.12 on, started with `landlock` in lsm= (full cells need ABI 2, narrow ones 6)",
        ),
        layer(
            "seccomp",
            seccomp,
            if seccomp { "filters" } else { "none" }.into(),
            "a kernel with CONFIG_SECCOMP_FILTER",
        ),
        layer(
            "id-mapped-mounts",
            id_mapped,
            if id_mapped { "the kernel has them" } else { "none" }.into(),
            "a kernel from 5.12 on; without it, a workspace must not belong to root",
        ),
        layer(
            "cgroup",
            cgroup_there,
            cgroup_found,
            "systemd-run --user --scope -p Delegate=yes autoshare ... (limits are rlimits until then)",
        ),
    ];
    Survey { tier, landlock_abi, layers }
}

/// Whether a process can have namespaces of its own *and* mount in them (which AppArmor may forbid on its own).
fn user_namespaces() -> Result<(), String> {
    let child = match sys::clone(libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET) {
        Err(error) => return Err(crate::error::answer(&error)),
        // Nothing here allocates or locks: the process that was copied may have had other threads.
        Ok(Side::Child) => {
            let mounted = sys::probe(libc::SYS_fsopen, [c"tmpfs".as_ptr() as usize, 0, 0, 0, 0, 0]);
            sys::exit_now(mounted.err().and_then(|error| error.raw_os_error()).unwrap_or(0))
        }
        Ok(Side::Parent(pid, _)) => pid,
    };
    match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
        Ok(Some((_, status))) => match status.exit_status() {
            Some(0) => Ok(()),
            Some(errno) => Err(format!("made, but mounting in them: {}", crate::error::errno_text(errno))),
            None => Err("the trial was killed".into()),
        },
        _ => Err("the trial was lost".into()),
    }
}

/// Who a cell can be, which is never root.
#[derive(Clone, Copy, PartialEq, Eq)]
enum User {
    /// Whoever started it.
    Starter,
    /// Started by root: the workspace's owner, or a stranger that id-mapped mounts let work for root.
    Anybody,
    /// Started by root, without user namespaces: the workspace's owner, if that is not root.
    OwnerOnly,
    /// Started by the root of a user namespace that knows no other id.
    NobodyElse,
}

impl User {
    const fn words(self) -> (bool, &'static str, &'static str) {
        match self {
            Self::Starter => (true, "the one who started it", ""),
            Self::Anybody => (true, "the workspace's owner; for root's, a stranger", ""),
            Self::OwnerOnly => (
                false,
                "the workspace's owner, which must not be root",
                "start as an ordinary user, or allow namespaces",
            ),
            Self::NobodyElse => (
                false,
                "root, and no other id is known here",
                "start outside of this user namespace (unshare -r), or map \
                  more ids (unshare --map-auto)",
            ),
        }
    }
}

fn user(namespaces: bool) -> User {
    if !rustix::process::geteuid().is_root() {
        return User::Starter;
    }
    let ranges = |file: &str| -> Vec<(u32, u64)> {
        let text = proc::read(file).unwrap_or_default();
        let range = |line: &str| {
            let mut fields = line.split_whitespace();
            Some((fields.next()?.parse().ok()?, fields.nth(1)?.parse().ok()?))
        };
        text.lines().filter_map(range).collect()
    };
    let (uids, gids) = (ranges("/proc/self/uid_map"), ranges("/proc/self/gid_map"));
    // What an id-mapped mount maps: every id up to the stranger's.
    let reaches = |ranges: &[(u32, u64)]| ranges.iter().any(|(first, ids)| *first == 0 && *ids > u64::from(STRANGER));
    if uids.iter().map(|(_, ids)| ids).sum::<u64>() <= 1 {
        User::NobodyElse
    } else if namespaces && reaches(&uids) && reaches(&gids) {
        User::Anybody
    } else {
        User::OwnerOnly
    }
}

fn namespace_fix() -> &'static str {
    let zero = |path: &str| proc::read(path).is_ok_and(|text| text.trim() == "0");
    let one = |path: &str| proc::read(path).is_ok_and(|text| text.trim() == "1");
    if one("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") {
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    } else if zero("/proc/sys/kernel/unprivileged_userns_clone") {
        "sudo sysctl -w kernel.unprivileged_userns_clone=1"
    } else if zero("/proc/sys/user/max_user_namespaces") {
        "sudo sysctl -w user.max_user_namespaces=65536"
    } else {
        "run outside of the container, or allow it the calls clone, unshare, mount and pivot_root"
    }
}

fn id_mapped_mounts() -> bool {
    // An empty change of no mount: the kernel that knows the call complains about the descriptor.
    let size = size_of::<sys::MountAttr>();
    let attr = sys::MountAttr::default();
    let args = [usize::MAX, c"".as_ptr() as usize, libc::AT_EMPTY_PATH as usize, (&raw const attr) as usize, size, 0];
    !sys::probe(libc::SYS_mount_setattr, args).is_err_and(|error| error.raw_os_error() == Some(libc::ENOSYS))
}

/// Whether limits can be set for groups of processes here: only cgroup v2 that this user may write to counts.
fn cgroups() -> (bool, String) {
    let own = proc::read("/proc/self/cgroup").unwrap_or_default();
    let version_1 = own.lines().any(|line| line.contains(":memory:") || line.contains(":pids:"));
    let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::")) else {
        return (false, if version_1 { "version 1".into() } else { "none".into() });
    };
    if version_1 {
        return (false, "version 1 (and 2 without controllers)".into());
    }
    let dir = format!("/sys/fs/cgroup{}", path.trim_end_matches('/'));
    let delegated = rustix::fs::access(format!("{dir}/cgroup.procs"), rustix::fs::Access::WRITE_OK).is_ok();
    (delegated, if delegated { "version 2, delegated".into() } else { "version 2, not delegated".into() })
}
