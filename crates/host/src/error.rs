//! What can go wrong while a brain is driven.

use autoshare_broker::BrokerError;
use autoshare_core::document::ReadRefusal;
use autoshare_sandbox::SandboxError;
use autoshare_store::StoreError;

/// What can go wrong while a brain is driven. What the brain can go on from is an event of its journal, not one of these.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The journal.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The confinement.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The model.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A cell broke its protocol or ended.
    #[error("the cell failed: {0}")]
    Cell(String),
    /// A document was not read.
    #[error(transparent)]
    Unread(#[from] ReadRefusal),
    /// A root of the brain cannot be used.
    #[error("{path} cannot be used: {why}")]
    Root {
        /// The directory.
        path: String,
        /// Why, and what to do.
        why: String,
    },
    /// The journal does not begin with a goal.
    #[error("brain {0} has no goal: it was interrupted while it was admitted; begin anew with `autoshare run`")]
    NoGoal(autoshare_core::BrainId),
    /// There is no brain to go on with: a program was run.
    #[error("{0} is a program that was run by `autoshare exec`, which cannot go on: run it again")]
    Exec(autoshare_core::BrainId),
    /// It hears nothing more.
    #[error("brain {0} has ended and hears nothing more: begin anew with `autoshare run`")]
    Ended(autoshare_core::BrainId),
    /// There is no policy to judge actions by.
    #[error("no policy was given to judge actions by: this is a fault in AutoSHARE, please report it")]
    NoPolicy,
    /// A tenant cannot be served with what it has.
    #[error("{0}")]
    Open(String),
    /// The system gives no random bytes.
    #[error("no random bytes from the system: {0}")]
    Randomness(String),
    /// A worker thread ended.
    #[error("an inner task ended unexpectedly: {0}; run `autoshare resume` to go on")]
    Task(String),
}

impl HostError {
    /// Whether another process drives the brain.
    #[must_use]
    pub const fn is_driven(&self) -> bool {
        matches!(self, Self::Store(StoreError::Driven { .. }))
    }
}
