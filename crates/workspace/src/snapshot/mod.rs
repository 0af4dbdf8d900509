//! What a step changed, and how it is taken back.
//!
//! A [`Snapshot`] says what a workspace held, of everything or of a few paths ([`Scope`]); the bytes of files lie as
//! copies on a [`Shelf`]. Two of them give [`changes`], which are recorded as [`StepChanges`] and shown or put back
//! ([`Workspace::restore`](crate::Workspace::restore)). [`combine`] makes one change list of several steps, so a whole
//! run is taken back as one step is.
//!
//! **Invariants**
//! - Whoever is watched may change everything while it is looked at or put back. Nothing is opened but beneath the
//!   handle and through no link, and nothing but regular files and folders; what kept changing is recorded as that.
//! - A file that has names outside is neither opened nor put back.
//! - Putting back replaces names. It never writes into a file that is there, so no other name of it changes.
//! - Set-user-id and set-group-id bits are recorded, and never given.
//! - A restore that finds a conflict changes nothing, unless told to override it. One that was cut off is run again.
//! - Saved copies are not sealed: they are what the workspace of the same user held, in a folder of that user alone.

pub(crate) mod changes;
pub(crate) mod copy;
mod error;
mod node;
mod path;
pub(crate) mod restore;
mod shelf;
mod take;

pub use changes::{Change, Combined, StepChanges, What, changes, combine};
pub use error::SnapshotError;
pub use node::{BlobId, Content, Node, Owner, Special, Unkept};
pub use path::{LinkTarget, RelPath};
pub use restore::{Clash, Conflict, Restored};
pub use shelf::{SHELF_FORMAT, Shelf};
pub use take::{Incomplete, Scope, Snapshot};

/// How much is kept for taking back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotLimits {
    /// Bytes of all copies on one shelf. Default 2 GiB.
    pub bytes: u64,
    /// Files, folders and links that one look takes in. Default 200,000.
    pub files: u64,
}

impl Default for SnapshotLimits {
    fn default() -> Self {
        Self { bytes: 2 << 30, files: 200_000 }
    }
}
