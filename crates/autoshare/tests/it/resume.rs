//! A brain that goes on is judged as it was, unless somebody says otherwise.

use std::path::PathBuf;

use autoshare_testkit::{Fault, Script, ScriptedModel, Turn};
use serde_json::{Value, json};

use crate::desk::{Desk, Ran};

/// Every file that is written is looked at.
const RULE: &str = r#"
@id("look-at-every-file")
@because("every file is looked at")
forbid (principal, action == Action::"act_unasked", resource == Tool::"write_file");
"#;

/// Rules of the operator's, outside of the workspace.
fn rules(desk: &Desk) -> PathBuf {
    let path = desk.home.join("rules.cedar");
    std::fs::write(&path, RULE).unwrap();
    path
}

fn settings(desk: &Desk, section: &str) {
    let folder = desk.home.join(".config/autoshare");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("autoshare.toml"), format!("[gate]\n{section}\n")).unwrap();
}

/// A brain whose model fails before it has done anything.
fn begun(desk: &Desk, flags: &[&str]) -> String {
    let model = ScriptedModel::start(Script::new([Turn::text("never").fault(Fault::status(401))]));
    let args = [&["run", "write a file", "--model", "scripted"], flags].concat();
    let ran = Ran::of(desk.command(args).env("OPENAI_BASE_URL", model.base_url()).output().unwrap());
    assert_eq!(ran.code, Some(4), "{ran:?}");
    desk.brain()
}

/// Goes on, and writes a file.
fn resumed(desk: &Desk, brain: &str, flags: &[&str]) -> Ran {
    let write = Turn::call("write_file", json!({"path": "a.md", "content": "one"}));
    let model = ScriptedModel::start(Script::new([write, Turn::text("Done.")]));
    let args = [&["resume", brain], flags].concat();
    Ran::of(desk.command(args).env("OPENAI_BASE_URL", model.base_url()).output().unwrap())
}

/// The rule by which the last action was judged.
fn rule(desk: &Desk) -> Value {
    let mut verdicts = desk.journal().into_iter().filter(|line| line["record"]["event"] == "verdict");
    verdicts.next_back().unwrap()["record"]["verdict"]["reasons"][0]["rule"].clone()
}

fn refused(ran: &Ran, parts: &[&str]) {
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("would be judged otherwise than before"), "{ran:?}");
    for part in parts {
        assert!(ran.err.contains(part), "{part:?}: {ran:?}");
    }
}

#[test]
fn a_brain_goes_on_by_the_rules_that_it_was_started_with() {
    let desk = Desk::new();
    let path = rules(&desk);
    let brain = begun(&desk, &["--policy", path.to_str().unwrap(), "--profile", "cautious"]);
    // What the settings say by then is of no account.
    settings(&desk, "profile = \"trusting\"");
    let ran = resumed(&desk, &brain, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        (rule(&desk), desk.read("a.md")),
        (json!("look-at-every-file"), None),
        "it is asked, and nobody is there"
    );
    let policies: Vec<Value> = desk.journal().into_iter().filter(|line| line["record"]["event"] == "policy").collect();
    assert_eq!(policies.len(), 1, "one says it all: {policies:?}");
    let record = &policies[0]["record"];
    assert_eq!((&record["profile"], &record["file"]["text"]), (&json!("cautious"), &json!(RULE)), "{record}");
    let shown = desk.autoshare(["show", &brain]);
    assert!(shown.out.contains(&format!("judged by the profile cautious, and {}", path.display())), "{shown:?}");
}

#[test]
fn rules_that_changed_or_are_gone_are_not_taken_without_a_word() {
    let desk = Desk::new();
    let path = rules(&desk);
    let file = path.to_str().unwrap();
    let brain = begun(&desk, &["--policy", file]);
    std::fs::write(&path, "").unwrap();
    refused(&resumed(&desk, &brain, &[]), &[file, "reads otherwise now", &format!("--policy {file}")]);
    std::fs::remove_file(&path).unwrap();
    refused(&resumed(&desk, &brain, &["--profile", "trusting"]), &[file, "Put it back"]);
    assert_eq!(desk.read("a.md"), None, "nothing went on");

    // A person says by what it is judged on, and the journal tells.
    std::fs::write(&path, "").unwrap();
    let ran = resumed(&desk, &brain, &["--policy", file]);
    assert_eq!((ran.code, desk.read("a.md")), (Some(0), Some("one".to_owned())), "{ran:?}");
    let journal = desk.journal();
    let texts: Vec<&Value> = journal
        .iter()
        .filter(|line| line["record"]["event"] == "policy")
        .map(|line| &line["record"]["file"]["text"])
        .collect();
    assert_eq!(texts, [RULE, ""]);
}

#[test]
fn settings_that_changed_since_are_asked_about() {
    let desk = Desk::new();
    settings(&desk, "profile = \"cautious\"");
    let brain = begun(&desk, &[]);
    settings(&desk, "profile = \"trusting\"");
    refused(&resumed(&desk, &brain, &[]), &["was cautious", "now say trusting", "--profile cautious, or --profile"]);
    let path = rules(&desk);
    let policy = format!("policy = {:?}", path.to_str().unwrap());
    settings(&desk, &format!("profile = \"cautious\"\n{policy}"));
    refused(&resumed(&desk, &brain, &[]), &["now name the rules of", path.to_str().unwrap()]);
    let ran = resumed(&desk, &brain, &["--policy", path.to_str().unwrap()]);
    assert_eq!((ran.code, rule(&desk)), (Some(0), json!("look-at-every-file")), "{ran:?}");
}

/// A brain that may write its own rules has none.
#[test]
fn rules_below_a_folder_of_the_brain_are_refused() {
    let desk = Desk::new();
    let brain = begun(&desk, &[]);
    desk.write("rules.cedar", RULE);
    let ran = resumed(&desk, &brain, &["--policy", "rules.cedar"]);
    assert!(ran.code == Some(2) && ran.err.contains("below the workspace"), "{ran:?}");
}
