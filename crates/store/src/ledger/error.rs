//! Why a call may not be made.

use std::fmt;
use std::time::Duration;

use autoshare_core::BrainId;
use autoshare_core::budget::{Account, Measure, Window};
use autoshare_core::day::Day;

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

impl Passed {
    /// The setting that holds the cap, for whoever may raise it.
    fn setting(&self) -> String {
        let key = match self.measure {
            Measure::Requests => "requests",
            Measure::Input => "input_tokens",
            Measure::Output => "output_tokens",
            Measure::Tokens => "tokens",
            Measure::Cost => "cost",
        };
        match &self.account {
            Account::Tenant => format!("`{}.{key}` under [budget] in autoshare.toml", self.window),
            Account::Model(pattern) => {
                format!("`{}.{key}` under [budget.models.\"{pattern}\"] in autoshare.toml", self.window)
            }
            Account::Token(id) => {
                format!("the {} cap of token {id} (`autoshare token new` makes another)", self.window)
            }
        }
    }
}

/// Such as: the tenant has not enough money left for this day: $4.9800 of $5.0000 used, the next call may take $0.0600; it begins
/// anew at 2026-11-26 00:00 UTC.
impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, window, measure, .. } = self;
        let [cap, used, wanted] = [self.cap, self.used, self.wanted].map(|amount| measure.words(amount));
        match window {
            Window::Call => {
                return write!(f, "one call of {account} may take {cap}, and this one may take {wanted}: ask for less");
            }
            window => write!(f, "{account} has not enough {measure} left for this {window}")?,
        }
        write!(f, ": {used} of {cap} used, the next call may take {wanted}")?;
        match self.until_ms {
            Some(until_ms) => write!(f, "; it begins anew at {} 00:00 UTC", Day::of_ms(until_ms)),
            None => Ok(()),
        }
    }
}

/// Why a call may not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// It would pass a hard cap.
    #[error("{passed}, or raise {}", passed.setting())]
    Over {
        /// Which cap.
        passed: Box<Passed>,
    },
    /// It would pass a soft cap, and nobody gave leave: ask, then [`Ledger::allow_soft`](super::Ledger::allow_soft).
    #[error("{passed} (a soft cap: it can be passed with your leave), or raise {}", passed.setting())]
    Soft {
        /// Which cap.
        passed: Box<Passed>,
    },
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
