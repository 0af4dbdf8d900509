//! Long texts are judged in pages, so that memory is bounded. Pages overlap: no sentence is seen by halves alone.

use std::ops::Range;

/// Bytes of a page, about.
const PAGE: usize = 32 << 10;
/// Bytes that a page shares with the one before, about.
const OVERLAP: usize = 1 << 10;

/// The pages of a text: they cover it, begin after a line end or a space where one is near, and lie on borders of
/// characters.
pub(super) fn pages(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let start = next?;
        if start >= text.len() {
            return None;
        }
        let end = border(text, start + PAGE);
        next = (end < text.len()).then(|| border(text, end - OVERLAP));
        Some(start..end)
    })
}

/// The last good place for a cut at or a little before `at`.
fn border(text: &str, at: usize) -> usize {
    let end = text.floor_char_boundary(at.min(text.len()));
    if end == text.len() {
        return end;
    }
    let reach = text.floor_char_boundary(end.saturating_sub(OVERLAP / 2));
    let near = text.get(reach..end).unwrap_or_default();
    let cut = near.rfind('\n').or_else(|| near.rfind(' ')).map_or(end, |found| reach + found + 1);
    cut.max(1)
}
