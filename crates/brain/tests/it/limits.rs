//! Steps, turns and loops.

use autoshare_brain::loopguard::{CYCLES, LONGEST_CYCLE, LoopGuard, SAME_ERRORS, SAME_RESULTS, SIMILAR_ERRORS};
use autoshare_brain::{Brain, Command, Entry, turn_cap};
use autoshare_core::event::{FinishReason, NoteKind};
use autoshare_core::outcome::{Ending, Outcome};
use autoshare_core::tool::Action;
use autoshare_core::verdict::Decision;

use crate::world::*;

fn end(brain: &Brain) -> (FinishReason, String) {
    match only(brain) {
        Command::Finish { reason, text, answer: None } => (reason, text),
        other => panic!("{other:?}"),
    }
}

/// One step that reads `path`; returns whether the brain goes on.
fn step(brain: &mut Brain, turn: u64, path: &str, ending: Ending, text: &str) -> bool {
    brain.apply(&reads(turn, path));
    judge(brain, Decision::Allow);
    brain.apply(&started(turn));
    brain.apply(&observation(turn, ending, text));
    matches!(only(brain), Command::Think { .. })
}

#[test]
fn a_call_beyond_the_last_step_ends_the_brain_but_an_answer_is_heard() {
    let mut brain = Brain::fold([&goal_with(2)]);
    for turn in 1..=2 {
        assert!(step(&mut brain, turn, &format!("{turn}.md"), Ending::Done, "x"));
    }
    let mut answering = brain.clone();
    answering.apply(&thought(3, "all read", vec![]));
    assert!(matches!(only(&answering), Command::Finish { reason: FinishReason::Done, .. }));

    brain.apply(&reads(3, "3.md"));
    let (reason, text) = end(&brain);
    assert_eq!(reason, FinishReason::Budget);
    assert!(text.contains("all 2 steps") && text.contains("--max-steps"), "{text}");
    assert!(matches!(brain.transcript().last(), Some(Entry::Rejected { .. })));
    assert_eq!(brain.steps(), 2);
}

#[test]
fn refused_actions_are_steps_too() {
    let mut brain = Brain::fold([&goal_with(3)]);
    for turn in 1..=3 {
        brain.apply(&reads(turn, &format!("/{turn}")));
        judge(&mut brain, Decision::Deny);
    }
    brain.apply(&reads(4, "/4"));
    assert_eq!(end(&brain).0, FinishReason::Budget);
}

#[test]
fn malformed_replies_between_steps_meet_the_turn_cap() {
    let max_steps = 10;
    let mut brain = Brain::fold([&goal_with(max_steps)]);
    let mut turn = 0;
    while let Command::Think { .. } = only(&brain) {
        turn += 1;
        if turn % 4 == 0 {
            brain.apply(&reads(turn, &format!("{turn}.md")));
            judge(&mut brain, Decision::Deny);
        } else {
            brain.apply(&thought(turn, "", vec![]));
            let Command::Retry { text } = only(&brain) else { panic!() };
            brain.apply(&note(NoteKind::Retry, &text));
        }
    }
    assert_eq!(turn, turn_cap(max_steps));
    let (reason, text) = end(&brain);
    assert_eq!(reason, FinishReason::Budget);
    assert!(text.contains("36 times"), "{text}");
}

#[test]
fn g4_the_same_call_with_the_same_result_is_a_loop() {
    let mut brain = admitted();
    for turn in 1..4 {
        assert!(step(&mut brain, turn, "a.md", Ending::Done, "milk"), "turn {turn}");
    }
    assert!(!step(&mut brain, 4, "a.md", Ending::Done, "milk"));
    let (reason, text) = end(&brain);
    assert_eq!(
        (reason, text.as_str()),
        (FinishReason::Loop, "no progress: read_file with the same arguments gave the same result 4 times in a row")
    );
    assert_conversation_is_sound(&brain);
}

