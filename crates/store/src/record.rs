//! Records: how they are chained, written and read back.

use std::path::Path;
use std::sync::Arc;

use autoshare_core::event::{Event, EventKind};
use autoshare_core::{BrainId, Digest, Seq};
use autoshare_vault::{Place, TenantKey, Zeroizing};
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::StoreError;
use crate::writer::Book;

/// Bytes of one event as JSON at most. The largest legal one is an observation with a whole file in it, escaped.
pub const MAX_RECORD: usize = 16 * 1024 * 1024;
/// Events in one append at most.
pub const MAX_EVENTS: usize = 1024;

/// The kind under which a journal's head is sealed; no event has it.
const HEAD: u8 = 0;

/// One record, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the brain's journal.
    pub seq: Seq,
    /// When it was written: milliseconds since 1970 (UTC) by this machine's clock, never less than the record before.
    pub at_ms: u64,
    /// What it is.
    pub kind: EventKind,
    /// What it says.
    pub event: Event,
}

/// An event on its way into the journal.
#[derive(Debug)]
pub(crate) struct Draft {
    kind: u8,
    json: Zeroizing<Vec<u8>>,
}

impl Draft {
    pub(crate) fn of(event: &Event) -> Result<Self, StoreError> {
        let json = Zeroizing::new(serde_json::to_vec(event).map_err(StoreError::Unwritable)?);
        if json.len() > MAX_RECORD {
            return Err(StoreError::TooLarge {
                what: "an event, in bytes",
                len: json.len(),
                max: MAX_RECORD,
                advice: "keep what is large in a workspace file",
            });
        }
        Ok(Self { kind: event.kind().code(), json })
    }
}

/// What is to be written to a brain's journal.
#[derive(Debug)]
pub(crate) struct Work {
    /// Whose.
    pub(crate) brain: BrainId,
    /// What.
    pub(crate) task: Task,
}

/// What is to be done to a journal.
#[derive(Debug)]
pub(crate) enum Task {
    /// A new brain.
    Create,
    /// A new lease of a brain; yields its epoch.
    Lease,
    /// Events under the lease of `epoch`; yields the first's number.
    Append {
        /// The lease's.
        epoch: u64,
        /// The events.
        drafts: Vec<Draft>,
    },
}

/// All journals of the tenant that has this key.
pub(crate) struct Journals(pub(crate) Arc<TenantKey>);

impl Book for Journals {
    type Work = Work;

    fn perform(&self, connection: &Connection, path: &Path, work: &Work, now_ms: u64) -> Result<u64, StoreError> {
        let journal = Journal { connection, path, key: &self.0, brain: &work.brain };
        match &work.task {
            Task::Create => journal.create(now_ms).map(|()| 0),
            Task::Lease => journal.next_epoch(),
            Task::Append { epoch, drafts } => journal.append(*epoch, drafts, now_ms).map(|seq| seq.0),
        }
    }
}

/// One brain's journal, as the one connection sees it.
#[derive(Clone, Copy)]
pub(crate) struct Journal<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) path: &'a Path,
    pub(crate) key: &'a TenantKey,
    pub(crate) brain: &'a BrainId,
}

/// Where a journal ends.
pub(crate) struct Head {
    pub(crate) epoch: u64,
    records: u64,
    hash: Digest,
    created_ms: u64,
    updated_ms: u64,
}

