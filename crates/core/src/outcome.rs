//! What a cell says it found and did. A cell is presumed hostile: what stands here is its claim.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It did what was asked.
    Done,
    /// It could not (no such file, no match, ...): the text says why.
    Failed,
    /// The cell ran out of memory.
    OutOfMemory,
    /// It took longer than it may.
    TimedOut,
    /// It would have passed a quota.
    OverQuota,
    /// The boundary refused: a path outside, a link, a special file, a protected name.
    Refused,
    /// The cell ended or broke its protocol.
    CellCrashed,
    /// The host was killed between intent and result, and nobody can tell what happened.
    Unknown,
}

/// A file's content at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileState {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// Bytes.
    pub len: u64,
}

/// What an action would do, found out before the gate decides and without changing anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The file it concerns, relative to its root, in normal form.
    pub path: Option<String>,
    /// Its content before; `None` if there is none (or the action only reads).
    pub before: Option<FileState>,
    /// Its content afterwards, if the action writes.
    pub after: Option<FileState>,
    /// Why the boundary or the file system will not have it, if so.
    pub refusal: Option<Refusal>,
}

/// A refusal found while planning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// How the action would end.
    pub ending: Ending,
    /// Which layer answered: `workspace`, `kernel`, `quota`, `tool`.
    pub layer: String,
    /// Why, in words.
    pub words: String,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// What the model is to see: text, unchecked.
    pub text: String,
    /// The workspace file that holds the whole result, if `text` is only its head and tail.
    pub spilled: Option<String>,
    /// The file as it is now, if the action wrote it.
    pub after: Option<FileState>,
    /// Bytes that were read from or written to files.
    pub bytes: u64,
}

/// Whether an effect whose result was lost has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// The file is as the plan says it is afterwards.
    Yes,
    /// The file is as it was before.
    No,
    /// It is neither.
    Unknown,
}
