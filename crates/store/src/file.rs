//! The journal's file: its tables, and how it is made and opened.

use std::path::Path;
use std::time::Duration;

use autoshare_vault::private::{Others, PrivateDir};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use crate::StoreError;

/// The format that this version writes. A file of a later one is refused.
pub const FORMAT: i64 = 1;
/// How long a write waits for other processes.
pub(crate) const BUSY: Duration = Duration::from_secs(10);
/// In the file's header, for file(1) and the like: "ashr".
const APPLICATION_ID: i64 = 0x6173_6872;
const FILE: &str = "journal.db";
/// The log is cut back to this many bytes after a checkpoint.
const MAX_LOG: i64 = 16 * 1024 * 1024;

/// The tables. SQLite keeps these texts as they are, and opening compares them: a trigger that somebody dropped or
/// added is found.
const SCHEMA: [&str; 6] = [
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE brain (id TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, \
     epoch INTEGER NOT NULL, records INTEGER NOT NULL, head BLOB NOT NULL, seal BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE record (brain TEXT NOT NULL REFERENCES brain(id), seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, \
     kind INTEGER NOT NULL, epoch INTEGER NOT NULL, hash BLOB NOT NULL, sealed BLOB NOT NULL, \
     PRIMARY KEY (brain, seq)) STRICT",
    "CREATE TRIGGER record_stays BEFORE UPDATE ON record BEGIN SELECT RAISE(ABORT, 'records are never changed'); END",
    "CREATE TRIGGER record_kept BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'records are never removed'); END",
    "CREATE TRIGGER brain_kept BEFORE DELETE ON brain BEGIN SELECT RAISE(ABORT, 'brains are never removed'); END",
];

/// Whether a journal stands in `dir`, after checking that others cannot write to it.
pub(crate) fn exists(dir: &PrivateDir) -> Result<bool, StoreError> {
    // SQLite gives the log and its index the mode of the file; these are checked for what others may have put there.
    for companion in ["journal.db-wal", "journal.db-shm"] {
        dir.check(companion, Others::MayRead)?;
    }
    Ok(dir.check(FILE, Others::MayRead)?)
}

/// Makes an empty journal in `dir`, complete under its name or not at all, unless there is one by now.
pub(crate) fn make(dir: &PrivateDir) -> Result<(), StoreError> {
    let temporary = dir.temporary(FILE)?;
    dir.create(&temporary, b"")?;
    if let Err(error) = fill(&dir.path().join(&temporary)) {
        dir.discard(&temporary);
        return Err(StoreError::sqlite(&path(dir))(error));
    }
    dir.publish(&temporary, FILE)?;
    Ok(())
}

fn fill(path: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open_with_flags(path, flags())?;
    let transaction = connection.transaction()?;
    for statement in SCHEMA {
        transaction.execute(statement, ())?;
    }
    transaction.execute("INSERT INTO meta (name, value) VALUES ('format', ?1)", [FORMAT])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()?;
    // Kept in the file's header. Last, and closed at once: nothing is left in a log that would not be renamed with it.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)
}

/// The path of the journal in `dir`.
pub(crate) fn path(dir: &PrivateDir) -> std::path::PathBuf {
    dir.path().join(FILE)
}

/// Opens the journal for the writer thread, after checking that it is one and of a known format.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let sqlite = StoreError::sqlite(path);
    let connection = Connection::open_with_flags(path, flags()).map_err(&sqlite)?;
    configure(&connection).map_err(&sqlite)?;
    inspect(&connection, path)?;
    Ok(connection)
}

/// Opens the journal for reading. The connection could write, as one that cannot is unable to recover the log of a
/// killed process; SQLite is told to refuse.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = open(path)?;
    connection.pragma_update(None, "query_only", true).map_err(StoreError::sqlite(path))?;
    Ok(connection)
}

fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    // The file may have been edited by an enemy: its schema gets no say, and a bad page is an error rather than SIGBUS.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update_and_check(None, "mmap_size", 0, |_| Ok(())).optional()?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update_and_check(None, "journal_size_limit", MAX_LOG, |_| Ok(()))
}

fn inspect(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let sqlite = StoreError::sqlite(path);
    let foreign = |why| StoreError::NotAJournal { path: path.to_owned(), why };
    let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(&sqlite)?;
    if id != APPLICATION_ID {
        return Err(foreign("it is empty or belongs to another program"));
    }
    let has_meta: bool = connection
        .query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'meta')", (), |row| row.get(0))
        .map_err(&sqlite)?;
    if !has_meta {
        return Err(foreign("it names no format"));
    }
    let format: i64 = connection
        .query_row("SELECT value FROM meta WHERE name = 'format'", (), |row| row.get(0))
        .optional()
        .map_err(&sqlite)?
        .ok_or_else(|| foreign("it names no format"))?;
    if format > FORMAT {
        return Err(StoreError::Newer { path: path.to_owned(), found: format, known: FORMAT });
    }
    let mut statement = connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").map_err(&sqlite)?;
    let mut found = statement
        .query_map((), |row| row.get::<_, String>(0))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
        .map_err(&sqlite)?;
    let mut expected = SCHEMA.map(str::to_owned).to_vec();
    found.sort();
    expected.sort();
    if format != FORMAT || found != expected {
        return Err(foreign("its tables were changed"));
    }
    // Already so, unless a backup tool wrote the file anew.
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(&sqlite)?;
    if mode == "wal" { Ok(()) } else { Err(foreign("its file system cannot hold a write-ahead log")) }
}
