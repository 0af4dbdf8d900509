//! What the gate says, and where values come from.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::tool::Role;
use crate::{Digest, Seq};

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
    /// In what a tool returned whose contract, written by the operator, says that nobody but the operator writes it.
    Operator {
        /// The source, such as `mcp:directory/find_person`.
        source: String,
    },
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
    /// The scalar: its parameter, and the way into it, such as `to[0]` or `file.name`.
    pub param: String,
    /// Where its value stands.
    pub provenance: Provenance,
    /// The role it plays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The record of the journal in which it stands, of several the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Seq>,
    /// Whether it is, or holds, something that is known to be secret.
    #[serde(default, skip_serializing_if = "is_false")]
    pub secret: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Origin {
    /// Where a parameter stands, and nothing else of it.
    #[must_use]
    pub fn plain(param: &str, provenance: Provenance) -> Self {
        Self { param: param.to_owned(), provenance, role: None, at: None, secret: false }
    }
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
    /// Whether it is asked for, or denied, because the goal's warrant does not hold it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub outside: bool,
    /// The addresses that stand where the action's own stands, its own among them: those that a person may allow along with
    /// it. None, where its target is no address, stands elsewhere, or is one of too many to be shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alike: Vec<String>,
}

/// What a person allowed beyond one action, in one brain. It answers a question only where every rule that asks had asked
/// when it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The tool's name.
    pub tool: String,
    /// For what.
    pub scope: Scope,
    /// The rules whose questions were answered.
    pub rules: Vec<String>,
}

/// How far a grant goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "for")]
pub enum Scope {
    /// One target, as [`ToolSpec::target`](crate::tool::ToolSpec::target) spells it.
    Target {
        /// The target.
        target: String,
    },
    /// These targets and no other, as the gate's [`Verdict::alike`] listed them to the person.
    Listed {
        /// The targets.
        targets: Vec<String>,
    },
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
    /// The sources in whose content targets of the action stand.
    #[must_use]
    pub fn target_sources(&self) -> Vec<String> {
        let sources = self.origins.iter().filter(|origin| origin.role == Some(Role::Target)).filter_map(|origin| {
            match &origin.provenance {
                Provenance::Content { source } => Some(source.clone()),
                _ => None,
            }
        });
        sources.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The reasons as one line.
    #[must_use]
    pub fn why(&self) -> String {
        self.reasons.iter().map(|reason| reason.words.as_str()).collect::<Vec<_>>().join("; ")
    }
}
