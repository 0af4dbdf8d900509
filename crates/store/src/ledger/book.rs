//! What a process remembers: what it holds of each account and has spent of it.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoshare_core::BrainId;
use autoshare_core::budget::{Account, Budget, Cap, Limit, Measure, Rate, Window};
use autoshare_core::day::Day;
use autoshare_core::usage::Usage;

use super::amounts::{Amounts, Measures};
use super::disk::{Disk, Lack, Taken};
use super::period::{Period, Place};
use super::rate::Bucket;
use super::{Budgets, LedgerError, Passed, Payer, Settled, UsageRow};
use crate::StoreError;

/// An account that nobody charged for so long gives back what it holds.
const IDLE: Duration = Duration::from_secs(5);
/// An account that nobody charged for so long is forgotten; the file knows it.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// What this process holds of an account in one window.
#[derive(Debug)]
struct Held {
    /// Taken from the file, and not given back.
    held: Amounts,
    /// Spent of it, or set aside for calls that are under way. More than what is held only while the file cannot be
    /// written to.
    used: Amounts,
    /// How much is kept for calls to come.
    slice: Amounts,
    /// Calls that are under way.
    open: u32,
    touched: Instant,
}

impl Held {
    fn new(now: Instant) -> Self {
        let none = Amounts::default();
        Self { held: none, used: none, slice: none, open: 0, touched: now }
    }

    fn free(&self) -> Amounts {
        self.held.minus(self.used)
    }

    fn surplus(&self) -> Amounts {
        self.free().minus(self.slice)
    }

    fn debt(&self) -> Amounts {
        self.used.minus(self.held)
    }
}

/// What a call was charged to.
#[derive(Debug)]
pub(super) struct Charge {
    place: Place,
    measures: Measures,
}

/// The tenant's budgets.
#[derive(Debug)]
struct Own {
    tenant: Budget,
    models: Vec<(Account, Budget)>,
}

/// What there is in memory of a ledger. Every change is one step under one lock.
#[derive(Debug)]
pub(super) struct Book {
    budgets: Own,
    accounts: HashMap<Place, Held>,
    rates: HashMap<(Account, Measure), Bucket>,
    /// Leave to pass a soft cap of one call, once.
    leaves: HashSet<(Account, Option<BrainId>)>,
    /// What is not yet written down.
    usage: HashMap<(Day, Payer), (u64, u64, Usage)>,
    /// The latest day that was ever seen.
    latest: Day,
}

/// What a reservation needs to know to be settled.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) day: Day,
    pub(super) charges: Vec<Charge>,
    /// Accounts whose tokens a minute are limited.
    pub(super) rated: Vec<Account>,
}

impl Book {
    pub(super) fn new(budgets: Budgets, latest: Day) -> Self {
        let models = budgets.models.into_iter().map(|(pattern, budget)| (Account::Model(pattern), budget)).collect();
        Self {
            budgets: Own { tenant: budgets.tenant, models },
            accounts: HashMap::new(),
            rates: HashMap::new(),
            leaves: HashSet::new(),
            usage: HashMap::new(),
            latest,
        }
    }

    /// The day that counts: a clock that goes back does not open a day again that was left.
    pub(super) const fn today(&self) -> Day {
        self.latest
    }

    /// Sets `wanted` and one request aside on all accounts, or on none.
    pub(super) fn reserve(
        &mut self,
        disk: &Mutex<Disk>,
        clock: Day,
        payer: &Payer,
        limits: &[Limit],
        wanted: &Usage,
    ) -> Result<Open, LedgerError> {
        let budgets = &self.budgets;
        let own = std::iter::once((&Account::Tenant, &budgets.tenant))
            .chain(budgets.models.iter().filter(|(account, _)| fits(account, &payer.model)).map(|(a, b)| (a, b)));
        let all: Vec<_> = own.chain(limits.iter().map(|limit| (&limit.account, &limit.budget))).collect();
        let leave = check_call(&all, payer, wanted, &self.leaves)?;
        let now = Instant::now();
        check_rates(&mut self.rates, limits, wanted, now)?;

        let (day, charges) = loop {
            let day = self.latest.max(clock);
            self.latest = day;
            match charge(&mut self.accounts, disk, day, &all, payer, Amounts::of(wanted), now)? {
                Charged::Done(charges) => break (day, charges),
                Charged::Later(latest) => self.latest = latest,
            }
        };
        if let Some(leave) = leave {
            self.leaves.remove(&leave);
        }
        let mut rated = Vec::new();
        for Limit { account, rate, .. } in limits {
            for (measure, _) in rates(rate) {
                if let Some(bucket) = self.rates.get_mut(&(account.clone(), measure)) {
                    bucket.take(measure.of(wanted));
                }
                if measure == Measure::Tokens {
                    rated.push(account.clone());
                }
            }
        }
        Ok(Open { day, charges, rated })
    }

