//! Looking at a workspace and keeping what it holds.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FileType, OFlags, Stat};
use serde::{Deserialize, Serialize};

use super::node::{Content, Instant, Node, Owner, Stamp, Unkept, len};
use super::path::{LinkTarget, RelPath};
use super::shelf::{Saved, Shelf};
use super::{SnapshotError, SnapshotLimits};
use crate::beneath::{Follow, Identity, identity, open, open_directory, open_file};
use crate::limits::MAX_LEVELS;
use crate::walk::{Order, entries};
use crate::{Workspace, WorkspaceError};

/// What a look takes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything below the root, for programs that may change any of it.
    Whole {
        /// What nobody who is watched can change, and what must not be copied: not looked at, nor anything in it.
        leave_out: Vec<RelPath>,
    },
    /// These paths and the folders they lie in, for tools that change what they name. Nothing else is looked at, unless
    /// a file has several names, which have to be counted.
    Paths(Vec<RelPath>),
}

/// Why a snapshot does not hold everything in its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Incomplete {
    /// There are more files, folders and links than are looked at.
    TooManyFiles {
        /// How many are.
        max: u64,
    },
    /// Paths and links together are longer than is held in memory ([`MAX_TEXT`] bytes).
    TooMuchText,
}

/// Bytes of all paths and links of one look at most, 64 MiB: a hostile tree of long ones is not to fill the memory.
const MAX_TEXT: u64 = 64 << 20;

impl std::fmt::Display for Incomplete {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooManyFiles { max } => write!(
                f,
                "there were more than {max} files, folders and links, so what was created or deleted is not known \
                 (undo_files below [limits] raises it for later steps)"
            ),
            Self::TooMuchText => write!(
                f,
                "paths and links together were longer than {} MiB, so what was created or deleted is not known",
                MAX_TEXT >> 20
            ),
        }
    }
}

/// What a workspace held at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub(crate) scope: Scope,
    /// When the look began.
    pub(crate) at: Instant,
    /// By path.
    pub(crate) entries: Vec<Entry>,
    pub(crate) incomplete: Option<Incomplete>,
}

/// A name and what it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) path: RelPath,
    pub(crate) node: Node,
    pub(crate) stamp: Stamp,
}

impl Snapshot {
    /// Why it does not hold everything, if so.
    #[must_use]
    pub const fn incomplete(&self) -> Option<Incomplete> {
        self.incomplete
    }

    /// What it took in.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What stands at `path`, if anything does.
    #[must_use]
    pub fn node(&self, path: &RelPath) -> Option<&Node> {
        let at = self.entries.binary_search_by(|entry| entry.path.cmp(path)).ok()?;
        self.entries.get(at).map(|entry| &entry.node)
    }

    /// The saved copies it names.
    pub fn blobs(&self) -> impl Iterator<Item = super::BlobId> {
        self.entries.iter().filter_map(|entry| entry.node.kept().map(|(blob, _)| blob))
    }
}

/// Tries to copy a file that changes meanwhile.
const TRIES: u32 = 3;
/// How long after a file's last change another may carry the same time: ten ticks of the slowest kernel clock (100 Hz).
const TICK: Instant = Instant(0, 100_000_000);
/// The same where times have no fractions of a second (FAT counts in two seconds).
const COARSE_TICK: Instant = Instant(2, 0);

