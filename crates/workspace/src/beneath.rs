//! The one way to a descriptor: the kernel resolves a path beneath a handle.

use std::os::fd::{AsFd, OwnedFd};

use autoshare_core::place::MAX_PATH;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::WorkspaceError;
use crate::error::errno_name;
use crate::limits::{MAX_LINKS, MAX_TRIES};

/// Which symbolic links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    /// Those that stay beneath.
    Beneath,
    /// None.
    Nothing,
}

impl Follow {
    const fn resolve(self) -> ResolveFlags {
        let base = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
        match self {
            Self::Beneath => base,
            Self::Nothing => base.union(ResolveFlags::NO_SYMLINKS),
        }
    }
}

/// `openat2(2)` beneath `dir`. `EAGAIN`, the kernel's word for a path that was changed while a `..` was walked, is tried
/// anew a bounded number of times.
pub(crate) fn open(dir: impl AsFd, path: &[u8], flags: OFlags, follow: Follow) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC;
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(&dir, path, flags, Mode::empty(), follow.resolve()) {
            Err(Errno::AGAIN | Errno::INTR) if tries < MAX_TRIES => tries += 1,
            other => return other,
        }
    }
}

/// A directory beneath `dir`, for listing and syncing.
pub(crate) fn open_directory(dir: impl AsFd, path: &[u8], follow: Follow) -> Result<OwnedFd, WorkspaceError> {
    open(dir, path, OFlags::RDONLY | OFlags::DIRECTORY, follow).map_err(|e| WorkspaceError::from_errno(path, e))
}

/// A regular file beneath `dir`, for reading, and what it is. It is looked at before it is opened, so that nothing but
/// a regular file is ever opened on purpose; `O_NONBLOCK` covers a FIFO that is put in its place in between.
pub(crate) fn open_file(dir: impl AsFd, path: &[u8], follow: Follow) -> Result<(OwnedFd, Stat), WorkspaceError> {
    let fail = |errno| WorkspaceError::from_errno(path, errno);
    for _ in 0..MAX_TRIES {
        let seen = open(&dir, path, OFlags::PATH, follow).map_err(fail)?;
        let seen = rustix::fs::fstat(&seen).map_err(fail)?;
        regular(path, &seen)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = open(&dir, path, flags, follow).map_err(fail)?;
        let stat = rustix::fs::fstat(&file).map_err(fail)?;
        if identity(&stat) == identity(&seen) {
            return Ok((file, stat));
        }
    }
    Err(WorkspaceError::Busy { path: crate::walk::shown(path) })
}

/// Refuses what is not a regular file.
pub(crate) fn regular(path: &[u8], stat: &Stat) -> Result<(), WorkspaceError> {
    let path = || crate::walk::shown(path);
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return Ok(()),
        FileType::Directory => return Err(WorkspaceError::IsDirectory { path: path() }),
        FileType::Symlink => return Err(WorkspaceError::Link { path: path(), errno: errno_name(Errno::LOOP) }),
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "of an unknown kind",
    };
    Err(WorkspaceError::Special { path: path(), kind })
}

/// A file by where the machine keeps it: device and inode.
pub(crate) type Identity = (u64, u64);

pub(crate) const fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// The path in normal form by which the file that was `opened` as `path` is reached without a link, so that content
/// can be told by the name of the file it really stands in.
pub(crate) fn behind_links(dir: impl AsFd, path: &str, opened: &Stat) -> Result<String, WorkspaceError> {
    let fail = |errno| WorkspaceError::from_errno(path.as_bytes(), errno);
    let is_it = |real: &str| {
        let seen = open(&dir, real.as_bytes(), OFlags::PATH, Follow::Nothing).and_then(rustix::fs::fstat);
        seen.is_ok_and(|seen| identity(&seen) == identity(opened))
    };
    if is_it(path) {
        return Ok(path.to_owned());
    }
    let (mut real, mut links) = (String::from("."), 0);
    let mut rest: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
    while let Some(name) = rest.pop() {
        let next = normal(&format!("{real}/{name}"))?;
        let entry = open(&dir, next.as_bytes(), OFlags::PATH | OFlags::NOFOLLOW, Follow::Nothing).map_err(fail)?;
        if FileType::from_raw_mode(rustix::fs::fstat(&entry).map_err(fail)?.st_mode) != FileType::Symlink {
            real = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(fail(Errno::LOOP));
        }
        let target = rustix::fs::readlinkat(&entry, "", Vec::new()).map_err(fail)?;
        rest.extend(target.to_string_lossy().rsplit('/').map(str::to_owned));
    }
    if is_it(&real) { Ok(real) } else { Err(fail(Errno::AGAIN)) }
}

/// A path in normal form: no empty component, no `.`, and `..` only at its beginning; the directory itself is `.`. A
/// `..` is taken back by the words before it, so what is opened is what is shown, whatever links lie on the way. A path
/// that leads above its beginning, or an absolute one, is the kernel's to refuse.
pub(crate) fn normal(path: &str) -> Result<String, WorkspaceError> {
    let bad = |why| Err(WorkspaceError::BadPath { path: path.chars().take(200).collect(), why });
    if path.is_empty() {
        return bad("it is empty");
    }
    if path.len() > MAX_PATH {
        return bad("it is longer than 4095 bytes");
    }
    if path.contains('\0') {
        return bad("it holds a NUL");
    }
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop_if(|part| *part != "..").is_none() {
                    parts.push("..");
                }
            }
            other => parts.push(other),
        }
    }
    Ok(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

/// Tries a path outside every root against the kernel, as given, without opening it for reading (`O_PATH`), and says
/// what came of it. The descriptor is closed at once; nothing about the file but its existence is learnt.
#[must_use]
pub fn ask_kernel(path: &str) -> WorkspaceError {
    let shown = path.chars().take(4096).collect();
    match rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(_) => WorkspaceError::OutsideExists { path: shown },
        Err(errno) => WorkspaceError::OutsideRefused { path: shown, errno: errno_name(errno) },
    }
}
