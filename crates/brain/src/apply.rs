//! How each event changes a brain.

use std::mem;

use autoshare_core::event::{Answer, Answerer, Event, FinishReason, Goal, NoteKind, Thought};
use autoshare_core::outcome::{Ending, Outcome, Plan};
use autoshare_core::place::known_as;
use autoshare_core::screening::Screening;
use autoshare_core::tool::Action;
use autoshare_core::usage::Usage;
use autoshare_core::verdict::{Decision, Grant, Scope, Verdict};
use autoshare_core::warrant::{DrawnBy, Warrant};
use autoshare_core::{Digest, ShareId, StepNo, TurnNo};

use crate::reply::{self, Reading};
use crate::{Brain, Call, Entry, Halt, MAX_RETRIES, Phase, turn_cap};

const UNKNOWN: &str = "the program was interrupted while this action ran, and nobody can tell whether it happened: look \
                       before you do it again";

/// An event that is out of place.
struct OutOfPlace;
type Taken = Result<(), OutOfPlace>;

impl Brain {
    pub(crate) fn take(&mut self, event: &Event) {
        let taken = match event {
            Event::Goal(goal) => self.goal_admitted(goal),
            Event::Budget { turn, reserved } => self.reserved(*turn, *reserved),
            Event::Thought(thought) => self.thought(thought),
            Event::Proposal { step, call_id, action } => self.proposed(*step, call_id, action),
            Event::Verdict { step, verdict, .. } => self.judged(*step, verdict),
            Event::Approval { step, digest, answer, by } => self.answered(*step, digest, answer, by),
            Event::Started { step, plan } => self.started(*step, plan),
            Event::Observation { step, source, outcome, screening, .. } => {
                self.observed(*step, source, outcome, screening)
            }
            Event::Answer { text } => self.answer_given(text),
            Event::Note { kind, text } => self.noted(*kind, text),
            Event::Finish { reason, .. } => self.finished(*reason),
            Event::Fault { .. } => self.halted(Halt::Fault),
            // Of programs that it runs: they take no part in the loop, but they use what is its.
            Event::Exchange(exchange) => {
                self.settled += exchange.usage;
                Ok(())
            }
            Event::Reach(_) | Event::Policy(_) => Ok(()),
            Event::Warrant(warrant) => self.warranted(warrant),
            Event::ShareEnded { share, text } => self.share_ended(share, text),
        };
        if taken.is_err() {
            self.ignored = self.ignored.saturating_add(1);
        }
    }

    fn goal_admitted(&mut self, goal: &Goal) -> Taken {
        if self.phase != Phase::New {
            return Err(OutOfPlace);
        }
        self.transcript.push(Entry::Goal(goal.text.clone()));
        self.goal = Some(goal.clone());
        self.think();
        Ok(())
    }

    /// A person's warrant replaces what was there. Any other is the first, and comes before anything was read.
    fn warranted(&mut self, warrant: &Warrant) -> Taken {
        let is_first = self.warrant.is_none() && self.steps == 0;
        if self.goal.is_none() || !(is_first || warrant.by == DrawnBy::Person) {
            return Err(OutOfPlace);
        }
        self.warrant = Some(warrant.clone());
        Ok(())
    }

    /// What was shared is a root no more, whatever the brain is at. One that has ended needs no word of it.
    fn share_ended(&mut self, share: &ShareId, text: &str) -> Taken {
        let goal = self.goal.as_mut().ok_or(OutOfPlace)?;
        let before = goal.roots.len();
        goal.roots.retain(|root| root.shared.as_ref().is_none_or(|shared| shared.id != *share));
        if goal.roots.len() == before {
            return Err(OutOfPlace);
        }
        match &self.phase {
            Phase::Finished { .. } => Ok(()),
            _ => self.told_from_outside(text),
        }
    }

    fn reserved(&mut self, turn: TurnNo, reserved: Usage) -> Taken {
        if self.phase != Phase::Thinking || turn != self.turn() {
            return Err(OutOfPlace);
        }
        if let Some(lost) = self.reserved.replace(reserved) {
            self.settled += lost;
        }
        Ok(())
    }

