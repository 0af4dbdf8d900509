//! Where words stand in a long history: an inverted index over one text, built in linear time.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use autoshare_core::Seq;

use super::normal::{is_spaceless, is_word, words};

/// One text that was added.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Where it begins in all that was added.
    start: usize,
    /// What it is called.
    pub(crate) source: String,
    /// The record in which it stands.
    pub(crate) at: Option<Seq>,
}

/// A searchable history of texts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    text: String,
    entries: Vec<Entry>,
    places: HashMap<u64, Vec<u32>>,
    hasher: RandomState,
    /// Whether something could not be taken in any more.
    overflowed: bool,
}

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found<'i> {
    /// The text before it, to the beginning of its entry.
    pub(crate) before: &'i str,
    /// The text after it, to the end of all.
    pub(crate) after: &'i str,
    /// It.
    value: &'i str,
    /// The entry, by its number.
    pub(crate) entry: usize,
}

impl Index {
    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the entries are called, the latest first.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().rev().map(|entry| entry.source.as_str())
    }

    /// The normal texts that are called so, in the order in which they were added.
    pub(crate) fn texts(&self, source: &str) -> impl Iterator<Item = &str> {
        let ends = self.entries.iter().skip(1).map(|entry| entry.start).chain([self.text.len()]);
        let texts = self.entries.iter().zip(ends).filter(move |(entry, _)| entry.source == source);
        texts.filter_map(|(entry, end)| self.text.get(entry.start..end))
    }

    /// Whether there was more than it can hold (4 GiB).
    pub(crate) const fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Adds a normal text.
    pub(crate) fn add(&mut self, source: &str, at: Option<Seq>, normal: &str) {
        let start = self.text.len();
        if u32::try_from(start + normal.len() + 1).is_err() {
            self.overflowed = true;
            return;
        }
        self.entries.push(Entry { start, source: source.to_owned(), at });
        for (from, to) in words(normal) {
            let hash = self.hasher.hash_one(normal.get(from..to).unwrap_or_default());
            self.places.entry(hash).or_default().push(u32::try_from(start + from).unwrap_or(u32::MAX));
        }
        self.text.push_str(normal);
        // A character that is in no normal text keeps one text from running into the next.
        self.text.push('\n');
    }

    pub(crate) fn entry(&self, found: &Found<'_>) -> Option<&Entry> {
        self.entries.get(found.entry)
    }

    /// Where a normal text stands as whole words; nowhere, for what holds no word. `None` if its rarest word is at more places
    /// than `most`: what is so common is not looked for.
    pub(crate) fn find<'s>(&'s self, value: &'s str, most: usize) -> Option<impl Iterator<Item = Found<'s>>> {
        let mut rarest: Option<(usize, &[u32])> = None;
        for (from, to) in words(value) {
            let hash = self.hasher.hash_one(value.get(from..to).unwrap_or_default());
            let places = self.places.get(&hash).map_or(&[][..], Vec::as_slice);
            if rarest.is_none_or(|(_, fewest)| places.len() < fewest.len()) {
                rarest = Some((from, places));
            }
            if places.is_empty() {
                break;
            }
        }
        let (offset, places) = rarest.unwrap_or_default();
        let found = places.iter().filter_map(move |place| {
            let start = (*place as usize).checked_sub(offset)?;
            let end = start.checked_add(value.len())?;
            (self.text.get(start..end)? == value).then(|| self.place(start, end)).flatten()
        });
        (places.len() <= most).then_some(found)
    }

    fn place(&self, start: usize, end: usize) -> Option<Found<'_>> {
        let entry = self.entries.partition_point(|entry| entry.start <= start).checked_sub(1)?;
        let before = self.text.get(self.entries.get(entry)?.start..start)?;
        let after = self.text.get(end..)?;
        let runs_on = |edge: Option<char>, side: Option<char>| edge.is_some_and(runs) && side.is_some_and(runs);
        let value = self.text.get(start..end)?;
        let whole = !runs_on(value.chars().next(), before.chars().next_back())
            && !runs_on(value.chars().next_back(), after.chars().next());
        whole.then_some(Found { before, after, value, entry })
    }
}

impl Found<'_> {
    /// Whether nothing at either end makes it part of a longer word, number, path or address. A full stop that ends a
    /// sentence is no part of what comes before, and a comma after a number none of the number.
    pub(crate) fn stands_alone(&self) -> bool {
        let is_digit = |c: char| c.is_ascii_digit();
        let mut before = self.before.chars().rev();
        let mut after = self.after.chars();
        let goes_on = match (after.next(), after.next()) {
            (Some('.'), next) => next.is_some_and(|c| runs(c) || joins(c)),
            (Some(',' | ':'), Some(next)) => self.value.ends_with(is_digit) && is_digit(next),
            (Some(c), _) => runs(c) || joins(c),
            (None, _) => false,
        };
        let comes_from = match (before.next(), before.next()) {
            (Some(',' | ':'), Some(next)) => self.value.starts_with(is_digit) && is_digit(next),
            // o'brien@example.org
            (Some('\''), Some(next)) => self.value.contains('@') && runs(next),
            (Some(c), _) => runs(c) || joins(c),
            (None, _) => false,
        };
        !goes_on && !comes_from
    }

    /// Whether it stands in quotation marks.
    pub(crate) fn is_quoted(&self) -> bool {
        let pair = (self.before.chars().next_back(), self.after.chars().next());
        matches!(
            pair,
            (Some('\''), Some('\''))
                | (Some('"'), Some('"'))
                | (Some('`'), Some('`'))
                | (Some('“'), Some('”'))
                | (Some('‘'), Some('’'))
                | (Some('«'), Some('»'))
        )
    }

    /// Whether the word before it, past `:`, `=`, `#` and blanks, says that an identifier follows.
    pub(crate) fn is_introduced(&self) -> bool {
        let head = self.before.trim_end_matches([' ', ':', '=', '\'', '"', '(']);
        if head.ends_with('#') {
            return true;
        }
        let word: &str = head.rsplit(|c: char| !is_word(c)).next().unwrap_or_default();
        matches!(word, "id" | "ids" | "no" | "nr" | "number" | "num" | "key" | "code" | "called" | "named")
            || word.ends_with("_id")
    }
}

/// Whether a character is part of a word that goes on beyond it.
fn runs(c: char) -> bool {
    is_word(c) && !is_spaceless(c)
}

const fn joins(c: char) -> bool {
    matches!(c, '_' | '-' | '/' | '\\' | '.' | '@' | '~' | '+' | '%')
}
