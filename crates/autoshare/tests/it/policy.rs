//! The policy as an operator meets it: read, checked, tried out, named in settings, and never below a workspace.

use autoshare_testkit::{Script, ScriptedModel, Turn};
use serde_json::{Value, json};

use crate::desk::{Desk, Ran};

const RULE: &str = r#"
//? ask by look-at-every-mail: tool=send_mail server=mail effect=external warrant=inside targets=trusted
@id("look-at-every-mail")
@because("every mail is looked at: it goes to {targets}")
forbid (principal, action == Action::"act_unasked", resource == Tool::"send_mail");
"#;
const MAIL: [&str; 5] = ["tool=send_mail", "server=mail", "effect=external", "warrant=inside", "targets=trusted"];

#[test]
fn explain_prints_every_rule_in_words() {
    let desk = Desk::new();
    let ran = desk.autoshare(["policy", "explain"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("profile default\n"), "{ran:?}");
    assert!(ran.out.contains("carries-secret         it would carry something secret out: {secret}"), "{ran:?}");
    for (profile, rule) in [("cautious", "untrusted-amount"), ("trusting", "named-target")] {
        let ran = desk.autoshare(["policy", "explain", "--json", "--profile", profile]);
        let lines = ran.json_lines();
        let found = lines.iter().find(|line| line["rule"] == rule).unwrap_or_else(|| panic!("{ran:?}"));
        assert_eq!(found["file"], profile);
        assert!(lines.len() > 20 && found["because"].is_string() && found["line"].is_u64(), "{found}");
    }
}

#[test]
fn a_file_is_checked_and_tried_out_beside_what_is_in_force() {
    let desk = Desk::new();
    let path = desk.home.join("rules.cedar");
    std::fs::write(&path, RULE).unwrap();
    let file = path.to_str().unwrap();
    let ran = desk.autoshare(["policy", "check", file]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("1 rules over the profile default"), "{ran:?}");

    let args = ["policy", "test", "--json", file, "--facts"].into_iter().chain(MAIL);
    let both = desk.autoshare(args).json_lines().remove(0);
    assert_eq!(both["with_file"]["decision"], "ask", "{both}");
    assert_eq!(both["with_file"]["reasons"][0]["rule"], "look-at-every-mail", "{both}");
    assert_eq!(
        both["in_force"],
        json!({ "decision": "allow", "reasons": [{ "rule": "needed", "words": "the goal needs send_mail" }] })
    );

    std::fs::write(desk.home.join("autoshare.toml"), format!("[gate]\nprofile = \"cautious\"\npolicy = {file:?}\n"))
        .unwrap();
    let config = desk.home.join("autoshare.toml").display().to_string();
    let ran = desk.autoshare(["policy", "explain", "--config", &config]);
    assert!(ran.out.starts_with("profile cautious, and ") && ran.out.contains("look-at-every-mail"), "{ran:?}");
}

#[test]
fn what_is_wrong_with_a_policy_is_said_with_its_line() {
    let desk = Desk::new();
    let path = desk.home.join("rules.cedar");
    let file = path.to_str().unwrap();
    let config = desk.home.join("autoshare.toml");
    for (text, words) in [
        ("forbid (principal, action, resource);", vec!["line 1", "@id"]),
        ("\n@id(\"x\") @because(\"x\") forbid (everything);", vec!["line 2"]),
        ("//? allow: effect=destructive", vec!["line 1", "expects allow", "says ask by destructive"]),
        (&RULE.replace("{targets}", "{tragets}"), vec!["look-at-every-mail", "{tragets}"]),
    ] {
        std::fs::write(&path, text).unwrap();
        for args in [vec!["policy", "check", file], vec!["policy", "explain", "--policy", file]] {
            let ran = desk.autoshare(&args);
            assert_eq!(ran.code, Some(2), "{args:?}: {ran:?}");
            assert!(ran.err.contains(file) && words.iter().all(|word| ran.err.contains(word)), "{args:?}: {ran:?}");
        }
    }
    std::fs::write(&path, RULE).unwrap();
    for (section, args, words) in [
        ("", vec!["policy", "explain", "--profile", "careless"], "use cautious, default, trusting or none"),
        ("", vec!["policy", "explain", "--profile", "none"], "name a file of rules too"),
        ("profile = \"careless\"", vec!["ps"], "use cautious, default, trusting or none"),
        ("policy = \"/missing.cedar\"", vec!["ps"], "/missing.cedar"),
        ("", vec!["policy", "check", "/missing.cedar"], "/missing.cedar"),
        ("", vec!["policy", "test", file, "--facts", "tained"], "docs/policy.md"),
    ] {
        std::fs::write(&config, format!("[gate]\n{section}\n")).unwrap();
        let config = config.to_str().unwrap();
        let ran = desk.autoshare(args.iter().copied().chain(["--config", config]));
        assert_eq!(ran.code, Some(2), "{args:?}: {ran:?}");
        assert!(ran.err.contains(words), "{args:?}: {ran:?}");
    }
}

/// A brain that may write its own rules has none.
#[test]
fn a_policy_below_the_workspace_is_refused() {
    let desk = Desk::new();
    let file = desk.workspace.join("rules.cedar");
    std::fs::write(&file, RULE).unwrap();
    let config = desk.home.join("autoshare.toml");
    let run = ["run", "say done", "--model", "gullible"];
    for (section, flags) in [(format!("policy = {file:?}"), vec![]), (String::new(), vec!["--policy", "rules.cedar"])] {
        std::fs::write(&config, format!("[gate]\n{section}\n")).unwrap();
        let config = ["--config", config.to_str().unwrap()];
        let ran = desk.autoshare(run.into_iter().chain(config).chain(flags));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("below the workspace") && ran.err.contains("rules.cedar"), "{ran:?}");
    }
}

