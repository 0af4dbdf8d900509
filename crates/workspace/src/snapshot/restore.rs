//! Putting back what was there before.

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd as _, OwnedFd};

use autoshare_core::Digest;
use autoshare_core::event::RootMode;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::Errno;

use super::changes::Change;
use super::node::{Content, Instant, Node, Owner, SET_ID, Unkept, len};
use super::path::RelPath;
use super::shelf::Shelf;
use super::take::is_absent;
use super::{SnapshotError, copy};
use crate::beneath::{Follow, identity, open, open_directory, open_file};
use crate::write::{PRIVATE, Tag, create};
use crate::{Reader, Workspace, WorkspaceError};

/// What is done about something that is not as the step left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clash {
    /// Nothing at all is changed.
    Refuse,
    /// It is put back all the same; what cannot be is left.
    Override,
}

/// A path that is not as the step left it, or cannot be put back, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The path as text.
    pub path: String,
    /// Why, in words.
    pub why: String,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restored {
    /// How many names were put back, those included that were as before already.
    pub restored: usize,
    /// What was left as it is, and why.
    pub left: Vec<Conflict>,
}

/// The record on the shelf that says that a restore is under way.
fn under_way(id: &Digest) -> String {
    format!("restoring-{}", id.short())
}

impl Workspace {
    /// Puts back what was there before each of `changes`, which are of this root and come from this shelf. What the
    /// step made is removed; a folder only if nothing else lies in it. Specials and files with names outside are left
    /// and said.
    ///
    /// # Errors
    /// [`SnapshotError::Conflicts`] if something is not as the step left it, or was not kept: then nothing has changed.
    /// [`SnapshotError::Damaged`] if a saved copy is: likewise. [`SnapshotError::CutOff`] in the middle; as after a
    /// kill, it can be run again.
    pub fn restore(&self, shelf: &Shelf, changes: &[Change], clash: Clash) -> Result<Restored, SnapshotError> {
        if self.mode() == RootMode::Read {
            return Err(WorkspaceError::ReadOnlyRoot { path: ".".to_owned() }.into());
        }
        let (mut restore, todo, conflicts) = self.judged(shelf, changes)?;
        if !conflicts.is_empty() && clash == Clash::Refuse {
            return Err(SnapshotError::Conflicts(conflicts));
        }
        let under_way = under_way(&restore.id);
        shelf.save(&under_way, &restore.id)?;
        restore.carry_out(changes, &todo)?;
        shelf.remove(&under_way)?;
        *self.counted() = None;
        Ok(restore.result)
    }

    /// What would be a conflict for [`Workspace::restore`], changing nothing.
    ///
    /// # Errors
    /// As there, but for conflicts.
    pub fn conflicts(&self, shelf: &Shelf, changes: &[Change]) -> Result<Vec<Conflict>, SnapshotError> {
        self.judged(shelf, changes).map(|(_, _, conflicts)| conflicts)
    }

    /// What is to be done, and what is in the way.
    fn judged<'a>(&'a self, shelf: &'a Shelf, changes: &'a [Change]) -> Result<Judged<'a>, SnapshotError> {
        let id = serde_json::to_vec(changes)
            .map(|text| Digest::of(&text))
            .map_err(|e| SnapshotError::Damaged { name: "the record".to_owned(), why: e.to_string() })?;
        let again = shelf.load::<Digest>(&under_way(&id))?.is_some();
        let mut restore = Restore {
            workspace: self,
            shelf,
            reader: self.reader(),
            id,
            touched: BTreeSet::new(),
            result: Restored::default(),
        };
        let (mut todo, mut conflicts) = (Vec::new(), Vec::new());
        for change in changes {
            match restore.judge(change, again)? {
                State::AsBefore => restore.result.restored += 1,
                State::AsAfter => todo.push(change),
                State::Left(why) => restore.leave(&change.path, why),
                State::Conflict(why) => {
                    conflicts.push(Conflict { path: change.path.to_string(), why });
                    todo.push(change);
                }
                State::Lost(why) => {
                    conflicts.push(Conflict { path: change.path.to_string(), why: why.to_owned() });
                    restore.leave(&change.path, why);
                }
            }
        }
        Ok((restore, todo, conflicts))
    }
}

