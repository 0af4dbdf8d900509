//! Which refused requests are written down: not every one of a flood.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoshare_core::TokenId;

/// Between two entries of the audit trail about the same refusal.
const NOTED_APART: Duration = Duration::from_secs(60);
/// Refusals that are remembered for that at most.
const MAX_NOTED: usize = 10_000;
#[derive(Default)]
pub(crate) struct Refusals {
    /// When they were last written down, by token and reason.
    noted: Mutex<HashMap<(TokenId, &'static str), Instant>>,
}

impl Refusals {
    /// Whether one is to be written down: once a minute for each token and reason, so that who asks in vain without end fills
    /// no disk.
    pub(crate) fn is_to_be_noted(&self, token: &TokenId, code: &'static str) -> bool {
        let key = (token.clone(), code);
        let is_recent = |at: &Instant| at.elapsed() < NOTED_APART;
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(&key).is_some_and(is_recent) {
            return false;
        }
        if noted.len() >= MAX_NOTED {
            noted.retain(|_, at| is_recent(at));
        }
        let has_room = noted.len() < MAX_NOTED;
        if has_room {
            noted.insert(key, Instant::now());
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_written_down_once_a_minute_and_there_is_an_end_of_what_is_remembered() {
        let refusals = Refusals::default();
        let token = |n: usize| TokenId::parse(&format!("{n:08o}").replace('0', "8").replace('1', "9")).unwrap();
        assert!(refusals.is_to_be_noted(&token(2), "rate") && !refusals.is_to_be_noted(&token(2), "rate"));
        assert!(refusals.is_to_be_noted(&token(2), "forbidden") && refusals.is_to_be_noted(&token(3), "rate"));
        let noted = (0..MAX_NOTED + 10).filter(|n| refusals.is_to_be_noted(&token(*n), "rate")).count();
        assert_eq!(noted, MAX_NOTED - 3);
    }
}
