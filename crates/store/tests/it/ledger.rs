//! E4: budgets.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use autoshare_access::Access;
use autoshare_core::budget::{Account, Budget, Cap, Caps, Limit, Measure, ModelPattern, Rate, Window};
use autoshare_core::day::Day;
use autoshare_core::usage::{MicroUsd, Usage};
use autoshare_core::{BrainId, TokenId};
use autoshare_store::StoreError;
use autoshare_store::ledger::{Budgets, Ledger, LedgerError, Payer, Settled};

use crate::{brain, child};

const NOON: u64 = 12 * 60 * 60 * 1000;

pub(crate) fn day_ms(text: &str) -> u64 {
    text.parse::<Day>().unwrap().start_ms() + NOON
}

pub(crate) fn cents(amount: u64) -> Usage {
    Usage { cost: MicroUsd(amount * 10_000), ..Usage::ZERO }
}

fn cost(cents: u64) -> Cap {
    Cap { cost: Some(MicroUsd(cents * 10_000)), ..Cap::NONE }
}

fn hard(caps: Caps) -> Budget {
    Budget { hard: caps, soft: Caps::NONE }
}

pub(crate) fn a_day(cents: u64) -> Budget {
    hard(Caps { day: cost(cents), ..Caps::NONE })
}

pub(crate) fn tenant(budget: Budget) -> Budgets {
    Budgets { tenant: budget, models: Vec::new() }
}

pub(crate) fn open(dir: &Path, budgets: Budgets) -> Ledger {
    Ledger::open(dir, &Access::local(dir).unwrap(), budgets).unwrap()
}

pub(crate) fn payer(model: &str) -> Payer {
    Payer { token: None, brain: None, model: model.to_owned() }
}

fn token(n: u8, budget: Budget) -> (Payer, [Limit; 1]) {
    let id = TokenId::from_random([0, 0, 0, 0, n]);
    let limit = Limit { account: Account::Token(id.clone()), budget, rate: Rate::NONE };
    (Payer { token: Some(id), ..payer("m") }, [limit])
}

/// How many calls of 1 cent still fit.
fn room(ledger: &Ledger) -> u64 {
    let mut held = Vec::new();
    while let Ok(reservation) = ledger.reserve(&payer("m"), &[], cents(1)) {
        held.push(reservation);
        assert!(held.len() < 10_000, "there is no cap");
    }
    let room = held.len() as u64;
    held.into_iter().for_each(autoshare_store::ledger::Reservation::release);
    room
}

fn spend(ledger: &Ledger, amount: u64) {
    ledger.reserve(&payer("m"), &[], cents(amount)).unwrap().settle(cents(amount), Settled::Done);
}

fn over(result: Result<autoshare_store::ledger::Reservation, LedgerError>) -> autoshare_store::ledger::Passed {
    match result {
        Err(LedgerError::Over { passed }) => *passed,
        other => panic!("{other:?}"),
    }
}

