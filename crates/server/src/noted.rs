//! What was written down of late, so that who does the same without end fills no disk.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two entries about the same.
const APART: Duration = Duration::from_secs(60);
/// What is remembered for that at most; more is not written down.
const MOST: usize = 10_000;

/// When what was written down last.
#[derive(Debug)]
pub(crate) struct Noted<K>(Mutex<HashMap<K, Instant>>);

impl<K> Default for Noted<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq> Noted<K> {
    /// Whether this was written down within a minute.
    pub(crate) fn is_recent(&self, what: &K) -> bool {
        self.noted().get(what).is_some_and(is_recent)
    }

    /// Whether this is to be written down: once a minute.
    pub(crate) fn is_new(&self, what: K) -> bool {
        let mut noted = self.noted();
        if noted.get(&what).is_some_and(is_recent) {
            return false;
        }
        if noted.len() >= MOST {
            noted.retain(|_, at| is_recent(at));
        }
        let has_room = noted.len() < MOST;
        if has_room {
            noted.insert(what, Instant::now());
        }
        has_room
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<K, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_recent(at: &Instant) -> bool {
    at.elapsed() < APART
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_written_down_once_a_minute_and_there_is_an_end_of_what_is_remembered() {
        let noted = Noted::default();
        assert!(noted.is_new(0) && !noted.is_new(0) && noted.is_new(1));
        assert_eq!((2..2 * MOST).filter(|what| noted.is_new(*what)).count(), MOST - 2);
        assert!(!noted.is_new(0), "what is remembered is not forgotten for it");
    }
}