impl Journal<'_> {
    /// Makes an empty journal.
    pub(crate) fn create(&self, now_ms: u64) -> Result<(), StoreError> {
        let hash = self.genesis();
        let seal = self.key.seal(&self.place(Seq(0), HEAD, &hash), &times(now_ms, now_ms))?;
        let made = self
            .connection
            .prepare_cached(
                "INSERT INTO brain (id, created_ms, updated_ms, epoch, records, head, seal) \
                 VALUES (?1, ?2, ?2, 0, 0, ?3, ?4) ON CONFLICT DO NOTHING",
            )
            .and_then(|mut s| s.execute((self.brain.as_str(), int(now_ms), hash.as_bytes(), seal)))
            .map_err(StoreError::sqlite(self.path))?;
        if made == 1 { Ok(()) } else { Err(StoreError::Exists { brain: self.brain.clone() }) }
    }

    /// Begins a new lease: the epoch after the last.
    pub(crate) fn next_epoch(&self) -> Result<u64, StoreError> {
        self.connection
            .prepare_cached("UPDATE brain SET epoch = epoch + 1 WHERE id = ?1 RETURNING epoch")
            .and_then(|mut s| s.query_row([self.brain.as_str()], |row| row.get::<_, i64>(0)).optional())
            .map_err(StoreError::sqlite(self.path))?
            .map(|epoch| uint(epoch).ok_or_else(|| self.broken(Seq(0), "has an epoch below 0")))
            .unwrap_or_else(|| Err(self.unknown()))
    }

    /// Where the journal ends, after checking that this is where it was left.
    pub(crate) fn head(&self) -> Result<Head, StoreError> {
        let columns = |row: &Row<'_>| {
            let number = |column| row.get::<_, i64>(column);
            Ok(([number(0)?, number(1)?, number(2)?, number(3)?], row.get(4)?, row.get(5)?))
        };
        let (numbers, hash, seal): ([i64; 4], Vec<u8>, Vec<u8>) = self
            .connection
            .prepare_cached("SELECT epoch, records, created_ms, updated_ms, head, seal FROM brain WHERE id = ?1")
            .and_then(|mut s| s.query_row([self.brain.as_str()], columns).optional())
            .map_err(StoreError::sqlite(self.path))?
            .ok_or_else(|| self.unknown())?;
        let [Some(epoch), Some(records), Some(created_ms), Some(updated_ms)] = numbers.map(uint) else {
            return Err(self.broken(Seq(0), "is counted below 0"));
        };
        let seq = Seq(records);
        let hash = digest(&hash).ok_or_else(|| self.broken(seq, "has a hash of a wrong length"))?;
        let sealed = self
            .key
            .open(&self.place(seq, HEAD, &hash), &seal)
            .map_err(|e| self.broken(seq, &format!("is not the one the journal ended with ({e})")))?;
        if *sealed != times(created_ms, updated_ms) {
            return Err(self.broken(seq, "was not written when its brain says"));
        }
        Ok(Head { epoch, records, hash, created_ms, updated_ms })
    }

    /// Appends under the lease of `epoch`, and returns the first number.
    pub(crate) fn append(&self, epoch: u64, drafts: &[Draft], now_ms: u64) -> Result<Seq, StoreError> {
        let head = self.head()?;
        if head.epoch != epoch {
            return Err(StoreError::Fenced { brain: self.brain.clone() });
        }
        let sqlite = StoreError::sqlite(self.path);
        // The clock may have been set back.
        let at_ms = now_ms.max(head.updated_ms);
        let (first, mut seq, mut previous) = (Seq(head.records).next(), Seq(head.records), head.hash);
        let mut insert = self
            .connection
            .prepare_cached(
                "INSERT INTO record (brain, seq, at_ms, kind, epoch, hash, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )
            .map_err(&sqlite)?;
        for draft in drafts {
            seq = seq.next();
            let place = self.place(seq, draft.kind, &previous);
            let sealed = self.key.seal(&place, &draft.json)?;
            let hash = hash(&place, at_ms, epoch, &sealed);
            let row = (self.brain.as_str(), int(seq.0), int(at_ms), draft.kind, int(epoch), hash.as_bytes(), sealed);
            insert.execute(row).map_err(&sqlite)?;
            previous = hash;
        }
        let seal = self.key.seal(&self.place(seq, HEAD, &previous), &times(head.created_ms, at_ms))?;
        self.connection
            .prepare_cached("UPDATE brain SET updated_ms = ?2, records = ?3, head = ?4, seal = ?5 WHERE id = ?1")
            .and_then(|mut s| s.execute((self.brain.as_str(), int(at_ms), int(seq.0), previous.as_bytes(), seal)))
            .map_err(&sqlite)?;
        Ok(first)
    }

    /// All records from number `from` on, each checked. Must run within one transaction.
    pub(crate) fn read(&self, from: Seq) -> Result<Vec<Record>, StoreError> {
        let head = self.head()?;
        let mut expected = Seq(from.0.max(1));
        if expected.0 > head.records {
            return Ok(Vec::new());
        }
        // A hash that is not the true one makes the first record fail to open: it is sealed to it.
        let mut previous = if expected == Seq(1) { self.genesis() } else { self.hash_of(Seq(expected.0 - 1))? };
        let mut records = Vec::new();
        let sqlite = StoreError::sqlite(self.path);
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT seq, at_ms, kind, epoch, hash, sealed FROM record WHERE brain = ?1 AND seq >= ?2 ORDER BY seq",
            )
            .map_err(&sqlite)?;
        let mut rows = statement.query((self.brain.as_str(), int(expected.0))).map_err(&sqlite)?;
        while let Some(row) = rows.next().map_err(&sqlite)? {
            let row = Stored::of(row).map_err(&sqlite)?;
            if row.seq != int(expected.0) {
                return Err(self.broken(expected, "is missing"));
            }
            let (record, hash) = self.open(expected, &previous, &row).map_err(|why| self.broken(expected, &why))?;
            records.push(record);
            previous = hash;
            expected = expected.next();
        }
        if expected.0 <= head.records {
            return Err(self.broken(expected, "is missing"));
        }
        if previous != head.hash {
            return Err(self.broken(Seq(head.records), "is not the one the journal ended with"));
        }
        Ok(records)
    }

    /// The first record alone, checked as far as itself; `None` where there is none yet.
    pub(crate) fn first(&self) -> Result<Option<Record>, StoreError> {
        let row = self
            .connection
            .prepare_cached("SELECT seq, at_ms, kind, epoch, hash, sealed FROM record WHERE brain = ?1 AND seq = 1")
            .and_then(|mut s| s.query_row([self.brain.as_str()], Stored::of).optional())
            .map_err(StoreError::sqlite(self.path))?;
        let Some(row) = row else { return self.head().map(|_| None) };
        let opened = self.open(Seq(1), &self.genesis(), &row);
        opened.map(|(record, _)| Some(record)).map_err(|why| self.broken(Seq(1), &why))
    }

    fn open(&self, seq: Seq, previous: &Digest, row: &Stored) -> Result<(Record, Digest), String> {
        let (Some(at_ms), Some(epoch)) = (uint(row.at_ms), uint(row.epoch)) else {
            return Err("has a time or epoch below 0".to_owned());
        };
        let kind = u8::try_from(row.kind).ok().and_then(EventKind::from_code);
        let kind = kind.ok_or_else(|| format!("is of kind {}, which this version does not know", row.kind))?;
        let place = self.place(seq, kind.code(), previous);
        let hash = hash(&place, at_ms, epoch, &row.sealed);
        if digest(&row.hash) != Some(hash) {
            return Err("does not match its hash".to_owned());
        }
        let json = self.key.open(&place, &row.sealed).map_err(|e| format!("does not open ({e})"))?;
        let event: Event = serde_json::from_slice(&json).map_err(|e| {
            format!("says what this version does not understand, line {} column {}", e.line(), e.column())
        })?;
        if event.kind() != kind {
            return Err("says something else than its kind".to_owned());
        }
        Ok((Record { seq, at_ms, kind, event }, hash))
    }

    fn hash_of(&self, seq: Seq) -> Result<Digest, StoreError> {
        let found: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT hash FROM record WHERE brain = ?1 AND seq = ?2")
            .and_then(|mut s| s.query_row((self.brain.as_str(), int(seq.0)), |row| row.get(0)).optional())
            .map_err(StoreError::sqlite(self.path))?;
        let found = found.ok_or_else(|| self.broken(seq, "is missing"))?;
        digest(&found).ok_or_else(|| self.broken(seq, "has a hash of a wrong length"))
    }

    /// What stands for the hash of the record before the first.
    fn genesis(&self) -> Digest {
        Digest::of_parts(&[
            b"autoshare/journal/1",
            self.key.tenant().as_str().as_bytes(),
            self.brain.as_str().as_bytes(),
        ])
    }

    fn place<'a>(&'a self, seq: Seq, kind: u8, previous: &'a Digest) -> Place<'a> {
        Place { tenant: self.key.tenant(), brain: self.brain, seq, kind, previous }
    }

    fn broken(&self, seq: Seq, why: &str) -> StoreError {
        StoreError::Broken { path: self.path.to_owned(), brain: self.brain.clone(), seq, why: why.to_owned() }
    }

    fn unknown(&self) -> StoreError {
        StoreError::Unknown { given: self.brain.to_string() }
    }
}

