//! The full tier's own root: a tmpfs with read-only system directories and the roots, and nothing else of the host.
//!
//! Runs inside the new namespaces, with the capabilities that a new user namespace gives, before [`crate::seal`] takes
//! them away. Everything is done on handles: no path of the old root is looked up twice.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use autoshare_core::event::RootMode;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use crate::error::Step;
use crate::spec::{CellSpec, InsideRoot, Only, RootSpec, Work};
use crate::sys::{self, MountAttr, NODEV, NOEXEC, NOSUID, RDONLY, Recursive};
use crate::{SandboxError, Tier};

/// The cell's uid and gid inside its user namespace: not 0, so that nothing takes it for root.
pub(crate) const INSIDE_ID: u32 = 1000;

/// What covers what is hidden.
const VOID: &str = ".void";
const VOID_FILE: &str = ".void-file";

const HINT: &str = "it cannot be kept from the cell: it must be no link, nor lie behind one";
const FIX: &str = "`autoshare doctor` says what this machine needs for full cells";

/// What the host offers read-only. A link stays a link, what is missing stays missing.
/// Of Nix nothing but the store: beside it lies the socket of a daemon that builds, and fetches, for whoever asks.
pub const SYSTEM: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"];
/// Files of `/etc` that programs need and that say nothing about this host.
const ETC: [&str; 6] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/localtime",
];
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

const MADE: [(&str, &str); 4] = [
    ("etc/passwd", "cell:x:1000:1000:cell:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"),
    ("etc/group", "cell:x:1000:\nnogroup:x:65534:\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
];

/// Trees that the launcher took because only root can: by place in the specification.
pub(crate) type Trees = BTreeMap<usize, OwnedFd>;

/// Builds what of the root is the same for all cells of a kind.
pub(crate) fn found(work: Work) -> Result<OwnedFd, SandboxError> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).offered(
        Tier::Full,
        "making the mounts private",
        FIX,
    )?;
    let root = tmpfs(&[("size", "1m"), ("nr_inodes", "512"), ("mode", "0755")], NOSUID | NODEV).offered(
        Tier::Full,
        "making a root of its own",
        FIX,
    )?;
    attach(&root, CWD, Path::new("/")).offered(Tier::Full, "placing the root", FIX)?;
    system(&root).step("placing the system directories")?;
    rustix::fs::mkdirat(&root, VOID, Mode::empty()).step("making an empty folder")?;
    make_file(&root, VOID_FILE, "", 0).step("making an empty file")?;
    devices(&root).step("placing /dev")?;
    if work == Work::Programs {
        terminals(&root).offered(Tier::Full, "making terminals of its own", FIX)?;
    }
    proc(&root, work).offered(Tier::Full, "mounting /proc", "a container hides parts of /proc: run outside of it")?;
    Ok(root)
}

