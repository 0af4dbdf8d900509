//! What a face shows while a brain is driven.

use autoshare_core::event::Event;
use autoshare_core::usage::Usage;
use autoshare_core::{BrainId, Seq};

use crate::switchboard::Question;

/// One thing worth showing. Texts are as they came: a face encodes them for where it shows them.
#[derive(Debug, Clone)]
pub enum Progress {
    /// It is driven from here on.
    Began {
        /// The model that it asks, as its goal names it.
        model: String,
        /// Who is asked for it; nobody where it only stands in for a model.
        provider: Option<String>,
    },
    /// The model is being asked.
    Thinking {
        /// What was used so far.
        used: Usage,
    },
    /// The model is replying. Its words come when they are whole, and have passed the guard.
    Speaking {
        /// Bytes of them so far.
        bytes: u64,
    },
    /// The model has replied.
    Replied {
        /// The model that replied: the one that was asked for, or one that is called instead when it fails.
        model: String,
    },
    /// A cell is working on an action.
    Working {
        /// The tool's name.
        tool: String,
    },
    /// A piece of what a program writes.
    Output(String),
    /// An event is in the journal.
    Recorded {
        /// Whose.
        brain: BrainId,
        /// Its place.
        seq: Seq,
        /// The event.
        event: Box<Event>,
    },
    /// A budget, of the tenant or of a token, leaves nothing for the next call.
    Limited,
    /// A person must answer.
    Question(Box<Question>),
}
