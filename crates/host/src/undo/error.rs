//! Why something could not be recorded or taken back.

use autoshare_store::StoreError;
use autoshare_vault::VaultError;
use autoshare_workspace::snapshot::SnapshotError;

/// Why something could not be recorded or taken back.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// The directory of saved copies.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Looking, comparing, putting back.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The journal, or somebody else drives the brain.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A root cannot be opened.
    #[error("{path} cannot be opened ({why}); what changed below it can neither be told nor taken back")]
    Root {
        /// The directory.
        path: String,
        /// What the kernel answered.
        why: String,
    },
    /// No step changed anything, or not this one.
    #[error("{0} changed no file that is known of")]
    NothingChanged(String),
    /// It was taken back before.
    #[error("{0} was undone already; nothing was changed")]
    Already(String),
    /// A later step changed the same.
    #[error(
        "step {later} changed {path} after step {step} did: undo step {later} first, or the whole run, or use --force"
    )]
    Later {
        /// The step that was to be taken back.
        step: u64,
        /// The later one.
        later: u64,
        /// What both changed, as text.
        path: String,
    },
    /// A worker thread ended.
    #[error("an inner task ended unexpectedly: {0}")]
    Task(String),
}
