//! How often whoever is not known may have something done.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoshare_core::fair::{Gcra, Rate};

use super::peers::network;
use crate::noted::Noted;

/// Addresses that are remembered at most: some 3 MiB. Those of more are not counted.
const MOST: usize = 1 << 16;
/// Nanoseconds between two looks for those that need not be remembered any more: else each new address would have all others
/// looked through.
const SWEEP: u64 = 1_000_000_000;

/// Turns of those who have shown no token that is accepted, by where they come from. A turn is a connection that is begun, a
/// request that is answered to nobody in particular, a step of signing in.
///
/// Whoever comes too often waits, in the order in which they came, and is told to come again only where that would be too long.
#[derive(Debug)]
pub(crate) struct Strangers {
    /// `None`: everybody has their turn at once.
    rate: Option<Rate>,
    longest: Duration,
    begun: Instant,
    kept: Mutex<Kept>,
    /// Addresses of which the log told of late that somebody had no turn.
    told: Noted<IpAddr>,
}

#[derive(Debug, Default)]
struct Kept {
    buckets: HashMap<IpAddr, Gcra>,
    sweep_after: u64,
}

impl Strangers {
    /// Nobody waits longer than `longest`.
    pub(super) fn new(rate: Option<Rate>, longest: Duration) -> Self {
        Self { rate, longest, begun: Instant::now(), kept: Mutex::default(), told: Noted::default() }
    }

    /// How long it is until whoever comes from there has their turn, which is theirs from now on.
    ///
    /// # Errors
    /// The same, if it is too long; they have none then.
    fn turn(&self, from: IpAddr) -> Result<Duration, Duration> {
        let Some(rate) = &self.rate else { return Ok(Duration::ZERO) };
        let now = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { buckets, sweep_after } = &mut *kept;
        let from = network(from);
        if buckets.len() >= MOST && !buckets.contains_key(&from) {
            if now >= *sweep_after {
                buckets.retain(|_, bucket| !bucket.is_full(now));
                *sweep_after = now.saturating_add(SWEEP);
            }
            if buckets.len() >= MOST {
                return Ok(Duration::ZERO);
            }
        }
        buckets.entry(from).or_default().reserve(rate, now, self.longest)
    }
}

/// Where a connection comes from, for as long as nobody knows who that is.
#[derive(Debug, Clone)]
pub(crate) struct Stranger {
    from: IpAddr,
    among: Arc<Strangers>,
}

impl Stranger {
    pub(super) fn new(from: IpAddr, among: &Arc<Strangers>) -> Self {
        Self { from, among: Arc::clone(among) }
    }

    /// Returns when it is their turn.
    ///
    /// # Errors
    /// How long that would be, where it is too long.
    pub(super) async fn turn(&self) -> Result<(), Duration> {
        let wait = self.among.turn(self.from).inspect_err(|_| {
            if self.among.told.is_new(network(self.from)) {
                let from = self.from;
                tracing::warn!(%from, "too much is asked for by strangers of one address ([serve] strangers_per_minute)");
            }
        })?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_strangers_wait_for_others_of_their_address_alone_and_not_too_long() {
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse::<IpAddr>().unwrap());
        let strangers = Strangers::new(Some(Rate::a_minute(60, 3)), Duration::from_secs(5));
        let found: Vec<_> = (0..10).map(|_| strangers.turn(one)).collect();
        let whole = |wait: Duration| wait.as_secs_f64().ceil() as u64;
        let found: Vec<_> = found.into_iter().map(|wait| wait.map(whole).map_err(whole)).collect();
        let wanted = [Ok(0), Ok(0), Ok(0), Ok(1), Ok(2), Ok(3), Ok(4), Ok(5), Err(6), Err(6)];
        assert_eq!(found, wanted, "who is not let wait takes no turn");
        assert_eq!(strangers.turn(other), Ok(Duration::ZERO));
        let unbounded = Strangers::new(None, Duration::ZERO);
        assert!((0..10_000).all(|_| unbounded.turn(one) == Ok(Duration::ZERO)));
    }

    #[test]
    fn f7_what_is_remembered_of_strangers_has_an_end() {
        let strangers = Strangers::new(Some(Rate::a_minute(1, 1)), Duration::ZERO);
        for n in 0..u32::try_from(MOST).unwrap() + 1_000 {
            strangers.turn(IpAddr::from(n.to_be_bytes())).unwrap();
        }
        assert_eq!(strangers.kept.lock().unwrap().buckets.len(), MOST);
        strangers.turn(IpAddr::from([0, 0, 0, 0])).unwrap_err();
    }
}
