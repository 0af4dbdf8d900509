//! The second stage: what a reader would not see is taken out, and reported.
//!
//! Control characters and escape sequences, bidi overrides, characters without ink where Unicode gives them no
//! meaning, tag characters: with these a text says one thing to a person and another to a model.

use std::borrow::Cow;

use crate::scan::{Seen, balanced_bidi, escape_sequence, look};
use crate::unicode::{is_bidi_mark, is_bidi_run};

/// A class of hidden characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A C0 or C1 control character or DEL. Line feed, tab and the carriage return before a line feed are not among
    /// these; a carriage return elsewhere is replaced by a line feed.
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
    if text.bytes().all(|b| matches!(b, b'\n' | b'\t' | b' '..=b'~')) {
        return (Cow::Borrowed(text), Vec::new());
    }
    let bidi = balanced_bidi(text);
    let mut bidi = bidi.iter().copied().peekable();
    let mut out = String::with_capacity(text.len());
    let mut findings = Vec::new();
    let mut prev = None;
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(c) = rest.chars().next()
    {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        while bidi.next_if(|kept| *kept < at).is_some() {}
        let closed = is_bidi_run(c) && bidi.peek() == Some(&at);
        let lone_mark = is_bidi_mark(c) && !prev.is_some_and(is_bidi_mark);
        let line_end = c == '\r' && after.starts_with('\n');
        let seen = if closed || lone_mark || line_end { Seen::Kept(c.len_utf8()) } else { look(prev, c, after) };
        let bytes = match seen {
            Seen::Kept(bytes) => {
                let kept = rest.get(..bytes).unwrap_or_default();
                out.push_str(kept);
                prev = kept.chars().next_back();
                bytes
            }
            Seen::Hidden(class) => {
                let (class, bytes) = match escape_sequence(rest) {
                    Some(bytes) => (Class::EscapeSequence, bytes),
                    None => (class, c.len_utf8()),
                };
                if c == '\r' {
                    out.push('\n');
                    prev = Some('\n');
                }
                note(&mut findings, class, at, bytes);
                bytes
            }
        };
        at += bytes;
    }
    if findings.is_empty() { (Cow::Borrowed(text), findings) } else { (Cow::Owned(out), findings) }
}

fn note(findings: &mut Vec<Finding>, class: Class, at: usize, bytes: usize) {
    if let Some(finding) = findings.iter_mut().find(|finding| finding.class == class) {
        finding.count += 1;
        finding.bytes += bytes;
    } else {
        findings.push(Finding { class, count: 1, bytes, first_at: at });
    }
}