impl Workspace {
    /// Looks at what the workspace holds and keeps a copy of every file's content on the shelf. A file that is still
    /// the one of `previous` is not copied again, unless it changed so shortly before that look that it may have changed
    /// once more within the same tick of the clock. What cannot be kept is recorded as such and fails nothing.
    ///
    /// # Errors
    /// The root cannot be opened, or the shelf not be written.
    pub fn snapshot(
        &self,
        scope: &Scope,
        shelf: &Shelf,
        previous: Option<&Snapshot>,
        limits: SnapshotLimits,
    ) -> Result<Snapshot, SnapshotError> {
        let at = now();
        let (mut found, incomplete) = match scope {
            Scope::Whole { leave_out } => self.found_everywhere(leave_out, limits.files)?,
            Scope::Paths(paths) => (self.found_at(paths)?, None),
        };
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found.dedup_by(|one, other| one.path == other.path);
        let names = match scope {
            Scope::Whole { .. } => count_names(&found),
            Scope::Paths(_) if found.iter().any(Found::has_names) => self.reader().names()?.clone(),
            Scope::Paths(_) => HashMap::new(),
        };
        let known = previous.map(settled).unwrap_or_default();
        let mut keeper = Keeper { workspace: self, shelf, limits, names, known };
        let mut entries = Vec::with_capacity(found.len());
        for one in found {
            let (path, shut) = (one.path, one.shut);
            if let Some((mut node, stat)) = keeper.node(&path, &one.stat)? {
                if let Node::Folder { shut: why, .. } = &mut node {
                    *why = shut;
                }
                entries.push(Entry { path, node, stamp: Stamp::of(&stat) });
            }
        }
        Ok(Snapshot { scope: scope.clone(), at, entries, incomplete })
    }

    /// The root and everything below it, `max` names at most.
    fn found_everywhere(
        &self,
        leave_out: &[RelPath],
        max: u64,
    ) -> Result<(Vec<Found>, Option<Incomplete>), SnapshotError> {
        let root = open_directory(&self.dir, b".", Follow::Nothing)?;
        let stat = rustix::fs::fstat(&root).map_err(|e| WorkspaceError::from_errno(b".", e))?;
        let mut found = vec![Found { path: RelPath::root(), stat, shut: None }];
        let mut pending = vec![(0, RelPath::root(), 0)];
        let (mut incomplete, mut text) = (None, 0);
        while let Some((index, folder, level)) = pending.pop() {
            let listed = if level > MAX_LEVELS { Err(Unkept::TooDeep) } else { self.open_folder(&folder) };
            let listed = listed.and_then(|dir| {
                entries(&dir, folder.as_bytes(), Order::AsFound, |name, stat| {
                    let path = folder.join(name);
                    if leave_out.contains(&path) {
                        return ControlFlow::Continue(());
                    }
                    if found.len() as u64 > max {
                        incomplete = Some(Incomplete::TooManyFiles { max });
                        return ControlFlow::Break(());
                    }
                    let kind = FileType::from_raw_mode(stat.st_mode);
                    text += path.as_bytes().len() as u64 + if kind == FileType::Symlink { len(stat) } else { 0 };
                    if text > MAX_TEXT {
                        incomplete = Some(Incomplete::TooMuchText);
                        return ControlFlow::Break(());
                    }
                    if kind == FileType::Directory {
                        pending.push((found.len(), path.clone(), level + 1));
                    }
                    found.push(Found { path, stat: *stat, shut: None });
                    ControlFlow::Continue(())
                })
                .map_err(|_| Unkept::Busy)
            });
            if let (Err(why), Some(found)) = (listed, found.get_mut(index)) {
                found.shut = Some(why);
            }
            if incomplete.is_some() {
                break;
            }
        }
        Ok((found, incomplete))
    }

    fn open_folder(&self, path: &RelPath) -> Result<OwnedFd, Unkept> {
        open_directory(&self.dir, path.as_bytes(), Follow::Nothing).map_err(|error| match error {
            WorkspaceError::Denied { .. } => Unkept::Denied,
            WorkspaceError::BadPath { .. } => Unkept::TooDeep,
            // It was exchanged for something else meanwhile.
            _ => Unkept::Busy,
        })
    }

