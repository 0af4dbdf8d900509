//! The journal: what every brain did, sealed, append-only, one file a tenant. Beside it the [`ledger`]: what was used, and
//! what is left; and the trail of the [`audit`]: who did what. [`backup`] copies all of it while it is in use.
//!
//! The entry point is [`Store::open`]. A brain is made with [`Store::create`], driven under a [`Lease`], written with
//! [`Store::append`] and read back with [`Store::read`]; its state is a function of what is read.
//!
//! **Invariant:** every call takes an [`Access`] first, and a store serves the one tenant it was opened for.
//! **Invariant:** nothing is written unsealed but ids, kinds, times, sizes and hashes.
//! **Invariant:** an append is all or nothing. Once it returned, a kill of any process loses nothing of it; once it
//! returned with [`Durability::Synced`], a power cut does neither. An append that is still there implies that all
//! before it are. An append that failed may be tried again.
//! **Invariant:** only the holder of a brain's newest lease writes to it. The lease is a lock that the kernel releases
//! with the process; each has a number (the *fencing epoch*), and the database refuses a number that is not the newest.
//!
//! # What a record is bound to
//!
//! A record is sealed (`autoshare_vault`) with the tenant's key for its brain, with tenant, brain, sequence number,
//! kind and the hash of the record before as associated data. Its own hash covers that hash, all of this, its time, its
//! epoch and the sealed bytes. The hash of the first record's predecessor names tenant and brain. The last hash and the
//! number of records are sealed too, as the journal's *head*, which is checked before every append and read.
//! So a record that was edited, moved to another place, brain or tenant, put back, cut out, or cut off at the end
//! does not open ([`StoreError::Broken`]); nothing is appended behind a changed end, which would make it valid. Not told
//! from here: a journal, with its head, set back to an earlier state of itself, or a brain removed whole. That takes a
//! witness outside the file (as the audit trail has with its signed heads).
//!
//! # How it is written
//!
//! SQLite in WAL mode, at `tenants/<name>/journal.db` in the data directory. One writer thread takes all appends that
//! wait and commits them together: one fsync for many. A batch in which anything is [`Durability::Synced`] is committed
//! with `synchronous=FULL` (the log is fsynced, and with it all that was lazy before), any other with `NORMAL` (no
//! fsync; see sqlite.org/pragma.html#pragma_synchronous). Several processes may have the same file open; SQLite's locks
//! keep their writes apart. A process must not fork and go on in both halves while a store is open.
//!
//! This crate does not know what an event means, nor who drives a brain.

pub mod audit;
pub mod backup;
mod error;
#[cfg(feature = "fault")]
mod fault;
mod file;
mod lease;
pub mod ledger;
mod record;
mod store;
mod writer;

pub use error::StoreError;
#[cfg(feature = "fault")]
pub use fault::{KillPoint, When};
pub use file::FORMAT;
pub use lease::Lease;
pub use record::{MAX_EVENTS, MAX_RECORD, Record};
pub use store::{BrainRow, Store};

#[cfg(doc)]
use autoshare_access::Access;

/// What an append outlives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// A kill of any process, not a power cut: for what can be redone.
    Lazy,
    /// A power cut too: for an intent before its effect, and for the effect's result.
    Synced,
}
