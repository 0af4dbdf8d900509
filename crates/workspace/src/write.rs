//! Writing by replacing: whole, or not at all.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;

use autoshare_core::Digest;
use autoshare_core::event::RootMode;
use autoshare_core::outcome::FileState;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::io::Errno;

use crate::beneath::{Follow, normal, open_directory};
use crate::read::state;
use crate::usage::{Growth, allocated, on_disk};
use crate::{Protected, Workspace, WorkspaceError, protected};

/// What names the temporary file of one write: the same tag gives the same name, so that what a crash left can be
/// found. Two writes that go on at the same time need two tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub Digest);

impl Tag {
    /// The temporary file's name. What is left under it has no use but to be removed.
    #[must_use]
    pub fn name(self) -> String {
        format!(".autoshare-{}.tmp", self.0.short())
    }
}

/// What a write would meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The path in normal form: the one that is written.
    pub path: String,
    /// The file's state, if there is a file.
    pub before: Option<FileState>,
    /// Its bytes, if there is a file.
    pub content: Option<Vec<u8>>,
    mode: Mode,
    growth: Growth,
}

const NEW_FILE: Mode = Mode::from_raw_mode(0o644);
pub(crate) const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);
const NEW_FOLDER: Mode = Mode::from_raw_mode(0o755);

