//! What an operator says of single sources.

use autoshare_guard::rules::{Characters, SourceRule, Type};
use proptest::prelude::*;

#[test]
fn a_pattern_names_sources() {
    // (pattern, what it fits, what it does not)
    let table: &[(&str, &[&str], &[&str])] = &[
        ("file:a.md", &["file:a.md"], &["file:a.mdx", "file:b/a.md", ""]),
        ("file:*", &["file:", "file:a", "file:a/b.md"], &["mcp:file:a", "files:a"]),
        ("*", &["", "anything"], &[]),
        ("mcp:*/search*", &["mcp:web/search", "mcp:web/search(x)", "mcp:/search"], &["mcp:web/find", "mcp:search"]),
        ("*.md", &["file:a.md", ".md"], &["file:a.md.txt"]),
        ("a*a", &["aa", "aba"], &["a", "ab"]),
        ("", &[""], &["a"]),
    ];
    for (pattern, fits, others) in table {
        let rule = SourceRule { source: (*pattern).to_owned(), ..SourceRule::default() };
        assert!(fits.iter().all(|source| rule.fits(source)), "{pattern} {fits:?}");
        assert!(!others.iter().any(|source| rule.fits(source)), "{pattern} {others:?}");
    }
}

#[test]
fn a_text_is_what_it_is_and_not_what_it_is_called() {
    let table = [
        (Type::Json, "{\"a\": [1]}"),
        (Type::Json, " \n[1, 2]\n"),
        (Type::Text, "{\"a\": 1} and more"),
        (Type::Text, "[1, 2"),
        (Type::Text, "42"),
        (Type::Html, "<!DOCTYPE HTML>\n<p>x"),
        (Type::Html, "\u{feff} <html lang=en>"),
        (Type::Html, "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'/>"),
        (Type::Xml, "<?xml version='1.0'?><feed/>"),
        (Type::Html, "<!-- x --> <!-- y -->\n<!doctype html>"),
        (Type::Html, "<p align=center>A page's part.</p>"),
        (Type::Html, "Loading... <html><body>"),
        (Type::Text, "Write <b>bold</b> so."),
        (Type::Text, "<placeholder> stands for a name"),
        (Type::Text, ""),
    ];
    for (expected, text) in table {
        assert_eq!(Type::of(text), expected, "{text}");
    }
}

/// A text, and what is left of it with what is said of that, or why it is refused.
type Row<'t> = (&'t str, Result<(&'t str, Option<&'t str>), &'t str>);

#[test]
fn a_rule_takes_characters_out_and_refuses_what_its_source_may_not_send() {
    let rule = SourceRule {
        source: "mcp:shop/*".to_owned(),
        types: vec![Type::Json, Type::Text],
        characters: Some(Characters::parse(r"[\p{Latin}\p{Common}]").unwrap()),
        max_bytes: Some(60),
        max_depth: Some(2),
        detector: None,
    };
    let table: [Row; 7] = [
        ("Größe: 12 €\n\tok", Ok(("Größe: 12 €\n\tok", None))),
        ("раy me", Ok(("y me", Some("removed 2 characters outside [\\p{Latin}\\p{Common}]")))),
        ("{\"a\": [\"α\"]}", Ok(("{\"a\": [\"\"]}", Some("removed 1 character outside [\\p{Latin}\\p{Common}]")))),
        ("{\"a\": [[1]]}", Err("it has 3 levels of JSON, and its source may send 2")),
        ("[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", Err("it has 20 levels of JSON, and its source may send 2")),
        ("<html><p>x", Err("it is html, and its source may send json, text only")),
        (&"x".repeat(61), Err("it has 61 bytes, and its source may send 60")),
    ];
    for (text, expected) in table {
        let got = rule.apply(text);
        let got = got.as_ref().map(|(kept, said)| (kept.as_ref(), said.as_deref())).map_err(String::as_str);
        assert_eq!(got, expected, "{text}");
    }
}

#[test]
fn what_is_no_class_of_characters_is_said() {
    for wrong in ["abc", "[a-", r"\p{Latn1}", "[a-z]+", "(?:a|bc)"] {
        assert!(Characters::parse(wrong).is_err(), "{wrong}");
    }
    for right in ["[a-z]", r"\p{Greek}", r"[^\p{Han}]", "[[:ascii:]]"] {
        assert!(Characters::parse(right).is_ok(), "{right}");
    }
}

proptest! {
    #[test]
    fn what_is_left_holds_only_what_it_may(text in ".{0,80}") {
        let characters = Some(Characters::parse("[[:ascii:]]").unwrap());
        let rule = SourceRule { characters, ..SourceRule::default() };
        let (kept, said) = rule.apply(&text).unwrap();
        prop_assert!(kept.is_ascii());
        prop_assert_eq!(said.is_none(), text.is_ascii());
        prop_assert_eq!(kept.len(), text.bytes().filter(u8::is_ascii).count());
    }
}
