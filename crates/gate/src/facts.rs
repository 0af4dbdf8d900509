//! What the policy is told of a case: everything that a rule may look at, lists reduced to sets and counts.

use std::collections::BTreeSet;

use autoshare_core::event::AskMode;
use autoshare_core::tool::Effect;

/// What the values of one role come from, as a policy names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    /// They stand in the words of the user or of the operator.
    Trusted,
    /// They are identifiers that a tool issued, and no text speaks of them.
    Issued,
    /// The model made them, before it read anything untrusted.
    Model,
    /// The model made them after it had read something untrusted.
    Tainted,
    /// They stand in what somebody else wrote.
    Content,
}

impl Trust {
    /// Its name in a policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Issued => "issued",
            Self::Model => "model",
            Self::Tainted => "tainted",
            Self::Content => "content",
        }
    }
}

/// Where the values of one role come from: the set of what occurs, and those values in words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Values {
    /// What occurs. Empty where the action has no such value.
    pub trust: BTreeSet<Trust>,
    /// The least trusted of them, in words for a person, such as `"x@y.z" (from file:a.md, which you did not write)`.
    pub words: String,
}

/// Where the place that an action names lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Where {
    /// It names none.
    Nowhere,
    /// In what was opened to the brain.
    Inside,
    /// Outside all of it.
    Outside,
}

/// How an action stands to the goal's warrant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// No warrant was drawn up.
    NotDrawn,
    /// The goal does not need this effect.
    Outside,
    /// The goal needs this effect, but not with these targets.
    OtherTargets,
    /// The goal needs it.
    Inside,
}

/// Who wrote the contract that an action is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contract {
    /// AutoSHARE brings it.
    Builtin,
    /// It was derived from names and schema.
    Derived,
    /// The operator.
    Operator,
}

/// Everything that a policy may look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The tool, as the model names it.
    pub tool: String,
    /// The server whose tool it is; `None` is a built-in one.
    pub server: Option<String>,
    /// Whose contract it is judged by.
    pub contract: Contract,
    /// What it does to the world.
    pub effect: Effect,
    /// Whether another call takes it back.
    pub reversible: bool,
    /// Where its place lies.
    pub place: Where,
    /// That place, for people.
    pub place_words: String,
    /// Whether it writes what agents and editors take instructions from.
    pub instructions: bool,
    /// Why it destroys a file that others made, if it does.
    pub destroys: Option<String>,
    /// The source in which the command that it would run stands word for word, if one does.
    pub runs_from: Option<String>,
    /// When a person is asked.
    pub ask: AskMode,
    /// Whether anything untrusted was read.
    pub tainted: bool,
    /// The source of something secret that was read or could be, if there is one.
    pub secret_read: Option<String>,
    /// Which value of it is secret or holds a secret, in words, if one does.
    pub carries_secret: Option<String>,
    /// How it stands to the warrant.
    pub warrant: Standing,
    /// Values of the role target.
    pub targets: Values,
    /// Values of the role amount.
    pub amounts: Values,
    /// Values of the role secret.
    pub secrets: Values,
    /// Values of the role content.
    pub contents: Values,
    /// Values of the role query.
    pub queries: Values,
    /// Addresses (links, mail addresses) inside its content.
    pub links: Values,
    /// The address that it would fetch.
    pub address: Values,
    /// Whether the host of that address is on the list of allowed ones.
    pub allowed_host: bool,
    /// Addresses that were fetched already and stood in the same source and in no trusted words.
    pub fetched_from_source: u64,
}