    fn thought(&mut self, thought: &Thought) -> Taken {
        let Some(goal) = self.goal.as_ref() else { return Err(OutOfPlace) };
        if self.phase != Phase::Thinking || thought.turn != self.turn() {
            return Err(OutOfPlace);
        }
        let max_steps = goal.limits.max_steps;
        let read = reply::read(thought, &goal.tools, &self.call_ids);
        self.turns = thought.turn.0;
        self.reserved = None;
        self.settled += thought.usage;
        let had_calls = !read.calls.is_empty();
        self.call_ids.extend(read.calls.iter().map(|call| call.id.clone()));
        self.transcript.push(Entry::Thought { turn: thought.turn, text: thought.text.clone(), calls: read.calls });
        if matches!(read.reading, Reading::Malformed { .. }) {
            self.malformed_in_a_row = self.malformed_in_a_row.saturating_add(1);
        } else {
            self.malformed_in_a_row = 0;
        }
        let mut rejected = read.rejected;
        self.phase = match read.reading {
            Reading::Answer(answer) => Phase::Closing {
                reason: FinishReason::Done,
                text: "the model says that the goal is reached".to_owned(),
                answer: Some(answer),
            },
            Reading::Malformed { why } if self.malformed_in_a_row > MAX_RETRIES => Phase::Closing {
                reason: FinishReason::Malformed,
                text: format!(
                    "{} replies of the model in a row could not be used; the last: {why} (try another model)",
                    self.malformed_in_a_row
                ),
                answer: None,
            },
            Reading::Malformed { why } => Phase::Retrying { why, told: had_calls },
            Reading::Call { call_id, .. } if self.steps >= max_steps => {
                let why = format!("all {max_steps} steps are used up (raise them with --max-steps)");
                rejected.insert(0, (call_id, why.clone()));
                Phase::Closing { reason: FinishReason::Budget, text: why, answer: None }
            }
            Reading::Call { call_id, action } => {
                Phase::Deciding { call: Call { step: StepNo(self.steps).next(), call_id, action }, proposed: false }
            }
        };
        self.transcript.extend(rejected.into_iter().map(|(call_id, why)| Entry::Rejected { call_id, why }));
        Ok(())
    }

    fn proposed(&mut self, step: StepNo, id: &str, proposal: &Action) -> Taken {
        match &mut self.phase {
            Phase::Deciding { call, proposed: proposed @ false }
                if call.step == step && call.call_id == id && call.action == *proposal =>
            {
                *proposed = true;
                self.steps = step.0;
                Ok(())
            }
            _ => Err(OutOfPlace),
        }
    }

    fn judged(&mut self, step: StepNo, verdict: &Verdict) -> Taken {
        let Phase::Deciding { call, proposed: true } = &self.phase else { return Err(OutOfPlace) };
        if call.step != step || call.action.digest() != verdict.digest {
            return Err(OutOfPlace);
        }
        let call = call.clone();
        match verdict.decision {
            Decision::Allow => self.phase = Phase::Cleared { call },
            Decision::Ask => self.phase = Phase::Asking { call, verdict: verdict.clone() },
            Decision::Deny => self.denied(call, &format!("not allowed: {}", verdict.why())),
        }
        Ok(())
    }

    fn answered(&mut self, step: StepNo, digest: &Digest, answer: &Answer, by: &Answerer) -> Taken {
        let Phase::Asking { call, verdict } = &self.phase else { return Err(OutOfPlace) };
        if call.step != step || call.action.digest() != *digest {
            return Err(OutOfPlace);
        }
        let is_person = matches!(by, Answerer::Person { .. });
        let (call, verdict) = (call.clone(), verdict.clone());
        if verdict.outside && matches!(answer, Answer::No | Answer::Feedback { .. }) {
            self.refused_outside = self.refused_outside.saturating_add(1);
        }
        match answer {
            Answer::Yes | Answer::Always | Answer::Run if *by == Answerer::Nobody => return Err(OutOfPlace),
            Answer::Yes => self.phase = Phase::Cleared { call },
            Answer::Always | Answer::Run => {
                if is_person {
                    self.grant(&call.action, &verdict, answer);
                }
                self.phase = Phase::Cleared { call };
            }
            Answer::No if *by == Answerer::Nobody => {
                self.denied(call, "not performed: it needs a person's leave, and nobody can answer here");
            }
            Answer::No => self.denied(call, "not performed: the person said no"),
            Answer::Feedback { text } => self.denied(call, &format!("not performed: the person said no, and: {text}")),
        }
        Ok(())
    }

