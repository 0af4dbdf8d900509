//! Who wrote which part of a result.

use autoshare_guard::authors::{author_of, records};
use proptest::prelude::*;
use serde_json::{Value, json};

fn authors(text: &str) -> Vec<(&str, String)> {
    records(text).into_iter().map(|record| (&text[record.at], record.author)).collect()
}

#[test]
fn records_name_their_authors() {
    let table: [(&str, &[(&str, &str)]); 8] = [
        (r#"{"from": "eve@a.test", "body": "x"}"#, &[(r#"{"from": "eve@a.test", "body": "x"}"#, "eve@a.test")]),
        (r#"[{"sender": "A", "t": 1}, {"t": "{\"sender\": \"B\"}"}]"#, &[(r#"{"sender": "A", "t": 1}"#, "A")]),
        (
            r#"{"title": "t", "user": {"id": 7, "login": "eve"}}"#,
            &[(r#"{"title": "t", "user": {"id": 7, "login": "eve"}}"#, "eve")],
        ),
        (
            r#"{"author": "a", "replies": [{"author": "b"}]}"#,
            &[(r#"{"author": "b"}"#, "b"), (r#"{"author": "a", "replies": [{"author": "b"}]}"#, "a")],
        ),
        (r#"{"from": ["a", "b"], "to": "c"}"#, &[]),
        (r#"{"from": ""}"#, &[]),
        (r#"{"from": "eve""#, &[]),
        ("from: eve", &[]),
    ];
    for (text, expected) in table {
        let expected: Vec<(&str, String)> = expected.iter().map(|(part, name)| (*part, (*name).to_owned())).collect();
        assert_eq!(authors(text), expected, "{text}");
    }
}

#[test]
fn a_passage_is_of_whom_the_innermost_record_names() {
    let text = r#"{"author": "a", "body": "one", "replies": [{"author": "b", "body": "two"}, {"body": "three"}]}"#;
    let records = records(text);
    for (word, author) in [("one", "a"), ("two", "b"), ("three", "a")] {
        let at = text.find(word).unwrap();
        assert_eq!(author_of(&records, &(at..at + word.len())), Some(author), "{word}");
    }
    assert_eq!(author_of(&records, &(0..text.len() + 1)), None);
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[\\PC\"\\\\{}\\[\\],:]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let key = prop_oneof![Just("from".to_owned()), Just("name".to_owned()), Just("user".to_owned()), "\\PC{0,5}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..5).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn every_record_is_an_object_of_the_text(value in json_values(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        for record in records(&text) {
            let part: Value = serde_json::from_str(&text[record.at]).unwrap();
            prop_assert!(part.is_object(), "{part}");
        }
    }

    #[test]
    fn any_text_is_taken(text in "\\PC{0,60}") {
        for record in records(&text) {
            prop_assert!(text.get(record.at).is_some());
        }
    }
}
