//! The ledger: what a tenant used, and what is left of its budgets.
//!
//! The entry point is [`Ledger::open`]. Before a call [`Ledger::reserve`] sets aside what it may take; after it the
//! [`Reservation`] is settled with what it took, or released if nothing was sent.
//!
//! **Invariant:** a call is charged to all its accounts (tenant, tokens, patterns of models; each in its run, day and
//! month) in one step, or to none.
//! **Invariant:** what stands in the file for an account is never less than what was used of it. A process adds a *slice*
//! to it, durably, before it spends any in memory, and takes off it only what it has not spent. So neither a kill nor a
//! power cut frees budget; a kill loses what the process held until the window ends.
//! **Invariant:** a hard cap is passed by nothing but what is reported beyond what was set aside.
//! **Invariant:** a day that was left is not opened again, whatever the clock says.
//!
//! # How it is kept
//!
//! SQLite as for the journal, at `tenants/<name>/ledger.db`, not sealed: it holds numbers, days, ids and names of models.
//! Slices, leave and debts are committed with `synchronous=FULL`; rows of usage and what is given back without, as losing
//! them frees nothing. A slice is a 64th of the cap, or what one call needs; near the cap, exactly that. A thread, the
//! clerk, writes rows of usage down within 200 ms, gives back what is more than a slice, and all of it after five idle
//! seconds. Usage goes to a call's own day, also when it ends on the next. A cap that is new to an account counts what the
//! rows of usage say was used before. Rates a minute are kept in memory, by each process for itself.
//!
//! The ledger does not know what a call is, nor what it costs: the caller does.

mod amounts;
mod book;
mod disk;
mod error;
mod period;
mod rate;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use autoshare_access::Access;
use autoshare_core::budget::{Budget, Limit, ModelPattern};
use autoshare_core::day::Day;
use autoshare_core::usage::{MicroUsd, Usage};
use autoshare_core::{BrainId, TenantName, TokenId};
use rusqlite::Connection;

use book::{Book, End, Open, Whose, lock};
use disk::{Disk, LEDGER};
use period::{Period, Place};

pub use disk::LEDGER_FORMAT;
pub use error::{LedgerError, Passed};

use crate::StoreError;
use crate::file::tenant_dir;

/// How long usage stays in memory at most; a kill loses it for reports, never for budgets.
const TICK: Duration = Duration::from_millis(200);
/// Rows of usage that are written down before that.
const BATCH: usize = 256;
/// Characters of a model's name that are recorded.
const MAX_MODEL: usize = 128;

/// For whom a call is made. The tenant is the ledger's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Payer {
    /// The token that it came with.
    pub token: Option<TokenId>,
    /// The brain whose call it is.
    pub brain: Option<BrainId>,
    /// The model that is called.
    pub model: String,
}

/// What the tenant may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budgets {
    /// All together.
    pub tenant: Budget,
    /// All models that fit a pattern together. A call is charged to every pattern that its model fits.
    pub models: Vec<(ModelPattern, Budget)>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The model answered.
    Done,
    /// It did not, or not to the end.
    Failed,
}

/// The ledger of one tenant. May be shared between threads, and its file between processes.
#[derive(Debug)]
pub struct Ledger {
    tenant: TenantName,
    path: PathBuf,
    shared: Arc<Shared>,
    reader: Mutex<Connection>,
    clerk: Option<JoinHandle<()>>,
}

/// What is set aside for a call that is under way. One that is dropped counts in full, as a call that failed.
#[must_use = "a reservation that is dropped counts in full"]
pub struct Reservation {
    shared: Arc<Shared>,
    /// Gone when it is settled.
    open: Option<(Open, Payer)>,
    wanted: Usage,
}

impl Reservation {
    /// What was set aside.
    #[must_use]
    pub const fn wanted(&self) -> &Usage {
        &self.wanted
    }

    /// Counts what the call really used, more than was set aside too, and gives the rest back.
    pub fn settle(mut self, used: Usage, how: Settled) {
        self.end(End::Used(used, how));
    }

    /// Nothing was sent: gives all of it back.
    pub fn release(mut self) {
        self.end(End::Nothing);
    }

