//! A warrant without a model: the tools whose verbs and nouns the goal uses, and whom or what it names with each.

use autoshare_core::tool::{Role, ToolSpec};
use autoshare_core::warrant::{DrawnBy, Warrant, Warranted};

use super::file::matters;
use super::lexicon::{MAKES, MONEY, PAYS, is_ambiguous, looks, noun, singular, verb};
use super::words::{Token, clauses};
use crate::provenance::issued::words_of;

/// Characters of a clause that are shown for an effect.
const SHOWN: usize = 120;
/// Targets of one effect at most.
const MAX_TARGETS: usize = 50;

/// Words before which a word that could be either is a verb.
const BEFORE_VERBS: &[&str] = &[
    "please",
    "to",
    "just",
    "now",
    "you",
    "can",
    "could",
    "should",
    "must",
    "will",
    "would",
    "kindly",
    "first",
    "again",
    "not",
    "finally",
    "let's",
    "we",
    "i'll",
    "automatically",
    "immediately",
    "directly",
    "simply",
];
/// Words after which a verb is what somebody does, not what is asked for.
const SUBJECTS: &[&str] =
    &["they", "he", "she", "who", "which", "that", "it", "someone", "somebody", "people", "i", "did", "does"];
/// Words that turn the rest of a clause around.
const NEGATIONS: &[&str] = &["not", "don't", "never", "without", "dont", "don’t", "doesn't", "instead"];
/// Words that speak of somebody or something without a name.
const DETERMINERS: &[&str] = &[
    "the",
    "a",
    "an",
    "that",
    "this",
    "each",
    "every",
    "all",
    "any",
    "those",
    "these",
    "my",
    "our",
    "your",
    "their",
    "his",
    "her",
    "which",
    "another",
    "some",
    "both",
    "necessary",
    "same",
    "corresponding",
    "respective",
];
const PRONOUNS: &[&str] =
    &["them", "him", "her", "there", "everyone", "everybody", "someone", "somebody", "it", "one", "me"];

/// Divides what a person wrote into their own words and what they pasted: blocks between fences, and quoted lines.
#[must_use]
pub fn own_words(text: &str) -> (String, Vec<String>) {
    let mut own = String::new();
    let mut pasted: Vec<String> = Vec::new();
    let mut fenced = false;
    let mut quoted = false;
    for line in text.split_inclusive('\n') {
        let begins = line.trim_start();
        let is_fence = begins.starts_with("```") || begins.starts_with("~~~") || begins.starts_with("\"\"\"");
        if is_fence {
            fenced = !fenced;
            if fenced {
                pasted.push(String::new());
            }
            continue;
        }
        let is_quote = begins.starts_with('>');
        if is_quote && !quoted && !fenced {
            pasted.push(String::new());
        }
        quoted = is_quote;
        match pasted.last_mut() {
            Some(last) if fenced || is_quote => last.push_str(line),
            _ => own.push_str(line),
        }
    }
    (own, pasted)
}

/// The warrant that the words of a goal give by fixed rules. Tools that only look are in no warrant.
#[must_use]
pub fn draft(goal: &str, tools: &[ToolSpec]) -> Warrant {
    let (own, _) = own_words(goal);
    let clauses = clauses(&own);
    let tools: Vec<Named<'_>> = tools.iter().filter(|tool| matters(tool.effect)).map(Named::of).collect();
    let mut effects: Vec<Warranted> = Vec::new();
    for (at, clause) in clauses.iter().enumerate() {
        let asked = asked_for(clause);
        if asked == 0 {
            continue;
        }
        let about = clause.iter().fold(0, |bits, token| bits | noun(&token.lower));
        let fits: Vec<(&Named<'_>, u32)> = tools
            .iter()
            .filter(|tool| tool.verbs & asked != 0)
            .map(|tool| (tool, tool.likeness(clause, about)))
            .collect();
        let best = fits.iter().map(|(_, likeness)| *likeness).max().unwrap_or_default();
        for (tool, likeness) in fits {
            if likeness == best {
                add(&mut effects, tool.warranted(&clauses, at));
            }
        }
    }
    Warrant { by: DrawnBy::Draft, effects }
}

/// The warrant with what further words of the person ask for; `None` if they ask for nothing more.
#[must_use]
pub fn widen(warrant: Option<&Warrant>, words: &str, tools: &[ToolSpec]) -> Option<Warrant> {
    let asked = draft(words, tools);
    if asked.effects.is_empty() {
        return None;
    }
    let mut effects = warrant.map(|warrant| warrant.effects.clone()).unwrap_or_default();
    asked.effects.into_iter().for_each(|effect| add(&mut effects, effect));
    Some(Warrant { by: DrawnBy::Person, effects })
}

/// The verbs that a clause asks for, as classes.
fn asked_for(clause: &[Token]) -> u32 {
    let mut asked = 0;
    let mut negated = false;
    for (at, token) in clause.iter().enumerate() {
        negated |= NEGATIONS.contains(&token.lower.as_str());
        let before = at.checked_sub(1).and_then(|at| clause.get(at)).map(|token| token.lower.as_str());
        let after = clause.get(at + 1).map(|token| token.lower.as_str());
        if token.is_name || negated {
            continue;
        }
        let place = before.is_none_or(|word| BEFORE_VERBS.contains(&word));
        let is_verb = place || (!is_ambiguous(&token.lower) && !before.is_some_and(|word| SUBJECTS.contains(&word)));
        // "Make sure" and "set up" are one verb each.
        let word = match (token.lower.as_str(), after) {
            ("make", Some("sure" | "certain")) => continue,
            // That is what the answer is for.
            ("tell" | "let" | "inform" | "give" | "say", Some("me" | "us")) => continue,
            ("set", Some("up")) => "create",
            (word, _) => word,
        };
        if is_verb {
            asked |= verb(word);
        }
    }
    asked
}

fn add(effects: &mut Vec<Warranted>, new: Warranted) {
    match effects.iter_mut().find(|known| known.tool == new.tool) {
        // What two clauses ask of one tool is aimed at what either names.
        Some(known) => {
            known.described |= new.described;
            for target in new.targets {
                if !known.targets.contains(&target) && known.targets.len() < MAX_TARGETS {
                    known.targets.push(target);
                }
            }
        }
        None => effects.push(new),
    }
}

/// A tool by what its name and its parameters' names say.
struct Named<'t> {
    spec: &'t ToolSpec,
    verbs: u32,
    nouns: Vec<String>,
    /// The groups of its nouns.
    groups: u32,
    /// The groups of what it is aimed at.
    aims: u32,
    /// Targets that a call must carry.
    required: usize,
}