impl Workspace {
    /// What a write to `path` would meet, changing nothing.
    ///
    /// # Errors
    /// Why nothing may be written there.
    pub fn target(&self, path: &str) -> Result<Target, WorkspaceError> {
        let path = normal(path)?;
        if self.mode == RootMode::Read {
            return Err(WorkspaceError::ReadOnlyRoot { path });
        }
        if protected(&path) == Some(Protected::Trusted) {
            return Err(WorkspaceError::Protected { path });
        }
        if path == "." {
            return Err(WorkspaceError::IsDirectory { path });
        }
        let depth = path.split('/').count();
        if depth > self.quota.depth {
            return Err(WorkspaceError::TooDeep { path, depth, max: self.quota.depth });
        }
        match self.reader().read_at(&self.dir, path.as_bytes(), Follow::Nothing) {
            Ok((content, stat)) => {
                let mode = Mode::from_raw_mode(stat.st_mode & 0o777);
                if !mode.contains(Mode::WUSR) {
                    return Err(WorkspaceError::ReadOnlyFile { path });
                }
                let growth = Growth { bytes_before: on_disk(&stat), ..Growth::default() };
                Ok(Target { path, before: Some(state(&content)), content: Some(content), mode, growth })
            }
            Err(WorkspaceError::NotFound { .. }) => {
                let growth = Growth { files: 1 + self.missing_folders(&path)?, ..Growth::default() };
                Ok(Target { path, before: None, content: None, mode: NEW_FILE, growth })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether `len` bytes fit there: the limit of one file and the quota of all.
    ///
    /// # Errors
    /// The limit that would be passed.
    pub fn check(&self, target: &Target, len: u64) -> Result<(), WorkspaceError> {
        if len > self.quota.file {
            return Err(WorkspaceError::FileTooLarge { path: target.path.clone(), len, max: self.quota.file });
        }
        self.check_fits(Growth { bytes_after: allocated(len), ..target.growth })
    }

    /// Writes `content` to `path`, making the directories it lies in, provided that the file is as `expected` (`None`:
    /// that there is none). Its permissions stay; set-user-id bits, extended attributes and other hard links do not.
    ///
    /// # Errors
    /// Why it was not written; then nothing has changed. [`WorkspaceError::Changed`] if the file is not as expected.
    pub fn write(
        &self,
        path: &str,
        content: &[u8],
        expected: Option<&FileState>,
        tag: Tag,
    ) -> Result<FileState, WorkspaceError> {
        let target = self.target(path)?;
        if target.before.as_ref() != expected {
            return Err(WorkspaceError::Changed { path: target.path });
        }
        self.check(&target, content.len() as u64)?;
        let (folder, name) = split(&target.path);
        let mut made = Vec::new();
        let written = self.make_folders(folder, &mut made).and_then(|dir| self.put(&dir, name, content, &target, tag));
        match written {
            Ok(()) => {
                self.grew(Growth { bytes_after: allocated(content.len() as u64), ..target.growth });
                Ok(state(content))
            }
            Err(error) => {
                for (parent, name) in made.iter().rev() {
                    let _still_empty = rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR);
                }
                Err(error)
            }
        }
    }

    /// Removes what a write to `path` with this tag left when it was cut off. Directories it made stay: whose they are
    /// cannot be told any more.
    ///
    /// # Errors
    /// The path cannot be resolved, or the kernel does not let go of the file.
    pub fn clear(&self, path: &str, tag: Tag) -> Result<(), WorkspaceError> {
        let path = normal(path)?;
        if self.mode == RootMode::Read {
            return Err(WorkspaceError::ReadOnlyRoot { path });
        }
        let dir = match open_directory(&self.dir, split(&path).0.as_bytes(), Follow::Nothing) {
            Err(WorkspaceError::NotFound { .. }) => return Ok(()),
            other => other?,
        };
        match rustix::fs::unlinkat(&dir, tag.name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(WorkspaceError::from_errno(path.as_bytes(), errno)),
        }
    }

    /// How many directories would have to be made for `path`.
    fn missing_folders(&self, path: &str) -> Result<u64, WorkspaceError> {
        let (mut folder, mut missing) = (split(path).0, 0);
        while folder != "." {
            match open_directory(&self.dir, folder.as_bytes(), Follow::Nothing) {
                Ok(_) => break,
                Err(WorkspaceError::NotFound { .. }) => missing += 1,
                Err(error) => return Err(error),
            }
            folder = split(folder).0;
        }
        Ok(missing)
    }

    /// Opens a directory one name at a time, making what is missing and remembering what was made.
    fn make_folders(&self, path: &str, made: &mut Vec<(OwnedFd, String)>) -> Result<OwnedFd, WorkspaceError> {
        let fail = |errno| WorkspaceError::from_errno(path.as_bytes(), errno);
        let mut dir = open_directory(&self.dir, b".", Follow::Nothing)?;
        for name in path.split('/').filter(|name| *name != ".") {
            let next = match open_directory(&dir, name.as_bytes(), Follow::Nothing) {
                Err(WorkspaceError::NotFound { .. }) => match rustix::fs::mkdirat(&dir, name, NEW_FOLDER) {
                    Ok(()) => {
                        made.push((dir.try_clone().map_err(|_| fail(Errno::MFILE))?, name.to_owned()));
                        rustix::fs::fsync(&dir).map_err(fail)?;
                        let folder = open_directory(&dir, name.as_bytes(), Follow::Nothing)?;
                        give(&dir, &folder).map_err(fail)?;
                        folder
                    }
                    Err(Errno::EXIST) => open_directory(&dir, name.as_bytes(), Follow::Nothing)?,
                    Err(errno) => return Err(fail(errno)),
                },
                other => other?,
            };
            dir = next;
        }
        Ok(dir)
    }

    /// Writes a temporary file and renames it to `name`, both in `dir`.
    fn put(&self, dir: &OwnedFd, name: &str, content: &[u8], target: &Target, tag: Tag) -> Result<(), WorkspaceError> {
        let fail = |errno| WorkspaceError::from_errno(target.path.as_bytes(), errno);
        let temp = tag.name();
        // Without set-uid and set-gid: they were for another content.
        let mode = target.mode & Mode::from_raw_mode(0o777);
        let kept = target.before.as_ref().map(|_| mode);
        let file = create(dir, &temp, mode).map_err(fail)?;
        let given = give(dir, &file).map_err(fail);
        let done = given.and_then(|()| fill(file, content, kept).map_err(fail)).and_then(|()| match &target.before {
            Some(before) => {
                let (now, _) = self.reader().read_at(dir, name.as_bytes(), Follow::Nothing)?;
                if state(&now) != *before {
                    return Err(WorkspaceError::Changed { path: target.path.clone() });
                }
                rustix::fs::renameat(dir, &temp, dir, name).map_err(fail)
            }
            None => match rustix::fs::renameat_with(dir, &temp, dir, name, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => Err(WorkspaceError::Changed { path: target.path.clone() }),
                other => other.map_err(fail),
            },
        });
        if done.is_err() {
            let _already_gone = rustix::fs::unlinkat(dir, &temp, AtFlags::empty());
            return done;
        }
        rustix::fs::fsync(dir).map_err(fail)
    }
}

/// Gives what was made to whoever owns the folder that it is made in. A cell is that owner; a host that is root, and puts a
/// file there for somebody, is not.
fn give(folder: &OwnedFd, made: &OwnedFd) -> Result<(), Errno> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = rustix::fs::fstat(folder)?;
    let (uid, gid) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
    rustix::fs::fchown(made, Some(uid), Some(gid))
}

/// A new file for writing, of this mode less the umask. One that a crash left under this name is removed first.
pub(crate) fn create(dir: &OwnedFd, name: &str, mode: Mode) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, name, flags, mode) {
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(dir, name, AtFlags::empty())?;
            rustix::fs::openat(dir, name, flags, mode)
        }
        other => other,
    }
}

/// Fills a file; one that takes another's place gets its permissions. A narrow cell may change none (Landlock does not
/// cover them), and leaves what the umask left.
fn fill(file: OwnedFd, content: &[u8], kept: Option<Mode>) -> Result<(), Errno> {
    let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let mut file = File::from(file);
    file.write_all(content).map_err(errno)?;
    if let Some(mode) = kept {
        match rustix::fs::fchmod(&file, mode) {
            Err(Errno::PERM) => {}
            other => other?,
        }
    }
    file.sync_all().map_err(errno)
}

/// The directory of a path in normal form, and the name in it.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or((".", path))
}
