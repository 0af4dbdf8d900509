//! File operations beneath a directory handle.
//!
//! A workspace is a directory *handle*, and the handle is the authority: whoever holds a [`Workspace`] may touch what
//! lies beneath it, in its [mode](autoshare_core::event::RootMode) and within its [`Quota`], and nothing else. Paths are
//! given by a model and mean nothing until the kernel has resolved them beneath the handle (`openat2(2)` with
//! `RESOLVE_BENEATH`).
//!
//! Entry points: [`Workspace::open`] makes one from an open directory; [`Workspace::read`], [`Workspace::list`],
//! [`Workspace::find`] and [`Workspace::search`] look; [`Workspace::target`] says what a write would meet, changing
//! nothing, and [`Workspace::write`] does it. What [`protected`] says the machine trusts is never written, and
//! [`ask_kernel`] knocks at a path outside, so that a refusal reports what the kernel said and not what we believe.
//!
//! **Invariants**
//! - Every open ([`ask_kernel`] apart, which reads nothing) is resolved by the kernel beneath the handle and without magic links. Reading follows links that stay
//!   beneath; writing follows none, so the path that was checked is the path that is written.
//! - Only regular files and directories are opened. What a name holds is looked at with `O_PATH` first, so no FIFO
//!   blocks and no device is woken, and what was opened is compared with what was looked at.
//! - A file that has more names than are found inside is not opened: one of them is outside.
//! - A write replaces: a new file is written beside, synced, renamed over, and the directory is synced. At every
//!   instant the name holds the old bytes or the new, and a failure leaves the old and no temporary file. After a
//!   crash, [`Workspace::clear`] with the same tag removes what was left.
//! - Quota is checked before the first byte is written. Bytes are those allocated on disk, so a sparse file counts what
//!   it holds. What processes beside this one write is seen by recounting now and then: the overshoot is what they
//!   write in between (a second, or twenty times as long as counting takes).
//! - Everything is bounded: bytes read, entries visited, lines found, depth. What was left out is said.
//!
//! [`Workspace::copy_to`] takes a file or a folder out, whole or not at all, for somebody else to read.
//!
//! [`snapshot`] keeps what a step is about to change and takes it back.
//!
//! It does not know what a tool, a brain or a tenant is, asks nobody, and reads no environment and no configuration.

mod beneath;
mod copy_to;
mod error;
mod files;
mod find;
mod limits;
mod read;
mod search;
pub mod snapshot;
mod usage;
mod walk;
mod write;

use std::os::fd::OwnedFd;
use std::sync::Mutex;

use autoshare_core::event::RootMode;

pub use autoshare_core::special::{Protected, protected};
pub use autoshare_core::usage::Quota;
pub use beneath::ask_kernel;
pub use copy_to::{Copied, CopyBounds, CopyError};
pub use error::WorkspaceError;
pub use files::FileEntry;
pub use find::Found;
pub use limits::{MAX_LISTED, MAX_READ, MAX_RESULTS, MAX_SCAN, MAX_VISITED};
pub use read::Reader;
pub use search::{Hit, Matches};
pub use usage::Usage;
pub use walk::{Entry, Kind};
pub use write::{Tag, Target};

/// A directory that may be touched: handle, mode and quota.
#[derive(Debug)]
pub struct Workspace {
    dir: OwnedFd,
    mode: RootMode,
    quota: Quota,
    counted: Mutex<Option<usage::Counted>>,
}

impl Workspace {
    /// A workspace beneath `dir`, an open directory. Reading needs a descriptor that may look things up (`O_PATH` is
    /// enough).
    #[must_use]
    pub const fn open(dir: OwnedFd, mode: RootMode, quota: Quota) -> Self {
        Self { dir, mode, quota, counted: Mutex::new(None) }
    }

    /// What may be done here.
    #[must_use]
    pub const fn mode(&self) -> RootMode {
        self.mode
    }

    /// Its quota.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.quota
    }
}
