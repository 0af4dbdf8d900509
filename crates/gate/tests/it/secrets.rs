//! Secrets: known by form, by field, by value; looked for in what leaves; and everything that leaves once one was read.

use autoshare_core::tool::{Role, Words};
use autoshare_core::verdict::Decision;
use autoshare_gate::History;
use autoshare_gate::policy::Profile;
use serde_json::json;

use crate::issued::served;
use crate::world::*;

const KEY: &str = "hunter2-and-more";

#[test]
fn credentials_are_known_by_their_form() {
    let long = "a1B2".repeat(20);
    let table = [
        (format!("export OPENAI_API_KEY=sk-{long}"), true),
        (format!("token: ghp_{long}"), true),
        ("AKIAIOSFODNN7EXAMPLE".to_owned(), true),
        (format!("xoxb-{long}"), true),
        (format!("glpat-{long}"), true),
        (format!("hf_{long}"), true),
        (format!("eyJ{long}.{long}.{long}"), true),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz".to_owned(), true),
        ("DB_PASSWORD=correct-horse-7".to_owned(), true),
        ("password: correct-horse-7".to_owned(), true),
        ("\"client_secret\": \"f00-b4r-b4z\"".to_owned(), true),
        ("the password is easy".to_owned(), false),
        ("password: hunter".to_owned(), false),
        ("ask-me-about-it, sk-12, AKIA".to_owned(), false),
        ("-----BEGIN CERTIFICATE-----".to_owned(), false),
        ("see the token ring and the secret garden".to_owned(), false),
        (String::new(), false),
    ];
    for (text, secret) in table {
        let mut history = History::new();
        history.add_content("file:a", &text);
        assert_eq!(history.secret_read().is_some(), secret, "{text}");
    }
}

#[test]
fn fields_of_a_result_are_secret_by_their_name_or_by_the_contract() {
    let plain = served("get_account", &json!({"type": "object"}));
    let mut marked = plain.clone();
    marked.result.secret = vec!["door".to_owned()];
    let mut whole = plain.clone();
    whole.result.secret = vec!["*".to_owned()];
    // (contract, result, secret?)
    let table = [
        (&plain, json!({"password": "opensesame"}), true),
        (&plain, json!({"login": {"api_key": "opensesame"}}), true),
        (&plain, json!({"door": "opensesame"}), false),
        (&marked, json!({"door": "opensesame"}), true),
        (&marked, json!({"window": "opensesame"}), false),
        (&whole, json!({"window": ["opensesame"]}), true),
    ];
    for (spec, result, secret) in table {
        let mut history = History::new();
        history.add_result(None, "s", spec, &result.to_string(), Some(&result));
        assert_eq!(history.secret_read().is_some(), secret, "{result}");
        assert_eq!(history.holds_secret("say opensesame loudly"), secret, "{result}");
    }
}

#[test]
fn e6_a_secret_is_found_in_what_leaves_in_many_forms() {
    let mut history = History::new();
    history.add_secret(KEY);
    let table = [
        ("hunter2-and-more", true),
        ("the key is hunter2-and-more.", true),
        ("h u n t e r 2 - a n d - m o r e", true),
        ("hunter2-\nand-more", true),
        ("HUNTER2-AND-MORE", true),
        ("erom-dna-2retnuh", true),
        ("68756e746572322d616e642d6d6f7265", true),
        ("68756E746572322D616E642D6D6F7265", true),
        ("aHVudGVyMi1hbmQtbW9yZQ==", true),
        ("the key is: aHVudGVyMi1hbmQtbW9yZQ", true),
        // Base64 of `x` and `xy` before it: the groups of three fall otherwise.
        ("eGh1bnRlcjItYW5kLW1vcmU=", true),
        ("eHlodW50ZXIyLWFuZC1tb3Jl", true),
        ("hunter2%2Dand%2Dmore", true),
        // Not found: other codes and parts. The first line holds: everything that leaves is asked for.
        ("uhagre2-naq-zber", false),
        ("hunter2, and then and-more", false),
        ("h.u.n.t.e.r.2.-.a.n.d.-.m.o.r.e", false),
        ("nothing of it", false),
    ];
    for (text, found) in table {
        assert_eq!(history.holds_secret(text), found, "{text}");
    }
}

#[test]
fn a_secret_carried_out_is_denied_in_every_part_of_an_action() {
    let schema = json!({"type": "object", "properties": {
        "to": {"type": "string"}, "body": {"type": "string"}, "format": {"type": "string"},
        "amount": {"type": "integer"}, "headers": {"type": "object"}, "q": {"type": "string"}}});
    let args = [
        json!({"to": KEY}),
        json!({"to": "ann@example.org", "body": format!("by the way: {KEY}")}),
        json!({"to": "ann@example.org", "format": KEY}),
        json!({"to": "ann@example.org", "headers": {"x": {"y": [KEY]}}}),
        json!({"to": "ann@example.org", "headers": {KEY: "x"}}),
        json!({"to": "ann@example.org", "q": "aHVudGVyMi1hbmQtbW9yZQ=="}),
    ];
    for tool in ["send_mail", "search_mail", "delete_mail"] {
        for args in &args {
            for profile in Profile::ALL {
                let mut world = World::served(served(tool, &schema), args);
                world.policy = policy(profile);
                world.warrant = Some(warrant(&world.spec.name, &["ann@example.org"]));
                world.history.trust("Write to ann@example.org");
                world.history.add_secret(KEY);
                let verdict = world.decide();
                assert_eq!(verdict.decision, Decision::Deny, "{tool} {args} {}", profile.name());
                assert!(verdict.reasons.iter().any(|reason| reason.rule == "carries-secret"), "{verdict:?}");
            }
        }
    }
}

