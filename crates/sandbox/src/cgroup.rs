//! Groups of processes with limits of their own: cgroups, of version 2 or 1, whichever is mounted with the controllers
//! that are needed (cgroups(7), and the kernel's `admin-guide/cgroup-v1` and `cgroup-v2`).
//!
//! The launcher makes one directory of its own and in it one group a cell. A group that has become empty is used again
//! for the next cell, since making one costs more than all namespaces together.

use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::process::Pid;

use crate::proc;
use crate::spec::CellLimits;
use crate::sys::{self, Side};

/// Microseconds over which processor time is shared out.
const PERIOD_US: u64 = 100_000;
/// What a group has for its part of the processors unless something else is written, in version 1. In version 2 it is 100.
const SHARES: u64 = 1_024;
/// Empty groups that are kept for use.
const MOST_IDLE: usize = 8;
/// Bytes that a group may be charged for and still be used again.
const MOST_LEFT: u64 = 1 << 20;
/// What the directories of launchers are called, before their process number.
const PREFIX: &str = "autoshare-";

/// Which interface the kernel offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// What a group counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Controller {
    Memory,
    Processes,
    Processor,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Processes, Self::Processor];

    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "pids",
            Self::Processor => "cpu",
        }
    }

    /// Files and what is written to them; the last column says whether the kernel may lack the file.
    fn settings(self, version: Version, limits: &CellLimits) -> Vec<(&'static str, String, bool)> {
        let quota = limits.cpu_percent.saturating_mul(PERIOD_US / 100);
        match (self, version) {
            (Self::Memory, Version::V1) => vec![
                ("memory.limit_in_bytes", limits.memory.to_string(), false),
                ("memory.memsw.limit_in_bytes", limits.memory.to_string(), true),
            ],
            (Self::Memory, Version::V2) => {
                vec![("memory.max", limits.memory.to_string(), false), ("memory.swap.max", "0".to_owned(), true)]
            }
            (Self::Processes, _) => vec![("pids.max", limits.processes.to_string(), false)],
            (Self::Processor, Version::V1) => {
                let shares = limits.cpu_weight.saturating_mul(SHARES) / 100;
                vec![("cpu.cfs_quota_us", quota.to_string(), true), ("cpu.shares", shares.to_string(), true)]
            }
            (Self::Processor, Version::V2) => vec![
                ("cpu.max", format!("{quota} {PERIOD_US}"), true),
                ("cpu.weight", limits.cpu_weight.to_string(), true),
            ],
        }
    }
}

/// Where groups are made.
#[derive(Debug)]
pub(crate) struct Groups {
    version: Version,
    /// The launcher's own directories: with version 1 one a controller, with version 2 one for all.
    bases: Vec<(PathBuf, Vec<Controller>)>,
    made: u64,
    idle: Vec<Group>,
}

/// One cell's group.
#[derive(Debug)]
pub(crate) struct Group {
    version: Version,
    dirs: Vec<(PathBuf, Vec<Controller>)>,
    /// What it is limited to, if it is.
    limits: Option<CellLimits>,
    used: bool,
    /// Counts of its earlier use.
    before: Strain,
}

/// What met its limit in a group so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Strain {
    /// Processes that the kernel ended because the cell had no memory left.
    pub out_of_memory: u64,
    /// Processes that were not started because there were too many.
    pub processes_refused: u64,
}

