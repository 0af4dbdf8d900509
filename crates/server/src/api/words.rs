//! What the native API says, as data. Times are RFC 3339 in UTC, money is millionths of a US dollar.

use autoshare_core::day::Day;
use autoshare_core::event::{Answer, Answerer, FinishReason};
use autoshare_core::outcome::Ending;
use autoshare_core::usage::Usage as Used;
use autoshare_core::verdict::Decision;
use autoshare_host::Question;
use autoshare_host::resident::{Artifact, BrainView, Phase, StepView};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Milliseconds since 1970 (UTC) as RFC 3339 has it.
pub(crate) fn time(ms: u64) -> String {
    let rest = ms % DAY_MS;
    let (hours, minutes, seconds) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    format!("{}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", Day::of_ms(ms), rest % 1_000)
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Page<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// What to send as `cursor` for the next page; missing on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// An error (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProblemWords {
    /// A URN that names the kind of error.
    r#type: String,
    /// The words of the status.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong, and what to do.
    detail: String,
    /// The same as `detail`.
    message: String,
}

/// What was used.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct UsageWords {
    /// Tokens sent.
    pub(crate) input_tokens: u64,
    /// Tokens received.
    pub(crate) output_tokens: u64,
    /// Of the tokens sent, those that the provider had in its cache.
    pub(crate) cached_tokens: u64,
    /// Of the tokens received, those that the model thought with.
    pub(crate) reasoning_tokens: u64,
    /// Money, in millionths of a US dollar.
    pub(crate) cost_microusd: u64,
}

impl From<Used> for UsageWords {
    fn from(used: Used) -> Self {
        let Used { input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost } = used;
        Self { input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost_microusd: cost.0 }
    }
}

/// What a brain is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It is driven.
    Awake,
    /// A question of it waits for an answer.
    Asking,
    /// It is woken as soon as fewer others are awake.
    Waiting,
    /// It rests until somebody wakes it.
    Resting,
    /// It was interrupted, and goes on when it is woken.
    Interrupted,
    /// It was stopped or paused, and goes on when it is woken.
    Stopped,
    /// A fault stopped it; it goes on when it is woken.
    Faulted,
    /// It reached its goal, as its model says.
    Done,
    /// Its budget is used up.
    BudgetUsedUp,
    /// It made no progress.
    NoProgress,
    /// Its model's replies stayed malformed.
    MalformedReplies,
}

/// What a brain is at that no journal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Now {
    Awake,
    Asking,
    Waiting,
    AtRest,
}

impl State {
    pub(crate) const fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::BudgetUsedUp | Self::NoProgress | Self::MalformedReplies)
    }

    pub(crate) const fn of(phase: Phase, now: Now) -> Self {
        match (phase, now) {
            (Phase::Finished(FinishReason::Done), _) => Self::Done,
            (Phase::Finished(FinishReason::Budget), _) => Self::BudgetUsedUp,
            (Phase::Finished(FinishReason::Loop), _) => Self::NoProgress,
            (Phase::Finished(FinishReason::Malformed), _) => Self::MalformedReplies,
            (_, Now::Asking) => Self::Asking,
            (_, Now::Awake) => Self::Awake,
            (_, Now::Waiting) => Self::Waiting,
            (Phase::Resting, Now::AtRest) => Self::Resting,
            (Phase::Stopped, Now::AtRest) => Self::Stopped,
            (Phase::Faulted, Now::AtRest) => Self::Faulted,
            (Phase::Open | Phase::Asking, Now::AtRest) => Self::Interrupted,
        }
    }
}

/// A brain.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BrainWords {
    /// Its id.
    pub(crate) id: String,
    /// What it is at.
    pub(crate) state: State,
    /// The goal.
    pub(crate) goal: String,
    /// The model.
    pub(crate) model: String,
    /// The token that began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// When it was begun.
    pub(crate) created_at: String,
    /// When something last happened.
    pub(crate) updated_at: String,
    /// How many events there are.
    pub(crate) events: u64,
    /// How many actions there are.
    pub(crate) steps: u64,
    /// What it used.
    pub(crate) used: UsageWords,
    /// Its answer to the goal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<String>,
    /// Why it ended or rests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

impl BrainWords {
    pub(crate) fn of(view: &BrainView, now: Now, trouble: Option<String>) -> Self {
        Self {
            id: view.id.to_string(),
            state: State::of(view.phase, now),
            goal: view.goal.clone(),
            model: view.model.clone(),
            token: view.token.as_ref().map(ToString::to_string),
            created_at: time(view.created_ms),
            updated_at: time(view.updated_ms),
            events: view.records,
            steps: view.steps.len() as u64,
            used: view.used.into(),
            answer: view.answer.clone(),
            why: trouble.or_else(|| view.why.clone()),
        }
    }
}

