//! The ledger's file.

use std::path::{Path, PathBuf};

use autoshare_core::budget::{Account, Cap, Measure, ModelPattern};
use autoshare_core::day::Day;
use autoshare_core::usage::{MicroUsd, Usage};
use autoshare_core::{BrainId, TokenId};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::amounts::{Amounts, Measures};
use super::period::{Period, Place, account_text};
use super::{Passed, UsageRow};
use crate::file::Layout;
use crate::{Durability, StoreError};

/// The format of the ledger that this version writes. A file of a later one is refused.
pub const LEDGER_FORMAT: i64 = 1;
/// A slice is this part of a cap at most, unless one call needs more.
const SLICES: u64 = 64;

/// The ledger. `account` holds for each window what is used, with what processes hold of it to spend; `usage` is what was
/// used, for reports; `meta` has the latest day that was ever seen.
pub(super) const LEDGER: Layout = Layout {
    file: "ledger.db",
    format: LEDGER_FORMAT,
    // "ashl"
    application_id: 0x6173_686c,
    schema: &[
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        "CREATE TABLE account (name TEXT NOT NULL, period TEXT NOT NULL, requests INTEGER NOT NULL, \
         input INTEGER NOT NULL, output INTEGER NOT NULL, tokens INTEGER NOT NULL, cost INTEGER NOT NULL, \
         leave INTEGER NOT NULL, PRIMARY KEY (name, period)) STRICT, WITHOUT ROWID",
        "CREATE TABLE usage (day INTEGER NOT NULL, token TEXT NOT NULL, brain TEXT NOT NULL, model TEXT NOT NULL, \
         requests INTEGER NOT NULL, failed INTEGER NOT NULL, input INTEGER NOT NULL, cached INTEGER NOT NULL, \
         output INTEGER NOT NULL, reasoning INTEGER NOT NULL, cost INTEGER NOT NULL, \
         PRIMARY KEY (day, token, brain, model)) STRICT, WITHOUT ROWID",
        "CREATE INDEX usage_brain ON usage (brain)",
    ],
};

const USAGE_COLUMNS: [&str; 7] = ["requests", "failed", "input", "cached", "output", "reasoning", "cost"];

/// What a process asks of one account.
#[derive(Debug)]
pub(super) struct Lack {
    pub(super) place: Place,
    pub(super) hard: Cap,
    pub(super) soft: Cap,
    /// What the call may take in all.
    pub(super) wanted: Amounts,
    /// What this process still has to spend.
    pub(super) free: Amounts,
    /// Whether this process asks for the first time.
    pub(super) first: bool,
}

/// What an account gives.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slice {
    pub(super) taken: Amounts,
    /// The most that a process keeps of it without need.
    pub(super) size: Amounts,
}

/// What came of asking.
#[derive(Debug)]
pub(super) enum Taken {
    /// What each account gave, in order.
    Slices(Vec<Slice>),
    /// A hard cap is in the way.
    Over(Passed),
    /// A soft cap is in the way, and there is no leave.
    Soft(Passed),
    /// Another process has seen a later day; nothing was taken.
    Later(Day),
}

#[derive(Debug)]
pub(super) struct Disk {
    connection: Connection,
    path: PathBuf,
    level: Option<Durability>,
    /// An fsync failed: see the journal's writer.
    failed: bool,
}

impl Disk {
    pub(super) fn open(path: PathBuf) -> Result<Self, StoreError> {
        Ok(Self { connection: LEDGER.open(&path)?, path, level: None, failed: false })
    }

    /// The latest day that any process has seen.
    pub(super) fn latest(&self) -> Result<Day, StoreError> {
        latest(&self.connection).map_err(StoreError::sqlite(&self.path))
    }

    /// Takes a slice from each account, or nothing from any; outlives a power cut.
    pub(super) fn take(&mut self, today: Day, lacks: &[Lack]) -> Result<Taken, StoreError> {
        self.transact(Durability::Synced, |transaction, path| {
            let sqlite = StoreError::sqlite(path);
            let latest = see(transaction, today).map_err(&sqlite)?;
            if latest > today {
                return Ok(Taken::Later(latest));
            }
            let mut slices = Vec::with_capacity(lacks.len());
            for lack in lacks {
                match slice(transaction, path, lack)? {
                    Ok(slice) => slices.push(slice),
                    Err(refused) => return Ok(refused),
                }
            }
            // Only now: what is written before a refusal stays written.
            for (lack, slice) in lacks.iter().zip(&slices) {
                add(transaction, path, &lack.place, slice.taken)?;
            }
            Ok(Taken::Slices(slices))
        })
    }

