//! What was shared, as it was when it was offered: a folder for each share, among the workspaces of its owner.
//!
//! A cell shows such a folder to a brain of the receiver. The folder is also the lock: the launcher holds it, shared, with
//! each cell that shows it, until the last process of that cell is gone; whoever ends the share waits to have it alone.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use autoshare_access::TenantRecord;
use autoshare_core::event::RootMode;
use autoshare_core::usage::Quota;
use autoshare_core::{ShareId, TenantName};
use autoshare_workspace::{FileEntry, Workspace};
use rustix::fs::{CWD, FlockOperation, Gid, Mode, OFlags, ResolveFlags, flock};
use rustix::io::Errno;

use super::ShareError;
use crate::HostError;
use crate::resident::{Homes, remove_folder};

/// Beside the workspaces of a tenant's brains; no brain has this id.
const FOLDER: &str = "shared";
/// How long whoever ends a share waits for the cells that show it.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// The right to show a share to a cell, as long as it is open.
#[derive(Debug)]
pub(crate) struct Hold(pub(crate) OwnedFd);

/// The folders of all shares.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots(Homes);

impl Snapshots {
    pub(crate) const fn new(homes: Homes) -> Self {
        Self(homes)
    }

    fn folder(&self, owner: &TenantName) -> PathBuf {
        self.0.of_name(owner).join(FOLDER)
    }

    /// Where the files of a share lie.
    pub(crate) fn path(&self, owner: &TenantName, id: &ShareId) -> PathBuf {
        self.folder(owner).join(id.as_str())
    }

    /// Whether a path lies in any of them.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        let below = path.strip_prefix(self.0.root()).ok();
        below.and_then(|below| below.iter().nth(1)).is_some_and(|name| name == FOLDER)
    }

    /// Makes an empty folder for a share. Nobody removes it as long as it is open.
    pub(crate) fn make(&self, owner: &TenantName, id: &ShareId) -> Result<OwnedFd, HostError> {
        let (folder, path) = (self.folder(owner), self.path(owner, id));
        self.0.make_outer(owner)?;
        let wrong = |errno: Errno| refused(&path, &format!("it cannot be made ({errno})"));
        match rustix::fs::mkdir(&folder, Mode::from_raw_mode(0o700)) {
            Ok(()) => rustix::fs::chmod(&folder, Mode::from_raw_mode(0o711)).map_err(wrong)?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(wrong(errno)),
        }
        rustix::fs::mkdir(&path, Mode::from_raw_mode(0o700)).map_err(wrong)?;
        let made = open(&path).map_err(wrong)?;
        flock(&made, FlockOperation::NonBlockingLockExclusive).map_err(wrong)?;
        Ok(made)
    }

    /// Lets the cells of a tenant read it, and nobody else's: where the host is root these run under a group of their own.
    pub(crate) fn open_to(&self, owner: &TenantName, id: &ShareId, reader: &TenantRecord) -> Result<(), HostError> {
        let path = self.path(owner, id);
        let wrong = |errno: Errno| refused(&path, &format!("it cannot be shown to cells ({errno})"));
        let dir = open(&path).map_err(wrong)?;
        if let Some(group) = Homes::owner(reader) {
            rustix::fs::fchown(&dir, None, Some(Gid::from_raw(group))).map_err(wrong)?;
            rustix::fs::fchmod(&dir, Mode::from_raw_mode(0o750)).map_err(wrong)?;
        }
        Ok(())
    }

    /// The right to show it; `None` if it is gone, or somebody is ending it.
    pub(crate) fn hold(&self, owner: &TenantName, id: &ShareId) -> Option<Hold> {
        let dir = open(&self.path(owner, id)).ok()?;
        flock(&dir, FlockOperation::NonBlockingLockShared).ok()?;
        Some(Hold(dir))
    }

    /// Its files.
    pub(crate) fn files(&self, owner: &TenantName, id: &ShareId) -> Result<Vec<FileEntry>, ShareError> {
        let path = self.path(owner, id);
        let dir = open(&path).map_err(|errno| refused(&path, &errno.to_string()))?;
        let all = Workspace::open(dir, RootMode::Read, Quota::default()).all_files();
        all.map(|(files, _)| files).map_err(|error| refused(&path, &error.to_string()).into())
    }

    /// Whether it is there.
    pub(crate) fn is_there(&self, owner: &TenantName, id: &ShareId) -> bool {
        !matches!(open(&self.path(owner, id)), Err(Errno::NOENT))
    }

    /// Waits until no cell shows it, and removes it.
    pub(crate) fn remove(&self, owner: &TenantName, id: &ShareId) -> Result<(), HostError> {
        let path = self.path(owner, id);
        let dir = match open(&path) {
            Err(Errno::NOENT) => return Ok(()),
            opened => opened.map_err(|errno| refused(&path, &errno.to_string()))?,
        };
        let begun = Instant::now();
        let mut is_alone = alone(&dir);
        while !is_alone && begun.elapsed() < PATIENCE {
            std::thread::sleep(LOOK);
            is_alone = alone(&dir);
        }
        // Whoever holds it still finds nothing there.
        remove_folder(&self.folder(owner), id.as_str())?;
        if is_alone {
            return Ok(());
        }
        Err(refused(&path, &format!("a cell that showed it was not gone after {} s: end it again", PATIENCE.as_secs())))
    }

    /// The ids of an owner's folders that nobody is making or showing.
    pub(crate) fn unused(&self, owner: &TenantName) -> Vec<ShareId> {
        let Ok(folder) = open(&self.folder(owner)) else { return Vec::new() };
        let Ok(names) = rustix::fs::Dir::read_from(&folder) else { return Vec::new() };
        let names = names.filter_map(Result::ok);
        let ids = names.filter_map(|entry| ShareId::parse(entry.file_name().to_str().ok()?).ok());
        ids.filter(|id| open(&self.path(owner, id)).is_ok_and(|dir| alone(&dir))).collect()
    }
}

fn alone(dir: &OwnedFd) -> bool {
    flock(dir, FlockOperation::NonBlockingLockExclusive).is_ok()
}

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
}

fn refused(path: &Path, why: &str) -> HostError {
    HostError::Root { path: path.display().to_string(), why: why.to_owned() }
}