impl<'t> Named<'t> {
    fn of(spec: &'t ToolSpec) -> Self {
        let name = spec.served.as_ref().map_or(spec.name.as_str(), |served| served.tool.as_str());
        let words = words_of(name);
        let first_verb = words.iter().position(|word| verb(word) != 0 || looks(word));
        let nouns: Vec<String> = words
            .iter()
            .enumerate()
            .filter(|(at, _)| Some(*at) != first_verb)
            .map(|(_, word)| singular(word).to_owned())
            .collect();
        let groups = nouns.iter().fold(0, |bits, word| bits | noun(word));
        // A verb that may be a noun counts only where it comes first: `pay_invoice` makes no invoice.
        let counts = |at: usize, word: &str| Some(at) == first_verb || !is_ambiguous(word);
        let mut verbs = words.iter().enumerate().filter(|(at, word)| counts(*at, word)).fold(0, |bits, (_, word)| {
            // To write to somebody is to tell; a tool that writes makes something.
            bits | verb(word) | if word == "write" { MAKES } else { 0 }
        });
        let has_amount = spec.params.iter().any(|param| param.role == Role::Amount);
        if groups & MONEY == 0 && !has_amount {
            verbs &= !PAYS;
        }
        let targets = spec.params.iter().filter(|param| param.role == Role::Target);
        let mut aims = targets.clone().flat_map(|param| words_of(&param.name)).fold(0, |bits, word| bits | noun(&word));
        let by_id = targets.clone().any(|param| words_of(&param.name).iter().any(|word| word == "id"));
        if by_id {
            aims |= groups;
        }
        let required = targets.filter(|param| param.required).count();
        Self { spec, verbs, nouns, groups, aims, required }
    }

    /// How much of its name a clause uses.
    fn likeness(&self, clause: &[Token], about: u32) -> u32 {
        let exact =
            self.nouns.iter().filter(|noun| clause.iter().any(|token| singular(&token.lower) == noun.as_str())).count();
        let alike = (self.groups & about).count_ones();
        let aimed = u32::from(self.aims & about != 0);
        u32::try_from(exact).unwrap_or(0) * 3 + alike * 2 + aimed
    }

    fn warranted(&self, clauses: &[Vec<Token>], at: usize) -> Warranted {
        let clause = clauses.get(at).map(Vec::as_slice).unwrap_or_default();
        let mut targets: Vec<String> = names(clause);
        let refers = clause.iter().any(|token| PRONOUNS.contains(&token.lower.as_str()) && token.lower != "it");
        if refers || targets.is_empty() {
            for earlier in clauses.get(..at).unwrap_or_default() {
                targets.extend(names(earlier));
            }
        }
        targets.truncate(MAX_TARGETS);
        let described = refers || targets.is_empty() || self.required != 1 || self.describes(clause);
        let because: String = clause.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ");
        let because = because.chars().take(SHOWN).collect();
        Warranted { tool: self.spec.name.clone(), targets, described, because }
    }

    /// Whether a clause speaks of a target without naming it: "the channel with the most users", but not "the 'general'
    /// channel" or "the channel 'general'".
    fn describes(&self, clause: &[Token]) -> bool {
        clause.iter().enumerate().filter(|(_, token)| DETERMINERS.contains(&token.lower.as_str())).any(|(at, _)| {
            let ahead = clause.get(at + 1..).unwrap_or_default();
            let words = ahead.iter().take(4).take_while(|token| !token.is_name).enumerate();
            let is_named = |at: usize| ahead.get(at + 1).is_some_and(|token| token.is_name);
            words.filter(|(at, _)| !is_named(*at)).any(|(_, token)| noun(&token.lower) & self.aims != 0)
        })
    }
}

fn names(clause: &[Token]) -> Vec<String> {
    clause.iter().filter(|token| token.is_name).map(|token| token.text.clone()).collect()
}
