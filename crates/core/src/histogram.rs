//! How long things take, counted in a fixed number of buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets, in microseconds; what takes longer than the last is in one more.
pub const BOUNDS_US: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000, 15_000_000,
    60_000_000,
];

/// A histogram that many threads add to.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

/// What a histogram held at a moment. Bucket and sum may be one observation apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durations {
    /// How many took so long: as [`BOUNDS_US`], and longer.
    pub buckets: [u64; BOUNDS_US.len() + 1],
    /// Microseconds of all together.
    pub sum_us: u64,
}

impl Histogram {
    /// Adds one.
    pub fn observe(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS_US.partition_point(|bound| *bound < us);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// What it holds.
    #[must_use]
    pub fn read(&self) -> Durations {
        Durations {
            buckets: self.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed)),
            sum_us: self.sum_us.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for us in [0, 500, 501, 60_000_000, 60_000_001] {
            histogram.observe(Duration::from_micros(us));
        }
        let read = histogram.read();
        assert_eq!((read.buckets[0], read.buckets[1], read.buckets[13], read.buckets[14]), (2, 1, 1, 1));
        assert_eq!((read.buckets.iter().sum::<u64>(), read.sum_us), (5, 120_001_002));
    }
}
