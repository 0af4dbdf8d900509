//! Results that are JSON: which texts stand in them, and who wrote them.

use autoshare_guard::records::Records;
use autoshare_guard::verify::{Form, Suspicion};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The values of a text with their authors; `-` is nobody.
fn values(text: &str) -> Vec<(&str, String)> {
    let records = Records::read(text).unwrap();
    records.values().map(|(at, author)| (&text[at], author.unwrap_or("-").to_owned())).collect()
}

#[test]
fn a_value_is_of_whom_the_innermost_record_names() {
    let table: [(Value, &[(&str, &str)]); 8] = [
        (json!({"from": "eve@a.test", "body": "x"}), &[("x", "eve@a.test"), ("eve@a.test", "eve@a.test")]),
        // Wherever the field stands, and whatever a text says that looks like one.
        (json!([{"body": "{\"from\": \"b\"}", "from": "a"}]), &[("{\\\"from\\\": \\\"b\\\"}", "a"), ("a", "a")]),
        (
            json!({"author": "a", "text": "1", "zreplies": [{"author": "b", "text": "2"}, {"text": "3"}]}),
            &[("a", "a"), ("1", "a"), ("b", "b"), ("2", "b"), ("3", "a")],
        ),
        // The name that nobody chooses freely goes before the one that everybody does.
        (json!({"t": "x", "user": {"login": "eve", "name": "Bob"}}), &[("x", "eve"), ("eve", "eve"), ("Bob", "eve")]),
        (
            json!({"t": "x", "user": {"email": "e@a.test", "name": "Bob"}}),
            &[("x", "e@a.test"), ("e@a.test", "e@a.test"), ("Bob", "e@a.test")],
        ),
        (json!({"t": "x", "user": {"a": {"name": "Bob"}}}), &[("x", "-"), ("Bob", "-")]),
        (json!({"from": ["a", "b"]}), &[("a", "-"), ("b", "-")]),
        (json!({"from": ""}), &[("", "-")]),
    ];
    for (value, expected) in table {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let mut expected: Vec<(&str, String)> =
                expected.iter().map(|(part, name)| (*part, (*name).to_owned())).collect();
            let mut got = values(&text);
            expected.sort();
            got.sort();
            assert_eq!(got, expected, "{text}");
        }
    }
    for other in ["", "from: eve", "{\"from\": \"eve\"", "7", "\"text\"", "{} {}"] {
        assert_eq!(Records::read(other), None, "{other}");
    }
}

#[test]
fn a_passage_takes_away_the_value_that_it_stands_in_and_nothing_beside_it() {
    let text = r#"[{"body":"one","from":"a"},{"bad key":1,"body":"two","from":"b"}]"#;
    let records = Records::read(text).unwrap();
    let within = |from: &str, to: &str| -> Vec<&str> {
        let span = text.find(from).unwrap()..text.rfind(to).unwrap() + to.len();
        let found = records.within(vec![Suspicion { span, score: 0.9, form: Form::Plain }]);
        found.into_iter().map(|part| &text[part.span]).collect()
    };
    assert_eq!(within("ne", "ne"), ["ne"]);
    assert_eq!(within("}", "two"), ["bad key", "two"], "of names of fields those that say more");
    assert_eq!(within("bad", "key"), ["bad key"]);
    assert_eq!(within("body", "one"), ["one"]);
    assert_eq!(within("one", "two"), ["one", "a", "bad key", "two"]);
    assert_eq!(within("1", "1"), [""; 0]);
    let at = |word: &str| text.find(word).unwrap();
    assert_eq!(records.author_of(&(at("two")..at("two") + 3)), Some("b"));
    assert_eq!(records.author_of(&(at("one")..at("two"))), None, "what spans two texts is nobody's");
    let lines = records.a_field_a_line(text);
    assert_eq!(lines.len(), text.len());
    let fields: Vec<&str> = lines.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(fields, [r#""body":"one""#, r#""from":"a""#, r#""bad key":1"#, r#""body":"two""#, r#""from":"b""#]);
}

#[test]
fn d6_deep_and_wide_json_is_read_in_linear_time() {
    let began = std::time::Instant::now();
    let deep = format!("{}\"x\"{}", "[".repeat(500_000), "]".repeat(500_000));
    assert_eq!(Records::read(&deep).unwrap().depth(), 500_000);
    let inner = vec!["\"x\""; 100_000].join(",");
    let nested = format!("{}{inner}{}", "{\"user\":\"a\",\"b\":[".repeat(5_000), "]}".repeat(5_000));
    let records = Records::read(&nested).unwrap();
    assert!(records.values().all(|(_, author)| author == Some("a")));
    for (at, _) in records.values() {
        assert_eq!(records.author_of(&at), Some("a"));
    }
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
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

/// The texts of a value, in the order in which they are written.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(members) => members.iter().for_each(|member| texts(member, found)),
        Value::Object(map) => map.values().for_each(|member| texts(member, found)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn every_text_is_found_where_it_stands(value in json_values(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        if let Some(records) = Records::read(&text) {
            let got: Vec<String> =
                records.values().map(|(at, _)| serde_json::from_str(&format!("\"{}\"", &text[at])).unwrap()).collect();
            let mut expected = Vec::new();
            texts(&value, &mut expected);
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn any_text_is_taken(text in "\\PC{0,60}") {
        if let Some(records) = Records::read(&text) {
            prop_assert_eq!(records.a_field_a_line(&text).len(), text.len());
        }
    }
}
