//! A brain as people are shown it: a fold of its journal.

use std::collections::BTreeMap;

use autoshare_brain::{Brain, Status};
use autoshare_core::event::{Answer, Answerer, Attached, Event, FinishReason, NoteKind};
use autoshare_core::outcome::Ending;
use autoshare_core::usage::Usage;
use autoshare_core::verdict::{Decision, Verdict};
use autoshare_core::{BrainId, Digest, StepNo, TokenId, TurnNo};
use autoshare_store::Record;
use serde_json::Value;

/// Whether a brain ended, and what it is at if it did not. Whether somebody drives it, a journal does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has not ended and nothing keeps it from going on.
    Open,
    /// It rests until somebody wakes it.
    Resting,
    /// A question of it waits, or would if it were driven.
    Asking,
    /// A person stopped it, or it was paused; it can be resumed.
    Stopped,
    /// A fault stopped it; it can be resumed.
    Faulted,
    /// It ended.
    Finished(FinishReason),
}

/// One action.
#[derive(Debug, Clone, PartialEq)]
pub struct StepView {
    /// Its number.
    pub step: StepNo,
    /// The model call that proposed it.
    pub turn: TurnNo,
    /// When it was proposed: milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// When the last of it was journaled.
    pub updated_ms: u64,
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub args: BTreeMap<String, Value>,
    /// What an answer to a question about it must name.
    pub digest: Digest,
    /// What the gate said.
    pub verdict: Option<Verdict>,
    /// What was answered, and by whom.
    pub approval: Option<(Answer, Answerer)>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// What came of it, without what the guard holds back.
    pub result: Option<String>,
}

/// One call of the model and what followed from it.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnView {
    /// Its number.
    pub turn: TurnNo,
    /// When its model replied.
    pub at_ms: u64,
    /// When the last of it was journaled.
    pub updated_ms: u64,
    /// What a person said before it, since the turn before.
    pub heard: Option<String>,
    /// The model's words.
    pub text: String,
    /// The actions of it.
    pub steps: Vec<StepNo>,
    /// Whether the brain ended with it.
    pub is_last: bool,
}

/// A brain.
#[derive(Debug, Clone)]
pub struct BrainView {
    /// Its id.
    pub id: BrainId,
    /// What it is at.
    pub phase: Phase,
    /// The goal, in a person's words.
    pub goal: String,
    /// What came with it and is not the person's own.
    pub attached: Vec<Attached>,
    /// The model.
    pub model: String,
    /// The token that began it.
    pub token: Option<TokenId>,
    /// When it was begun: milliseconds since 1970 (UTC).
    pub created_ms: u64,
    /// When its last record was written.
    pub updated_ms: u64,
    /// Records of its journal.
    pub records: u64,
    /// Its actions.
    pub steps: Vec<StepView>,
    /// Its calls of the model.
    pub turns: Vec<TurnView>,
    /// Its answer.
    pub answer: Option<String>,
    /// Why it ended or rests, in words.
    pub why: Option<String>,
    /// What it used.
    pub used: Usage,
    /// Files that people put into its workspace.
    pub uploads: Vec<String>,
    /// Files that it made with its file tools.
    pub own_files: Vec<String>,
}

impl BrainView {
    /// The brain whose journal holds `records`; `None` without a goal.
    #[must_use]
    pub fn of(id: &BrainId, records: &[Record]) -> Option<Self> {
        let state = Brain::fold(records.iter().map(|record| &record.event));
        let goal = state.goal()?;
        let (first, last) = (records.first()?, records.last()?);
        let phase = match state.status() {
            Status::Finished(reason) => Phase::Finished(reason),
            Status::Faulted => Phase::Faulted,
            Status::Stopped => Phase::Stopped,
            Status::Asking => Phase::Asking,
            Status::New | Status::Thinking | Status::Deciding | Status::Performing => Phase::Open,
        };
        let mut view = Self {
            id: id.clone(),
            phase,
            goal: goal.text.clone(),
            attached: goal.attached.clone(),
            model: goal.model.clone(),
            token: goal.token.clone(),
            created_ms: first.at_ms,
            updated_ms: last.at_ms,
            records: last.seq.0,
            steps: Vec::new(),
            turns: Vec::new(),
            answer: state.answer().map(str::to_owned),
            why: None,
            used: state.used(),
            uploads: Vec::new(),
            own_files: state.own_files().iter().cloned().collect(),
        };
        let mut heard = None;
        for record in records {
            view.take(record, &mut heard);
        }
        Some(view)
    }

