//! How fast: buckets that fill up within a minute.

use std::time::{Duration, Instant};

const MINUTE: f64 = 60.0;

/// A bucket that holds what may be used in a minute, and fills at that speed. A call that is larger than the bucket is
/// let through when it is full, and then owed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    pub(super) fn full(limit: u64, now: Instant) -> Self {
        Self { level: limit as f64, at: now }
    }

    fn fill(&mut self, limit: u64, now: Instant) {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + since * limit as f64 / MINUTE).min(limit as f64);
        self.at = now;
    }

    /// How long until there is room for `wanted`; `None` if there is now.
    pub(super) fn wait(&mut self, wanted: u64, limit: u64, now: Instant) -> Option<Duration> {
        self.fill(limit, now);
        let lacking = (wanted as f64).min(limit as f64) - self.level;
        // A limit of 0 lets nothing through, ever.
        let seconds = if limit == 0 { MINUTE } else { lacking * MINUTE / limit as f64 };
        (limit == 0 || lacking > 0.0).then(|| Duration::from_secs_f64(seconds.clamp(0.0, MINUTE * MINUTE)))
    }

    pub(super) fn take(&mut self, amount: u64) {
        self.level -= amount as f64;
    }

    pub(super) fn put_back(&mut self, amount: u64) {
        self.level += amount as f64;
    }
}
