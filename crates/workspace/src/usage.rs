//! What a workspace holds, counted now and then, and the check before a write.

use std::ops::ControlFlow;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::Stat;

use crate::beneath::{Follow, open_directory};
use crate::limits::MAX_LEVELS;
use crate::walk::{Order, Walk};
use crate::{Workspace, WorkspaceError};

/// What a workspace holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes allocated on disk.
    pub bytes: u64,
    /// Files, directories and links.
    pub files: u64,
}

/// A count, and until when it is believed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    usage: Usage,
    until: Instant,
}

/// What a write would add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Growth {
    pub(crate) bytes_before: u64,
    pub(crate) bytes_after: u64,
    pub(crate) files: u64,
}

/// A block of the file system, as far as an estimate before writing goes.
const BLOCK: u64 = 4096;

/// Bytes that a file of `len` bytes takes on disk.
pub(crate) const fn allocated(len: u64) -> u64 {
    len.div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// Bytes that a file takes on disk (`st_blocks` counts 512 bytes each, stat(3type)).
pub(crate) fn on_disk(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512)
}

impl Workspace {
    /// What it holds, from a count that is at most a second old, or twenty times as old as counting takes. The count
    /// stops just above the quota: a workspace that is full is full.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn usage(&self) -> Result<Usage, WorkspaceError> {
        let mut counted = self.counted();
        if let Some(known) = *counted
            && Instant::now() < known.until
        {
            return Ok(known.usage);
        }
        let begun = Instant::now();
        let start = open_directory(&self.dir, b".", Follow::Nothing)?;
        let mut usage = Usage::default();
        let walk =
            Walk { order: Order::AsFound, levels: MAX_LEVELS, entries: self.quota.files.saturating_add(1), kept: true };
        walk.run(&start, |met| {
            usage.files += 1;
            usage.bytes = usage.bytes.saturating_add(on_disk(met.stat));
            ControlFlow::Continue(())
        })?;
        let believed = begun.elapsed().saturating_mul(20).max(Duration::from_secs(1));
        *counted = Some(Counted { usage, until: Instant::now() + believed });
        Ok(usage)
    }

    /// Whether a write fits the quota. What does not grow always does, so that a full workspace can be tidied.
    pub(crate) fn check_fits(&self, growth: Growth) -> Result<(), WorkspaceError> {
        let usage = self.usage()?;
        let bytes = usage.bytes.saturating_sub(growth.bytes_before).saturating_add(growth.bytes_after);
        if growth.bytes_after > growth.bytes_before && bytes > self.quota.bytes {
            return Err(WorkspaceError::TooManyBytes { would: bytes, max: self.quota.bytes });
        }
        let files = usage.files.saturating_add(growth.files);
        if growth.files > 0 && files > self.quota.files {
            return Err(WorkspaceError::TooManyFiles { would: files, max: self.quota.files });
        }
        Ok(())
    }

    /// Adds what was written to the count.
    pub(crate) fn grew(&self, growth: Growth) {
        if let Some(known) = self.counted().as_mut() {
            let bytes = known.usage.bytes.saturating_sub(growth.bytes_before);
            known.usage.bytes = bytes.saturating_add(growth.bytes_after);
            known.usage.files = known.usage.files.saturating_add(growth.files);
        }
    }

    pub(crate) fn counted(&self) -> MutexGuard<'_, Option<Counted>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
