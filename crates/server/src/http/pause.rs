//! Those who are refused again and again are heard less often.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use autoshare_core::TenantName;
use hyper::StatusCode;
use hyper::http::Extensions;
use tokio::time::Instant;

/// How long a tenant waits on a connection after its second refusal in a row there; twice as long after each further one.
const FIRST: Duration = Duration::from_millis(10);

/// How long whoever asks over one connection waits before they are heard.
///
/// Whoever has made all requests that they may make and goes on asking is answered each time, and that is work: so on the same
/// connection their next request is looked at a little later after each refusal (429), until one of theirs is answered well.
/// Who waits as they are told to, or is refused once in a while, sees nothing of it, and nor does another tenant whose requests
/// come over the same connection, from a proxy.
#[derive(Debug)]
pub(crate) struct Pause {
    longest: Duration,
    /// How much of a pause is waited, in hundredths: not the same on each connection, so that those who are refused together do
    /// not come back together.
    part: u32,
    state: Mutex<State>,
}

/// Of whom was refused last.
#[derive(Debug, Default)]
struct State {
    tenant: Option<TenantName>,
    /// Refusals in a row, those aside that came while the tenant was to wait: they were under way before.
    refusals: u32,
    until: Option<Instant>,
}

impl Pause {
    /// At most so long at a time.
    pub(super) fn new(longest: Duration) -> Self {
        let chance = RandomState::new().hash_one(0) % 50;
        Self::with(longest, 51 + u32::try_from(chance).unwrap_or_default())
    }

    fn with(longest: Duration, part: u32) -> Self {
        Self { longest, part, state: Mutex::default() }
    }

    /// Counts an answer to a tenant.
    pub(super) fn answered(&self, tenant: &TenantName, status: StatusCode) {
        let mut state = self.state();
        let is_same = state.tenant.as_ref() == Some(tenant);
        if status != StatusCode::TOO_MANY_REQUESTS {
            if is_same && !status.is_client_error() {
                *state = State::default();
            }
            return;
        }
        if !is_same {
            *state = State { tenant: Some(tenant.clone()), ..State::default() };
        }
        let now = Instant::now();
        if state.until.is_none_or(|until| until <= now) {
            state.refusals = state.refusals.saturating_add(1);
            state.until = Some(now + self.after(state.refusals));
        }
    }

    /// How long a tenant waits after so many refusals in a row.
    fn after(&self, refusals: u32) -> Duration {
        let doublings = refusals.checked_sub(2);
        let whole = doublings.map_or(Duration::ZERO, |n| FIRST.saturating_mul(1 << n.min(16)).min(self.longest));
        whole * self.part / 100
    }

    /// Returns when a tenant is to be heard, by the pause that a request of its brings from its connection.
    pub(crate) async fn of(request: &Extensions, tenant: &TenantName) {
        if let Some(pause) = request.get::<Arc<Self>>() {
            pause.over(tenant).await;
        }
    }

    async fn over(&self, tenant: &TenantName) {
        let until = {
            let state = self.state();
            state.until.filter(|until| state.tenant.as_ref() == Some(tenant) && *until > Instant::now())
        };
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_each_refusal_in_a_row_makes_the_pause_longer_up_to_its_limit() {
        for (part, wanted) in [(100, [0, 0, 10, 20, 40, 50, 50]), (60, [0, 0, 6, 12, 24, 30, 30])] {
            let pause = Pause::with(Duration::from_millis(50), part);
            let found = [0, 1, 2, 3, 4, 5, u32::MAX].map(|refusals| pause.after(refusals).as_millis());
            assert_eq!(found, wanted);
        }
        assert!((0..100).all(|_| (51..=100).contains(&Pause::new(Duration::ZERO).part)));
        assert_eq!(Pause::new(Duration::ZERO).after(9), Duration::ZERO);
    }

    #[tokio::test]
    async fn f7_a_tenant_waits_for_its_own_refusals_alone() {
        let [acme, bolt] = ["acme", "bolt"].map(|name| TenantName::parse(name).unwrap());
        let pause = Pause::new(Duration::from_secs(3_600));
        let (no, wrong, good) = (StatusCode::TOO_MANY_REQUESTS, StatusCode::NOT_FOUND, StatusCode::OK);
        let waits = async |tenant| tokio::time::timeout(Duration::from_millis(1), pause.over(tenant)).await.is_err();
        pause.answered(&acme, no);
        assert!(!waits(&acme).await, "once is nothing");
        for _ in 0..100 {
            pause.answered(&acme, no);
        }
        assert!(waits(&acme).await && !waits(&bolt).await);
        pause.over(&acme).await;
        assert_eq!(pause.state().refusals, 2, "those that came while it was to wait were under way before");
        pause.answered(&acme, wrong);
        pause.answered(&bolt, good);
        pause.answered(&acme, no);
        assert!(waits(&acme).await, "neither what is wrong nor what others are told makes it good");
        pause.over(&acme).await;
        pause.answered(&acme, good);
        pause.answered(&acme, no);
        assert!(!waits(&acme).await, "it begins anew");
    }
}
