//! What a model's reply amounts to: an answer, one action, or something malformed that is explained to the model.

use std::collections::BTreeSet;

use autoshare_core::chat::RawCall;
use autoshare_core::event::Thought;
use autoshare_core::tool::{Action, ToolSpec, accept_call};
use serde_json::{Map, Value};

/// Calls of one reply that are kept and answered; those beyond are dropped.
pub const MAX_CALLS: usize = 32;
/// Characters of an explanation to the model at most; names that a model made up may be long.
pub const MAX_WHY: usize = 1000;
/// Bytes of a call's id, and of a tool's name, that can be said back to a model.
const MAX_NAME: usize = 64;

const ONE_AT_A_TIME: &str = "one call at a time: not performed; call again if still needed";
const EMPTY: &str = "your reply was empty: call a tool, or answer the goal in words if it is reached";
const CUT_TEXT: &str = "your reply was cut at the output limit: answer in fewer words, or write long text to a file \
                        piece by piece";
const CUT_CALL: &str = "your call was cut at the output limit and was not performed: use shorter arguments, and write \
                        long files piece by piece";

/// What a reply amounts to.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// Words without a call: the goal is reached.
    Answer(String),
    /// One call that fits its tool.
    Call {
        /// Its id.
        call_id: String,
        /// The action.
        action: Action,
    },
    /// Nothing that can be done.
    Malformed {
        /// Why, in words for the model.
        why: String,
    },
}

/// A reply that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The calls as they can be said back to the model.
    pub calls: Vec<RawCall>,
    /// The calls that are not performed, and why: all but the one of [`Reading::Call`].
    pub rejected: Vec<(String, String)>,
    /// What it amounts to.
    pub reading: Reading,
}

/// Reads a reply. `taken` are the call ids of the conversation so far.
#[must_use]
pub fn read(thought: &Thought, tools: &[ToolSpec], taken: &BTreeSet<String>) -> Read {
    let kept = thought.calls.get(..MAX_CALLS).unwrap_or(&thought.calls);
    let calls = sayable(thought, kept, taken);
    let Some((first, as_said)) = kept.first().zip(calls.first()) else {
        return Read { calls, rejected: Vec::new(), reading: without_calls(thought) };
    };
    let is_last = kept.len() == 1;
    let reading = match accept(first, tools, thought.truncated && is_last) {
        Ok(action) => Reading::Call { call_id: as_said.id.clone(), action },
        Err(why) => Reading::Malformed { why },
    };
    let first_rejected = match &reading {
        Reading::Malformed { why } => Some((as_said.id.clone(), why.clone())),
        _ => None,
    };
    let further = calls.iter().skip(1).map(|call| (call.id.clone(), ONE_AT_A_TIME.to_owned()));
    let rejected = first_rejected.into_iter().chain(further).collect();
    Read { calls, rejected, reading }
}

fn without_calls(thought: &Thought) -> Reading {
    if thought.truncated {
        Reading::Malformed { why: CUT_TEXT.to_owned() }
    } else if thought.text.trim().is_empty() {
        Reading::Malformed { why: EMPTY.to_owned() }
    } else {
        Reading::Answer(thought.text.clone())
    }
}

/// A call that was cut inside its arguments is told so; one that was cut before them must not pass for one without.
fn accept(call: &RawCall, tools: &[ToolSpec], cut: bool) -> Result<Action, String> {
    if cut && object(&call.arguments).is_none() {
        return Err(CUT_CALL.to_owned());
    }
    accept_call(tools, &call.name, &call.arguments)
        .map_err(|error| format!("{error}. Nothing was done; call again").chars().take(MAX_WHY).collect())
}

/// Chat interfaces refuse a conversation in which a call's id is missing or comes twice, a name has odd characters, or
/// arguments are no JSON object; and a conversation that is refused once is refused for ever.
fn sayable(thought: &Thought, calls: &[RawCall], taken: &BTreeSet<String>) -> Vec<RawCall> {
    let mut seen = BTreeSet::new();
    let mut said = Vec::with_capacity(calls.len());
    for (index, call) in calls.iter().enumerate() {
        let is_free = |id: &str| !taken.contains(id) && !seen.contains(id);
        let id = if is_name(&call.id) && is_free(&call.id) {
            call.id.clone()
        } else {
            (0_u64..)
                .map(|salt| format!("call_{}_{index}_{salt}", thought.turn))
                .find(|id| is_free(id))
                .unwrap_or_default()
        };
        seen.insert(id.clone());
        let name = if is_name(&call.name) { call.name.clone() } else { "malformed_name".to_owned() };
        let arguments = if object(&call.arguments).is_some() { call.arguments.clone() } else { "{}".to_owned() };
        said.push(RawCall { id, name, arguments });
    }
    said
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn object(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(text).ok()
}