/// Every file that is written is looked at; the default profile writes them without a question.
const WRITES: &str = r#"
//? ask by look-at-every-file: tool=write_file effect=write_inside place=inside
@id("look-at-every-file")
@because("every file is looked at")
forbid (principal, action == Action::"act_unasked", resource == Tool::"write_file");
"#;

/// A brain that writes a file, reads it, tries to delete it, and reads what lies outside, with nobody to ask.
fn worked(desk: &Desk, more: &[&str]) -> Ran {
    let outside = desk.base.path().join("outside.md");
    std::fs::write(&outside, "far away").unwrap();
    let model = ScriptedModel::start(Script::new([
        Turn::call("write_file", json!({"path": "a.md", "content": "one"})),
        Turn::call("read_file", json!({"path": "a.md"})),
        Turn::call("read_file", json!({"path": outside.to_str().unwrap()})),
        Turn::text("Done."),
    ]));
    let args = [&["run", "write a file", "--model", "scripted"], more].concat();
    Ran::of(desk.command(args).env("OPENAI_BASE_URL", model.base_url()).output().unwrap())
}

/// The lines of `policy test FILE BRAIN --json`, whatever it ends with, and the sum.
fn judged_again(ran: &Ran) -> (Vec<Value>, Value) {
    let mut lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sum = lines.pop().unwrap_or_else(|| panic!("{ran:?}"))["sum"].clone();
    (lines, sum)
}

