//! What was used and what is left: tokens, money, steps.

use std::fmt;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// Money in millionths of a US dollar. Never negative; additions saturate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUsd(pub u64);

impl MicroUsd {
    /// Parses a decimal number of dollars, such as `0.25`.
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn parse_usd(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not an amount of dollars such as 0.25 (0 to 1000000, six decimals at most)");
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 6 || whole.len() > 7 {
            return Err(wrong());
        }
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        let fraction: u64 = format!("{fraction:0<6}").parse().map_err(|_| wrong())?;
        if whole > 1_000_000 { Err(wrong()) } else { Ok(Self(whole * 1_000_000 + fraction)) }
    }
}

impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}.{:04}", self.0 / 1_000_000, (self.0 % 1_000_000) / 100)
    }
}

impl Add for MicroUsd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// Tokens and money of one model call, or a sum of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Of the tokens sent, those that the provider had in its cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_tokens: u64,
    /// Of the tokens received, those that the model thought with and did not show.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
    /// What they cost.
    pub cost: MicroUsd,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
pub(crate) const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Usage {
    /// Nothing.
    pub const ZERO: Self =
        Self { input_tokens: 0, output_tokens: 0, cached_tokens: 0, reasoning_tokens: 0, cost: MicroUsd(0) };

    /// Tokens sent and received together.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(other.reasoning_tokens);
        self.cost = self.cost + other.cost;
    }
}

impl Add for Usage {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

/// The hard caps of one brain. Every one has a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Actions at most (`--max-steps`).
    pub max_steps: u64,
    /// Tokens, sent and received, at most (`--max-tokens`).
    pub max_tokens: u64,
    /// Money at most (`--max-cost`).
    pub max_cost: MicroUsd,
    /// The model's context window in tokens.
    pub window: u64,
    /// Tokens of one reply at most.
    pub max_output: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_steps: 200, max_tokens: 5_000_000, max_cost: MicroUsd(5_000_000), window: 32_768, max_output: 4_096 }
    }
}

/// What a workspace may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Bytes allocated on disk by all files together. Default 10 GiB.
    pub bytes: u64,
    /// Files, directories and links. Default 1,000,000.
    pub files: u64,
    /// Bytes of one file that is written, [`Quota::MAX_FILE`] at most. Default 2 MiB.
    pub file: u64,
    /// Components of a path that is written. Default 64.
    pub depth: usize,
}

impl Quota {
    /// The most that `file` can be: what is replaced is read and digested first. 16 MiB.
    pub const MAX_FILE: u64 = 16 * 1024 * 1024;
}

impl Default for Quota {
    fn default() -> Self {
        Self { bytes: 10 * 1024 * 1024 * 1024, files: 1_000_000, file: crate::wire::MAX_FILE, depth: 64 }
    }
}

/// Which cap a reservation would pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverBudget {
    /// The token cap.
    #[error(
        "the token budget is used up: {used} of {cap} used, the next call may need {wanted} (raise it with --max-tokens)"
    )]
    Tokens {
        /// Tokens used so far.
        used: u64,
        /// The cap.
        cap: u64,
        /// What the next call may take.
        wanted: u64,
    },
    /// The money cap.
    #[error(
        "the money budget is used up: {used} of {cap} used, the next call may cost {wanted} (raise it with --max-cost)"
    )]
    Money {
        /// Money used so far.
        used: MicroUsd,
        /// The cap.
        cap: MicroUsd,
        /// What the next call may cost.
        wanted: MicroUsd,
    },
}

impl Limits {
    /// Whether a call that may take `wanted` fits beside what was `used`.
    ///
    /// # Errors
    /// The cap that it would pass.
    pub fn check(&self, used: Usage, wanted: Usage) -> Result<(), OverBudget> {
        if used.tokens().saturating_add(wanted.tokens()) > self.max_tokens {
            return Err(OverBudget::Tokens { used: used.tokens(), cap: self.max_tokens, wanted: wanted.tokens() });
        }
        if used.cost + wanted.cost > self.max_cost {
            return Err(OverBudget::Money { used: used.cost, cap: self.max_cost, wanted: wanted.cost });
        }
        Ok(())
    }
}
