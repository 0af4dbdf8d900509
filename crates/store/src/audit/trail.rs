//! The chain of entries, as one connection sees it.

use std::path::Path;

use autoshare_core::audit::Entry;
use autoshare_core::{Digest, Seq, TenantName};
use autoshare_vault::{AuditPlace, TenantKey, Zeroizing, random};
use rusqlite::{Connection, OptionalExtension as _};

use super::heads::SignedHead;
use crate::StoreError;
use crate::record::{digest, int, uint};

/// Bytes of a salt.
const SALT: usize = 32;
/// The act under which a trail's end is sealed; no act has it.
const END: u16 = 0;

/// Where a trail ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) entries: Seq,
    pub(super) at_ms: u64,
    pub(super) hash: Digest,
    /// Up to where a head was signed.
    pub(super) signed: u64,
}

/// An entry, opened.
pub(super) struct Opened<'a> {
    pub(super) seq: Seq,
    pub(super) at_ms: u64,
    pub(super) act: u16,
    pub(super) hash: Digest,
    pub(super) salt: Digest,
    pub(super) json: &'a str,
}

impl Opened<'_> {
    pub(super) fn entry(&self) -> Result<Entry, String> {
        let entry: Entry = serde_json::from_str(self.json).map_err(|error| {
            format!("says what this version does not understand, line {} column {}", error.line(), error.column())
        })?;
        if entry.act.code() == self.act { Ok(entry) } else { Err("says something else than its act".to_owned()) }
    }
}

/// A tenant's trail.
#[derive(Clone, Copy)]
pub(super) struct Trail<'a> {
    pub(super) connection: &'a Connection,
    pub(super) path: &'a Path,
    pub(super) key: &'a TenantKey,
}

