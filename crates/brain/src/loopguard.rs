//! When a brain that goes on makes no progress.
//!
//! Only (action, result) pairs are compared, so polling is left alone as long as its results differ: one result that
//! is different starts every count again.

use std::collections::VecDeque;

use autoshare_core::Digest;
use autoshare_core::outcome::{Ending, Outcome};
use autoshare_core::tool::Action;

/// Equal (action, result) pairs in a row that end a brain.
pub const SAME_RESULTS: usize = 4;
/// Equal (action, error) pairs in a row that end a brain. A refusal is an error.
pub const SAME_ERRORS: usize = 3;
/// Pairs in a row that end a brain when they are two in turn: A, B, A, B, A, B.
pub const ALTERNATING: usize = 6;

/// The latest (action, result) pairs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoopGuard {
    latest: VecDeque<Pair>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    digest: Digest,
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
        let ending = format!("{:?}", outcome.ending);
        self.note(action, &[ending.as_bytes(), text.as_bytes()], outcome.ending != Ending::Done)
    }

    /// Notes that an action was refused; `Some` as in [`LoopGuard::observed`].
    pub fn refused(&mut self, action: &Action, why: &str) -> Option<String> {
        self.note(action, &[b"refused", why.as_bytes()], true)
    }

    fn note(&mut self, action: &Action, result: &[&[u8]], is_error: bool) -> Option<String> {
        let result = Digest::of_parts(result);
        let digest = Digest::of_parts(&[action.digest().as_bytes(), result.as_bytes()]);
        self.latest.push_back(Pair { digest, is_error });
        if self.latest.len() > ALTERNATING {
            self.latest.pop_front();
        }
        self.verdict(&action.tool)
    }

    fn verdict(&self, tool: &str) -> Option<String> {
        let mut newest_first = self.latest.iter().rev();
        let newest = newest_first.next()?;
        let run = 1 + newest_first.take_while(|pair| *pair == newest).count();
        if newest.is_error && run >= SAME_ERRORS {
            return Some(format!(
                "no progress: {tool} with the same arguments failed the same way {run} times in a row"
            ));
        }
        if run >= SAME_RESULTS {
            return Some(format!(
                "no progress: {tool} with the same arguments gave the same result {run} times in a row"
            ));
        }
        let two_apart = self.latest.iter().zip(self.latest.iter().skip(2)).all(|(one, other)| one == other);
        if self.latest.len() == ALTERNATING && two_apart {
            return Some(format!(
                "no progress: the same two actions with the same results, in turn, {} times",
                ALTERNATING / 2
            ));
        }
        None
    }
}