/// A record's row.
struct Stored {
    seq: i64,
    at_ms: i64,
    kind: i64,
    epoch: i64,
    hash: Vec<u8>,
    sealed: Vec<u8>,
}

impl Stored {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            at_ms: row.get(1)?,
            kind: row.get(2)?,
            epoch: row.get(3)?,
            hash: row.get(4)?,
            sealed: row.get(5)?,
        })
    }
}

/// A record's hash: over everything of it, and so over everything before it.
fn hash(place: &Place<'_>, at_ms: u64, epoch: u64, sealed: &[u8]) -> Digest {
    Digest::of_parts(&[
        b"autoshare/chain/1",
        place.previous.as_bytes(),
        place.tenant.as_str().as_bytes(),
        place.brain.as_str().as_bytes(),
        &place.seq.0.to_be_bytes(),
        &[place.kind],
        &at_ms.to_be_bytes(),
        &epoch.to_be_bytes(),
        sealed,
    ])
}

/// What a head says under its seal: the times that stand open beside it.
fn times(created_ms: u64, updated_ms: u64) -> Vec<u8> {
    [created_ms.to_be_bytes(), updated_ms.to_be_bytes()].concat()
}

pub(crate) fn digest(bytes: &[u8]) -> Option<Digest> {
    bytes.try_into().ok().map(Digest::from_bytes)
}

/// SQLite's integers are signed; nothing here counts that far.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn uint(number: i64) -> Option<u64> {
    u64::try_from(number).ok()
}
