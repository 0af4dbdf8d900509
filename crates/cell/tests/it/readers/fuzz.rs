//! What fuzzing does to the readers, in little and every time: no bytes make them panic, hang, or pass a bound.

use std::hint::black_box;
use std::time::{Duration, Instant};

use autoshare_cell::reader::read;
use autoshare_core::document::{Document, Hint, MAX_ASIDE, MAX_ASIDES, MAX_SAMPLE, MAX_TEXT};
use proptest::collection::vec;
use proptest::prelude::*;

use super::hint;

const NAMES: &[&str] = &["a.html", "a.md", "a.eml", "a.docx", "a.txt", ""];

pub(crate) fn is_bounded(document: &Document) {
    assert!(document.text.len() <= MAX_TEXT && document.asides.len() <= MAX_ASIDES);
    assert!(
        document.asides.iter().all(|aside| aside.text.len() <= MAX_ASIDE && aside.at <= document.text.len() as u64)
    );
    assert!(document.removed.iter().all(|removed| removed.sample.len() <= MAX_SAMPLE && removed.count > 0));
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

#[test]
fn d6_time_is_linear_in_hostile_documents() {
    for piece in HOSTILE {
        for (name, begin) in [("a.html", "<!doctype html><style>.x{display:none}</style>"), ("a.md", "")] {
            let time = |bytes: usize| {
                let source = format!("{begin}{}", piece.repeat(bytes / piece.len()));
                let runs = (0..3).map(|_| {
                    let start = Instant::now();
                    let _ = black_box(read(source.as_bytes(), &hint(name)));
                    start.elapsed()
                });
                runs.min().unwrap().max(Duration::from_micros(500))
            };
            let (small, large) = (time(1 << 14), time(1 << 18));
            // Sixteen times the text: quadratic time would be 256 times as long.
            assert!(large < small * 100, "{piece:?} as {name}: {small:?} for 16 KiB, {large:?} for 256 KiB");
        }
    }
}
