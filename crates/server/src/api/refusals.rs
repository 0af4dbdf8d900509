//! What becomes of requests that are refused: they are written down now and then, and those of a flood are answered late.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoshare_core::fair::{Key, Rate, Rates};
use autoshare_core::{TenantName, TokenId};
use tokio::sync::Semaphore;

/// Between two entries of the audit trail about the same refusal.
const NOTED_APART: Duration = Duration::from_secs(60);
/// Refusals that are remembered for that at most.
const MAX_NOTED: usize = 10_000;
/// Refusals of a tenant that are answered at once: so many a minute, and so many of them together.
const AT_ONCE: (u64, u64) = (600, 20);
/// Answers that wait at most; further ones do not.
const MAX_LATE: usize = 10_000;

pub(crate) struct Refusals {
    /// When they were last written down, by token and reason.
    noted: Mutex<HashMap<(TokenId, &'static str), Instant>>,
    rates: Rates,
    begun: Instant,
    late: Semaphore,
    delay: Duration,
}

impl Refusals {
    /// Those of a flood are answered after `delay`.
    pub(crate) fn new(delay: Duration) -> Self {
        let late = Semaphore::new(MAX_LATE);
        Self { noted: Mutex::default(), rates: Rates::default(), begun: Instant::now(), late, delay }
    }

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

    /// Waits before a refusal is answered, if it is one of a flood: whoever asks in vain without end has its own connections
    /// wait for that, and the processors are there for others.
    pub(crate) async fn hold_back(&self, tenant: &TenantName) {
        let now = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let (a_minute, together) = AT_ONCE;
        let rate = Rate::a_minute(a_minute, together);
        if self.delay.is_zero() || self.rates.check(now, 1, &[(Key::Tenant(tenant.as_str()), rate)]).is_ok() {
            return;
        }
        if let Ok(_one) = self.late.try_acquire() {
            tokio::time::sleep(self.delay).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_written_down_once_a_minute_and_there_is_an_end_of_what_is_remembered() {
        let refusals = Refusals::new(Duration::ZERO);
        let token = |n: usize| TokenId::parse(&format!("{n:08o}").replace('0', "8").replace('1', "9")).unwrap();
        assert!(refusals.is_to_be_noted(&token(2), "rate") && !refusals.is_to_be_noted(&token(2), "rate"));
        assert!(refusals.is_to_be_noted(&token(2), "forbidden") && refusals.is_to_be_noted(&token(3), "rate"));
        let noted = (0..MAX_NOTED + 10).filter(|n| refusals.is_to_be_noted(&token(*n), "rate")).count();
        assert_eq!(noted, MAX_NOTED - 3);
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_of_a_flood_wait_and_others_do_not() {
        let refusals = Refusals::new(Duration::from_secs(1));
        let [flood, other] = ["flood", "other"].map(|name| TenantName::parse(name).unwrap());
        let wait = async |of: &TenantName| {
            let begun = tokio::time::Instant::now();
            refusals.hold_back(of).await;
            begun.elapsed()
        };
        for _ in 0..20 {
            assert_eq!(wait(&flood).await, Duration::ZERO);
        }
        assert!(wait(&flood).await >= Duration::from_secs(1));
        assert_eq!(wait(&other).await, Duration::ZERO);
        let _all = refusals.late.acquire_many(10_000).await.unwrap();
        assert_eq!(wait(&flood).await, Duration::ZERO, "there is no place to wait");
    }
}