/// Adds the roots, moves into the root that was founded, and returns handles on them. `sockets` are the host's own below
/// them.
pub(crate) fn furnish(
    root: &OwnedFd,
    spec: &CellSpec,
    trees: &Trees,
    sockets: &[PathBuf],
) -> Result<Vec<InsideRoot>, SandboxError> {
    let own = spec.roots.iter().enumerate().filter(|(place, _)| !trees.contains_key(place));
    let opened = own.map(|(place, root)| Ok((place, take(root, None)?))).collect::<Result<Trees, SandboxError>>()?;

    let tmp_size = spec.limits.tmp_bytes.to_string();
    let tmp_files = spec.limits.tmp_files.to_string();
    tmpfs(&[("size", &tmp_size), ("nr_inodes", &tmp_files), ("mode", "1777")], NOSUID | NODEV)
        .and_then(|tmp| place(root, &tmp, Path::new("tmp")))
        .step("placing /tmp")?;

    // Shorter paths first, so that a root below another one is placed onto it.
    let mut order: Vec<(usize, &RootSpec)> = spec.roots.iter().enumerate().collect();
    order.sort_by_key(|(_, root)| root.path.components().count());
    for (number, wanted) in order {
        let Some(tree) = trees.get(&number).or_else(|| opened.get(&number)) else { continue };
        const WAY: &str = "links and files on the way to a root are refused";
        match (&wanted.only, wanted.mode) {
            (None, _) => place(root, tree, relative(&wanted.path)).at(&wanted.path, WAY)?,
            (Some(only), RootMode::Read) => {
                place_file(root, tree, relative(&wanted.path), &only.name).at(&wanted.path, WAY)?
            }
            (Some(only), RootMode::Write) => {
                place(root, tree, relative(&wanted.path)).at(&wanted.path, WAY)?;
                cover_others(root, &wanted.path, only, spec)?;
            }
        }
    }
    cover(root, spec)?;
    for path in sockets {
        // One that has gone meanwhile needs no cover, and one that is covered takes it along wherever it is moved.
        let Some(target) = target(root, path).at(path, HINT)? else { continue };
        void(root, false).and_then(|tree| attach(tree, &target, Path::new(""))).at(path, HINT)?;
    }
    sys::mount_setattr(root, &MountAttr { set: RDONLY | NOSUID | NODEV, ..MountAttr::default() }, Recursive::No)
        .step("making the root read-only")?;

    rustix::process::fchdir(root).step("entering the root")?;
    rustix::process::pivot_root(".", ".").offered(Tier::Full, "changing the root", FIX)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).step("letting the host's root go")?;
    rustix::process::chdir("/").step("entering the root")?;
    let inside: Vec<InsideRoot> = spec.roots.iter().map(open_inside).collect::<Result<_, _>>()?;
    if let Some(first) = inside.first() {
        rustix::process::fchdir(&first.dir).step("entering the workspace")?;
    }
    Ok(inside)
}

/// A detached copy of the mounts at a root, checked to be the one that was meant. With `userns`, ids are mapped by it.
pub(crate) fn take(root: &RootSpec, userns: Option<&OwnedFd>) -> Result<OwnedFd, SandboxError> {
    let dir = open_root(root, OFlags::PATH)?;
    let meant = match &root.only {
        Some(only) if root.mode == RootMode::Read => open_only(root, &dir, &only.name)?,
        _ => dir,
    };
    let tree = clone_tree(&meant, Path::new("")).at(&root.path, "its file system cannot be shown to a cell")?;
    let read_only = if root.mode == RootMode::Read { RDONLY } else { 0 };
    let attr = MountAttr { set: NOSUID | NODEV | read_only, propagation: libc::MS_PRIVATE, ..MountAttr::default() };
    sys::mount_setattr(&tree, &attr, Recursive::Yes).at(&root.path, "its mount flags cannot be set")?;
    if let Some(userns) = userns {
        use std::os::fd::AsRawFd as _;
        let attr = MountAttr { set: sys::IDMAP, userns: userns.as_raw_fd() as u64, ..MountAttr::default() };
        sys::mount_setattr(&tree, &attr, Recursive::Yes).at(
            &root.path,
            "it belongs to root, and its file system has no id-mapped mounts, without which the cell would run as \
             root: use a workspace that another user owns (chown), or start as that user",
        )?;
    }
    Ok(tree)
}

/// Opens a root by its path and checks that it is the directory that was meant.
pub(crate) fn open_root(root: &RootSpec, how: OFlags) -> Result<OwnedFd, SandboxError> {
    let flags = how | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(CWD, &root.path, flags, Mode::empty()).at(&root.path, "it cannot be opened")?;
    let stat = rustix::fs::fstat(&dir).at(&root.path, "it cannot be looked at")?;
    if (stat.st_dev, stat.st_ino) != root.id {
        return Err(SandboxError::Path {
            path: root.path.display().to_string(),
            why: "another directory has taken its place since it was checked; try again".into(),
        });
    }
    Ok(dir)
}

