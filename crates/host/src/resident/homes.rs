//! Where the workspaces of tenants lie, and whose they are.
//!
//! A workspace belongs to a user of its tenant's own where the host is root: its cells run under that user. Where the host is
//! nobody special, all workspaces are its user's own, and what keeps tenants apart is that no cell shows another's.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use autoshare_access::TenantRecord;
use autoshare_core::event::RootMode;
use autoshare_core::usage::Quota;
use autoshare_core::{BrainId, TenantName};
use autoshare_workspace::Workspace;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use crate::HostError;

/// The user ids of tenants begin here, and the numbers of tenants are added: above what systemd and shadow give out, below
/// 2^31 (systemd's UIDS-GIDS.md).
const FIRST_UID: u32 = 1_900_000_000;

/// The folder of all workspaces.
#[derive(Debug, Clone)]
pub struct Homes {
    root: PathBuf,
    quota: Quota,
}

impl Homes {
    /// Below `root`, which is made at first use; each workspace with this quota.
    #[must_use]
    pub const fn new(root: PathBuf, quota: Quota) -> Self {
        Self { root, quota }
    }

    /// Where the workspaces of a tenant lie.
    #[must_use]
    pub fn of(&self, tenant: &TenantRecord) -> PathBuf {
        self.of_name(&tenant.name)
    }

    /// The folder of all workspaces.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The same by its name.
    pub(crate) fn of_name(&self, tenant: &TenantName) -> PathBuf {
        self.root.join(tenant.as_str())
    }

    /// The user and the group under which the cells of a tenant run, where the host is root.
    pub(crate) fn owner(tenant: &TenantRecord) -> Option<u32> {
        rustix::process::geteuid().is_root().then(|| FIRST_UID.saturating_add(tenant.number))
    }

    /// Makes the folder in which the workspaces of a tenant lie, which others may pass through and not list.
    pub(crate) fn make_outer(&self, tenant: &TenantName) -> Result<PathBuf, HostError> {
        make_folder(&self.root, 0o711, None)?;
        let own = self.of_name(tenant);
        make_folder(&own, 0o711, None)?;
        Ok(own)
    }

    /// Makes the workspace of a brain, or finds it, and gives its path.
    pub(crate) fn make(&self, tenant: &TenantRecord, brain: &BrainId) -> Result<String, HostError> {
        let path = self.make_outer(&tenant.name)?.join(brain.as_str());
        make_folder(&path, 0o700, Self::owner(tenant))?;
        let real = std::fs::canonicalize(&path).map_err(|error| refused(&path, &error.to_string()))?;
        real.to_str().map(str::to_owned).ok_or_else(|| refused(&real, "its path is not UTF-8"))
    }

    /// Does something in a workspace, beneath its handle. What is made there belongs to whoever owns the workspace.
    pub(crate) fn touch<T>(
        &self,
        path: &str,
        what: impl FnOnce(&Workspace) -> Result<T, HostError>,
    ) -> Result<T, HostError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
            .map_err(|errno| refused(Path::new(path), &errno.to_string()))?;
        what(&Workspace::open(dir, RootMode::Write, self.quota))
    }

    /// All workspaces of a tenant as one, to be counted; `None` before there is one.
    pub(crate) fn all(&self, tenant: &TenantRecord) -> Option<Workspace> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let dir = rustix::fs::open(self.of(tenant), flags, Mode::empty()).ok()?;
        let quota = Quota { files: u64::MAX - 1, ..self.quota };
        Some(Workspace::open(dir, RootMode::Read, quota))
    }

    /// Removes all workspaces of a tenant.
    ///
    /// # Errors
    /// [`HostError::Root`].
    pub fn remove(&self, tenant: &TenantRecord) -> Result<(), HostError> {
        remove_folder(&self.root, tenant.name.as_str())
    }
}

fn make_folder(path: &Path, mode: u32, owner: Option<u32>) -> Result<(), HostError> {
    let wrong = |errno: Errno| refused(path, &format!("it cannot be made ({errno})"));
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o700)) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(Errno::NOENT) => {
            let parent = path.parent().ok_or_else(|| wrong(Errno::NOENT))?;
            make_folder(parent, 0o711, None)?;
            return make_folder(path, mode, owner);
        }
        Err(errno) => return Err(wrong(errno)),
    }
    if let Some(id) = owner {
        let (uid, gid) = (Some(Uid::from_raw(id)), Some(Gid::from_raw(id)));
        rustix::fs::chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW).map_err(wrong)?;
    }
    rustix::fs::chmod(path, Mode::from_raw_mode(mode)).map_err(wrong)
}

/// Removes the folder `name` in `folder` with all that it holds, by handles and never through a link.
///
/// # Errors
/// [`HostError::Root`].
pub fn remove_folder(folder: &Path, name: &str) -> Result<(), HostError> {
    let wrong = |errno: Errno| refused(&folder.join(name), &format!("it cannot be removed ({errno})"));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let parent = match rustix::fs::open(folder, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened.map_err(wrong)?,
    };
    let top = match rustix::fs::openat(&parent, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened.map_err(wrong)?,
    };
    let mut moved = 0;
    // What lay too deep lies at the top now, and is met in the next round.
    while empty(&top, &top, 0, &mut moved).map_err(wrong)? == Left::More {}
    rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR).map_err(wrong)
}

/// Folders below one another that are removed from the innermost outwards; a deeper one is moved to the top first, so that
/// no depth takes all descriptors or the stack.
const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    More,
}

fn empty(top: &OwnedFd, dir: &OwnedFd, depth: usize, moved: &mut u64) -> rustix::io::Result<Left> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut left = Left::Nothing;
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let below = match rustix::fs::openat(dir, name, flags, Mode::empty()) {
            Ok(below) => below,
            Err(Errno::NOENT) => continue,
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => {
                rustix::fs::unlinkat(dir, name, AtFlags::empty())?;
                continue;
            }
            Err(errno) => return Err(errno),
        };
        if depth == MAX_DEPTH {
            *moved += 1;
            rustix::fs::renameat(dir, name, top, format!(".removed-{moved}"))?;
            left = Left::More;
            continue;
        }
        if empty(top, &below, depth + 1, moved)? == Left::More {
            left = Left::More;
        }
        rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)?;
    }
    Ok(left)
}

fn refused(path: &Path, why: &str) -> HostError {
    HostError::Root { path: path.display().to_string(), why: why.to_owned() }
}