/// A restore with what it has to do and what is in its way.
type Judged<'a> = (Restore<'a>, Vec<&'a Change>, Vec<Conflict>);

/// How a path stands to a change.
enum State {
    /// It is as it was before.
    AsBefore,
    /// It is as the step left it.
    AsAfter,
    /// It is neither.
    Conflict(String),
    /// What was there before is never put back.
    Left(&'static str),
    /// What was there before was not kept.
    Lost(&'static str),
}

struct Restore<'a> {
    workspace: &'a Workspace,
    shelf: &'a Shelf,
    reader: Reader<'a>,
    id: Digest,
    /// Folders whose names changed.
    touched: BTreeSet<RelPath>,
    result: Restored,
}

impl Restore<'_> {
    fn leave(&mut self, path: &RelPath, why: &str) {
        self.result.left.push(Conflict { path: path.to_string(), why: why.to_owned() });
    }

    /// How a path stands. `again`: the same restore was cut off, so a name may be missing between two others.
    fn judge(&self, change: &Change, again: bool) -> Result<State, SnapshotError> {
        if self.holds(&change.path, change.before.as_ref())? {
            return Ok(State::AsBefore);
        }
        match &change.before {
            Some(Node::Special { .. }) => return Ok(State::Left("a FIFO, socket or device is not made again")),
            Some(Node::Unseen { why }) => return Ok(State::Left(why.words())),
            Some(Node::File { content: Content::Not(why @ Unkept::ShelfFull), .. }) => {
                return Ok(State::Lost(why.words()));
            }
            Some(Node::File { content: Content::Not(why), .. }) => return Ok(State::Left(why.words())),
            Some(Node::File { len, content: Content::Kept { blob, digest }, .. }) => {
                let name = format!("copy {}", blob.0);
                let now = copy::digest(self.shelf.blob(*blob)?, *len).map_err(SnapshotError::shelf("read", &*name))?;
                if digest.is_some_and(|digest| digest != now) {
                    return Err(SnapshotError::Damaged { name, why: "its digest is another one".to_owned() });
                }
            }
            Some(Node::Folder { .. } | Node::Link { .. }) | None => {}
        }
        if self.holds(&change.path, change.after.as_ref())? || (again && self.holds(&change.path, None)?) {
            return Ok(State::AsAfter);
        }
        let now = match self.workspace.stat_of(&change.path) {
            Ok(stat) => format!("it is now another {}", Node::of(&stat).word()),
            Err(error) if is_absent(&error) => "it is gone".to_owned(),
            Err(error) => error.to_string(),
        };
        Ok(State::Conflict(format!("changed after the step ({now}); --force puts it back all the same")))
    }

    /// Whether a path is as recorded. A folder is one whatever its permissions: they are put back in any case.
    fn holds(&self, path: &RelPath, recorded: Option<&Node>) -> Result<bool, SnapshotError> {
        let stat = match self.workspace.stat_of(path) {
            Ok(stat) => stat,
            Err(error) if is_absent(&error) => return Ok(recorded.is_none()),
            Err(WorkspaceError::Denied { .. }) => return Ok(matches!(recorded, Some(Node::Unseen { .. }))),
            Err(error) => return Err(error.into()),
        };
        Ok(match recorded {
            None | Some(Node::Unseen { .. }) => false,
            Some(Node::Link { target, .. }) => self.workspace.link_at(path).is_ok_and(|(now, _)| now == *target),
            Some(Node::File { mode, len: bytes, content, .. }) => {
                let same = Node::of(&stat).mode().is_some_and(|now| now & !SET_ID == mode & !SET_ID)
                    && Node::of(&stat).word() == "file"
                    && len(&stat) == *bytes;
                match content {
                    _ if !same => false,
                    Content::Kept { digest: Some(digest), .. } => self.digest_now(path)? == Some(*digest),
                    Content::Kept { digest: None, .. } => false,
                    Content::Not(_) => true,
                }
            }
            Some(node) => Node::of(&stat).is_like(node),
        })
    }