    /// Only a person widens what is allowed; a standing rule that says "always" says yes once.
    fn grant(&mut self, action: &Action, verdict: &Verdict, answer: &Answer) {
        let spec = self.goal.iter().flat_map(|goal| &goal.tools).find(|spec| spec.name == action.tool);
        let Some(spec) = spec else { return };
        let scope = match answer {
            Answer::Run => {
                // What was not shown is not allowed.
                if verdict.alike.is_empty() {
                    return;
                }
                Scope::Listed { targets: verdict.alike.clone() }
            }
            _ => Scope::Target { target: spec.target(action) },
        };
        let rules = verdict.reasons.iter().map(|reason| reason.rule.clone()).collect();
        let grant = Grant { tool: action.tool.clone(), scope, rules };
        if !self.grants.contains(&grant) {
            self.grants.push(grant);
        }
    }

    /// A second intent for an action whose first one has no result replaces its plan.
    fn started(&mut self, step: StepNo, plan: &Plan) -> Taken {
        match &self.phase {
            Phase::Cleared { call } | Phase::Started { call, .. } if call.step == step => {
                self.phase = Phase::Started { call: call.clone(), plan: plan.clone() };
                Ok(())
            }
            _ => Err(OutOfPlace),
        }
    }

    fn observed(&mut self, step: StepNo, source: &str, outcome: &Outcome, screening: &Screening) -> Taken {
        let Phase::Started { call, plan } = &self.phase else { return Err(OutOfPlace) };
        if call.step != step {
            return Err(OutOfPlace);
        }
        let (call, plan) = (call.clone(), plan.clone());
        if outcome.ending == Ending::Done && plan.after.is_some() {
            self.own(&call.action, &plan);
        }
        let text = told(outcome);
        // Words of ours may stand before it.
        let before = text.strip_suffix(outcome.text.as_str()).map_or(0, str::len);
        self.transcript.push(Entry::Result {
            call_id: call.call_id.clone(),
            step,
            source: source.to_owned(),
            text,
            screening: screening.shifted(before),
            ending: outcome.ending,
        });
        let stuck = self.guard.observed(&call.action, outcome);
        self.go_on(stuck);
        Ok(())
    }

    /// A file is the brain's own if nothing was lost when it was first written. One that was there before stays
    /// somebody else's, however the brain changes it.
    fn own(&mut self, action: &Action, plan: &Plan) {
        if plan.before.as_ref().is_some_and(|before| before.len > 0) {
            return;
        }
        let Some(goal) = &self.goal else { return };
        let spec = goal.tools.iter().find(|spec| spec.name == action.tool);
        let name = spec
            .zip(plan.path.as_ref())
            .and_then(|(spec, planned)| known_as(&goal.roots, &spec.target(action), planned));
        self.own_files.extend(name);
    }

    fn denied(&mut self, call: Call, why: &str) {
        let stuck = self.guard.refused(&call.action, why);
        self.transcript.push(Entry::Denied { call_id: call.call_id, step: call.step, why: why.to_owned() });
        self.go_on(stuck);
    }

    /// A call has been answered: on to the next reply, unless there is no progress.
    fn go_on(&mut self, stuck: Option<String>) {
        match stuck {
            Some(text) => self.phase = Phase::Closing { reason: FinishReason::Loop, text, answer: None },
            None => self.think(),
        }
        let notes = mem::take(&mut self.held_notes);
        self.transcript.extend(notes.into_iter().map(|text| Entry::Note { text }));
    }