fn soft(result: Result<autoshare_store::ledger::Reservation, LedgerError>) -> autoshare_store::ledger::Passed {
    match result {
        Err(LedgerError::Soft { passed }) => *passed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn e4_a_thousand_calls_at_the_edge_of_a_budget_pass_it_by_nothing() {
    let dir = crate::tempdir();
    let ledger = open(dir.path(), tenant(a_day(100)));
    let granted = AtomicU64::new(0);
    let start = std::sync::Barrier::new(1000);
    std::thread::scope(|scope| {
        for _ in 0..1000 {
            let work = || {
                start.wait();
                match ledger.reserve(&payer("m"), &[], cents(1)) {
                    Ok(reservation) => {
                        granted.fetch_add(1, Ordering::Relaxed);
                        reservation.settle(cents(1), Settled::Done);
                    }
                    Err(LedgerError::Over { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            };
            std::thread::Builder::new().stack_size(64 * 1024).spawn_scoped(scope, work).unwrap();
        }
    });
    assert_eq!(granted.into_inner(), 100);
    let rows = ledger.usage(&Access::local(dir.path()).unwrap(), Day(0)).unwrap();
    assert_eq!(rows.iter().map(|row| row.used.cost.0).sum::<u64>(), 1_000_000);
}

#[test]
fn e4_one_step_over_all_accounts_a_call_is_charged_to_all_or_to_none() {
    let dir = crate::tempdir();
    let pattern = ModelPattern::parse("gpt-*").unwrap();
    let budgets = Budgets { tenant: a_day(100), models: vec![(pattern.clone(), a_day(10))] };
    let ledger = open(dir.path(), budgets);
    let (of_token, limits) = token(1, a_day(50));
    let gpt = Payer { model: "gpt-5".to_owned(), ..of_token.clone() };
    for _ in 0..10 {
        ledger.reserve(&gpt, &limits, cents(1)).unwrap().settle(cents(1), Settled::Done);
    }
    let passed = over(ledger.reserve(&gpt, &limits, cents(1)));
    assert_eq!((passed.account, passed.used), (Account::Model(pattern), 100_000));
    // The refused one took nothing from token or tenant: 40 and then 50 more cents are there.
    for (payer, limits, left) in [(&of_token, &limits[..], 40), (&payer("m"), &[], 50)] {
        for n in 0..left {
            let reserved = ledger.reserve(payer, limits, cents(1));
            reserved.unwrap_or_else(|e| panic!("{n} of {left}: {e}")).settle(cents(1), Settled::Done);
        }
    }
    assert_eq!(over(ledger.reserve(&payer("m"), &[], cents(1))).account, Account::Tenant);
    assert_eq!(over(ledger.reserve(&of_token, &limits, cents(1))).account, Account::Tenant);
}

#[test]
fn what_is_settled_released_or_dropped_counts_as_it_should() {
    let dir = crate::tempdir();
    let ledger = open(dir.path(), tenant(a_day(100)));
    ledger.reserve(&payer("m"), &[], cents(60)).unwrap().settle(cents(10), Settled::Done);
    assert_eq!(room(&ledger), 90);
    ledger.reserve(&payer("m"), &[], cents(60)).unwrap().release();
    assert_eq!(room(&ledger), 90);
    drop(ledger.reserve(&payer("m"), &[], cents(60)).unwrap());
    assert_eq!(room(&ledger), 30);
    // A provider may report more than was set aside: it is charged in full, and is all that a budget is passed by.
    ledger.reserve(&payer("m"), &[], cents(30)).unwrap().settle(cents(500), Settled::Failed);
    assert_eq!(room(&ledger), 0);
    let passed = over(ledger.reserve(&payer("m"), &[], cents(1)));
    assert_eq!(passed.used, 5_700_000);
    let rows = ledger.usage(&Access::local(dir.path()).unwrap(), Day(0)).unwrap();
    assert_eq!((rows[0].requests, rows[0].failed, rows[0].used.cost), (3, 2, MicroUsd(5_700_000)));
    let spent = ledger.spent();
    assert_eq!((spent.requests, spent.failed, spent.used), (3, 2, rows[0].used));
    drop(ledger);
    assert_eq!(over(open(dir.path(), tenant(a_day(100))).reserve(&payer("m"), &[], cents(1))).used, 5_700_000);
}

#[test]
fn e4_absurd_amounts_saturate() {
    let dir = crate::tempdir();
    let ledger = open(dir.path(), tenant(a_day(100)));
    let absurd = Usage { input_tokens: u64::MAX, output_tokens: u64::MAX, cost: MicroUsd(u64::MAX), ..Usage::ZERO };
    over(ledger.reserve(&payer("m"), &[], absurd));
    assert_eq!(room(&ledger), 100);
    for _ in 0..3 {
        // Reported, not asked for. The second is refused beforehand.
        if let Ok(reservation) = ledger.reserve(&payer("m"), &[], cents(1)) {
            reservation.settle(absurd, Settled::Done);
        }
        ledger.flush().unwrap();
    }
    assert_eq!(room(&ledger), 0);
    drop(ledger);
    assert_eq!(room(&open(dir.path(), tenant(a_day(100)))), 0);
}

#[test]
fn every_window_and_measure_has_a_cap_of_its_own() {
    let usage = Usage { input_tokens: 10, output_tokens: 5, cost: MicroUsd(7), ..Usage::ZERO };
    let caps = [
        (Measure::Requests, Cap { requests: Some(3), ..Cap::NONE }),
        (Measure::Input, Cap { input_tokens: Some(39), ..Cap::NONE }),
        (Measure::Output, Cap { output_tokens: Some(19), ..Cap::NONE }),
        (Measure::Tokens, Cap { tokens: Some(59), ..Cap::NONE }),
        (Measure::Cost, Cap { cost: Some(MicroUsd(27)), ..Cap::NONE }),
    ];
    let payer = Payer { brain: Some(brain(1)), ..payer("m") };
    for (measure, cap) in caps {
        for (window, caps) in [
            (Window::Run, Caps { run: cap, ..Caps::NONE }),
            (Window::Day, Caps { day: cap, ..Caps::NONE }),
            (Window::Month, Caps { month: cap, ..Caps::NONE }),
        ] {
            let dir = crate::tempdir();
            let ledger = open(dir.path(), tenant(hard(caps)));
            for _ in 0..3 {
                ledger.reserve(&payer, &[], usage).unwrap().settle(usage, Settled::Done);
            }
            let passed = over(ledger.reserve(&payer, &[], usage));
            assert_eq!((passed.window, passed.measure), (window, measure));
            assert_eq!(passed.used, measure.of(&usage) * 3);
            let other = Payer { brain: Some(brain(2)), ..payer.clone() };
            assert_eq!(ledger.reserve(&other, &[], usage).is_ok(), window == Window::Run);
        }
        let dir = crate::tempdir();
        let ledger = open(dir.path(), tenant(hard(Caps { call: cap, ..Caps::NONE })));
        let large = Usage { input_tokens: 40, output_tokens: 40, cost: MicroUsd(40), ..Usage::ZERO };
        match measure {
            Measure::Requests => drop(ledger.reserve(&payer, &[], large).unwrap()),
            _ => assert_eq!(over(ledger.reserve(&payer, &[], large)).window, Window::Call),
        }
        drop(ledger.reserve(&payer, &[], usage).unwrap());
    }
}

#[test]
fn days_and_months_begin_anew_and_a_clock_that_goes_back_opens_none_again() {
    let dir = crate::tempdir();
    let budgets = tenant(hard(Caps { day: cost(10), month: cost(25), ..Caps::NONE }));
    let ledger = open(dir.path(), budgets.clone());
    ledger.set_clock(day_ms("2026-11-28"));
    spend(&ledger, 4);
    ledger.set_clock(day_ms("2026-11-29"));
    assert_eq!(room(&ledger), 10);
    spend(&ledger, 10);
    let passed = over(ledger.reserve(&payer("m"), &[], cents(1)));
    assert_eq!(passed.until_ms, Some("2026-11-30".parse::<Day>().unwrap().start_ms()));
    // Six cents of the 28th were not used; nobody gets them by setting the clock back, here or in another process.
    ledger.set_clock(day_ms("2026-11-28"));
    assert_eq!(room(&ledger), 0);
    drop(ledger);
    let ledger = open(dir.path(), budgets.clone());
    ledger.set_clock(day_ms("2026-11-28"));
    assert_eq!(room(&ledger), 0);
    ledger.set_clock(day_ms("2026-11-30"));
    assert_eq!(room(&ledger), 10);
    spend(&ledger, 10);
    // One that is a day behind learns it from the file.
    let behind = open(dir.path(), budgets);
    behind.set_clock(day_ms("2026-11-29"));
    assert_eq!(room(&behind), 0);
    ledger.set_clock(day_ms("2026-12-01"));
    assert_eq!(room(&ledger), 10);
    behind.set_clock(day_ms("2026-11-30"));
    ledger.flush().unwrap();
    assert_eq!(room(&behind), 10, "it takes part in the day that the other has seen");
    behind.flush().unwrap();
    ledger.set_clock(day_ms("2026-12-02"));
    spend(&ledger, 10);
    ledger.set_clock(day_ms("2026-12-03"));
    spend(&ledger, 10);
    ledger.set_clock(day_ms("2026-12-04"));
    assert_eq!(room(&ledger), 5);
    let passed = over(ledger.reserve(&payer("m"), &[], cents(6)));
    assert_eq!((passed.window, passed.used), (Window::Month, 200_000));
    assert!(passed.to_string().ends_with("begins anew at 2027-01-01 00:00 UTC"), "{passed}");
}

#[test]
fn a_soft_cap_asks_and_a_recorded_leave_holds_until_its_window_ends() {
    let dir = crate::tempdir();
    let budget = Budget {
        hard: Caps { day: cost(20), ..Caps::NONE },
        soft: Caps { day: cost(10), call: cost(5), ..Caps::NONE },
    };
    let ledger = open(dir.path(), tenant(budget));
    ledger.set_clock(day_ms("2026-11-28"));
    spend(&ledger, 5);
    spend(&ledger, 5);
    let passed = soft(ledger.reserve(&payer("m"), &[], cents(1)));
    assert_eq!((passed.window, passed.cap), (Window::Day, 100_000));
    // Said after midnight, it is said about the day that was asked about.
    ledger.set_clock(day_ms("2026-11-29"));
    ledger.allow_soft(&passed).unwrap();
    spend(&ledger, 5);
    spend(&ledger, 5);
    let passed = soft(ledger.reserve(&payer("m"), &[], cents(1)));
    ledger.allow_soft(&passed).unwrap();
    // In another process too, up to the hard cap.
    let other = open(dir.path(), tenant(budget));
    other.set_clock(day_ms("2026-11-29"));
    spend(&other, 5);
    drop(other);
    assert_eq!(room(&ledger), 5);
    spend(&ledger, 5);
    assert_eq!(over(ledger.reserve(&payer("m"), &[], cents(1))).cap, 200_000);
    ledger.set_clock(day_ms("2026-11-30"));
    // Of one call: for the next one.
    let large = soft(ledger.reserve(&payer("m"), &[], cents(6)));
    assert_eq!(large.window, Window::Call);
    ledger.allow_soft(&large).unwrap();
    spend(&ledger, 6);
    soft(
        ledger
            .reserve(&payer("m"), &[], cents(4))
            .map(|r| (r.release(), ledger.reserve(&payer("m"), &[], cents(6))).1)
            .unwrap(),
    );
}

#[test]
fn two_processes_share_a_cap() {
    let dir = crate::tempdir();
    drop(open(dir.path(), tenant(a_day(500))));
    let children: Vec<_> = (0..2).map(|_| child::command(&[], "ledger-spend", dir.path()).spawn().unwrap()).collect();
    let granted: u64 = children
        .into_iter()
        .map(|mut child| {
            let said: Vec<_> = child::Said::of(&mut child).collect();
            assert!(child.wait().unwrap().success());
            said[0].parse::<u64>().unwrap()
        })
        .sum();
    // One may have been refused while the other still held a slice, of 7 cents at most.
    assert!((493..=500).contains(&granted), "{granted}");
    let ledger = open(dir.path(), tenant(a_day(500)));
    assert_eq!(room(&ledger), 500 - granted, "what was not spent was given back");
}

/// One of two that spend all they can.
pub(crate) fn spend_all(dir: &Path) -> u64 {
    let ledger = open(dir, tenant(a_day(500)));
    let mut granted = 0;
    while let Ok(reservation) = ledger.reserve(&payer("m"), &[], cents(1)) {
        reservation.settle(cents(1), Settled::Done);
        granted += 1;
        assert!(granted < 10_000, "there is no cap");
    }
    granted
}

#[test]
fn what_a_process_holds_and_does_not_need_is_there_for_others_soon() {
    let dir = crate::tempdir();
    let busy = open(dir.path(), tenant(a_day(640)));
    assert_eq!(room(&busy), 640);
    let other = open(dir.path(), tenant(a_day(640)));
    // All but a slice, of 10 cents, within a moment, though it goes on working.
    let seen = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        busy.reserve(&payer("m"), &[], cents(1)).unwrap().release();
        match other.reserve(&payer("m"), &[], cents(629)) {
            Ok(reservation) => {
                reservation.release();
                true
            }
            Err(_) => false,
        }
    });
    assert!(seen);
}

#[test]
fn e4_a_kill_between_call_and_charge_loses_a_slice_at_most_and_frees_none() {
    // (what is under way at the kill, cents spent by then)
    let cases = [("opened", 0), ("reserved", 0), ("settled", 1), ("many", 200), ("dropped", 10)];
    for (at, spent) in cases {
        let dir = crate::tempdir();
        let mut victim = child::command(&[], &format!("ledger-kill {at}"), dir.path()).spawn().unwrap();
        assert_eq!(victim.wait().unwrap().signal(), Some(9), "{at}");
        let room = room(&open(dir.path(), tenant(a_day(6400))));
        assert!(room <= 6400 - spent, "{at}: a kill freed budget: {room}");
        // A slice is 100 cents.
        assert!(room >= 6400 - spent - 100, "{at}: a kill lost more than a slice: {room}");
    }
}

/// Kills itself with something under way.
pub(crate) fn kill_at(dir: &Path, at: &str) {
    let ledger = open(dir, tenant(a_day(6400)));
    let reserve = |amount| ledger.reserve(&payer("m"), &[], cents(amount)).unwrap();
    let _open = match at {
        "reserved" => Some(reserve(50)),
        "settled" => {
            reserve(50).settle(cents(1), Settled::Done);
            None
        }
        "many" => {
            (0..200).for_each(|_| reserve(1).settle(cents(1), Settled::Done));
            None
        }
        "dropped" => {
            drop(reserve(10));
            None
        }
        _ => None,
    };
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
}

#[test]
fn e4_a_budget_that_is_set_later_counts_what_was_used_before() {
    let dir = crate::tempdir();
    let ledger = open(dir.path(), Budgets::default());
    let run = Payer { brain: Some(brain(1)), ..payer("gpt-5") };
    ledger.reserve(&run, &[], cents(60)).unwrap().settle(cents(60), Settled::Done);
    drop(ledger);
    let pattern = ModelPattern::parse("gpt*").unwrap();
    let all = [
        tenant(a_day(100)),
        tenant(hard(Caps { month: cost(100), ..Caps::NONE })),
        Budgets { tenant: Budget::NONE, models: vec![(pattern, a_day(100))] },
        tenant(hard(Caps { run: cost(100), ..Caps::NONE })),
    ];
    for budgets in all {
        let ledger = open(dir.path(), budgets.clone());
        assert_eq!(over(ledger.reserve(&run, &[], cents(41))).used, 600_000, "{budgets:?}");
        ledger.reserve(&run, &[], cents(40)).unwrap().release();
    }
}

#[test]
fn e4_an_account_that_was_edited_below_zero_is_refused() {
    let dir = crate::tempdir();
    let ledger = open(dir.path(), tenant(a_day(100)));
    spend(&ledger, 50);
    drop(ledger);
    let file = rusqlite::Connection::open(dir.path().join("tenants/local/ledger.db")).unwrap();
    file.execute("UPDATE account SET cost = -1000000", ()).unwrap();
    let ledger = open(dir.path(), tenant(a_day(100)));
    match ledger.reserve(&payer("m"), &[], cents(1)) {
        Err(LedgerError::Store(StoreError::Corrupt { .. })) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cap_that_is_lowered_holds_at_once() {
    let dir = crate::tempdir();
    let ledger = open(dir.path(), Budgets::default());
    let (payer, wide) = token(1, a_day(100));
    let (_, narrow) = token(1, a_day(20));
    (0..30).for_each(|_| ledger.reserve(&payer, &wide, cents(1)).unwrap().settle(cents(1), Settled::Done));
    // What this process held of the old cap, a 64th of it, may be spent.
    let more = (0..).take_while(|_| ledger.reserve(&payer, &narrow, cents(1)).is_ok()).count();
    assert!(more <= 1, "{more}");
}

#[test]
fn how_fast_is_limited_too() {
    let dir = crate::tempdir();
    let ledger = open(dir.path(), Budgets::default());
    let (payer, [limit]) = token(1, Budget::NONE);
    let calls = [Limit { rate: Rate { requests: Some(3), tokens: None }, ..limit.clone() }];
    for _ in 0..3 {
        ledger.reserve(&payer, &calls, cents(1)).unwrap().settle(cents(1), Settled::Done);
    }
    match ledger.reserve(&payer, &calls, cents(1)) {
        Err(error @ LedgerError::Fast { measure: Measure::Requests, limit: 3, .. }) => {
            assert!(error.to_string().contains("try again in"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    // What a call did not use of its tokens is there again at once.
    let (payer, [limit]) = token(2, Budget::NONE);
    let tokens = [Limit { rate: Rate { requests: None, tokens: Some(100) }, ..limit }];
    let large = Usage { output_tokens: 90, ..Usage::ZERO };
    let small = Usage { output_tokens: 10, ..Usage::ZERO };
    ledger.reserve(&payer, &tokens, large).unwrap().settle(small, Settled::Done);
    let second = ledger.reserve(&payer, &tokens, large).unwrap();
    assert!(matches!(ledger.reserve(&payer, &tokens, large), Err(LedgerError::Fast { .. })));
    drop(second);
}

#[test]
fn usage_is_reported_by_day_token_brain_and_model() {
    let dir = crate::tempdir();
    let access = Access::local(dir.path()).unwrap();
    let ledger = open(dir.path(), Budgets::default());
    let used =
        Usage { input_tokens: 100, output_tokens: 10, cached_tokens: 60, reasoning_tokens: 4, cost: MicroUsd(1_000) };
    let (of_token, limits) = token(1, Budget::NONE);
    let long = Payer { brain: Some(BrainId::from_random([1; 5])), ..payer(&"x".repeat(1000)) };
    for day in ["2026-11-28", "2026-11-29"] {
        ledger.set_clock(day_ms(day));
        ledger.reserve(&of_token, &limits, used).unwrap().settle(used, Settled::Done);
        ledger.reserve(&of_token, &limits, used).unwrap().settle(Usage::ZERO, Settled::Failed);
    }
    ledger.reserve(&long, &[], used).unwrap().settle(used, Settled::Done);
    ledger.flush().unwrap();
    ledger.reserve(&of_token, &limits, used).unwrap().settle(used, Settled::Done);
    let rows = ledger.usage(&access, "2026-11-28".parse().unwrap()).unwrap();
    let seen: Vec<_> =
        rows.iter().map(|row| (row.day.to_string(), row.token.is_some(), row.requests, row.failed)).collect();
    let expected = [("2026-11-28", true, 2, 1), ("2026-11-29", false, 1, 0), ("2026-11-29", true, 3, 1)];
    assert_eq!(seen, expected.map(|(day, token, requests, failed)| (day.to_owned(), token, requests, failed)));
    assert_eq!(rows[1].model.len(), 128);
    assert_eq!(rows[2].used, used + used);
    assert_eq!(ledger.usage(&access, "2026-11-30".parse().unwrap()).unwrap(), []);
}

#[test]
fn what_was_used_is_written_down_without_being_asked() {
    let dir = crate::tempdir();
    let access = Access::local(dir.path()).unwrap();
    let ledger = open(dir.path(), Budgets::default());
    spend(&ledger, 1);
    let reader = open(dir.path(), Budgets::default());
    let seen = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        !reader.usage(&access, Day(0)).unwrap().is_empty()
    });
    assert!(seen, "nothing was written within five seconds");
    drop(ledger);
}

#[test]
fn e4_on_a_full_disk_a_capped_call_is_refused_and_work_goes_on_when_there_is_room() {
    let dir = crate::tempdir();
    child::run(&crate::disk::unshared(crate::disk::SMALL_DISK), "ledger-full", dir.path());
}

/// On a disk of 2 MiB.
pub(crate) fn full(dir: &Path) {
    let ledger = open(dir, tenant(a_day(6400)));
    spend(&ledger, 1);
    std::fs::write(dir.join("ballast"), vec![0u8; 4 * 1024 * 1024]).unwrap_err();
    // The slice of 100 cents that it has may be spent; then it needs the disk.
    let mut spent = 1;
    let error = loop {
        match ledger.reserve(&Payer { brain: Some(brain(1)), ..payer(&format!("m{spent}")) }, &[], cents(1)) {
            Ok(reservation) => reservation.settle(cents(1), Settled::Done),
            Err(error) => break error,
        }
        spent += 1;
        assert!(spent < 6500, "the disk was never needed");
    };
    assert!(matches!(error, LedgerError::Store(StoreError::Full { .. })), "{error:?}");
    assert!(spent >= 100, "{spent}");
    std::fs::remove_file(dir.join("ballast")).unwrap();
    spend(&ledger, 1);
    ledger.flush().unwrap();
    let rows = ledger.usage(&Access::local(dir).unwrap(), Day(0)).unwrap();
    assert_eq!(rows.iter().map(|row| row.requests).sum::<u64>(), spent + 1, "no call is forgotten");
}
