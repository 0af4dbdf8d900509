//! What surrounds a brain in these tests: two tools, and shorthands for events.

use autoshare_brain::{Brain, Command};
use autoshare_core::chat::RawCall;
use autoshare_core::event::{Answer, Answerer, AskMode, Event, FinishReason, Goal, NoteKind, Root, RootMode, Thought};
use autoshare_core::outcome::{Ending, FileState, Outcome, Plan};
use autoshare_core::screening::Screening;
use autoshare_core::tool::{Action, Effect, Kind, Label, Param, Redo, Role, ToolSpec};
use autoshare_core::usage::{Limits, MicroUsd, Usage};
use autoshare_core::verdict::{Decision, Reason, Verdict};
use autoshare_core::{Digest, StepNo, TurnNo};

pub(crate) fn tools() -> Vec<ToolSpec> {
    let text = |name: &str, role| Param {
        name: name.to_owned(),
        description: String::new(),
        role,
        kind: Kind::Text { max: 100 },
        required: true,
    };
    let tool = |name: &str, effect, redo, params| ToolSpec::new(name, "", effect, redo, params);
    vec![
        tool("read_file", Effect::Read, Redo::Read, vec![text("path", Role::Target)]),
        tool(
            "write_file",
            Effect::WriteInside,
            Redo::Queryable,
            vec![text("path", Role::Target), text("content", Role::Content)],
        ),
    ]
}

pub(crate) fn goal_with(max_steps: u64) -> Event {
    Event::Goal(Goal {
        text: "sort my notes".to_owned(),
        model: "scripted".to_owned(),
        tools: tools(),
        limits: Limits { max_steps, ..Limits::default() },
        roots: vec![Root::new("/home/ann/notes", RootMode::Write), Root::new("/home/ann/extra", RootMode::Write)],
        ask: AskMode::Default,
        trusted: Vec::new(),
        attached: Vec::new(),
        token: None,
    })
}

pub(crate) fn goal() -> Event {
    goal_with(200)
}

pub(crate) fn usage(tokens: u64) -> Usage {
    Usage { input_tokens: tokens, cost: MicroUsd(tokens), ..Usage::ZERO }
}

pub(crate) fn budget(turn: u64, tokens: u64) -> Event {
    Event::Budget { turn: TurnNo(turn), reserved: usage(tokens) }
}

pub(crate) fn call(id: &str, name: &str, arguments: &str) -> RawCall {
    RawCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}

pub(crate) fn thought(turn: u64, text: &str, calls: Vec<RawCall>) -> Event {
    Event::Thought(Thought { turn: TurnNo(turn), text: text.to_owned(), calls, usage: usage(10), truncated: false })
}

pub(crate) fn cut(event: Event) -> Event {
    match event {
        Event::Thought(thought) => Event::Thought(Thought { truncated: true, ..thought }),
        other => other,
    }
}

/// A reply that reads the file `path`.
pub(crate) fn reads(turn: u64, path: &str) -> Event {
    thought(turn, "", vec![call(&format!("c{turn}"), "read_file", &format!(r#"{{"path":"{path}"}}"#))])
}

/// A reply that writes the file `path`.
pub(crate) fn writes(turn: u64, path: &str) -> Event {
    let arguments = format!(r#"{{"path":"{path}","content":"x"}}"#);
    thought(turn, "", vec![call(&format!("c{turn}"), "write_file", &arguments)])
}

pub(crate) fn verdict(decision: Decision, action: &Action) -> Verdict {
    let reason = Reason { rule: "test".to_owned(), words: "the test says so".to_owned() };
    Verdict {
        decision,
        reasons: vec![reason],
        origins: Vec::new(),
        digest: action.digest(),
        outside: false,
        alike: Vec::new(),
    }
}

pub(crate) fn person() -> Answerer {
    Answerer::Person { name: "ann".to_owned() }
}

pub(crate) fn approval(step: u64, action: &Action, answer: Answer) -> Event {
    Event::Approval { step: StepNo(step), digest: action.digest(), answer, by: person() }
}

pub(crate) fn outcome(ending: Ending, text: &str) -> Outcome {
    Outcome { ending, text: text.to_owned(), spilled: None, after: None, bytes: text.len() as u64 }
}

pub(crate) fn observation(step: u64, ending: Ending, text: &str) -> Event {
    Event::Observation {
        step: StepNo(step),
        source: "file:a.md".to_owned(),
        outcome: outcome(ending, text),
        structured: None,
        label: Label::default(),
        screening: Screening::default(),
    }
}

pub(crate) fn started(step: u64) -> Event {
    Event::Started { step: StepNo(step), plan: Plan::default() }
}

pub(crate) fn write_plan(path: &str) -> Plan {
    let after = FileState { digest: Digest::of(b"x"), len: 1 };
    Plan { path: Some(path.to_owned()), before: None, after: Some(after), refusal: None }
}

pub(crate) fn note(kind: NoteKind, text: &str) -> Event {
    Event::Note { kind, text: text.to_owned() }
}

pub(crate) fn finish(reason: FinishReason) -> Event {
    Event::Finish { reason, text: String::new() }
}

/// The one command that is pending.
pub(crate) fn only(brain: &Brain) -> Command {
    let mut pending = brain.pending();
    assert_eq!(pending.len(), 1, "{pending:?}");
    pending.remove(0)
}

/// The action that is to be decided.
pub(crate) fn to_decide(brain: &Brain) -> (StepNo, String, Action) {
    match only(brain) {
        Command::Decide { step, call_id, action } => (step, call_id, action),
        other => panic!("not to be decided: {other:?}"),
    }
}

/// Proposes and judges the action that is to be decided.
pub(crate) fn judge(brain: &mut Brain, decision: Decision) -> Action {
    let (step, call_id, action) = to_decide(brain);
    brain.apply(&Event::Proposal { step, call_id, action: action.clone() });
    brain.apply(&Event::Verdict { step, verdict: verdict(decision, &action), plan: None });
    action
}

/// A brain that was given its goal.
pub(crate) fn admitted() -> Brain {
    Brain::fold([&goal()])
}

/// Asserts that every call was answered once, after its thought and before the next, and that no id comes twice.
pub(crate) fn assert_conversation_is_sound(brain: &Brain) {
    use autoshare_brain::Entry;
    let mut seen = std::collections::BTreeSet::new();
    let mut open: Vec<String> = Vec::new();
    for entry in brain.transcript() {
        match entry {
            Entry::Thought { calls, .. } => {
                assert!(open.is_empty(), "unanswered before the next thought: {open:?}");
                for call in calls {
                    assert!(seen.insert(call.id.clone()), "{} comes twice", call.id);
                    let arguments: Result<serde_json::Map<_, _>, _> = serde_json::from_str(&call.arguments);
                    assert!(arguments.is_ok(), "{call:?}");
                }
                open = calls.iter().map(|call| call.id.clone()).collect();
            }
            Entry::Note { .. } | Entry::Goal(_) => assert!(open.is_empty(), "a note before an answer: {entry:?}"),
            answering => {
                let id = answering.answers().unwrap();
                let place = open.iter().position(|open| open == id);
                open.remove(place.unwrap_or_else(|| panic!("{id} is answered without or beyond a call")));
            }
        }
    }
    if matches!(brain.pending().first(), Some(Command::Think { .. })) {
        assert!(open.is_empty(), "a model is asked with calls unanswered: {open:?}");
    }
}