impl Groups {
    /// Where this process may make groups; `None` if nowhere.
    pub(crate) fn find(launcher: Pid) -> Option<Self> {
        let own = proc::read("/proc/self/cgroup").ok()?;
        let mounts = proc::read("/proc/self/mountinfo").ok()?;
        let places = places(&own, &mounts);
        let name = format!("{PREFIX}{}", launcher.as_raw_nonzero());
        version_1(&places, &name).or_else(|| version_2(&places, &name))
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// An empty group, which has yet to be limited.
    pub(crate) fn take(&mut self) -> io::Result<Group> {
        if let Some(mut group) = self.idle.pop() {
            (group.before, group.used) = (group.counts(), true);
            return Ok(group);
        }
        self.made += 1;
        let mut group =
            Group { version: self.version, dirs: Vec::new(), limits: None, used: false, before: Strain::default() };
        for (base, controllers) in &self.bases {
            let dir = base.join(format!("cell-{}", self.made));
            rustix::fs::mkdirat(CWD, &dir, Mode::from_raw_mode(0o755))?;
            group.dirs.push((dir, controllers.clone()));
        }
        Ok(group)
    }

    /// Takes a group back in which nothing runs any more. One whose limits are in doubt is let go, and so is one that is
    /// charged for what its last cell left in memory (a file on a tmpfs stays there): the next cell would pay for it.
    pub(crate) fn give_back(&mut self, group: Group) {
        if self.idle.len() < MOST_IDLE && group.limits.is_some() && group.left_in_memory() <= MOST_LEFT {
            self.idle.push(group);
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.idle.clear();
        for (base, _) in &self.bases {
            let _ = rustix::fs::unlinkat(CWD, base, AtFlags::REMOVEDIR);
        }
    }
}

impl Group {
    /// Limits all that is in it together.
    pub(crate) fn limit(&mut self, limits: &CellLimits) -> io::Result<()> {
        let key = |limits: &CellLimits| (limits.memory, limits.processes, limits.cpu_percent, limits.cpu_weight);
        if self.limits.as_ref().is_some_and(|old| key(old) == key(limits)) {
            return Ok(());
        }
        let more = self.limits.take().is_some_and(|old| old.memory < limits.memory);
        for (dir, controllers) in &self.dirs {
            for controller in controllers {
                let mut settings = controller.settings(self.version, limits);
                if more {
                    // Memory with swap is never to be less than memory.
                    settings.reverse();
                }
                for (file, text, optional) in settings {
                    match write(&dir.join(file), &text) {
                        Err(_) if optional => {}
                        other => other?,
                    }
                }
            }
        }
        self.limits = Some(*limits);
        Ok(())
    }

    /// Moves this process in, which has one thread; what it starts from then on is in as well.
    ///
    /// Moving another process, or all threads of one, waits for a grace period of the kernel's (milliseconds); a single
    /// thread that moves itself does not (`cgroup_procs_write_start` in the kernel's `cgroup.c`).
    pub(crate) fn enter(&self) -> io::Result<()> {
        let file = match self.version {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.procs",
        };
        self.dirs.iter().try_for_each(|(dir, _)| write(&dir.join(file), "0"))
    }

    /// Lets no process be started in it any more.
    pub(crate) fn close(&self) {
        for (dir, _) in self.dirs.iter().filter(|(_, controllers)| controllers.contains(&Controller::Processes)) {
            let _ = write(&dir.join("pids.max"), "0");
        }
    }

    /// What met its limit since it was taken.
    pub(crate) fn strain(&self) -> Strain {
        let now = self.counts();
        Strain {
            out_of_memory: now.out_of_memory.saturating_sub(self.before.out_of_memory),
            processes_refused: now.processes_refused.saturating_sub(self.before.processes_refused),
        }
    }

    /// Whether cells were in it before.
    pub(crate) const fn is_used(&self) -> bool {
        self.used
    }

    /// Bytes of files in memory that the group is charged for (`shmem` of `memory.stat`, in both versions).
    fn left_in_memory(&self) -> u64 {
        let of_memory = self.dirs.iter().find(|(_, controllers)| controllers.contains(&Controller::Memory));
        let text = of_memory.and_then(|(dir, _)| proc::read(&dir.join("memory.stat").display().to_string()).ok());
        let line = text.as_ref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("shmem ")));
        line.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0)
    }

    fn counts(&self) -> Strain {
        let of = |controller: Controller, file: &str, key: &str| {
            let dir = self.dirs.iter().find(|(_, controllers)| controllers.contains(&controller));
            let text = dir.and_then(|(dir, _)| proc::read(&dir.join(file).display().to_string()).ok());
            let line = text.as_ref().and_then(|text| text.lines().find_map(|line| line.strip_prefix(key)));
            line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
        };
        let memory = match self.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        Strain {
            out_of_memory: of(Controller::Memory, memory, "oom_kill "),
            processes_refused: of(Controller::Processes, "pids.events", "max "),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for (dir, _) in &self.dirs {
            let _ = rustix::fs::unlinkat(CWD, dir, AtFlags::REMOVEDIR);
        }
    }
}

