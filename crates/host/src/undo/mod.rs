//! What each step of a brain changed, and how it is taken back.
//!
//! An [`Undo`] is one brain's, and lies in `undo/<tenant>/<brain>/` of the data directory. Around an action it is told
//! twice: [`Undo::begin`] keeps what the action may change, [`Undo::finish`] works out what it did. What was begun and
//! never finished, as the host was killed in between, is finished later: by a brain that goes on, or by
//! [`Undo::settle`]. Nothing here fails a step: without a record, a step cannot be taken back, and that is said.
//!
//! `autoshare exec` needs no brain's loop: it calls [`Undo::look`] with [`Place::whole`] roots, [`Undo::begin`], runs its
//! program, and calls [`Undo::finish`].

mod error;
mod keep;
mod take_back;

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use autoshare_core::event::{Root, RootMode};
use autoshare_core::usage::Quota;
use autoshare_core::{BrainId, Digest, TenantName};
use autoshare_vault::private::{Others, PrivateDir};
use autoshare_workspace::Workspace;
use autoshare_workspace::snapshot::{
    BlobId, Change, RelPath, Scope, Shelf, Snapshot, SnapshotLimits, StepChanges, changes, combine,
};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use serde::{Deserialize, Serialize};

pub use error::UndoError;
pub(crate) use keep::Keeping;
pub use keep::{Reach, reach};
pub use take_back::{Undone, undo};

/// Where copies are kept, and how much.
#[derive(Debug, Clone)]
pub struct UndoSettings {
    /// The data directory.
    pub data_dir: PathBuf,
    /// How much is kept for one brain.
    pub limits: SnapshotLimits,
    /// Absolute paths that are not looked at: no cell can change them, and what they hold must not be copied.
    pub leave_out: Vec<PathBuf>,
}

/// The saved copies and records of one brain. Whoever holds the brain's lease may write to it.
#[derive(Debug)]
pub struct Undo {
    shelf: Shelf,
    settings: UndoSettings,
}

/// Where an action may change something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    root: String,
    /// These paths, or everything.
    paths: Option<Vec<RelPath>>,
}

impl Place {
    /// Everything below those of `roots` that may be written.
    #[must_use]
    pub fn whole(roots: &[Root]) -> Vec<Self> {
        let written = roots.iter().filter(|root| root.mode == RootMode::Write);
        written.map(|root| Self { root: root.path.clone(), paths: None }).collect()
    }
}

/// What a place held before an action.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Looked {
    root: String,
    snapshot: Snapshot,
}

impl Undo {
    /// The undo of `brain`, made at first use.
    ///
    /// # Errors
    /// Directories that others may touch, a shelf of a later version, and those of the disk.
    pub fn open(tenant: &TenantName, brain: &BrainId, settings: UndoSettings) -> Result<Self, UndoError> {
        let dir = PrivateDir::open(&settings.data_dir, Others::MayRead)?
            .sub("undo", Others::Nothing)?
            .sub(tenant.as_str(), Others::Nothing)?
            .sub(brain.as_str(), Others::Nothing)?;
        Ok(Self { shelf: Shelf::open(OwnedFd::from(dir))?, settings })
    }

    /// The saved copies.
    #[must_use]
    pub const fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Looks at what the places hold.
    ///
    /// # Errors
    /// A root cannot be opened, or the disk is full.
    pub fn look(&self, places: Vec<Place>) -> Result<Vec<Looked>, UndoError> {
        places
            .into_iter()
            .map(|Place { root, paths }| {
                let (scope, previous) = match paths {
                    Some(paths) => (Scope::Paths(paths), None),
                    None => {
                        let leave_out = self.left_out(Path::new(&root));
                        (Scope::Whole { leave_out }, self.shelf.load(&tree(&root))?)
                    }
                };
                let limits = self.settings.limits;
                let snapshot = open(&root)?.snapshot(&scope, &self.shelf, previous.as_ref(), limits)?;
                Ok(Looked { root, snapshot })
            })
            .collect()
    }

