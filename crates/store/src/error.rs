//! What can go wrong with a journal.

use std::path::{Path, PathBuf};

use autoshare_core::{BrainId, Seq, TenantName};
use autoshare_vault::VaultError;
use rusqlite::ErrorCode;
use rustix::fs::StatVfsMountFlags;

/// Why the journal cannot be used so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Keys or private files.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The tenant's key is gone, and its journal is not.
    #[error(
        "the key of tenant {tenant} is missing and {} is there: restore keys/tenants/{tenant}.key from a backup; \
         a new key could not open the journal", path.display()
    )]
    KeyMissing {
        /// Whose.
        tenant: TenantName,
        /// The journal.
        path: PathBuf,
    },
    /// An `Access` to one tenant, shown to the store of another.
    #[error("access to tenant {asked} does not reach the journal of tenant {tenant}")]
    Foreign {
        /// Whose store.
        tenant: TenantName,
        /// Whose access.
        asked: TenantName,
    },
    /// No brain begins so.
    #[error("there is no brain {given:?}: `autoshare ps` lists them")]
    Unknown {
        /// What was asked for.
        given: String,
    },
    /// Several brains begin so.
    #[error("{given:?} could be any of {}: give more of the id", list(candidates))]
    Ambiguous {
        /// What was asked for.
        given: String,
        /// Some of those that begin so.
        candidates: Vec<BrainId>,
    },
    /// The id is taken.
    #[error("there is a brain {brain} already: draw another id")]
    Exists {
        /// Which.
        brain: BrainId,
    },
    /// Another process drives the brain.
    #[error("brain {brain} is being driven by process {pid}: stop it with `autoshare stop {brain}`, or wait")]
    Driven {
        /// Which.
        brain: BrainId,
        /// By whom.
        pid: u32,
    },
    /// Nobody drives the brain any more, but what was begun for it is not over yet.
    #[error("nobody drives brain {brain} any more, but its cell is still ending (a slow disk?): try again in a moment")]
    Ending {
        /// Which.
        brain: BrainId,
    },
    /// The lease was overtaken.
    #[error("brain {brain} is driven under a newer lease, nothing was written: stop this process, or resume the brain")]
    Fenced {
        /// Which.
        brain: BrainId,
    },
    /// More than one append takes.
    #[error("{what} of {len} ({max} are allowed): {advice}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large.
        len: usize,
        /// How large it may be.
        max: usize,
        /// What to do.
        advice: &'static str,
    },
    /// No room.
    #[error(
        "the disk that holds {} is full or over quota, nothing of this was written: make room, then resume",
        path.display()
    )]
    Full {
        /// The journal.
        path: PathBuf,
        /// [`std::io::ErrorKind::StorageFull`], as whoever writes files by himself is told it.
        source: std::io::Error,
    },
    /// Cannot be written to.
    #[error("{} is on a read-only disk or is write-protected: make it writable, or name another data directory", path.display())]
    ReadOnly {
        /// The journal.
        path: PathBuf,
    },
    /// Not a database, or one whose structure is damaged.
    #[error(
        "{} is damaged ({detail}): copy the file and its -wal away first, check the disk, and restore a backup",
        path.display()
    )]
    Corrupt {
        /// The journal.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// A record that is not what was written.
    #[error(
        "record {seq} of brain {brain} in {} {why}: the file was edited or damaged; nothing was changed; \
         restore it from a backup", path.display()
    )]
    Broken {
        /// The journal.
        path: PathBuf,
        /// Which brain.
        brain: BrainId,
        /// Which record.
        seq: Seq,
        /// What is wrong with it.
        why: String,
    },
    /// An entry of an audit trail that is not what was written, or the end of a trail that is not there.
    #[error(
        "entry {seq} of the audit trail {} {why}: the trail was edited, cut or set back; keep it as it is for whoever \
         looks into that, and restore a backup", path.display()
    )]
    Trail {
        /// The trail.
        path: PathBuf,
        /// Which entry.
        seq: Seq,
        /// What is wrong with it.
        why: String,
    },
    /// The signed heads of a trail are not as they were written.
    #[error(
        "line {line} of the signed heads {} {why}: they were edited or cut; keep them as they are for whoever looks into \
         that, and restore a backup of them", path.display()
    )]
    Heads {
        /// The file.
        path: PathBuf,
        /// Which line.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// Too much of a trail waits for a signed head.
    #[error(
        "{waiting} entries of the audit trail wait for a signed head, and no more are taken before it is written: see \
         that {} can be written to", path.display()
    )]
    Unsigned {
        /// The file of the heads.
        path: PathBuf,
        /// How many.
        waiting: u64,
    },
    /// An exported trail that does not hold.
    #[error("line {line} of the export {why}: it was edited or cut, or was signed by another machine than this key's")]
    Export {
        /// Which line.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// Access to a tenant where the whole data directory is concerned.
    #[error("only the owner of the data directory may back up or restore all of it")]
    NotOwner,
    /// A backup that cannot be made there.
    #[error("{} is there already: name a directory that is not", path.display())]
    Taken {
        /// Where it should go.
        path: PathBuf,
    },
    /// A data directory that holds something.
    #[error("{} holds data ({name}): restore into one that holds nothing, or nothing but keys", path.display())]
    NotEmpty {
        /// The data directory.
        path: PathBuf,
        /// Something that it holds.
        name: String,
    },
    /// A backup that is not as it was made.
    #[error("the backup {} cannot be restored: {name} {why}; nothing was restored, use another backup", path.display())]
    Backup {
        /// The backup.
        path: PathBuf,
        /// What is not so.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// The export cannot be read or written.
    #[error("cannot read or write the export: {0}: check the disk")]
    Stream(std::io::Error),
    /// A journal of a later version.
    #[error("{} has format {found} and this version knows {known}: use the newer autoshare", path.display())]
    Newer {
        /// The journal.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest known.
        known: i64,
    },
    /// Somebody else's file.
    #[error("{} is not what autoshare keeps under this name ({why}): move it away, or restore a backup", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// Another process holds the write lock.
    #[error("{} has been locked by another process for {seconds} s: try again, or look who holds it with `fuser`", path.display())]
    Busy {
        /// The journal.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// An earlier fsync failed, so what the disk holds is not known.
    #[error(
        "the disk failed to store {} durably, and nothing more is written to it: check the disk, then start again",
        path.display()
    )]
    Failed {
        /// The journal.
        path: PathBuf,
    },
    /// The disk or SQLite, otherwise.
    #[error("cannot use {}: {source}: check the disk", path.display())]
    Sqlite {
        /// The journal.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The lease's file cannot be locked.
    #[error("cannot lock {}: {source}: check the file system of the data directory", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The writer thread cannot start or has ended.
    #[error("the thread that writes is not there: start autoshare again; nothing of this was written")]
    NoWriter,
    /// An event that has no JSON.
    #[error("an event cannot be written as JSON ({0}): report this, it is a fault of autoshare")]
    Unwritable(serde_json::Error),
}

impl StoreError {
    /// What SQLite's error means for the journal at `path`.
    pub(crate) fn sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        move |source| {
            let path = path.to_owned();
            let code = source.sqlite_error_code();
            match code {
                Some(ErrorCode::DiskFull) => Self::Full { path, source: std::io::ErrorKind::StorageFull.into() },
                Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
                Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) if is_read_only(&path) => {
                    Self::ReadOnly { path }
                }
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    Self::Busy { path, seconds: crate::file::BUSY.as_secs() }
                }
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    Self::Corrupt { path, detail: source.to_string() }
                }
                _ if is_fsync(&source) => Self::Failed { path },
                Some(_) => Self::Sqlite { path, source },
                // A column of another type than this version writes.
                None => Self::Corrupt { path, detail: source.to_string() },
            }
        }
    }

    /// Whether this was decided before anything was written, so that what shares its transaction is unharmed.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. }
                | Self::Exists { .. }
                | Self::Fenced { .. }
                | Self::Broken { .. }
                | Self::Trail { .. }
                | Self::Unsigned { .. }
        )
    }
}

fn is_fsync(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error(), Some(e) if matches!(
        e.extended_code,
        rusqlite::ffi::SQLITE_IOERR_FSYNC | rusqlite::ffi::SQLITE_IOERR_DIR_FSYNC
    ))
}

fn is_read_only(path: &Path) -> bool {
    path.parent()
        .and_then(|dir| rustix::fs::statvfs(dir).ok())
        .is_some_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn list(brains: &[BrainId]) -> String {
    brains.iter().map(BrainId::as_str).collect::<Vec<_>>().join(", ")
}
