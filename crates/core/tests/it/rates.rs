//! Rates: what is given in any window, what a refusal says, and what is kept.

use std::time::Duration;

use autoshare_core::fair::{Gcra, Key, Rate, Rates, Wait};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

/// Whether in no window more was taken than may be.
fn within(taken: &[(u128, u128)], (units, period, burst): (u64, u64, u64)) -> Result<(), TestCaseError> {
    let period = u128::from(period * SECOND);
    for (at, (from, _)) in taken.iter().enumerate() {
        let mut sum = 0;
        for (until, cost) in &taken[at..] {
            sum += cost;
            prop_assert!(sum * period <= u128::from(burst) * period + (until - from) * u128::from(units));
        }
    }
    Ok(())
}

proptest! {
    /// The one promise of the algorithm, for every window that begins and ends with something taken.
    #[test]
    fn no_window_has_more_than_the_burst_and_what_comes_in_it(
        units in 1u64..50,
        period in 1u64..20,
        burst in 1u64..20,
        asked in prop::collection::vec((0u64..2 * SECOND, 1u64..4), 1..120),
    ) {
        let rate = Rate::new(units, Duration::from_secs(period), burst);
        let (mut bucket, mut now, mut taken) = (Gcra::default(), 0, Vec::new());
        for (later, cost) in &asked {
            now += later;
            if bucket.check(&rate, now, *cost).is_ok() {
                taken.push((u128::from(now), u128::from(*cost)));
            }
        }
        within(&taken, (units, period, burst))?;
        // The same of those who wait for their turn, who have it in the order in which they came, and no later than they may.
        let (mut bucket, mut now, mut taken, longest) = (Gcra::default(), 0, Vec::new(), Duration::from_secs(3));
        for (later, _) in &asked {
            now += later;
            let before = bucket;
            match bucket.reserve(&rate, now, longest) {
                Ok(wait) => {
                    prop_assert!(wait <= longest);
                    taken.push((u128::from(now) + wait.as_nanos(), 1));
                }
                Err(wait) => prop_assert!(wait > longest && bucket == before),
            }
        }
        prop_assert!(taken.is_sorted());
        within(&taken, (units, period, burst))?;
    }

    #[test]
    fn a_refusal_takes_nothing_and_says_to_the_nanosecond_when_it_is_over(
        taken in 1u64..10,
        cost in 1u64..10,
        now in 0u64..100 * SECOND,
    ) {
        let rate = Rate::a_minute(7, 10);
        let mut bucket = Gcra::default();
        bucket.check(&rate, now, taken).unwrap();
        let before = bucket;
        match bucket.check(&rate, now, cost) {
            Ok(()) => prop_assert!(taken + cost <= 10),
            Err(Wait::Never) => prop_assert!(false, "it fits a full bucket"),
            Err(Wait::For(wait)) => {
                prop_assert_eq!(bucket, before);
                let wait = u64::try_from(wait.as_nanos()).unwrap();
                prop_assert!(wait > 0 && bucket.check(&rate, now + wait - 1, cost).is_err());
                prop_assert!(bucket.check(&rate, now + wait, cost).is_ok());
            }
        }
    }
}

#[test]
fn more_than_a_burst_never_comes_and_says_so() {
    let rates = Rates::default();
    let limited = rates.check(0, 6, &[(Key::Tenant("acme"), Rate::a_minute(60, 5))]).unwrap_err();
    assert_eq!((limited.wait, limited.wait.seconds()), (Wait::Never, None));
    assert!(limited.to_string().contains("ask for less"), "{limited}");
}

/// Tenant, group, token and brain: a request takes from all of them or from none, and the strictest is named.
#[test]
fn the_strictest_of_all_rates_holds_and_the_others_are_not_charged() {
    let (tenant, token) = (Rate::a_minute(60, 4), Rate::a_minute(60, 2));
    let brain = Rate::new(1, Duration::from_secs(30), 3);
    let rates = Rates::default();
    let ask = |of: &str| {
        rates.check(
            0,
            1,
            &[
                (Key::Tenant("acme"), tenant),
                (Key::Group("acme", "lab"), tenant),
                (Key::Token(of), token),
                (Key::Brain("acme", "7f2k9mqd"), brain),
            ],
        )
    };
    assert_eq!([ask("one"), ask("one")], [Ok(()), Ok(())]);
    // The token's two are used up, over and over, at nobody's cost but its own.
    for _ in 0..100 {
        let limited = ask("one").unwrap_err();
        assert_eq!((limited.level, limited.wait), ("token", Wait::For(Duration::from_secs(1))));
    }
    assert_eq!(ask("two"), Ok(()));
    // Now the brain has had its three. Of those that refuse, the one that does so longest is told.
    let limited = ask("one").unwrap_err();
    assert_eq!((limited.level, limited.wait.seconds()), ("brain", Some(30)));
    assert!(limited.to_string().contains("try again in 30 s"), "{limited}");
    let only_tenant = || rates.check(0, 1, &[(Key::Tenant("acme"), tenant)]);
    assert_eq!(only_tenant(), Ok(()));
    assert_eq!(only_tenant().unwrap_err().level, "tenant");
}

