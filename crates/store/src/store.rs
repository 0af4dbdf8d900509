//! The store: what its callers see.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use autoshare_access::Access;
use autoshare_core::event::Event;
use autoshare_core::{BrainId, Seq, TenantName};
use autoshare_vault::private::{Others, PrivateDir};
use autoshare_vault::{TenantKey, Vault};
use rusqlite::Connection;

use crate::file::{self, JOURNAL};
use crate::lease::Lock;
use crate::record::{Draft, Journal, Journals, MAX_EVENTS, Task, Work, uint};
use crate::writer::Writer;
use crate::{Durability, Lease, Record, StoreError};

/// Candidates that an error names at most.
const CANDIDATES: usize = 8;
/// Bytes of a log that may be left for whoever opens the journal next, who reads it.
const MAX_LEFT: u64 = 512 * 1024;

/// What is known of a brain without opening its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrainRow {
    /// Its id.
    pub id: BrainId,
    /// When it was made: milliseconds since 1970 (UTC).
    pub created_ms: u64,
    /// When its last record was written: milliseconds since 1970 (UTC).
    pub updated_ms: u64,
    /// How many records it has.
    pub records: u64,
}

/// One tenant's journals. May be shared between threads; every call waits for the disk.
#[derive(Debug)]
pub struct Store {
    tenant: TenantName,
    key: Arc<TenantKey>,
    path: PathBuf,
    leases: PrivateDir,
    writer: Writer<Work>,
    reader: Mutex<Connection>,
    #[cfg(feature = "fault")]
    fault: crate::fault::Fault,
}

impl Store {
    /// Opens the journal of the tenant of `access` below `data_dir`; makes it at first use. Several processes may have
    /// it open.
    ///
    /// # Errors
    /// [`StoreError::Vault`] for keys or files that others may touch, [`StoreError::KeyMissing`],
    /// [`StoreError::Newer`], [`StoreError::NotAJournal`], [`StoreError::Corrupt`], [`StoreError::ReadOnly`],
    /// [`StoreError::Full`].
    pub fn open(data_dir: &Path, access: &Access, vault: &Vault) -> Result<Self, StoreError> {
        let tenant = access.tenant().clone();
        let dir = file::tenant_dir(data_dir, &tenant)?;
        let leases = dir.sub("leases", Others::MayRead)?;
        let path = JOURNAL.path(&dir);
        // In this order: a key is there before its journal is.
        let exists = JOURNAL.exists(&dir)?;
        if exists && !vault.holds(&tenant)? {
            return Err(StoreError::KeyMissing { tenant, path });
        }
        let key = Arc::new(vault.tenant(&tenant)?);
        if !exists {
            JOURNAL.make(&dir)?;
        }
        let writer = Writer::start("journal", JOURNAL.open(&path)?, path.clone(), Journals(Arc::clone(&key)))?;
        let reader = Mutex::new(JOURNAL.open_reader(&path)?);
        Ok(Self {
            tenant,
            key,
            path,
            leases,
            writer,
            reader,
            #[cfg(feature = "fault")]
            fault: crate::fault::Fault::default(),
        })
    }

    /// Makes a brain with an empty journal.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the id is taken, and those of the disk.
    pub fn create(&self, access: &Access, brain: &BrainId) -> Result<(), StoreError> {
        self.admit(access)?;
        self.writer.perform(Work { brain: brain.clone(), task: Task::Create }, Durability::Lazy).map(|_| ())
    }

