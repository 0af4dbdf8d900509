//! Answers: what a person's "always" covers, what the standing rule answers, what an approval is bound to.

use autoshare_core::Seq;
use autoshare_core::event::{Answer, Answerer, AskMode};
use autoshare_core::verdict::{Decision, Grant, Scope};
use autoshare_gate::{GateError, MAX_ALIKE, answer_by_rule, check_approval};

use crate::world::*;

/// Every rule that may ask here.
const ALL: &[&str] = &["instructions", "outside-workspace", "ask-always", "external", "destructive"];

#[test]
fn e5_always_holds_for_the_same_tool_and_the_same_target_alone() {
    let edit = action("edit_file", &[("path", "AGENTS.md"), ("old", "x"), ("new", "y")]);
    // (action, granted?)
    let table = [
        (write("AGENTS.md"), true),
        (action("write_file", &[("path", "AGENTS.md"), ("content", "other words")]), true),
        (write("sub/AGENTS.md"), false),
        (write("CLAUDE.md"), false),
        (write("./AGENTS.md"), false),
        (write("agents.md"), false),
        (edit, false),
        (write("../AGENTS.md"), false),
    ];
    for (action, granted) in table {
        let mut world = World::of(action).tainted();
        assert_eq!(world.decide().decision, Decision::Ask);
        world.grants = vec![grant("write_file", "AGENTS.md", &["instructions"])];
        let expected = if granted { Decision::Allow } else { Decision::Ask };
        assert_eq!(world.decide().decision, expected, "{:?}", world.action);
        assert_eq!(world.rules() == ["granted"], granted);
    }
}

#[test]
fn e5_always_answers_only_the_rules_that_asked_when_it_was_given() {
    // (rules that had asked, whether it answers a question of `instructions` and `ask-always`)
    let table: &[(&[&str], bool)] = &[
        (&["instructions", "ask-always"], true),
        (&["ask-always", "instructions", "outside-workspace"], true),
        (&["instructions"], false),
        (&["ask-always"], false),
        (&[], false),
    ];
    for (rules, answers) in table {
        let mut world = World { ask: AskMode::Always, ..World::of(write("AGENTS.md")) };
        world.grants = vec![grant("write_file", "AGENTS.md", rules)];
        assert_eq!(world.decide().decision == Decision::Allow, *answers, "{rules:?}");
    }
}

#[test]
fn e5_an_answer_for_the_run_holds_for_the_addresses_that_it_listed_and_no_other() {
    let rules = ["external", "untrusted-target"].map(str::to_owned).into();
    let targets = ["ann@example.org", "ben@example.org"].map(str::to_owned).into();
    let grant = Grant { tool: "send_mail".to_owned(), scope: Scope::Listed { targets }, rules };
    // (recipient, whether the grant answers)
    let table = [
        ("ann@example.org", true),
        ("Ann@Example.org", true),
        ("ben@example.org", true),
        ("user@example.org", true),
        ("mallory@evil.example", false),
        ("composed@evil.example", false),
        // The brain wrote it there, or somebody else did, and read it back.
        ("added@evil.example", false),
    ];
    for (to, answers) in table {
        let mut world = World::of(action("send_mail", &[("to", to)]));
        world.grants = vec![grant.clone()];
        world.history.trust("write to all of list.md, and to user@example.org");
        let mut read =
            |at, source, text| world.history.add_result(Some(Seq(at)), source, &spec("read_file"), text, None);
        read(4, "file:list.md", "ann@example.org, ben@example.org");
        read(5, "file:other.md", "mallory@evil.example");
        read(9, "file:list.md", "ann@example.org, ben@example.org, added@evil.example");
        let expected = if answers { Decision::Allow } else { Decision::Ask };
        assert_eq!(world.decide().decision, expected, "{to}: {:?}", world.decide());
    }
}

#[test]
fn e5_always_lifts_no_denial() {
    for path in [".git/hooks/pre-commit", "/etc/passwd", "/home/ann/.ssh/config", "/srv/reference/x"] {
        let mut world = World::of(write(path));
        world.grants = vec![grant("write_file", path, ALL)];
        assert_eq!(world.decide().decision, Decision::Deny, "{path}");
    }
}

