//! When a call is made again, and after how long.

use std::time::{Duration, SystemTime};

/// How often and how patiently a call is repeated after 429, 408, a status of the 500s, or a failed connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Requests at most, the first included: 5.
    pub tries: u32,
    /// The wait before the second try: 500 ms. It doubles with every try, and half of it is random.
    pub first_wait: Duration,
    /// The longest wait of that kind: 20 s.
    pub longest_wait: Duration,
    /// The longest `Retry-After` that is waited for: 60 s. A provider that asks for more is not pestered: the call
    /// ends with an error that says how long it asked for.
    pub longest_asked: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            tries: 5,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(20),
            longest_asked: Duration::from_secs(60),
        }
    }
}

impl Retries {
    /// How long to wait after `failed` tries, if whoever was asked says `asked`. `None`: no further one is to be made.
    #[must_use]
    pub fn pause(&self, failed: u32, asked: Option<Duration>) -> Option<Duration> {
        self.wait(failed, asked, random())
    }

    /// How long to wait after `failed` tries, or `None` if that was the last. `asked` is the provider's `Retry-After`;
    /// `random` is any random number.
    pub(crate) fn wait(&self, failed: u32, asked: Option<Duration>, random: u32) -> Option<Duration> {
        if failed >= self.tries {
            return None;
        }
        let doubled = self.first_wait.saturating_mul(1u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX));
        let whole = doubled.min(self.longest_wait);
        let own = whole / 2 + (whole / 2).mul_f64(f64::from(random) / f64::from(u32::MAX));
        match asked {
            Some(asked) if asked > self.longest_asked => None,
            Some(asked) => Some(asked.max(own.min(self.first_wait))),
            None => Some(own),
        }
    }
}

/// A random number for the jitter. Without a source of randomness there is no jitter.
pub(crate) fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}

/// The wait that a `Retry-After` header asks for (RFC 9110, section 10.2.3): seconds, or an HTTP date. A date in the
/// past is no wait; anything else is `None`. A day at most, so that no arithmetic on it can overflow.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(value.parse().map_or(DAY, Duration::from_secs).min(DAY));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_both_of_its_forms() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let cases = [
            ("0", Some(0)),
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("99999999999999999999999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ];
        for (value, seconds) in cases {
            assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value:?}");
        }
    }

    #[test]
    fn waits_double_stay_below_their_cap_and_end() {
        let retries = Retries { tries: 4, longest_wait: Duration::from_millis(1500), ..Retries::default() };
        for random in [0, 1, u32::MAX / 2, u32::MAX] {
            let waits: Vec<u128> = (1..4).map(|n| retries.wait(n, None, random).unwrap().as_millis()).collect();
            assert!((250..=500).contains(&waits[0]), "{waits:?}");
            assert!((500..=1000).contains(&waits[1]), "{waits:?}");
            assert!((750..=1500).contains(&waits[2]), "{waits:?}");
            assert_eq!(retries.wait(4, None, random), None);
            assert_eq!(retries.wait(u32::MAX, None, random), None);
        }
    }

    #[test]
    fn a_provider_that_asks_is_obeyed_and_one_that_asks_too_much_is_left_alone() {
        let retries = Retries::default();
        assert_eq!(retries.wait(1, Some(Duration::from_secs(30)), 7), Some(Duration::from_secs(30)));
        assert_eq!(retries.wait(1, Some(Duration::from_secs(61)), 7), None);
        assert!(retries.wait(1, Some(Duration::ZERO), u32::MAX).unwrap() > Duration::ZERO);
    }
}