/// The one file that is meant of a root, which must be a regular file and no link.
pub(crate) fn open_only(root: &RootSpec, dir: &OwnedFd, name: &str) -> Result<OwnedFd, SandboxError> {
    let path = root.path.join(name);
    let file =
        beneath(dir, Path::new(name), OFlags::PATH).at(&path, "a link is not followed; name what it leads to")?;
    let stat = rustix::fs::fstat(&file).at(&path, "it cannot be looked at")?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        return Ok(file);
    }
    Err(SandboxError::Path { path: path.display().to_string(), why: "it is no regular file; name one".into() })
}

fn open_inside(root: &RootSpec) -> Result<InsideRoot, SandboxError> {
    let dir = if root.only.is_some() && root.mode == RootMode::Read {
        // A directory of the cell's own, in which the one file is shown.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, &root.path, flags, Mode::empty()).at(&root.path, "it cannot be opened")?
    } else {
        open_root(root, OFlags::RDONLY)?
    };
    Ok(InsideRoot { path: root.path.display().to_string(), dir, mode: root.mode, file: None })
}

fn tmpfs(options: &[(&str, &str)], attributes: u64) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        rustix::mount::fsconfig_set_string(&context, *key, *value)?;
    }
    rustix::mount::fsconfig_create(&context)?;
    mounted(&context, attributes)
}

fn mounted(context: &OwnedFd, attributes: u64) -> io::Result<OwnedFd> {
    let attributes = MountAttrFlags::from_bits_retain(u32::try_from(attributes).unwrap_or(u32::MAX));
    Ok(rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// What of a machine's `/proc` a cell for programs does not see: what tells of others, or acts on the machine.
const PROC_HIDDEN: [&str; 16] = [
    "acpi",
    "bus",
    "config.gz",
    "diskstats",
    "driver",
    "fs",
    "interrupts",
    "irq",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "modules",
    "scsi",
    "sysrq-trigger",
    "timer_list",
];

/// The cell's own processes. Tools see nothing else; programs ask for the processors, the memory and the time as well,
/// so they get the rest of it less [`PROC_HIDDEN`]; where a container covers parts of its own, they get as little as
/// tools.
fn proc(root: &OwnedFd, work: Work) -> io::Result<()> {
    let whole = work == Work::Programs;
    let mounted = match mount_proc(whole) {
        Err(error) if whole && error.raw_os_error() == Some(libc::EPERM) => mount_proc(false)?,
        other => other?,
    };
    place(root, &mounted, Path::new("proc"))?;
    if !whole {
        return Ok(());
    }
    for name in PROC_HIDDEN {
        let Some(target) = target(root, &Path::new("/proc").join(name))? else { continue };
        let stat = rustix::fs::fstat(&target)?;
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        attach(void(root, is_dir)?, &target, Path::new(""))?;
    }
    let Some(target) = target(root, Path::new("/proc/sys"))? else { return Ok(()) };
    let tree = clone_tree(&target, Path::new(""))?;
    let set = RDONLY | NOSUID | NODEV | NOEXEC;
    sys::mount_setattr(&tree, &MountAttr { set, ..MountAttr::default() }, Recursive::No)?;
    attach(tree, &target, Path::new(""))
}

fn mount_proc(whole: bool) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, "hidepid", "invisible")?;
    if !whole {
        // Processes only: no kcore, kallsyms, sys, mounts of the machine.
        rustix::mount::fsconfig_set_string(&context, "subset", "pid")?;
    }
    rustix::mount::fsconfig_create(&context)?;
    mounted(&context, NOSUID | NODEV | NOEXEC)
}

fn clone_tree(at: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    // Recursive, since the kernel refuses a less privileged user namespace a look beneath a mount.
    const RECURSIVE: u32 = libc::AT_RECURSIVE as u32;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(rustix::mount::open_tree(at, path, flags | OpenTreeFlags::from_bits_retain(RECURSIVE))?)
}

