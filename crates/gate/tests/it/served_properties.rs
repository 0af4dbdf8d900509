//! What holds for every call of a server's tool, whatever was read.

use autoshare_core::tool::{Effect, Fields, Kind, Param, Redo, Role, ToolSpec};
use autoshare_core::verdict::Decision;
use autoshare_core::warrant::{DrawnBy, Warrant, Warranted};
use autoshare_gate::policy::Profile;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::issued::served;
use crate::world::*;

/// Values that stand in one another, look alike, or are each other's spellings.
const VALUES: &[&str] = &[
    "ann@example.org",
    "ANN@example.org",
    "mallory@evil.example",
    "U-4711",
    "u-4711 and more",
    "example.org",
    "https://docs.example.com/a",
    "docs.example.com",
    "https://docs.example.com/?q=x",
    "12345",
    "12,345.00",
    "5",
    "general",
    "2024-05-15",
    "May 15, 2024",
    "hunter2-and-more",
    "password: hunter2-and-more",
    "password: ann@example.org",
    "ann@example.org, mallory@evil.example",
    "Ann <ann@example.org>",
    "王小明",
    "",
];

pub(crate) fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![8 => select(VALUES).prop_map(str::to_owned), 1 => any::<String>()]
}

/// One or two values with something around them.
fn any_text() -> impl Strategy<Value = String> {
    let joints = select(&["", " ", ", ", "'", "\"", ".", "\n", "/", "@", "id: "]);
    (any_value(), joints, any_value()).prop_map(|(a, joint, b)| format!("{joint}{a}{joint}{b}{joint}"))
}

fn any_spec() -> impl Strategy<Value = ToolSpec> {
    let effects = [Effect::Read, Effect::Fetch, Effect::External, Effect::Destructive];
    (select(effects.to_vec()), any::<bool>()).prop_map(|(effect, reversible)| {
        let text = json!({"type": "string"});
        let properties = json!({"to": text, "url": text, "amount": {"type": "number"}, "password": text, "body": text,
            "query": text, "format": text, "data": {"type": "object"}, "ids": {"type": "array", "items": text}});
        let mut spec = served("act", &json!({"type": "object", "properties": properties}));
        spec.redo = if matches!(effect, Effect::Read | Effect::Fetch) { Redo::Read } else { Redo::Write };
        ToolSpec { effect, reversible, ..spec }
    })
}

fn any_args() -> impl Strategy<Value = Value> {
    let names = ["to", "url", "password", "body", "query", "format", "data", "ids", "amount"];
    (subsequence(names.to_vec(), 0..=4), vec(any_value(), 9)).prop_map(|(names, values)| {
        let of = |(name, value): (&str, &String)| {
            let value = match name {
                "amount" => json!(value.len()),
                "data" => json!({value.as_str(): value.as_str()}),
                "ids" => json!([value.as_str(), "U-4711"]),
                _ => json!(value.as_str()),
            };
            (name.to_owned(), value)
        };
        Value::Object(names.into_iter().zip(&values).map(of).collect())
    })
}

fn any_warrant() -> impl Strategy<Value = Option<Warrant>> {
    let effect = (select(&["s__act", "s__other"]), vec(any_value(), 0..3), any::<bool>()).prop_map(
        |(tool, targets, described)| Warranted { tool: tool.to_owned(), targets, described, because: String::new() },
    );
    proptest::option::of(vec(effect, 0..3).prop_map(|effects| Warrant { by: DrawnBy::Model, effects }))
}

/// What happened before: words of the person, texts, results.
#[derive(Debug, Clone)]
pub(crate) enum Past {
    Said(String),
    Read(String),
    Issued(String),
    Fetched(String),
}

fn any_past() -> impl Strategy<Value = Past> {
    prop_oneof![
        any_text().prop_map(Past::Said),
        any_text().prop_map(Past::Read),
        any_value().prop_map(Past::Issued),
        any_value().prop_map(Past::Fetched),
    ]
}

fn issue(world: &mut World, value: &str) {
    let list = served("list_users", &json!({"type": "object"}));
    let result = json!({"users": [{"id": value}]});
    world.history.add_result(None, "s", &list, &result.to_string(), Some(&result));
}

pub(crate) fn live(world: &mut World, past: &[Past]) {
    for event in past {
        match event {
            Past::Said(text) => world.history.trust(text),
            Past::Read(text) => world.history.add_content("mail:1", text),
            Past::Issued(value) => issue(world, value),
            Past::Fetched(address) => world.history.note_fetched(address),
        }
    }
}

pub(crate) fn any_case() -> impl Strategy<Value = (World, Vec<Past>)> {
    let hosts = select(&["docs.example.com", "*.example.com", ""]);
    (any_spec(), any_args(), any_warrant(), vec(any_past(), 0..5), select(&Profile::ALL), hosts).prop_map(
        |(spec, args, warrant, past, profile, host)| {
            let world = World { warrant, policy: policy(profile), ..World::served(spec, &args) };
            (World { allowed_hosts: vec![host.to_owned()], ..world }, past)
        },
    )
}

