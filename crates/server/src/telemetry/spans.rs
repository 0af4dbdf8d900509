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
    [genai::input_tokens(used.input_tokens), genai::output_tokens(used.output_tokens)]
        .into_iter()
        .chain(cached)
        .collect()
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

#[cfg(test)]
mod tests {
    use autoshare_core::TurnNo;
    use autoshare_core::event::{Answerer, Thought};
    use autoshare_core::outcome::{Outcome, Plan};
    use autoshare_core::screening::Screening;
    use autoshare_core::tool::{Action, Label};
    use autoshare_core::usage::MicroUsd;
    use autoshare_core::verdict::Verdict;

    use super::genai::Value;
    use super::*;

    fn begun() -> Invocation {
        let brain = BrainId::from_random([1; 5]);
        let (model, provider) = ("lab/m".to_owned(), Some("gemini".to_owned()));
        Invocation::begin(Identity { tenant: "5f0c9a1be2d4".to_owned(), brain, model, provider }, None, 1_000)
    }

    fn action() -> Action {
        Action { tool: "write_file".to_owned(), args: BTreeMap::new() }
    }

    fn proposed() -> Event {
        Event::Proposal { step: StepNo(1), call_id: "CANARY".to_owned(), action: action() }
    }

    fn judged(decision: Decision) -> Event {
        let (digest, reasons, origins, alike) = (action().digest(), Vec::new(), Vec::new(), Vec::new());
        let verdict = Verdict { decision, reasons, origins, digest, outside: false, alike };
        Event::Verdict { step: StepNo(1), verdict, plan: None }
    }

    fn answered(answer: Answer) -> Event {
        Event::Approval { step: StepNo(1), digest: action().digest(), answer, by: Answerer::Nobody }
    }

    fn came(ending: Ending) -> Event {
        let outcome = Outcome { ending, text: "CANARY".to_owned(), spilled: None, after: None, bytes: 0 };
        let (source, label, screening) = ("file:CANARY".to_owned(), Label::default(), Screening::default());
        Event::Observation { step: StepNo(1), source, outcome, structured: None, label, screening }
    }

    fn asked() -> Event {
        Event::Budget { turn: TurnNo(1), reserved: Usage::ZERO }
    }

    fn thought(truncated: bool) -> Event {
        let usage =
            Usage { input_tokens: 9, output_tokens: 2, cached_tokens: 4, reasoning_tokens: 0, cost: MicroUsd(1) };
        Event::Thought(Thought { turn: TurnNo(1), text: "CANARY".to_owned(), calls: Vec::new(), usage, truncated })
    }

    fn finished(reason: FinishReason) -> Event {
        Event::Finish { reason, text: "CANARY".to_owned() }
    }

    fn failed(kind: FaultKind) -> Event {
        Event::Fault { kind, text: "CANARY".to_owned() }
    }

    fn attribute<'s>(span: &'s Span, name: &str) -> Option<&'s Value> {
        span.attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// What happens to a brain, and which spans that makes, each with its class of failure.
    #[test]
    fn what_happens_is_told_by_its_kind_and_how_it_ended() {
        let started = || Event::Started { step: StepNo(1), plan: Plan::default() };
        let (tool, chat, root) = ("execute_tool write_file", "chat lab/m", "invoke_agent");
        let rows = [
            (vec![], true, vec![(root, "")]),
            (vec![], false, vec![(root, "host")]),
            (vec![asked(), thought(false)], true, vec![(chat, ""), (root, "")]),
            (vec![asked(), asked(), thought(true)], true, vec![(chat, "window_exceeded"), (chat, ""), (root, "")]),
            (vec![asked(), failed(FaultKind::Model)], true, vec![(chat, "model"), (root, "model")]),
            (vec![asked()], true, vec![(chat, "interrupted"), (root, "")]),
            (vec![thought(false)], true, vec![(root, "")]),
            (vec![proposed(), started(), came(Ending::Done)], true, vec![(tool, ""), (root, "")]),
            (vec![proposed(), started(), came(Ending::TimedOut)], true, vec![(tool, "timeout"), (root, "")]),
            (vec![proposed(), judged(Decision::Deny), came(Ending::Refused)], true, vec![(tool, "denied"), (root, "")]),
            (
                vec![proposed(), judged(Decision::Ask), answered(Answer::No)],
                true,
                vec![(tool, "not_approved"), (root, "")],
            ),
            (
                vec![proposed(), judged(Decision::Ask), answered(Answer::Yes), started(), came(Ending::Done)],
                true,
                vec![(tool, ""), (root, "")],
            ),
            (vec![proposed(), failed(FaultKind::Cell)], true, vec![(tool, "interrupted"), (root, "cell")]),
            (vec![started(), came(Ending::Done)], true, vec![(root, "")]),
            (vec![finished(FinishReason::Loop)], true, vec![(root, "loop")]),
        ];
        for (events, is_well, wanted) in rows {
            let mut invocation = begun();
            let mut spans: Vec<Span> = events.iter().filter_map(|event| invocation.event(2_000, event)).collect();
            spans.extend(invocation.end(3_000, is_well));
            let errors = spans.iter().map(|span| match attribute(span, "error.type") {
                Some(Value::Text(class)) => class.as_str(),
                _ => "",
            });
            let told: Vec<_> = spans.iter().map(|span| span.name.as_str()).zip(errors).collect();
            assert_eq!(told, wanted, "{events:?}");
            let (root, children) = spans.split_last().unwrap();
            assert_eq!((root.parent, root.begun, root.ended), (None, 1_000, 3_000));
            assert!(children.iter().all(|span| span.parent.unwrap().span == root.id && span.trace == root.trace));
            assert!(spans.iter().all(|span| span.is_error == attribute(span, "error.type").is_some()));
            let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span.id).collect();
            assert_eq!(ids.len(), spans.len(), "each has an id of its own");
            assert!(!format!("{spans:?}").contains("CANARY"), "{spans:?}");
        }
    }

    #[test]
    fn a_call_is_told_with_its_numbers_and_the_conventions_name_of_its_provider() {
        let mut invocation = begun();
        invocation.event(2_000, &asked());
        assert_eq!(invocation.take(2_500, &Progress::Replied { model: "lab/other".to_owned() }), None);
        let chat = invocation.event(3_000, &thought(true)).unwrap();
        assert_eq!((chat.begun, chat.ended, chat.kind), (2_000, 3_000, Kind::Client));
        let text = |text: &str| Value::Text(text.to_owned());
        for (name, value) in [
            ("gen_ai.operation.name", text("chat")),
            ("gen_ai.provider.name", text("gcp.gemini")),
            ("gen_ai.request.model", text("lab/m")),
            ("gen_ai.response.model", text("lab/other")),
            ("gen_ai.usage.input_tokens", Value::Int(9)),
            ("gen_ai.usage.cache_read.input_tokens", Value::Int(4)),
            ("gen_ai.usage.output_tokens", Value::Int(2)),
            ("gen_ai.response.finish_reasons", Value::Texts(vec!["length"])),
            ("autoshare.tenant.id", text("5f0c9a1be2d4")),
        ] {
            assert_eq!(attribute(&chat, name), Some(&value), "{name}");
        }
    }

    #[test]
    fn actions_that_never_end_take_bounded_memory() {
        let mut invocation = begun();
        for step in 0..10 * MAX_OPEN as u64 {
            let proposal = Event::Proposal { step: StepNo(step), call_id: String::new(), action: action() };
            assert_eq!(invocation.event(2_000, &proposal), None);
        }
        assert_eq!(invocation.end(3_000, true).len(), MAX_OPEN + 1);
    }
}