    /// These paths and the folders they lie in, as far as they exist.
    fn found_at(&self, paths: &[RelPath]) -> Result<Vec<Found>, SnapshotError> {
        let mut found = Vec::new();
        for path in paths {
            for path in path.folders().chain([path.clone()]) {
                match self.stat_of(&path) {
                    Ok(stat) => found.push(Found { path, stat, shut: None }),
                    Err(error) if is_absent(&error) => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(found)
    }

    /// What stands at a path, no link on the way or at its end followed.
    pub(crate) fn stat_of(&self, path: &RelPath) -> Result<Stat, WorkspaceError> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        open(&self.dir, path.as_bytes(), flags, Follow::Nothing)
            .and_then(rustix::fs::fstat)
            .map_err(|e| WorkspaceError::from_errno(path.as_bytes(), e))
    }

    /// What a symbolic link holds, with what it is. Fails on what is none.
    pub(crate) fn link_at(&self, path: &RelPath) -> Result<(LinkTarget, Stat), WorkspaceError> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        open(&self.dir, path.as_bytes(), flags, Follow::Nothing)
            .and_then(|link| Ok((rustix::fs::readlinkat(&link, "", Vec::new())?, rustix::fs::fstat(&link)?)))
            .map(|(target, stat)| (LinkTarget(target.into_bytes()), stat))
            .map_err(|e| WorkspaceError::from_errno(path.as_bytes(), e))
    }
}

/// Whether an error says that there is nothing of this name: it is missing, or what it should lie in is no folder.
pub(crate) const fn is_absent(error: &WorkspaceError) -> bool {
    use WorkspaceError as E;
    matches!(error, E::NotFound { .. } | E::NotADirectory { .. } | E::Link { .. })
}

/// A name that was met.
struct Found {
    path: RelPath,
    stat: Stat,
    shut: Option<Unkept>,
}

impl Found {
    fn has_names(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::RegularFile && self.stat.st_nlink > 1
    }
}

fn count_names(found: &[Found]) -> HashMap<Identity, u64> {
    let mut names = HashMap::new();
    for one in found.iter().filter(|one| one.has_names()) {
        *names.entry(identity(&one.stat)).or_insert(0) += 1;
    }
    names
}

/// The files of a look whose content is known for as long as their stamp stays.
fn settled(previous: &Snapshot) -> HashMap<Identity, (Stamp, Content)> {
    let is_settled = |stamp: &Stamp| {
        let Instant(seconds, nanoseconds) = stamp.ctime;
        let tick = if nanoseconds == 0 { COARSE_TICK } else { TICK };
        let sum = nanoseconds.saturating_add(tick.1);
        Instant(seconds + tick.0 + i64::from(sum / 1_000_000_000), sum % 1_000_000_000) < previous.at
    };
    let kept = previous.entries.iter().filter(|entry| entry.node.kept().is_some() && is_settled(&entry.stamp));
    kept.filter_map(|entry| match &entry.node {
        Node::File { content, .. } => Some(((entry.stamp.dev, entry.stamp.ino), (entry.stamp, content.clone()))),
        _ => None,
    })
    .collect()
}

/// Keeps content on the shelf.
struct Keeper<'a> {
    workspace: &'a Workspace,
    shelf: &'a Shelf,
    limits: SnapshotLimits,
    /// How often a file with hard links was met.
    names: HashMap<Identity, u64>,
    /// Contents that need no copy.
    known: HashMap<Identity, (Stamp, Content)>,
}

