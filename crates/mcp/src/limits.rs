//! What a server may take, in numbers.

use std::time::Duration;

/// Bytes of a tool's name at most.
pub const MAX_NAME: usize = 128;
/// Bytes of a URI, or of a template of URIs, at most.
pub const MAX_URI: usize = 2 * 1024;
/// Bytes of a title at most; the rest is cut.
pub const MAX_TITLE: usize = 256;
/// Bytes of a description at most; the middle of a longer one is cut.
pub const MAX_DESCRIPTION: usize = 4 * 1024;
/// Bytes of a schema at most.
pub const MAX_SCHEMA: usize = 64 * 1024;
/// Levels of a schema at most.
pub const MAX_SCHEMA_DEPTH: usize = 32;
/// Levels of structured content at most. What is deeper than 128 is no JSON here at all.
pub const MAX_DEPTH: usize = 64;
/// Bytes of the words of an error that are kept.
pub const MAX_WORDS: usize = 2 * 1024;

/// How much of everything a server may send, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message: 8 MiB.
    pub frame: usize,
    /// Tools that it may list, and resources, templates and prompts of it that are taken: 256 of each.
    pub listed: usize,
    /// Bytes of structured content in one result: 1 MiB.
    pub structured: usize,
    /// Messages in ten seconds that nobody asked for (notifications, requests): 1,000.
    pub unasked: usize,
    /// Until it is ready: 20 s.
    pub start: Duration,
    /// One call, or from one sign of progress to the next: 120 s.
    pub call: Duration,
    /// One call, whatever progress it claims: 15 min.
    pub whole_call: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame: 8 * 1024 * 1024,
            listed: 256,
            structured: 1024 * 1024,
            unasked: 1_000,
            start: Duration::from_secs(20),
            call: Duration::from_secs(120),
            whole_call: Duration::from_secs(900),
        }
    }
}