#[test]
fn a_brain_that_runs_against_a_refusal_is_in_a_loop() {
    let mut brain = admitted();
    for turn in 1..=3 {
        brain.apply(&reads(turn, "/etc/shadow"));
        judge(&mut brain, Decision::Deny);
    }
    assert_eq!(end(&brain).0, FinishReason::Loop);
}

fn action(path: &str) -> Action {
    Action { tool: "read_file".to_owned(), args: [("path".to_owned(), path.into())].into() }
}

#[test]
fn runs_and_turns_are_counted_on_equal_pairs_alone() {
    use Ending::{Done, Failed, TimedOut};
    // (what, (path, ending, result) in order, the number of the observation that ends it)
    type Row = (&'static str, Vec<(&'static str, Ending, &'static str)>, Option<usize>);
    let table: Vec<Row> = vec![
        ("equal results", vec![("a", Done, "1"); 9], Some(SAME_RESULTS)),
        ("equal errors", vec![("a", Failed, "1"); 9], Some(SAME_ERRORS)),
        ("polling", (0..40).map(|n| ("a", Done, ["1", "1", "1", "2"][n % 4])).collect(), None),
        ("errors that differ", (0..40).map(|n| ("a", Failed, ["x", "y", "z"][n % 3])).collect(), None),
        (
            "errors that differ in numbers",
            (0..9).map(|n| ("a", Failed, ["1 s", "23 s"][n % 2])).collect(),
            Some(SIMILAR_ERRORS),
        ),
        ("errors that end differently", (0..4).map(|n| ("a", [Failed, TimedOut][n / 2], "1")).collect(), None),
        ("a cycle", (0..40).map(|n| (["a", "b", "c"][n % 3], Done, "1")).collect(), Some(3 * CYCLES)),
        (
            "a cycle that is too long",
            (0..80).map(|n| (["a", "b", "c", "d", "e", "f", "g"][n % 7], Done, "1")).collect(),
            None,
        ),
        (
            "the longest cycle",
            (0..80).map(|n| (["a", "b", "c", "d", "e", "f"][n % 6], Done, "1")).collect(),
            Some(LONGEST_CYCLE * CYCLES),
        ),
        ("one action, results in turn", (0..40).map(|n| ("a", Done, ["1", "2"][n % 2])).collect(), None),
        ("a, b in turn", (0..40).map(|n| (["a", "b"][n % 2], Done, "1")).collect(), Some(2 * CYCLES)),
        ("a, b in turn, failing", (0..40).map(|n| (["a", "b"][n % 2], Failed, "1")).collect(), Some(2 * CYCLES)),
        (
            "something else, then a, b in turn",
            [("z", Done, "1")].into_iter().chain((0..40).map(|n| (["a", "b"][n % 2], Done, "1"))).collect(),
            Some(2 * CYCLES + 1),
        ),
        (
            "a, b in turn where one result changes",
            (0..40).map(|n| (["a", "b"][n % 2], Done, if n % 5 == 0 { "2" } else { "1" })).collect(),
            None,
        ),
    ];
    for (what, pairs, expected) in table {
        let mut guard = LoopGuard::new();
        let ended = pairs
            .iter()
            .position(|(path, ending, text)| guard.observed(&action(path), &outcome(*ending, text)).is_some())
            .map(|index| index + 1);
        assert_eq!(ended, expected, "{what}");
    }
}

#[test]
fn the_name_of_the_file_that_a_large_result_went_to_is_no_progress() {
    let mut guard = LoopGuard::new();
    let ended = (1..).find(|n| {
        let file = format!(".autoshare/results/{n}.txt");
        let text = format!("head ... the whole is in {file} ... tail");
        let large = Outcome { spilled: Some(file), ..outcome(Ending::Done, &text) };
        guard.observed(&action("a"), &large).is_some()
    });
    assert_eq!(ended, Some(SAME_RESULTS));
}
