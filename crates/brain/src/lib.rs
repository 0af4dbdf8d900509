//! The agent loop as a pure state machine: journal events in, commands out.
//!
//! A brain is a fold over its journal. [`Brain::apply`] takes one event that the host has journaled, and
//! [`Brain::pending`] says what is to be done next; the host does it, journals what came of it, and applies that. A
//! brain that was killed at any instant is [`Brain::fold`] over what its journal holds, and just asks again.
//!
//! ```text
//! Goal → Think → Thought ─ text alone ──────────────────────────────→ Finish
//!          ↑       ├─ malformed ─→ Retry → Note                        ↑
//!          │       └─ one call ──→ Decide → Proposal, Verdict          │
//!          │                         ├─ deny ──────────────┐           │
//!          │                         ├─ ask ─→ Ask → Approval ─ no ─┐  │
//!          │                         └─ allow ─→ Perform → Started, Observation
//!          └──────────── the conversation grew ─────┴── loop guard, step or turn limit
//! ```
//!
//! **Invariants**
//! - No I/O, no clock, no randomness, no async. Same events, same brain.
//! - Total: no sequence of events panics. An event that is out of place changes nothing but [`Brain::ignored`]; so a
//!   verdict or an approval that is bound to another action, or that comes a second time, has no effect.
//! - It ends: at most [`turn_cap`] replies, each with at most one action, are taken in; after that only `Finish` is
//!   pending. The number of events that are not interruptions is bounded by [`event_bound`].
//! - Whenever a model is to be asked, every call id in [`Brain::transcript`] is unique and has exactly one entry that
//!   answers it, after its thought and before the next one; so chat interfaces take the conversation.
//! - What was reserved for a model call counts as used until its thought says what it really took; a reservation whose
//!   call was repeated counts for ever.
//!
//! It does not know what a tool does, who decides or answers, how large a model's window is filled, or what anything
//! costs: the host fits the transcript into the window and holds token and money limits before each call.

mod apply;
mod command;
pub mod loopguard;
pub mod reply;

use std::collections::BTreeSet;

use autoshare_core::event::{Event, FinishReason, Goal};
use autoshare_core::outcome::Plan;
use autoshare_core::tool::Action;
use autoshare_core::usage::Usage;
use autoshare_core::verdict::{Grant, Verdict};
use autoshare_core::warrant::Warrant;
use autoshare_core::{StepNo, TurnNo};

pub use command::{Command, Entry, Status};
use loopguard::LoopGuard;

/// Malformed replies in a row that are sent back with an explanation; the next one ends the brain.
pub const MAX_RETRIES: u32 = 3;

/// Replies of a model that a brain with `max_steps` takes in at most.
#[must_use]
pub const fn turn_cap(max_steps: u64) -> u64 {
    max_steps.saturating_mul(2).saturating_add(16)
}

/// Events that a brain with `max_steps` takes in at most, apart from notes that interrupt it, faults, and model calls
/// or intents that are repeated: the goal, seven a turn (budget, thought, then note, or proposal, verdict, approval,
/// intent and observation), the answer and the end.
#[must_use]
pub const fn event_bound(max_steps: u64) -> u64 {
    turn_cap(max_steps).saturating_mul(7).saturating_add(3)
}

/// Where a brain stands between two events.
#[derive(Debug, Clone, PartialEq)]
enum Phase {
    New,
    Thinking,
    Retrying { why: String, told: bool },
    Deciding { call: Call, proposed: bool },
    Asking { call: Call, verdict: Verdict },
    Cleared { call: Call },
    Started { call: Call, plan: Plan },
    Closing { reason: FinishReason, text: String, answer: Option<String> },
    Finished { reason: FinishReason },
}

/// The action that a brain is busy with.
#[derive(Debug, Clone, PartialEq)]
struct Call {
    step: StepNo,
    call_id: String,
    action: Action,
}

/// Why nothing is pending although there is something to do.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Halt {
    Fault,
    Stop,
}

/// One agent with one goal, as far as its journal goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Brain {
    goal: Option<Goal>,
    phase: Phase,
    halt: Option<Halt>,
    turns: u64,
    steps: u64,
    malformed_in_a_row: u32,
    guard: LoopGuard,
    settled: Usage,
    reserved: Option<Usage>,
    transcript: Vec<Entry>,
    /// A person's words that came while a call was unanswered; they follow its answer.
    held_notes: Vec<String>,
    call_ids: BTreeSet<String>,
    answer: Option<String>,
    grants: Vec<Grant>,
    warrant: Option<Warrant>,
    /// Questions about what lies outside the warrant that were answered with no, since it was last resumed.
    refused_outside: u64,
    own_files: BTreeSet<String>,
    ignored: u64,
}

