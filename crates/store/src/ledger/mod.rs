//! The ledger: what a tenant used, and what is left of its budgets.

mod error;

use std::path::Path;

use autoshare_access::Access;
use autoshare_core::budget::{Budget, Limit, ModelPattern};
use autoshare_core::usage::Usage;
use autoshare_core::{BrainId, TokenId};

pub use error::{LedgerError, Passed};

use crate::StoreError;

/// For whom a call is made. The tenant is the ledger's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Payer {
    /// The token that it came with.
    pub token: Option<TokenId>,
    /// The brain whose call it is.
    pub brain: Option<BrainId>,
    /// The model that is called.
    pub model: String,
}

/// What the tenant may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budgets {
    /// All together.
    pub tenant: Budget,
    /// All models that fit a pattern together. A call is charged to every pattern that its model fits.
    pub models: Vec<(ModelPattern, Budget)>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The model answered.
    Done,
    /// It did not, or not to the end.
    Failed,
}

/// The ledger of one tenant. May be shared between threads and processes.
#[derive(Debug)]
pub struct Ledger {
    budgets: Budgets,
}

/// What is set aside for a call that is under way. One that is dropped counts in full.
#[derive(Debug)]
#[must_use = "a reservation that is dropped counts in full"]
pub struct Reservation {
    payer: Payer,
    wanted: Usage,
}

impl Reservation {
    /// What was set aside.
    #[must_use]
    pub const fn wanted(&self) -> &Usage {
        &self.wanted
    }

    /// Counts what the call really used, more than was set aside too, and gives the rest back.
    pub fn settle(self, used: Usage, how: Settled) {
        let _ = (used, how);
    }

    /// Nothing was sent: gives all of it back.
    pub fn release(self) {
        let _ = self.payer;
    }
}

/// One row of what was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The day (UTC), in days since 1970-01-01.
    pub day: u32,
    /// The token that paid.
    pub token: Option<TokenId>,
    /// The brain whose calls they were.
    pub brain: Option<BrainId>,
    /// The model that was called.
    pub model: String,
    /// How many calls there were.
    pub requests: u64,
    /// How many of them failed.
    pub failed: u64,
    /// What they used.
    pub used: Usage,
}

impl Ledger {
    /// Opens the ledger of the tenant of `access` below `data_dir`; makes it at first use.
    ///
    /// # Errors
    /// As [`Store::open`](crate::Store::open), but for those of keys: nothing in it is secret.
    pub fn open(data_dir: &Path, access: &Access, budgets: Budgets) -> Result<Self, StoreError> {
        let _ = (data_dir, access);
        Ok(Self { budgets })
    }

    /// Sets `wanted` and one request aside: from the tenant, from each of `limits` (the token's and those above it),
    /// and from each pattern that the model fits; from all of them or from none.
    ///
    /// # Errors
    /// [`LedgerError::Over`], [`LedgerError::Soft`], [`LedgerError::Fast`]; [`LedgerError::Store`] if the disk fails.
    pub fn reserve(&self, payer: &Payer, limits: &[Limit], wanted: Usage) -> Result<Reservation, LedgerError> {
        let _ = (limits, &self.budgets);
        Ok(Reservation { payer: payer.clone(), wanted })
    }

    /// A person's leave to pass a soft cap, on record until its window ends; of a call's cap, for the next call.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn allow_soft(&self, passed: &Passed) -> Result<(), StoreError> {
        let _ = passed;
        Ok(())
    }

    /// What was used from the day `since` on (days since 1970-01-01): by all, or, for an `access` that came from a
    /// token, by that token. Calls under way are not in it.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] for another tenant's access, and those of the disk.
    pub fn usage(&self, access: &Access, since: u32) -> Result<Vec<UsageRow>, StoreError> {
        let _ = (access, since);
        Ok(Vec::new())
    }

    /// Writes down what is in memory, and gives back what was set aside from the budgets and not used.
    ///
    /// # Errors
    /// Those of the disk; nothing is lost, and the next flush tries again.
    pub fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