    /// Keeps, durably, what `step` is about to change. What was begun before for this step and never finished stays: it
    /// is older.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn begin(&self, step: u64, looked: &[Looked]) -> Result<(), UndoError> {
        if self.begun(step, 0)?.is_some() {
            return Ok(());
        }
        // The first last: where it is, all are.
        for (part, looked) in looked.iter().enumerate().rev() {
            self.shelf.save(&before(step, part), looked)?;
        }
        Ok(())
    }

    /// Works out what `step` did since it was begun, and records it. Nothing, if it was not begun.
    ///
    /// # Errors
    /// A root cannot be opened, or those of the disk; then it can be finished later.
    pub fn finish(&self, step: u64) -> Result<Vec<StepChanges>, UndoError> {
        let mut parts = Vec::new();
        while let Some(looked) = self.begun(step, parts.len())? {
            parts.push(looked);
        }
        let mut found = Vec::new();
        let mut looked_at_all = false;
        for (part, Looked { root, snapshot }) in parts.iter().enumerate() {
            let now = open(root)?.snapshot(snapshot.scope(), &self.shelf, Some(snapshot), self.settings.limits)?;
            let mut done = StepChanges {
                step,
                root: root.clone(),
                changes: changes(snapshot, &now, &self.shelf)?,
                incomplete: snapshot.incomplete().or(now.incomplete()),
                undone_ms: None,
            };
            // An action that was done once more after it was recorded: together they are the step.
            let earlier = self.shelf.load::<StepChanges>(&record(step, part))?.filter(|one| one.undone_ms.is_none());
            if let Some(earlier) = earlier.filter(|one| one.root == *root) {
                done.changes = combine([&earlier, &done]).changes;
            }
            if !done.changes.is_empty() || done.incomplete.is_some() {
                self.shelf.save(&record(step, part), &done)?;
                found.push(done);
            }
            if matches!(snapshot.scope(), Scope::Whole { .. }) {
                self.shelf.save(&tree(root), &now)?;
                looked_at_all = true;
            }
        }
        for part in (0..parts.len()).rev() {
            self.shelf.remove(&before(step, part))?;
        }
        if looked_at_all {
            self.sweep()?;
        }
        Ok(found)
    }

    /// Finishes what was begun and never finished. For whoever holds the brain's lease while nothing of it goes on.
    ///
    /// # Errors
    /// As [`Undo::finish`].
    pub fn settle(&self) -> Result<(), UndoError> {
        let begun: BTreeSet<u64> = self.shelf.names()?.iter().filter_map(|name| step_begun(name)).collect();
        begun.iter().try_for_each(|step| self.finish(*step).map(drop))?;
        if begun.is_empty() { Ok(()) } else { self.sweep() }
    }

    /// What every step did, in order; those that were taken back included.
    ///
    /// # Errors
    /// A record is damaged, or the disk's.
    pub fn steps(&self) -> Result<Vec<StepChanges>, UndoError> {
        let mut steps = Vec::new();
        for name in self.records()? {
            steps.extend(self.shelf.load::<StepChanges>(&name)?);
        }
        steps.sort_by_key(|one| one.step);
        Ok(steps)
    }

    /// The names of the records of what steps did.
    fn records(&self) -> Result<impl Iterator<Item = String>, UndoError> {
        Ok(self.shelf.names()?.into_iter().filter(|name| name.starts_with("step-") && !name.ends_with(BEFORE)))
    }

    /// Removes the copies that nothing names any more.
    fn sweep(&self) -> Result<(), UndoError> {
        let mut keep: BTreeSet<BlobId> =
            self.steps()?.iter().flat_map(|step| step.changes.iter().flat_map(Change::blobs)).collect();
        for name in self.shelf.names()? {
            if name.ends_with(BEFORE) {
                keep.extend(self.shelf.load::<Looked>(&name)?.iter().flat_map(|looked| looked.snapshot.blobs()));
            } else if name.starts_with("tree-") {
                keep.extend(self.shelf.load::<Snapshot>(&name)?.iter().flat_map(Snapshot::blobs));
            }
        }
        Ok(self.shelf.sweep(&keep)?)
    }

    fn begun(&self, step: u64, part: usize) -> Result<Option<Looked>, UndoError> {
        Ok(self.shelf.load(&before(step, part))?)
    }

    /// What is left out, as it lies below a root.
    fn left_out(&self, root: &Path) -> Vec<RelPath> {
        use std::os::unix::ffi::OsStrExt as _;
        let below = self.settings.leave_out.iter().filter_map(|path| path.strip_prefix(root).ok());
        below.filter_map(|path| RelPath::parse(path.as_os_str().as_bytes()).ok()).collect()
    }
}

const BEFORE: &str = ".before";

fn record(step: u64, part: usize) -> String {
    format!("step-{step:06}-{part}")
}

fn before(step: u64, part: usize) -> String {
    format!("step-{step:06}-{part}{BEFORE}")
}

/// The step of which a record says what was there before.
fn step_begun(name: &str) -> Option<u64> {
    name.strip_suffix(BEFORE)?.strip_prefix("step-")?.split('-').next()?.parse().ok()
}

/// The record of the last look at a root.
fn tree(root: &str) -> String {
    format!("tree-{}", Digest::of(root.as_bytes()).short())
}

/// A root as a workspace. No link leads there, as for the cell that worked in it.
fn open(root: &str) -> Result<Workspace, UndoError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat2(rustix::fs::CWD, root, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
        .map_err(|errno| UndoError::Root { path: root.to_owned(), why: errno.to_string() })?;
    Ok(Workspace::open(dir, RootMode::Write, Quota::default()))
}