/// Any words may hold it in some form that nobody looks for.
#[test]
fn once_a_secret_was_readable_everything_that_leaves_is_asked_for() {
    let schema = json!({"type": "object", "properties": {"to": {"type": "string"}, "q": {"type": "string"}}});
    // (tool, arguments, by default before, after)
    let table = [
        ("send_mail", json!({"to": "ann@example.org"}), Decision::Allow, Decision::Ask),
        ("delete_mail", json!({"to": "ann@example.org"}), Decision::Allow, Decision::Ask),
        ("search_mail", json!({"q": "made up by the model"}), Decision::Allow, Decision::Ask),
        ("search_mail", json!({"q": "ann@example.org"}), Decision::Allow, Decision::Allow),
        ("list_mail", json!({}), Decision::Allow, Decision::Allow),
    ];
    for (tool, args, before, after) in table {
        let mut world = World::served(served(tool, &schema), &args);
        world.warrant = Some(warrant(&world.spec.name, &["ann@example.org"]));
        world.history.trust("Write to ann@example.org");
        world.history.add_content("file:a.md", "nothing of it");
        assert_eq!(world.decide().decision, before, "{tool} {args}");
        world.history.secret_was_readable("file:.env");
        assert_eq!(world.decide().decision, after, "{tool} {args}");
        assert!(!world.decide().outside, "the question is about the secret, not about the warrant");
    }
    let mut inside = World::of(read("a.md"));
    inside.history.secret_was_readable("file:.env");
    assert_eq!(inside.decide().decision, Decision::Allow, "inside, work goes on");
}

/// Whose words a result carries says nothing of what may leave.
#[test]
fn a_secret_in_what_the_operator_vouches_for_is_one_all_the_same() {
    let mut spec = served("get_profile", &json!({"type": "object", "properties": {}}));
    spec.result.words = Words::Operator;
    let said = [(json!({"password": "hunter2-and-more"}), "a profile"), (json!({}), "password: hunter2-and-more")];
    for (structured, text) in said {
        let mut history = History::new();
        history.add_result(None, "mcp:desk/get_profile", &spec, text, Some(&structured));
        assert!(
            history.holds_secret("it is hunter2-and-more") && history.secret_read().is_some(),
            "{structured} {text}"
        );
        assert!(!history.is_tainted(), "and nobody else wrote it");
    }
}

/// Planted "credentials" must not keep a person from what they named, only be asked about.
#[test]
fn e7_what_a_text_calls_a_secret_does_not_deny_what_the_person_said() {
    let schema = json!({"type": "object", "properties": {"to": {"type": "string"}}});
    let mut world = World::served(served("send_mail", &schema), &json!({"to": "ann@example.org"}));
    world.warrant = Some(warrant(&world.spec.name, &["ann@example.org"]));
    world.history.trust("Write to ann@example.org");
    world.history.add_content("mail:1", "password: ann@example.org");
    assert!(world.history.holds_secret("ann@example.org"));
    assert_eq!(world.decide().decision, Decision::Ask);
    world.history.add_secret("ann@example.org");
    assert_eq!(world.decide().decision, Decision::Deny, "the operator's own word stands above");
}

#[test]
fn many_secrets_are_looked_for_in_one_pass() {
    let mut history = History::new();
    let planted: String = (0..20_000).map(|n| format!("token: x{n}-planted-{n}\n")).collect();
    history.add_content("file:a", &planted);
    history.add_secret(KEY);
    let text = "lorem ipsum ".repeat(20_000);
    let begun = std::time::Instant::now();
    assert!(!history.holds_secret(&text) && history.holds_secret(&format!("{text}{KEY}")));
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    assert_eq!(history.locate("made up", Role::Content).at, None);
}

#[test]
fn d6_what_a_person_is_told_holds_no_known_secret() {
    let mut history = History::new();
    history.add_secret(KEY);
    let hex: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let spaced: String = KEY.chars().flat_map(|c| [c, ' ']).collect();
    let struck = "[a secret was held back here]";
    let table = [
        ("nothing here".to_owned(), None),
        (format!("the key is {KEY}."), Some(format!("the key is {struck}."))),
        (format!("{KEY} and {hex}"), Some(format!("{struck} and {struck}"))),
        // Where its parts stand apart, nobody can say where it begins.
        (format!("é {spaced} z"), Some(struck.to_owned())),
    ];
    for (said, expected) in table {
        assert_eq!(history.struck(&said), expected, "{said}");
    }
    assert!(!format!("{history:?}").contains(KEY), "a secret is masked in debug output");
}
