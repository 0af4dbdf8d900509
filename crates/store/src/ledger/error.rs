//! Why a call may not be made.

use std::fmt;
use std::time::Duration;

use autoshare_core::BrainId;
use autoshare_core::budget::{Account, Measure, Window};

use crate::StoreError;

/// A cap that a call would pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Whose cap.
    pub account: Account,
    /// In which window.
    pub window: Window,
    /// The brain, for the window of a run.
    pub brain: Option<BrainId>,
    /// What is counted.
    pub measure: Measure,
    /// The cap: a number, or millionths of a dollar.
    pub cap: u64,
    /// What is used or set aside of it by now.
    pub used: u64,
    /// What the call may take.
    pub wanted: u64,
    /// When the window ends: milliseconds since 1970 (UTC); `None` for a call or a run.
    pub until_ms: Option<u64>,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.account, self.window, self.measure)
    }
}

/// Why a call may not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// It would pass a hard cap.
    #[error("{0}")]
    Over(Box<Passed>),
    /// It would pass a soft cap, and nobody gave leave: ask, then [`Ledger::allow_soft`](super::Ledger::allow_soft).
    #[error("{0}")]
    Soft(Box<Passed>),
    /// Too many in a minute.
    #[error("{account} may use {} a minute: try again in {} seconds", measure.words(*limit), after.as_secs() + 1)]
    Fast {
        /// Whose limit.
        account: Account,
        /// Requests or tokens.
        measure: Measure,
        /// How many a minute.
        limit: u64,
        /// When there is room again.
        after: Duration,
    },
    /// The disk failed; nothing was set aside.
    #[error(transparent)]
    Store(#[from] StoreError),
}