    fn end(&mut self, end: End) {
        let Some((open, payer)) = self.open.take() else { return };
        if let End::Used(used, how) = &end {
            let failed = u64::from(*how == Settled::Failed);
            *lock(&self.shared.spent) += Spent { requests: 1, failed, used: *used };
        }
        let mut book = lock(&self.shared.book);
        book.settle(&self.shared.disk, open, payer, &self.wanted, end);
        let is_full = book.waiting() >= BATCH;
        drop(book);
        if is_full {
            self.shared.wake(Clerk::Now);
        } else if !self.shared.due.load(Ordering::Relaxed) {
            self.shared.wake(Clerk::Soon);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.end(End::Used(self.wanted, Settled::Failed));
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

/// One row of what was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The day (UTC) on which it was set aside.
    pub day: Day,
    /// The token that paid.
    pub token: Option<TokenId>,
    /// The brain whose calls they were.
    pub brain: Option<BrainId>,
    /// The model that was called.
    pub model: String,
    /// How many calls there were.
    pub requests: u64,
    /// How many of them failed.
    pub failed: u64,
    /// What they used.
    pub used: Usage,
}

/// What a ledger has settled since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Calls that were settled; those that were given back, as nothing was sent, are none.
    pub requests: u64,
    /// Of these, those that failed.
    pub failed: u64,
    /// What they used.
    pub used: Usage,
}

impl Spent {
    /// What came since it was `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let less = |now: u64, then: u64| now.saturating_sub(then);
        let (now, then) = (&self.used, &earlier.used);
        Self {
            requests: less(self.requests, earlier.requests),
            failed: less(self.failed, earlier.failed),
            used: Usage {
                input_tokens: less(now.input_tokens, then.input_tokens),
                output_tokens: less(now.output_tokens, then.output_tokens),
                cached_tokens: less(now.cached_tokens, then.cached_tokens),
                reasoning_tokens: less(now.reasoning_tokens, then.reasoning_tokens),
                cost: MicroUsd(less(now.cost.0, then.cost.0)),
            },
        }
    }
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failed = self.failed.saturating_add(other.failed);
        self.used += other.used;
    }
}

impl Ledger {
    /// Opens the ledger of the tenant of `access` below `data_dir`; makes it at first use.
    ///
    /// # Errors
    /// As [`Store::open`](crate::Store::open), but for those of keys: nothing in it is secret.
    pub fn open(data_dir: &Path, access: &Access, budgets: Budgets) -> Result<Self, StoreError> {
        let tenant = access.tenant().clone();
        let dir = tenant_dir(data_dir, &tenant)?;
        if !LEDGER.exists(&dir)? {
            LEDGER.make(&dir)?;
        }
        let path = LEDGER.path(&dir);
        let disk = Disk::open(path.clone())?;
        let book = Book::new(budgets, disk.latest()?);
        let reader = Mutex::new(LEDGER.open_reader(&path)?);
        let shared = Arc::new(Shared {
            writing: Mutex::new(()),
            book: Mutex::new(book),
            disk: Mutex::new(disk),
            due: AtomicBool::new(false),
            state: Mutex::new(Clerk::Idle),
            changed: Condvar::new(),
            spent: Mutex::default(),
            #[cfg(feature = "fault")]
            clock_ms: std::sync::atomic::AtomicU64::new(0),
        });
        let clerk = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.keep_books()
            })
            .map_err(|_| StoreError::NoWriter)?;
        Ok(Self { tenant, path, shared, reader, clerk: Some(clerk) })
    }

    /// Sets `wanted` and one request aside: from the tenant, from each of `limits` (the token's and those above it),
    /// and from each pattern that the model fits; from all of them or from none. Waits for the disk only where a slice
    /// is used up.
    ///
    /// # Errors
    /// [`LedgerError::Over`], [`LedgerError::Soft`], [`LedgerError::Fast`]; [`LedgerError::Store`] if the disk fails.
    pub fn reserve(&self, payer: &Payer, limits: &[Limit], wanted: Usage) -> Result<Reservation, LedgerError> {
        let today = Day::of_ms(self.shared.now_ms());
        let open = lock(&self.shared.book).reserve(&self.shared.disk, today, payer, limits, &wanted)?;
        let Payer { token, brain, model } = payer;
        let payer = Payer { token: token.clone(), brain: brain.clone(), model: shortened(model) };
        Ok(Reservation { shared: Arc::clone(&self.shared), open: Some((open, payer)), wanted })
    }

    /// A person's leave to pass a soft cap, on record until its window ends; of a call's cap, for the next call of the
    /// same brain in this process.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn allow_soft(&self, passed: &Passed) -> Result<(), StoreError> {
        let Passed { account, window, brain, until_ms, .. } = passed;
        match Period::of(*window, brain.as_ref(), *until_ms) {
            Some(period) => lock(&self.shared.disk).allow(&Place { account: account.clone(), period }),
            None => {
                lock(&self.shared.book).allow_call(account.clone(), brain.clone());
                Ok(())
            }
        }
    }

    /// What was used from the day `since` on: by all, or, for an `access` that came from a token, by that token. Calls
    /// under way are not in it, nor what other processes used in the last moment.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] for another tenant's access, and those of the disk.
    pub fn usage(&self, access: &Access, since: Day) -> Result<Vec<UsageRow>, StoreError> {
        if *access.tenant() != self.tenant {
            return Err(StoreError::Foreign { tenant: self.tenant.clone(), asked: access.tenant().clone() });
        }
        self.shared.write_down()?;
        disk::usage(&lock(&self.reader), &self.path, since, access.token().map(|token| &token.id))
    }

    /// The day that budgets are in, and the day that the clock says. The first is never before the last day that was seen.
    #[must_use]
    pub fn today(&self) -> (Day, Day) {
        let clock = Day::of_ms(self.shared.now_ms());
        (lock(&self.shared.book).today().max(clock), clock)
    }

    /// What was settled since it was opened. Waits for no disk.
    #[must_use]
    pub fn spent(&self) -> Spent {
        *lock(&self.shared.spent)
    }

    /// Writes down what is in memory, and gives back what was set aside from the budgets and not used.
    ///
    /// # Errors
    /// Those of the disk; nothing is lost, and the next flush tries again.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.shared.close_books()
    }

    /// Sets the clock: milliseconds since 1970 (UTC). For tests.
    #[cfg(feature = "fault")]
    pub fn set_clock(&self, now_ms: u64) {
        self.shared.clock_ms.store(now_ms, Ordering::Relaxed);
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        *lock(&self.shared.state) = Clerk::Ends;
        self.shared.changed.notify_all();
        if let Some(clerk) = self.clerk.take() {
            let _ = clerk.join();
        }
        // Nobody is left to tell of an error; what could not be given back stays held until its window ends.
        let _ = self.shared.close_books();
    }
}

