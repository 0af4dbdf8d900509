//! Fairness: what many use at once, shared so that nobody is in another's way.
//!
//! Two ways of sharing, for two kinds of things. What comes one by one and is over at once, such as requests, is limited in
//! its **rate** ([`Rates`]). What is held for a while, such as a call of a model or a cell, has so many **places**, which are
//! given out in turn ([`Places`]).
//!
//! **Invariants**
//! - Pure: no clock (time is a parameter), no I/O, no executor: waiting is a [`std::future::Future`].
//! - A request takes from all the rates that hold for it or from none; one that is refused costs nothing.
//! - Of those who wait for a place, the one is next who has used least for its weight. Nobody saves up turns while away.
//! - A queue that is full sheds the newest of whoever has most in it, which is never one who has little there.
//! - Who is idle takes no memory.
//! - No lock is held while a waker is woken, cloned or dropped.

mod entering;
mod places;
mod rate;
mod rates;
mod turns;

use std::fmt;

use crate::{BrainId, TokenId};

pub use entering::Entering;
pub use places::{Counts, Place, Places, Refused, Room, Share};
pub use rate::{Gcra, Rate, Wait};
pub use rates::{Key, Limited, MAX_KEYS, Rates};

/// How much of what is shared somebody gets, against others who want it too: one of weight 200 gets twice as much as one of
/// weight 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u32);

impl Weight {
    /// The largest.
    pub const MAX: u32 = 10_000;

    /// A weight of 1 to [`Weight::MAX`].
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn new(weight: u32) -> Result<Self, String> {
        let max = Self::MAX;
        if (1..=max).contains(&weight) { Ok(Self(weight)) } else { Err(format!("use a weight of 1 to {max}")) }
    }

    /// The weight as a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for Weight {
    /// 100.
    fn default() -> Self {
        Self(100)
    }
}

/// Whose use within a tenant it is. A tenant's turns are shared equally among its flows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flow {
    /// The tenant's own.
    Tenant,
    /// That of a token.
    Token(TokenId),
    /// That of a brain.
    Brain(BrainId),
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant => f.write_str("the tenant's own"),
            Self::Token(token) => write!(f, "token {token}"),
            Self::Brain(brain) => write!(f, "brain {brain}"),
        }
    }
}
