//! What host and cell say to each other, and how it is framed.
//!
//! A frame is a length (4 bytes, big-endian) and as many bytes of JSON. Identity is the socket: no frame carries any.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::document::{Document, Hint, ReadRefusal};
use crate::outcome::{Happened, Outcome, Plan};
use crate::tool::Action;

/// Bytes of one frame at most. The largest legal frame carries a file of [`MAX_FILE`] bytes, escaped.
pub const MAX_FRAME: usize = 16 * 1024 * 1024;
/// Bytes of one file that a tool reads into or writes from a message at most.
pub const MAX_FILE: u64 = 2 * 1024 * 1024;
/// JSON nesting in a frame at most.
pub const MAX_DEPTH: usize = 32;
/// JSON values in a frame at most. A parser holds each in some dozens of bytes, of which two bytes of a frame would
/// otherwise suffice to take as many.
pub const MAX_VALUES: usize = 16 * 1024;

/// The host to a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum ToCell {
    /// Find out what an action would do, changing nothing.
    Plan {
        /// The job's number; the reply bears it.
        job: u64,
        /// The action.
        action: Action,
    },
    /// Do it, provided that the world is as `plan` says.
    Perform {
        /// The job's number.
        job: u64,
        /// The action.
        action: Action,
        /// The plan that was journaled.
        plan: Plan,
        /// Bytes of result text at most; more goes to the file `spill_to`, and head and tail stay.
        max_text: u64,
        /// The workspace file for a result that is larger.
        spill_to: String,
    },
    /// Hand over the bytes of the file that an action names, as they are, for another cell to read. What keeps it from
    /// being opened is answered as to [`ToCell::Perform`].
    Hand {
        /// The job's number.
        job: u64,
        /// The action.
        action: Action,
    },
    /// Say whether an action that was started has happened, and clear away what it left half-done.
    Query {
        /// The job's number.
        job: u64,
        /// The action.
        action: Action,
        /// The plan that was journaled.
        plan: Plan,
    },
}

/// A cell to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "say")]
pub enum FromCell {
    /// First frame: the cell tried these from the inside.
    Ready {
        /// What it tried.
        probes: Vec<Probe>,
    },
    /// To [`ToCell::Plan`].
    Planned {
        /// The job's number.
        job: u64,
        /// What the action would do.
        plan: Plan,
    },
    /// To [`ToCell::Perform`].
    Performed {
        /// The job's number.
        job: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// To [`ToCell::Hand`]: a file's bytes. As many as it says follow the frame, [`Quota::MAX_FILE`](crate::usage::Quota::MAX_FILE)
    /// at most.
    Handed {
        /// The job's number.
        job: u64,
        /// Bytes.
        bytes: u64,
    },
    /// To [`ToCell::Query`].
    Answered {
        /// The job's number.
        job: u64,
        /// Whether it happened.
        happened: Happened,
        /// What came of it, as far as can be told.
        outcome: Outcome,
    },
}

/// The host to a reader cell: the one document that it is for. As many bytes as it says follow the frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToReader {
    /// What it was said to be.
    pub hint: Hint,
    /// Its bytes, [`MAX_INPUT`](crate::document::MAX_INPUT) at most.
    pub bytes: u64,
}

/// A reader cell to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "say")]
pub enum FromReader {
    /// First frame: the cell tried these from the inside.
    Ready {
        /// What it tried.
        probes: Vec<Probe>,
    },
    /// The document, without its text, which follows the frame.
    Read {
        /// All but the text.
        document: Box<Document>,
        /// Bytes of the text, [`MAX_TEXT`](crate::document::MAX_TEXT) at most.
        text: u64,
    },
    /// It was not read.
    Refused {
        /// Why.
        refusal: ReadRefusal,
    },
}

/// A program as it is to be started in a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its name, looked up in the `PATH` of `env` unless it holds a `/`, and its arguments.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// The directory it starts in; absolute.
    pub dir: String,
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum Exit {
    /// By itself, with this status.
    Code {
        /// 0 to 255.
        code: i32,
    },
    /// By a signal.
    Signal {
        /// Its number.
        signal: i32,
    },
}