    /// Adds to accounts what was used beyond what was set aside.
    pub(super) fn charge(&mut self, today: Day, debts: &[(Place, Amounts)]) -> Result<(), StoreError> {
        self.transact(Durability::Synced, |transaction, path| {
            see(transaction, today).map_err(StoreError::sqlite(path))?;
            debts.iter().try_for_each(|(place, debt)| add(transaction, path, place, *debt))
        })
    }

    /// Gives back what was taken and not spent.
    pub(super) fn give_back(&mut self, places: &[(Place, Amounts)]) -> Result<(), StoreError> {
        // Lazily: what a power cut keeps of this is that less is free.
        self.transact(Durability::Lazy, |transaction, path| {
            for (place, unspent) in places {
                if let Some((held, leave)) = held(transaction, path, place)? {
                    put(transaction, place, held.minus(*unspent), leave).map_err(StoreError::sqlite(path))?;
                }
            }
            Ok(())
        })
    }

    /// Records a person's leave to pass the soft caps of a place.
    pub(super) fn allow(&mut self, place: &Place) -> Result<(), StoreError> {
        self.transact(Durability::Synced, |transaction, path| {
            // As if nothing was used, where nobody took a slice: what was, is added with the first.
            let held = held(transaction, path, place)?.map(|(held, _)| held).unwrap_or_default();
            put(transaction, place, held, true).map_err(StoreError::sqlite(path))
        })
    }

    /// Adds rows of what was used.
    pub(super) fn record(&mut self, today: Day, rows: &[UsageRow]) -> Result<(), StoreError> {
        self.transact(Durability::Lazy, |transaction, path| {
            let sqlite = StoreError::sqlite(path);
            see(transaction, today).map_err(&sqlite)?;
            let sums =
                USAGE_COLUMNS.map(|c| format!("{c} = min({c}, {} - excluded.{c}) + excluded.{c}", i64::MAX)).join(", ");
            let insert = format!(
                "INSERT INTO usage VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
                 ON CONFLICT (day, token, brain, model) DO UPDATE SET {sums}"
            );
            let mut statement = transaction.prepare_cached(&insert).map_err(&sqlite)?;
            for UsageRow { day, token, brain, model, requests, failed, used } in rows {
                let token = token.as_ref().map_or("", TokenId::as_str);
                let brain = brain.as_ref().map_or("", BrainId::as_str);
                let Usage { input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost } = used;
                let (requests, failed, cost) = (int(*requests), int(*failed), int(cost.0));
                let (input, cached) = (int(*input_tokens), int(*cached_tokens));
                let (output, reasoning) = (int(*output_tokens), int(*reasoning_tokens));
                statement
                    .execute((day.0, token, brain, model, requests, failed, input, cached, output, reasoning, cost))
                    .map_err(&sqlite)?;
            }
            Ok(())
        })
    }

    fn transact<T>(
        &mut self,
        level: Durability,
        work: impl FnOnce(&Transaction<'_>, &Path) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.failed {
            return Err(StoreError::Failed { path: self.path.clone() });
        }
        let sqlite = StoreError::sqlite(&self.path);
        if self.level != Some(level) {
            let name = match level {
                Durability::Lazy => "NORMAL",
                Durability::Synced => "FULL",
            };
            self.connection.pragma_update(None, "synchronous", name).map_err(&sqlite)?;
            self.level = Some(level);
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sqlite)?;
        let done = work(&transaction, &self.path)?;
        let committed = transaction.commit().map_err(&sqlite);
        self.failed |= matches!(committed, Err(StoreError::Failed { .. }));
        committed.map(|()| done)
    }
}

