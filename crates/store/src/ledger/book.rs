//! What a process remembers: what it holds of each account and has spent of it.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoshare_core::BrainId;
use autoshare_core::budget::{Account, Budget, Limit, Measure, ModelPattern, Window};
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

/// An account, and what is known of it here. It is remembered for as long as the process lives.
#[derive(Debug)]
struct Entry {
    account: Account,
    /// Days and months: the current ones, and those of calls that are under way.
    dates: Vec<(Period, Held)>,
    runs: HashMap<BrainId, Held>,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

impl Entry {
    fn new(account: Account) -> Self {
        Self { account, dates: Vec::new(), runs: HashMap::new(), requests: None, tokens: None }
    }

    fn held(&mut self, period: &Period) -> Option<&mut Held> {
        match period {
            Period::Run(brain) => self.runs.get_mut(brain),
            date => self.dates.iter_mut().find(|(known, _)| known == date).map(|(_, held)| held),
        }
    }

    fn begin(&mut self, period: &Period, now: Instant) {
        match period {
            Period::Run(brain) => drop(self.runs.insert(brain.clone(), Held::new(now))),
            date => self.dates.push((date.clone(), Held::new(now))),
        }
    }

    fn all(&mut self) -> impl Iterator<Item = (Period, &mut Held)> {
        let runs = self.runs.iter_mut().map(|(brain, held)| (Period::Run(brain.clone()), held));
        runs.chain(self.dates.iter_mut().map(|(date, held)| (date.clone(), held)))
    }

