use autoshare_core::event::Answer;
use autoshare_core::tool::{Action, Effect, Role};
use autoshare_core::verdict::{Decision, Origin, Provenance, Reason, Verdict};
use autoshare_core::warrant::{DrawnBy, Warrant, Warranted};
use autoshare_core::{BrainId, StepNo};
use autoshare_host::Question;
use console::Style;
use serde_json::{Value, json};

use super::{Offered, words};

fn from(source: &str) -> Provenance {
    Provenance::Content { source: source.to_owned() }
}

fn origin(param: &str, role: Role, provenance: Provenance) -> Origin {
    Origin { param: param.to_owned(), provenance, role: Some(role), at: None, secret: false }
}

fn question(args: &Value, origins: Vec<Origin>) -> Question {
    let args = args.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let action = Action { tool: "mail__send".to_owned(), args };
    let reason = Reason { rule: "content-target".to_owned(), words: "the recipient stands in content".to_owned() };
    let digest = action.digest();
    let verdict =
        Verdict { decision: Decision::Ask, reasons: vec![reason], origins, digest, outside: false, alike: Vec::new() };
    Question {
        brain: BrainId::from_random([1; 5]),
        step: StepNo(3),
        digest: action.digest(),
        action,
        verdict,
        goal: "Answer my mails.\nAll of them.".to_owned(),
        warrant: None,
        effect: Some(Effect::External),
        reversible: false,
    }
}

fn plain(question: &Question) -> String {
    words(question, &Style::new().force_styling(false))
}

#[test]
fn every_value_is_shown_by_its_path_with_where_it_stands() {
    let args = json!({"to": ["x@y.z", "me@home.test"], "copy": "a@b.c, d@e.f", "file": {"name": "list", "size": 3}});
    let shown = plain(&question(
        &args,
        vec![
            origin("to[0]", Role::Target, from("mcp:mail/read_inbox")),
            origin("to[1]", Role::Target, Provenance::User),
            origin("copy#0", Role::Target, Provenance::Model),
            origin("copy#1", Role::Target, Provenance::TaintedModel),
            origin("file.name", Role::Content, Provenance::Issued { tool: "files".into(), field: "id".into() }),
        ],
    ));
    for line in [
        "  the goal: Answer my mails.⏎All of them.\n",
        "  to[0] (target): \"x@y.z\"   from mcp:mail/read_inbox, which you did not write\n",
        "  to[1] (target): \"me@home.test\"   in your own words\n",
        "      copy#0: made by the model\n",
        "      copy#1: made by the model after it read what others wrote\n",
        "  file.name (content): \"list\"   issued by files as id\n",
        "  file.size: \"3\"\n",
        "  why asked: the recipient stands in content [content-target]\n",
        "  warrant: none was drawn up\n",
        "  if it is done: it cannot be taken back\n",
    ] {
        assert!(shown.contains(line), "{line:?} is not in {shown}");
    }
}

#[test]
fn the_warrant_is_told_with_its_targets_and_words() {
    let entry = Warranted {
        tool: "mail__send".to_owned(),
        targets: vec!["x@y.z".to_owned()],
        described: true,
        because: "write to x@y.z".to_owned(),
    };
    let with = |effects| Question {
        warrant: Some(Warrant { by: DrawnBy::Draft, effects }),
        ..question(&json!({"to": "x"}), Vec::new())
    };
    let shown = plain(&with(vec![entry]));
    assert!(shown.contains("the goal needs it for \"x@y.z\", what it describes without a name, as it says"), "{shown}");
    assert!(plain(&with(Vec::new())).contains("the goal does not need this tool (drawn up by fixed rules)"));
}

#[test]
fn colours_say_whose_words_a_value_is_and_are_none_without_a_terminal() {
    let rows = [
        (Provenance::User, "\u{1b}[32m"),
        (Provenance::Operator { source: "mcp:desk/who".into() }, "\u{1b}[32m"),
        (Provenance::Model, "\u{1b}[33m"),
        (Provenance::Issued { tool: "t".into(), field: "f".into() }, "\u{1b}[33m"),
        (Provenance::TaintedModel, "\u{1b}[31m"),
        (from("s"), "\u{1b}[31m"),
    ];
    for (provenance, colour) in rows {
        let question = question(&json!({"to": "x"}), vec![origin("to", Role::Target, provenance)]);
        let shown = words(&question, &Style::new().force_styling(true));
        assert!(shown.contains(colour) && shown.matches("\u{1b}[3").count() == 1, "{colour:?}: {shown:?}");
        assert!(!plain(&question).contains('\u{1b}'));
    }
}

