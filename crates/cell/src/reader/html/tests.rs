//! The tokens beside those of a tokenizer that is tested against the standard's own suite.
#![allow(clippy::unwrap_used, reason = "tests")]

use html5gum::Tokenizer;
use proptest::prelude::*;

use super::element::kind;
use super::token::{Token, Tokens};

/// What both say of a source: text run together, names in small letters.
fn ours(source: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut tokens = Tokens::new(source);
    while let Some(token) = tokens.next() {
        match token {
            Token::Text(text) => push_text(&mut out, &htmlize::unescape(text)),
            Token::RawText(text) => push_text(&mut out, text),
            Token::Start(tag) => {
                let mut names: Vec<String> = Vec::new();
                let mut attributes = Vec::new();
                for (name, value) in tag.attributes() {
                    let name = name.to_ascii_lowercase();
                    if !names.contains(&name) {
                        attributes.push(format!("{name}={}", htmlize::unescape_attribute(value)));
                        names.push(name);
                    }
                }
                attributes.sort();
                out.push(format!("<{}> {}", tag.name.to_ascii_lowercase(), attributes.join(" ")));
                if let Some(raw) = naive_raw(tag.name) {
                    tokens.raw(tag.name, raw);
                }
            }
            Token::End(name) => out.push(format!("</{}>", name.to_ascii_lowercase())),
            Token::Comment(text) => push_comment(&mut out, text),
            Token::Doctype => out.push("<!doctype>".to_owned()),
        }
    }
    out
}

/// As the other one switches by itself.
fn naive_raw(name: &str) -> Option<super::token::Raw> {
    match name.to_ascii_lowercase().as_str() {
        "plaintext" => Some(super::token::Raw::ToTheEnd),
        name => kind(name).raw(),
    }
}

fn theirs(source: &str) -> Vec<String> {
    let mut emitter = html5gum::emitters::default::DefaultEmitter::<()>::new_with_span();
    emitter.naively_switch_states(true);
    let mut out = Vec::new();
    for token in Tokenizer::new_with_emitter(source, emitter) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match token.unwrap() {
            html5gum::Token::StartTag(tag) => {
                let mut attributes: Vec<String> =
                    tag.attributes.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect();
                attributes.sort();
                out.push(format!("<{}> {}", text(&tag.name), attributes.join(" ")));
            }
            html5gum::Token::EndTag(tag) => out.push(format!("</{}>", text(&tag.name))),
            html5gum::Token::String(string) => push_text(&mut out, &text(&string)),
            html5gum::Token::Comment(comment) => push_comment(&mut out, &text(&comment)),
            html5gum::Token::Doctype(_) => out.push("<!doctype>".to_owned()),
            html5gum::Token::Error(_) => {}
        }
    }
    out
}

/// A comment that the source breaks off ends before its last signs, which say nothing; nor does an empty one.
fn push_comment(out: &mut Vec<String>, text: &str) {
    let text = text.trim_end_matches(['-', '!']);
    if !text.is_empty() {
        out.push(format!("<!--{text}-->"));
    }
}

fn push_text(out: &mut Vec<String>, text: &str) {
    match out.last_mut() {
        Some(last) if last.starts_with('"') => last.push_str(text),
        _ => out.push(format!("\"{text}")),
    }
}

const PIECES: &[&str] = &[
    "<",
    ">",
    "/",
    "!",
    "-",
    "--",
    "<!--",
    "-->",
    "--!>",
    "<!",
    "</",
    "<?",
    "=",
    "\"",
    "'",
    " ",
    "\n",
    "\t",
    "x",
    "y",
    "<a",
    "<p>",
    "</p>",
    "<script>",
    "</script>",
    "<script",
    "</script ",
    "<style>",
    "</style>",
    "<title>",
    "</title>",
    "<textarea>",
    "</TEXTAREA>",
    "<xmp>",
    "</xmp>",
    "<plaintext>",
    "<!doctype html>",
    "<DIV",
    "hidden",
    "é",
    "日",
    "<é",
    "<!-",
    "<!x",
    "</>",
    "</ x>",
    "<a b=c>",
    "<a b=\"c\" b='d'>",
    "<iframe>",
    "</iframe>",
    "&amp;",
    "&lt",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn tokens_are_those_of_the_standard(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24)) {
        let source = pieces.concat();
        prop_assert_eq!(ours(&source), theirs(&source), "{}", source);
    }
}
