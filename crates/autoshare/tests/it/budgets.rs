//! Budgets, tokens and usage, as a person meets them.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use autoshare_testkit::{Fault, Script, ScriptedModel, Turn};
use serde_json::json;

use crate::desk::{Desk, Ran};

/// Two actions and an answer.
fn three_calls() -> ScriptedModel {
    let turns = [
        Turn::call("write_file", json!({"path": "one.md", "content": "1\n"})),
        Turn::call("write_file", json!({"path": "two.md", "content": "2\n"})),
        Turn::text("Both are written."),
    ];
    ScriptedModel::start(Script::new(turns))
}

fn config(desk: &Desk, budget: &str) -> PathBuf {
    let path = desk.home.join("budget.toml");
    std::fs::write(&path, budget).unwrap();
    path
}

fn run(desk: &Desk, model: &ScriptedModel, budget: &str) -> Ran {
    let config = config(desk, budget);
    let args = ["run", "write two files", "--model", "scripted", "--config", config.to_str().unwrap()];
    Ran::of(desk.command(args).env("OPENAI_BASE_URL", model.base_url()).output().unwrap())
}

fn usage(desk: &Desk, by: &str) -> Vec<serde_json::Value> {
    desk.autoshare(["usage", "--json", "--by", by]).json_lines()
}

#[test]
fn a_run_ends_at_the_tenants_budget_and_says_how_to_go_on() {
    let cases = [
        (
            "[budget]\nday = { requests = 2 }\n",
            "the tenant has not enough requests left for this day: 2 requests of 2 requests",
        ),
        ("[budget]\nmonth = { requests = 2 }\n", "`month.requests` under [budget]"),
        ("[budget]\nrun = { requests = 2 }\n", "the tenant has not enough requests left for this run"),
        ("[budget.models.\"script*\"]\nday = { requests = 2 }\n", "[budget.models.\"script*\"]"),
        ("[budget]\ncall = { tokens = 10 }\n", "one call of the tenant may take 10 tokens"),
    ];
    for (budget, words) in cases {
        let desk = Desk::new();
        let model = three_calls();
        let ran = run(&desk, &model, budget);
        assert_eq!(ran.code, Some(3), "{budget}: {ran:?}");
        assert!(ran.err.contains(words), "{budget}: {ran:?}");
        let calls = if budget.contains("call") { 0 } else { 2 };
        assert_eq!(model.requests().len(), calls, "{budget}");
        let rows = usage(&desk, "model");
        assert_eq!(rows.len(), usize::from(calls > 0), "{rows:?}");
    }
}

#[test]
fn a_days_budget_is_shared_by_all_runs_of_the_tenant() {
    let desk = Desk::new();
    let budget = "[budget]\nday = { requests = 4 }\n";
    assert_eq!(run(&desk, &three_calls(), budget).code, Some(0));
    let (model, second) = (three_calls(), Desk::new());
    assert_eq!(run(&second, &model, budget).code, Some(0), "another data directory is another tenant");
    let model = three_calls();
    let ran = run(&desk, &model, budget);
    assert_eq!((ran.code, model.requests().len()), (Some(3), 1), "{ran:?}");
}

#[test]
fn a_soft_cap_that_nobody_can_be_asked_about_stops_a_run_which_can_go_on() {
    let desk = Desk::new();
    let model = three_calls();
    let soft = "[budget.soft]\nday = { requests = 2 }\n";
    let ran = run(&desk, &model, soft);
    assert_eq!((ran.code, model.requests().len()), (Some(4), 2), "{ran:?}");
    assert!(ran.err.contains("a soft cap") && ran.err.contains("--wait"), "{ran:?}");
    // With the setting raised it goes on where it was.
    let config = config(&desk, "[budget.soft]\nday = { requests = 3 }\n");
    let args = ["resume", &desk.brain(), "--config", config.to_str().unwrap()];
    let ran = Ran::of(desk.command(args).env("OPENAI_BASE_URL", model.base_url()).output().unwrap());
    assert_eq!((ran.code, ran.out.trim()), (Some(0), "Both are written."), "{ran:?}");
}

#[test]
fn a_soft_cap_is_passed_with_a_persons_leave_and_ends_the_run_without() {
    for (flag, code) in [(None, 0), (Some("--deny"), 3)] {
        let desk = Desk::new();
        let model = three_calls();
        let config = config(&desk, "[budget.soft]\nday = { requests = 2 }\n");
        let args = ["run", "write two files", "--model", "scripted", "--wait", "--config", config.to_str().unwrap()];
        let run = desk
            .command(args)
            .env("OPENAI_BASE_URL", model.base_url())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let question = loop {
            if let Some(question) = desk.autoshare(["approve", "--json"]).json_lines().pop() {
                break question;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "no question");
            std::thread::sleep(Duration::from_millis(20));
        };
        let listed = desk.autoshare(["approve"]);
        assert!(listed.out.contains("would pass a soft cap"), "{listed:?}");
        assert_eq!(model.requests().len(), 2, "nothing is spent while the question waits");
        let (brain, digest) = (question["brain"].as_str().unwrap(), question["digest"].as_str().unwrap());
        assert_eq!(desk.autoshare(["approve", brain, digest].into_iter().chain(flag)).code, Some(0));
        let ran = Ran::of(run.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(code), "{ran:?}");
        let note = desk.journal().into_iter().find(|line| line["record"]["kind"] == "leave");
        assert_eq!(note.is_some(), code == 0);
        if let Some(note) = note {
            assert!(note["record"]["text"].as_str().unwrap().contains("tester gave leave"), "{note}");
        }
    }
}