impl Keeper<'_> {
    /// What a name holds, with what it is; `None` if it is gone meanwhile.
    fn node(&mut self, path: &RelPath, stat: &Stat) -> Result<Option<(Node, Stat)>, SnapshotError> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.file(path, stat),
            FileType::Symlink => Ok(match self.workspace.link_at(path) {
                Ok((target, stat)) => {
                    Some((Node::Link { owner: Owner { uid: stat.st_uid, gid: stat.st_gid }, target }, stat))
                }
                Err(error) if is_absent(&error) => None,
                Err(_) => Some((Node::Unseen { why: Unkept::Busy }, *stat)),
            }),
            _ => Ok(Some((Node::of(stat), *stat))),
        }
    }

    fn file(&mut self, path: &RelPath, met: &Stat) -> Result<Option<(Node, Stat)>, SnapshotError> {
        let mut stat = *met;
        let mut content = Content::Not(Unkept::Busy);
        for _ in 0..TRIES {
            if let Some(why) = self.has_names_elsewhere(&stat) {
                content = Content::Not(why);
                break;
            }
            if let Some((stamp, known)) = self.known.get(&identity(&stat))
                && *stamp == Stamp::of(&stat)
                && matches!(known, Content::Kept { blob, .. } if self.shelf.has(*blob))
            {
                content = known.clone();
                break;
            }
            let file = match open_file(&self.workspace.dir, path.as_bytes(), Follow::Nothing) {
                Ok((file, opened)) if identity(&opened) == identity(&stat) => {
                    stat = opened;
                    file
                }
                Ok((_, other)) => {
                    stat = other;
                    continue;
                }
                Err(error) if is_absent(&error) => return Ok(None),
                Err(WorkspaceError::Denied { .. }) => {
                    content = Content::Not(Unkept::Denied);
                    break;
                }
                Err(_) => break,
            };
            // It may have got another name since it was met.
            if let Some(why) = self.has_names_elsewhere(&stat) {
                content = Content::Not(why);
                break;
            }
            let Saved::As(blob) = self.shelf.put(&file, len(&stat), self.limits.bytes)? else {
                content = Content::Not(Unkept::ShelfFull);
                break;
            };
            let now = rustix::fs::fstat(&file).map_err(|e| WorkspaceError::from_errno(path.as_bytes(), e))?;
            if Stamp::of(&now) == Stamp::of(&stat) {
                content = Content::Kept { blob, digest: None };
                if stat.st_nlink > 1 {
                    self.known.insert(identity(&stat), (Stamp::of(&stat), content.clone()));
                }
                break;
            }
            stat = now;
        }
        let mut node = Node::of(&stat);
        if let Node::File { content: kept, .. } = &mut node {
            *kept = content;
        }
        Ok(Some((node, stat)))
    }

    fn has_names_elsewhere(&self, stat: &Stat) -> Option<Unkept> {
        #[allow(clippy::useless_conversion, reason = "32 bits on aarch64")]
        let names = u64::from(stat.st_nlink);
        let found = self.names.get(&identity(stat)).copied().unwrap_or(1);
        (names > found).then_some(Unkept::HardLink)
    }
}

fn now() -> Instant {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::super::node::BlobId;
    use super::*;

    #[test]
    fn a_file_is_settled_once_its_last_change_is_more_than_a_tick_before_the_look() {
        const MS: u32 = 1_000_000;
        // (changed at, looked at, settled)
        let rows = [
            (Instant(10, 1), Instant(10, 1), false),
            (Instant(10, 1), Instant(10, 99 * MS), false),
            (Instant(10, 1), Instant(10, 101 * MS), true),
            (Instant(10, 950 * MS), Instant(11, 0), false),
            (Instant(10, 950 * MS), Instant(11, 51 * MS), true),
            (Instant(10, 0), Instant(11, 900 * MS), false),
            (Instant(10, 0), Instant(12, 1), true),
            (Instant(10, 1), Instant(5, 0), false),
        ];
        for (ctime, at, wanted) in rows {
            let stamp = Stamp { dev: 1, ino: 2, size: 3, mtime: Instant(1, 0), ctime };
            let owner = Owner { uid: 0, gid: 0 };
            let content = Content::Kept { blob: BlobId(1), digest: None };
            let node = Node::File { mode: 0o644, owner, len: 3, mtime: Instant(1, 0), content };
            let entries = vec![Entry { path: RelPath::root().join(b"a"), node, stamp }];
            let scope = Scope::Whole { leave_out: Vec::new() };
            let snapshot = Snapshot { scope, at, entries, incomplete: None };
            assert_eq!(settled(&snapshot).len() == 1, wanted, "changed {ctime:?}, looked {at:?}");
        }
    }
}
