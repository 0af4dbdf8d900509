//! Rates of many: tenants, groups, tokens, brains. What is kept of each is one number, and only while it matters.

use std::array;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rate::{Gcra, Rate, Wait};

/// Parts of the table that are locked apart.
const SHARDS: usize = 16;
/// Buckets of a part before it is looked through for those that are full again.
const FIRST_SWEEP: usize = 64;
/// Buckets at once, of all rates together, unless something else is set: some 24 MiB.
pub const MAX_KEYS: usize = 1 << 20;
/// How far a clock may go back, in nanoseconds, before time is taken to go on from where it was. What is less is two
/// threads that looked at it at the same time.
const BACK: u64 = 1_000_000_000;

/// When to come back where there is no room for a new bucket. It is not made at another's cost, whose burst would be new;
/// and nobody fills the table by asking in vain, as what is refused leaves nothing in it.
const NO_ROOM: Duration = Duration::from_secs(1);

/// Whose rate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key<'k> {
    /// A tenant's.
    Tenant(&'k str),
    /// That of a group in a tenant.
    Group(&'k str, &'k str),
    /// A token's.
    Token(&'k str),
    /// That of a brain of a tenant.
    Brain(&'k str, &'k str),
}

impl Key<'_> {
    const fn level(&self) -> &'static str {
        match self {
            Self::Tenant(_) => "tenant",
            Self::Group(..) => "group",
            Self::Token(_) => "token",
            Self::Brain(..) => "brain",
        }
    }
}

/// Why a request was refused: the rate that keeps it waiting longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct Limited {
    /// Whose: `tenant`, `group`, `token` or `brain`.
    pub level: &'static str,
    /// The rate; `None` where the table has no room for another.
    pub rate: Option<Rate>,
    /// How long to wait.
    pub wait: Wait,
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level;
        match (self.rate, self.wait) {
            (None, _) => f.write_str("too many have a rate of their own at the moment; try again in a second"),
            (Some(rate), Wait::Never) => {
                write!(f, "this is more than the {level} may ever ask for at once ({rate}); ask for less")
            }
            (Some(rate), wait) => {
                let seconds = wait.seconds().unwrap_or_default();
                write!(f, "the {level} has made all the requests it may ({rate}); try again in {seconds} s")
            }
        }
    }
}

/// The rates of all. See [`Gcra`] for what holds of each.
#[derive(Debug)]
pub struct Rates {
    shards: [Mutex<Shard>; SHARDS],
    /// Keys are kept as 64 bits that nobody outside can foresee: among a million of them, two are alike once in 36 million.
    hasher: RandomState,
    clock: Clock,
    most: usize,
}

#[derive(Debug, Default)]
struct Shard {
    tats: HashMap<u64, u64>,
    /// So many buckets, and no sooner than then, are looked through.
    sweep_at: usize,
    sweep_after: u64,
}

/// Time that never goes back, made of a clock's that may.
#[derive(Debug, Default)]
struct Clock {
    ahead: AtomicU64,
    last: AtomicU64,
}

impl Clock {
    fn now(&self, read: u64) -> u64 {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let now = read.saturating_add(ahead);
        let last = self.last.fetch_max(now, Ordering::Relaxed);
        let back = last.saturating_sub(now);
        if back > BACK {
            // Whoever else found it out meanwhile found the same.
            let _ = self.ahead.compare_exchange(ahead, ahead + back, Ordering::Relaxed, Ordering::Relaxed);
        }
        last.max(now)
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self::new(MAX_KEYS)
    }
}

impl Rates {
    /// A table for so many buckets that are not full.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let shards = array::from_fn(|_| Mutex::default());
        Self { shards, hasher: RandomState::new(), clock: Clock::default(), most: most.div_ceil(SHARDS).max(1) }
    }

    /// Takes `cost` from every one of these, or from none. `now` is in nanoseconds since some fixed moment.
    ///
    /// # Errors
    /// [`Limited`], the strictest.
    pub fn check(&self, now: u64, cost: u64, asked: &[(Key<'_>, Rate)]) -> Result<(), Limited> {
        let now = self.clock.now(now);
        let hashes: Vec<u64> = asked.iter().map(|(key, _)| self.hasher.hash_one(key)).collect();
        let mut shards = self.lock(&hashes);
        let mut worst: Option<Limited> = None;
        for ((key, rate), hash) in asked.iter().zip(&hashes) {
            let Some(Some(shard)) = shards.get_mut(shard_of(*hash)) else { continue };
            let kept = shard.tats.get(hash).copied();
            let found = if kept.is_none() && !shard.has_room(now, self.most) {
                Some((None, Wait::For(NO_ROOM)))
            } else {
                let mut bucket = Gcra::at(kept.unwrap_or_default());
                bucket.check(rate, now, cost).err().map(|wait| (Some(*rate), wait))
            };
            if let Some((rate, wait)) = found
                && worst.is_none_or(|worst| wait > worst.wait)
            {
                worst = Some(Limited { level: key.level(), rate, wait });
            }
        }
        if let Some(worst) = worst {
            return Err(worst);
        }
        for ((_, rate), hash) in asked.iter().zip(&hashes) {
            let Some(Some(shard)) = shards.get_mut(shard_of(*hash)) else { continue };
            let mut bucket = Gcra::at(shard.tats.get(hash).copied().unwrap_or_default());
            // It was found to hold above; a key that was named twice is charged as long as it does.
            if bucket.check(rate, now, cost).is_ok() {
                shard.tats.insert(*hash, bucket.tat());
            }
        }
        Ok(())
    }

    /// Buckets that are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).tats.len()).sum()
    }

    /// The parts in which these are, locked in their order, so that no two wait for each other.
    fn lock(&self, hashes: &[u64]) -> [Option<MutexGuard<'_, Shard>>; SHARDS] {
        let mask = hashes.iter().fold(0u32, |mask, hash| mask | 1 << shard_of(*hash));
        let mut numbered = self.shards.iter().enumerate();
        array::from_fn(|_| numbered.next().filter(|(n, _)| mask & (1 << n) != 0).map(|(_, shard)| locked(shard)))
    }
}

impl Shard {
    /// Whether one more may be kept. Those that are full again are forgotten now and then: as often as it doubles, or where
    /// there is no room otherwise, as soon as one of them is.
    fn has_room(&mut self, now: u64, most: usize) -> bool {
        let (is_full, has_grown) = (self.tats.len() >= most, self.tats.len() >= self.sweep_at.max(FIRST_SWEEP));
        if (is_full && now >= self.sweep_after) || (has_grown && !is_full) {
            self.tats.retain(|_, tat| *tat > now);
            self.sweep_at = self.tats.len() * 2;
            // Once a second at most: looking through is what a flood of new ones could ask for.
            self.sweep_after = now.saturating_add(BACK);
            self.tats.shrink_to(self.sweep_at.max(FIRST_SWEEP));
        }
        self.tats.len() < most
    }
}

fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn shard_of(hash: u64) -> usize {
    (hash >> 60) as usize
}
