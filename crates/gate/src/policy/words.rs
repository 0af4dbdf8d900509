//! The words of a rule: a sentence with placeholders that the facts fill.

use std::fmt;

use autoshare_core::tool::Effect;

use crate::facts::{Facts, Values};

/// Characters of a name that somebody else chose, at most.
const SHOWN: usize = 200;

/// What fills a placeholder.
type Fill = fn(&Facts) -> String;

/// Every placeholder.
#[rustfmt::skip]
const SLOTS: &[(&str, Fill)] = &[
    ("tool",           |facts| facts.tool.clone()),
    ("server",         |facts| facts.server.clone().unwrap_or_else(|| "no server".to_owned())),
    ("verb",           |facts| verb(facts.effect).to_owned()),
    ("place",          |facts| or_none(&facts.place_words)),
    ("destroys",       |facts| or_none(facts.destroys.as_deref().unwrap_or_default())),
    ("command_source", |facts| source(facts.runs_from.as_ref())),
    ("secret_source",  |facts| source(facts.secret_read.as_ref())),
    ("secret",         |facts| or_none(facts.carries_secret.as_deref().unwrap_or_default())),
    ("targets",        |facts| values(&facts.targets)),
    ("amounts",        |facts| values(&facts.amounts)),
    ("secrets",        |facts| values(&facts.secrets)),
    ("contents",       |facts| values(&facts.contents)),
    ("queries",        |facts| values(&facts.queries)),
    ("links",          |facts| values(&facts.links)),
    ("address",        |facts| values(&facts.address)),
    ("fetched",        |facts| facts.fetched_from_source.to_string()),
];

/// A sentence with placeholders.
#[derive(Debug, Clone)]
pub(super) struct Words(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Slot(&'static str, Fill),
}

impl Words {
    /// Reads a sentence.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("@because is empty: say there what a person is told when the rule decides".to_owned());
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a { in @because has no }: close the placeholder")?;
            let (name, fill) = SLOTS.iter().find(|(slot, _)| *slot == name).ok_or_else(|| unknown(name))?;
            pieces.extend([Piece::Text(before.to_owned()), Piece::Slot(name, *fill)]);
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The sentence for a case.
    pub(super) fn fill(&self, facts: &Facts) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Slot(_, fill) => fill(facts),
        };
        self.0.iter().map(piece).collect()
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Slot(name, _) => write!(f, "{{{name}}}"),
        })
    }
}

fn unknown(name: &str) -> String {
    let known: Vec<&str> = SLOTS.iter().map(|(slot, _)| *slot).collect();
    format!("@because has the placeholder {{{name}}}, which nothing fills: use one of {}", known.join(", "))
}

const fn verb(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::WriteInside => "write",
        Effect::RunInside => "run",
        Effect::Fetch => "fetch",
        Effect::External => "reach",
        Effect::Destructive => "destroy",
    }
}

fn values(values: &Values) -> String {
    or_none(&values.words)
}

fn or_none(words: &str) -> String {
    if words.is_empty() { "none".to_owned() } else { words.to_owned() }
}

/// A source's name, with nothing in it that a terminal would obey.
fn source(name: Option<&String>) -> String {
    let Some(name) = name else { return "none".to_owned() };
    let short: String = name.chars().take(SHOWN).collect();
    if short.len() < name.len() { format!("{short:?}...") } else { format!("{short:?}") }
}
