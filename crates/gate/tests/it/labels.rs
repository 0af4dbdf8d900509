//! Labels of servers: believed to the disadvantage of what they are on, and never to its advantage.

use autoshare_core::tool::{Label, Role, Words, WrittenBy};
use autoshare_core::verdict::{Decision, Provenance};
use autoshare_gate::History;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::issued::served;
use crate::served_properties::{Past, any_case, any_value, live};
use crate::world::World;

const UNTRUSTED: Label = Label { untrusted: true, private: false };
const PRIVATE: Label = Label { untrusted: false, private: true };

/// A list of users with this value in it, from a server whose words are the operator's or anybody's.
fn list(history: &mut History, value: &str, operators: bool, shown: bool, label: Label) {
    let mut spec = served("list_users", &json!({"type": "object"}));
    if operators {
        spec.result.words = Words::Operator;
        spec.served.as_mut().unwrap().contract = WrittenBy::Operator;
    }
    let result = json!({"users": [{"id": value, "age": 123_456}], "Ann Example": {"team": "red-team"}});
    let text = if shown { result.to_string() } else { "two users".to_owned() };
    history.add_labelled(None, "mcp:s/list_users", &spec, &text, Some(&result), label);
}

fn at(history: &History, value: &str) -> Provenance {
    history.locate(value, Role::Target).provenance
}

#[test]
fn what_is_labelled_untrusted_is_content_whoever_vouches_for_its_server() {
    let content = Provenance::Content { source: "mcp:s/list_users".to_owned() };
    for shown in [true, false] {
        for operators in [true, false] {
            let (mut plain, mut labelled) = (History::new(), History::new());
            list(&mut plain, "U-4711", operators, shown, Label::default());
            list(&mut labelled, "U-4711", operators, shown, UNTRUSTED);
            // What the operator vouches for is the operator's as far as its text shows it.
            if shown || !operators {
                let before = at(&plain, "U-4711");
                assert!(matches!(before, Provenance::Operator { .. } | Provenance::Issued { .. }), "{before:?}");
            }
            for value in ["U-4711", "123456", "Ann Example", "red-team"] {
                assert_eq!(at(&labelled, value), content, "{value}, shown {shown}, the operator's {operators}");
            }
            assert_eq!(labelled.secret_read(), None);
        }
    }
}

#[test]
fn what_is_labelled_private_makes_everything_that_leaves_suspect() {
    let mut history = History::new();
    list(&mut history, "U-4711", false, true, PRIVATE);
    assert_eq!(history.secret_read(), Some("mcp:s/list_users"));
    assert!(matches!(at(&history, "U-4711"), Provenance::Issued { .. }), "its identifiers stay the server's");
    assert!(!history.holds_secret("U-4711"), "the value itself is none");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_label_never_turns_a_question_or_a_denial_into_leave(
        (world, past) in any_case(), results in vec((any_value(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()), 1..4),
    ) {
        let told = |labels: bool| {
            let mut world: World = world.clone();
            for (value, operators, shown, untrusted, private) in &results {
                let label = if labels { Label { untrusted: *untrusted, private: *private } } else { Label::default() };
                list(&mut world.history, value, *operators, *shown, label);
            }
            live(&mut world, &past as &[Past]);
            world.decide()
        };
        let (plain, labelled) = (told(false), told(true));
        prop_assert!(
            plain.decision == Decision::Allow || labelled.decision != Decision::Allow,
            "{:?} then {:?}", plain, labelled
        );
    }
}