#[test]
fn names_that_read_alike_when_put_together_are_apart() {
    let (rates, once) = (Rates::default(), Rate::a_minute(1, 1));
    let keys = [
        Key::Tenant("ab"),
        Key::Token("ab"),
        Key::Group("a", "b"),
        Key::Brain("a", "b"),
        Key::Group("ab", ""),
        Key::Group("", "ab"),
    ];
    for key in keys {
        assert_eq!(rates.check(0, 1, &[(key, once)]), Ok(()), "{key:?}");
        assert!(rates.check(0, 1, &[(key, once)]).is_err(), "{key:?}");
    }
}

#[test]
fn a_clock_that_goes_back_harms_nobody() {
    let rate = Rate::a_minute(60, 10);
    let rates = Rates::default();
    let ask = |now, name| rates.check(now, 1, &[(Key::Tenant(name), rate)]);
    let hour = 3_600 * SECOND;
    for name in ["idle", "busy"] {
        (0..10).for_each(|_| ask(hour, name).unwrap());
        assert!(ask(hour, name).is_err());
    }
    // A minute later both are as new; then it is an hour ago.
    (0..10).for_each(|_| ask(hour + 60 * SECOND, "busy").unwrap());
    assert!(ask(60 * SECOND, "busy").is_err(), "and nobody gets more by it");
    (0..10).for_each(|_| ask(61 * SECOND, "idle").unwrap());
    assert!(ask(61 * SECOND, "idle").is_err());
    // Time goes on from there.
    assert_eq!(ask(63 * SECOND, "busy"), Ok(()));
    // Alone, a bucket is as new where it can tell.
    let mut bucket = Gcra::default();
    (0..10).for_each(|_| bucket.check(&rate, hour, 1).unwrap());
    assert_eq!(bucket.check(&rate, 5, 1), Ok(()));
}

#[test]
fn two_threads_that_look_at_the_clock_at_once_gain_nothing() {
    let rates = Rates::default();
    let ask = |now| rates.check(now, 1, &[(Key::Tenant("acme"), Rate::a_minute(60, 1))]).is_ok();
    // To and fro by half a second, ten thousand times: not a second has passed.
    let taken = (0..10_000).filter(|n| ask(SECOND + (n % 2) * (SECOND / 2))).count();
    assert_eq!(taken, 1);
}

#[test]
fn ten_thousand_idle_tokens_cost_nothing() {
    let (rates, rate) = (Rates::default(), Rate::a_minute(60, 10));
    let names: Vec<String> = (0..10_000).map(|n| format!("token-{n}")).collect();
    names.iter().for_each(|name| rates.check(0, 1, &[(Key::Token(name), rate)]).unwrap());
    assert_eq!(rates.kept(), 10_000, "as long as they matter");
    // Two seconds later those buckets are full again. A few that are in use clear them away.
    for now in [2, 4, 6] {
        names.iter().take(2_000).for_each(|name| rates.check(now * SECOND, 1, &[(Key::Token(name), rate)]).unwrap());
        assert!(rates.kept() <= 10_000 + 2_000);
    }
    for n in 0..20_000 {
        rates.check((10 + n) * SECOND, 1, &[(Key::Token(&format!("late-{n}")), rate)]).unwrap();
    }
    assert!(rates.kept() <= 16 * 64, "{}", rates.kept());
}

#[test]
fn a_full_table_takes_no_new_ones_and_forgets_no_old_ones() {
    let (rates, rate) = (Rates::new(1_600), Rate::a_minute(1, 2));
    let ask = |now, name: &str| rates.check(now, 1, &[(Key::Token(name), rate)]);
    let refused = (0..10_000).filter(|n| ask(SECOND, &format!("new-{n}")).is_err()).count();
    assert!(refused >= 10_000 - 1_600 && rates.kept() <= 1_600, "{refused} refused, {} kept", rates.kept());
    // What one has taken is still known, and so is what it may yet take.
    let known = (0..10_000).map(|n| format!("new-{n}")).find(|name| ask(SECOND, name).is_ok()).unwrap();
    assert_eq!(ask(SECOND, &known).unwrap_err().rate, Some(rate));
    let limited = ask(SECOND, "one more").or_else(|_| ask(SECOND, "and another")).unwrap_err();
    assert_eq!((limited.rate, limited.wait.seconds()), (None, Some(1)));
    // When those are full again, there is room.
    (0..1_000).for_each(|n| ask(300 * SECOND, &format!("later-{n}")).unwrap());
}

#[test]
fn an_interval_that_is_no_whole_number_never_gives_more() {
    let rate = Rate::new(7, Duration::from_nanos(10), 1);
    let mut bucket = Gcra::default();
    let taken = (0..1_000).filter(|now| bucket.check(&rate, *now, 1).is_ok()).count();
    assert!((1..=700).contains(&taken), "{taken} where 700 come");
}
