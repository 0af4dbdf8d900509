//! Days and months, in UTC.

use std::fmt;
use std::str::FromStr;

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A day in UTC, counted from 1970-01-01, which is 0. Written `2026-11-25`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Day(pub u32);

/// A month in UTC, counted from January 1970, which is 0. Written `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Month(pub u32);

impl Day {
    /// The day of an instant: milliseconds since 1970 (UTC).
    #[must_use]
    pub fn of_ms(ms: u64) -> Self {
        Self(u32::try_from(ms / DAY_MS).unwrap_or(u32::MAX))
    }

    /// Its first instant: milliseconds since 1970 (UTC).
    #[must_use]
    pub fn start_ms(self) -> u64 {
        u64::from(self.0) * DAY_MS
    }

    /// The day after (saturating).
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The day that many before (saturating).
    #[must_use]
    pub const fn before(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// The month it is in.
    #[must_use]
    pub fn month(self) -> Month {
        let (year, month, _) = self.civil();
        Month(year.saturating_sub(1970).saturating_mul(12).saturating_add(month - 1))
    }

    /// Year, month from 1, day from 1, of the Gregorian calendar (Howard Hinnant's `civil_from_days`).
    fn civil(self) -> (u32, u32, u32) {
        let days = u64::from(self.0) + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        (small(year), small(month), small(day))
    }

    /// The inverse of `civil`, from 1970 on; `None` before.
    fn from_civil(year: u32, month: u32, day: u32) -> Option<Self> {
        let year = u64::from(year) - u64::from(month <= 2);
        let (era, year_of_era) = (year / 400, year % 400);
        let shifted = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * u64::from(shifted) + 2) / 5 + u64::from(day) - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        (era * 146_097 + of_era).checked_sub(719_468).and_then(|days| u32::try_from(days).ok()).map(Self)
    }
}

impl Month {
    /// Its first day.
    #[must_use]
    pub fn first_day(self) -> Day {
        Day::from_civil(1970 + self.0 / 12, self.0 % 12 + 1, 1).unwrap_or(Day(u32::MAX))
    }

    /// The month after (saturating).
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", 1970 + self.0 / 12, self.0 % 12 + 1)
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a date such as 2026-11-25, from 1970 on");
        let number = |part: &str, len: usize| {
            let digits = part.len() == len && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u32>().ok()).flatten()
        };
        let [year, month, day] = <[&str; 3]>::try_from(text.split('-').collect::<Vec<_>>()).map_err(|_| wrong())?;
        let parts = number(year, 4).zip(number(month, 2)).zip(number(day, 2));
        let ((year, month), day) = parts
            .filter(|((year, month), day)| *year >= 1970 && (1..=12).contains(month) && (1..=31).contains(day))
            .ok_or_else(wrong)?;
        let found = Self::from_civil(year, month, day).ok_or_else(wrong)?;
        // 2026-02-30 would be another day.
        if found.civil() == (year, month, day) { Ok(found) } else { Err(wrong()) }
    }
}
