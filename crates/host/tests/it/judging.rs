//! What was judged is judged again as it was, or it is said that it cannot be.

use autoshare_core::chat::RawCall;
use autoshare_core::event::{Event, PolicyInForce, Thought};
use autoshare_core::outcome::Plan;
use autoshare_core::tool::Action;
use autoshare_core::usage::Usage;
use autoshare_core::verdict::{Decision, Verdict};
use autoshare_core::{StepNo, TurnNo};
use autoshare_gate::policy::Profile;
use autoshare_gate::{Commands, Policy};
use autoshare_host::{Unknown, rejudge};
use serde_json::json;

use crate::goal;

/// A brain that wants to read a file, under the default profile, with a verdict that no gate gave.
fn journal(plan: Option<Plan>, path: &str) -> Vec<Event> {
    let action = Action { tool: "read_file".into(), args: [("path".to_owned(), json!(path))].into() };
    let arguments = serde_json::to_string(&action.args).unwrap();
    let call = RawCall { id: "call".into(), name: action.tool.clone(), arguments };
    let thought =
        Thought { turn: TurnNo(1), text: String::new(), calls: vec![call], usage: Usage::ZERO, truncated: false };
    let in_force = PolicyInForce {
        profile: "default".into(),
        profile_named: false,
        file: None,
        file_named: false,
        allowed_hosts: Vec::new(),
    };
    let step = StepNo(1);
    let verdict = Verdict {
        decision: Decision::Deny,
        reasons: Vec::new(),
        origins: Vec::new(),
        digest: action.digest(),
        outside: false,
        alike: Vec::new(),
    };
    vec![
        Event::Goal(goal(1_000)),
        Event::Policy(in_force),
        Event::Thought(thought),
        Event::Proposal { step, call_id: "call".into(), action },
        Event::Verdict { step, verdict, plan },
    ]
}

/// What the cautious profile says of it, and what the default profile says where that is asked.
fn again(events: &[Event], protected: &[String]) -> Result<Verdict, Unknown> {
    let policy = |profile| Policy::builtin(profile).unwrap();
    let (then, other) = (policy(Profile::Default), policy(Profile::Cautious));
    let mut found = Vec::new();
    rejudge(events, protected, &Commands::default(), |judged| found.push(judged.again(&then, &other)));
    assert_eq!(found.len(), 1);
    found.remove(0)
}

/// The same journal with the verdict that the gate gives.
fn judged(mut events: Vec<Event>) -> Vec<Event> {
    let default = Policy::builtin(Profile::Default).unwrap();
    let mut given = None;
    // What a policy says is only told where what was said then is said again, so that the verdict is looked for.
    rejudge(&events, &[], &Commands::default(), |judged| given = Some(judged.verdict_by(&default)));
    let Some(Event::Verdict { verdict, .. }) = events.last_mut() else { panic!("no verdict") };
    *verdict = given.unwrap().unwrap();
    events
}

#[test]
fn a_verdict_is_given_again_only_where_the_journal_gives_the_first_one() {
    let plan = || Some(Plan { path: Some("a.md".into()), ..Plan::default() });
    let whole = judged(journal(plan(), "a.md"));
    assert_eq!(again(&whole, &[]).map(|verdict| verdict.decision), Ok(Decision::Allow));
    let outside = judged(journal(plan(), "/outside/a.md"));
    assert_eq!(again(&outside, &[]).map(|verdict| verdict.decision), Ok(Decision::Ask));

    assert_eq!(again(&journal(None, "a.md"), &[]), Err(Unknown::Plan));
    // The verdict that stands there is not the one that the facts give.
    assert_eq!(again(&journal(plan(), "a.md"), &[]), Err(Unknown::Differs));
    // What is protected now was not then.
    assert_eq!(again(&whole, &["/work/a.md".to_owned()]), Err(Unknown::Differs));
    // A root that lies in what is protected was opened by whoever answers for that.
    assert_eq!(again(&whole, &["/".to_owned()]).map(|verdict| verdict.decision), Ok(Decision::Allow));
    assert_eq!(again(&outside, &["/".to_owned()]), Err(Unknown::Differs));
}
