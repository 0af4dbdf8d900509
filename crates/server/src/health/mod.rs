//! How the server is: whether it is ready to serve, what it counts, and brains of which nothing is heard.
//!
//! **Invariant**: nothing here says what a tenant does. A figure is one of this process, or one of a tenant that goes by an
//! opaque id ([`autoshare_access::Tenants::opaque_id`]); there is no name, goal, file, model or brain in it.

mod exposition;
mod meters;
mod page;
mod process;
mod ready;
mod watchdog;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use autoshare_core::TenantName;
use autoshare_core::fair::Places;
use autoshare_core::histogram::Histogram;
use rustix::fs::{Mode, OFlags};

use crate::noted::Noted;

pub(crate) use self::meters::{Face, Meters, Noting};
pub(crate) use self::page::metrics;
pub use self::ready::Part;
pub(crate) use self::watchdog::watch;

/// Bounds of what is told of a server's health. Every one has a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthSettings {
    /// Bytes that must be free on each disk: 256 MiB. With fewer it is not ready.
    pub least_free: u64,
    /// Tenants that are told of one by one: 50, the busiest. The others are summed up.
    pub tenants: usize,
    /// How long nothing may be heard of a brain that is awake and waits for no person: 1,800 s, twice what a call of a model may
    /// take. Then it is told of.
    pub silent_after: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self { least_free: 256 << 20, tenants: 50, silent_after: Duration::from_secs(1_800) }
    }
}

/// Cells that were made so far, that were asked for and not made, and whether none can be made any more.
pub type Cells = Box<dyn Fn() -> (u64, u64, bool) + Send + Sync>;

/// What is looked at, beside the tenants.
pub struct HealthParts {
    /// Bounds.
    pub settings: HealthSettings,
    /// What all tenants share, by name.
    pub places: Vec<(&'static str, Arc<Places>)>,
    /// The cells.
    pub cells: Cells,
    /// How long appending to journals takes.
    pub appends: Arc<Histogram>,
    /// Entries of audit trails that could not be written.
    pub audit_failures: Arc<AtomicU64>,
    /// The disks that are written to, by name.
    pub disks: Vec<(&'static str, Disk)>,
}

/// A disk, by a folder on it.
pub struct Disk(OwnedFd);

impl Disk {
    /// The disk of a folder.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn of(folder: &Path) -> std::io::Result<Self> {
        Ok(Self(rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
    }

    /// Bytes that are free for this process, and bytes of all; `None` where the kernel does not say.
    fn room(&self) -> Option<(u64, u64)> {
        let told = rustix::fs::fstatvfs(&self.0).ok()?;
        Some((told.f_bavail.saturating_mul(told.f_frsize), told.f_blocks.saturating_mul(told.f_frsize)))
    }
}

/// How the server is.
pub struct Health {
    parts: HealthParts,
    draining: AtomicBool,
    pub(crate) meters: Meters,
    silent: watchdog::Silent,
    /// Tenants whose refusals for asking too often were logged of late.
    refused: Noted<TenantName>,
}

impl Health {
    /// Of these parts.
    #[must_use]
    pub fn new(parts: HealthParts) -> Self {
        Self {
            parts,
            draining: AtomicBool::new(false),
            meters: Meters::default(),
            silent: watchdog::Silent::default(),
            refused: Noted::default(),
        }
    }

    pub(crate) const fn audit_failures(&self) -> &Arc<AtomicU64> {
        &self.parts.audit_failures
    }

    /// Says that it takes nothing more, from now on.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}