    fn think(&mut self) {
        let cap = turn_cap(self.goal.as_ref().map_or(0, |goal| goal.limits.max_steps));
        self.phase = if self.turns < cap {
            Phase::Thinking
        } else {
            let text = format!("the model replied {cap} times without reaching the goal (raise --max-steps)");
            Phase::Closing { reason: FinishReason::Budget, text, answer: None }
        };
    }

    fn answer_given(&mut self, text: &str) -> Taken {
        match &mut self.phase {
            Phase::Closing { answer: pending @ Some(_), .. } => {
                *pending = None;
                self.answer = Some(text.to_owned());
                Ok(())
            }
            _ => Err(OutOfPlace),
        }
    }

    fn noted(&mut self, kind: NoteKind, text: &str) -> Taken {
        match kind {
            NoteKind::Retry => self.retried(text),
            NoteKind::Feedback => self.told_from_outside(text),
            NoteKind::Stopped | NoteKind::Paused => self.halted(Halt::Stop),
            NoteKind::Resumed => {
                self.halt = None;
                self.refused_outside = 0;
                Ok(())
            }
            // A brain that has ended is not told, and that is in order.
            NoteKind::Undone if matches!(self.phase, Phase::Finished { .. }) => Ok(()),
            NoteKind::Undone => self.told_from_outside(text),
            NoteKind::Cell
            | NoteKind::Uploaded
            | NoteKind::Rested
            | NoteKind::Secret
            | NoteKind::SetAside
            | NoteKind::Doubt
            | NoteKind::Unfit
            | NoteKind::Unheard
            | NoteKind::Struck
            | NoteKind::Unkept
            | NoteKind::Host
            | NoteKind::Leave => Ok(()),
        }
    }

    fn retried(&mut self, text: &str) -> Taken {
        let Phase::Retrying { told, .. } = &self.phase else { return Err(OutOfPlace) };
        if !told {
            self.transcript.push(Entry::Note { text: text.to_owned() });
        }
        self.go_on(None);
        Ok(())
    }

    fn told_from_outside(&mut self, text: &str) -> Taken {
        match &self.phase {
            Phase::New | Phase::Finished { .. } => return Err(OutOfPlace),
            Phase::Thinking => self.transcript.push(Entry::Note { text: text.to_owned() }),
            _ => self.held_notes.push(text.to_owned()),
        }
        Ok(())
    }

    fn halted(&mut self, halt: Halt) -> Taken {
        if matches!(self.phase, Phase::Finished { .. }) {
            return Err(OutOfPlace);
        }
        self.halt = Some(halt);
        Ok(())
    }

    /// The host ends a brain of itself only where a model call would pass the budget.
    fn finished(&mut self, ended: FinishReason) -> Taken {
        match &self.phase {
            Phase::Thinking if ended == FinishReason::Budget => {}
            Phase::Closing { reason, answer: None, .. } if *reason == ended => {}
            _ => return Err(OutOfPlace),
        }
        self.phase = Phase::Finished { reason: ended };
        self.halt = None;
        Ok(())
    }
}

/// What a model is told of an outcome: never nothing, and always that it is unknown.
fn told(outcome: &Outcome) -> String {
    let words = match outcome.ending {
        Ending::Unknown if outcome.text.is_empty() => return UNKNOWN.to_owned(),
        Ending::Unknown => return format!("{UNKNOWN}\n{}", outcome.text),
        _ if !outcome.text.trim().is_empty() => return outcome.text.clone(),
        Ending::Done => "done",
        Ending::Failed => "it failed, and said nothing of why",
        Ending::OutOfMemory => "it needed more memory than it may have, and was stopped",
        Ending::TimedOut => "it took longer than it may, and was stopped",
        Ending::OverQuota => "it would have passed a quota, and was stopped",
        Ending::Refused => "the boundary of the workspace refused it",
        Ending::CellCrashed => "the cell that performed it ended before it was done; what it did is uncertain",
    };
    words.to_owned()
}