    /// The digest of a file as it is, `None` if it has names outside or cannot be read.
    fn digest_now(&self, path: &RelPath) -> Result<Option<Digest>, SnapshotError> {
        let Ok((file, stat)) = open_file(&self.workspace.dir, path.as_bytes(), Follow::Nothing) else {
            return Ok(None);
        };
        if stat.st_nlink > 1 {
            // Counted once for all files: there may be very many with several names.
            let reader = &self.reader;
            let found = reader.names()?.get(&identity(&stat)).copied().unwrap_or(0);
            #[allow(clippy::useless_conversion, reason = "32 bits on aarch64")]
            if found < u64::from(stat.st_nlink) {
                return Ok(None);
            }
        }
        copy::digest(file, len(&stat)).map(Some).map_err(|e| WorkspaceError::from_errno(path.as_bytes(), e).into())
    }

    /// Permissions that are in the way first, then what has to go from the inside out, what has to come from the
    /// outside in, and last the permissions as they were.
    fn carry_out(&mut self, all: &[Change], todo: &[&Change]) -> Result<(), SnapshotError> {
        let folders = || all.iter().filter_map(|change| Some((&change.path, change.before.as_ref()?.folder_mode()?)));
        for (path, _) in folders() {
            self.set_mode(path, None)?;
        }
        for change in todo.iter().rev() {
            if change.before.is_none() {
                self.remove(&change.path)?;
            }
        }
        for change in todo {
            // What was not seen while its folder was shut may be as it was.
            let is_done = matches!(change.after, Some(Node::Unseen { .. }))
                && self.holds(&change.path, change.before.as_ref())?;
            if is_done {
                self.result.restored += 1;
            } else if let Some(node) = &change.before {
                self.make(&change.path, node)?;
            }
        }
        for (path, mode) in folders().collect::<Vec<_>>().into_iter().rev() {
            self.set_mode(path, Some(mode))?;
        }
        for folder in &self.touched {
            let synced = open_directory(&self.workspace.dir, folder.as_bytes(), Follow::Nothing)
                .and_then(|dir| rustix::fs::fsync(&dir).map_err(|e| WorkspaceError::from_errno(folder.as_bytes(), e)));
            synced.or_else(|error| if is_absent(&error) { Ok(()) } else { Err(cut_off(folder, &error)) })?;
        }
        Ok(())
    }

