#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

mod audit;
mod backup;
mod child;
mod disk;
mod journal;
mod keys;
mod kill;
mod lease;
mod ledger;
mod power;
mod privacy;
mod tamper;

use std::path::Path;

use autoshare_access::Access;
use autoshare_core::event::{Event, NoteKind};
use autoshare_core::{BrainId, Seq};
use autoshare_store::{Durability, Lease, Store, StoreError};
use autoshare_vault::Vault;

/// A store, and the access it is used with.
pub(crate) struct House {
    pub(crate) access: Access,
    pub(crate) store: Store,
}

impl House {
    pub(crate) fn try_open(dir: &Path) -> Result<Self, StoreError> {
        let access = Access::local(dir).unwrap();
        let store = Store::open(dir, &access, &Vault::open(dir)?)?;
        Ok(Self { access, store })
    }

    pub(crate) fn open(dir: &Path) -> Self {
        Self::try_open(dir).unwrap()
    }

    pub(crate) fn create(&self, brain: &BrainId) -> Lease {
        self.store.create(&self.access, brain).unwrap();
        self.lease(brain)
    }

    pub(crate) fn lease(&self, brain: &BrainId) -> Lease {
        self.store.lease(&self.access, brain).unwrap()
    }

    pub(crate) fn append(&self, lease: &Lease, text: &str) -> Result<Vec<Seq>, StoreError> {
        self.store.append(&self.access, lease, &[note(text)], Durability::Synced)
    }

    /// The texts of the notes in a journal.
    pub(crate) fn texts(&self, brain: &BrainId) -> Result<Vec<String>, StoreError> {
        Ok(self
            .store
            .read(&self.access, brain, Seq(1))?
            .into_iter()
            .map(|record| match record.event {
                Event::Note { text, .. } => text,
                other => panic!("{other:?}"),
            })
            .collect())
    }
}

/// A directory of this user's alone, whatever the umask.
pub(crate) fn tempdir() -> tempfile::TempDir {
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    tempfile::Builder::new().permissions(private).tempdir().unwrap()
}

pub(crate) fn note(text: &str) -> Event {
    Event::Note { kind: NoteKind::Feedback, text: text.to_owned() }
}

pub(crate) fn brain(n: u8) -> BrainId {
    BrainId::from_random([0, 0, 0, 0, n])
}

/// A plain connection to the journal, as an enemy with the file has it.
pub(crate) fn raw(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(journal_file(dir)).unwrap()
}

pub(crate) fn journal_file(dir: &Path) -> std::path::PathBuf {
    dir.join("tenants/local/journal.db")
}
