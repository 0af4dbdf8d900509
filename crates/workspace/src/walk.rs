//! Looking through directories without following a link, bounded and in a fixed order.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};

use autoshare_core::special::RESULTS;
use rustix::fs::{AtFlags, Dir, FileType, Stat};

use crate::beneath::{Follow, normal, open_directory};
use crate::limits::MAX_VISITED;
use crate::{Workspace, WorkspaceError};

/// What a name holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Folder,
    /// A symbolic link.
    Link,
    /// A FIFO, a socket or a device: never opened.
    Special,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name as text, control characters escaped.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes, of a file.
    pub len: u64,
}

/// An entry met on a walk.
pub(crate) struct Met<'a> {
    /// Where it lies, below the directory where the walk began.
    pub(crate) path: &'a [u8],
    pub(crate) kind: Kind,
    pub(crate) stat: &'a Stat,
}

/// How a walk goes about a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By name; what lies in a directory comes right after it.
    Sorted,
    /// As the file system has it, holding none of it in memory.
    AsFound,
}

/// How a walk is bounded, and what of it was left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk {
    pub(crate) order: Order,
    pub(crate) levels: usize,
    pub(crate) entries: u64,
    /// Whether what tools keep for themselves is met: what lies in a `.git`, and the folder of results.
    pub(crate) kept: bool,
}

/// Whether a walk met everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coverage {
    Whole,
    Partial,
}

impl Walk {
    /// Visits what lies below `start`. A directory that vanishes, cannot be opened, or lies too deep is passed over and
    /// makes the coverage partial.
    pub(crate) fn run(
        self,
        start: &OwnedFd,
        mut visit: impl FnMut(&Met<'_>) -> ControlFlow<()>,
    ) -> Result<Coverage, WorkspaceError> {
        let mut coverage = Coverage::Whole;
        let mut left = self.entries;
        let mut pending: Vec<(Vec<u8>, usize)> = vec![(b".".to_vec(), 0)];
        while let Some((folder, level)) = pending.pop() {
            let dir = match open_directory(start, &folder, Follow::Nothing) {
                Ok(dir) => dir,
                Err(error) if level == 0 => return Err(error),
                Err(_) => {
                    coverage = Coverage::Partial;
                    continue;
                }
            };
            let mut below = Vec::new();
            let mut stopped = false;
            let listed = entries(&dir, &folder, self.order, |name, stat| {
                if left == 0 {
                    coverage = Coverage::Partial;
                    stopped = true;
                    return ControlFlow::Break(());
                }
                left -= 1;
                if !self.kept && name == RESULTS.as_bytes() {
                    return ControlFlow::Continue(());
                }
                let path = if level == 0 { name.to_vec() } else { [folder.as_slice(), b"/", name].concat() };
                let kind = kind(stat);
                if visit(&Met { path: &path, kind, stat }).is_break() {
                    stopped = true;
                    return ControlFlow::Break(());
                }
                if kind == Kind::Folder && (self.kept || name != b".git") {
                    if level + 1 < self.levels {
                        below.push((path, level + 1));
                    } else {
                        coverage = Coverage::Partial;
                    }
                }
                ControlFlow::Continue(())
            });
            if let Err(error) = listed {
                if level == 0 {
                    return Err(error);
                }
                coverage = Coverage::Partial;
            }
            if stopped {
                break;
            }
            pending.extend(below.into_iter().rev());
        }
        Ok(coverage)
    }
}

/// The entries of an open directory. One that vanishes in between is passed over.
pub(crate) fn entries(
    dir: &OwnedFd,
    path: &[u8],
    order: Order,
    mut visit: impl FnMut(&[u8], &Stat) -> ControlFlow<()>,
) -> Result<(), WorkspaceError> {
    let fail = |errno| WorkspaceError::from_errno(path, errno);
    let mut look = |name: &[u8]| match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => visit(name, &stat),
        Err(_) => ControlFlow::Continue(()),
    };
    let mut names = Vec::new();
    for entry in Dir::read_from(dir.as_fd()).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        match order {
            // The directory itself is bounded too, or sorting it would not be.
            Order::Sorted if names.len() as u64 <= MAX_VISITED => names.push(name.to_vec()),
            Order::Sorted => break,
            Order::AsFound => {
                if look(name).is_break() {
                    return Ok(());
                }
            }
        }
    }
    names.sort();
    for name in names {
        if look(&name).is_break() {
            break;
        }
    }
    Ok(())
}

pub(crate) const fn kind(stat: &Stat) -> Kind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        _ => Kind::Special,
    }
}

/// A path as text: bytes that are not UTF-8 become U+FFFD, control characters their escapes, so that no name can feign
/// a line of its own.
pub(crate) fn shown(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for c in String::from_utf8_lossy(path).chars() {
        if c.is_control() { text.extend(c.escape_default()) } else { text.push(c) }
    }
    text
}

impl Workspace {
    /// The entries of a directory by name, [`MAX_VISITED`] at most, and whether those are all.
    ///
    /// # Errors
    /// Why the directory cannot be opened beneath the handle.
    pub fn list(&self, path: &str) -> Result<(Vec<Entry>, bool), WorkspaceError> {
        let start = self.folder(path)?;
        let mut found = Vec::new();
        let walk = Walk { order: Order::Sorted, levels: 1, entries: MAX_VISITED, kept: false };
        walk.run(&start, |met| {
            let len = if met.kind == Kind::File { u64::try_from(met.stat.st_size).unwrap_or(0) } else { 0 };
            found.push(Entry { name: shown(met.path), kind: met.kind, len });
            ControlFlow::Continue(())
        })?;
        let whole = (found.len() as u64) < MAX_VISITED;
        Ok((found, whole))
    }

    /// A directory, for looking through.
    pub(crate) fn folder(&self, path: &str) -> Result<OwnedFd, WorkspaceError> {
        open_directory(&self.dir, normal(path)?.as_bytes(), Follow::Beneath)
    }
}
