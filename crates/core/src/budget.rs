//! How much may be used: caps, in windows of time, on accounts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::TokenId;
use crate::usage::{MicroUsd, Usage};
use crate::wildcard;

/// For how long what was used counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// One call.
    Call,
    /// The whole life of one brain. A call that is no brain's belongs to no run.
    Run,
    /// A day, in UTC.
    Day,
    /// A calendar month, in UTC.
    Month,
}

impl Window {
    /// All of them, the shortest first.
    pub const ALL: [Self; 4] = [Self::Call, Self::Run, Self::Day, Self::Month];
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call => "call",
            Self::Run => "run",
            Self::Day => "day",
            Self::Month => "month",
        })
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Calls of a model.
    Requests,
    /// Tokens sent.
    Input,
    /// Tokens received.
    Output,
    /// Tokens sent and received together.
    Tokens,
    /// Money.
    Cost,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Requests, Self::Input, Self::Output, Self::Tokens, Self::Cost];

    /// How much of this one call of `usage` takes: 1 request, tokens, or millionths of a dollar.
    #[must_use]
    pub const fn of(self, usage: &Usage) -> u64 {
        match self {
            Self::Requests => 1,
            Self::Input => usage.input_tokens,
            Self::Output => usage.output_tokens,
            Self::Tokens => usage.tokens(),
            Self::Cost => usage.cost.0,
        }
    }

    /// An amount of this, for people: `$0.2500`, `1200 tokens`.
    #[must_use]
    pub fn words(self, amount: u64) -> String {
        match self {
            Self::Requests => format!("{amount} requests"),
            Self::Input => format!("{amount} tokens sent"),
            Self::Output => format!("{amount} tokens received"),
            Self::Tokens => format!("{amount} tokens"),
            Self::Cost => MicroUsd(amount).to_string(),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests",
            Self::Input => "input tokens",
            Self::Output => "output tokens",
            Self::Tokens => "tokens",
            Self::Cost => "money",
        })
    }
}

/// The caps of one window. What is absent has no cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cap {
    /// Calls of a model at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Tokens sent at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens received at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Tokens sent and received at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Money at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<MicroUsd>,
}

impl Cap {
    /// No cap at all.
    pub const NONE: Self = Self { requests: None, input_tokens: None, output_tokens: None, tokens: None, cost: None };

    /// The cap on `measure`.
    #[must_use]
    pub fn of(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::Requests => self.requests,
            Measure::Input => self.input_tokens,
            Measure::Output => self.output_tokens,
            Measure::Tokens => self.tokens,
            Measure::Cost => self.cost.map(|cost| cost.0),
        }
    }

    /// Whether nothing is capped.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// The lower of both, for each measure.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        fn lower<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            match (one, other) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            }
        }
        Self {
            requests: lower(self.requests, other.requests),
            input_tokens: lower(self.input_tokens, other.input_tokens),
            output_tokens: lower(self.output_tokens, other.output_tokens),
            tokens: lower(self.tokens, other.tokens),
            cost: lower(self.cost, other.cost),
        }
    }

    /// These caps, and those of `owner` where there are none. Gives back the first that is higher than the owner's.
    ///
    /// # Errors
    /// The measure, what was asked for, and what the owner has.
    pub fn below(self, owner: Self) -> Result<Self, (Measure, u64, u64)> {
        for measure in Measure::ALL {
            if let (Some(asked), Some(has)) = (self.of(measure), owner.of(measure))
                && asked > has
            {
                return Err((measure, asked, has));
            }
        }
        Ok(Self {
            requests: self.requests.or(owner.requests),
            input_tokens: self.input_tokens.or(owner.input_tokens),
            output_tokens: self.output_tokens.or(owner.output_tokens),
            tokens: self.tokens.or(owner.tokens),
            cost: self.cost.or(owner.cost),
        })
    }
}

/// The caps of all windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Caps {
    /// Of one call.
    #[serde(skip_serializing_if = "Cap::is_none")]
    pub call: Cap,
    /// Of one brain's whole life.
    #[serde(skip_serializing_if = "Cap::is_none")]
    pub run: Cap,
    /// Of a day.
    #[serde(skip_serializing_if = "Cap::is_none")]
    pub day: Cap,
    /// Of a month.
    #[serde(skip_serializing_if = "Cap::is_none")]
    pub month: Cap,
}

impl Caps {
    /// No cap at all.
    pub const NONE: Self = Self { call: Cap::NONE, run: Cap::NONE, day: Cap::NONE, month: Cap::NONE };

    /// The caps of `window`.
    #[must_use]
    pub const fn of(&self, window: Window) -> &Cap {
        match window {
            Window::Call => &self.call,
            Window::Run => &self.run,
            Window::Day => &self.day,
            Window::Month => &self.month,
        }
    }

    /// Whether nothing is capped.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// The lower of both, for each window and measure.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        Self {
            call: self.call.strictest(other.call),
            run: self.run.strictest(other.run),
            day: self.day.strictest(other.day),
            month: self.month.strictest(other.month),
        }
    }
}

/// What an account may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Caps that are never passed.
    #[serde(skip_serializing_if = "Caps::is_none")]
    pub hard: Caps,
    /// Caps that are passed with a person's leave, which then holds until the window ends.
    #[serde(skip_serializing_if = "Caps::is_none")]
    pub soft: Caps,
}

impl Budget {
    /// No cap at all.
    pub const NONE: Self = Self { hard: Caps::NONE, soft: Caps::NONE };

    /// Whether nothing is capped.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// The lower caps of both.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        Self { hard: self.hard.strictest(other.hard), soft: self.soft.strictest(other.soft) }
    }
}

/// How fast an account may go. What is absent has no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rate {
    /// Calls of a model a minute at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Tokens sent and received a minute at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

impl Rate {
    /// No limit.
    pub const NONE: Self = Self { requests: None, tokens: None };

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

/// Who pays, within a tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// The tenant as a whole.
    Tenant,
    /// One token.
    Token(TokenId),
    /// All models that fit a pattern together.
    Model(ModelPattern),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant => f.write_str("the tenant"),
            Self::Token(id) => write!(f, "token {id}"),
            Self::Model(pattern) => write!(f, "model {pattern}"),
        }
    }
}

/// An account, and what holds for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Whose.
    pub account: Account,
    /// What it may use.
    pub budget: Budget,
    /// How fast.
    pub rate: Rate,
}

/// A pattern of model names, where `*` stands for any text: `gpt-5*`, `anthropic/*`, `*`. 1 to 128 printable ASCII
/// characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelPattern(String);

impl ModelPattern {
    /// Characters at most.
    pub const MAX: usize = 128;

    /// Parses a pattern.
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        if (1..=Self::MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is not a pattern of model names such as \"gpt-5*\": 1 to {} characters without spaces",
                Self::MAX
            ))
        }
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `model` fits. Linear in its length times the number of stars.
    #[must_use]
    pub fn matches(&self, model: &str) -> bool {
        wildcard::matches(&self.0, model)
    }

    /// Whether everything that fits `other` fits this one too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        // A star of the other's can only be taken by a star of this one, which takes whatever it stands for.
        self.matches(&other.0)
    }
}

impl fmt::Display for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ModelPattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<ModelPattern> for String {
    fn from(pattern: ModelPattern) -> Self {
        pattern.0
    }
}
