//! Reading files, and counting their names.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};

use autoshare_core::Digest;
use autoshare_core::outcome::FileState;
use rustix::fs::Stat;

use crate::beneath::{Follow, Identity, behind_links, identity, normal, open_directory, open_file};
use crate::limits::{MAX_LEVELS, MAX_READ};
use crate::walk::{Kind, Order, Walk, shown};
use crate::{Workspace, WorkspaceError};

/// Reads files of a workspace for the length of one operation. The names of files with hard links are counted once,
/// when the first such file is met.
#[derive(Debug)]
pub struct Reader<'a> {
    workspace: &'a Workspace,
    names: OnceCell<HashMap<Identity, u64>>,
}

impl Workspace {
    /// A reader for one operation.
    #[must_use]
    pub const fn reader(&self) -> Reader<'_> {
        Reader { workspace: self, names: OnceCell::new() }
    }

    /// A file's bytes: at most [`MAX_READ`], and no more than its length when it was opened says.
    ///
    /// # Errors
    /// Whatever keeps it from being opened beneath the handle, or [`WorkspaceError::TooLargeToRead`].
    pub fn read(&self, path: &str) -> Result<Vec<u8>, WorkspaceError> {
        self.reader().read(path)
    }

    /// Whether a path could be read, reading nothing: the path behind links, in normal form, and what it is.
    ///
    /// # Errors
    /// Whatever keeps it from being opened beneath the handle.
    pub fn look(&self, path: &str) -> Result<(String, Kind), WorkspaceError> {
        let path = normal(path)?;
        let (stat, kind) = match open_file(&self.dir, path.as_bytes(), Follow::Beneath) {
            Ok((_, stat)) => {
                self.reader().check(path.as_bytes(), &stat)?;
                (stat, Kind::File)
            }
            Err(WorkspaceError::IsDirectory { .. }) => {
                let folder = open_directory(&self.dir, path.as_bytes(), Follow::Beneath)?;
                let stat = rustix::fs::fstat(&folder).map_err(|e| WorkspaceError::from_errno(path.as_bytes(), e))?;
                (stat, Kind::Folder)
            }
            Err(error) => return Err(error),
        };
        Ok((behind_links(&self.dir, &path, &stat)?, kind))
    }
}

impl Reader<'_> {
    /// As [`Workspace::read`].
    ///
    /// # Errors
    /// As [`Workspace::read`].
    pub fn read(&self, path: &str) -> Result<Vec<u8>, WorkspaceError> {
        let path = normal(path)?;
        self.read_at(&self.workspace.dir, path.as_bytes(), Follow::Beneath).map(|(bytes, _)| bytes)
    }

    /// The bytes of a file beneath `dir`, which is the workspace or a directory in it.
    pub(crate) fn read_at(
        &self,
        dir: impl AsFd,
        path: &[u8],
        follow: Follow,
    ) -> Result<(Vec<u8>, Stat), WorkspaceError> {
        let (file, stat) = open_file(dir, path, follow)?;
        self.check(path, &stat)?;
        Ok((contents(file, path)?, stat))
    }

    /// Refuses a file that is too large, or that has names outside the workspace.
    fn check(&self, path: &[u8], stat: &Stat) -> Result<(), WorkspaceError> {
        let len = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if len > MAX_READ {
            return Err(WorkspaceError::TooLargeToRead { path: shown(path), len, max: MAX_READ });
        }
        self.check_names(path, stat)
    }

    /// Refuses a file that has names outside the workspace.
    pub(crate) fn check_names(&self, path: &[u8], stat: &Stat) -> Result<(), WorkspaceError> {
        #[allow(clippy::useless_conversion, reason = "32 bits on aarch64")]
        let names = u64::from(stat.st_nlink);
        if names > 1 {
            let found = self.names()?.get(&identity(stat)).copied().unwrap_or(0);
            if found < names {
                return Err(WorkspaceError::HardLink { path: shown(path), names, found });
            }
        }
        Ok(())
    }

    pub(crate) fn names(&self) -> Result<&HashMap<Identity, u64>, WorkspaceError> {
        if let Some(names) = self.names.get() {
            return Ok(names);
        }
        let start = open_directory(&self.workspace.dir, b".", Follow::Nothing)?;
        let mut names = HashMap::new();
        let entries = self.workspace.quota.files.saturating_add(1);
        let walk = Walk { order: Order::AsFound, levels: MAX_LEVELS, entries, kept: true };
        walk.run(&start, |met| {
            if met.kind == Kind::File && met.stat.st_nlink > 1 {
                *names.entry(identity(met.stat)).or_insert(0) += 1;
            }
            ControlFlow::Continue(())
        })?;
        Ok(self.names.get_or_init(|| names))
    }
}

/// All bytes of an open file, bounded even if it grows meanwhile.
fn contents(file: OwnedFd, path: &[u8]) -> Result<Vec<u8>, WorkspaceError> {
    let mut bytes = Vec::new();
    File::from(file).take(MAX_READ + 1).read_to_end(&mut bytes).map_err(|error| {
        let errno = rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
        WorkspaceError::from_errno(path, errno)
    })?;
    let len = bytes.len() as u64;
    if len > MAX_READ {
        return Err(WorkspaceError::TooLargeToRead { path: shown(path), len, max: MAX_READ });
    }
    Ok(bytes)
}

/// The state of a file with these bytes.
#[must_use]
pub(crate) fn state(bytes: &[u8]) -> FileState {
    FileState { digest: Digest::of(bytes), len: bytes.len() as u64 }
}
