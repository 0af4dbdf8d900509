//! The path of one step, the answers of gate and people, and going on after an interruption.

use autoshare_brain::{Brain, Command, Entry, Status};
use autoshare_core::event::{Answer, Answerer, Event, FaultKind, FinishReason, NoteKind};
use autoshare_core::outcome::{Ending, FileState, Plan};
use autoshare_core::usage::Usage;
use autoshare_core::verdict::{Decision, Grant, Scope};
use autoshare_core::{Digest, StepNo, TurnNo};

use crate::world::*;

#[test]
fn a_goal_is_thought_about_acted_on_and_answered() {
    let mut brain = Brain::new();
    assert_eq!((brain.status(), brain.pending()), (Status::New, vec![]));

    brain.apply(&goal());
    assert_eq!(only(&brain), Command::Think { turn: TurnNo(1) });
    brain.apply(&budget(1, 100));
    brain.apply(&reads(1, "a.md"));
    assert_eq!(brain.status(), Status::Deciding);
    let action = judge(&mut brain, Decision::Allow);
    assert_eq!(only(&brain), Command::Perform { step: StepNo(1), action });
    assert_eq!((brain.status(), brain.steps()), (Status::Performing, 1));
    brain.apply(&started(1));
    brain.apply(&observation(1, Ending::Done, "milk"));
    assert_eq!(only(&brain), Command::Think { turn: TurnNo(2) });

    brain.apply(&thought(2, "you need milk", vec![]));
    let Command::Finish { reason, text, answer } = only(&brain) else { panic!() };
    assert_eq!((reason, answer.as_deref()), (FinishReason::Done, Some("you need milk")));
    brain.apply(&Event::Answer { text: "you need milk".to_owned() });
    assert!(matches!(only(&brain), Command::Finish { answer: None, .. }), "killed here, the answer is not repeated");
    brain.apply(&Event::Finish { reason, text });
    assert_eq!((brain.status(), brain.pending()), (Status::Finished(FinishReason::Done), vec![]));
    assert_eq!((brain.answer(), brain.ignored()), (Some("you need milk"), 0));

    let kinds: Vec<&str> = brain
        .transcript()
        .iter()
        .map(|entry| match entry {
            Entry::Goal(_) => "goal",
            Entry::Thought { .. } => "thought",
            Entry::Result { .. } => "result",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["goal", "thought", "result", "thought"]);
    assert_conversation_is_sound(&brain);
}

#[test]
fn a_denied_action_is_told_to_the_model_with_the_reason() {
    let mut brain = admitted();
    brain.apply(&reads(1, "/etc/shadow"));
    judge(&mut brain, Decision::Deny);
    assert_eq!(only(&brain), Command::Think { turn: TurnNo(2) });
    let Some(Entry::Denied { call_id, step: StepNo(1), why }) = brain.transcript().last() else { panic!() };
    assert_eq!((call_id.as_str(), why.as_str()), ("c1", "not allowed: the test says so"));
}

#[test]
fn each_answer_to_a_question_does_what_it_says() {
    let nobody = Answerer::Nobody;
    let rule = Answerer::Rule { name: "--yes".to_owned() };
    let feedback = Answer::Feedback { text: "use b.md".to_owned() };
    // (answer, whose, performed?, granted?, words to the model)
    let table = [
        (Answer::Yes, person(), true, false, ""),
        (Answer::Yes, rule.clone(), true, false, ""),
        (Answer::Always, person(), true, true, ""),
        (Answer::Always, rule, true, false, ""),
        (Answer::No, person(), false, false, "the person said no"),
        (Answer::No, nobody.clone(), false, false, "nobody can answer"),
        (feedback, person(), false, false, "use b.md"),
    ];
    for (answer, by, performed, granted, words) in table {
        let mut brain = admitted();
        brain.apply(&writes(1, "a.md"));
        let action = judge(&mut brain, Decision::Ask);
        assert!(matches!(only(&brain), Command::Ask { step: StepNo(1), .. }));
        assert_eq!(brain.status(), Status::Asking);
        let event = Event::Approval { step: StepNo(1), digest: action.digest(), answer, by };
        brain.apply(&event);
        assert_eq!(matches!(only(&brain), Command::Perform { .. }), performed, "{event:?}");
        let grant = Grant {
            tool: "write_file".to_owned(),
            scope: Scope::Target { target: "a.md".to_owned() },
            rules: vec!["test".to_owned()],
        };
        let expected = if granted { vec![grant] } else { Vec::new() };
        assert_eq!(brain.grants(), expected, "{event:?}");
        if let Some(Entry::Denied { why, .. }) = brain.transcript().last() {
            assert!(!performed && why.contains(words), "{why}");
        }
        assert_eq!(brain.ignored(), 0);
    }
}

#[test]
fn nobody_cannot_say_yes() {
    for answer in [Answer::Yes, Answer::Always] {
        let mut brain = admitted();
        brain.apply(&writes(1, "a.md"));
        let action = judge(&mut brain, Decision::Ask);
        brain.apply(&Event::Approval { step: StepNo(1), digest: action.digest(), answer, by: Answerer::Nobody });
        assert_eq!((brain.status(), brain.ignored()), (Status::Asking, 1));
    }
}

#[test]
fn d2_an_approval_or_a_verdict_for_another_action_does_nothing() {
    let mut asking = admitted();
    asking.apply(&writes(1, "a.md"));
    let (step, call_id, action) = to_decide(&asking);
    let other = autoshare_core::tool::Action { tool: action.tool.clone(), args: [].into() };

    let mut brain = asking.clone();
    brain.apply(&Event::Proposal { step, call_id: call_id.clone(), action: other.clone() });
    assert!(!brain.is_proposed(), "another action than the one that was thought of");
    brain.apply(&Event::Verdict { step, verdict: verdict(Decision::Allow, &action), plan: None });
    assert_eq!(brain.status(), Status::Deciding, "a verdict before its proposal");
    brain.apply(&Event::Proposal { step, call_id, action: action.clone() });
    assert!(brain.is_proposed());
    brain.apply(&Event::Verdict { step, verdict: verdict(Decision::Allow, &other), plan: None });
    brain.apply(&Event::Verdict { step: StepNo(2), verdict: verdict(Decision::Allow, &action), plan: None });
    assert_eq!((brain.status(), brain.ignored()), (Status::Deciding, 4));

    brain.apply(&Event::Verdict { step, verdict: verdict(Decision::Ask, &action), plan: None });
    for event in [
        Event::Approval { step, digest: other.digest(), answer: Answer::Yes, by: person() },
        Event::Approval { step, digest: Digest::of(b""), answer: Answer::Always, by: person() },
        approval(2, &action, Answer::Yes),
        started(1),
        observation(1, Ending::Done, "done already"),
    ] {
        let before = brain.ignored();
        brain.apply(&event);
        assert_eq!((brain.status(), brain.ignored()), (Status::Asking, before + 1), "{event:?}");
    }
    assert_eq!(brain.grants(), []);
    brain.apply(&approval(1, &action, Answer::Yes));
    assert_eq!(brain.status(), Status::Performing);
}

#[test]
fn d2_an_approval_cannot_be_used_twice() {
    let mut brain = admitted();
    brain.apply(&writes(1, "a.md"));
    let action = judge(&mut brain, Decision::Ask);
    let yes = approval(1, &action, Answer::Yes);
    for event in [&yes, &started(1), &observation(1, Ending::Done, "ok")] {
        brain.apply(event);
    }
    brain.apply(&writes(2, "a.md"));
    judge(&mut brain, Decision::Ask);
    brain.apply(&yes);
    assert_eq!((brain.status(), brain.ignored()), (Status::Asking, 1), "the same action again is another step");
}

#[test]
fn a_result_that_was_lost_is_recovered_and_an_unknown_one_told() {
    let mut brain = admitted();
    brain.apply(&writes(1, "a.md"));
    let action = judge(&mut brain, Decision::Allow);
    let plan = write_plan("a.md");
    brain.apply(&Event::Started { step: StepNo(1), plan: plan.clone() });
    assert_eq!(only(&brain), Command::Recover { step: StepNo(1), action, plan });
    brain.apply(&observation(1, Ending::Unknown, "neither before nor after"));
    let Some(Entry::Result { text, ending: Ending::Unknown, .. }) = brain.transcript().last() else { panic!() };
    assert!(text.contains("nobody can tell whether it happened") && text.ends_with("neither before nor after"));
    assert!(brain.own_files().is_empty(), "what may not have been written is not its own");
}

#[test]
fn a_model_is_never_told_nothing() {
    for ending in [
        Ending::Done,
        Ending::Failed,
        Ending::OutOfMemory,
        Ending::TimedOut,
        Ending::OverQuota,
        Ending::Refused,
        Ending::CellCrashed,
        Ending::Unknown,
    ] {
        let mut brain = admitted();
        brain.apply(&reads(1, "a.md"));
        judge(&mut brain, Decision::Allow);
        brain.apply(&started(1));
        brain.apply(&observation(1, ending, ""));
        let Some(Entry::Result { text, .. }) = brain.transcript().last() else { panic!() };
        assert!(!text.is_empty(), "{ending:?}");
    }
}

#[test]
fn own_files_are_those_it_made_and_each_has_one_name() {
    // (path as called, path as planned, how it ended, name)
    let table = [
        ("a.md", "a.md", Ending::Done, Some("a.md")),
        ("./b//a.md", "b/a.md", Ending::Done, Some("b/a.md")),
        ("/home/ann/notes/c.md", "c.md", Ending::Done, Some("c.md")),
        ("/home/ann/extra/a.md", "a.md", Ending::Done, Some("/home/ann/extra/a.md")),
        ("/tmp/x/../a.md", "a.md", Ending::Done, Some("/tmp/a.md")),
        ("a.md", "a.md", Ending::Failed, None),
        ("a.md", "a.md", Ending::Refused, None),
    ];
    for (called, planned, ending, name) in table {
        let mut brain = admitted();
        brain.apply(&writes(1, called));
        judge(&mut brain, Decision::Allow);
        brain.apply(&Event::Started { step: StepNo(1), plan: write_plan(planned) });
        brain.apply(&observation(1, ending, "x"));
        let names: Vec<&str> = brain.own_files().iter().map(String::as_str).collect();
        assert_eq!(names, name.into_iter().collect::<Vec<_>>(), "{called}");
    }
}

#[test]
fn e6_a_file_that_was_there_does_not_become_the_brains_own_by_a_small_change() {
    let mut brain = admitted();
    brain.apply(&writes(1, "customers.csv"));
    judge(&mut brain, Decision::Allow);
    let before = FileState { digest: Digest::of(b"names"), len: 5 };
    let plan = Plan { before: Some(before), ..write_plan("customers.csv") };
    brain.apply(&Event::Started { step: StepNo(1), plan });
    brain.apply(&observation(1, Ending::Done, "1 byte was added"));
    assert!(brain.own_files().is_empty());
}

#[test]
fn after_a_fault_or_a_stop_nothing_is_pending_until_it_is_resumed() {
    let fault = Event::Fault { kind: FaultKind::Model, text: "no route".to_owned() };
    let interruptions = [(fault, Status::Faulted), (note(NoteKind::Stopped, "Ctrl-C"), Status::Stopped)];
    for (interruption, status) in interruptions {
        let mut brain = admitted();
        brain.apply(&budget(1, 100));
        let before = brain.pending();
        brain.apply(&interruption);
        assert_eq!((brain.status(), brain.pending()), (status, vec![]));
        brain.apply(&note(NoteKind::Resumed, ""));
        assert_eq!(brain.pending(), before, "the call that failed keeps its number");
    }
}

#[test]
fn a_step_that_ends_after_a_stop_is_not_lost() {
    let mut brain = admitted();
    brain.apply(&reads(1, "a.md"));
    judge(&mut brain, Decision::Allow);
    for event in [started(1), note(NoteKind::Stopped, ""), observation(1, Ending::Done, "milk")] {
        brain.apply(&event);
        assert_eq!(brain.ignored(), 0);
    }
    assert_eq!(brain.status(), Status::Stopped);
    brain.apply(&note(NoteKind::Resumed, ""));
    assert_eq!(only(&brain), Command::Think { turn: TurnNo(2) });
}

#[test]
fn a_persons_words_wait_until_the_open_call_is_answered() {
    let mut brain = admitted();
    brain.apply(&note(NoteKind::Feedback, "first"));
    brain.apply(&reads(1, "a.md"));
    brain.apply(&note(NoteKind::Feedback, "second"));
    judge(&mut brain, Decision::Allow);
    brain.apply(&started(1));
    brain.apply(&note(NoteKind::Feedback, "third"));
    brain.apply(&observation(1, Ending::Done, "milk"));
    assert_conversation_is_sound(&brain);
    let notes: Vec<&str> = brain
        .transcript()
        .iter()
        .filter_map(|entry| if let Entry::Note { text } = entry { Some(text.as_str()) } else { None })
        .collect();
    assert_eq!(notes, ["first", "second", "third"]);
}

#[test]
fn what_was_taken_back_is_told_to_a_brain_that_goes_on() {
    let mut brain = admitted();
    brain.apply(&reads(1, "a.md"));
    judge(&mut brain, Decision::Allow);
    for event in [started(1), note(NoteKind::Undone, "step 1"), observation(1, Ending::Done, "milk")] {
        brain.apply(&event);
    }
    assert_conversation_is_sound(&brain);
    assert!(brain.transcript().iter().any(|entry| matches!(entry, Entry::Note { text } if text == "step 1")));

    brain.apply(&thought(2, "It is done.", vec![]));
    brain.apply(&Event::Answer { text: "It is done.".to_owned() });
    brain.apply(&Event::Finish { reason: FinishReason::Done, text: String::new() });
    let entries = brain.transcript().len();
    brain.apply(&note(NoteKind::Undone, "too late to be told"));
    brain.apply(&note(NoteKind::Unkept, "for people"));
    assert_eq!((brain.transcript().len(), brain.ignored()), (entries, 0), "and one that ended stays as it is");
}

#[test]
fn e4_a_reservation_counts_until_it_is_settled_and_for_ever_if_the_call_was_repeated() {
    let tokens = |brain: &Brain| brain.used().tokens();
    let mut brain = admitted();
    assert_eq!(brain.used(), Usage::default());
    brain.apply(&budget(1, 100));
    assert_eq!(tokens(&brain), 100, "reserved");
    brain.apply(&budget(1, 100));
    assert_eq!(tokens(&brain), 200, "killed in the call, which may have been made, and called again");
    brain.apply(&thought(1, "done", vec![]));
    assert_eq!(tokens(&brain), 110, "the second call took 10");
    assert_eq!(brain.used().cost.0, 110);
}

#[test]
fn e4_a_budget_or_thought_of_another_turn_changes_nothing() {
    let mut brain = admitted();
    for event in [budget(2, 100), reads(2, "a.md"), thought(0, "done", vec![])] {
        brain.apply(&event);
    }
    assert_eq!((brain.ignored(), brain.used(), brain.transcript().len()), (3, Usage::default(), 1));
}

#[test]
fn a_host_ends_a_brain_only_for_its_budget() {
    for reason in [FinishReason::Done, FinishReason::Loop, FinishReason::Malformed] {
        let mut brain = admitted();
        brain.apply(&finish(reason));
        assert_eq!((brain.status(), brain.ignored()), (Status::Thinking, 1));
    }
    let mut brain = admitted();
    brain.apply(&finish(FinishReason::Budget));
    assert_eq!(brain.status(), Status::Finished(FinishReason::Budget));
    for event in [goal(), budget(1, 1), reads(1, "a"), note(NoteKind::Resumed, ""), note(NoteKind::Stopped, "")] {
        assert_eq!(brain.apply(&event), vec![], "an end is an end: {event:?}");
        assert_eq!(brain.status(), Status::Finished(FinishReason::Budget));
    }
}
