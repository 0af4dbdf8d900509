//! Every number that bounds an operation; what a workspace may hold is a [`Quota`](autoshare_core::usage::Quota).

/// Bytes of one file that are read, or digested before it is replaced, at most: 16 MiB.
pub const MAX_READ: u64 = autoshare_core::usage::Quota::MAX_FILE;
/// Bytes of all files that one search reads at most: 128 MiB.
pub const MAX_SCAN: u64 = 128 * 1024 * 1024;
/// Entries that one listing, find or search visits at most.
pub const MAX_VISITED: u64 = 200_000;
/// Paths or lines that one find or search returns at most; the rest is counted.
pub const MAX_RESULTS: usize = 1_000;
/// Files that are listed to people at most.
pub const MAX_LISTED: usize = 10_000;
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
