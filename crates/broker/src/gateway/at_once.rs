//! Calls at once, those included that wait for their turn: so many of a gateway's callers together, and so many of each, so
//! that one of them leaves room for the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use autoshare_core::TokenId;
use hyper::StatusCode;

use super::refusal::Refusal;

/// How many calls of a gateway there are.
#[derive(Debug)]
pub(super) struct AtOnce {
    all: usize,
    each: usize,
    taken: Mutex<BTreeMap<Option<TokenId>, usize>>,
}

/// A call that is counted, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    calls: Arc<AtOnce>,
    caller: Option<TokenId>,
}

impl AtOnce {
    pub(super) fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { all, each, taken: Mutex::default() })
    }

    /// Counts a call of `caller`.
    pub(super) fn enter(self: &Arc<Self>, caller: &Option<TokenId>) -> Result<Counted, Refusal> {
        let mut taken = self.taken();
        let own = taken.get(caller).copied().unwrap_or(0);
        let words = if own >= self.each {
            format!("{own} calls of this caller are under way, which is all it may have ([gateway] max_calls_each)")
        } else if taken.values().sum::<usize>() >= self.all {
            format!("{} calls are under way, which is all this gateway takes ([gateway] max_calls)", self.all)
        } else {
            taken.insert(caller.clone(), own + 1);
            return Ok(Counted { calls: Arc::clone(self), caller: caller.clone() });
        };
        let status = if own >= self.each { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::SERVICE_UNAVAILABLE };
        Err(Refusal::new(status, "overloaded", words).later(1))
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<Option<TokenId>, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut taken = self.calls.taken();
        match taken.get_mut(&self.caller) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                taken.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e7_one_caller_leaves_room_for_the_others() {
        let calls = AtOnce::new(5, 3);
        let [greedy, other] = [1, 2].map(|seed| Some(TokenId::from_random([seed; 5])));
        let mut held: Vec<Counted> = (0..3).map(|_| calls.enter(&greedy).unwrap()).collect();
        let refusal = calls.enter(&greedy).unwrap_err();
        assert!(refusal.status == 429 && refusal.words.contains("max_calls_each"), "{}", refusal.words);
        held.extend((0..2).map(|_| calls.enter(&other).unwrap()));
        let refusal = calls.enter(&None).unwrap_err();
        assert!(refusal.status == 503 && refusal.words.contains("max_calls)"), "{}", refusal.words);
        held.remove(0);
        assert!(calls.enter(&greedy).is_ok());
        drop(held);
        assert!(calls.taken().is_empty(), "nothing is kept of whoever has gone");
    }
}
