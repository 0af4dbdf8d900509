//! What a model may get wrong, and what it is told.

use autoshare_brain::{Brain, Command, Entry, MAX_RETRIES, reply};
use autoshare_core::event::{Event, FinishReason, NoteKind};

use crate::world::*;

/// (what, reply, words that the explanation must hold)
fn malformed() -> Vec<(&'static str, Event, &'static str)> {
    let one = |name, arguments| thought(1, "", vec![call("c1", name, arguments)]);
    vec![
        ("bad JSON", one("read_file", r#"{"path": "#), "not a JSON object"),
        ("JSON that is no object", one("read_file", "[1]"), "not a JSON object"),
        ("JSON nested beyond reason", one("read_file", &"[".repeat(100_000)), "not a JSON object"),
        ("an unknown tool", one("delete_all", "{}"), "the tools are: read_file, write_file"),
        ("a tool without a name", one("", "{}"), "there is no tool"),
        ("an unknown argument", one("read_file", r#"{"path":"a","force":true}"#), "no parameter \"force\""),
        ("a missing argument", one("read_file", "{}"), "needs the parameter \"path\""),
        ("no arguments at all", one("read_file", ""), "needs the parameter \"path\""),
        ("an argument of another kind", one("read_file", r#"{"path":7}"#), "must be a text"),
        (
            "an argument that is too long",
            one("read_file", &format!(r#"{{"path":"{}"}}"#, "a".repeat(101))),
            "at most 100",
        ),
        ("an empty reply", thought(1, "", vec![]), "your reply was empty"),
        ("a reply of blanks", thought(1, " \n\t", vec![]), "your reply was empty"),
        ("words that were cut", cut(thought(1, "so I thi", vec![])), "cut at the output limit"),
        ("a call that was cut", cut(one("write_file", r#"{"path":"a","conte"#)), "shorter arguments"),
        ("a call that was cut before its arguments", cut(one("read_file", "")), "shorter arguments"),
        (
            "a broken call before a sound one",
            thought(1, "", vec![call("c1", "nope", "{}"), call("c2", "read_file", r#"{"path":"a"}"#)]),
            "there is no tool",
        ),
    ]
}

#[test]
fn each_kind_is_explained_to_the_model_and_tried_again() {
    for (what, reply, words) in malformed() {
        let mut brain = admitted();
        brain.apply(&reply);
        let Command::Retry { text } = only(&brain) else { panic!("{what}: {:?}", only(&brain)) };
        assert!(text.contains(words), "{what}: {text}");
        assert!(text.chars().count() <= reply::MAX_WHY, "{what}");

        brain.apply(&note(NoteKind::Retry, &text));
        assert_eq!(only(&brain), Command::Think { turn: autoshare_core::TurnNo(2) }, "{what}");
        assert_conversation_is_sound(&brain);
        let told: Vec<&str> = brain
            .transcript()
            .iter()
            .filter_map(|entry| match entry {
                Entry::Rejected { why, .. } => Some(why.as_str()),
                Entry::Note { text } => Some(text.as_str()),
                _ => None,
            })
            .filter(|told| told.contains(words))
            .collect();
        assert_eq!(told.len(), 1, "{what}: told once, by a rejection or a note: {:?}", brain.transcript());
        assert_eq!((brain.steps(), brain.ignored()), (0, 0), "{what}");
    }
}

#[test]
fn a_tool_name_of_a_model_cannot_flood_the_explanation() {
    let mut brain = admitted();
    brain.apply(&thought(1, "", vec![call("c1", &"x".repeat(50_000), "{}")]));
    let Command::Retry { text } = only(&brain) else { panic!() };
    assert_eq!(text.chars().count(), reply::MAX_WHY);
}

#[test]
fn after_three_retries_in_a_row_the_brain_ends_and_says_why() {
    let mut brain = admitted();
    for turn in 1..=u64::from(MAX_RETRIES) {
        brain.apply(&thought(turn, "", vec![]));
        let Command::Retry { text } = only(&brain) else { panic!("turn {turn}") };
        brain.apply(&note(NoteKind::Retry, &text));
    }
    brain.apply(&thought(u64::from(MAX_RETRIES) + 1, "", vec![]));
    let Command::Finish { reason: FinishReason::Malformed, text, answer: None } = only(&brain) else {
        panic!("{:?}", only(&brain))
    };
    assert!(text.contains("4 replies") && text.contains("your reply was empty"), "{text}");
}

#[test]
fn a_sound_reply_starts_the_count_again() {
    let mut brain = admitted();
    for turn in 1..=20 {
        if turn % 4 == 0 {
            brain.apply(&reads(turn, &format!("{turn}.md")));
            judge(&mut brain, autoshare_core::verdict::Decision::Deny);
        } else {
            brain.apply(&thought(turn, "", vec![]));
            let Command::Retry { text } = only(&brain) else { panic!("turn {turn}: {:?}", only(&brain)) };
            brain.apply(&note(NoteKind::Retry, &text));
        }
    }
    assert_eq!(only(&brain), Command::Think { turn: autoshare_core::TurnNo(21) });
}

#[test]
fn of_several_calls_the_first_is_taken_and_the_others_are_answered() {
    let mut brain = admitted();
    let calls = ["a", "b", "c"].map(|file| call(file, "read_file", &format!(r#"{{"path":"{file}"}}"#)));
    brain.apply(&thought(1, "", calls.to_vec()));
    let (_, call_id, action) = to_decide(&brain);
    assert_eq!((call_id.as_str(), action.text("path")), ("a", Some("a")));
    let rejected: Vec<&Entry> = brain.transcript().iter().filter(|e| matches!(e, Entry::Rejected { .. })).collect();
    let expected: Vec<Entry> = ["b", "c"]
        .map(|id| Entry::Rejected {
            call_id: id.to_owned(),
            why: "one call at a time: not performed; call again if still needed".to_owned(),
        })
        .into();
    assert_eq!(rejected, expected.iter().collect::<Vec<_>>());
}

#[test]
fn a_sound_first_call_is_taken_although_a_later_one_was_cut() {
    let mut brain = admitted();
    let calls = vec![call("a", "read_file", r#"{"path":"a"}"#), call("b", "read_file", r#"{"pa"#)];
    brain.apply(&cut(thought(1, "", calls)));
    assert_eq!(to_decide(&brain).1, "a");
    let Entry::Thought { calls, .. } = &brain.transcript()[1] else { panic!() };
    assert_eq!(calls[1].arguments, "{}", "broken JSON is not said back");
}

#[test]
fn ids_and_names_that_interfaces_refuse_are_replaced() {
    let good = r#"{"path":"a"}"#;
    let cases: &[(&str, Vec<(&str, &str)>)] = &[
        ("no id", vec![("", "read_file")]),
        ("the same id twice", vec![("x", "read_file"), ("x", "read_file")]),
        ("an id that looks like a replacement", vec![("call_1_1_0", "read_file"), ("", "read_file")]),
        ("odd characters", vec![("a b\n\u{1b}[2J", "read_file")]),
        ("a name that is no name", vec![("x", "rm -rf\n/")]),
    ];
    for (what, calls) in cases {
        let calls = calls.iter().map(|(id, name)| call(id, name, good)).collect();
        let mut brain = Brain::fold([&goal(), &thought(1, "", calls)]);
        if let Command::Retry { text } = only(&brain) {
            brain.apply(&note(NoteKind::Retry, &text));
        } else {
            judge(&mut brain, autoshare_core::verdict::Decision::Deny);
        }
        assert_conversation_is_sound(&brain);
        let Entry::Thought { calls, .. } = &brain.transcript()[1] else { panic!() };
        let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !text.is_empty();
        assert!(calls.iter().all(|call| is_plain(&call.id) && is_plain(&call.name)), "{what}: {calls:?}");
    }
}

#[test]
fn an_id_that_comes_again_in_a_later_reply_is_replaced() {
    let mut brain = admitted();
    for turn in 1..=3 {
        brain.apply(&thought(turn, "", vec![call("call_0", "read_file", &format!(r#"{{"path":"{turn}"}}"#))]));
        judge(&mut brain, autoshare_core::verdict::Decision::Deny);
        assert_conversation_is_sound(&brain);
    }
}

#[test]
fn a_reply_of_a_thousand_calls_keeps_so_many_and_no_more() {
    let calls = (0..1000).map(|n| call(&format!("n{n}"), "read_file", r#"{"path":"a"}"#)).collect();
    let mut brain = Brain::fold([&goal(), &thought(1, "", calls)]);
    judge(&mut brain, autoshare_core::verdict::Decision::Deny);
    assert_conversation_is_sound(&brain);
    let answered = brain.transcript().iter().filter(|entry| entry.answers().is_some()).count();
    assert_eq!(answered, reply::MAX_CALLS);
}
