//! What fuzzing does to the readers, in little and every time: no bytes make them panic, hang, or pass a bound.

use std::hint::black_box;
use std::time::{Duration, Instant};

use autoshare_cell::reader::read;
use autoshare_core::document::{Document, Hint, MAX_ASIDE, MAX_ASIDES, MAX_HIDDEN, MAX_SAMPLE, MAX_TEXT};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{hint, html};

const NAMES: &[&str] = &["a.html", "a.md", "a.eml", "a.docx", "a.txt", ""];

pub(crate) fn is_bounded(document: &Document) {
    assert!(document.text.len() <= MAX_TEXT && document.asides.len() <= MAX_ASIDES);
    assert!(
        document.asides.iter().all(|aside| aside.text.len() <= MAX_ASIDE && aside.at <= document.text.len() as u64)
    );
    assert!(document.removed.iter().map(|removed| removed.text.len()).sum::<usize>() <= MAX_HIDDEN);
    for removed in &document.removed {
        assert!(removed.count > 0 && removed.cut <= removed.bytes);
        assert!(removed.kind.is_text() || removed.text.len() <= MAX_SAMPLE);
    }
    assert_eq!(*document, document.clone().checked());
}

/// Reads it as everything it could be.
fn every_reader(bytes: &[u8]) {
    for name in NAMES {
        if let Ok(document) = read(bytes, &hint(name)) {
            is_bounded(&document);
        }
    }
    let mime = |mime: &str| Hint { mime: Some(mime.to_owned()), name: None };
    for hint in [mime("text/html; charset=utf-16"), mime("text/markdown; charset=shift_jis"), mime("message/rfc822")] {
        if let Ok(document) = read(bytes, &hint) {
            is_bounded(&document);
        }
    }
}

const PIECES: &[&str] = &[
    "<!doctype html>",
    "<p>",
    "</p>",
    "<div hidden>",
    "</div>",
    "<table>",
    "<tr>",
    "<td>",
    "</table>",
    "<b>",
    "</b>",
    "<a href=x>",
    "</a>",
    "<li>",
    "<ul>",
    "</ul>",
    "<svg>",
    "</svg>",
    "<math>",
    "<template>",
    "</template>",
    "<style>",
    "p{display:none}",
    "</style>",
    "<script>",
    "</script>",
    "<!--",
    "-->",
    "<details>",
    "<summary>",
    "<select>",
    "<option>",
    "<blockquote>",
    "&amp;",
    "text ",
    "\n",
    "\n\n",
    "> ",
    "- ",
    "    ",
    "```",
    "[a](b \"c\")",
    "![a](http://b)",
    "[a]: b 'c'",
    "`",
    "<span style='",
    "'>",
    "color:#fff",
    "é",
    "日",
    "\u{202e}",
    "From: a@b\r\n",
    "To: c@d\r\n",
    "Subject: =?utf-8?q?x?=\r\n",
    "Content-Type: multipart/mixed; boundary=x\r\n",
    "Content-Type: text/html\r\n",
    "\r\n--x\r\n",
    "\r\n--x--\r\n",
    "\r\n\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "PK\u{3}\u{4}",
    "[Content_Types].xml",
    "word/",
    "%PDF-1.7",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        every_reader(&bytes);
    }

    #[test]
    fn pieces_of_documents_are_read_or_refused(pieces in vec(prop::sample::select(PIECES), 0..60)) {
        every_reader(pieces.concat().as_bytes());
    }

    #[test]
    fn a_reader_says_the_same_again(pieces in vec(prop::sample::select(PIECES), 0..40)) {
        let source = pieces.concat();
        prop_assert_eq!(read(source.as_bytes(), &hint("a.md")), read(source.as_bytes(), &hint("a.md")));
    }

    #[test]
    fn plain_text_is_untouched(text in "[a-zA-Z0-9 .,;!?éü日本\\n\\t]{0,200}") {
        prop_assert_eq!(read(text.as_bytes(), &hint("a.txt")).unwrap().text, text);
    }
}

/// What a naive reader goes over again and again.
const HOSTILE: &[&str] = &[
    "<",
    "<!--",
    "</",
    "<a ",
    "<a x='",
    "<div>",
    "<b>",
    "<b><p>",
    "<table><td>",
    "</b>",
    "<svg>",
    "<a href=x>y",
    "<script><!--",
    "&",
    "<li>",
    "<p>x</b>",
    "[",
    "](",
    "![",
    "*a_",
    "> ",
    "- ",
    "`",
    "[a]: b\n",
    "<div\n\n",
    "\n    ",
    "|",
    "<details>x",
    "<td></x>",
];

/// What is long in two places, each of which is gone over for every piece of the other. `{1}` and `{2}` stand for as many.
const HOSTILE_PAIRS: &[(&str, &str, &str, &str)] = &[
    ("a.html", "<!doctype html><style>.a p{display:none}</style><div class='{1}'>{2}", "a ", "<p>x"),
    ("a.html", "<!doctype html><style>.a{1}{display:none}</style>{2}", ".a", "<p class=a>x"),
    ("a.html", "<!doctype html><style>{1} .a{display:none}</style>{2}", "p ", "<p class=a>x"),
    ("a.html", "<!doctype html><style>{1}</style>{2}", ".a{display:none}", "<p class=a>x"),
    ("a.html", "<!doctype html><table title='{1}'>{2}", "x ", "<tr><td>x"),
    (
        "a.eml",
        "From: a@b\r\nTo: c@d\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n{1}{2}",
        "--x\r\n\r\na\r\n",
        "b ",
    ),
    ("a.eml", "From: a@b\r\nTo: {1}c@d\r\n\r\n{2}", "c@d, ", "b "),
    ("a.md", "{1}\n\n{2}", "[a]: b\n", "[a] "),
];

/// The least time of three runs.
fn time(name: &str, source: &str) -> Duration {
    let runs = (0..3).map(|_| {
        let start = Instant::now();
        let _ = black_box(read(source.as_bytes(), &hint(name)));
        start.elapsed()
    });
    runs.min().unwrap().max(Duration::from_micros(500))
}

/// How it goes on from there to 100 MB stands in docs/benchmarks.md: `--example readers -- growth`.
#[test]
fn d6_time_is_linear_in_hostile_documents() {
    for piece in HOSTILE {
        for (name, begin) in [("a.html", "<!doctype html><style>.x{display:none}</style>"), ("a.md", "")] {
            let time = |bytes: usize| time(name, &format!("{begin}{}", piece.repeat(bytes / piece.len())));
            let (small, large) = (time(1 << 14), time(1 << 18));
            // Sixteen times the text: quadratic time would be 256 times as long.
            assert!(large < small * 100, "{piece:?} as {name}: {small:?} for 16 KiB, {large:?} for 256 KiB");
        }
    }
    for (name, frame, one, two) in HOSTILE_PAIRS {
        let time = |bytes: usize| {
            let source =
                frame.replace("{1}", &one.repeat(bytes / one.len())).replace("{2}", &two.repeat(bytes / two.len()));
            time(name, &source)
        };
        let (small, large) = (time(1 << 14), time(1 << 18));
        assert!(large < small * 100, "{frame} as {name}: {small:?} for 16 KiB, {large:?} for 256 KiB");
    }
}

#[test]
fn an_element_with_more_classes_than_are_looked_at_is_not_shown() {
    let page = |classes: usize| {
        html(&format!(
            "<!doctype html><style>.a{{display:none}}</style>seen <i class='{} a'>x</i>",
            "b ".repeat(classes)
        ))
    };
    assert_eq!(page(10).text, "seen\n");
    assert_eq!(page(10_000).text, "seen\n");
}
