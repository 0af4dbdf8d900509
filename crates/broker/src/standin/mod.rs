//! Stand-ins: two things that answer like a model and are none.
//!
//! [`gullible`] works through a simple goal over files and obeys every instruction it reads, wherever it stands: the
//! hijacked model that AutoSHARE assumes, made into a tool. [`replay`] plays a recorded conversation and refuses to
//! guess when the conversation leaves its record. `docs/stand-in-models.md` is their reference.
//!
//! **Invariant:** a reply is a function of the request (and, for a replay, of its record): no I/O, no clock, no
//! randomness, no state between calls. No message list makes them panic.
//!
//! They do not know the host, the gate, or how results are framed beyond what a model would see of it.

pub mod gullible;
pub mod replay;

/// Why a stand-in has no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StandInError {
    /// The conversation holds no user message.
    #[error("the conversation has no goal: the gullible stand-in needs a user message to begin with")]
    NoGoal,
    /// A recording that is no JSON of the expected form.
    #[error("this is not a recorded conversation: {why}; make one with the recorder, see docs/stand-in-models.md")]
    NotARecording {
        /// What the parser said.
        why: String,
    },
    /// A recording of a version that this program does not know.
    #[error("the recording has format version {found}; this program plays version {known}: record it again")]
    Version {
        /// The version that was found.
        found: u64,
        /// The version that is known.
        known: u64,
    },
    /// The conversation is not the recorded one any more.
    #[error(
        "the conversation left its record at turn {turn}: recorded was {expected}, but here it is {found}; record it \
         again, or make the run the same"
    )]
    LeftTheRecord {
        /// The turn, counted from 1.
        turn: usize,
        /// What the record expects, in words.
        expected: String,
        /// What was there, in words.
        found: String,
    },
    /// More turns are asked for than were recorded.
    #[error("the record ends after {turns} turns, and the conversation goes on: record it again")]
    RecordEnded {
        /// The turns that it has.
        turns: usize,
    },
}

/// Tokens of a text by the rule of thumb of four bytes each: stand-ins have no tokenizer, and cost nothing.
fn rough_tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4)
}