/// What a ledger and its open reservations have in common.
#[derive(Debug)]
struct Shared {
    /// Held while rows are between book and disk; locked before both.
    writing: Mutex<()>,
    /// Locked before `disk`, where both are.
    book: Mutex<Book>,
    disk: Mutex<Disk>,
    /// Whether the clerk knows that there is something to do.
    due: AtomicBool,
    state: Mutex<Clerk>,
    changed: Condvar,
    spent: Mutex<Spent>,
    #[cfg(feature = "fault")]
    clock_ms: std::sync::atomic::AtomicU64,
}

/// What the clerk, the thread that writes down usage, is to do. The later is the more urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Clerk {
    Idle,
    Soon,
    Now,
    Ends,
}

impl Shared {
    fn now_ms(&self) -> u64 {
        #[cfg(feature = "fault")]
        if let set @ 1.. = self.clock_ms.load(Ordering::Relaxed) {
            return set;
        }
        crate::writer::now_ms()
    }

    /// Tells the clerk that there is something to do: soon, or now.
    fn wake(&self, when: Clerk) {
        self.due.store(true, Ordering::Relaxed);
        let mut state = lock(&self.state);
        *state = (*state).max(when);
        drop(state);
        self.changed.notify_one();
    }

    /// The clerk's work.
    fn keep_books(&self) {
        loop {
            let state = lock(&self.state);
            let state = self.changed.wait_while(state, |s| *s == Clerk::Idle).unwrap_or_else(PoisonError::into_inner);
            let soon = self.changed.wait_timeout_while(state, TICK, |s| *s == Clerk::Soon);
            let mut state = soon.unwrap_or_else(PoisonError::into_inner).0;
            if *state == Clerk::Ends {
                return;
            }
            *state = Clerk::Idle;
            drop(state);
            // Before the rows are taken out: whoever adds one later sees it.
            self.due.store(false, Ordering::Relaxed);
            // An error is met again, and told, by whoever needs the disk next; what was not written is kept.
            let _ = self.write_down();
            let mut book = lock(&self.book);
            let _ = book.give_back(&self.disk, Whose::Idle);
            let is_left = book.holds() || book.waiting() > 0;
            drop(book);
            if is_left {
                self.wake(Clerk::Soon);
            }
        }
    }

    /// Writes down what was used, all of it: rows that another thread is about to write are waited for.
    fn write_down(&self) -> Result<(), StoreError> {
        let _alone = lock(&self.writing);
        let (rows, today) = {
            let mut book = lock(&self.book);
            (book.rows(), book.today())
        };
        if rows.is_empty() {
            return Ok(());
        }
        let written = lock(&self.disk).record(today, &rows);
        if written.is_err() {
            lock(&self.book).put_back(rows);
        }
        written
    }

    fn close_books(&self) -> Result<(), StoreError> {
        let written = self.write_down();
        lock(&self.book).give_back(&self.disk, Whose::All).and(written)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // For reservations that outlived their ledger.
        let _ = self.close_books();
    }
}

/// A model's name as it is recorded: a caller may name anything.
fn shortened(model: &str) -> String {
    match model.char_indices().nth(MAX_MODEL) {
        Some((end, _)) => model.get(..end).unwrap_or_default().to_owned(),
        None => model.to_owned(),
    }
}