impl Exit {
    /// The status that a shell would report: 128 and the number of a signal.
    #[must_use]
    pub const fn status(self) -> i32 {
        match self {
            Self::Code { code } => code,
            Self::Signal { signal } => 128 + signal,
        }
    }
}

/// What is to be sent to a program and whatever it started in its process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stroke {
    /// `SIGINT`: what Ctrl-C does.
    Interrupt,
    /// `SIGTERM`: an invitation to end.
    End,
    /// `SIGKILL`.
    Kill,
}

/// The host to the first process of a cell for programs. One packet each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum ToInit {
    /// Start a program. The packet brings its standard descriptors: those of `given`, in this order.
    Start {
        /// The job's number, which is new.
        job: u64,
        /// The program.
        program: Program,
        /// Which of its three streams come with the packet; the others lead to a terminal of the cell's own.
        given: [bool; 3],
        /// The terminal's size.
        window: Window,
    },
    /// Send a signal to a job.
    Signal {
        /// The job's number.
        job: u64,
        /// What.
        stroke: Stroke,
    },
    /// Kill everything but the first process itself, whoever started it, and say so when it is gone.
    Sweep {},
}

/// The first process of a cell for programs to the host. One packet each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "say")]
pub enum FromInit {
    /// A program runs. Where it has a terminal, the packet brings the terminal's other side.
    Started {
        /// The job's number.
        job: u64,
    },
    /// A program could not be started.
    NotStarted {
        /// The job's number.
        job: u64,
        /// The error's number (errno(3)).
        errno: i32,
    },
    /// A program ended.
    Ended {
        /// The job's number.
        job: u64,
        /// How.
        exit: Exit,
    },
    /// To [`ToInit::Sweep`]: nothing runs any more but the first process.
    Swept {},
}

/// One attempt of a cell against its own confinement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Its stable name, such as `inet-socket`.
    pub name: String,
    /// Whether the boundary held.
    pub held: bool,
    /// What the kernel answered, such as `EPERM`.
    pub answer: String,
}

/// Why bytes are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than allowed.
    #[error("a frame of {0} bytes; {MAX_FRAME} are allowed")]
    TooLong(usize),
    /// Nested too deeply.
    #[error("a frame nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// More values than allowed.
    #[error("a frame of more than {MAX_VALUES} values")]
    TooMany,
    /// Not a message.
    #[error("not a message: {0}")]
    Malformed(String),
}

/// A frame, length included.
///
/// # Errors
/// [`FrameError::TooLong`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let body = serde_json::to_vec(message).map_err(|e| FrameError::Malformed(e.to_string()))?;
    check_length(body.len())?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&u32::try_from(body.len()).map_err(|_| FrameError::TooLong(body.len()))?.to_be_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// Checks a frame's length before anything is allocated for it.
///
/// # Errors
/// [`FrameError::TooLong`].
pub const fn check_length(length: usize) -> Result<(), FrameError> {
    if length > MAX_FRAME { Err(FrameError::TooLong(length)) } else { Ok(()) }
}

/// The message of a frame's body.
///
/// # Errors
/// Any [`FrameError`]; length, depth and number of values are checked before the parser runs.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    check_length(body.len())?;
    check_shape(body)?;
    serde_json::from_slice(body).map_err(|e| FrameError::Malformed(e.to_string()))
}

fn check_shape(body: &[u8]) -> Result<(), FrameError> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    let mut values = 1usize;
    for byte in body {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_string = false,
            (true, _) => {}
            (false, b'"') => in_string = true,
            (false, b',' | b':') => {
                values += 1;
                if values > MAX_VALUES {
                    return Err(FrameError::TooMany);
                }
            }
            (false, b'{' | b'[') => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(FrameError::TooDeep);
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (false, _) => {}
        }
    }
    Ok(())
}
