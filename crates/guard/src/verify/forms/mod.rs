//! What can be decoded from a text: encodings of bytes, and disguises of words.
//!
//! Each finder passes over the text once and hands over what it decoded, which is never longer than twice what it stood
//! for. A finder may find too much: what is decoded from harmless text is judged and found harmless.

mod disguise;
mod encoding;

use std::ops::Range;

/// In what form of a text something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// As it stands.
    Plain,
    /// Decoded from base64.
    Base64,
    /// Decoded from hexadecimal digits.
    Hex,
    /// Decoded from `%41`.
    UrlEncoded,
    /// Decoded from `&#65;`.
    HtmlEntities,
    /// Decoded from `\u0041` or `\x41`.
    Escapes,
    /// Every letter thirteen places on.
    Rot13,
    /// Read backwards.
    Reversed,
    /// Letters that only look like the ones they stand for: of other scripts, styled, with stacked marks.
    Skeleton,
    /// Digits and signs in place of letters.
    Leet,
    /// Words put together from spaced letters, or from one or two words a line.
    Joined,
}

impl Form {
    /// The form in words, as in `seen in base64`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Plain => "plain text",
            Self::Base64 => "base64",
            Self::Hex => "hexadecimal digits",
            Self::UrlEncoded => "percent encoding",
            Self::HtmlEntities => "HTML entities",
            Self::Escapes => "character escapes",
            Self::Rot13 => "rot13",
            Self::Reversed => "reversed text",
            Self::Skeleton => "look-alike letters",
            Self::Leet => "digits for letters",
            Self::Joined => "split words",
        }
    }
}

/// Where decoded texts are handed to: form, place, text.
pub(super) type See<'a> = &'a mut dyn FnMut(Form, Range<usize>, &str);

/// Hands everything that is decoded from `text` to `see`.
pub(super) fn decoded(text: &str, see: See<'_>) {
    encoding::find(text, see);
    disguise::find(text, see);
}

/// Hands what encodings of bytes hide in `text` to `see`. The second layer of a wrapping is looked at in this way alone,
/// so that the work stays a small multiple of the length.
pub(super) fn encoded(text: &str, see: See<'_>) {
    encoding::find(text, see);
}

/// Bytes of a line from which it is parted at its fields.
const LONG: usize = 400;

/// The lines of a text with where they begin, without line ends. A long line is parted where a quoted text ends, so that what
/// one field of a record hides takes no other away.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    let whole = text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line.trim_end_matches('\n'))
    });
    whole.flat_map(|(start, line)| {
        let mut rest = Some((start, line));
        std::iter::from_fn(move || {
            let (start, line) = rest?;
            let end = if line.len() > LONG { end_of_field(line) } else { line.len() };
            let (field, after) = line.split_at_checked(end)?;
            rest = (!after.is_empty()).then_some((start + end, after));
            Some((start, field))
        })
    })
}

/// Where the first quoted text ends that another value follows, behind its quotation mark.
fn end_of_field(line: &str) -> usize {
    let ends = line.as_bytes().windows(2).position(|two| matches!(two, [b'"', b',' | b'}' | b']']));
    ends.map_or(line.len(), |at| at + 1)
}
