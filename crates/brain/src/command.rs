//! What a brain wants done, and what it remembers of the conversation.

use autoshare_core::chat::RawCall;
use autoshare_core::event::FinishReason;
use autoshare_core::outcome::{Ending, Plan};
use autoshare_core::screening::Screening;
use autoshare_core::tool::Action;
use autoshare_core::verdict::Verdict;
use autoshare_core::{StepNo, TurnNo};

/// What the host is to do next, and which events it journals for it.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Call the model: journal `Budget` before, and `Thought`, or `Fault`, after. Where the budget does not allow the
    /// call, journal `Finish` with [`FinishReason::Budget`] instead.
    Think {
        /// The number of the call.
        turn: TurnNo,
    },
    /// Tell the model what was wrong with its reply: journal `Note` of kind `Retry` with this text.
    Retry {
        /// The explanation.
        text: String,
    },
    /// Have the gate decide: journal `Proposal` (unless [`crate::Brain::is_proposed`]) and `Verdict`.
    Decide {
        /// The action's number.
        step: StepNo,
        /// The model's id for the call.
        call_id: String,
        /// The action.
        action: Action,
    },
    /// Have a person, or a standing rule, answer: journal `Approval`, bound to the action's digest.
    Ask {
        /// The action's number.
        step: StepNo,
        /// The action.
        action: Action,
        /// Why it is asked for.
        verdict: Verdict,
    },
    /// Do it: journal `Started`, perform, journal `Observation`.
    Perform {
        /// The action's number.
        step: StepNo,
        /// The action.
        action: Action,
    },
    /// The action was started and its result is missing (after a restart): find out or redo as its contract says, and
    /// journal `Observation`.
    Recover {
        /// The action's number.
        step: StepNo,
        /// The action.
        action: Action,
        /// What it was to do.
        plan: Plan,
    },
    /// End: journal `Answer`, if there is one here, and `Finish`.
    Finish {
        /// Why.
        reason: FinishReason,
        /// In words.
        text: String,
        /// The answer to the goal, as long as it is not journaled.
        answer: Option<String>,
    },
}

/// Where a brain stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has no goal.
    New,
    /// A model is asked, or the brain is about to end.
    Thinking,
    /// The gate is asked.
    Deciding,
    /// A person is asked.
    Asking,
    /// An action is performed.
    Performing,
    /// A fault stopped it; it can be resumed.
    Faulted,
    /// A person stopped it; it can be resumed.
    Stopped,
    /// It ended.
    Finished(FinishReason),
}

/// One piece of the conversation, for the host to assemble a model's context from.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// The goal, in the user's words.
    Goal(String),
    /// What the model said. Calls are as they can be said back to it: ids are unique, names are well-formed, and
    /// arguments are a JSON object (an empty one where the model sent something else).
    Thought {
        /// Which reply.
        turn: TurnNo,
        /// Its words.
        text: String,
        /// Its calls.
        calls: Vec<RawCall>,
    },
    /// What came of a call that was performed. Untrusted unless the host knows better of the source.
    Result {
        /// The call.
        call_id: String,
        /// The action's number.
        step: StepNo,
        /// Where the text comes from.
        source: String,
        /// What the model is told, whole.
        text: String,
        /// What of it is held back, and why.
        screening: Screening,
        /// How it ended.
        ending: Ending,
    },
    /// A call that the gate or a person refused.
    Denied {
        /// The call.
        call_id: String,
        /// The action's number.
        step: StepNo,
        /// Why.
        why: String,
    },
    /// A call that never became an action: malformed, or one too many.
    Rejected {
        /// The call.
        call_id: String,
        /// Why.
        why: String,
    },
    /// Words of the host or a person to the model.
    Note {
        /// The words.
        text: String,
    },
}

impl Entry {
    /// The call that this entry answers, if it answers one.
    #[must_use]
    pub fn answers(&self) -> Option<&str> {
        match self {
            Self::Result { call_id, .. } | Self::Denied { call_id, .. } | Self::Rejected { call_id, .. } => {
                Some(call_id)
            }
            Self::Goal(_) | Self::Thought { .. } | Self::Note { .. } => None,
        }
    }
}
