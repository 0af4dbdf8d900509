//! What the gate says, and where values come from.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Allow, ask or deny; ordered, so that the strictest of several is their maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Go on.
    Allow,
    /// A person must say yes.
    Ask,
    /// No.
    Deny,
}

/// Where a value stands, from the most to the least trusted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum Provenance {
    /// In the operator's rules.
    Operator,
    /// In the user's own words.
    User,
    /// An identifier that a tool issued.
    Issued {
        /// The tool.
        tool: String,
        /// The field.
        field: String,
    },
    /// Nowhere: the model made it, and had read nothing untrusted.
    Model,
    /// Nowhere: the model made it after it had read something untrusted.
    TaintedModel,
    /// Inside the content of a source.
    Content {
        /// The source, such as `file:inbox/1.eml`.
        source: String,
    },
}

impl Provenance {
    /// Whether an attacker who writes content may have had a hand in the value.
    #[must_use]
    pub const fn is_untrusted(&self) -> bool {
        matches!(self, Self::TaintedModel | Self::Content { .. })
    }
}

/// Where one argument of an action stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The parameter.
    pub param: String,
    /// Where its value stands.
    pub provenance: Provenance,
}

/// The gate's answer: the strictest decision of all rules, and the reasons of those that gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// Why, in words: one sentence a rule.
    pub reasons: Vec<Reason>,
    /// Where each argument stands.
    pub origins: Vec<Origin>,
    /// The action that was judged.
    pub digest: Digest,
}

/// One rule's contribution to a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The rule's stable name, such as `outside-workspace`.
    pub rule: String,
    /// One sentence for a person.
    pub words: String,
}

impl Verdict {
    /// The reasons as one line.
    #[must_use]
    pub fn why(&self) -> String {
        self.reasons.iter().map(|reason| reason.words.as_str()).collect::<Vec<_>>().join("; ")
    }
}
