//! The audit trail: who did what, one chain a tenant.
//!
//! The entry point is [`Audit::open`]. An [`Entry`] is written with [`Audit::append`], read back with [`Audit::read`]; what
//! stands there is checked with [`Audit::verify`], or, by somebody who has no key of the tenant's, with [`verify_export`]
//! over what [`Audit::export`] wrote.
//!
//! # The chain
//!
//! An entry's hash covers the hash before, tenant, number, act, time, and a *commitment*: the digest of a random salt and of
//! what the entry says. Salt and entry are sealed with the tenant's audit key, bound to all of that place. So the chain says
//! nothing about its content to whoever has only the file, and yet can be checked by whoever is shown salts and entries. Number
//! and hash of the last entry are sealed too: nobody without the key can add to a trail, or cut it and seal its end again.
//!
//! # Signed heads
//!
//! What the file alone cannot tell is that all of it was set back to an earlier state. So its *heads* (number and hash of an
//! entry) are signed with a key of this machine, and stand in `audit/<tenant>.heads`, one a line, each naming the one before.
//! The trail notes, sealed, up to where it was signed: heads that were cut are missed. An entry is on the disk before a
//! head that covers it.
//!
//! A head is written [`SIGN_AFTER`] after an entry that has none, or when [`SIGN_EVERY`] wait, whichever is first; when the
//! trail is closed, and when it is opened again after a kill. **The window:** entries that wait can be taken away by setting
//! the whole file back to its last signed head, and nobody will know; and so they can while nothing runs after a kill. No
//! more than [`MAX_WAITING`] ever wait: where heads cannot be written, appending fails. Whoever can set back trail and heads
//! together is found out only by a copy of the heads that is out of reach: keep one elsewhere, it is what `audit export`
//! ends with.
//!
//! Not told from here: that the host wrote something that was not so. Who has the machine's keys can sign anything.

mod export;
mod heads;
mod trail;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoshare_access::Access;
use autoshare_core::audit::Entry;
use autoshare_core::{Digest, Seq, TenantName};
use autoshare_vault::private::{Others, PrivateDir};
use autoshare_vault::sign::{PublicKey, SigningKey};
use autoshare_vault::{TenantKey, Vault, Zeroizing};
use rusqlite::Connection;

use crate::file::{self, Layout};
use crate::writer::{Book, Disk, Writer, now_ms};
use crate::{Durability, StoreError};

pub use export::verify_export;
use heads::Heads;
pub(crate) use heads::{FOLDER, HeadsFile};
use trail::Trail;

/// Entries that wait for a signed head before one is written.
pub const SIGN_EVERY: u64 = 64;
/// How long an entry waits for one.
pub const SIGN_AFTER: Duration = Duration::from_secs(5);
/// Entries that may wait for one at most.
pub const MAX_WAITING: u64 = 512;
/// The format of the trail that this version writes. A file of a later one is refused.
pub const AUDIT_FORMAT: i64 = 1;

/// The trail. `entry` is the chain, and the one row of `head` its end.
pub(crate) const AUDIT: Layout = Layout {
    file: "audit.db",
    format: AUDIT_FORMAT,
    // "asha"
    application_id: 0x6173_6861,
    schema: &[
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        "CREATE TABLE entry (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, act INTEGER NOT NULL, hash BLOB NOT NULL, \
         sealed BLOB NOT NULL) STRICT",
        "CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), entries INTEGER NOT NULL, at_ms INTEGER NOT NULL, \
         signed INTEGER NOT NULL, hash BLOB NOT NULL, seal BLOB NOT NULL) STRICT",
        "CREATE TRIGGER entry_stays BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END",
        "CREATE TRIGGER entry_kept BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never removed'); END",
        "CREATE TRIGGER head_kept BEFORE DELETE ON head BEGIN SELECT RAISE(ABORT, 'the head is never removed'); END",
    ],
};

/// An entry as it stands in the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its number; the first is 1.
    pub seq: Seq,
    /// When it was written: milliseconds since 1970 (UTC) by this machine's clock, never less than the entry before.
    pub at_ms: u64,
    /// What it says.
    pub entry: Entry,
    /// Its hash.
    pub hash: Digest,
}

/// A trail that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whose it is.
    pub tenant: TenantName,
    /// How many entries it has.
    pub entries: u64,
    /// The hash of the last one.
    pub head: Digest,
    /// Up to which entry a signed head vouches for it.
    pub signed: u64,
    /// When that head was signed: milliseconds since 1970 (UTC).
    pub signed_ms: Option<u64>,
}

/// One tenant's trail. May be shared between threads; several processes may have it open.
#[derive(Debug)]
pub struct Audit {
    tenant: TenantName,
    key: Arc<TenantKey>,
    path: PathBuf,
    public: PublicKey,
    signing: Arc<SigningKey>,
    heads: Arc<HeadsFile>,
    writer: Writer<Work>,
    reader: Mutex<Connection>,
}