    fn bucket(&mut self, measure: Measure) -> &mut Option<Bucket> {
        if measure == Measure::Tokens { &mut self.tokens } else { &mut self.requests }
    }
}

/// What a call was charged to.
#[derive(Debug)]
struct Charge {
    entry: usize,
    period: Period,
    measures: Measures,
}

/// What a reservation needs to know to be settled.
#[derive(Debug)]
pub(super) struct Open {
    day: Day,
    charges: Vec<Charge>,
    /// Entries whose tokens a minute are limited.
    rated: Vec<usize>,
}

/// What there is in memory of a ledger. Every change is one step under one lock.
#[derive(Debug)]
pub(super) struct Book {
    /// The tenant's is the first; then come those of `models`, in order; then those of tokens.
    entries: Vec<Entry>,
    tokens: HashMap<Account, usize>,
    tenant: Budget,
    models: Vec<(ModelPattern, Budget)>,
    /// Leave to pass a soft cap of one call, once.
    leaves: HashSet<(Account, Option<BrainId>)>,
    /// What is not yet written down: requests, those that failed, and what was used.
    usage: HashMap<(Day, Payer), (u64, u64, Usage)>,
    /// The latest day that was ever seen.
    latest: Day,
}

impl Book {
    pub(super) fn new(budgets: Budgets, latest: Day) -> Self {
        let Budgets { tenant, models } = budgets;
        let of_models = models.iter().map(|(pattern, _)| Account::Model(pattern.clone()));
        Self {
            entries: std::iter::once(Account::Tenant).chain(of_models).map(Entry::new).collect(),
            tokens: HashMap::new(),
            tenant,
            models,
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
        let now = Instant::now();
        let of_limits: Vec<_> = limits.iter().map(|limit| self.entry(&limit.account)).collect();
        let of_models = self.models.iter().enumerate().filter(|(_, (pattern, _))| pattern.matches(&payer.model));
        let mut all = Vec::with_capacity(1 + self.models.len() + limits.len());
        all.push((0, self.tenant));
        all.extend(of_models.map(|(at, (_, budget))| (at + 1, *budget)));
        all.extend(of_limits.iter().copied().zip(limits.iter().map(|limit| limit.budget)));

        let leave = self.check_call(&all, payer, wanted)?;
        let rated = self.check_rates(&of_limits, limits, wanted, now)?;
        let (day, charges) = loop {
            self.latest = self.latest.max(clock);
            match self.charge(disk, &all, payer, Amounts::of(wanted), now)? {
                Charged::Done(charges) => break (self.latest, charges),
                Charged::Later(latest) => self.latest = latest,
            }
        };
        // Nothing can fail any more.
        if let Some(leave) = leave {
            self.leaves.remove(&leave);
        }
        for (entry, measure) in &rated {
            if let Some(bucket) = self.entries.get_mut(*entry).and_then(|entry| entry.bucket(*measure).as_mut()) {
                bucket.take(measure.of(wanted));
            }
        }
        let rated = rated.into_iter().filter(|(_, measure)| *measure == Measure::Tokens).map(|(entry, _)| entry);
        Ok(Open { day, charges, rated: rated.collect() })
    }

    fn entry(&mut self, account: &Account) -> usize {
        if let Some(entry) = self.tokens.get(account) {
            return *entry;
        }
        self.entries.push(Entry::new(account.clone()));
        self.tokens.insert(account.clone(), self.entries.len() - 1);
        self.entries.len() - 1
    }

    /// Charges all accounts, or none.
    fn charge(
        &mut self,
        disk: &Mutex<Disk>,
        all: &[(usize, Budget)],
        payer: &Payer,
        wanted: Amounts,
        now: Instant,
    ) -> Result<Charged, LedgerError> {
        let mut charges = Vec::with_capacity(all.len() * 2);
        let mut lacks = Vec::new();
        for (at, budget) in all {
            let Some(entry) = self.entries.get_mut(*at) else { continue };
            for window in [Window::Run, Window::Day, Window::Month] {
                let (hard, soft) = (budget.hard.of(window), budget.soft.of(window));
                let measures = Measures::capped(hard, soft);
                if measures.is_none() {
                    continue;
                }
                let period = match window {
                    Window::Day => Some(Period::Day(self.latest)),
                    Window::Month => Some(Period::Month(self.latest.month())),
                    // A call that is no brain's is part of no run.
                    Window::Call | Window::Run => payer.brain.clone().map(Period::Run),
                };
                let Some(period) = period else { continue };
                let free = entry.held(&period).map(|held| held.free().only(measures));
                let (first, free, wanted) = (free.is_none(), free.unwrap_or_default(), wanted.only(measures));
                if first || !wanted.minus(free).is_zero() {
                    let place = Place { account: entry.account.clone(), period: period.clone() };
                    lacks.push((*at, Lack { place, hard: *hard, soft: *soft, wanted, free, first }));
                }
                charges.push(Charge { entry: *at, period, measures });
            }
        }
        if !lacks.is_empty() {
            let (entries, lacks): (Vec<_>, Vec<_>) = lacks.into_iter().unzip();
            match lock(disk).take(self.latest, &lacks)? {
                Taken::Slices(slices) => {
                    for ((at, Lack { place, first, .. }), slice) in entries.into_iter().zip(&lacks).zip(slices) {
                        let Some(entry) = self.entries.get_mut(at) else { continue };
                        if *first {
                            entry.begin(&place.period, now);
                        }
                        if let Some(held) = entry.held(&place.period) {
                            held.held = held.held.plus(slice.taken);
                            held.slice = slice.size;
                        }
                    }
                }
                Taken::Over(passed) => return Err(LedgerError::Over { passed: Box::new(passed) }),
                Taken::Soft(passed) => return Err(LedgerError::Soft { passed: Box::new(passed) }),
                Taken::Later(latest) => return Ok(Charged::Later(latest)),
            }
        }
        for Charge { entry, period, measures } in &charges {
            if let Some(held) = self.entries.get_mut(*entry).and_then(|entry| entry.held(period)) {
                held.used = held.used.plus(wanted.only(*measures));
                held.open += 1;
                held.touched = now;
            }
        }
        Ok(Charged::Done(charges))
    }

    /// The caps of one call. Gives back the leave that it needs, if it needs one.
    fn check_call(
        &self,
        all: &[(usize, Budget)],
        payer: &Payer,
        wanted: &Usage,
    ) -> Result<Option<(Account, Option<BrainId>)>, LedgerError> {
        let mut needed = None;
        for (at, budget) in all {
            let Some(Entry { account, .. }) = self.entries.get(*at) else { continue };
            for (caps, is_hard) in [(&budget.hard.call, true), (&budget.soft.call, false)] {
                let over = |measure: &Measure| caps.of(*measure).is_some_and(|cap| measure.of(wanted) > cap);
                let Some(measure) = Measure::ALL.into_iter().find(over) else { continue };
                let passed = Box::new(Passed {
                    account: account.clone(),
                    window: Window::Call,
                    brain: payer.brain.clone(),
                    measure,
                    cap: caps.of(measure).unwrap_or_default(),
                    used: 0,
                    wanted: measure.of(wanted),
                    until_ms: None,
                });
                let leave = (account.clone(), payer.brain.clone());
                if is_hard {
                    return Err(LedgerError::Over { passed });
                }
                if !self.leaves.contains(&leave) {
                    return Err(LedgerError::Soft { passed });
                }
                needed = Some(leave);
            }
        }
        Ok(needed)
    }

    /// Whether all rates have room; takes nothing yet. Gives back which have a limit.
    fn check_rates(
        &mut self,
        entries: &[usize],
        limits: &[Limit],
        wanted: &Usage,
        now: Instant,
    ) -> Result<Vec<(usize, Measure)>, LedgerError> {
        let mut rated = Vec::new();
        for (at, Limit { account, rate, .. }) in entries.iter().zip(limits) {
            let Some(entry) = self.entries.get_mut(*at) else { continue };
            for (measure, limit) in [(Measure::Requests, rate.requests), (Measure::Tokens, rate.tokens)] {
                let Some(limit) = limit else { continue };
                let bucket = entry.bucket(measure).get_or_insert_with(|| Bucket::full(limit, now));
                if let Some(after) = bucket.wait(measure.of(wanted), limit, now) {
                    return Err(LedgerError::Fast { account: account.clone(), measure, limit, after });
                }
                rated.push((*at, measure));
            }
        }
        Ok(rated)
    }

    /// Replaces what was set aside by what was used.
    pub(super) fn settle(&mut self, disk: &Mutex<Disk>, open: Open, payer: Payer, wanted: &Usage, end: End) {
        let (now, set_aside) = (Instant::now(), Amounts::of(wanted));
        let used = match &end {
            End::Used(used, _) => Amounts::of(used),
            End::Nothing => Amounts::default(),
        };
        let mut owes = false;
        for Charge { entry, period, measures } in &open.charges {
            let Some(held) = self.entries.get_mut(*entry).and_then(|entry| entry.held(period)) else { continue };
            held.used = held.used.plus(used.only(*measures)).minus(set_aside.only(*measures));
            held.open = held.open.saturating_sub(1);
            held.touched = now;
            owes |= !held.debt().is_zero();
        }
        if owes {
            // What cannot be written now stays a debt, and is tried again with the next flush.
            let _ = self.pay(disk);
        }
        for entry in open.rated {
            if let Some(bucket) = self.entries.get_mut(entry).and_then(|entry| entry.tokens.as_mut()) {
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

    /// Writes down what was used beyond what was held.
    fn pay(&mut self, disk: &Mutex<Disk>) -> Result<(), StoreError> {
        let debts = self.places(Held::debt);
        if debts.is_empty() {
            return Ok(());
        }
        lock(disk).charge(self.latest, &debts)?;
        self.each(|_, held| held.held = held.held.plus(held.debt()));
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
        self.pay(disk)?;
        let (now, today) = (Instant::now(), self.latest);
        let due = |period: &Period, held: &Held| {
            let all = whose == Whose::All || period.is_over(today) || now.duration_since(held.touched) > IDLE;
            if all { held.free() } else { held.surplus() }
        };
        let mut unspent = Vec::new();
        for entry in &mut self.entries {
            let account = entry.account.clone();
            let places = entry.all().map(|(period, held)| (due(&period, held), period));
            let places = places.filter(|(amount, _)| !amount.is_zero());
            unspent.extend(places.map(|(amount, period)| (Place { account: account.clone(), period }, amount)));
        }
        if !unspent.is_empty() {
            lock(disk).give_back(&unspent)?;
            self.each(|period, held| held.held = held.held.minus(due(period, held)));
        }
        let is_kept = |period: &Period, held: &Held| {
            held.open > 0 || !(period.is_over(today) || now.duration_since(held.touched) > FORGOTTEN)
        };
        for entry in &mut self.entries {
            entry.dates.retain(|(date, held)| is_kept(date, held));
            entry.runs.retain(|brain, held| is_kept(&Period::Run(brain.clone()), held));
        }
        Ok(())
    }

    /// Whether `give_back` has something to do, now or later.
    pub(super) fn holds(&self) -> bool {
        let entries = self.entries.iter();
        let mut all = entries.flat_map(|entry| entry.runs.values().chain(entry.dates.iter().map(|(_, held)| held)));
        all.any(|held| !held.free().is_zero() || !held.debt().is_zero())
    }

    fn each(&mut self, mut change: impl FnMut(&Period, &mut Held)) {
        for entry in &mut self.entries {
            entry.all().for_each(|(period, held)| change(&period, held));
        }
    }

    fn places(&mut self, amount: impl Fn(&Held) -> Amounts) -> Vec<(Place, Amounts)> {
        let mut found = Vec::new();
        for entry in &mut self.entries {
            let account = entry.account.clone();
            let amounts = entry.all().map(|(period, held)| (period, amount(held)));
            let amounts = amounts.filter(|(_, amount)| !amount.is_zero());
            found.extend(amounts.map(|(period, amount)| (Place { account: account.clone(), period }, amount)));
        }
        found
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

/// A thread that panicked leaves whole numbers behind, and a transaction that was rolled back.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
