//! What this machine offers, for `doctor`. Found out by trying, in processes that end at once; changes nothing.

use rustix::process::WaitOptions;
use serde::Serialize;

use crate::cgroup::{Offer, Version};
use crate::hardware;
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
    /// The walls of a host that takes connections ([`crate::confine_host`]), which are no part of a cell.
    pub host: Layer,
}

/// What decides the tier of cells.
#[derive(Debug, Clone, Copy)]
struct Facts {
    landlock_abi: i32,
    namespaces: bool,
    own_proc: bool,
    seccomp: bool,
    user: User,
}

impl Facts {
    fn tier(self) -> Option<Tier> {
        match (self.namespaces && self.own_proc, self.seccomp) {
            _ if self.user == User::NobodyElse => None,
            (true, true) if self.landlock_abi >= landlock_floor(Tier::Full) => Some(Tier::Full),
            (_, true) if self.landlock_abi >= landlock_floor(Tier::Narrow) => Some(Tier::Narrow),
            _ => None,
        }
    }
}

/// Looks at this machine. May be called in a process with threads.
#[must_use]
pub fn survey() -> Survey {
    let landlock_abi = sys::landlock_abi();
    let userns = user_namespaces(Trial::Tmpfs);
    let own_proc = if userns.is_ok() { user_namespaces(Trial::Proc) } else { Err("no namespaces".into()) };
    let user = user(userns.is_ok());
    let seccomp = sys::has_seccomp();
    let tier = Facts { landlock_abi, namespaces: userns.is_ok(), own_proc: own_proc.is_ok(), seccomp, user }.tier();
    let layer = |name: &str, there: bool, found: String, fix: &str| Layer {
        name: name.to_owned(),
        there,
        found,
        fix: if there { None } else { Some(fix.to_owned()) },
    };
    let (user_there, user_found, user_fix) = user.words();
    let id_mapped = id_mapped_mounts();
    let mut layers = vec![
        layer(
            "user-namespaces",
            userns.is_ok(),
            userns.clone().map_or_else(|answer| answer, |()| "can be made".into()),
            namespace_fix(),
        ),
        layer(
            "own-proc",
            own_proc.is_ok(),
            own_proc.map_or_else(|answer| answer, |()| "can be mounted".into()),
            "run outside of the container, or have it show /proc whole (docker: --security-opt systempaths=unconfined; \
             Kubernetes: procMount: Unmasked)",
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
    ];
    let facts = [cgroup(), hardware::core_sharing(), hardware::speculation(), hardware::memory_merging(), disk_quota()];
    layers.extend(facts.map(|Found { name, there, found, fix }| layer(name, there, found, fix)));
    let host = match crate::confine::lacks() {
        None => layer("host", true, format!("Landlock ABI {landlock_abi}, seccomp"), ""),
        Some((found, fix)) => layer("host", false, found, fix),
    };
    Survey { tier, landlock_abi, layers, host }
}

/// One layer as it was found.
pub(crate) struct Found {
    pub(crate) name: &'static str,
    pub(crate) there: bool,
    pub(crate) found: String,
    /// What gives it where it is missing.
    pub(crate) fix: &'static str,
}

/// What is mounted in namespaces of one's own, to see whether that may be done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trial {
    Tmpfs,
    /// The kernel refuses it where the one that is there is covered in part, as containers do.
    Proc,
}