impl Audit {
    /// Opens the trail of the tenant of `access` below `data_dir`; makes it at first use.
    ///
    /// # Errors
    /// [`StoreError::Trail`] for a trail that does not reach its last signed head, [`StoreError::Heads`],
    /// [`StoreError::KeyMissing`], and those of [`Store::open`](crate::Store::open).
    pub fn open(data_dir: &Path, access: &Access, vault: &Vault) -> Result<Self, StoreError> {
        let tenant = access.tenant().clone();
        let dir = file::tenant_dir(data_dir, &tenant)?;
        let path = AUDIT.path(&dir);
        let exists = AUDIT.exists(&dir)?;
        if exists && !vault.holds(&tenant)? {
            return Err(StoreError::KeyMissing { tenant, path });
        }
        let key = Arc::new(vault.tenant(&tenant)?);
        let signing = Arc::new(vault.signing_key()?);
        let public = signing.public();
        let folder = PrivateDir::open(data_dir, Others::MayRead)?.sub(FOLDER, Others::Nothing)?;
        let heads = Arc::new(HeadsFile::new(folder, tenant.clone()));
        if !exists {
            AUDIT.make(&dir)?;
        }
        let connection = AUDIT.open(&path)?;
        let mut last = heads.lock()?;
        // Nothing is added behind an end that is not where it was.
        if let Some(signed) = last.last()? {
            Trail { connection: &connection, path: &path, key: &key }.reaches(&signed)?;
        }
        drop(last);
        let book = Scribe {
            key: Arc::clone(&key),
            signing: Arc::clone(&signing),
            heads: Arc::clone(&heads),
            since: None,
            begun: false,
        };
        let writer = Writer::start("audit", connection, path.clone(), book)?;
        let reader = Mutex::new(AUDIT.open_reader(&path)?);
        Ok(Self { tenant, key, path, public, signing, heads, writer, reader })
    }

    /// Appends an entry and returns its number.
    ///
    /// # Errors
    /// [`StoreError::Trail`] if the trail's end is not as it was left, [`StoreError::Unsigned`] while heads cannot be
    /// written, and those of the disk. After any error but [`StoreError::Failed`] and [`StoreError::NoWriter`] the entry is
    /// not in the trail.
    pub fn append(&self, access: &Access, entry: &Entry, durability: Durability) -> Result<Seq, StoreError> {
        self.admit(access)?;
        let json = Zeroizing::new(serde_json::to_vec(entry).map_err(StoreError::Unwritable)?);
        self.writer.perform(Work::Append { act: entry.act.code(), json }, durability).map(Seq)
    }

    /// The entries from number `from` on (0 and 1 mean the first), `limit` at most, each checked and opened.
    ///
    /// # Errors
    /// [`StoreError::Trail`] with the first entry that is not as it was written. Nothing is returned in part.
    pub fn read(&self, access: &Access, from: Seq, limit: usize) -> Result<Vec<Logged>, StoreError> {
        self.admit(access)?;
        self.snapshot(|trail| {
            let mut found = Vec::new();
            trail.walk(Seq(from.0.max(1)), limit, |opened| {
                let entry = opened.entry().map_err(|why| trail.broken(opened.seq, &why))?;
                found.push(Logged { seq: opened.seq, at_ms: opened.at_ms, entry, hash: opened.hash });
                Ok(())
            })?;
            Ok(found)
        })
    }

    /// Checks the whole trail, and that it reaches and matches every signed head.
    ///
    /// # Errors
    /// [`StoreError::Trail`] with the first entry, or [`StoreError::Heads`] with the first line, that is not as it was
    /// written.
    pub fn verify(&self, access: &Access) -> Result<Verified, StoreError> {
        self.checked(access, |_, _| Ok(()))
    }

    /// Writes the whole trail as JSON lines: who it is of, then the entries, and after an entry the head that was signed
    /// there. A head is signed first, so that it covers all. What is written is checked as [`Audit::verify`] does.
    ///
    /// # Errors
    /// As [`Audit::verify`], and [`StoreError::Stream`].
    pub fn export(&self, access: &Access, out: &mut dyn Write) -> Result<Verified, StoreError> {
        self.admit(access)?;
        // First on the disk, then signed, then noted: see `Scribe::sign`.
        let entries = Seq(self.writer.perform(Work::Sync, Durability::Synced)?);
        if entries > Seq(0) {
            let hash = self.snapshot(|trail| trail.hash_of(entries, &trail.head()?))?;
            self.heads.lock()?.add(&self.signing, entries, hash, now_ms())?;
            self.writer.perform(Work::Note(entries), Durability::Lazy)?;
        }
        export::begin(out, &self.tenant, &self.public)?;
        let verified = self.checked(access, |opened, head| export::line(out, opened, head))?;
        out.flush().map_err(StoreError::Stream)?;
        Ok(verified)
    }

