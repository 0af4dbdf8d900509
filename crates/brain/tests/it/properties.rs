//! What holds for every journal, every environment, and every instant of a kill.

use autoshare_brain::{Brain, Command, Status, event_bound, turn_cap};
use autoshare_core::event::{Answer, Answerer, Event, FaultKind, FinishReason, NoteKind, Thought};
use autoshare_core::outcome::{Ending, Outcome, Plan};
use autoshare_core::screening::Screening;
use autoshare_core::tool::{Action, Label};
use autoshare_core::verdict::Decision;
use autoshare_core::{Digest, StepNo, TurnNo};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::*;

const ENDINGS: [Ending; 8] = [
    Ending::Done,
    Ending::Failed,
    Ending::OutOfMemory,
    Ending::TimedOut,
    Ending::OverQuota,
    Ending::Refused,
    Ending::CellCrashed,
    Ending::Unknown,
];
const DECISIONS: [Decision; 3] = [Decision::Allow, Decision::Ask, Decision::Deny];

/// A reply of a model, sound or malformed; few, so that they repeat.
fn reply(turn: u64, choice: usize, truncated: bool) -> Thought {
    let (text, calls): (&str, &[(&str, &str, &str)]) = match choice {
        0 => ("", &[("a", "read_file", r#"{"path":"a.md"}"#)]),
        1 => ("", &[("b", "read_file", r#"{"path":"b.md"}"#)]),
        2 => ("", &[("", "write_file", r#"{"path":"a.md","content":"x"}"#)]),
        3 => ("two", &[("a", "write_file", r#"{"path":"../c","content":"x"}"#), ("a", "read_file", "{}")]),
        4 => ("", &[]),
        5 => ("", &[("a", "read_file", "{")]),
        6 => ("", &[("\0", "\u{1b}[2J", "")]),
        7 => ("", &[("a", "read_file", r#"{"path":""}"#)]),
        _ => ("the goal is reached", &[]),
    };
    let calls = calls.iter().map(|(id, name, arguments)| call(id, name, arguments)).collect();
    Thought { turn: TurnNo(turn), text: text.to_owned(), calls, usage: usage(7), truncated }
}

/// Any action that [`reply`] can lead to, and others.
fn some_action() -> impl Strategy<Value = (String, Action)> {
    let args = prop_oneof![
        Just(vec![("path", "a.md")]),
        Just(vec![("path", "b.md")]),
        Just(vec![("path", "a.md"), ("content", "x")]),
        Just(vec![]),
    ];
    let action = (prop_oneof![Just("read_file"), Just("write_file"), Just("other")], args).prop_map(|(tool, args)| {
        Action { tool: tool.to_owned(), args: args.into_iter().map(|(k, v)| (k.to_owned(), v.into())).collect() }
    });
    (prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("call_1_0_0".to_owned())], action)
}

/// Any event; numbers are small, so that many of them are in place.
fn any_event() -> impl Strategy<Value = Event> {
    let number = || prop_oneof![1..4_u64, Just(0), Just(u64::MAX)];
    let endings = proptest::sample::select(ENDINGS.to_vec());
    let answerers = vec![person(), Answerer::Nobody, Answerer::Rule { name: "--yes".to_owned() }];
    let answers = vec![Answer::Yes, Answer::No, Answer::Always, Answer::Feedback { text: "no".to_owned() }];
    let reasons = vec![FinishReason::Done, FinishReason::Budget, FinishReason::Loop, FinishReason::Malformed];
    let notes = vec![
        NoteKind::Retry,
        NoteKind::Feedback,
        NoteKind::Stopped,
        NoteKind::Resumed,
        NoteKind::Resumed,
        NoteKind::Cell,
        NoteKind::Leave,
    ];
    let faults = vec![FaultKind::Model, FaultKind::Cell, FaultKind::Host];
    prop_oneof![
        1 => prop_oneof![0..4_u64, Just(u64::MAX)].prop_map(goal_with),
        2 => (number(), any::<u64>()).prop_map(|(turn, tokens)| budget(turn, tokens)),
        4 => (number(), 0..9_usize, any::<bool>()).prop_map(|(turn, n, cut)| Event::Thought(reply(turn, n, cut))),
        4 => (number(), some_action()).prop_map(|(step, (call_id, action))| Event::Proposal {
            step: StepNo(step),
            call_id,
            action,
        }),
        4 => (number(), some_action(), proptest::sample::select(DECISIONS.to_vec())).prop_map(|(step, (_, action), d)| {
            Event::Verdict { step: StepNo(step), verdict: verdict(d, &action), plan: None }
        }),
        2 => (number(), some_action(), proptest::sample::select(answers), proptest::sample::select(answerers)).prop_map(
            |(step, (_, action), answer, by)| Event::Approval { step: StepNo(step), digest: action.digest(), answer, by }
        ),
        3 => (number(), any::<bool>()).prop_map(|(step, writes)| Event::Started {
            step: StepNo(step),
            plan: if writes { write_plan("a.md") } else { Plan::default() },
        }),
        3 => (number(), endings, ".{0,4}").prop_map(|(step, ending, text)| observation(step, ending, &text)),
        1 => ".{0,4}".prop_map(|text| Event::Answer { text }),
        2 => (proptest::sample::select(notes), ".{0,4}").prop_map(|(kind, text)| note(kind, &text)),
        1 => proptest::sample::select(reasons).prop_map(finish),
        1 => proptest::sample::select(faults).prop_map(|kind| Event::Fault { kind, text: "x".to_owned() }),
    ]
}

/// A journal that begins as one does, and goes on anyhow.
fn any_journal() -> impl Strategy<Value = Vec<Event>> {
    let start =
        prop_oneof![Just(vec![]), Just(vec![goal(), reads(1, "a.md")]), (0..9_u64).prop_map(|n| vec![goal_with(n)])];
    (start, vec(any_event(), 0..120)).prop_map(|(start, rest)| [start, rest].concat())
}

/// The answers of an environment to a brain's commands, as a function of a seed and of where the brain stands, so that
/// a brain that was killed meets the same world again.
struct World {
    seed: u64,
}

impl World {
    /// Every third world is stubborn: it knows but two answers to anything, in turn.
    fn draw(&self, what: &str, number: u64, below: usize) -> usize {
        let number = if self.seed.is_multiple_of(3) { number % 2 } else { number };
        let digest = Digest::of_parts(&[&self.seed.to_be_bytes(), what.as_bytes(), &number.to_be_bytes()]);
        usize::from(digest.as_bytes()[0]) % below
    }

    fn outcome(&self, step: StepNo) -> Outcome {
        // Mostly done, and with few texts, so that loops come up too.
        let ending = ENDINGS[self.draw("ending", step.0, 16).saturating_sub(8)];
        outcome(ending, ["", "milk", "eggs"][self.draw("text", step.0, 3)])
    }

    fn plan(&self, action: &Action) -> Plan {
        if action.tool == "write_file" { write_plan("a.md") } else { Plan::default() }
    }

    /// The events that a host journals for a command.
    fn events(&self, brain: &Brain, command: Command) -> Vec<Event> {
        match command {
            Command::Think { turn } if self.draw("budget", turn.0, 40) == 0 => vec![finish(FinishReason::Budget)],
            Command::Think { turn } => {
                let choice = self.draw("reply", turn.0, 40);
                // An answer, the last of the replies, comes seldom.
                let choice = if choice == 39 { 8 } else { choice % 8 };
                let truncated = self.draw("cut", turn.0, 8) == 0;
                vec![budget(turn.0, 50), Event::Thought(reply(turn.0, choice, truncated))]
            }
            Command::Retry { text } => vec![note(NoteKind::Retry, &text)],
            Command::Decide { step, call_id, action } => {
                let decision = DECISIONS[self.draw("decision", step.0, 5).saturating_sub(2)];
                let judged = Event::Verdict { step, verdict: verdict(decision, &action), plan: None };
                let proposal = (!brain.is_proposed()).then_some(Event::Proposal { step, call_id, action });
                proposal.into_iter().chain([judged]).collect()
            }
            Command::Ask { step, action, .. } => {
                let answers = [Answer::Yes, Answer::No, Answer::Always, Answer::Feedback { text: "b.md".to_owned() }];
                vec![approval(step.0, &action, answers[self.draw("answer", step.0, 4)].clone())]
            }
            Command::Perform { step, action } => {
                let (plan, outcome) = (self.plan(&action), self.outcome(step));
                vec![
                    Event::Started { step, plan },
                    Event::Observation {
                        step,
                        source: "file:a.md".to_owned(),
                        outcome,
                        structured: None,
                        label: Label::default(),
                        screening: Screening::default(),
                    },
                ]
            }
            Command::Recover { step, .. } => {
                let outcome = self.outcome(step);
                vec![Event::Observation {
                    step,
                    source: "file:a.md".to_owned(),
                    outcome,
                    structured: None,
                    label: Label::default(),
                    screening: Screening::default(),
                }]
            }
            Command::Finish { reason, text, answer } => {
                answer.map(|text| Event::Answer { text }).into_iter().chain([Event::Finish { reason, text }]).collect()
            }
        }
    }

    /// Drives a brain to its end; returns what was journaled.
    fn drive(&self, brain: &mut Brain, at_most: u64) -> Vec<Event> {
        let mut journal = Vec::new();
        while let Some(command) = brain.pending().pop() {
            for event in self.events(brain, command) {
                brain.apply(&event);
                journal.push(event);
            }
            assert!(journal.len() as u64 <= at_most, "more than {at_most} events");
        }
        journal
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// No sequence of events, however absurd, panics or runs on; and a replay is the same brain at every instant.
    #[test]
    fn any_prefix_of_any_journal_replays_to_the_same_brain(journal in any_journal()) {
        let mut brain = Brain::new();
        for (index, event) in journal.iter().enumerate() {
            let pending = brain.apply(event);
            prop_assert!(pending.len() <= 1);
            prop_assert_eq!(&pending, &brain.pending());
            prop_assert_eq!(&Brain::fold(&journal[..=index]), &brain);
            assert_conversation_is_sound(&brain);
        }
        if let Some(goal) = brain.goal() {
            let max_steps = goal.limits.max_steps;
            prop_assert!(brain.steps() <= max_steps);
            let thoughts = brain.transcript().iter().filter(|e| matches!(e, autoshare_brain::Entry::Thought { .. })).count();
            prop_assert!(thoughts as u64 <= turn_cap(max_steps));
        }
    }

    /// Whatever model, gate, people and tools answer: it ends, within the bound, and never by an event out of place.
    #[test]
    fn every_environment_comes_to_an_end(seed in any::<u64>(), max_steps in 0..60_u64) {
        let mut brain = Brain::fold([&goal_with(max_steps)]);
        World { seed }.drive(&mut brain, event_bound(max_steps));
        prop_assert!(matches!(brain.status(), Status::Finished(_)));
        prop_assert_eq!(brain.ignored(), 0);
        assert_conversation_is_sound(&brain);
    }

    /// G1: killed after any event, and resumed from what the journal holds (read back from its JSON), it comes to the
    /// same end by the same conversation.
    #[test]
    fn g1_killed_at_every_instant_it_comes_to_the_same_end(seed in any::<u64>()) {
        let world = World { seed };
        let admitted = goal_with(12);
        let mut whole = Brain::fold([&admitted]);
        let journal: Vec<Event> = [vec![admitted], world.drive(&mut whole, event_bound(12))].concat();
        for cut in 1..=journal.len() {
            let read_back: Vec<Event> = journal[..cut].iter().map(through_json).collect();
            let mut brain = Brain::fold(&read_back);
            brain.apply(&note(NoteKind::Resumed, "after a kill"));
            world.drive(&mut brain, event_bound(12));
            prop_assert_eq!(brain.status(), whole.status(), "cut at {}", cut);
            prop_assert_eq!(brain.transcript(), whole.transcript(), "cut at {}", cut);
            prop_assert_eq!(brain.own_files(), whole.own_files());
            prop_assert_eq!(brain.answer(), whole.answer());
            prop_assert_eq!((brain.steps(), brain.ignored()), (whole.steps(), 0));
            prop_assert!(brain.grants() == whole.grants());
            prop_assert!(brain.used().tokens() >= whole.used().tokens(), "a call in flight is counted");
        }
    }

    #[test]
    fn every_event_reads_back_as_it_was_written(event in any_event()) {
        prop_assert_eq!(through_json(&event), event);
    }
}

fn through_json(event: &Event) -> Event {
    serde_json::from_slice(&serde_json::to_vec(event).unwrap()).unwrap()
}

/// The worlds above are no straw men: among them every kind of end and every kind of event comes up.
#[test]
fn the_worlds_of_these_properties_hold_every_end_and_every_event() {
    let mut ends = std::collections::BTreeSet::new();
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..400 {
        let mut brain = Brain::fold([&goal_with(12)]);
        let journal = World { seed }.drive(&mut brain, event_bound(12));
        kinds.extend(journal.iter().map(|event| event.kind().name()));
        ends.insert(format!("{:?}", brain.status()));
    }
    let expected = ["Finished(Budget)", "Finished(Done)", "Finished(Loop)", "Finished(Malformed)"];
    assert_eq!(ends.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    let expected =
        ["answer", "approval", "budget", "finish", "note", "observation", "proposal", "started", "thought", "verdict"];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
}
