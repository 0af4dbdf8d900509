//! A circuit breaker for each model of each provider: who fails is left alone for a while, and then asked once.
//!
//! It is fed by faults of the provider alone: statuses of the 500s, connections that do not come about, silence,
//! streams that are cut. What a caller did wrong (a status of the 400s) says nothing of the provider.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Faults one after another that open it: 5. 0 switches breakers off.
    pub faults: u32,
    /// How long it stays open before one call is let through: 15 s. It doubles with every call that fails then.
    pub rest: Duration,
    /// The longest it stays open: 300 s.
    pub longest_rest: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { faults: 5, rest: Duration::from_secs(15), longest_rest: Duration::from_secs(300) }
    }
}

/// What came of a call, as far as the provider is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// It answered as it should, or refused what it may refuse.
    None,
    /// It failed.
    Provider,
    /// Nobody knows: the caller went away before the answer.
    Unknown,
}

/// The breaker of one model of one provider.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Faults since the last success.
    faults: u32,
    /// Until when nothing is let through.
    until: Option<Instant>,
    /// The last time that it was opened for.
    rest: Duration,
    /// Since when a call is on its way that was let through to see.
    probing: Option<Instant>,
}

/// Leave to make one call. Say what came of it with [`Permit::end`]; one that is dropped says [`Blame::Unknown`].
#[derive(Debug)]
#[must_use]
pub struct Permit {
    breaker: Arc<Breaker>,
    /// A look at an open breaker must end in one way or another, or nobody else may look for long.
    owes: Owes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owes {
    Nothing,
    Look,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Arc<Self> {
        Arc::new(Self { settings, state: Mutex::new(State::default()) })
    }

    /// Asks to make a call.
    ///
    /// # Errors
    /// How long to wait, while it is open or the one call that looks is under way.
    pub fn ask(self: &Arc<Self>) -> Result<Permit, Duration> {
        self.ask_at(Instant::now()).map(|owes| Permit { breaker: Arc::clone(self), owes })
    }

    /// Whether a call would be let through now.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().until.is_none()
    }

    fn ask_at(&self, now: Instant) -> Result<Owes, Duration> {
        let mut state = self.lock();
        let Some(until) = state.until else { return Ok(Owes::Nothing) };
        if now < until {
            return Err(until - now);
        }
        // One looks; a look that never ended counts for as long as the breaker was open.
        if let Some(since) = state.probing
            && now < since + state.rest
        {
            return Err(since + state.rest - now);
        }
        state.probing = Some(now);
        Ok(Owes::Look)
    }

