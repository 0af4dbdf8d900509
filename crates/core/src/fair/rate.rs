//! The generic cell rate algorithm (ITU-T I.371): a bucket that leaks, kept as one point in time.

use std::fmt;
use std::time::Duration;

/// So many units in a period, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    units: u64,
    period: Duration,
    burst: u64,
    /// Nanoseconds after which one more unit is to be had.
    interval: u64,
}

impl Rate {
    /// `units` in every `period`, of which `burst` may come at once; each at least one. An interval that is no whole number
    /// of nanoseconds is rounded up, so that it never gives more.
    #[must_use]
    pub fn new(units: u64, period: Duration, burst: u64) -> Self {
        let (units, burst) = (units.max(1), burst.max(1));
        let interval = nanos(period).div_ceil(units).max(1);
        Self { units, period, burst, interval }
    }

    /// `units` a minute.
    #[must_use]
    pub fn a_minute(units: u64, burst: u64) -> Self {
        Self::new(units, Duration::from_secs(60), burst)
    }

    /// Units that may come at once.
    #[must_use]
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    /// Nanoseconds that a full bucket takes to fill again.
    const fn tolerance(&self) -> u64 {
        self.interval.saturating_mul(self.burst)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} s, {} of them at once", self.units, self.period.as_secs(), self.burst)
    }
}

/// How long until what was refused is to be had. Ordered: the longest is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// This long, if nobody else takes it meanwhile.
    For(Duration),
    /// It is more than may ever come at once.
    Never,
}

impl Wait {
    /// Whole seconds, rounded up, as `Retry-After` has them; `None` where waiting does not help.
    #[must_use]
    pub fn seconds(self) -> Option<u64> {
        match self {
            Self::For(wait) => Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            Self::Never => None,
        }
    }
}

/// What is kept of one bucket: the theoretical arrival time, at which it is full again. A time that has passed says the same
/// as no bucket at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gcra(u64);

impl Gcra {
    /// What a bucket was that was kept as this number.
    pub(super) const fn at(tat: u64) -> Self {
        Self(tat)
    }

    pub(super) const fn tat(self) -> u64 {
        self.0
    }

    /// Takes one unit at `now`, as [`Gcra::check`] does, or else the next that comes: how long it is until then.
    ///
    /// # Errors
    /// The same, where it is longer than `longest`; nothing is taken then.
    pub fn reserve(&mut self, rate: &Rate, now: u64, longest: Duration) -> Result<Duration, Duration> {
        let tat = self.0.max(now).saturating_add(rate.interval);
        let wait = Duration::from_nanos(tat.saturating_sub(now.saturating_add(rate.tolerance())));
        if wait > longest {
            return Err(wait);
        }
        self.0 = tat;
        Ok(wait)
    }

    /// Whether the bucket is full, so that it says the same as none.
    #[must_use]
    pub const fn is_full(self, now: u64) -> bool {
        self.0 <= now
    }

    /// Takes `cost` units at `now`, in nanoseconds since some fixed moment. In any window of length `t` that a clock measured
    /// which never went back, no more is taken than the burst and what comes in `t`.
    ///
    /// A clock that goes back by more than a full bucket's time is found out by that, and the bucket is as new: it harms
    /// nobody.
    ///
    /// # Errors
    /// How long to wait; nothing is taken then.
    pub fn check(&mut self, rate: &Rate, now: u64, cost: u64) -> Result<(), Wait> {
        let tolerance = rate.tolerance();
        let last = now.saturating_add(tolerance);
        // One that lies further ahead than a full bucket reaches is of another time, or of another rate.
        let from = if self.0 > last { now } else { self.0.max(now) };
        if cost > rate.burst {
            return Err(Wait::Never);
        }
        let tat = from.saturating_add(rate.interval.saturating_mul(cost));
        if tat > last {
            return Err(Wait::For(Duration::from_nanos(tat - last)));
        }
        self.0 = tat;
        Ok(())
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