impl Default for Brain {
    fn default() -> Self {
        Self::new()
    }
}

impl Brain {
    /// A brain without a goal: nothing has happened.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            goal: None,
            phase: Phase::New,
            halt: None,
            turns: 0,
            steps: 0,
            malformed_in_a_row: 0,
            guard: LoopGuard::new(),
            settled: Usage::ZERO,
            reserved: None,
            transcript: Vec::new(),
            held_notes: Vec::new(),
            call_ids: BTreeSet::new(),
            answer: None,
            grants: Vec::new(),
            warrant: None,
            refused_outside: 0,
            own_files: BTreeSet::new(),
            ignored: 0,
        }
    }

    /// The brain whose journal holds these events.
    #[must_use]
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut brain = Self::new();
        for event in events {
            brain.take(event);
        }
        brain
    }

    /// Takes in one event, and says what is pending then.
    pub fn apply(&mut self, event: &Event) -> Vec<Command> {
        self.take(event);
        self.pending()
    }

    /// What to do next: nothing or one command. A started action without an observation is pending as
    /// [`Command::Recover`]; while the host is performing it, it just does not ask.
    #[must_use]
    pub fn pending(&self) -> Vec<Command> {
        if self.halt.is_some() {
            return Vec::new();
        }
        let command = match &self.phase {
            Phase::New | Phase::Finished { .. } => return Vec::new(),
            Phase::Thinking => Command::Think { turn: self.turn() },
            Phase::Retrying { why, .. } => Command::Retry { text: why.clone() },
            Phase::Deciding { call, .. } => {
                Command::Decide { step: call.step, call_id: call.call_id.clone(), action: call.action.clone() }
            }
            Phase::Asking { call, verdict } => {
                Command::Ask { step: call.step, action: call.action.clone(), verdict: verdict.clone() }
            }
            Phase::Cleared { call } => Command::Perform { step: call.step, action: call.action.clone() },
            Phase::Started { call, plan } => {
                Command::Recover { step: call.step, action: call.action.clone(), plan: plan.clone() }
            }
            Phase::Closing { reason, text, answer } => {
                Command::Finish { reason: *reason, text: text.clone(), answer: answer.clone() }
            }
        };
        vec![command]
    }

    /// The goal; `None` before it was admitted.
    #[must_use]
    pub const fn goal(&self) -> Option<&Goal> {
        self.goal.as_ref()
    }

    /// Where it stands, for people.
    #[must_use]
    pub const fn status(&self) -> Status {
        match (&self.phase, self.halt) {
            (Phase::Finished { reason }, _) => Status::Finished(*reason),
            (_, Some(Halt::Fault)) => Status::Faulted,
            (_, Some(Halt::Stop)) => Status::Stopped,
            (Phase::New, None) => Status::New,
            (Phase::Thinking | Phase::Retrying { .. } | Phase::Closing { .. }, None) => Status::Thinking,
            (Phase::Deciding { .. }, None) => Status::Deciding,
            (Phase::Asking { .. }, None) => Status::Asking,
            (Phase::Cleared { .. } | Phase::Started { .. }, None) => Status::Performing,
        }
    }

    /// What model calls took so far, reservations without a thought included.
    #[must_use]
    pub fn used(&self) -> Usage {
        self.settled + self.reserved.unwrap_or_default()
    }

    /// Actions that were proposed so far, refused ones included.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Whether the proposal of the pending [`Command::Decide`] stands in the journal already, so that only its verdict
    /// is missing.
    #[must_use]
    pub const fn is_proposed(&self) -> bool {
        matches!(self.phase, Phase::Deciding { proposed: true, .. })
    }

    /// The conversation so far, oldest first, whole. The host cuts it to the model's window.
    #[must_use]
    pub fn transcript(&self) -> &[Entry] {
        &self.transcript
    }

    /// The answer to the goal, once it is journaled.
    #[must_use]
    pub fn answer(&self) -> Option<&str> {
        self.answer.as_deref()
    }

    /// The files that this brain made, where there was none or an empty one, named as
    /// [`autoshare_core::place::known_as`] does.
    #[must_use]
    pub const fn own_files(&self) -> &BTreeSet<String> {
        &self.own_files
    }

    /// What a person allowed beyond one action, in this brain.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Which effects its goal needs; `None` before that was drawn up.
    #[must_use]
    pub const fn warrant(&self) -> Option<&Warrant> {
        self.warrant.as_ref()
    }

    /// How many questions about what lies outside the warrant were answered with no since it was last resumed.
    #[must_use]
    pub const fn refused_outside(&self) -> u64 {
        self.refused_outside
    }

    /// Events that were out of place. More than none means that the journal was not written by this program's host.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    const fn turn(&self) -> TurnNo {
        TurnNo(self.turns).next()
    }
}