#[test]
fn what_a_failed_call_may_have_cost_is_counted_and_what_was_refused_is_not() {
    // (what goes wrong, requests and failures on record)
    let cut = Turn::text(&"words that end too soon ".repeat(50)).fault(Fault::Cut { after: 2_000, clean: false });
    let refused = Turn::text("never").fault(Fault::Status {
        status: 401,
        retry_after: None,
        location: None,
        message: None,
        code: None,
    });
    for (turn, recorded) in [(cut, Some((1, 1))), (refused, None)] {
        let desk = Desk::new();
        let ran = run(&desk, &ScriptedModel::start(Script::new([turn])), "");
        assert_eq!(ran.code, Some(4), "{ran:?}");
        let rows = usage(&desk, "day");
        let seen = rows.first().map(|row| (row["requests"].as_u64().unwrap(), row["failed"].as_u64().unwrap()));
        assert_eq!(seen, recorded, "{rows:?}");
    }
}

#[test]
fn usage_is_shown_as_table_csv_json_and_bars() {
    let desk = Desk::new();
    assert_eq!(run(&desk, &three_calls(), "").code, Some(0));
    let brain = desk.brain();
    let table = desk.autoshare(["usage", "--by", "brain"]);
    assert!(table.out.lines().count() == 2 && table.out.contains(&brain), "{table:?}");
    let csv = desk.autoshare(["usage", "--csv", "--by", "model"]);
    let lines: Vec<_> = csv.out.lines().collect();
    assert!(lines[0].starts_with("model,requests,failed,") && lines[1].starts_with("scripted,3,0,"), "{csv:?}");
    let plot = desk.autoshare(["usage", "--plot"]);
    assert!(plot.out.contains('█') && plot.out.contains("tokens"), "{plot:?}");
    let rows = usage(&desk, "token");
    assert!(rows[0]["token"].is_null() && rows[0]["requests"] == 3, "{rows:?}");
    let none = desk.autoshare(["usage", "--since", "2999-01-01"]);
    assert!(none.code == Some(0) && none.err.contains("nothing was used"), "{none:?}");
    for args in
        [vec!["usage", "--since", "2026-02-30"], vec!["usage", "--by", "week"], vec!["usage", "--csv", "--plot"]]
    {
        assert_eq!(desk.autoshare(&args).code, Some(2), "{args:?}");
    }
}

#[test]
fn a_token_is_made_listed_rotated_and_revoked() {
    let desk = Desk::new();
    let new = ["token", "new", "my laptop", "--expires", "30d", "--model", "gpt-5*", "--day-cost", "5"];
    let made = desk.autoshare(new.into_iter().chain(["--month-tokens", "1000000", "--requests-per-minute", "60"]));
    assert_eq!(made.code, Some(0), "{made:?}");
    let token = made.out.trim();
    let id = &token[3..11];
    assert!(token.starts_with("as_") && token.len() == 73 && !made.err.contains(token), "{made:?}");
    let listed = desk.autoshare(["token", "list"]);
    for words in [id, "good", "my laptop", "gpt-5*", "$5.0000 a day", "1000000 tokens a month", "60 requests a minute"]
    {
        assert!(listed.out.contains(words), "{words}: {listed:?}");
    }
    assert!(!listed.out.contains(&token[12..64]), "{listed:?}");
    let rotated = desk.autoshare(["token", "rotate", id]);
    assert!(rotated.out.starts_with(&format!("as_{id}_")) && rotated.out.trim() != token, "{rotated:?}");
    let rows = desk.autoshare(["token", "list", "--json"]).json_lines();
    assert_eq!((&rows[0]["id"], &rows[0]["state"], rows.len()), (&json!(id), &json!("good"), 1));
    assert_eq!(desk.autoshare(["token", "revoke", id]).code, Some(0));
    assert!(desk.autoshare(["token", "list"]).out.contains("revoked"));
    let json = desk.autoshare(["token", "new", "x", "--json"]).json_lines();
    assert!(json[0]["token"].as_str().unwrap().starts_with("as_"));
    for (args, code, words) in [
        (vec!["token", "new", ""], 2, "1 to 64"),
        (vec!["token", "new", "x", "--expires", "0d"], 2, "30d"),
        (vec!["token", "new", "x", "--expires", "99999999999999999w"], 2, "30d"),
        (vec!["token", "new", "x", "--day-cost=-1"], 2, "dollars"),
        (vec!["token", "new", "x", "--day-cost", "five"], 2, "dollars"),
        (vec!["token", "new", "x", "--model", "a b"], 2, "pattern"),
        (vec!["token", "rotate", id], 2, "has ended"),
        (vec!["token", "revoke", "zzzzzzzz"], 6, "no token"),
        (vec!["token", "revoke", "zz"], 2, "token id"),
    ] {
        let ran = desk.autoshare(&args);
        assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
        assert!(ran.err.contains(words), "{args:?}: {ran:?}");
    }
}

#[test]
fn budgets_that_cannot_be_used_refuse_to_start_and_are_named() {
    for (budget, words) in [
        ("[budget]\nweek = { cost = \"5\" }\n", "week"),
        ("[budget]\nday = { cost = \"-5\" }\n", "budget.day.cost"),
        ("[budget]\nday = { cost = 5 }\n", "string"),
        ("[budget]\nday = { tokens = -5 }\n", "tokens"),
        ("[budget.soft]\nday = { money = \"5\" }\n", "money"),
        ("[budget.models.\"a b\"]\nday = { tokens = 5 }\n", "pattern"),
    ] {
        let desk = Desk::new();
        let config = config(&desk, budget);
        let ran = desk.autoshare(["usage", "--config", config.to_str().unwrap()]);
        assert_eq!(ran.code, Some(2), "{budget}: {ran:?}");
        assert!(ran.err.contains(words), "{budget}: {ran:?}");
    }
}