/// Takes note of a day, and tells the latest that was ever seen.
fn see(connection: &Connection, today: Day) -> rusqlite::Result<Day> {
    let latest = latest(connection)?;
    if latest < today {
        connection
            .prepare_cached(
                "INSERT INTO meta VALUES ('latest_day', ?1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )?
            .execute([today.0])?;
    }
    Ok(latest.max(today))
}

fn latest(connection: &Connection) -> rusqlite::Result<Day> {
    let day = connection
        .prepare_cached("SELECT value FROM meta WHERE name = 'latest_day'")?
        .query_row((), |row| row.get::<_, u32>(0))
        .optional()?;
    Ok(Day(day.unwrap_or_default()))
}

/// What an account gives a process that lacks something.
fn slice(connection: &Connection, path: &Path, lack: &Lack) -> Result<Result<Slice, Taken>, StoreError> {
    let (mut total, leave) = held(connection, path, &lack.place)?.unwrap_or_default();
    if lack.first {
        // What was used while nobody counted it here, for want of a cap, counts too.
        let used = used(connection, path, &lack.place)?;
        let missing = used.minus(total);
        add(connection, path, &lack.place, missing)?;
        total = total.plus(missing);
    }
    let passed = |measure, cap| Passed {
        account: lack.place.account.clone(),
        window: lack.place.period.window(),
        brain: lack.place.period.brain(),
        measure,
        cap,
        used: total.get(measure).saturating_sub(lack.free.get(measure)),
        wanted: lack.wanted.get(measure),
        until_ms: lack.place.period.until_ms(),
    };
    let lacking = lack.wanted.minus(lack.free);
    let fits = |measure, more: u64, cap: u64| total.get(measure).saturating_add(more) <= cap;
    for (caps, is_hard) in [(&lack.hard, true), (&lack.soft, false)] {
        for measure in Measure::ALL {
            let needed = lacking.get(measure);
            if let Some(cap) = caps.of(measure)
                && (is_hard || !leave)
                && needed > 0
                && !fits(measure, needed, cap)
            {
                let passed = passed(measure, cap);
                return Ok(Err(if is_hard { Taken::Over(passed) } else { Taken::Soft(passed) }));
            }
        }
    }
    let caps = |measure| {
        let soft = lack.soft.of(measure).filter(|_| !leave);
        lack.hard.of(measure).into_iter().chain(soft).min().unwrap_or(u64::MAX)
    };
    let size = Amounts::from(|measure| caps(measure) / SLICES).only(Measures::capped(&lack.hard, &lack.soft));
    let taken = Amounts::from(|measure| {
        let (needed, size) = (lacking.get(measure), size.get(measure));
        let larger = needed.max(size);
        if needed > 0 && fits(measure, larger, caps(measure)) { larger } else { needed }
    });
    Ok(Ok(Slice { taken, size }))
}

/// What is held of an account, and whether there is leave to pass its soft caps.
fn held(connection: &Connection, path: &Path, place: &Place) -> Result<Option<(Amounts, bool)>, StoreError> {
    let row = connection
        .prepare_cached(
            "SELECT requests, input, output, tokens, cost, leave FROM account WHERE name = ?1 AND period = ?2",
        )
        .and_then(|mut statement| {
            let key = (account_text(&place.account), place.period.text());
            statement
                .query_row(key, |row| {
                    let mut amounts = [0i64; Measure::ALL.len()];
                    for (at, amount) in amounts.iter_mut().enumerate() {
                        *amount = row.get(at)?;
                    }
                    Ok((amounts, row.get::<_, i64>(Measure::ALL.len())?))
                })
                .optional()
        })
        .map_err(StoreError::sqlite(path))?;
    let Some((amounts, leave)) = row else { return Ok(None) };
    // A file that was edited must not give anybody more.
    if amounts.iter().any(|amount| *amount < 0) {
        let detail = format!("the account {} of {} is below 0", account_text(&place.account), place.period.text());
        return Err(StoreError::Corrupt { path: path.to_owned(), detail });
    }
    let mut amounts = amounts.into_iter();
    let amounts = Amounts::from(|_| amounts.next().and_then(|amount| u64::try_from(amount).ok()).unwrap_or_default());
    Ok(Some((amounts, leave != 0)))
}

fn add(connection: &Connection, path: &Path, place: &Place, more: Amounts) -> Result<(), StoreError> {
    let (total, leave) = held(connection, path, place)?.unwrap_or_default();
    put(connection, place, total.plus(more), leave).map_err(StoreError::sqlite(path))
}

fn put(connection: &Connection, place: &Place, amounts: Amounts, leave: bool) -> rusqlite::Result<()> {
    let [requests, input, output, tokens, cost] = Measure::ALL.map(|measure| int(amounts.get(measure)));
    connection
        .prepare_cached("INSERT OR REPLACE INTO account VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute((
            account_text(&place.account),
            place.period.text(),
            requests,
            input,
            output,
            tokens,
            cost,
            i64::from(leave),
        ))
        .map(|_| ())
}

