//! Those who are refused again and again are heard less often.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use tokio::time::Instant;

/// How long a connection is not read from after the second refusal in a row; twice as long after each further one.
const FIRST: Duration = Duration::from_millis(10);

/// How long one connection is to be left unread.
///
/// Whoever has made all requests that they may make and goes on asking is answered at once each time, and that is work: so
/// their connection is read from again a little later after each refusal (429), until an answer is another. Who waits as
/// they are told to, or is refused once in a while, sees nothing of it.
pub(super) struct Pause {
    longest: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Refusals in a row.
    refusals: u32,
    until: Option<Instant>,
}

impl Pause {
    /// At most so long at a time.
    pub(super) fn new(longest: Duration) -> Self {
        Self { longest, state: Mutex::default() }
    }

    /// Counts an answer.
    pub(super) fn answered(&self, status: StatusCode) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.refusals = if status == StatusCode::TOO_MANY_REQUESTS { state.refusals.saturating_add(1) } else { 0 };
        state.until = Some(Instant::now() + self.after(state.refusals));
    }

    /// How long nothing is read after so many refusals in a row.
    fn after(&self, refusals: u32) -> Duration {
        let doublings = refusals.checked_sub(2);
        doublings.map_or(Duration::ZERO, |n| FIRST.saturating_mul(1 << n.min(16)).min(self.longest))
    }

    /// Until when nothing is read, if that is still to come.
    pub(super) fn until(&self) -> Option<Instant> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.until = state.until.filter(|until| *until > Instant::now());
        state.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_each_refusal_in_a_row_makes_the_pause_longer_up_to_its_limit() {
        let pause = Pause::new(Duration::from_millis(50));
        let found: Vec<_> = [0, 1, 2, 3, 4, 5, u32::MAX].map(|refusals| pause.after(refusals).as_millis()).into();
        assert_eq!(found, [0, 0, 10, 20, 40, 50, 50]);
        let (no, yes) = (StatusCode::TOO_MANY_REQUESTS, StatusCode::OK);
        for (status, wanted) in [(no, false), (no, true), (no, true), (yes, false), (no, false)] {
            pause.answered(status);
            assert_eq!(pause.until().is_some(), wanted, "{status}");
        }
        let never = Pause::new(Duration::ZERO);
        (0..5).for_each(|_| never.answered(no));
        assert_eq!(never.until(), None);
    }
}
