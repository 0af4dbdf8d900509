//! Every number that bounds an operation, with its default.

use autoshare_core::wire::MAX_FILE;

/// Bytes of one file that are read, or digested before it is replaced, at most: 16 MiB.
pub const MAX_READ: u64 = 16 * 1024 * 1024;
/// Bytes of all files that one search reads at most: 128 MiB.
pub const MAX_SCAN: u64 = 128 * 1024 * 1024;
/// Entries that one listing, find or search visits at most.
pub const MAX_VISITED: u64 = 200_000;
/// Paths or lines that one find or search returns at most; the rest is counted.
pub const MAX_RESULTS: usize = 1_000;
/// Bytes of a glob or regular expression at most.
pub(crate) const MAX_PATTERN: usize = 1_000;
/// Bytes of a found line that are returned at most.
pub(crate) const MAX_LINE: usize = 400;
/// Bytes of a compiled regular expression at most: 1 MiB.
pub(crate) const MAX_REGEX: usize = 1024 * 1024;
/// How often an open is tried anew while somebody keeps changing the path under it.
pub(crate) const MAX_TRIES: u32 = 128;
/// Links on one path at most, as in path_resolution(7).
pub(crate) const MAX_LINKS: u32 = 40;
/// Directory levels that are counted for the quota.
pub(crate) const MAX_LEVELS: usize = 2_048;

/// What a workspace may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes allocated on disk by all files together. Default 10 GiB.
    pub bytes: u64,
    /// Files, directories and links. Default 1,000,000.
    pub files: u64,
    /// Bytes of one file that is written. Default [`MAX_FILE`].
    pub file: u64,
    /// Components of a path that is written. Default 64.
    pub depth: usize,
}

impl Default for Quota {
    fn default() -> Self {
        Self { bytes: 10 * 1024 * 1024 * 1024, files: 1_000_000, file: MAX_FILE, depth: 64 }
    }
}
