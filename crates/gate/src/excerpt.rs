//! A value in the text in which it stands, for a person to look at.

use std::cmp::Reverse;

use crate::provenance::normal::{is_word, spellings};

/// Bytes of a text that are looked through at most.
const MAX_TEXT: usize = 4 * 1024 * 1024;

/// A value and what stands around it; all as it stands in the text, unencoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// What stands before it.
    pub before: String,
    /// It, as it is spelt there.
    pub value: String,
    /// What stands after it.
    pub after: String,
}

/// Where a value stands in a text, in one of its spellings, with at most `around` characters on each side. As a word of its
/// own, if it stands there so anywhere.
#[must_use]
pub fn excerpt(text: &str, value: &str, around: usize) -> Option<Excerpt> {
    let folded = Folded::of(text.get(..text.floor_char_boundary(MAX_TEXT))?);
    let places = spellings(value).into_iter().filter_map(|form| folded.find(&form));
    // Of several spellings at one place the longest: `1,200.00`, not `1,200`.
    let (_, from, to) = places.min_by_key(|(inside, from, to)| (*inside, *from, Reverse(*to)))?;
    let (before, after) = (text.get(..from)?, text.get(to..)?);
    let start = before.char_indices().rev().take(around).last().map_or(from, |(at, _)| at);
    Some(Excerpt {
        before: before.get(start..)?.to_owned(),
        value: text.get(from..to)?.to_owned(),
        after: after.chars().take(around).collect(),
    })
}

/// A text in lower case, runs of white space as one blank; and for each byte of that, where it stands in the text.
struct Folded {
    text: String,
    places: Vec<usize>,
    len: usize,
}

impl Folded {
    fn of(text: &str) -> Self {
        let mut folded = Self { text: String::with_capacity(text.len()), places: Vec::new(), len: text.len() };
        let mut gap = false;
        for (at, c) in text.char_indices() {
            let blank = c.is_whitespace();
            if !blank || !gap {
                let lower = if blank { ' '.to_lowercase() } else { c.to_lowercase() };
                folded.text.extend(lower);
                folded.places.resize(folded.text.len(), at);
            }
            gap = blank;
        }
        folded
    }

    /// Where a spelling stands: whether inside of a longer word, and from where to where in the text itself.
    fn find(&self, form: &str) -> Option<(bool, usize, usize)> {
        if form.is_empty() {
            return None;
        }
        let found = self.text.match_indices(form).map(|(at, _)| {
            let end = at + form.len();
            let joins =
                |inner: Option<char>, outer: Option<char>| inner.is_some_and(is_word) && outer.is_some_and(is_word);
            let before = self.text.get(..at).and_then(|text| text.chars().next_back());
            let after = self.text.get(end..).and_then(|text| text.chars().next());
            let inside = joins(form.chars().next(), before) || joins(form.chars().next_back(), after);
            let place = |at: usize| self.places.get(at).copied().unwrap_or(self.len);
            (inside, place(at), place(end))
        });
        found.min()
    }
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    fn shown(text: &str, value: &str) -> Option<String> {
        excerpt(text, value, 6).map(|found| format!("{}[{}]{}", found.before, found.value, found.after))
    }

    #[test]
    fn a_value_is_found_as_it_is_spelt_there() {
        let rows = [
            ("Please pay EVE@evil.test today", "eve@evil.test", Some("e pay [EVE@evil.test] today")),
            ("a total of 1,200.00 euros", "1200", Some("al of [1,200.00] euros")),
            ("spread\n  over   lines", "over lines", Some("ead\n  [over   lines]")),
            ("concatenate a cat", "cat", Some("ate a [cat]")),
            ("Ünïcödé: ÄRGER im Büro", "ärger", Some("cödé: [ÄRGER] im Bü")),
            ("nothing of it", "elsewhere", None),
            ("anything", "", None),
        ];
        for (text, value, expected) in rows {
            assert_eq!(shown(text, value).as_deref(), expected, "{value:?} in {text:?}");
        }
    }
}
