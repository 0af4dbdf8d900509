//! A tenant's files of SQLite, the journal and the ledger: how they are made, checked and opened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use autoshare_core::TenantName;
use autoshare_vault::VaultError;
use autoshare_vault::private::{Others, PrivateDir};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use crate::StoreError;

/// The format of the journal that this version writes. A file of a later one is refused.
pub const FORMAT: i64 = 1;
/// How long a write waits for other processes.
pub(crate) const BUSY: Duration = Duration::from_secs(10);
/// The log is cut back to this many bytes after a checkpoint.
const MAX_LOG: i64 = 16 * 1024 * 1024;

/// What a file is and holds.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Its name.
    pub(crate) file: &'static str,
    /// The format that this version writes.
    pub(crate) format: i64,
    /// In the file's header, for file(1) and the like.
    pub(crate) application_id: i64,
    /// The tables. SQLite keeps these texts as they are, and opening compares them: a trigger that somebody dropped or
    /// added is found.
    pub(crate) schema: &'static [&'static str],
}

/// The journal.
pub(crate) const JOURNAL: Layout = Layout {
    file: "journal.db",
    format: FORMAT,
    // "ashr"
    application_id: 0x6173_6872,
    schema: &[
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        "CREATE TABLE brain (id TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, \
         epoch INTEGER NOT NULL, records INTEGER NOT NULL, head BLOB NOT NULL, seal BLOB NOT NULL) STRICT, WITHOUT ROWID",
        "CREATE TABLE record (brain TEXT NOT NULL REFERENCES brain(id), seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, \
         kind INTEGER NOT NULL, epoch INTEGER NOT NULL, hash BLOB NOT NULL, sealed BLOB NOT NULL, \
         PRIMARY KEY (brain, seq)) STRICT",
        "CREATE TRIGGER record_stays BEFORE UPDATE ON record BEGIN SELECT RAISE(ABORT, 'records are never changed'); END",
        "CREATE TRIGGER record_kept BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'records are never removed'); END",
        "CREATE TRIGGER brain_kept BEFORE DELETE ON brain BEGIN SELECT RAISE(ABORT, 'brains are never removed'); END",
    ],
};

/// The directory of `tenant` below `data_dir`, made at first use, by a path without links.
pub(crate) fn tenant_dir(data_dir: &Path, tenant: &TenantName) -> Result<PrivateDir, StoreError> {
    // SQLite refuses links anywhere in the path; those that lead to the data directory are the operator's own.
    PrivateDir::open(data_dir, Others::MayRead)?;
    let data_dir = std::fs::canonicalize(data_dir).map_err(|source| VaultError::Io {
        what: "resolve",
        path: data_dir.to_owned(),
        source,
    })?;
    Ok(PrivateDir::open(&data_dir, Others::MayRead)?
        .sub("tenants", Others::MayRead)?
        .sub(tenant.as_str(), Others::MayRead)?)
}

impl Layout {
    /// Whether the file stands in `dir`, after checking that others cannot write to it.
    pub(crate) fn exists(&self, dir: &PrivateDir) -> Result<bool, StoreError> {
        // SQLite gives the log and its index the mode of the file; these are checked for what others may have put there.
        for companion in ["-wal", "-shm"] {
            dir.check(&format!("{}{companion}", self.file), Others::MayRead)?;
        }
        Ok(dir.check(self.file, Others::MayRead)?)
    }

    /// Makes an empty one in `dir`, complete under its name or not at all, unless there is one by now.
    pub(crate) fn make(&self, dir: &PrivateDir) -> Result<(), StoreError> {
        let temporary = dir.temporary(self.file)?;
        dir.create(&temporary, b"")?;
        if let Err(error) = self.fill(&dir.path().join(&temporary)) {
            dir.discard(&temporary);
            return Err(StoreError::sqlite(&self.path(dir))(error));
        }
        dir.publish(&temporary, self.file)?;
        Ok(())
    }

    fn fill(&self, path: &Path) -> rusqlite::Result<()> {
        let mut connection = Connection::open_with_flags(path, flags())?;
        let transaction = connection.transaction()?;
        for statement in self.schema {
            transaction.execute(statement, ())?;
        }
        transaction.execute("INSERT INTO meta (name, value) VALUES ('format', ?1)", [self.format])?;
        transaction.pragma_update(None, "application_id", self.application_id)?;
        transaction.commit()?;
        // Kept in the file's header. Last, and closed at once: nothing is left in a log that would not be renamed with it.
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.close().map_err(|(_, error)| error)
    }

    /// The path of the file in `dir`.
    pub(crate) fn path(&self, dir: &PrivateDir) -> PathBuf {
        dir.path().join(self.file)
    }

    /// Opens the file for writing, after checking that it is one and of a known format.
    pub(crate) fn open(&self, path: &Path) -> Result<Connection, StoreError> {
        let sqlite = StoreError::sqlite(path);
        let connection = Connection::open_with_flags(path, flags()).map_err(&sqlite)?;
        configure(&connection).map_err(&sqlite)?;
        self.inspect(&connection, path)?;
        Ok(connection)
    }

    /// Opens the file for reading. The connection could write, as one that cannot is unable to recover the log of a
    /// killed process; SQLite is told to refuse.
    pub(crate) fn open_reader(&self, path: &Path) -> Result<Connection, StoreError> {
        let connection = self.open(path)?;
        connection.pragma_update(None, "query_only", true).map_err(StoreError::sqlite(path))?;
        Ok(connection)
    }

    fn inspect(&self, connection: &Connection, path: &Path) -> Result<(), StoreError> {
        let sqlite = StoreError::sqlite(path);
        let foreign = |why| StoreError::NotAJournal { path: path.to_owned(), why };
        let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(&sqlite)?;
        if id != self.application_id {
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
        if format > self.format {
            return Err(StoreError::Newer { path: path.to_owned(), found: format, known: self.format });
        }
        let mut statement =
            connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").map_err(&sqlite)?;
        let mut found = statement
            .query_map((), |row| row.get::<_, String>(0))
            .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
            .map_err(&sqlite)?;
        let mut expected = self.schema.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        found.sort();
        expected.sort();
        if format != self.format || found != expected {
            return Err(foreign("its tables were changed"));
        }
        // Already so, unless a backup tool wrote the file anew.
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(&sqlite)?;
        if mode == "wal" { Ok(()) } else { Err(foreign("its file system cannot hold a write-ahead log")) }
    }
}

/// Copies a file of SQLite, as it is at this moment, while others write to it. The log that stands beside it is in the copy.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let source = Connection::open_with_flags(from, flags()).map_err(StoreError::sqlite(from))?;
    configure(&source).map_err(StoreError::sqlite(from))?;
    let mut target =
        Connection::open_with_flags(to, flags() | OpenFlags::SQLITE_OPEN_CREATE).map_err(StoreError::sqlite(to))?;
    let copied =
        Backup::new(&source, &mut target).and_then(|backup| backup.step(-1)).map_err(StoreError::sqlite(from))?;
    if copied != StepResult::Done {
        return Err(StoreError::Busy { path: from.to_owned(), seconds: BUSY.as_secs() });
    }
    target.close().map_err(|(_, error)| StoreError::sqlite(to)(error))
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
