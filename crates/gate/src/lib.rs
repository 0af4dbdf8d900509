//! The reference monitor: an action, its contract, what it would do, and where its values come from, to a verdict.
//!
//! [`decide`] puts a [`Case`] first to rules that deny and that nothing lifts, then, reduced to [`facts::Facts`], to the
//! written [`Policy`]. A verdict carries the reasons of every rule that gave its decision, in words for a person, where each
//! value stands, and the digest of the very action that was judged. [`contract`] says what a tool does; [`History`] is what a
//! brain has read, and tells where a value stands; [`draft`] draws up what a goal needs.
//!
//! **Invariants**
//! - Pure and total: no I/O, no clock; the same case has the same verdict, and every case has one, with a reason.
//! - Fails closed: an action that no rule allows is asked for.
//! - Untrusted text can only make a verdict stricter: nothing that is added to a [`History`] as content makes one
//!   milder.
//! - What a person allowed for good holds for one tool, one target or what stood in the same sources, and the rules that asked
//!   then; and only against a question: a grant lifts no denial. A standing "yes" answers only where no value is untrusted.
//!
//! It does not know whether a path exists or what a link leads to: where a path lies is told by its words, to decide
//! who is asked; what is reached is decided by the kernel, and told in [`Plan::refusal`]. It does not know who a person
//! is, or what is left of a budget (the host holds that before each model call).

mod approval;
mod commands;
pub mod contract;
mod excerpt;
pub mod facts;
mod grounds;
mod leaves;
mod place;
pub mod policy;
mod provenance;
mod rules;
mod warrant;

use std::collections::BTreeSet;

use autoshare_core::event::{AskMode, Root};
use autoshare_core::outcome::Plan;
use autoshare_core::tool::{Action, ToolSpec};
use autoshare_core::verdict::{Decision, Grant, Verdict};
use autoshare_core::warrant::Warrant;

pub use approval::{GateError, answer_by_rule, check_approval};
pub use commands::Commands;
pub use contract::{READ_DOCUMENT, builtin_tools};
pub use excerpt::{Excerpt, excerpt};
pub use grounds::{Carrier, CarrierKind, Ground, Grounds, MAX_CARRIERS, grounds};
pub use place::{Escape, escape};
pub use policy::Policy;
pub use provenance::{History, Located, MIN_DIGITS, MIN_EVIDENCE};
pub use rules::{MAX_ALIKE, SHRINKS_BELOW};
pub use warrant::{WarrantError, draft, matters, own_words, read_warrant, widen, write_warrant};

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
    /// Which effects its goal needs; `None` before that was drawn up.
    pub warrant: Option<&'a Warrant>,
    /// The policy in force.
    pub policy: &'a Policy,
    /// Hosts from which anything may be fetched; `*.` before one means every name below it.
    pub allowed_hosts: &'a [String],
    /// The files that this brain made, as [`autoshare_core::place::known_as`] names them.
    pub own_files: &'a BTreeSet<String>,
}

/// What the gate says of a case.
#[must_use]
pub fn decide(case: &Case<'_>) -> Verdict {
    let site = place::site(case.action, case.spec, case.plan, case.roots);
    let leaves = leaves::leaves(case);
    let origins = leaves.iter().map(leaves::Leaf::origin).collect();
    let digest = case.action.digest();
    let verdict =
        |decision, reasons, outside| Verdict { decision, reasons, origins, digest, outside, alike: Vec::new() };
    let denials = rules::denials(case, site.as_ref());
    if !denials.is_empty() {
        return verdict(Decision::Deny, denials, false);
    }
    let facts = facts::gather(case, &leaves, site.as_ref());
    let (decision, reasons) = case.policy.decide(&facts);
    match rules::granted(case, &leaves, &reasons) {
        Some(reason) if decision == Decision::Ask => verdict(Decision::Allow, vec![reason], false),
        _ => {
            let outside = decision != Decision::Allow && facts.is_outside_warrant();
            let alike = match decision {
                Decision::Ask => rules::alike(case.history, &leaves),
                _ => Vec::new(),
            };
            Verdict { alike, ..verdict(decision, reasons, outside) }
        }
    }
}