    /// Whether it is a brain, and not the journal of programs.
    #[must_use]
    pub fn is_drivable(&self) -> bool {
        self.model != crate::exec::EXEC && self.model != crate::calls::GATEWAY
    }

    fn take(&mut self, record: &Record, heard: &mut Option<String>) {
        let at_ms = record.at_ms;
        match &record.event {
            Event::Budget { .. } if self.phase == Phase::Resting => self.phase = Phase::Open,
            Event::Thought(thought) => self.turns.push(TurnView {
                turn: thought.turn,
                at_ms,
                updated_ms: at_ms,
                heard: heard.take(),
                text: thought.text.clone(),
                steps: Vec::new(),
                is_last: false,
            }),
            Event::Proposal { step, action, .. } => {
                let turn = self.turns.last().map_or(TurnNo(0), |turn| turn.turn);
                self.steps.push(StepView {
                    step: *step,
                    turn,
                    at_ms,
                    updated_ms: at_ms,
                    tool: action.tool.clone(),
                    args: action.args.clone().into_iter().collect(),
                    digest: action.digest(),
                    verdict: None,
                    approval: None,
                    ending: None,
                    result: None,
                });
                if let Some(turn) = self.turns.last_mut() {
                    turn.steps.push(*step);
                }
            }
            Event::Verdict { step, verdict, .. } => {
                self.on(*step, at_ms, |one| {
                    if verdict.decision == Decision::Deny {
                        one.ending = Some(Ending::Refused);
                        one.result = Some(verdict.why());
                    }
                    one.verdict = Some(verdict.clone());
                });
            }
            Event::Approval { step, answer, by, .. } => {
                self.on(*step, at_ms, |one| one.approval = Some((answer.clone(), by.clone())));
            }
            Event::Observation { step, outcome, screening, .. } => {
                let shown = autoshare_guard::shown(&outcome.text, screening).into_owned();
                self.on(*step, at_ms, |one| (one.ending, one.result) = (Some(outcome.ending), Some(shown)));
            }
            Event::Note { kind: NoteKind::Feedback, text } => *heard = Some(text.clone()),
            Event::Note { kind: NoteKind::Uploaded, text } => self.uploads.push(text.clone()),
            Event::Note { kind: NoteKind::Stopped | NoteKind::Paused, text } | Event::Fault { text, .. } => {
                self.why = Some(text.clone());
            }
            Event::Note { kind: NoteKind::Resumed, .. } => self.why = None,
            Event::Note { kind: NoteKind::Rested, .. } if self.phase == Phase::Open => self.phase = Phase::Resting,
            Event::Finish { text, .. } => {
                self.why = Some(text.clone());
                if let Some(turn) = self.turns.last_mut() {
                    (turn.is_last, turn.updated_ms) = (true, at_ms);
                }
            }
            _ => {}
        }
    }

    fn on(&mut self, step: StepNo, at_ms: u64, change: impl FnOnce(&mut StepView)) {
        if let Some(one) = self.steps.iter_mut().rev().find(|one| one.step == step) {
            one.updated_ms = at_ms;
            change(one);
        }
        if let Some(turn) = self.turns.iter_mut().rev().find(|turn| turn.steps.contains(&step)) {
            turn.updated_ms = at_ms;
        }
    }
}