    /// Replaces what was set aside by what was used.
    pub(super) fn settle(&mut self, disk: &Mutex<Disk>, open: Open, payer: Payer, wanted: &Usage, end: End) {
        let (now, set_aside) = (Instant::now(), Amounts::of(wanted));
        let used = match &end {
            End::Used(used, _) => Amounts::of(used),
            End::Nothing => Amounts::default(),
        };
        let mut debts = Vec::new();
        for Charge { place, measures } in open.charges {
            let Some(account) = self.accounts.get_mut(&place) else { continue };
            account.used = account.used.plus(used.only(measures)).minus(set_aside.only(measures));
            account.open = account.open.saturating_sub(1);
            account.touched = now;
            if !account.debt().is_zero() {
                debts.push((place, account.debt()));
            }
        }
        if !debts.is_empty() {
            // What cannot be written now stays a debt, and is tried again with the next flush.
            let _ = self.pay(disk, debts);
        }
        for account in open.rated {
            if let Some(bucket) = self.rates.get_mut(&(account, Measure::Tokens)) {
                bucket.put_back(set_aside.get(Measure::Tokens));
                bucket.take(used.get(Measure::Tokens));
            }
        }
        if let End::Used(used, how) = end {
            let (requests, failed, sum) = self.usage.entry((open.day, payer)).or_default();
            *requests += 1;
            *failed += u64::from(how == Settled::Failed);
            *sum += used;
        }
    }

    fn pay(&mut self, disk: &Mutex<Disk>, debts: Vec<(Place, Amounts)>) -> Result<(), StoreError> {
        lock(disk).charge(self.latest, &debts)?;
        for (place, debt) in debts {
            if let Some(account) = self.accounts.get_mut(&place) {
                account.held = account.held.plus(debt);
            }
        }
        Ok(())
    }

    pub(super) fn allow_call(&mut self, account: Account, brain: Option<BrainId>) {
        self.leaves.insert((account, brain));
    }

    /// Takes out what is to be written down.
    pub(super) fn rows(&mut self) -> Vec<UsageRow> {
        let row = |((day, Payer { token, brain, model }), (requests, failed, used))| UsageRow {
            day,
            token,
            brain,
            model,
            requests,
            failed,
            used,
        };
        self.usage.drain().map(row).collect()
    }

    /// Puts rows back that could not be written.
    pub(super) fn put_back(&mut self, rows: Vec<UsageRow>) {
        for UsageRow { day, token, brain, model, requests, failed, used } in rows {
            let (r, f, u) = self.usage.entry((day, Payer { token, brain, model })).or_default();
            *r += requests;
            *f += failed;
            *u += used;
        }
    }

    /// How many rows wait to be written down.
    pub(super) fn waiting(&self) -> usize {
        self.usage.len()
    }

    /// Pays what is owed, and gives back what is held: by accounts that are idle or over all of it, by others what is more
    /// than a slice; or by everyone all of it.
    pub(super) fn give_back(&mut self, disk: &Mutex<Disk>, whose: Whose) -> Result<(), StoreError> {
        let (now, today) = (Instant::now(), self.latest);
        let owing = |(place, account): (&Place, &Held)| {
            let debt = account.debt();
            (!debt.is_zero()).then(|| (place.clone(), debt))
        };
        let debts: Vec<_> = self.accounts.iter().filter_map(owing).collect();
        if !debts.is_empty() {
            self.pay(disk, debts)?;
        }
        let is_due = |place: &Place, account: &Held| {
            whose == Whose::All || place.period.is_over(today) || now.duration_since(account.touched) > IDLE
        };
        let unspent: Vec<_> = self
            .accounts
            .iter()
            .map(|(place, account)| (place, if is_due(place, account) { account.free() } else { account.surplus() }))
            .filter(|(_, unspent)| !unspent.is_zero())
            .map(|(place, unspent)| (place.clone(), unspent))
            .collect();
        if !unspent.is_empty() {
            lock(disk).give_back(&unspent)?;
            for (place, free) in &unspent {
                if let Some(account) = self.accounts.get_mut(place) {
                    account.held = account.held.minus(*free);
                }
            }
        }
        self.accounts.retain(|place, account| {
            account.open > 0 || !(place.period.is_over(today) || now.duration_since(account.touched) > FORGOTTEN)
        });
        self.rates.retain(|_, bucket| !bucket.is_idle(now));
        Ok(())
    }

    /// Whether `give_back` has something to do, now or later.
    pub(super) fn holds(&self) -> bool {
        self.accounts.values().any(|account| !account.free().is_zero() || !account.debt().is_zero())
    }
}

/// How a reservation ends.
#[derive(Debug)]
pub(super) enum End {
    Used(Usage, Settled),
    Nothing,
}

/// Which accounts give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Idle,
    All,
}

enum Charged {
    Done(Vec<Charge>),
    Later(Day),
}

/// One account in one of its windows, with the caps on it.
struct Claim<'a> {
    charge: Charge,
    hard: &'a Cap,
    soft: &'a Cap,
}