/// What this machine offers, as far as it can be told without making anything.
pub(crate) enum Offer {
    /// Groups can be made.
    Groups {
        version: Version,
        /// Whether they bound processor time.
        processor: bool,
    },
    /// There are some, in which this user may make none.
    Closed { version: Version },
    /// There are none with the controllers that are needed.
    None,
}

/// Looks for where [`Groups::find`] would make them.
pub(crate) fn offer() -> Offer {
    let own = proc::read("/proc/self/cgroup").unwrap_or_default();
    let mounts = proc::read("/proc/self/mountinfo").unwrap_or_default();
    let places = places(&own, &mounts);
    let open = |dir: &Path| rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok();
    let of = |controller: Controller| {
        let has = |place: &&Place| place.controllers.iter().any(|known| known == controller.name());
        places.iter().find(has).map(|place| open(&place.own))
    };
    if let (Some(memory), Some(processes)) = (of(Controller::Memory), of(Controller::Processes)) {
        let version = Version::V1;
        let processor = of(Controller::Processor) == Some(true);
        return if memory && processes { Offer::Groups { version, processor } } else { Offer::Closed { version } };
    }
    let Some(place) = places.iter().find(|place| place.version == Version::V2) else { return Offer::None };
    let has = |dir: &Path, file: &str, name: &str| {
        let text = proc::read(&dir.join(file).display().to_string()).unwrap_or_default();
        text.split_whitespace().any(|known| known == name)
    };
    let version = Version::V2;
    let needed = |dir: &Path, file: &str| has(dir, file, "memory") && has(dir, file, "pids");
    let mut above = place.own.ancestors().take_while(|dir| dir.starts_with(&place.mount));
    if let Some(dir) = above.find(|dir| needed(dir, "cgroup.subtree_control") && open(dir)) {
        return Offer::Groups { version, processor: has(dir, "cgroup.subtree_control", "cpu") };
    }
    match needed(&place.own, "cgroup.controllers") {
        true if open(&place.own) && is_ours(&place.own) => {
            Offer::Groups { version, processor: has(&place.own, "cgroup.controllers", "cpu") }
        }
        true => Offer::Closed { version },
        false => Offer::None,
    }
}

/// Makes a process with namespaces of its own ([`sys::clone`]); says whether there is a group that it has to
/// [`Group::enter`] still.
pub(crate) fn clone(group: Option<&Group>, namespaces: libc::c_int) -> io::Result<(Side, bool)> {
    let Some(group) = group else { return Ok((sys::clone(namespaces)?, false)) };
    if let (Version::V2, Some((dir, _))) = (group.version, group.dirs.first()) {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(CWD, dir, flags, Mode::empty())?;
        // Kernels before 5.7, and filters of containers, do not know how.
        if let Ok(side) = sys::clone_into(namespaces, dir.as_fd()) {
            return Ok((side, false));
        }
    }
    Ok((sys::clone(namespaces)?, true))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    proc::write(&path.display().to_string(), text)
}

/// A hierarchy that is mounted, and where this process is in it.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    version: Version,
    controllers: Vec<String>,
    mount: PathBuf,
    own: PathBuf,
}