fn decision(world: &World) -> Decision {
    world.decide().decision
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_call_has_one_verdict_with_a_reason((mut world, past) in any_case()) {
        live(&mut world, &past);
        let verdict = world.decide();
        prop_assert_eq!(&world.decide(), &verdict);
        prop_assert!(!verdict.reasons.is_empty() && verdict.reasons.iter().all(|reason| !reason.words.is_empty()));
    }

    /// The heart of it: whatever somebody else writes, nothing is done for it that would not have been done.
    #[test]
    fn untrusted_text_never_turns_a_question_or_a_denial_into_leave(
        (mut world, past) in any_case(), texts in vec(any_text(), 1..4), whole in any_value(),
    ) {
        live(&mut world, &past);
        let own: Vec<String> = world.action.args.values().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
        for text in texts.iter().chain(&own).chain([&whole]) {
            let before = decision(&world);
            let mut read = world.clone();
            read.history.add_content("mail:planted", text);
            prop_assert!(before == Decision::Allow || decision(&read) != Decision::Allow, "read {:?}: {:?} then {:?}", text, world.decide(), read.decide());
            // The same as the result of a tool that issues nothing, with a structure that says so.
            let mut result = world.clone();
            let mut spec = served("list_users", &json!({"type": "object"}));
            spec.result.issued = Fields::None;
            let value = json!({"id": text, "users": [text]});
            result.history.add_result(None, "s", &spec, text, Some(&value));
            prop_assert!(before == Decision::Allow || decision(&result) != Decision::Allow, "result {:?}", text);
            world = read;
        }
    }

    #[test]
    fn less_said_by_the_person_is_never_milder((world, past) in any_case()) {
        let mut whole = world.clone();
        live(&mut whole, &past);
        for left_out in 0..past.len() {
            if matches!(past[left_out], Past::Said(_)) {
                let rest: Vec<Past> = past.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, event)| event.clone()).collect();
                let mut less = world.clone();
                live(&mut less, &rest);
                prop_assert!(decision(&less) != Decision::Allow || decision(&whole) == Decision::Allow,
                    "without {:?}: {:?} then {:?}", past[left_out], whole.decide(), less.decide());
            }
        }
    }

    #[test]
    fn a_smaller_warrant_is_never_milder((mut world, past) in any_case()) {
        live(&mut world, &past);
        let Some(warrant) = world.warrant.clone() else { return Ok(()) };
        let before = decision(&world);
        for at in 0..warrant.effects.len() {
            let mut fewer = warrant.clone();
            fewer.effects.remove(at);
            let mut named = warrant.clone();
            named.effects[at].described = false;
            for smaller in [fewer, named, Warrant { effects: vec![], ..warrant.clone() }] {
                let less = World { warrant: Some(smaller), ..world.clone() };
                prop_assert!(decision(&less) >= before, "{:?} then {:?}", world.decide(), less.decide());
            }
        }
    }

    /// What no contract knows is taken for the worst. (`trusting` does to whom the person named what they did not ask for:
    /// there a tool with a target that was named is milder than one with none.)
    #[test]
    fn an_unknown_name_is_never_milder((mut world, past) in any_case(), at in any::<prop::sample::Index>()) {
        live(&mut world, &past);
        world.policy = policy(if at.index(2) == 0 { Profile::Cautious } else { Profile::Default });
        let leaves = matches!(world.spec.effect, Effect::External | Effect::Destructive);
        let before = decision(&world);
        let mut unknown = world.clone();
        unknown.spec.params.retain(|param| param.name != "body");
        if world.action.args.contains_key("body") {
            prop_assert_eq!(decision(&unknown), Decision::Deny, "no contract holds it");
        }
        // A parameter that no rule knows by name is a target.
        let mut strange = world.clone();
        let is_free = |param: &&mut Param| {
            matches!(param.role, Role::Content | Role::Query | Role::Option) && matches!(param.kind, Kind::Text { .. })
        };
        if let Some(param) = pick(&mut strange.spec.params, at).filter(|_| leaves).filter(is_free) {
            param.role = Role::Target;
            prop_assert!(decision(&strange) >= before, "{:?} then {:?}", world.decide(), strange.decide());
        }
    }

    /// A tool of which nothing is known is judged as one that acts.
    #[test]
    fn an_unknown_tool_is_never_milder((mut world, past) in any_case()) {
        live(&mut world, &past);
        world.spec = ToolSpec { effect: Effect::Read, redo: Redo::Read, ..world.spec };
        let external = World { spec: ToolSpec { effect: Effect::External, redo: Redo::Write, ..world.spec.clone() }, ..world.clone() };
        prop_assert!(decision(&external) >= decision(&world), "{:?} then {:?}", world.decide(), external.decide());
    }
}

fn pick(params: &mut [Param], at: prop::sample::Index) -> Option<&mut Param> {
    let count = params.len();
    if count == 0 { None } else { params.get_mut(at.index(count)) }
}
