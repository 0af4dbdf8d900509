//! What holds for every case.

use autoshare_core::event::{AskMode, RootMode};
use autoshare_core::outcome::{Ending, Plan};
use autoshare_core::tool::Action;
use autoshare_core::verdict::Decision;
use autoshare_gate::answer_by_rule;
use autoshare_gate::policy::NOTHING_ALLOWS;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::world::*;

/// The rules that no policy lifts.
const HARD: &[&str] =
    &["contract", "no-path", "protected", "closed", "boundary", "read-only", "trusted-by-machine", "command-list"];

const PATHS: &[&str] = &[
    "a.md",
    "./a.md",
    ".",
    "",
    "..",
    "../x",
    "/",
    "~",
    "~/.ssh/x",
    "/etc/passwd",
    "/home/ann/notes/a.md",
    "AGENTS.md",
    ".git/config",
    "/srv/reference/a.md",
    "/home/ann/.ssh/id",
    "/home/bob/x",
    "/home/bob/AGENTS.md",
    "/usr/bin/x",
    "\0",
];

fn any_path() -> impl Strategy<Value = String> {
    prop_oneof![4 => select(PATHS).prop_map(str::to_owned), 1 => "[a-z./~]{0,12}", 1 => any::<String>()]
}

fn any_action() -> impl Strategy<Value = Action> {
    let tools = [
        "read_file",
        "write_file",
        "edit_file",
        "list_folder",
        "send_mail",
        "delete_account",
        "set_title",
        "execute_shell",
    ];
    (
        select(tools.to_vec()),
        any_path(),
        any::<String>(),
        select(&["create", "replace", "append", "else"]),
        any::<bool>(),
    )
        .prop_map(|(tool, path, words, mode, with_mode)| {
            let mut args: Vec<(&str, &str)> = match tool {
                "write_file" => vec![("path", &path), ("content", &words)],
                "edit_file" => vec![("path", &path), ("old", "x"), ("new", &words)],
                "read_file" | "list_folder" => vec![("path", &path)],
                "execute_shell" => vec![("command", &path)],
                _ => vec![("to", &path)],
            };
            if with_mode && tool == "write_file" {
                args.push(("mode", mode));
            }
            action(tool, &args)
        })
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let size = || select(&[0_u64, 1, 9, 100, 1000]);
    let endings = [Ending::Failed, Ending::Refused, Ending::OverQuota];
    prop_oneof![
        Just(Plan::default()),
        (any_path(), proptest::option::of(size()), size())
            .prop_map(|(path, before, after)| changes(&path, before, after)),
        select(endings.to_vec()).prop_map(|ending| refused(ending, "kernel", "x")),
    ]
}

fn any_world() -> impl Strategy<Value = World> {
    let texts = || vec(prop_oneof![any_path(), Just("please write a.md".to_owned())], 0..3);
    (any_action(), any_plan(), select(&MODES), texts(), texts(), any::<bool>(), any::<bool>()).prop_map(
        |(action, plan, ask, trusted, content, granted, own)| {
            let mut world = World { plan, ask, ..World::of(action) };
            trusted.iter().for_each(|text| world.history.trust(text));
            content.iter().for_each(|text| world.history.add_content("file:x", text));
            if granted {
                let target = world.spec.target(&world.action);
                let rules: Vec<String> = world.rules();
                let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
                world.grants.push(grant(&world.action.tool, &target, &rules));
            }
            if own {
                world.own_files.insert("a.md".to_owned());
            }
            world
        },
    )
}

/// How strict the gate and the standing rule are together: a question that `--yes` answers is milder than one that a
/// person must answer.
fn strictness(world: &World) -> u8 {
    let verdict = world.decide();
    match verdict.decision {
        Decision::Allow => 0,
        Decision::Ask if answer_by_rule(&verdict, world.ask).is_some() => 1,
        Decision::Ask => 2,
        Decision::Deny => 3,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn every_case_has_one_verdict_with_a_reason_by_a_known_rule(world in any_world()) {
        let verdict = world.decide();
        prop_assert_eq!(&world.decide(), &verdict, "the same again");
        prop_assert!(!verdict.reasons.is_empty());
        let mut known: Vec<String> = world.policy.rules().iter().map(|rule| rule.id.clone()).collect();
        known.extend(HARD.iter().chain(&[NOTHING_ALLOWS, "granted"]).map(|rule| (*rule).to_owned()));
        prop_assert!(verdict.reasons.iter().all(|r| known.contains(&r.rule) && !r.words.is_empty()));
        prop_assert_eq!(verdict.digest, world.action.digest());
        let traced: Vec<&String> = verdict.origins.iter().map(|origin| &origin.param).collect();
        prop_assert_eq!(traced, world.action.args.keys().collect::<Vec<_>>(), "every argument is traced");
    }

    /// Untrusted text can only make a verdict stricter, whatever it says.
    #[test]
    fn content_never_makes_a_verdict_milder(world in any_world(), texts in vec(any_path(), 1..4)) {
        let mut read = world.clone();
        let own_values = world.action.args.values().filter_map(serde_json::Value::as_str);
        for text in texts.iter().map(String::as_str).chain(own_values) {
            let before = strictness(&read);
            read.history.add_content("file:planted", text);
            prop_assert!(strictness(&read) >= before, "{:?}", text);
        }
    }

    /// The strictest rule holds: whatever gives a rule more to say, or a person's leave less, is never milder.
    #[test]
    fn every_further_restriction_is_at_least_as_strict(world in any_world()) {
        let before = strictness(&world);
        let unlessened = |what: &str, changed: World| {
            prop_assert!(strictness(&changed) >= before, "{}: {:?} then {:?}", what, world.decide(), changed.decide());
            Ok(())
        };
        unlessened("nothing granted", World { grants: vec![], ..world.clone() })?;
        unlessened("nothing its own", World { own_files: [].into(), ..world.clone() })?;
        if world.ask != AskMode::Always {
            unlessened("asked always", World { ask: AskMode::Always, ..world.clone() })?;
        }
        unlessened("all protected", World { protected: vec!["/".to_owned()], ..world.clone() })?;
        let mut read_only = world.clone();
        read_only.roots.iter_mut().for_each(|root| root.mode = RootMode::Read);
        unlessened("read-only", read_only)?;
        let refusal = refused(Ending::Refused, "kernel", "x").refusal;
        unlessened("refused", World { plan: Plan { refusal, ..world.plan.clone() }, ..world.clone() })?;
    }

    /// Nothing is done outside what was opened to the brain without a person, the standing rule, or a grant.
    #[test]
    fn nothing_outside_is_allowed_by_itself(world in any_world()) {
        let world = World { grants: vec![], ..world };
        if world.decide().decision == Decision::Allow && let Some(path) = world.action.text("path") {
            let place = autoshare_core::place::place(&world.roots, path);
            let is_inside = matches!(place, autoshare_core::place::Place::Inside { .. });
            prop_assert!(is_inside, "{:?}", place);
        }
    }
}
