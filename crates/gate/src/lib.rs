//! The reference monitor: an action, its contract, what it would do, and where its values come from, to a verdict.
//!
//! [`decide`] asks every rule of [`rules`] about a [`Case`] and takes the strictest answer: deny over ask over allow.
//! A rule is a small function with a stable name; a verdict carries the reasons of every rule that gave its decision,
//! in words for a person, and the digest of the very action that was judged. [`builtin_tools`] are the contracts of
//! the tools that AutoSHARE brings; [`History`] is what a brain has read, and tells where a value stands.
//!
//! **Invariants**
//! - Pure and total: no I/O, no clock; the same case has the same verdict, and every case has one, with a reason.
//! - Fails closed: an action that no rule allows is asked for.
//! - Untrusted text can only make a verdict stricter: nothing that is added to a [`History`] as content makes one
//!   milder.
//! - What a person allowed for good holds for one tool and one target, and only against a question: a grant lifts no
//!   denial. A standing "yes" answers only where no value is untrusted.
//!
//! It does not know whether a path exists or what a link leads to: where a path lies is told by its words, to decide
//! who is asked; what is reached is decided by the kernel, and told in [`Plan::refusal`]. It does not know who a person
//! is, or what is left of a budget (the host holds that before each model call).
//!
//! Provenance is a first cut: a value stands where its normalised text stands. Warrants and written policy will be
//! further rules here, and further fields of [`Case`].

mod approval;
mod commands;
pub mod facts;
mod history;
mod place;
pub mod rules;
mod tools;

use std::collections::BTreeSet;

use autoshare_core::event::{AskMode, Root};
use autoshare_core::outcome::Plan;
use autoshare_core::tool::{Action, ToolSpec};
use autoshare_core::verdict::{Decision, Grant, Origin, Reason, Verdict};

pub use approval::{GateError, answer_by_rule, check_approval};
pub use commands::Commands;
pub use history::{History, MIN_EVIDENCE};
pub use place::{Escape, escape};
pub use tools::builtin_tools;

/// What is to be judged, and all that it is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The action.
    pub action: &'a Action,
    /// The contract of its tool.
    pub spec: &'a ToolSpec,
    /// What it would do, as its cell found out.
    pub plan: &'a Plan,
    /// The workspace, and what else was opened to the brain.
    pub roots: &'a [Root],
    /// Absolute paths that nothing opens: the data directory, configuration, keys.
    pub protected: &'a [String],
    /// When a person is asked.
    pub ask: AskMode,
    /// What the brain has read.
    pub history: &'a History,
    /// What a person allowed for good, in this brain.
    pub grants: &'a [Grant],
    /// Which commands may be called by name.
    pub commands: &'a Commands,
    /// The files that this brain made, as [`autoshare_core::place::known_as`] names them.
    pub own_files: &'a BTreeSet<String>,
}

/// What the gate says of a case.
#[must_use]
pub fn decide(case: &Case<'_>) -> Verdict {
    let findings: Vec<(Decision, Reason)> = rules::findings(case);
    let strictest = findings.iter().map(|(decision, _)| *decision).max().unwrap_or(Decision::Deny);
    let mut reasons: Vec<Reason> = Vec::new();
    for (decision, reason) in findings {
        if decision == strictest && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let (decision, reasons) = match rules::granted(case, &reasons) {
        Some(reason) if strictest == Decision::Ask => (Decision::Allow, vec![reason]),
        _ => (strictest, reasons),
    };
    let origin = |(param, value): (&String, &serde_json::Value)| Origin::plain(param, case.history.origin(value));
    let origins = case.action.args.iter().map(origin).collect();
    Verdict { decision, reasons, origins, digest: case.action.digest(), outside: false }
}