    /// What checks this machine's signatures: to be handed to whoever checks an export.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Checks all, and shows each entry with the head that was signed there.
    fn checked(
        &self,
        access: &Access,
        mut each: impl FnMut(&trail::Opened<'_>, Option<&heads::SignedHead>) -> Result<(), StoreError>,
    ) -> Result<Verified, StoreError> {
        self.admit(access)?;
        // No head is written meanwhile, so that trail and heads belong together.
        let mut locked = self.heads.lock()?;
        self.snapshot(|trail| {
            let end = trail.head()?;
            let mut heads = Heads::new(&self.tenant, &self.public);
            let mut signed = locked.each(&mut heads)?;
            let mut next = signed.next().transpose()?;
            let mut last = None;
            trail.walk(Seq(1), usize::MAX, |opened| {
                let here = next.take_if(|head| head.entries == opened.seq);
                if let Some(head) = here {
                    if head.hash != opened.hash {
                        return Err(trail.broken(opened.seq, "is not the one whose hash was signed"));
                    }
                    each(opened, Some(&head))?;
                    last = Some(head);
                    next = signed.next().transpose()?;
                    return Ok(());
                }
                each(opened, None)
            })?;
            if let Some(head) = next {
                return Err(trail.broken(head.entries, "is missing, and a head of it was signed"));
            }
            drop(signed);
            let signed = last.as_ref().map_or(0, |head: &heads::SignedHead| head.entries.0);
            if signed < end.signed {
                return Err(self.heads.cut(heads.lines(), end.signed));
            }
            let signed_ms = last.map(|head| head.at_ms);
            Ok(Verified { tenant: self.tenant.clone(), entries: end.entries.0, head: end.hash, signed, signed_ms })
        })
    }

    fn snapshot<T>(&self, work: impl FnOnce(&Trail<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // A thread that panicked while reading leaves nothing half-done: its transaction was rolled back.
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = reader.unchecked_transaction().map_err(StoreError::sqlite(&self.path))?;
        work(&Trail { connection: &snapshot, path: &self.path, key: &self.key })
    }

    fn admit(&self, access: &Access) -> Result<(), StoreError> {
        if *access.tenant() == self.tenant {
            return Ok(());
        }
        Err(StoreError::Foreign { tenant: self.tenant.clone(), asked: access.tenant().clone() })
    }
}

/// What is to be written to a trail.
#[derive(Debug)]
enum Work {
    /// An entry; yields its number.
    Append { act: u16, json: Zeroizing<Vec<u8>> },
    /// Nothing new, but all that is there reaches the disk; yields the number of the last entry.
    Sync,
    /// A head of this entry was signed.
    Note(Seq),
}

/// Writes entries, and signs heads when it is time.
struct Scribe {
    key: Arc<TenantKey>,
    signing: Arc<SigningKey>,
    heads: Arc<HeadsFile>,
    /// Since when an entry waits for a head.
    since: Option<Instant>,
    begun: bool,
}

impl Book for Scribe {
    type Work = Work;

    fn perform(&self, connection: &Connection, path: &Path, work: &Work, now_ms: u64) -> Result<u64, StoreError> {
        let trail = Trail { connection, path, key: &self.key };
        match work {
            Work::Append { act, json } => {
                let head = trail.head()?;
                let waiting = head.entries.0.saturating_sub(head.signed);
                if waiting >= MAX_WAITING {
                    return Err(StoreError::Unsigned { path: self.heads.path(), waiting });
                }
                trail.append(head, *act, json, now_ms).map(|seq| seq.0)
            }
            Work::Sync => {
                let head = trail.head()?;
                trail.put(&head).map(|()| head.entries.0)
            }
            Work::Note(entries) => trail.note(*entries).map(|()| 0),
        }
    }

    fn after(&mut self, disk: &mut Disk) -> Option<Duration> {
        let waiting = Trail { connection: disk.connection(), path: disk.path(), key: &self.key }.waiting();
        // An end that cannot be read is told to whoever appends.
        let waiting = waiting.unwrap_or(0);
        if waiting == 0 {
            self.since = None;
            self.begun = true;
            return None;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let left = SIGN_AFTER.saturating_sub(since.elapsed());
        if self.begun && waiting < SIGN_EVERY && !left.is_zero() {
            return Some(left);
        }
        self.begun = true;
        // Where it fails, it is tried again, and in the end appending fails.
        self.since = if self.sign(disk).is_ok() { None } else { Some(Instant::now()) };
        if self.since.is_some() { Some(SIGN_AFTER) } else { None }
    }

    fn close(&mut self, disk: &mut Disk) {
        let waiting = Trail { connection: disk.connection(), path: disk.path(), key: &self.key }.waiting();
        if waiting.is_ok_and(|waiting| waiting > 0) {
            // Where it fails, the next start does it.
            let _ = self.sign(disk);
        }
    }
}

impl Scribe {
    /// Signs the trail's end.
    fn sign(&self, disk: &mut Disk) -> Result<(), StoreError> {
        // First on the disk, then signed: a power cut takes no entry that a head speaks of.
        let head = disk.transact(Durability::Synced, |connection, path| {
            let trail = Trail { connection, path, key: &self.key };
            let head = trail.head()?;
            trail.put(&head).map(|()| head)
        })?;
        self.heads.lock()?.add(&self.signing, head.entries, head.hash, now_ms())?;
        // Then noted: a trail never claims a head that is not there.
        disk.transact(Durability::Lazy, |connection, path| {
            Trail { connection, path, key: &self.key }.note(head.entries)
        })
    }
}