    /// All brains, oldest first.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn brains(&self, access: &Access) -> Result<Vec<BrainRow>, StoreError> {
        self.admit(access)?;
        let reader = self.reader();
        let sqlite = StoreError::sqlite(&self.path);
        let mut statement = reader
            .prepare_cached("SELECT id, created_ms, updated_ms, records FROM brain ORDER BY created_ms, id")
            .map_err(&sqlite)?;
        let rows = statement.query_map((), columns).map_err(&sqlite)?;
        rows.map(|row| self.brain_row(row.map_err(&sqlite)?)).collect()
    }

    /// Brains, newest first: those that are older than `before`, `limit` at most. None where there is no brain `before`.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn newest(&self, access: &Access, before: Option<&BrainId>, limit: usize) -> Result<Vec<BrainRow>, StoreError> {
        self.admit(access)?;
        let reader = self.reader();
        let sqlite = StoreError::sqlite(&self.path);
        let mut statement = reader
            .prepare_cached(
                "SELECT id, created_ms, updated_ms, records FROM brain WHERE ?1 IS NULL OR (created_ms, id) < \
                 (SELECT created_ms, id FROM brain WHERE id = ?1) ORDER BY created_ms DESC, id DESC LIMIT ?2",
            )
            .map_err(&sqlite)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map((before.map(BrainId::as_str), limit), columns).map_err(&sqlite)?;
        rows.map(|row| self.brain_row(row.map_err(&sqlite)?)).collect()
    }

    /// How many brains there are.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn count(&self, access: &Access) -> Result<u64, StoreError> {
        self.admit(access)?;
        let count = self.reader().query_row("SELECT count(*) FROM brain", (), |row| row.get::<_, i64>(0));
        Ok(uint(count.map_err(StoreError::sqlite(&self.path))?).unwrap_or(0))
    }

    /// The one brain whose id begins with `prefix`.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if there is none, [`StoreError::Ambiguous`] if there are several.
    pub fn find(&self, access: &Access, prefix: &str) -> Result<BrainId, StoreError> {
        self.admit(access)?;
        let reader = self.reader();
        let sqlite = StoreError::sqlite(&self.path);
        let mut statement = reader
            .prepare_cached("SELECT id FROM brain WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT ?2")
            .map_err(&sqlite)?;
        let limit = i64::try_from(CANDIDATES).unwrap_or(i64::MAX);
        let mut found = statement
            .query_map((prefix.to_ascii_lowercase(), limit), |row| row.get::<_, String>(0))
            .map_err(&sqlite)?
            .map(|id| id.map_err(&sqlite).and_then(|id| self.brain_id(&id)))
            .collect::<Result<Vec<_>, _>>()?;
        match (found.pop(), found.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                found.push(last);
                Err(StoreError::Ambiguous { given: prefix.to_owned(), candidates: found })
            }
            (None, _) => Err(StoreError::Unknown { given: prefix.to_owned() }),
        }
    }

    /// Takes the right to drive `brain`. All older leases of it are worth nothing from here on.
    ///
    /// # Errors
    /// [`StoreError::Driven`] with the process that holds it, [`StoreError::Ending`] where a cell of an earlier driver is not
    /// gone in 5 s, [`StoreError::Unknown`].
    pub fn lease(&self, access: &Access, brain: &BrainId) -> Result<Lease, StoreError> {
        self.admit(access)?;
        self.journal(&self.reader(), brain).head()?;
        let lock = Lock::take(&self.leases, brain)?;
        let epoch = self.writer.perform(Work { brain: brain.clone(), task: Task::Lease }, Durability::Lazy)?;
        Ok(Lease { tenant: self.tenant.clone(), brain: brain.clone(), epoch, lock })
    }

    /// The process that drives `brain`, for people; `None` if nobody does, or it cannot be told.
    #[must_use]
    pub fn driven_by(&self, access: &Access, brain: &BrainId) -> Option<u32> {
        self.admit(access).ok()?;
        self.journal(&self.reader(), brain).head().ok()?;
        Lock::holder(&self.leases, brain).ok()?
    }

    /// Appends `events`, all or none, and returns their numbers.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] under a lease that is not the newest, [`StoreError::TooLarge`], [`StoreError::Full`],
    /// [`StoreError::ReadOnly`], [`StoreError::Broken`] if the journal's end is not as it was left, and those of the
    /// disk. After any error nothing of `events` is in the journal, except after [`StoreError::Failed`] and
    /// [`StoreError::NoWriter`], where the next start will tell.
    pub fn append(
        &self,
        access: &Access,
        lease: &Lease,
        events: &[Event],
        durability: Durability,
    ) -> Result<Vec<Seq>, StoreError> {
        let drafts = self.drafts(access, lease, events)?;
        #[cfg(feature = "fault")]
        let strike = self.fault.count();
        #[cfg(feature = "fault")]
        crate::fault::Fault::strike(strike, crate::When::Before);
        let first = self.writer.perform(work(lease, drafts), durability)?;
        #[cfg(feature = "fault")]
        crate::fault::Fault::strike(strike, crate::When::After);
        Ok((first..).take(events.len()).map(Seq).collect())
    }

    /// Appends to many journals, each as [`Store::append`] does, in few transactions instead of one for each. Each has
    /// its own result, in the order given: the errors are those of [`Store::append`]. (The kill points of tests are not
    /// counted here.)
    pub fn append_each(
        &self,
        access: &Access,
        appends: &[(&Lease, &[Event])],
        durability: Durability,
    ) -> Vec<Result<(), StoreError>> {
        let begun: Vec<_> = appends
            .iter()
            .map(|(lease, events)| {
                let drafts = self.drafts(access, lease, events)?;
                self.writer.begin(work(lease, drafts), durability)
            })
            .collect();
        begun.into_iter().map(|begun| begun.and_then(|begun| begun.end()).map(|_| ())).collect()
    }

    /// Events as they are written, if they may be.
    fn drafts(&self, access: &Access, lease: &Lease, events: &[Event]) -> Result<Vec<Draft>, StoreError> {
        self.admit(access)?;
        if lease.tenant != self.tenant {
            return Err(StoreError::Foreign { tenant: self.tenant.clone(), asked: lease.tenant.clone() });
        }
        if events.len() > MAX_EVENTS {
            return Err(StoreError::TooLarge {
                what: "an append, in events",
                len: events.len(),
                max: MAX_EVENTS,
                advice: "append them in parts",
            });
        }
        events.iter().map(Draft::of).collect()
    }

    /// The records of `brain` from number `from` on (0 and 1 mean all), each checked and opened. Reading from 1 checks
    /// the whole journal; reading from later checks from there to the end.
    ///
    /// # Errors
    /// [`StoreError::Unknown`]; [`StoreError::Broken`] with the first record that is not as it was written;
    /// [`StoreError::Corrupt`]. Nothing is returned in part.
    pub fn read(&self, access: &Access, brain: &BrainId, from: Seq) -> Result<Vec<Record>, StoreError> {
        self.admit(access)?;
        let reader = self.reader();
        // One snapshot: head and records belong together while others append.
        let snapshot = reader.unchecked_transaction().map_err(StoreError::sqlite(&self.path))?;
        self.journal(&snapshot, brain).read(from)
    }

    /// The first record of `brain`, for whoever needs to know what it is; `None` where there is none yet.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn first(&self, access: &Access, brain: &BrainId) -> Result<Option<Record>, StoreError> {
        self.admit(access)?;
        self.journal(&self.reader(), brain).first()
    }

    /// Lets go of the journal without tidying up, for a process that is about to end. What was appended stands in the log
    /// beside the file, where whoever opens it next finds it; only a long log is put in its place, as when this is
    /// dropped, which waits for the disk three times.
    pub fn leave(self) {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        if std::fs::metadata(log).is_ok_and(|log| log.len() <= MAX_LEFT) {
            std::mem::forget(self);
        }
    }

    /// Has this process kill itself (`SIGKILL`) at a later append, or not after all. For tests of crash-safety.
    #[cfg(feature = "fault")]
    pub fn set_kill_point(&self, point: Option<crate::KillPoint>) {
        self.fault.set(point);
    }

    fn admit(&self, access: &Access) -> Result<(), StoreError> {
        if *access.tenant() == self.tenant {
            return Ok(());
        }
        Err(StoreError::Foreign { tenant: self.tenant.clone(), asked: access.tenant().clone() })
    }

    fn journal<'a>(&'a self, connection: &'a Connection, brain: &'a BrainId) -> Journal<'a> {
        Journal { connection, path: &self.path, key: &self.key, brain }
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        // A thread that panicked while reading leaves nothing half-done: its transaction was rolled back.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn brain_row(&self, (id, [created_ms, updated_ms, records]): Columns) -> Result<BrainRow, StoreError> {
        let id = self.brain_id(&id)?;
        match (uint(created_ms), uint(updated_ms), uint(records)) {
            (Some(created_ms), Some(updated_ms), Some(records)) => Ok(BrainRow { id, created_ms, updated_ms, records }),
            _ => Err(self.corrupt(format!("the row of brain {id} counts below 0"))),
        }
    }

    fn brain_id(&self, text: &str) -> Result<BrainId, StoreError> {
        BrainId::parse(text).map_err(|e| self.corrupt(e.to_string()))
    }

    fn corrupt(&self, detail: String) -> StoreError {
        StoreError::Corrupt { path: self.path.clone(), detail }
    }
}

/// The columns of a brain's row: its id, and the numbers of [`BrainRow`] in their order.
type Columns = (String, [i64; 3]);

fn columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]))
}

fn work(lease: &Lease, drafts: Vec<Draft>) -> Work {
    Work { brain: lease.brain.clone(), task: Task::Append { epoch: lease.epoch, drafts } }
}