    fn tell_at(&self, blame: Blame, now: Instant) {
        let mut state = self.lock();
        match blame {
            Blame::None => *state = State::default(),
            Blame::Unknown => state.probing = None,
            Blame::Provider => {
                state.faults = state.faults.saturating_add(1);
                let failed_look = state.probing.take().is_some();
                if self.settings.faults == 0 || (state.faults < self.settings.faults && !failed_look) {
                    return;
                }
                // Calls that were under way when it opened say nothing new.
                if state.until.is_none() || failed_look {
                    let doubled = if failed_look { state.rest.saturating_mul(2) } else { self.settings.rest };
                    state.rest = doubled.min(self.settings.longest_rest);
                    state.until = now.checked_add(state.rest);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Says what came of the call.
    pub fn end(mut self, blame: Blame) {
        self.owes = Owes::Nothing;
        self.breaker.tell_at(blame, Instant::now());
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.owes == Owes::Look {
            self.breaker.tell_at(Blame::Unknown, Instant::now());
        }
    }
}

/// Models of one provider that have a breaker of their own at most. Their names are callers' words.
const MAX_BREAKERS: usize = 1_024;

/// The breakers of one provider's models.
#[derive(Debug)]
pub(crate) struct Breakers {
    settings: BreakerSettings,
    by_model: Mutex<BTreeMap<String, Arc<Breaker>>>,
}

impl Breakers {
    pub(crate) fn new(settings: BreakerSettings) -> Self {
        Self { settings, by_model: Mutex::default() }
    }

    pub(crate) fn of(&self, model: &str) -> Arc<Breaker> {
        let mut by_model = self.by_model.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = by_model.get(model) {
            return Arc::clone(known);
        }
        if by_model.len() >= MAX_BREAKERS {
            // What has nothing to remember is made again when it is needed.
            by_model.retain(|_, breaker| breaker.lock().faults > 0);
        }
        let breaker = Breaker::new(self.settings);
        if by_model.len() < MAX_BREAKERS {
            by_model.insert(model.to_owned(), Arc::clone(&breaker));
        }
        breaker
    }

    /// Whether one of them lets nothing through just now.
    pub(crate) fn is_one_open(&self) -> bool {
        let by_model = self.by_model.lock().unwrap_or_else(PoisonError::into_inner);
        by_model.values().any(|breaker| !breaker.is_closed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> Arc<Breaker> {
        Breaker::new(BreakerSettings { faults: 3, rest: 10 * SECOND, longest_rest: 30 * SECOND })
    }

    #[test]
    fn it_opens_after_faults_in_a_row_and_one_call_looks_whether_it_may_close() {
        let (breaker, start) = (breaker(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        for blame in [Blame::Provider, Blame::Provider, Blame::None, Blame::Provider, Blame::Provider] {
            assert!(breaker.ask_at(at(0)).is_ok());
            breaker.tell_at(blame, at(0));
        }
        assert!(breaker.ask_at(at(0)).is_ok(), "a success began the count anew");
        breaker.tell_at(Blame::Provider, at(0));
        assert_eq!(breaker.ask_at(at(4)), Err(6 * SECOND));
        assert!(!breaker.is_closed());
        assert!(breaker.ask_at(at(10)).is_ok(), "one looks");
        assert!(breaker.ask_at(at(10)).is_err(), "and no other beside it");
        breaker.tell_at(Blame::Provider, at(11));
        assert_eq!(breaker.ask_at(at(11)), Err(20 * SECOND), "it failed: twice as long");
        assert!(breaker.ask_at(at(31)).is_ok());
        breaker.tell_at(Blame::Provider, at(31));
        assert_eq!(breaker.ask_at(at(31)), Err(30 * SECOND), "and no longer than the longest");
        assert!(breaker.ask_at(at(61)).is_ok());
        breaker.tell_at(Blame::None, at(62));
        assert!(breaker.is_closed() && breaker.ask_at(at(62)).is_ok());
    }

    #[test]
    fn a_look_that_is_given_up_lets_the_next_look() {
        let (breaker, start) = (breaker(), Instant::now());
        for _ in 0..3 {
            breaker.tell_at(Blame::Provider, start);
        }
        let later = start + 10 * SECOND;
        assert!(breaker.ask_at(later).is_ok() && breaker.ask_at(later).is_err());
        breaker.tell_at(Blame::Unknown, later);
        assert!(breaker.ask_at(later).is_ok());
        // One whose end is never told holds for the time of a rest.
        assert!(breaker.ask_at(later + 9 * SECOND).is_err());
        assert!(breaker.ask_at(later + 10 * SECOND).is_ok());
    }

    #[test]
    fn calls_under_way_when_it_opened_do_not_prolong_it() {
        let (breaker, start) = (breaker(), Instant::now());
        for _ in 0..50 {
            breaker.tell_at(Blame::Provider, start);
        }
        assert_eq!(breaker.ask_at(start), Err(10 * SECOND));
    }

    #[test]
    fn names_of_callers_do_not_grow_it_for_ever() {
        let breakers = Breakers::new(BreakerSettings::default());
        for n in 0..5_000 {
            let _ = breakers.of(&format!("made-up-{n}"));
        }
        assert!(breakers.by_model.lock().unwrap().len() <= MAX_BREAKERS);
    }
}