fn attach(tree: impl AsFd, at: impl AsFd, path: &Path) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(tree, "", at, path, flags)?)
}

/// Attaches `tree` at `path` in the new root, making directories on the way; follows no link.
fn place(root: &OwnedFd, tree: &OwnedFd, path: &Path) -> io::Result<()> {
    attach(tree, make_folder(root, path)?, Path::new(""))
}

/// Shows one file, in a directory that holds nothing else.
fn place_file(root: &OwnedFd, tree: &OwnedFd, path: &Path, name: &str) -> io::Result<()> {
    let folder = make_folder(root, path)?;
    make_file(&folder, name, "", 0o644)?;
    attach(tree, &folder, Path::new(name))
}

/// Covers all that is in a directory but the one file that is meant, and what was left of it. Where another root lies below,
/// an empty directory stands, for it to be placed in.
fn cover_others(root: &OwnedFd, path: &Path, only: &Only, spec: &CellSpec) -> Result<(), SandboxError> {
    let folder = beneath(root, relative(path), OFlags::PATH | OFlags::DIRECTORY).at(path, HINT)?;
    let names = names(path, &folder, |other, kind| match kind {
        FileType::RegularFile => only.names().all(|name| other != name),
        FileType::Directory => other != only.name.as_str(),
        _ => false,
    })?;
    for other in names {
        let inner = path.join(&other);
        let target = beneath(root, relative(&inner), OFlags::PATH).at(&inner, HINT)?;
        let stat = rustix::fs::fstat(&target).at(&inner, HINT)?;
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let leads_on = spec.roots.iter().any(|root| root.path.starts_with(&inner));
        let empty = if is_dir && leads_on {
            tmpfs(&[("size", "4k"), ("nr_inodes", "64"), ("mode", "0755")], NOSUID | NODEV)
        } else {
            void(root, is_dir)
        };
        empty.and_then(|tree| attach(tree, &target, Path::new(""))).at(&inner, HINT)?;
    }
    Ok(())
}