/// The hierarchies of `/proc/self/cgroup` that `/proc/self/mountinfo` shows mounted (proc_pid_mountinfo(5)).
fn places(own: &str, mounts: &str) -> Vec<Place> {
    let mut places = Vec::new();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let (mut left, mut right) = (left.split(' ').skip(3), right.split(' '));
        let (Some(root), Some(mount), Some(kind)) = (left.next(), left.next(), right.next()) else { continue };
        let options: Vec<&str> = right.nth(1).unwrap_or_default().split(',').collect();
        let version = match kind {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => continue,
        };
        for line in own.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
            let is_it = match version {
                Version::V1 => !controllers.is_empty() && controllers.split(',').all(|name| options.contains(&name)),
                Version::V2 => controllers.is_empty(),
            };
            // In a container the mount shows a part of the hierarchy, which the path may begin with.
            let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or(path).trim_start_matches('/');
            if is_it {
                places.push(Place {
                    version,
                    controllers: controllers.split(',').map(str::to_owned).collect(),
                    mount: PathBuf::from(mount),
                    own: Path::new(mount).join(below),
                });
            }
        }
    }
    places
}

fn make(dir: &Path) -> bool {
    matches!(rustix::fs::mkdirat(CWD, dir, Mode::from_raw_mode(0o755)), Ok(()) | Err(rustix::io::Errno::EXIST))
}

fn version_1(places: &[Place], name: &str) -> Option<Groups> {
    let mut bases = Vec::new();
    for controller in Controller::ALL {
        let place = places.iter().find(|place| place.controllers.iter().any(|known| known == controller.name()));
        let base = place.map(|place| (place, place.own.join(name))).filter(|(_, base)| make(base));
        match base {
            Some((place, base)) => {
                remove_stale(&place.own);
                bases.push((base, vec![controller]));
            }
            // Processor time has a limit a process as well.
            None if controller == Controller::Processor => {}
            None => {
                for (base, _) in &bases {
                    let _ = rustix::fs::unlinkat(CWD, base, AtFlags::REMOVEDIR);
                }
                return None;
            }
        }
    }
    Some(Groups { version: Version::V1, bases, made: 0, idle: Vec::new() })
}

/// The nearest directory above this process's own that hands on memory and process counts, or its own if nobody but this
/// program is in it: a group that has groups below it holds no process itself.
fn version_2(places: &[Place], name: &str) -> Option<Groups> {
    let place = places.iter().find(|place| place.version == Version::V2)?;
    let hands_on = |dir: &Path| {
        let text = proc::read(&dir.join("cgroup.subtree_control").display().to_string()).unwrap_or_default();
        let names: Vec<&str> = text.split_whitespace().collect();
        names.contains(&"memory") && names.contains(&"pids")
    };
    let mut above = place.own.ancestors().take_while(|dir| dir.starts_with(&place.mount));
    let parent = above
        .find(|dir| hands_on(dir) && make(&dir.join(name)))
        .map(Path::to_owned)
        .or_else(|| ours_alone(&place.own).filter(|dir| hands_on(dir) && make(&dir.join(name))))?;
    remove_stale(&parent);
    let base = parent.join(name);
    // What the parent hands on is handed on again.
    for controller in Controller::ALL {
        let _ = write(&base.join("cgroup.subtree_control"), &format!("+{}", controller.name()));
    }
    let bases = vec![(base, Controller::ALL.to_vec())];
    Some(Groups { version: Version::V2, bases, made: 0, idle: Vec::new() })
}

/// Makes a group that holds this program alone hand on its controllers, by moving the program one down.
fn ours_alone(dir: &Path) -> Option<PathBuf> {
    if !is_ours(dir) {
        return None;
    }
    let procs = proc::read(&dir.join("cgroup.procs").display().to_string()).ok()?;
    let leaf = dir.join("autoshare.host");
    if !make(&leaf) {
        return None;
    }
    for line in procs.lines() {
        write(&leaf.join("cgroup.procs"), line.trim()).ok()?;
    }
    for controller in Controller::ALL {
        let _ = write(&dir.join("cgroup.subtree_control"), &format!("+{}", controller.name()));
    }
    Some(dir.to_owned())
}

