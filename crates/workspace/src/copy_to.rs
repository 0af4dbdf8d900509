//! Taking a file or a folder out of a workspace, as it is now, for somebody else to read.
//!
//! What is copied is all that is there, or nothing: whatever could lead elsewhere, or cannot be shown by its name, is a
//! reason to copy nothing at all.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};

use autoshare_core::Digest;
use autoshare_core::special::is_secret;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::beneath::{Follow, normal, open, open_directory, open_file, regular};
use crate::error::errno_name;
use crate::snapshot::copy::{copy, digest};
use crate::walk::{Coverage, Kind, Order, Walk, shown};
use crate::{Workspace, WorkspaceError};

/// How much may be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyBounds {
    /// Files and folders.
    pub files: u64,
    /// Bytes of all files, by their lengths.
    pub bytes: u64,
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of all paths, lengths and contents.
    pub digest: Digest,
}

/// Why nothing was copied. What lies in the target by then is of no use.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message of each variant says what it is; the fields are named after their content")]
pub enum CopyError {
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error("{path:?} is {what}: nothing is copied but regular files and folders. Remove it, or choose another folder")]
    Kind { path: String, what: &'static str },
    #[error("{path:?} has a name that cannot be shown (no UTF-8, or control characters). Rename it")]
    Name { path: String },
    #[error("{path:?} holds keys or passwords, by its name. Remove it, rename it, or choose another folder")]
    Secret { path: String },
    #[error("more than {max} files and folders; choose a smaller folder")]
    TooManyFiles { max: u64 },
    #[error("more than {max} bytes; choose fewer files")]
    TooManyBytes { max: u64 },
    #[error("it keeps changing, or lies too deep. Try again when nobody works on it")]
    Busy,
    #[error("the copy of {path:?} cannot be written ({errno}). Free some space, or look at the disk")]
    Disk { path: String, errno: &'static str },
}

/// Others than the owner may read; who may come to it is for the folder to say in which it lies.
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);

impl Workspace {
    /// Copies the file at `path`, or all that lies below the folder there, into the empty directory `to`, durably. No link
    /// is followed; a file that has names outside of the workspace is not copied, nor may anything be there that is neither
    /// a file nor a folder. What can be executed can be executed no more.
    ///
    /// # Errors
    /// [`CopyError`].
    pub fn copy_to(&self, path: &str, to: impl AsFd, bounds: CopyBounds) -> Result<Copied, CopyError> {
        let path = normal(path)?;
        let found = open(&self.dir, path.as_bytes(), OFlags::PATH | OFlags::NOFOLLOW, Follow::Nothing)
            .and_then(rustix::fs::fstat)
            .map_err(|errno| WorkspaceError::from_errno(path.as_bytes(), errno))?;
        let mut copying =
            Copying { workspace: self, to: to.as_fd().try_clone_to_owned().map_err(disk(&path))?, bounds, done: None };
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            regular(path.as_bytes(), &found)?;
            let (folder, name) = path.rsplit_once('/').unwrap_or((".", &path));
            let folder = open_directory(&self.dir, folder.as_bytes(), Follow::Nothing)?;
            copying.file(&folder, name.as_bytes())?;
        } else {
            let folder = open_directory(&self.dir, path.as_bytes(), Follow::Nothing)?;
            for (path, kind) in everything(&folder, bounds.files)? {
                match kind {
                    Kind::File => copying.file(&folder, &path)?,
                    Kind::Folder => copying.folder(&path)?,
                    Kind::Link => return Err(CopyError::Kind { path: shown(&path), what: "a link" }),
                    Kind::Special => {
                        return Err(CopyError::Kind { path: shown(&path), what: "a FIFO, a socket or a device" });
                    }
                }
            }
        }
        rustix::fs::openat(&copying.to, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .and_then(rustix::fs::fsync)
            .map_err(|errno| disk(&path)(errno.into()))?;
        Ok(copying.done.unwrap_or(NOTHING))
    }
}

const NOTHING: Copied = Copied { files: 0, bytes: 0, digest: Digest::from_bytes([0; 32]) };

/// What lies below a folder, each folder before what is in it.
fn everything(folder: &OwnedFd, max: u64) -> Result<Vec<(Vec<u8>, Kind)>, CopyError> {
    let mut found = Vec::new();
    let walk = Walk { order: Order::Sorted, levels: MAX_DEPTH, entries: max.saturating_add(1), kept: true };
    let coverage = walk.run(folder, |met| {
        found.push((met.path.to_vec(), met.kind));
        ControlFlow::Continue(())
    })?;
    if found.len() as u64 > max {
        return Err(CopyError::TooManyFiles { max });
    }
    if coverage == Coverage::Partial {
        return Err(CopyError::Busy);
    }
    Ok(found)
}

/// Folders below one another at most.
const MAX_DEPTH: usize = 64;

struct Copying<'a> {
    workspace: &'a Workspace,
    to: OwnedFd,
    bounds: CopyBounds,
    done: Option<Copied>,
}

impl Copying<'_> {
    fn folder(&mut self, path: &[u8]) -> Result<(), CopyError> {
        let name = named(path)?;
        rustix::fs::mkdirat(&self.to, path, Mode::RWXU)
            .and_then(|()| rustix::fs::chmodat(&self.to, path, FOLDER_MODE, rustix::fs::AtFlags::empty()))
            .map_err(|errno| disk(name)(errno.into()))?;
        self.note(b"folder", name, 0, &NOTHING.digest);
        Ok(())
    }

    fn file(&mut self, folder: &OwnedFd, path: &[u8]) -> Result<(), CopyError> {
        let name = named(path)?;
        if is_secret(name) {
            return Err(CopyError::Secret { path: name.to_owned() });
        }
        let (file, stat) = open_file(folder, path, Follow::Nothing)?;
        self.workspace.reader().check_names(path, &stat)?;
        let len = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        let max = self.bounds.bytes;
        let left = max.saturating_sub(self.done.map_or(0, |done| done.bytes));
        if len > left {
            return Err(CopyError::TooManyBytes { max });
        }
        let fail = |errno: Errno| disk(name)(errno.into());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&self.to, path, flags, Mode::RUSR | Mode::WUSR).map_err(fail)?;
        if copy(&file, &made, len, left).map_err(fail)?.is_none() {
            return Err(CopyError::TooManyBytes { max });
        }
        // Of the copy: the file may have changed while it was read.
        let digest = digest(&made, len).map_err(fail)?;
        rustix::fs::fchmod(&made, FILE_MODE).and_then(|()| rustix::fs::fsync(&made)).map_err(fail)?;
        self.note(b"file", name, len, &digest);
        if let Some(done) = &mut self.done {
            done.files += 1;
            done.bytes += len;
        }
        Ok(())
    }

    fn note(&mut self, kind: &[u8], name: &str, len: u64, digest: &Digest) {
        let done = self.done.get_or_insert(NOTHING);
        let parts = [done.digest.as_bytes(), kind, name.as_bytes(), &len.to_be_bytes(), digest.as_bytes()];
        done.digest = Digest::of_parts(&parts);
    }
}

/// A path as everybody can be shown it.
fn named(path: &[u8]) -> Result<&str, CopyError> {
    let text = std::str::from_utf8(path).ok().filter(|text| !text.contains(char::is_control));
    text.ok_or_else(|| CopyError::Name { path: shown(path) })
}

fn disk(path: &str) -> impl Fn(std::io::Error) -> CopyError {
    move |error| CopyError::Disk {
        path: path.to_owned(),
        errno: errno_name(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    }
}