    /// The folder that a path lies in, and its name there.
    fn holder<'p>(&mut self, path: &'p RelPath) -> Result<(OwnedFd, &'p [u8]), WorkspaceError> {
        let (folder, name) = path.split();
        let dir = open_directory(&self.workspace.dir, folder.as_bytes(), Follow::Nothing)?;
        self.touched.insert(folder);
        Ok((dir, name))
    }

    /// Removes what the step put there.
    fn remove(&mut self, path: &RelPath) -> Result<(), SnapshotError> {
        let (dir, name) = match self.holder(path) {
            Ok(holder) => holder,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(cut_off(path, &error)),
        };
        let removed = match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => rustix::fs::unlinkat(&dir, name, AtFlags::REMOVEDIR),
            other => other,
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => self.result.restored += 1,
            Err(Errno::NOTEMPTY | Errno::EXIST) => self.leave(path, "it holds something that the step did not make"),
            Err(errno) => return Err(cut_off(path, &WorkspaceError::from_errno(path.as_bytes(), errno))),
        }
        Ok(())
    }

    /// Puts there what was there.
    fn make(&mut self, path: &RelPath, node: &Node) -> Result<(), SnapshotError> {
        let fail = |errno| cut_off(path, &WorkspaceError::from_errno(path.as_bytes(), errno));
        let (dir, name) = match self.holder(path) {
            Ok(holder) => holder,
            Err(error) if is_absent(&error) => {
                self.leave(path, "the folder it lay in is gone");
                return Ok(());
            }
            Err(error) => return Err(cut_off(path, &error)),
        };
        let temporary = Tag(Digest::of_parts(&[self.id.as_bytes(), path.as_bytes()])).name();
        match node {
            Node::Folder { owner, .. } => {
                if open_directory(&dir, name, Follow::Nothing).is_err() {
                    let _nothing_there = rustix::fs::unlinkat(&dir, name, AtFlags::empty());
                    rustix::fs::mkdirat(&dir, name, Mode::RWXU).map_err(fail)?;
                }
                give(&dir, name, *owner);
            }
            Node::Link { owner, target } => {
                let _from_an_earlier_try = rustix::fs::unlinkat(&dir, &temporary, AtFlags::empty());
                rustix::fs::symlinkat(target.as_bytes(), &dir, &temporary).map_err(fail)?;
                give(&dir, temporary.as_bytes(), *owner);
                if !self.put(&dir, &temporary, name, path)? {
                    return Ok(());
                }
            }
            Node::File { mode, owner, len, mtime, content: Content::Kept { blob, .. } } => {
                let file = create(&dir, &temporary, PRIVATE).map_err(fail)?;
                let filled = copy::copy(self.shelf.blob(*blob)?, &file, *len, u64::MAX)
                    .and_then(|_| finish(&file, *mode, *owner, *mtime));
                if let Err(errno) = filled {
                    let _already_gone = rustix::fs::unlinkat(&dir, &temporary, AtFlags::empty());
                    return Err(fail(errno));
                }
                if !self.put(&dir, &temporary, name, path)? {
                    return Ok(());
                }
            }
            Node::File { .. } | Node::Special { .. } | Node::Unseen { .. } => return Ok(()),
        }
        self.result.restored += 1;
        Ok(())
    }

    /// Gives what was made its name. `false` if a folder is in the way that is not empty.
    fn put(&mut self, dir: &OwnedFd, temporary: &str, name: &[u8], path: &RelPath) -> Result<bool, SnapshotError> {
        let mut named = rustix::fs::renameat(dir, temporary, dir, name);
        if named == Err(Errno::ISDIR) {
            named = rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
                .and_then(|()| rustix::fs::renameat(dir, temporary, dir, name));
        }
        let Err(errno) = named else { return Ok(true) };
        let _already_gone = rustix::fs::unlinkat(dir, temporary, AtFlags::empty());
        if matches!(errno, Errno::NOTEMPTY | Errno::EXIST) {
            self.leave(path, "in its place is a folder that holds something which the step did not make");
            return Ok(false);
        }
        Err(cut_off(path, &WorkspaceError::from_errno(path.as_bytes(), errno)))
    }

    /// Sets a folder's permissions, if there is one: to those it had, or (`None`) so that its owner may work in it.
    /// Set-id bits stay where they were and are.
    fn set_mode(&self, path: &RelPath, mode: Option<u32>) -> Result<(), SnapshotError> {
        let fail = |errno| cut_off(path, &WorkspaceError::from_errno(path.as_bytes(), errno));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let Ok(folder) = open(&self.workspace.dir, path.as_bytes(), flags, Follow::Nothing) else { return Ok(()) };
        let now = rustix::fs::fstat(&folder).map_err(fail)?.st_mode & 0o7777;
        let wanted = mode.map_or(now | 0o700, |mode| (mode & !SET_ID) | (mode & now & SET_ID));
        if now == wanted {
            return Ok(());
        }
        // fchmod(2) takes no O_PATH descriptor, and a folder that may not be read gives no other.
        let pinned = format!("/proc/self/fd/{}", folder.as_raw_fd());
        rustix::fs::chmod(pinned, Mode::from_raw_mode(wanted)).map_err(fail)
    }
}

impl Node {
    const fn folder_mode(&self) -> Option<u32> {
        match self {
            Self::Folder { mode, .. } => Some(*mode),
            _ => None,
        }
    }
}

/// Owner, permissions, time: in this order, as each takes something of the one before away. Then it is on disk.
fn finish(file: &OwnedFd, mode: u32, owner: Owner, mtime: Instant) -> Result<(), Errno> {
    if rustix::process::geteuid().is_root() {
        rustix::fs::fchown(file, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode & !SET_ID))?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.0, tv_nsec: i64::from(mtime.1) },
    };
    rustix::fs::futimens(file, &times)?;
    rustix::fs::fsync(file)
}

/// Gives a name its owner back. Only root can, and needs to: whatever another user put back is that user's anyway.
fn give(dir: &OwnedFd, name: &[u8], owner: Owner) {
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        let _gone_meanwhile = rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
    }
}

fn cut_off(path: &RelPath, error: &WorkspaceError) -> SnapshotError {
    SnapshotError::CutOff { path: path.to_string(), why: error.to_string() }
}