fn make_folder(root: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let mut here = root.try_clone()?;
    for part in path.components() {
        let Component::Normal(name) = part else { continue };
        match rustix::fs::mkdirat(&here, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            // A root below a read-only one, or one that this user may not write to: the name is there already.
            Err(rustix::io::Errno::ROFS | rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        here = beneath(&here, name.as_ref(), OFlags::PATH | OFlags::DIRECTORY)?;
    }
    Ok(here)
}

fn beneath(at: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(at, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
}

fn make_file(root: &OwnedFd, path: impl rustix::path::Arg, text: &str, mode: u32) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(root, path, flags, Mode::from_raw_mode(mode))?;
    let mut text = text.as_bytes();
    while !text.is_empty() {
        let written = rustix::io::write(&file, text)?;
        text = text.get(written..).unwrap_or_default();
    }
    Ok(())
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

fn system(root: &OwnedFd) -> io::Result<()> {
    make_folder(root, Path::new("etc/ssl"))?;
    for (path, text) in MADE {
        make_file(root, path, text, 0o644)?;
    }
    for outside in SYSTEM.into_iter().chain(ETC) {
        let name = relative(Path::new(outside));
        let Ok(stat) = rustix::fs::statat(CWD, outside, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(CWD, outside, Vec::new())?;
                rustix::fs::symlinkat(target, root, name)?;
            }
            kind @ (FileType::Directory | FileType::RegularFile) => {
                let tree = clone_tree(CWD, Path::new(outside))?;
                let set = RDONLY | NOSUID | NODEV;
                sys::mount_setattr(&tree, &MountAttr { set, ..MountAttr::default() }, Recursive::Yes)?;
                if kind == FileType::Directory {
                    place(root, &tree, name)?;
                } else {
                    make_file(root, name, "", 0o644)?;
                    attach(&tree, root, name)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn devices(root: &OwnedFd) -> io::Result<()> {
    let dev = make_folder(root, Path::new("dev"))?;
    for name in DEVICES {
        make_file(root, format!("dev/{name}"), "", 0o644)?;
        let tree = clone_tree(CWD, &Path::new("/dev").join(name))?;
        sys::mount_setattr(&tree, &MountAttr { set: NOSUID | NOEXEC, ..MountAttr::default() }, Recursive::No)?;
        attach(&tree, &dev, Path::new(name))?;
    }
    for (name, target) in [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        rustix::fs::symlinkat(target, &dev, name)?;
    }
    Ok(())
}

/// Terminals of the cell's own, `/dev/tty` for whichever of them controls, and `/dev/shm`.
fn terminals(root: &OwnedFd) -> io::Result<()> {
    const MOST: &str = "64";
    let context = rustix::mount::fsopen("devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in [("ptmxmode", "0666"), ("mode", "0620"), ("max", MOST)] {
        rustix::mount::fsconfig_set_string(&context, key, value)?;
    }
    // A new instance, as every mount of it is (Linux 4.7).
    rustix::mount::fsconfig_create(&context)?;
    place(root, &mounted(&context, NOSUID | NOEXEC)?, Path::new("dev/pts"))?;
    let dev = make_folder(root, Path::new("dev"))?;
    rustix::fs::symlinkat("pts/ptmx", &dev, "ptmx")?;
    rustix::fs::symlinkat("../tmp", &dev, "shm")?;
    make_file(&dev, "tty", "", 0o644)?;
    let tree = clone_tree(CWD, Path::new("/dev/tty"))?;
    sys::mount_setattr(&tree, &MountAttr { set: NOSUID | NOEXEC, ..MountAttr::default() }, Recursive::No)?;
    attach(&tree, &dev, Path::new("tty"))
}

/// Pins, then freezes, then hides, so that nothing hidden shows in a frozen directory.
fn cover(root: &OwnedFd, spec: &CellSpec) -> Result<(), SandboxError> {
    pin(root, spec)?;
    for path in spec.below_roots(&spec.freeze) {
        let Some(target) = target(root, path).at(path, HINT)? else { continue };
        let set = RDONLY | NOSUID | NODEV;
        clone_tree(&target, Path::new(""))
            .and_then(|tree| {
                sys::mount_setattr(&tree, &MountAttr { set, ..MountAttr::default() }, Recursive::Yes)?;
                attach(tree, &target, Path::new(""))
            })
            .at(path, HINT)?;
    }
    for path in spec.below_roots(&spec.hide) {
        let Some(target) = target(root, path).at(path, HINT)? else { continue };
        let stat = rustix::fs::fstat(&target).at(path, HINT)?;
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        void(root, is_dir).and_then(|tree| attach(tree, &target, Path::new(""))).at(path, HINT)?;
    }
    Ok(())
}

/// Something empty that nobody may open.
fn void(root: &OwnedFd, is_dir: bool) -> io::Result<OwnedFd> {
    let tree = clone_tree(root, Path::new(if is_dir { VOID } else { VOID_FILE }))?;
    let set = RDONLY | NOSUID | NODEV | NOEXEC;
    sys::mount_setattr(&tree, &MountAttr { set, ..MountAttr::default() }, Recursive::No)?;
    Ok(tree)
}

/// What becomes of a directory on the way to a frozen or hidden path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// It keeps its name, so that nothing else can be put where it is.
    Named,
    /// Something that is not there must not come to be: it takes no new names, and only the directories in it that are
    /// there already can be worked in.
    Closed,
}

/// Makes frozen and hidden paths hold by name: a mount point cannot be renamed, and a directory that takes no new names
/// lets nothing be made that is missing.
fn pin(root: &OwnedFd, spec: &CellSpec) -> Result<(), SandboxError> {
    let mut ways: BTreeMap<PathBuf, Way> = BTreeMap::new();
    for path in spec.below_roots(&spec.freeze).chain(spec.below_roots(&spec.hide)) {
        // The outermost root: a directory of its that holds another root may be renamed as well.
        let outer = spec.roots.iter().filter(|root| path.starts_with(&root.path));
        let Some(outer) = outer.map(|root| root.path.as_path()).min_by_key(|path| path.components().count()) else {
            continue;
        };
        let mut above: Vec<&Path> = path.ancestors().skip(1).take_while(|folder| folder.starts_with(outer)).collect();
        above.reverse();
        for (at, folder) in above.iter().enumerate() {
            let next = above.get(at + 1).copied().unwrap_or(path);
            let way = if target(root, next).at(path, HINT)?.is_some() { Way::Named } else { Way::Closed };
            let known = ways.entry((*folder).to_owned()).or_insert(way);
            *known = (*known).max(way);
            if way == Way::Closed {
                break;
            }
        }
    }
    // Handles on all of them first: below one that was closed, only a closed copy would be found.
    let folders = ways
        .into_iter()
        .map(|(path, way)| {
            let folder = beneath(root, relative(&path), OFlags::PATH | OFlags::DIRECTORY).at(&path, HINT)?;
            Ok((path, way, folder))
        })
        .collect::<Result<Vec<_>, SandboxError>>()?;
    for (path, way, folder) in &folders {
        let set = if *way == Way::Closed { RDONLY } else { 0 } | NOSUID | NODEV;
        clone_tree(folder, Path::new(""))
            .and_then(|tree| {
                sys::mount_setattr(&tree, &MountAttr { set, ..MountAttr::default() }, Recursive::Yes)?;
                attach(tree, beneath(root, relative(path), OFlags::PATH)?, Path::new(""))
            })
            .at(path, HINT)?;
        if *way == Way::Closed {
            open_folders(root, path, folder)?;
        }
    }
    Ok(())
}

/// Names in one directory that are mounted one by one at most.
const MAX_NAMES: usize = 4096;

/// The wanted names in a directory.
fn names(
    path: &Path,
    folder: &OwnedFd,
    wanted: impl Fn(&OsStr, FileType) -> bool,
) -> Result<Vec<OsString>, SandboxError> {
    const HINT: &str = "it cannot be listed";
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listed = rustix::fs::openat(folder, ".", flags, Mode::empty()).at(path, HINT)?;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(&listed).at(path, HINT)? {
        let entry = entry.at(path, HINT)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let Ok(stat) = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if name != "." && name != ".." && wanted(name, FileType::from_raw_mode(stat.st_mode)) {
            names.push(name.to_owned());
        }
    }
    if names.len() > MAX_NAMES {
        let why = format!("it holds {} names, and {MAX_NAMES} can be dealt with one by one", names.len());
        return Err(SandboxError::Path { path: path.display().to_string(), why });
    }
    Ok(names)
}

/// Shows the directories in a closed one as they were before.
fn open_folders(root: &OwnedFd, path: &Path, folder: &OwnedFd) -> Result<(), SandboxError> {
    let names = names(path, folder, |_, kind| kind == FileType::Directory)?;
    for name in names {
        let inner = path.join(&name);
        clone_tree(folder, Path::new(&name))
            .and_then(|tree| attach(tree, beneath(root, relative(&inner), OFlags::PATH)?, Path::new("")))
            .at(&inner, "it cannot be shown to a cell")?;
    }
    Ok(())
}

/// A handle on what the cell would find at `path`; `None` if there is nothing.
fn target(root: &OwnedFd, path: &Path) -> io::Result<Option<OwnedFd>> {
    match beneath(root, relative(path), OFlags::PATH) {
        Ok(target) => Ok(Some(target)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
        Err(error) => Err(error),
    }
}