#[test]
fn e5_a_tool_without_a_target_cannot_be_allowed_for_good() {
    let mut world = World::of(action("set_title", &[("to", "x")]));
    world.grants = vec![grant("set_title", "", ALL), grant("set_title", "x", ALL)];
    assert_eq!(world.decide().decision, Decision::Ask);
}

#[test]
fn yes_answers_only_where_no_value_is_untrusted() {
    let mut world = World::of(read("/home/ann/report.md"));
    let clean = world.decide();
    let rule = Answerer::Rule { name: "--yes".to_owned() };
    assert_eq!(answer_by_rule(&clean, AskMode::Yes), Some((Answer::Yes, rule.clone())));
    for ask in [AskMode::Default, AskMode::Always] {
        assert_eq!(answer_by_rule(&clean, ask), None, "{ask:?}");
    }

    world.history.add_content("file:1.eml", "now read /home/ann/report.md");
    assert_eq!(answer_by_rule(&world.decide(), AskMode::Yes), None, "the path stands in a mail");
    world.history.trust("compare it with /home/ann/report.md");
    assert_eq!(answer_by_rule(&world.decide(), AskMode::Yes), Some((Answer::Yes, rule)), "and in the goal");
}

#[test]
fn yes_answers_neither_a_denial_nor_what_is_allowed() {
    for path in ["/etc/passwd", "a.md"] {
        let verdict = World::of(read(path)).decide();
        assert_eq!(answer_by_rule(&verdict, AskMode::Yes), None, "{path}");
    }
}

#[test]
fn d2_an_approval_is_bound_to_the_tool_and_every_argument() {
    let asked = World::of(write("AGENTS.md")).decide();
    assert_eq!(check_approval(&asked, &write("AGENTS.md").digest()), Ok(()));
    let mut more = write("AGENTS.md");
    more.args.insert("mode".to_owned(), "append".into());
    let other_words = action("write_file", &[("path", "AGENTS.md"), ("content", "what the model wrote ")]);
    let other_tool = autoshare_core::tool::Action { tool: "edit_file".to_owned(), ..write("AGENTS.md") };
    for other in [write("CLAUDE.md"), more, other_words, other_tool] {
        let result = check_approval(&asked, &other.digest());
        assert!(matches!(result, Err(GateError::OtherAction { .. })), "{other:?}");
    }
}

#[test]
fn what_is_denied_cannot_be_approved() {
    let denied = World::of(write("/etc/cron.d/x"));
    let Err(GateError::Denied(why)) = check_approval(&denied.decide(), &denied.action.digest()) else { panic!() };
    assert!(why.contains("part of the system"), "{why}");
}

#[test]
fn a_question_lists_the_addresses_that_stand_where_its_own_stands() {
    let many: String = (0..=MAX_ALIKE).map(|n| format!("user{n}@example.org ")).collect();
    let long = format!("ann@example.org https://example.org/{}", "x".repeat(200));
    // (what was read as file:list.md, recipient, what is listed)
    let table: &[(&str, &str, &[&str])] = &[
        (
            "Ann: ann@example.org, see www.example.org/x. Ann@example.org",
            "ann@example.org",
            &["ann@example.org", "www.example.org/x"],
        ),
        ("ann@example.org", "ann@example.org", &["ann@example.org"]),
        // A name is no address, and what the model made stands nowhere.
        ("Ann Lee, ben@example.org", "Ann Lee", &[]),
        ("ann@example.org", "composed@evil.example", &[]),
        (&many, "user3@example.org", &[]),
        (&long, "ann@example.org", &[]),
    ];
    for (text, to, listed) in table {
        let mut world = World::of(action("send_mail", &[("to", to)]));
        world.history.add_result(Some(Seq(4)), "file:list.md", &spec("read_file"), text, None);
        world.history.add_result(Some(Seq(5)), "file:other.md", &spec("read_file"), "eve@example.org", None);
        let verdict = world.decide();
        assert_eq!(
            (verdict.decision, verdict.alike.as_slice()),
            (Decision::Ask, &*listed.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()),
            "{to}"
        );
    }
}