/// What the rows of usage say of a place.
fn used(connection: &Connection, path: &Path, place: &Place) -> Result<Amounts, StoreError> {
    let (of_period, mut values): (_, Vec<Value>) = match &place.period {
        Period::Run(brain) => ("brain = ?", vec![brain.to_string().into()]),
        Period::Day(day) => ("day = ?", vec![i64::from(day.0).into()]),
        Period::Month(month) => {
            let (from, to) = (month.first_day(), month.next().first_day());
            ("day >= ? AND day < ?", vec![i64::from(from.0).into(), i64::from(to.0).into()])
        }
    };
    let of_account = match &place.account {
        Account::Token(id) => {
            values.push(id.to_string().into());
            " AND token = ?"
        }
        Account::Tenant | Account::Model(_) => "",
    };
    let query = format!("SELECT model, requests, input, output, cost FROM usage WHERE {of_period}{of_account}");
    let fits = |model: &str| match &place.account {
        Account::Model(pattern) => ModelPattern::matches(pattern, model),
        Account::Tenant | Account::Token(_) => true,
    };
    let sqlite = StoreError::sqlite(path);
    let mut statement = connection.prepare_cached(&query).map_err(&sqlite)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values)).map_err(&sqlite)?;
    // Summed here: a sum that is too large stays the largest number, where SQLite would fail.
    let mut sum = Amounts::default();
    while let Some(row) = rows.next().map_err(&sqlite)? {
        if !fits(&row.get::<_, String>(0).map_err(&sqlite)?) {
            continue;
        }
        let column = |at| row.get::<_, i64>(at).map(uint).map_err(&sqlite);
        let (requests, input, output, cost) = (column(1)?, column(2)?, column(3)?, column(4)?);
        sum = sum.plus(Amounts::from(|measure| match measure {
            Measure::Requests => requests,
            Measure::Input => input,
            Measure::Output => output,
            Measure::Tokens => input.saturating_add(output),
            Measure::Cost => cost,
        }));
    }
    Ok(sum)
}

/// The rows of usage since a day, of one token or of all.
pub(super) fn usage(
    connection: &Connection,
    path: &Path,
    since: Day,
    token: Option<&TokenId>,
) -> Result<Vec<UsageRow>, StoreError> {
    let sqlite = StoreError::sqlite(path);
    let corrupt = |detail: String| StoreError::Corrupt { path: path.to_owned(), detail };
    let mut statement = connection
        .prepare_cached(
            "SELECT day, token, brain, model, requests, failed, input, output, cached, reasoning, cost FROM usage \
             WHERE day >= ?1 AND (?2 IS NULL OR token = ?2) ORDER BY day, token, brain, model",
        )
        .map_err(&sqlite)?;
    let mut rows = statement.query((since.0, token.map(TokenId::as_str))).map_err(&sqlite)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(&sqlite)? {
        let text = |at| row.get::<_, String>(at).map_err(&sqlite);
        let number = |at| row.get::<_, i64>(at).map(uint).map_err(&sqlite);
        let (token, brain) = (text(1)?, text(2)?);
        found.push(UsageRow {
            day: Day(row.get(0).map_err(&sqlite)?),
            token: some(token).map(|id| TokenId::parse(&id)).transpose().map_err(|e| corrupt(e.to_string()))?,
            brain: some(brain).map(|id| BrainId::parse(&id)).transpose().map_err(|e| corrupt(e.to_string()))?,
            model: text(3)?,
            requests: number(4)?,
            failed: number(5)?,
            used: Usage {
                input_tokens: number(6)?,
                output_tokens: number(7)?,
                cached_tokens: number(8)?,
                reasoning_tokens: number(9)?,
                cost: MicroUsd(number(10)?),
            },
        });
    }
    Ok(found)
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// SQLite's integers have a sign. What is larger than they can be stays the largest.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Of a row that was edited: what is below 0 counts nothing.
fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