#[test]
fn what_other_rules_had_said_of_a_run_is_told_step_by_step() {
    let desk = Desk::new();
    assert_eq!(worked(&desk, &[]).code, Some(0));
    let (brain, path) = (desk.brain(), desk.home.join("rules.cedar"));
    let file = path.to_str().unwrap();
    std::fs::write(&path, WRITES).unwrap();

    let ran = desk.autoshare(["policy", "test", file, &brain]);
    assert_eq!(ran.code, Some(0), "nothing is milder: {ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["STEP", "THEN", "WITH", "FILE", "RULE", "ACTION"]);
    let row: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(row[..5], ["1", "allow", "ask", "look-at-every-file", "write_file"], "{ran:?}");
    assert_eq!(lines[2].trim(), "every file is looked at");
    assert_eq!(lines[3..], [format!("3 actions of {brain}: 2 as before, 1 stricter, 0 milder")], "{ran:?}");

    let all = desk.autoshare(["policy", "test", file, &brain, "--all", "--json"]);
    let (rows, sum) = judged_again(&all);
    assert_eq!(sum, json!({"same": 2, "stricter": 1, "milder": 0, "unknown": 0}));
    let decisions = |row: &Value| [row["then"]["decision"].clone(), row["with_file"]["decision"].clone()];
    let found: Vec<_> = rows.iter().map(decisions).collect();
    assert_eq!(found, [["allow", "ask"], ["allow", "allow"], ["ask", "ask"]], "{all:?}");
    assert_eq!((&rows[2]["step"], &rows[2]["tool"]), (&json!(3), &json!("read_file")));

    // Milder is not well, and the profile of the file may be another.
    let reads = "//? allow by reads: tool=read_file place=outside\n@id(\"reads\") @replaces(\"outside-read\") \
                 @because(\"reading is free\") permit (principal, action, resource == Tool::\"read_file\");";
    let rules = desk.autoshare(["policy", "explain", "--json"]).json_lines();
    let asking =
        rules.iter().find(|rule| rule["rule"].as_str().unwrap().starts_with("outside") && rule["says"] == "ask");
    let reads = reads.replace("outside-read", asking.unwrap()["rule"].as_str().unwrap());
    std::fs::write(&path, reads).unwrap();
    let ran = desk.autoshare(["policy", "test", file, &brain]);
    assert!(ran.code == Some(1) && ran.out.contains("2 as before, 0 stricter, 1 milder"), "{ran:?}");
}

#[test]
fn the_policy_of_a_run_changes_nothing_of_it() {
    let desk = Desk::new();
    let path = desk.home.join("rules.cedar");
    let file = path.to_str().unwrap();
    std::fs::write(&path, WRITES).unwrap();
    assert_eq!(worked(&desk, &["--policy", file, "--profile", "cautious"]).code, Some(0));
    let brain = desk.brain();
    let ran = desk.autoshare(["policy", "test", file, &brain]);
    let sum = format!("3 actions of {brain}: 3 as before, 0 stricter, 0 milder\n");
    assert_eq!((ran.code, &ran.out), (Some(0), &sum), "the file is added to the brain's own profile: {ran:?}");

    // An empty file leaves the profile alone; that of another name can be tried too.
    std::fs::write(&path, "").unwrap();
    let milder = desk.autoshare(["policy", "test", file, &brain, "--profile", "trusting", "--json"]);
    let (rows, sum) = judged_again(&milder);
    assert_eq!((milder.code, &sum["milder"], &rows[0]["step"]), (Some(1), &json!(1), &json!(1)), "{milder:?}");
}

/// What cannot be had again is said, and is no success.
#[test]
fn a_step_whose_facts_are_not_to_be_had_again_is_said() {
    let desk = Desk::new();
    let path = desk.home.join("rules.cedar");
    std::fs::write(&path, "").unwrap();
    let model = ScriptedModel::start(Script::new([
        Turn::call("execute_shell", json!({"command": "rm a.md"})),
        Turn::call("write_file", json!({"path": "a.md", "content": "one"})),
        Turn::text("Done."),
    ]));
    let mut run = desk.command(["run", "write a file", "--model", "scripted"]);
    run.env("OPENAI_BASE_URL", model.base_url());
    run.env("EXECUTE_LOCAL_COMMANDS", "True").env("SHELL_COMMAND_CONTROL", "denylist").env("SHELL_DENYLIST", "rm");
    let ran = Ran::of(run.output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let test = ["policy", "test", path.to_str().unwrap(), &desk.brain()];
    let ran = desk.autoshare(test);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("cannot be judged again: the verdict then does not follow from the journal"), "{ran:?}");
    assert!(ran.out.contains("1 as before, 0 stricter, 0 milder, 1 cannot be judged again"), "{ran:?}");
    let programs = desk.autoshare(["exec", "--", "/bin/true"]);
    assert_eq!(programs.code, Some(0), "{programs:?}");
    let rows = desk.autoshare(["ps", "--json"]).json_lines();
    let exec = rows.iter().find(|row| row["goal"].as_str().unwrap().contains("/bin/true")).unwrap();
    let ran = desk.autoshare(["policy", "test", test[2], exec["brain"].as_str().unwrap()]);
    assert!(ran.code == Some(1) && ran.err.contains("no policy judges what it does"), "{ran:?}");
}