/// Whether a group holds this process, or its parent as well, and nobody else.
fn is_ours(dir: &Path) -> bool {
    let procs = proc::read(&dir.join("cgroup.procs").display().to_string()).unwrap_or_default();
    let ours = [Some(rustix::process::getpid()), rustix::process::getppid()];
    let is_ours = |line: &str| {
        let pid = line.trim().parse().ok().and_then(Pid::from_raw);
        pid.is_some() && ours.contains(&pid)
    };
    procs.lines().count() > 0 && procs.lines().all(is_ours)
}

/// Removes what launchers left that were killed: theirs are empty, and the kernel keeps those that are not.
fn remove_stale(parent: &Path) {
    for dir in proc::folders(parent).into_iter().filter(|name| name.starts_with(PREFIX)) {
        let number = dir.strip_prefix(PREFIX).and_then(|number| number.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = number else { continue };
        if rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH) {
            continue;
        }
        let dir = parent.join(dir);
        for cell in proc::folders(&dir) {
            let _ = rustix::fs::unlinkat(CWD, dir.join(cell), AtFlags::REMOVEDIR);
        }
        let _ = rustix::fs::unlinkat(CWD, &dir, AtFlags::REMOVEDIR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_where_they_are_mounted() {
        let own = "9:name=systemd:/\n8:pids:/user/7\n4:memory:/user/7\n2:cpu,cpuacct:/\n0::/user.slice/x\n";
        let mounts = "30 24 0:26 / /sys/fs/cgroup/pids rw shared:9 - cgroup cgroup rw,pids\n\
                      31 24 0:27 /user /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      32 24 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                      33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                      34 24 0:30 / /proc rw - proc proc rw\n";
        let found: Vec<(String, String)> = places(own, mounts)
            .into_iter()
            .map(|place| (place.controllers.join(","), place.own.display().to_string()))
            .collect();
        let wanted = [
            ("pids", "/sys/fs/cgroup/pids/user/7"),
            // In a container a part of the hierarchy is mounted.
            ("memory", "/sys/fs/cgroup/memory/7"),
            ("cpu,cpuacct", "/sys/fs/cgroup/cpu/"),
            ("", "/sys/fs/cgroup/unified/user.slice/x"),
        ];
        let wanted: Vec<_> = wanted.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(found, wanted);
    }

    /// A hierarchy of version 2 as plain files, since the kernel of the tests may give its controllers to version 1.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "plain files stand in for the kernel's")]
    fn version_2_is_entered_where_controllers_are_handed_on() {
        let tree = tempfile::tempdir().unwrap();
        let at = |path: &str| tree.path().join(path);
        std::fs::create_dir_all(at("user.slice/session")).unwrap();
        let place = |own: &str| Place {
            version: Version::V2,
            controllers: vec![String::new()],
            mount: tree.path().to_owned(),
            own: at(own),
        };
        std::fs::write(at("user.slice/cgroup.subtree_control"), "cpu memory pids\n").unwrap();
        let mut groups = version_2(&[place("user.slice/session")], "autoshare-1").unwrap();
        assert_eq!(groups.bases[0].0, at("user.slice/autoshare-1"));
        // The kernel's own files are there as soon as a directory is.
        let limits =
            CellLimits { memory: 1 << 20, processes: 7, cpu_percent: 150, cpu_weight: 20, ..CellLimits::default() };
        let mut group = groups.take().unwrap();
        group.limit(&limits).unwrap();
        let read = |file: &str| std::fs::read_to_string(group.dirs[0].0.join(file)).unwrap();
        assert_eq!((read("memory.max"), read("memory.swap.max")), ("1048576".into(), "0".into()));
        assert_eq!((read("pids.max"), read("cpu.max")), ("7".into(), "150000 100000".into()));
        assert_eq!(read("cpu.weight"), "20");
        group.enter().unwrap();
        assert_eq!(read("cgroup.procs"), "0");

        // Nothing is handed on, and others are in the group: it is left alone.
        std::fs::create_dir_all(at("foreign")).unwrap();
        std::fs::write(at("foreign/cgroup.procs"), "1\n2\n").unwrap();
        assert!(version_2(&[place("foreign")], "autoshare-1").is_none());
        assert!(!at("foreign/autoshare.host").exists());
    }

    /// Without the controllers of a version 2 hierarchy, where version 1 has them, processes can be born in its groups.
    #[test]
    fn a_process_is_born_in_its_group_or_joins_it() {
        let own = proc::read("/proc/self/cgroup").unwrap();
        let mounts = proc::read("/proc/self/mountinfo").unwrap();
        let places = places(&own, &mounts);
        let Some(place) = places.iter().find(|place| place.version == Version::V2) else {
            println!("not applicable: no hierarchy of version 2 is mounted");
            return;
        };
        let base = place.own.join(format!("{PREFIX}{}", std::process::id()));
        if !make(&base) {
            assert!(!rustix::process::geteuid().is_root(), "root may make groups");
            println!("not applicable: this user may make no group in {}", place.own.display());
            return;
        }
        let bases = vec![(base.clone(), Vec::new())];
        let mut groups = Groups { version: Version::V2, bases, made: 0, idle: Vec::new() };
        let group = groups.take().unwrap();
        // Nothing here allocates in the child: this process has other threads.
        let (side, must_enter) = clone(Some(&group), 0).unwrap();
        let (pid, pidfd) = match side {
            Side::Child => loop {
                let _ = sys::probe(libc::SYS_ppoll, [0; 6]);
            },
            Side::Parent(pid, pidfd) => (pid, pidfd),
        };
        let of_it = proc::read(&format!("/proc/{}/cgroup", pid.as_raw_nonzero())).unwrap();
        rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL).unwrap();
        rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).unwrap();
        assert_eq!(of_it.contains(&format!("{PREFIX}{}/cell-1", std::process::id())), !must_enter, "{of_it}");
        assert!(!must_enter, "a kernel from 5.7 on bears it there");
        drop((group, groups));
        assert!(!base.exists());
    }

    #[test]
    fn a_group_is_used_again_and_nothing_is_left() {
        let pid = rustix::process::getpid();
        let Some(mut groups) = Groups::find(pid) else {
            // As an ordinary user without delegation: then nothing may be there either.
            assert!(!rustix::process::geteuid().is_root(), "root may make groups");
            return;
        };
        let bases: Vec<PathBuf> = groups.bases.iter().map(|(base, _)| base.clone()).collect();
        let in_force = |group: &Group| {
            let read = |file: &str| {
                let read = |(dir, _): &(PathBuf, _)| proc::read(&dir.join(file).display().to_string()).ok();
                group.dirs.iter().find_map(read).map(|text| text.trim().parse::<u64>().unwrap())
            };
            let memory = read("memory.limit_in_bytes").or_else(|| read("memory.max"));
            (memory.unwrap(), read("pids.max").unwrap())
        };
        let mut group = groups.take().unwrap();
        let dirs = group.dirs.clone();
        for (memory, processes) in [(64 << 20, 7), (128 << 20, 9), (32 << 20, 8)] {
            group.limit(&CellLimits { memory, processes, ..CellLimits::default() }).unwrap();
            assert_eq!(in_force(&group), (memory, processes));
            groups.give_back(group);
            group = groups.take().unwrap();
            assert_eq!(group.dirs, dirs);
        }
        let other = groups.take().unwrap();
        assert_ne!(other.dirs, dirs);
        drop((group, other, groups));
        assert!(bases.iter().all(|base| !base.exists()), "{bases:?}");
    }
}
