//! Answers to questions: which the standing rule gives, and what an answer is good for.

use autoshare_core::Digest;
use autoshare_core::event::{Answer, Answerer, AskMode};
use autoshare_core::verdict::{Decision, Verdict};

/// The name under which the standing rule of `--yes` answers.
const YES: &str = "--yes";

/// Why an answer does not open an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The answer was given to another action.
    #[error(
        "the answer is to the action {given}, but {judged} is to be performed: nothing is done; look at the question \
         again (autoshare show) and answer that"
    )]
    OtherAction {
        /// What was answered.
        given: String,
        /// What was judged.
        judged: String,
    },
    /// What is denied cannot be approved.
    #[error("the action was denied ({0}): no answer opens it; change the goal, or what the brain may touch, instead")]
    Denied(String),
}

/// The answer that the standing rule gives to a question; `None` leaves it to a person. With [`AskMode::Yes`] it says
/// yes, once, unless a value may come from an attacker.
#[must_use]
pub fn answer_by_rule(verdict: &Verdict, ask: AskMode) -> Option<(Answer, Answerer)> {
    let is_clean = verdict.origins.iter().all(|origin| !origin.provenance.is_untrusted());
    let says_yes = ask == AskMode::Yes && verdict.decision == Decision::Ask && is_clean;
    says_yes.then(|| (Answer::Yes, Answerer::Rule { name: YES.to_owned() }))
}

/// Whether a yes that is bound to `digest` opens the action of this verdict.
///
/// # Errors
/// [`GateError::OtherAction`] if it is bound to another tool or other arguments, [`GateError::Denied`] if the action
/// was denied.
pub fn check_approval(verdict: &Verdict, digest: &Digest) -> Result<(), GateError> {
    if verdict.digest != *digest {
        return Err(GateError::OtherAction { given: digest.short(), judged: verdict.digest.short() });
    }
    if verdict.decision == Decision::Deny {
        return Err(GateError::Denied(verdict.why()));
    }
    Ok(())
}