impl Trail<'_> {
    /// Where the trail ends, after checking that this is where it was left.
    pub(super) fn head(&self) -> Result<End, StoreError> {
        type Row = ([i64; 3], Vec<u8>, Vec<u8>);
        let row: Option<Row> = self
            .connection
            .prepare_cached("SELECT entries, at_ms, signed, hash, seal FROM head")
            .and_then(|mut s| {
                s.query_row((), |row| Ok(([row.get(0)?, row.get(1)?, row.get(2)?], row.get(3)?, row.get(4)?)))
                    .optional()
            })
            .map_err(StoreError::sqlite(self.path))?;
        let Some((numbers, hash, seal)) = row else {
            return Ok(End { entries: Seq(0), at_ms: 0, hash: genesis(self.key.tenant()), signed: 0 });
        };
        let [Some(entries), Some(at_ms), Some(signed)] = numbers.map(uint) else {
            return Err(self.broken(Seq(0), "is counted below 0"));
        };
        let seq = Seq(entries);
        let hash = digest(&hash).ok_or_else(|| self.broken(seq, "has a hash of a wrong length"))?;
        let sealed = self
            .key
            .open_audit(&self.place(seq, END, at_ms, &hash), &seal)
            .map_err(|error| self.broken(seq, &format!("is not the one the trail ended with ({error})")))?;
        if *sealed != signed.to_be_bytes() {
            return Err(self.broken(seq, "was not signed up to where the trail says"));
        }
        Ok(End { entries: seq, at_ms, hash, signed })
    }

    /// Writes where the trail ends.
    pub(super) fn put(&self, end: &End) -> Result<(), StoreError> {
        if end.entries == Seq(0) {
            return Ok(());
        }
        let place = self.place(end.entries, END, end.at_ms, &end.hash);
        let seal = self.key.seal_audit(&place, &end.signed.to_be_bytes())?;
        let row = (int(end.entries.0), int(end.at_ms), int(end.signed), end.hash.as_bytes(), seal);
        self.connection
            .prepare_cached(
                "INSERT INTO head (id, entries, at_ms, signed, hash, seal) VALUES (1, ?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT DO UPDATE SET entries = ?1, at_ms = ?2, signed = ?3, hash = ?4, seal = ?5",
            )
            .and_then(|mut s| s.execute(row))
            .map(drop)
            .map_err(StoreError::sqlite(self.path))
    }

    /// Notes that a head of entry `signed` was signed.
    pub(super) fn note(&self, signed: Seq) -> Result<(), StoreError> {
        let end = self.head()?;
        self.put(&End { signed: end.signed.max(signed.0), ..end })
    }

    /// How many entries no signed head covers.
    pub(super) fn waiting(&self) -> Result<u64, StoreError> {
        let found: Option<(i64, i64)> = self
            .connection
            .prepare_cached("SELECT entries, signed FROM head")
            .and_then(|mut s| s.query_row((), |row| Ok((row.get(0)?, row.get(1)?))).optional())
            .map_err(StoreError::sqlite(self.path))?;
        Ok(found.and_then(|(entries, signed)| uint(entries.saturating_sub(signed))).unwrap_or(0))
    }

    /// Appends what an act says behind `head`.
    pub(super) fn append(&self, head: End, act: u16, json: &[u8], now_ms: u64) -> Result<Seq, StoreError> {
        let seq = head.entries.next();
        // The clock may have been set back.
        let at_ms = now_ms.max(head.at_ms);
        let salt = Digest::from_bytes(random()?);
        let hash = hash(self.key.tenant(), &head.hash, seq, act, at_ms, &commitment(&salt, json));
        let plain = Zeroizing::new([salt.as_bytes(), json].concat());
        let sealed = self.key.seal_audit(&self.place(seq, act, at_ms, &head.hash), &plain)?;
        self.connection
            .prepare_cached("INSERT INTO entry (seq, at_ms, act, hash, sealed) VALUES (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut s| s.execute((int(seq.0), int(at_ms), act, hash.as_bytes(), sealed)))
            .map_err(StoreError::sqlite(self.path))?;
        self.put(&End { entries: seq, at_ms, hash, ..head })?;
        Ok(seq)
    }

    /// Shows the entries from `from` on, `limit` at most, each checked. At the end of the trail that is checked too. Must
    /// run within one transaction.
    pub(super) fn walk(
        &self,
        from: Seq,
        limit: usize,
        mut each: impl FnMut(&Opened<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let end = self.head()?;
        let sqlite = StoreError::sqlite(self.path);
        let mut expected = from;
        // A hash that is not the true one makes the first entry fail to open: it is sealed to it.
        let mut previous =
            if from == Seq(1) { genesis(self.key.tenant()) } else { self.hash_of(Seq(from.0 - 1), &end)? };
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT seq, at_ms, act, hash, sealed FROM entry WHERE seq >= ?1 OR seq < 1 ORDER BY seq LIMIT ?2",
            )
            .map_err(&sqlite)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query((int(from.0), limit)).map_err(&sqlite)?;
        let mut shown = 0;
        while let Some(row) = rows.next().map_err(&sqlite)? {
            let numbers: [i64; 3] = (|| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))().map_err(&sqlite)?;
            let (stated, sealed): (Vec<u8>, Vec<u8>) = (|| Ok((row.get(3)?, row.get(4)?)))().map_err(&sqlite)?;
            let broken = |why: &str| self.broken(expected, why);
            let [seq, at_ms, act] = numbers;
            if seq != int(expected.0) {
                return Err(broken(if seq < int(expected.0) {
                    "is followed by one of a lower number"
                } else {
                    "is missing"
                }));
            }
            if expected > end.entries {
                return Err(broken("stands behind the trail's end"));
            }
            let at_ms = uint(at_ms).ok_or_else(|| broken("has a time below 0"))?;
            let act = u16::try_from(act).map_err(|_| broken("is of an act that is none"))?;
            let place = self.place(expected, act, at_ms, &previous);
            let plain = self.key.open_audit(&place, &sealed).map_err(|e| broken(&format!("does not open ({e})")))?;
            let Some((salt, json)) = plain.split_first_chunk::<SALT>() else { return Err(broken("says nothing")) };
            let salt = Digest::from_bytes(*salt);
            let hash = hash(self.key.tenant(), &previous, expected, act, at_ms, &commitment(&salt, json));
            if digest(&stated) != Some(hash) {
                return Err(broken("does not match its hash"));
            }
            let json = std::str::from_utf8(json).map_err(|_| broken("is no text"))?;
            each(&Opened { seq: expected, at_ms, act, hash, salt, json })?;
            previous = hash;
            expected = expected.next();
            shown += 1;
        }
        if shown < limit {
            if expected <= end.entries {
                return Err(self.broken(expected, "is missing"));
            }
            if from <= end.entries && previous != end.hash {
                return Err(self.broken(end.entries, "is not the one the trail ended with"));
            }
        }
        Ok(())
    }

    /// Checks that the trail goes as far as a head that was signed, and is the same there.
    pub(super) fn reaches(&self, signed: &SignedHead) -> Result<(), StoreError> {
        let end = self.head()?;
        if end.entries < signed.entries {
            return Err(self.broken(signed.entries, "is missing, and a head of it was signed"));
        }
        if self.hash_of(signed.entries, &end)? != signed.hash {
            return Err(self.broken(signed.entries, "is not the one whose hash was signed"));
        }
        Ok(())
    }

    /// The hash of an entry as it stands there.
    pub(super) fn hash_of(&self, seq: Seq, end: &End) -> Result<Digest, StoreError> {
        if seq > end.entries {
            return Ok(end.hash);
        }
        let found: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT hash FROM entry WHERE seq = ?1")
            .and_then(|mut s| s.query_row([int(seq.0)], |row| row.get(0)).optional())
            .map_err(StoreError::sqlite(self.path))?;
        let found = found.ok_or_else(|| self.broken(seq, "is missing"))?;
        digest(&found).ok_or_else(|| self.broken(seq, "has a hash of a wrong length"))
    }

    fn place<'a>(&'a self, seq: Seq, act: u16, at_ms: u64, previous: &'a Digest) -> AuditPlace<'a> {
        AuditPlace { tenant: self.key.tenant(), seq, act, at_ms, previous }
    }

    pub(super) fn broken(&self, seq: Seq, why: &str) -> StoreError {
        StoreError::Trail { path: self.path.to_owned(), seq, why: why.to_owned() }
    }
}

/// What stands for the hash of the entry before the first.
pub(super) fn genesis(tenant: &TenantName) -> Digest {
    Digest::of_parts(&[b"autoshare/audit-trail/1", tenant.as_str().as_bytes()])
}

/// What an entry says, in a form that says nothing to whoever lacks the salt.
pub(super) fn commitment(salt: &Digest, json: &[u8]) -> Digest {
    Digest::of_parts(&[b"autoshare/audit-commitment/1", salt.as_bytes(), json])
}

/// An entry's hash: over everything of it, and so over everything before it.
pub(super) fn hash(
    tenant: &TenantName,
    previous: &Digest,
    seq: Seq,
    act: u16,
    at_ms: u64,
    commitment: &Digest,
) -> Digest {
    Digest::of_parts(&[
        b"autoshare/audit-chain/1",
        previous.as_bytes(),
        tenant.as_str().as_bytes(),
        &seq.0.to_be_bytes(),
        &act.to_be_bytes(),
        &at_ms.to_be_bytes(),
        commitment.as_bytes(),
    ])
}