/// Whether a process can have namespaces of its own *and* mount in them (which AppArmor may forbid on its own).
fn user_namespaces(trial: Trial) -> Result<(), String> {
    let child = match sys::clone(libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET) {
        Err(error) => return Err(crate::error::answer(&error)),
        // Nothing here allocates or locks: the process that was copied may have had other threads.
        Ok(Side::Child) => {
            let mounted = mount(if trial == Trial::Tmpfs { c"tmpfs" } else { c"proc" });
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

/// Makes a file system and a mount of it, attached nowhere.
fn mount(kind: &std::ffi::CStr) -> std::io::Result<usize> {
    const CREATE: usize = 6;
    let context = sys::probe(libc::SYS_fsopen, [kind.as_ptr() as usize, 0, 0, 0, 0, 0])?;
    sys::probe(libc::SYS_fsconfig, [context, CREATE, 0, 0, 0, 0])?;
    sys::probe(libc::SYS_fsmount, [context, 0, 0, 0, 0, 0])
}

/// Who a cell can be, which is never root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Which limits hold a cell as a whole here.
fn cgroup() -> Found {
    let offer = crate::cgroup::offer();
    let name = |version: Version| match version {
        Version::V1 => "version 1",
        Version::V2 => "version 2",
    };
    let (there, found) = match offer {
        Offer::Groups { version, processor: true } => {
            (true, format!("{}: memory, processes and processor", name(version)))
        }
        Offer::Groups { version, processor: false } => {
            (true, format!("{}: memory and processes; no processor", name(version)))
        }
        Offer::Closed { version } => (false, format!("{}, in which this user may make none", name(version))),
        Offer::None => (false, "none with memory and pids".into()),
    };
    let fix = "systemd-run --user --scope -p Delegate=yes autoshare ...; as root: mount cgroups with memory and pids";
    Found { name: "cgroup", there, found, fix }
}

/// Whether the kernel bounds what a workspace holds: what programs write there is otherwise only watched.
fn disk_quota() -> Found {
    let mounts = proc::read("/proc/self/mountinfo").unwrap_or_default();
    let with = with_project_quota(&mounts);
    let found = if with.is_empty() {
        "no file system with project quota".into()
    } else {
        format!("project quota on {}; whether a workspace has one is not looked at", with.join(", "))
    };
    let fix = "mount its file system with prjquota, and give the workspace a project with a limit: xfs_quota(8)";
    Found { name: "disk-quota", there: false, found, fix }
}

/// Where file systems with project quota are mounted (proc_pid_mountinfo(5); options of ext4(5) and xfs(5)).
fn with_project_quota(mounts: &str) -> Vec<&str> {
    let named = |line: &'_ str| -> bool {
        let options = line.rsplit(' ').next().unwrap_or_default();
        options.split(',').any(|option| matches!(option, "prjquota" | "pquota"))
    };
    mounts.lines().filter(|line| named(line)).filter_map(|line| line.split(' ').nth(4)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tier_is_what_the_layers_give() {
        use User::{Anybody, NobodyElse, OwnerOnly, Starter};
        let all = Facts { landlock_abi: 7, namespaces: true, own_proc: true, seccomp: true, user: Starter };
        #[rustfmt::skip]
        let rows = [
            ("a present kernel",                        all,                                                      Some(Tier::Full)),
            ("started by root",                         Facts { user: Anybody, ..all },                           Some(Tier::Full)),
            ("Landlock of 5.19",                        Facts { landlock_abi: 2, ..all },                         Some(Tier::Full)),
            ("Landlock of 5.13",                        Facts { landlock_abi: 1, ..all },                         None),
            ("no Landlock",                             Facts { landlock_abi: 0, ..all },                         None),
            ("no namespaces",                           Facts { namespaces: false, own_proc: false, ..all },      Some(Tier::Narrow)),
            ("no namespaces, Landlock before scopes",   Facts { namespaces: false, landlock_abi: 5, ..all },      None),
            ("a container that covers /proc",           Facts { own_proc: false, ..all },                         Some(Tier::Narrow)),
            ("such a container on an older kernel",     Facts { own_proc: false, landlock_abi: 5, ..all },        None),
            ("no seccomp",                              Facts { seccomp: false, ..all },                          None),
            ("root that can be nobody else",            Facts { user: NobodyElse, ..all },                        None),
            ("root without namespaces",                 Facts { user: OwnerOnly, namespaces: false, ..all },      Some(Tier::Narrow)),
        ];
        for (what, facts, tier) in rows {
            assert_eq!(facts.tier(), tier, "{what}");
        }
    }

    #[test]
    fn project_quota_is_found_among_mount_options() {
        let mounts = "30 1 8:1 / / rw,relatime - ext4 /dev/a rw,errors=remount-ro\n\
                      31 1 8:2 / /srv rw - xfs /dev/b rw,attr2,prjquota\n\
                      32 1 8:3 / /home rw - ext4 /dev/c rw,usrquota\n";
        assert_eq!(with_project_quota(mounts), ["/srv"]);
    }
}
