//! When a brain that goes on makes no progress.
//!
//! What is compared are actions with their results, so polling is left alone as long as its results differ: one result that
//! is different starts every count again. The one exception is an action that fails again and again in words which differ in
//! numbers alone (how long it took, which line): that is no progress either.
//!
//! What these numbers find, and what they leave, is measured on a table of traces (`tests/it/traces.rs`).

use std::collections::VecDeque;

use autoshare_core::Digest;
use autoshare_core::outcome::{Ending, Outcome};
use autoshare_core::tool::Action;

/// Equal (action, result) pairs in a row that end a brain.
pub const SAME_RESULTS: usize = 4;
/// Equal (action, error) pairs in a row that end a brain. A refusal is an error.
pub const SAME_ERRORS: usize = 3;
/// Equal actions in a row that end a brain when all failed, in words that differ in numbers alone.
pub const SIMILAR_ERRORS: usize = 6;
/// Pairs that are looked for as a cycle, at most: two are A, B, A, B. One action whose results come in turn is none.
pub const LONGEST_CYCLE: usize = 6;
/// Times that a cycle is gone through which end a brain.
pub const CYCLES: usize = 3;

/// The latest (action, result) pairs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoopGuard {
    latest: VecDeque<Pair>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    action: Digest,
    result: Digest,
    /// Of the result without its numbers.
    gist: Digest,
    is_error: bool,
}

impl LoopGuard {
    /// A guard that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { latest: VecDeque::new() }
    }

    /// Notes what came of an action; `Some` says, in words, why the brain is to end. The name of the file that a large
    /// result went to differs each time, and is left out of the comparison.
    pub fn observed(&mut self, action: &Action, outcome: &Outcome) -> Option<String> {
        let text = match &outcome.spilled {
            Some(file) if !file.is_empty() => outcome.text.replace(file, ""),
            _ => outcome.text.clone(),
        };
        self.note(action, &format!("{:?}", outcome.ending), &text, outcome.ending != Ending::Done)
    }

    /// Notes that an action was refused; `Some` as in [`LoopGuard::observed`].
    pub fn refused(&mut self, action: &Action, why: &str) -> Option<String> {
        self.note(action, "refused", why, true)
    }

    fn note(&mut self, action: &Action, ending: &str, text: &str, is_error: bool) -> Option<String> {
        let digest = |text: &str| Digest::of_parts(&[ending.as_bytes(), text.as_bytes()]);
        let gist = if is_error { digest(&without_numbers(text)) } else { digest(text) };
        self.latest.push_back(Pair { action: action.digest(), result: digest(text), gist, is_error });
        if self.latest.len() > LONGEST_CYCLE * CYCLES {
            self.latest.pop_front();
        }
        self.verdict(&action.tool)
    }

    fn verdict(&self, tool: &str) -> Option<String> {
        let newest = self.latest.back()?;
        let run = |is_alike: &dyn Fn(&Pair) -> bool| self.latest.iter().rev().take_while(|pair| is_alike(pair)).count();
        let same = run(&|pair| pair == newest);
        if newest.is_error && same >= SAME_ERRORS {
            return Some(format!(
                "no progress: {tool} with the same arguments failed the same way {same} times in a row"
            ));
        }
        if same >= SAME_RESULTS {
            return Some(format!(
                "no progress: {tool} with the same arguments gave the same result {same} times in a row"
            ));
        }
        let similar = run(&|pair| pair.is_error && pair.action == newest.action && pair.gist == newest.gist);
        if similar >= SIMILAR_ERRORS {
            return Some(format!(
                "no progress: {tool} with the same arguments failed {similar} times in a row, but for numbers the same way"
            ));
        }
        let cycle = (2..=LONGEST_CYCLE).find(|length| self.is_cycle(*length))?;
        Some(format!("no progress: the same {cycle} actions with the same results, in turn, {CYCLES} times"))
    }

    /// Whether the latest pairs are a cycle of this length, of more than one action.
    fn is_cycle(&self, length: usize) -> bool {
        let Some(first) = self.latest.len().checked_sub(length * CYCLES) else { return false };
        let latest = || self.latest.iter().skip(first);
        let mut actions = latest().map(|pair| pair.action);
        let one = actions.next();
        latest().zip(latest().skip(length)).all(|(pair, later)| pair == later)
            && actions.any(|action| Some(action) != one)
    }
}

/// A text with one `0` in place of each number.
fn without_numbers(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '0'..='9' if kept.ends_with('0') => {}
            '0'..='9' => kept.push('0'),
            c => kept.push(c),
        }
    }
    kept
}
