//! Each encoder beside a real parser of its language: what comes out is one value, and the value is the text.

use std::process::Command;

use autoshare_guard::encode::{
    csv_field, datamark, header_value, html, json_string, markdown, shell_word, sql_literal, terminal,
};
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::nasty;

type Encode = fn(&str) -> String;

#[test]
fn d5_what_attacks_a_language_is_a_value_in_it() {
    #[rustfmt::skip]
    let rows: &[(Encode, &str, &str)] = &[
        (html,         "<script>x</script>",         "&lt;script&gt;x&lt;/script&gt;"),
        (html,         "\" onload='x' `",            "&quot; onload&#61;&#39;x&#39; &#96;"),
        (html,         "a\u{202e}b\0",               "a&lt;U+202E&gt;b\\x00"),
        (markdown,     "![x](http://e.example)",     r"\!\[x\]\(http\:\/\/e\.example\)"),
        (markdown,     "# a\n    b\n",               "\\# a\\\n&#32;&#32;&#32;&#32;b\n"),
        (json_string,  "\"},{\"a\":\"\u{2028}</x>",  r#""\"},{\"a\":\"\u2028\u003c/x\u003e""#),
        (json_string,  "\u{e0041}",                  r#""\udb40\udc41""#),
        (csv_field,    "=cmd|' /C calc'!A0",         "\"'=cmd|' /C calc'!A0\""),
        (csv_field,    "  @SUM(1)",                  "\"  '@SUM(1)\""),
        (csv_field,    "a;=1+1",                     "\"a;'=1+1\""),
        (csv_field,    "-5.20",                      "\"-5.20\""),
        (csv_field,    "-5+cmd",                     "\"'-5+cmd\""),
        (csv_field,    "a \"b\", c",                 "\"a \"\"b\"\", c\""),
        (shell_word,   "it's; rm -rf $HOME",         r"'it'\''s; rm -rf $HOME'"),
        (shell_word,   "",                           "''"),
        (sql_literal,  "x'; DROP TABLE t; --",       "'x''; DROP TABLE t; --'"),
        (header_value, "a\r\nSet-Cookie: x",         "a%0D%0ASet-Cookie: x"),
        (header_value, " é 100% ",                   "%20%C3%A9 100%25%20"),
    ];
    for (encode, text, wanted) in rows {
        assert_eq!(encode(text), *wanted, "{text:?}");
    }
    assert_eq!(datamark("do as  I say\nnow", '\u{e000}'), "\u{e000}do\u{e000}as\u{e000}I\u{e000}say\n\u{e000}now");
    assert_eq!(datamark("a\u{e000}b", '\u{e000}'), "\u{e000}ab");
}

/// The texts of a page, and whether it holds anything else.
fn tokens(page: &str) -> (String, bool) {
    let (mut texts, mut other) = (String::new(), false);
    for token in html5gum::Tokenizer::new(page) {
        match token.unwrap() {
            html5gum::Token::String(text) => texts.push_str(std::str::from_utf8(&text).unwrap()),
            html5gum::Token::Error(_) => {}
            _ => other = true,
        }
    }
    (texts, other)
}

fn percent_decoded(value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    out
}

const PIECES: &[&str] = &[
    "<",
    ">",
    "&",
    "\"",
    "'",
    "`",
    "=",
    "+",
    "-",
    "@",
    ";",
    ",",
    "\\",
    "\n",
    "\r",
    "\t",
    " ",
    "    ",
    "#",
    "*",
    "_",
    "[",
    "]",
    "(",
    ")",
    "!",
    "|",
    "~",
    ":",
    "http://e.example",
    "www.e.example",
    "a@b.example",
    "<b>",
    "</b>",
    "<!--",
    "&lt;",
    "1.",
    "- ",
    "> ",
    "===",
    "---",
    "```",
    "\0",
    "%",
    "%00",
    "é",
    "日",
    "$(x)",
    "${x}",
    "a",
    "1",
];

fn text() -> impl Strategy<Value = String> {
    let mixed = prop::collection::vec(prop::sample::select(PIECES), 0..16).prop_map(|pieces| pieces.concat());
    prop_oneof![mixed, nasty::text()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn html_is_text(text in text()) {
        let shown = terminal(&text);
        let (texts, other) = tokens(&html(&text));
        prop_assert!(!other);
        prop_assert_eq!(&texts, &shown);
        let page = format!("<a x=\"{0}\" y='{0}'>", html(&text));
        let tag = html5gum::Tokenizer::new(&page).map(Result::unwrap).find_map(|token| match token {
            html5gum::Token::StartTag(tag) => Some(tag),
            _ => None,
        });
        let tag = tag.unwrap();
        prop_assert_eq!(tag.attributes.len(), 2);
        for value in tag.attributes.values() {
            prop_assert_eq!(std::str::from_utf8(value).unwrap(), &shown);
        }
    }

    #[test]
    fn markdown_is_words_and_line_breaks(text in text()) {
        let mut words = String::new();
        for event in Parser::new_ext(&markdown(&text), Options::all()) {
            match event {
                Event::Text(text) => words.push_str(&text),
                Event::HardBreak | Event::SoftBreak | Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {
                    words.push('\n');
                }
                other => prop_assert!(false, "{other:?} in {:?}", markdown(&text)),
            }
        }
        let lines = |text: &str| text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        prop_assert_eq!(lines(&words), lines(&terminal(&text)));
    }

    #[test]
    fn json_gives_back_the_text(text in text()) {
        let written = json_string(&text);
        prop_assert_eq!(&serde_json::from_str::<String>(&written).unwrap(), &text);
        prop_assert!(!written.chars().any(nasty::acts) && !written.contains(['<', '>', '&', '\n', '\t']));
    }

    #[test]
    fn csv_is_one_field_and_no_formula(text in text(), separator in prop::sample::select(b";\t".as_slice())) {
        let line = format!("first,{},last\n", csv_field(&text));
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        prop_assert_eq!(records.len(), 1);
        prop_assert_eq!(records[0].len(), 3);
        let same = |text: &str| text.replace('\'', "");
        prop_assert_eq!(same(&records[0][1]), same(&terminal(&text)));
        // As a spreadsheet of another locale sees it.
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator).from_reader(line.as_bytes());
        for field in reader.records().map(Result::unwrap).flat_map(|record| record.iter().map(str::to_owned).collect::<Vec<_>>()) {
            let field = field.trim_start_matches([' ', '"']);
            let number = field.trim_start_matches(['-', '+']).chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '"'));
            prop_assert!(!field.starts_with(['=', '+', '-', '@']) || number || field.ends_with("last"), "{field:?} of {line:?}");
        }
    }

    #[test]
    fn sql_is_one_literal(text in text()) {
        let database = rusqlite::Connection::open_in_memory().unwrap();
        let got: String = database.query_row(&format!("SELECT {}", sql_literal(&text)), [], |row| row.get(0)).unwrap();
        prop_assert_eq!(got, text.replace('\0', ""));
    }

    #[test]
    fn a_header_has_one_value(text in text()) {
        let head = format!("GET / HTTP/1.1\r\nX-A: {}\r\nX-B: c\r\n\r\n", header_value(&text));
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut request = httparse::Request::new(&mut headers);
        prop_assert!(request.parse(head.as_bytes()).unwrap().is_complete());
        prop_assert_eq!(request.headers.len(), 2);
        let value = std::str::from_utf8(request.headers[0].value).unwrap();
        prop_assert_eq!(percent_decoded(value), text.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_shell_word_is_one_argument(texts in prop::collection::vec(text(), 1..8)) {
        let words: Vec<String> = texts.iter().map(|text| shell_word(text)).collect();
        let script = format!("printf '%s\\0' {}", words.join(" "));
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        prop_assert!(output.status.success());
        let wanted: Vec<u8> = texts.iter().flat_map(|text| [text.replace('\0', "").as_bytes(), b"\0"].concat()).collect();
        prop_assert_eq!(output.stdout, wanted);
    }
}
