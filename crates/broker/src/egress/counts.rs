//! What was reached, and how much passed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use autoshare_core::event::Reach;

/// Different targets that are counted one by one until they are taken; those beyond are counted together.
const COUNTED: usize = 1000;
/// Bytes of a target's name that are kept: a name of the DNS has 253 at most.
const NAME: usize = 270;
/// Different words about refusals that are kept.
const WORDS: usize = 20;

/// A target as it is counted, and the name of the credential that its requests bore.
type Key = (String, Option<String>);

/// Counts, by target.
#[derive(Debug, Default)]
pub(super) struct Counts {
    reached: Mutex<BTreeMap<Key, Reach>>,
    words: Mutex<BTreeSet<String>>,
}

impl Counts {
    /// Counts something at a target; `credential` is the name of the one that was put into the request.
    pub(super) fn count(&self, target: &str, credential: Option<&str>, what: impl FnOnce(&mut Reach)) {
        let name = target.get(..target.floor_char_boundary(NAME)).unwrap_or_default();
        let key = (name.to_owned(), credential.map(str::to_owned));
        let mut reached = locked(&self.reached);
        let key = if reached.contains_key(&key) || reached.len() < COUNTED { key } else { ("others".to_owned(), None) };
        let one = reached.entry(key).or_insert_with_key(|(target, credential)| Reach {
            target: target.clone(),
            connections: 0,
            refused: 0,
            sent: 0,
            received: 0,
            credential: credential.clone(),
        });
        what(one);
    }

    /// Counts a refusal of which no answer can tell the program, or not enough, in words for a person.
    pub(super) fn refuse(&self, target: &str, credential: Option<&str>, words: String) {
        self.count(target, credential, |one| one.refused += 1);
        let mut all = locked(&self.words);
        if all.len() < WORDS {
            all.insert(words);
        }
    }

    /// What was counted since it was last taken.
    pub(super) fn take(&self) -> Vec<Reach> {
        std::mem::take(&mut *locked(&self.reached)).into_values().collect()
    }

    /// The words so far.
    pub(super) fn words(&self) -> Vec<String> {
        locked(&self.words).iter().cloned().collect()
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