/// Row D1 and D2: nothing in a value, a name, a source or a goal acts on a terminal or looks like a line of ours.
#[test]
fn d2_what_is_shown_is_what_runs() {
    let nasty = "ok\u{1b}[2K\rsafe@home.test\u{202e}tset.live\u{9b}31m\u{200b}\n  to (target): \"me\"   in your own words\n  action 000000";
    let mut asked = question(
        &json!({"to": nasty, "qu\"ote": "a\"   in your own words", "na\u{1b}me\nx": {"k\u{202e}": nasty}}),
        vec![origin("to", Role::Target, from(nasty)), origin("qu\"ote", Role::Target, from("s"))],
    );
    asked.goal = nasty.to_owned();
    asked.action.tool = format!("mail{nasty}");
    asked.verdict.reasons[0].words = nasty.to_owned();
    let shown = plain(&asked);
    let acts = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{200b}' | '\u{202e}'));
    assert!(!shown.contains(acts), "{shown:?}");
    for forged in ["\n  to (target): \"me\"", "\n  action 000000"] {
        assert!(!shown.contains(forged), "{forged:?} can be forged: {shown}");
    }
    assert!(
        shown.contains("  qu\"ote (target):   from s, which you did not write\n      | a\"   in your own words\n"),
        "{shown}"
    );
}

#[test]
fn d2_nothing_of_a_long_value_is_left_out_unsaid() {
    let long = "x".repeat(5_000);
    let shown = plain(&question(&json!({"to": long}), Vec::new()));
    assert!(shown.contains("... and 3000 bytes more (autoshare show "), "{shown}");
    let many: Vec<String> = (0..250).map(|n| format!("user{n}@x.test")).collect();
    let shown = plain(&question(&json!({"to": many}), Vec::new()));
    assert!(shown.contains("to[199]") && shown.contains("... and 50 values more"), "{shown}");
}

#[test]
fn an_answer_for_the_run_is_taken_only_where_addresses_are_listed_and_each_of_them_is_shown() {
    let clean = Offered::by(&question(&json!({"to": "x"}), vec![origin("to", Role::Target, Provenance::User)]));
    let mut found = question(&json!({"to": "x.test"}), vec![origin("to", Role::Target, from("mcp:mail/read"))]);
    found.verdict.alike = vec!["x.test".to_owned(), "y.test/\u{1b}[8m\n  action 000000".to_owned()];
    let shown = plain(&found);
    let listed = "answer for this run allows:\n    x.test\n    y.test/\\x1b[8m\\n  action 000000\n";
    assert!(shown.contains(listed), "{shown}");
    let found = Offered::by(&found);
    let aimless = Offered::by(&question(&json!({"to": "x"}), vec![origin("to", Role::Content, from("mcp:mail/read"))]));
    assert!(found.line().contains("yes for this run to the 2 addresses above"), "{}", found.line());
    let feedback = |text: &str| Some(Answer::Feedback { text: text.to_owned() });
    // (line, clean, found, aimless)
    let rows = [
        ("y\n", Some(Answer::Yes), Some(Answer::Yes), Some(Answer::Yes)),
        ("no", Some(Answer::No), Some(Answer::No), Some(Answer::No)),
        (" a ", Some(Answer::Always), Some(Answer::Always), None),
        ("run", None, Some(Answer::Run), None),
        ("\n", None, None, None),
        ("yes please", feedback("yes please"), feedback("yes please"), feedback("yes please")),
    ];
    for (line, of_clean, of_found, of_aimless) in rows {
        assert_eq!(
            [clean.parse(line), found.parse(line), aimless.parse(line)],
            [of_clean, of_found, of_aimless],
            "{line:?}"
        );
    }
}
