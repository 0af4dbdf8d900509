//! The first stage: a text has the size it may have.

use std::borrow::Cow;

/// What was left out of a text that was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The byte of the text at which the gap begins.
    pub at: usize,
    /// Bytes left out.
    pub omitted: usize,
}

/// The text with at most `max_bytes` bytes: two thirds head, one third tail, and between them a note that says how much
/// is missing. Below the size of that note (some 50 bytes) there is only a head.
///
/// Cuts fall between characters.
#[must_use]
pub fn bounded(text: &str, max_bytes: usize) -> (Cow<'_, str>, Option<Cut>) {
    if text.len() <= max_bytes {
        return (Cow::Borrowed(text), None);
    }
    // The number in the note is at most as long as that of the whole text.
    let room = max_bytes.saturating_sub(note(text.len()).len());
    if room == 0 {
        let head = text.get(..text.floor_char_boundary(max_bytes)).unwrap_or_default();
        return (Cow::Borrowed(head), Some(Cut { at: head.len(), omitted: text.len() - head.len() }));
    }
    let tail_len = room / 3;
    let head = text.get(..text.floor_char_boundary(room - tail_len)).unwrap_or_default();
    let tail = text.get(text.ceil_char_boundary(text.len() - tail_len)..).unwrap_or_default();
    let omitted = text.len() - head.len() - tail.len();
    (Cow::Owned(format!("{head}{}{tail}", note(omitted))), Some(Cut { at: head.len(), omitted }))
}

fn note(omitted: usize) -> String {
    format!("\n[... {omitted} bytes left out here ...]\n")
}