/// Charges all accounts, or none.
fn charge(
    accounts: &mut HashMap<Place, Held>,
    disk: &Mutex<Disk>,
    day: Day,
    all: &[(&Account, &Budget)],
    payer: &Payer,
    wanted: Amounts,
    now: Instant,
) -> Result<Charged, LedgerError> {
    let claims = claims(all, day, payer);
    let mut lacks = Vec::new();
    for Claim { charge, hard, soft } in &claims {
        let account = accounts.get(&charge.place);
        let free = account.map(Held::free).unwrap_or_default().only(charge.measures);
        let wanted = wanted.only(charge.measures);
        if !wanted.minus(free).is_zero() || account.is_none() {
            lacks.push((
                &charge.place,
                Lack { place: &charge.place, hard, soft, wanted, free, first: account.is_none() },
            ));
        }
    }
    if !lacks.is_empty() {
        let (places, lacks): (Vec<_>, Vec<_>) = lacks.into_iter().unzip();
        match lock(disk).take(day, &lacks)? {
            Taken::Slices(slices) => {
                for (place, slice) in places.into_iter().zip(slices) {
                    let account = accounts.entry(place.clone()).or_insert_with(|| Held::new(now));
                    account.held = account.held.plus(slice.taken);
                    account.slice = slice.size;
                }
            }
            Taken::Over(passed) => return Err(LedgerError::Over { passed: Box::new(passed) }),
            Taken::Soft(passed) => return Err(LedgerError::Soft { passed: Box::new(passed) }),
            Taken::Later(latest) => return Ok(Charged::Later(latest)),
        }
    }
    let mut charges = Vec::with_capacity(claims.len());
    for Claim { charge, .. } in claims {
        if let Some(account) = accounts.get_mut(&charge.place) {
            account.used = account.used.plus(wanted.only(charge.measures));
            account.open += 1;
            account.touched = now;
        }
        charges.push(charge);
    }
    Ok(Charged::Done(charges))
}

/// The windows in which a call counts: those that have a cap.
fn claims<'a>(all: &[(&Account, &'a Budget)], day: Day, payer: &Payer) -> Vec<Claim<'a>> {
    let mut claims = Vec::with_capacity(all.len() * 2);
    for (account, budget) in all {
        for window in [Window::Run, Window::Day, Window::Month] {
            let (hard, soft) = (budget.hard.of(window), budget.soft.of(window));
            let measures = Measures::capped(hard, soft);
            if measures.is_none() {
                continue;
            }
            let period = match window {
                // A call that is no brain's is part of no run.
                Window::Call | Window::Run => payer.brain.clone().map(Period::Run),
                Window::Day => Some(Period::Day(day)),
                Window::Month => Some(Period::Month(day.month())),
            };
            if let Some(period) = period {
                let place = Place { account: (*account).clone(), period };
                claims.push(Claim { charge: Charge { place, measures }, hard, soft });
            }
        }
    }
    claims
}

fn fits(account: &Account, model: &str) -> bool {
    match account {
        Account::Model(pattern) => pattern.matches(model),
        Account::Tenant | Account::Token(_) => true,
    }
}

/// The caps of one call. Gives back the leave that it needs, if it needs one.
fn check_call(
    all: &[(&Account, &Budget)],
    payer: &Payer,
    wanted: &Usage,
    leaves: &HashSet<(Account, Option<BrainId>)>,
) -> Result<Option<(Account, Option<BrainId>)>, LedgerError> {
    let mut needed = None;
    for (account, budget) in all {
        for (caps, is_hard) in [(&budget.hard.call, true), (&budget.soft.call, false)] {
            if caps.is_none() {
                continue;
            }
            for measure in Measure::ALL {
                let wanted = measure.of(wanted);
                let Some(cap) = caps.of(measure).filter(|cap| wanted > *cap) else { continue };
                let passed = Passed {
                    account: (*account).clone(),
                    window: Window::Call,
                    brain: payer.brain.clone(),
                    measure,
                    cap,
                    used: 0,
                    wanted,
                    until_ms: None,
                };
                let leave = ((*account).clone(), payer.brain.clone());
                if is_hard {
                    return Err(LedgerError::Over { passed: Box::new(passed) });
                }
                if !leaves.contains(&leave) {
                    return Err(LedgerError::Soft { passed: Box::new(passed) });
                }
                needed = Some(leave);
            }
        }
    }
    Ok(needed)
}

fn rates(rate: &Rate) -> impl Iterator<Item = (Measure, u64)> {
    let requests = rate.requests.map(|limit| (Measure::Requests, limit));
    requests.into_iter().chain(rate.tokens.map(|limit| (Measure::Tokens, limit)))
}

/// Whether all rates have room; takes nothing yet.
fn check_rates(
    buckets: &mut HashMap<(Account, Measure), Bucket>,
    limits: &[Limit],
    wanted: &Usage,
    now: Instant,
) -> Result<(), LedgerError> {
    for Limit { account, rate, .. } in limits {
        for (measure, limit) in rates(rate) {
            let bucket = buckets.entry((account.clone(), measure)).or_insert_with(|| Bucket::full(limit, now));
            if let Some(after) = bucket.wait(measure.of(wanted), limit, now) {
                return Err(LedgerError::Fast { account: account.clone(), measure, limit, after });
            }
        }
    }
    Ok(())
}

/// A thread that panicked leaves whole numbers behind, and a transaction that was rolled back.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
