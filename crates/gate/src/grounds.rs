//! Which statements of an answer rest on whose words.
//!
//! Words cannot be denied as an action can. So a person is told, for each sentence of an answer, in which untrusted sources
//! the telling part of it stands: a name, a number, an address, quoted words, or a run of words. What a model says in words
//! of its own shares nothing with what it read and is not found: what is listed rests on others, what is not listed may.

use autoshare_core::verdict::Provenance;
use serde::Serialize;

use crate::provenance::normal::{normal, spellings, words};
use crate::provenance::{History, credentials, links};
use crate::warrant::lexicon::is_common;

/// Searches for one answer at most; what is beyond is not looked at, and that is said.
const MAX_SEARCHES: usize = 2_000;
/// Carriers of data that are named at most.
pub const MAX_CARRIERS: usize = 50;
/// Sources that are named for one statement at most.
const MAX_SOURCES: usize = 5;
/// Shared values that are named for one statement at most.
const MAX_SHARED: usize = 5;
/// Words in a row that nobody has in common with another by chance, if one of them is uncommon.
const RUN: usize = 4;
/// The same where all of them are common.
const COMMON_RUN: usize = 7;
/// Digits that make a number telling by themselves.
const TELLING_DIGITS: usize = 3;

/// A statement of an answer that others' words hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ground {
    /// The statement, as it stands in the answer; unencoded.
    pub statement: String,
    /// The untrusted sources that share something with it.
    pub sources: Vec<String>,
    /// What they share.
    pub shared: Vec<String>,
}

/// Something in an answer that may carry data out once it is shown or followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Carrier {
    /// What it is.
    pub kind: CarrierKind,
    /// It, as it stands in the answer; unencoded.
    pub text: String,
}

/// What may carry data out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CarrierKind {
    /// A picture that a program which renders the answer would fetch.
    Picture,
    /// An address that the model put together after it had read what others wrote.
    ComposedAddress,
    /// What looks like a credential.
    Credential,
}

/// What an answer rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grounds {
    /// The statements that rest on others' words, in the order of the answer.
    pub statements: Vec<Ground>,
    /// What in it may carry data out, at most [`MAX_CARRIERS`].
    pub carriers: Vec<Carrier>,
    /// Whether all of the answer was looked at.
    pub complete: bool,
}

impl Default for Grounds {
    fn default() -> Self {
        Self { statements: Vec::new(), carriers: Vec::new(), complete: true }
    }
}

/// What the statements of an answer rest on, by what was read before it was given.
#[must_use]
pub fn grounds(answer: &str, history: &History) -> Grounds {
    let mut grounds = Grounds { carriers: carriers(answer, history), ..Grounds::default() };
    if !history.is_tainted() {
        return grounds;
    }
    let mut left = MAX_SEARCHES;
    for statement in sentences(answer) {
        let mut search = Searching { history, left: &mut left, sources: Vec::new(), shared: Vec::new() };
        let complete = search.values(statement) && search.runs(statement);
        if !search.sources.is_empty() {
            let (sources, shared) = (search.sources, search.shared);
            grounds.statements.push(Ground { statement: statement.to_owned(), sources, shared });
        }
        if !complete {
            grounds.complete = false;
            break;
        }
    }
    grounds
}

fn carriers(answer: &str, history: &History) -> Vec<Carrier> {
    let mut found = Vec::new();
    let mut add = |kind, text: &str| {
        let carrier = Carrier { kind, text: text.to_owned() };
        if found.len() < MAX_CARRIERS && !found.contains(&carrier) {
            found.push(carrier);
        }
    };
    for picture in pictures(answer) {
        add(CarrierKind::Picture, picture);
    }
    for address in links(answer) {
        let is_composed = history.locate_address(address).provenance == Provenance::TaintedModel;
        if is_composed && says_more_than_a_host(address) {
            add(CarrierKind::ComposedAddress, address);
        }
    }
    for credential in credentials(answer) {
        // The end of its sentence is none of it.
        add(CarrierKind::Credential, credential.trim_end_matches(['.', ',', ';', '!', '?']));
    }
    found
}

/// The addresses of pictures in Markdown or HTML that are fetched from somewhere.
fn pictures(text: &str) -> impl Iterator<Item = &str> {
    let is_remote = |address: &&str| address.contains("://") || address.starts_with("//");
    let markdown = text.split("![").skip(1).filter_map(|rest| {
        let (_, rest) = rest.split_once("](")?;
        rest.split([')', ' ', '\n']).next()
    });
    let html = text.match_indices("<img").filter_map(|(at, _)| {
        let tag = text.get(at..)?.split('>').next()?;
        let (_, value) = tag.split_once("src")?;
        value.trim_start_matches([' ', '=', '"', '\'']).split(['"', '\'', ' ']).next()
    });
    markdown.map(|address| address.trim_start_matches('<')).chain(html).filter(is_remote)
}

/// Whether an address has room for more than whom it leads to.
fn says_more_than_a_host(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split_once(['/', '?', '#']).is_some_and(|(_, rest)| !rest.is_empty())
}

struct Searching<'s> {
    history: &'s History,
    left: &'s mut usize,
    sources: Vec<String>,
    shared: Vec<String>,
}

