//! The second stage: what a reader would not see is taken out, and reported.
//!
//! Control characters and escape sequences, bidi overrides, characters without ink where Unicode gives them no
//! meaning, tag characters: with these a text says one thing to a person and another to a model.

use std::borrow::Cow;

use crate::scan::{Seen, balanced_bidi, escape_sequence, look, ordinary};
use crate::unicode::{is_bidi_mark, is_bidi_run};

/// A class of hidden characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A C0 or C1 control character or DEL. Line feed, tab, the carriage return before a line feed and the form feed
    /// with which a line begins (source code has them between its parts) are not among these; a carriage return
    /// elsewhere is replaced by a line feed.
    Control,
    /// A whole terminal escape sequence, its text included (a title, the address of a link).
    EscapeSequence,
    /// A bidi override, or an embedding or isolate that is not closed within its line, or one mark after another.
    Bidi,
    /// A character of no width outside the scripts, emoji and notations that need it.
    ZeroWidth,
    /// A tag character outside the flags of regions: with these, ASCII can be written invisibly.
    Tag,
    /// A variation selector after a character that has no such variant.
    VariationSelector,
}

impl Class {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Control => ("control character", "control characters"),
            Self::EscapeSequence => ("escape sequence", "escape sequences"),
            Self::Bidi => ("bidi control", "bidi controls"),
            Self::ZeroWidth => ("zero-width character", "zero-width characters"),
            Self::Tag => ("tag character", "tag characters"),
            Self::VariationSelector => ("stray variation selector", "stray variation selectors"),
        }
    }
}

/// What was taken out of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// The class.
    pub class: Class,
    /// How many: sequences for [`Class::EscapeSequence`], characters otherwise.
    pub count: usize,
    /// Their bytes.
    pub bytes: usize,
    /// The byte of the original text at which the first stood.
    pub first_at: usize,
}

impl Finding {
    /// Such as `2 escape sequences`.
    #[must_use]
    pub fn words(&self) -> String {
        let (one, many) = self.class.words();
        format!("{} {}", self.count, if self.count == 1 { one } else { many })
    }
}

/// The text as a reader sees it, and one finding a class of what was taken out. Text of which nothing is taken out is
/// returned as it is.
#[must_use]
pub fn visible(text: &str) -> (Cow<'_, str>, Vec<Finding>) {
    skipping(text, ordinary)
}

/// [`visible`]: `skip` tells how much at the beginning of a text need not be looked at.
fn skipping(text: &str, skip: impl Fn(&str) -> usize) -> (Cow<'_, str>, Vec<Finding>) {
    let mut bidi = None;
    let mut out = String::new();
    let mut findings = Vec::new();
    // The last character kept, what is looked at, and the beginning of what is kept and not yet written down.
    let (mut prev, mut at, mut from) = (None, 0, 0);
    while let Some(rest) = text.get(at..) {
        if let Some(run) = rest.get(..skip(rest)).filter(|run| !run.is_empty()) {
            prev = run.chars().next_back();
            at += run.len();
            continue;
        }
        let Some(c) = rest.chars().next() else { break };
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let closed = is_bidi_run(c) && {
            let kept = bidi.get_or_insert_with(|| balanced_bidi(text).into_iter().peekable());
            while kept.next_if(|kept| *kept < at).is_some() {}
            kept.peek() == Some(&at)
        };
        let lone_mark = is_bidi_mark(c) && !prev.is_some_and(is_bidi_mark);
        let line_end = c == '\r' && after.starts_with('\n');
        let page_break = c == '\u{C}' && prev.is_none_or(|prev| prev == '\n');
        let seen =
            if closed || lone_mark || line_end || page_break { Seen::Kept(c.len_utf8()) } else { look(prev, c, after) };
        at += match seen {
            Seen::Kept(bytes) => {
                prev = rest.get(..bytes).and_then(|kept| kept.chars().next_back());
                bytes
            }
            Seen::Hidden(class) => {
                let (class, bytes) = match escape_sequence(rest) {
                    Some(bytes) => (Class::EscapeSequence, bytes),
                    None => (class, c.len_utf8()),
                };
                out.push_str(text.get(from..at).unwrap_or_default());
                from = at + bytes;
                if c == '\r' {
                    out.push('\n');
                    prev = Some('\n');
                }
                note(&mut findings, class, at, bytes);
                bytes
            }
        };
    }
    if findings.is_empty() {
        return (Cow::Borrowed(text), findings);
    }
    out.push_str(text.get(from..).unwrap_or_default());
    (Cow::Owned(out), findings)
}

fn note(findings: &mut Vec<Finding>, class: Class, at: usize, bytes: usize) {
    if let Some(finding) = findings.iter_mut().find(|finding| finding.class == class) {
        finding.count += 1;
        finding.bytes += bytes;
    } else {
        findings.push(Finding { class, count: 1, bytes, first_at: at });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{skipping, visible};

    /// What is skipped in blocks, and what ends a block anywhere in it.
    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~\n\t]{0,80}",
            "[а-яё .]{0,60}",
            "[一-龥，。]{0,40}",
            "[ء-ي ]{0,60}",
            "(a\r\n){0,9}",
            "[\u{80}-\u{a0}\u{ad}\u{34f}\u{61c}\u{115f}\u{180b}-\u{180e}\u{200b}-\u{200f}\u{202a}-\u{202e}]{1,2}",
            "[\u{2060}-\u{206f}\u{3164}\u{fe00}-\u{fe0f}\u{feff}\u{ffa0}\u{1bca0}\u{1d173}\u{e0000}-\u{e01ff}]{1,2}",
            "[\u{1b}\r\u{7}\u{9b}\\]\\[;m-]{1,4}",
            any::<String>(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        #[test]
        fn what_is_skipped_changes_nothing(pieces in prop::collection::vec(piece(), 0..8)) {
            let text = pieces.concat();
            prop_assert_eq!(visible(&text), skipping(&text, |_| 0));
        }
    }
}
