//! From what happens to a brain to the spans of a trace: a fold, without a clock and without I/O.
//!
//! A brain that is driven is one `invoke_agent`, from when it begins until it rests; its calls of models and its actions are
//! below it. What is told of each is its kind, its times, how it ended, and numbers.

use std::collections::BTreeMap;

use autoshare_core::event::{Answer, Event, FaultKind, FinishReason};
use autoshare_core::outcome::Ending;
use autoshare_core::usage::Usage;
use autoshare_core::verdict::Decision;
use autoshare_core::{BrainId, Digest, StepNo};
use autoshare_host::Progress;

use super::genai::{self, Attribute, Operation};
use super::otlp::{Kind, Parent, Span};

/// Actions of one brain that are open at once at most; of further ones nothing is told.
const MAX_OPEN: usize = 1_000;

/// Who and where.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// The tenant's opaque id.
    pub(super) tenant: String,
    pub(super) brain: BrainId,
    /// The model that was asked for.
    pub(super) model: String,
    pub(super) provider: Option<String>,
}

/// A brain that is driven.
#[derive(Debug)]
pub(super) struct Invocation {
    who: Identity,
    trace: [u8; 16],
    id: [u8; 8],
    parent: Option<Parent>,
    begun: u64,
    /// How many spans have an id.
    ids: u64,
    call: Option<Call>,
    steps: BTreeMap<StepNo, Step>,
    used: Usage,
    error: Option<&'static str>,
}

#[derive(Debug)]
struct Call {
    begun: u64,
    /// The model that replied.
    replied: Option<String>,
}

#[derive(Debug)]
struct Step {
    tool: String,
    /// When it was proposed, and when it was performed from on, if it was.
    begun: u64,
}

impl Invocation {
    /// It begins at this time: nanoseconds since 1970 (UTC).
    pub(super) fn begin(who: Identity, parent: Option<Parent>, begun: u64) -> Self {
        let (tenant, brain) = (who.tenant.as_bytes(), who.brain.as_str().as_bytes());
        let seed = |what: &[u8]| Digest::of_parts(&[what, tenant, brain, &begun.to_be_bytes()]);
        let trace = parent.map_or_else(|| first(&seed(b"autoshare/trace/1")), |parent| parent.trace);
        let id = first(&seed(b"autoshare/span/1"));
        let (steps, used) = (BTreeMap::new(), Usage::ZERO);
        Self { who, trace, id, parent, begun, ids: 0, call: None, steps, used, error: None }
    }

    /// What happened, and the span that ended with it.
    pub(super) fn take(&mut self, now: u64, progress: &Progress) -> Option<Span> {
        match progress {
            Progress::Replied { model } => {
                self.call.as_mut()?.replied = Some(model.clone());
                None
            }
            Progress::Recorded { event, .. } => self.event(now, event),
            _ => None,
        }
    }

    fn event(&mut self, now: u64, event: &Event) -> Option<Span> {
        match event {
            Event::Budget { .. } => {
                // One that was too long for the model's window is asked again, shorter.
                let before = self.call.replace(Call { begun: now, replied: None });
                before.map(|call| self.chat(call, now, Vec::new(), Some("window_exceeded")))
            }
            Event::Thought(thought) => {
                self.used += thought.usage;
                let reason = match (thought.truncated, thought.calls.is_empty()) {
                    (true, _) => "length",
                    (false, false) => "tool_calls",
                    (false, true) => "stop",
                };
                let mut told = numbers(&thought.usage);
                told.push(genai::finish(reason));
                self.call.take().map(|call| self.chat(call, now, told, None))
            }
            Event::Proposal { step, action, .. } if self.steps.len() < MAX_OPEN => {
                self.steps.insert(*step, Step { tool: action.tool.clone(), begun: now });
                None
            }
            Event::Verdict { step, verdict, .. } if verdict.decision == Decision::Deny => {
                self.tool(*step, now, Some("denied"))
            }
            Event::Approval { step, answer: Answer::No | Answer::Feedback { .. }, .. } => {
                self.tool(*step, now, Some("not_approved"))
            }
            Event::Started { step, .. } => {
                self.steps.get_mut(step)?.begun = now;
                None
            }
            Event::Observation { step, outcome, .. } => self.tool(*step, now, failure(outcome.ending)),
            Event::Finish { reason, .. } => {
                self.error = match reason {
                    FinishReason::Done => None,
                    FinishReason::Budget => Some("budget"),
                    FinishReason::Loop => Some("loop"),
                    FinishReason::Malformed => Some("malformed"),
                };
                None
            }
            Event::Fault { kind, .. } => {
                let class = match kind {
                    FaultKind::Model => "model",
                    FaultKind::Cell => "cell",
                    FaultKind::Host => "host",
                };
                self.error = Some(class);
                self.call.take().map(|call| self.chat(call, now, Vec::new(), Some(class)))
            }
            _ => None,
        }
    }