impl Searching<'_> {
    /// Whether others hold it; `None` if no search is left.
    fn is_held(&mut self, forms: &[String]) -> Option<bool> {
        *self.left = self.left.checked_sub(1)?;
        let sources = self.history.held_by(forms, MAX_SOURCES);
        for source in &sources {
            if self.sources.len() < MAX_SOURCES && !self.sources.iter().any(|known| known == source) {
                self.sources.push((*source).to_owned());
            }
        }
        Some(!sources.is_empty())
    }

    fn share(&mut self, value: &str) {
        let own = normal(value);
        if self.shared.iter().any(|known| normal(known).contains(&own)) {
            return;
        }
        // What stands in a longer one is told by that.
        self.shared.retain(|known| !own.contains(&normal(known)));
        if self.shared.len() < MAX_SHARED {
            self.shared.push(value.to_owned());
        }
    }

    /// Looks for single values; whether all were looked for.
    fn values(&mut self, statement: &str) -> bool {
        for value in telling(statement) {
            match self.is_held(&spellings(value)) {
                Some(true) => self.share(value),
                Some(false) => {}
                None => return false,
            }
        }
        true
    }

    /// Looks for runs of words; whether all were looked for. Runs that overlap are one.
    fn runs(&mut self, statement: &str) -> bool {
        let text = normal(statement);
        let places: Vec<(usize, usize)> = words(&text).collect();
        let mut held: Vec<(usize, usize)> = Vec::new();
        let mut complete = true;
        for at in 0..places.len() {
            let Some((start, end)) = run(&text, places.get(at..).unwrap_or_default()) else { continue };
            match self.is_held(&[text.get(start..end).unwrap_or_default().to_owned()]) {
                Some(true) => match held.last_mut() {
                    Some((_, last)) if start <= *last => *last = end,
                    _ => held.push((start, end)),
                },
                Some(false) => {}
                None => {
                    complete = false;
                    break;
                }
            }
        }
        held.iter().for_each(|(start, end)| self.share(text.get(*start..*end).unwrap_or_default()));
        complete
    }
}

/// The shortest telling run that begins with the first of these words.
fn run(text: &str, places: &[(usize, usize)]) -> Option<(usize, usize)> {
    let (start, _) = places.first()?;
    let word = |&(from, to): &(usize, usize)| text.get(from..to).unwrap_or_default();
    let is_uncommon = |word: &str| word.len() > 3 && !is_common(word);
    let short = places.get(..RUN)?;
    let len = if short.iter().map(word).any(is_uncommon) { RUN } else { COMMON_RUN };
    let (_, end) = places.get(len.checked_sub(1)?)?;
    Some((*start, *end))
}

/// The single values of a statement that say where it comes from: addresses, quoted words, numbers, names.
fn telling(statement: &str) -> Vec<&str> {
    let mut values = links(statement);
    values.extend(quoted(statement));
    let words = statement.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && !marks(c)));
    for (at, word) in words.filter(|word| !word.is_empty()).enumerate() {
        let bare = word.trim_matches(marks);
        if is_number(bare) || is_name(bare, at == 0) {
            values.push(bare);
        } else if is_number(word) {
            values.push(word);
        }
    }
    values
}

/// What stands beside a number and makes a price or a share of it.
const fn marks(c: char) -> bool {
    matches!(c, '$' | '€' | '£' | '%')
}

/// What stands between quotation marks in a text.
fn quoted(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (open, close) in [('"', '"'), ('“', '”'), ('«', '»'), ('`', '`')] {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once(open) {
            let Some((inside, after)) = after.split_once(close) else { break };
            let inside = inside.trim();
            if inside.chars().count() >= TELLING_DIGITS && !is_common(&inside.to_lowercase()) {
                found.push(inside);
            }
            rest = after;
        }
    }
    found
}

/// Three digits, or two with a mark that makes a price, a time or a share of them.
fn is_number(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let marked = word.contains(|c| marks(c) || matches!(c, '.' | ',' | ':' | '/' | '-'));
    digits >= TELLING_DIGITS || (digits >= TELLING_DIGITS - 1 && marked)
}

/// Written large where no sentence begins, or in a way in which no common word is written.
fn is_name(word: &str, is_first: bool) -> bool {
    let mut large = word.chars().map(char::is_uppercase);
    let begins = large.next().unwrap_or_default();
    let inside = large.any(|large| large);
    (inside || (begins && !is_first)) && word.chars().count() >= TELLING_DIGITS && !is_common(&word.to_lowercase())
}

/// The sentences of a text: to a full stop, a question or exclamation mark before a blank, or the end of a line.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| {
        let mut rest = line;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (sentence, after) = rest.split_at(end_of_sentence(rest));
            rest = after;
            Some(sentence)
        })
        .map(|sentence| sentence.trim().trim_start_matches(['-', '*', '#', '>', ' ']))
        .filter(|sentence| !sentence.is_empty())
    })
}

fn end_of_sentence(text: &str) -> usize {
    let mut ends = false;
    for (at, c) in text.char_indices() {
        if ends && c.is_whitespace() {
            return at;
        }
        ends = matches!(c, '.' | '!' | '?') || (ends && matches!(c, '"' | '”' | '\'' | '’' | ')' | '*'));
    }
    text.len()
}

#[cfg(test)]
#[path = "grounds_tests.rs"]
mod tests;