/// An action of a brain.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StepWords {
    /// Its number; the first is 1.
    pub(crate) step: u64,
    /// The number of the model's reply that asked for it.
    pub(crate) turn: u64,
    /// When it was proposed.
    pub(crate) created_at: String,
    /// When something last happened to it.
    pub(crate) updated_at: String,
    /// The tool.
    pub(crate) tool: String,
    /// The arguments.
    pub(crate) args: std::collections::BTreeMap<String, Value>,
    /// What an answer to a question about it names.
    pub(crate) digest: String,
    /// What the gate decided: `allow`, `ask`, `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decision: Option<&'static str>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// What was answered, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answered: Option<&'static str>,
    /// Who answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answered_by: Option<String>,
    /// How it ended; missing while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ending: Option<&'static str>,
    /// What came of it, as the model is shown it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<String>,
}

impl From<&StepView> for StepWords {
    fn from(view: &StepView) -> Self {
        let (answered, answered_by) = match &view.approval {
            None => (None, None),
            Some((answer, by)) => (Some(answer_word(answer)), Some(answerer(by))),
        };
        Self {
            step: view.step.0,
            turn: view.turn.0,
            created_at: time(view.at_ms),
            updated_at: time(view.updated_ms),
            tool: view.tool.clone(),
            args: view.args.clone(),
            digest: view.digest.to_string(),
            decision: view.verdict.as_ref().map(|verdict| decision_word(verdict.decision)),
            why: view.verdict.as_ref().map(autoshare_core::verdict::Verdict::why),
            answered,
            answered_by,
            ending: view.ending.map(ending_word),
            result: view.result.clone(),
        }
    }
}

const fn decision_word(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Ask => "ask",
        Decision::Deny => "deny",
    }
}

const fn answer_word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::Always => "always",
        Answer::Run => "run",
        Answer::Feedback { .. } => "feedback",
    }
}

fn answerer(by: &Answerer) -> String {
    match by {
        Answerer::Person { name } => name.clone(),
        Answerer::Rule { name } => format!("rule: {name}"),
        Answerer::Nobody => "nobody".to_owned(),
    }
}

const fn ending_word(ending: Ending) -> &'static str {
    match ending {
        Ending::Done => "done",
        Ending::Failed => "failed",
        Ending::OutOfMemory => "out_of_memory",
        Ending::TimedOut => "timed_out",
        Ending::OverQuota => "over_quota",
        Ending::Refused => "refused",
        Ending::CellCrashed => "cell_crashed",
        Ending::Unknown => "unknown",
    }
}

/// A question that waits for a person.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct QuestionWords {
    /// Whose.
    pub(crate) brain: String,
    /// The action that it is about.
    pub(crate) step: u64,
    /// What an answer must name: it is about exactly this action.
    pub(crate) digest: String,
    /// The tool.
    pub(crate) tool: String,
    /// The arguments.
    pub(crate) args: std::collections::BTreeMap<String, Value>,
    /// Why it is asked.
    pub(crate) why: String,
    /// Addresses that the answer `run` allows together.
    pub(crate) alike: Vec<String>,
    /// The goal, in a person's words.
    pub(crate) goal: String,
    /// Whether another call can take it back.
    pub(crate) reversible: bool,
}

impl From<Question> for QuestionWords {
    fn from(question: Question) -> Self {
        Self {
            brain: question.brain.to_string(),
            step: question.step.0,
            digest: question.digest.to_string(),
            why: question.verdict.why(),
            tool: question.action.tool,
            args: question.action.args.into_iter().collect(),
            alike: question.verdict.alike,
            goal: question.goal,
            reversible: question.reversible,
        }
    }
}

/// A file of a brain's workspace.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ArtifactWords {
    /// Its id.
    pub(crate) id: String,
    /// Its path below the workspace.
    pub(crate) path: String,
    /// Bytes.
    pub(crate) bytes: u64,
    /// When it was last written to.
    pub(crate) modified_at: String,
    /// Whether a person put it there.
    pub(crate) uploaded: bool,
}

impl From<Artifact> for ArtifactWords {
    fn from(artifact: Artifact) -> Self {
        Self {
            id: artifact.id,
            path: artifact.file.path,
            bytes: artifact.file.len,
            modified_at: time(artifact.file.modified_ms),
            uploaded: artifact.is_uploaded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_rfc_3339_has_them() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(1_795_823_999_999), "2026-11-27T23:59:59.999Z");
    }
}