    /// It is driven no further: what was under way is told as interrupted, and then itself, as failed if the host could not
    /// do its part.
    pub(super) fn end(mut self, now: u64, is_well: bool) -> Vec<Span> {
        let mut spans = Vec::new();
        if let Some(call) = self.call.take() {
            spans.push(self.chat(call, now, Vec::new(), Some("interrupted")));
        }
        let open: Vec<StepNo> = self.steps.keys().copied().collect();
        spans.extend(open.into_iter().filter_map(|step| self.tool(step, now, Some("interrupted"))));
        let error = self.error.or((!is_well).then_some("host"));
        let mut attributes = self.attributes(Operation::InvokeAgent, error);
        attributes.extend(numbers(&self.used));
        spans.push(Span {
            trace: self.trace,
            id: self.id,
            parent: self.parent,
            name: Operation::InvokeAgent.name().to_owned(),
            kind: Kind::Internal,
            begun: self.begun,
            ended: now,
            attributes,
            is_error: error.is_some(),
        });
        spans
    }

    fn chat(&mut self, call: Call, now: u64, told: Vec<Attribute>, error: Option<&'static str>) -> Span {
        let mut attributes = self.attributes(Operation::Chat, error);
        attributes.extend(call.replied.as_deref().map(genai::response_model));
        attributes.extend(told);
        let name = format!("{} {}", Operation::Chat.name(), genai::name(&self.who.model));
        self.child(name, Kind::Client, call.begun, now, attributes, error)
    }

    fn tool(&mut self, step: StepNo, now: u64, error: Option<&'static str>) -> Option<Span> {
        let Step { tool, begun } = self.steps.remove(&step)?;
        let mut attributes = self.attributes(Operation::ExecuteTool, error);
        attributes.extend(genai::tool(&tool, step.0));
        let name = format!("{} {}", Operation::ExecuteTool.name(), genai::name(&tool));
        Some(self.child(name, Kind::Internal, begun, now, attributes, error))
    }

    fn child(
        &mut self,
        name: String,
        kind: Kind,
        begun: u64,
        ended: u64,
        attributes: Vec<Attribute>,
        error: Option<&'static str>,
    ) -> Span {
        self.ids += 1;
        let id = first(&Digest::of_parts(&[b"autoshare/span/1", &self.id, &self.ids.to_be_bytes()]));
        let parent = Some(Parent { trace: self.trace, span: self.id, is_remote: false });
        Span { trace: self.trace, id, parent, name, kind, begun, ended, attributes, is_error: error.is_some() }
    }

    fn attributes(&self, operation: Operation, error: Option<&'static str>) -> Vec<Attribute> {
        let mut all = vec![genai::operation(operation), genai::tenant(&self.who.tenant)];
        all.extend(genai::agent(self.who.brain.as_str()));
        if operation != Operation::ExecuteTool {
            all.extend(self.who.provider.as_deref().map(genai::provider));
            all.push(genai::request_model(&self.who.model));
        }
        all.extend(error.map(genai::error));
        all
    }
}

/// The first bytes of a digest.
fn first<const N: usize>(digest: &Digest) -> [u8; N] {
    digest.as_bytes().first_chunk().copied().unwrap_or([1; N])
}

fn numbers(used: &Usage) -> Vec<Attribute> {
    let cached = (used.cached_tokens > 0).then(|| genai::cached_tokens(used.cached_tokens));
    [genai::input_tokens(used.input_tokens), genai::output_tokens(used.output_tokens)].into_iter().chain(cached).collect()
}

const fn failure(ending: Ending) -> Option<&'static str> {
    match ending {
        Ending::Done => None,
        Ending::Failed => Some("failed"),
        Ending::OutOfMemory => Some("out_of_memory"),
        Ending::TimedOut => Some("timeout"),
        Ending::OverQuota => Some("over_quota"),
        Ending::Refused => Some("refused"),
        Ending::CellCrashed => Some("cell_crashed"),
        Ending::Unknown => Some("unknown"),
    }
}
