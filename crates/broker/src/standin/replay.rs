//! A recorded conversation, played back. Whatever leaves the record is an error that says what differs.
//!
//! A turn is found by the number of assistant messages so far. What has to be the same is the last message: a result
//! with its tool, or the user's words. The unguessable mark in which the host frames results is new for every request;
//! every run of 16 or more hexadecimal digits that also stands in the system message is therefore read as `MARK`.

use autoshare_core::Digest;
use autoshare_core::chat::{Message, Reply, Request};
use serde::{Deserialize, Serialize};

use super::StandInError;

/// The version of the format that is written and read.
pub const VERSION: u64 = 1;
/// The name of the format.
pub const FORMAT: &str = "autoshare-replay";
/// Characters of a message that are kept for people.
const HEAD: usize = 120;
/// Hexadecimal digits of a mark at least.
const MARK: usize = 16;

/// A recorded conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    format: String,
    version: u64,
    turns: Vec<Turn>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    after: Seen,
    reply: Reply,
}

/// The last message of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    /// `system`, `user`, `assistant`, `tool`, or `nothing`.
    role: String,
    /// The tool that the message is a result of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    /// Of the text, marks settled.
    digest: Digest,
    /// Its beginning; for people.
    head: String,
}

impl Replay {
    /// Reads a recording.
    ///
    /// # Errors
    /// [`StandInError::NotARecording`] or [`StandInError::Version`].
    pub fn load(json: &[u8]) -> Result<Self, StandInError> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u64,
        }
        let wrong = |why: String| StandInError::NotARecording { why };
        let head: Head = serde_json::from_slice(json).map_err(|e| wrong(e.to_string()))?;
        if head.format != FORMAT {
            return Err(wrong(format!("its format is {:?}, not {FORMAT:?}", head.format)));
        }
        if head.version != VERSION {
            return Err(StandInError::Version { found: head.version, known: VERSION });
        }
        serde_json::from_slice(json).map_err(|e| wrong(e.to_string()))
    }

    /// The recorded reply to a request.
    ///
    /// # Errors
    /// [`StandInError::LeftTheRecord`] or [`StandInError::RecordEnded`].
    pub fn reply(&self, request: &Request) -> Result<Reply, StandInError> {
        let at = request.messages.iter().filter(|message| matches!(message, Message::Assistant { .. })).count();
        let turn = self.turns.get(at).ok_or(StandInError::RecordEnded { turns: self.turns.len() })?;
        let seen = Seen::of(request);
        if (&seen.role, &seen.tool, seen.digest) != (&turn.after.role, &turn.after.tool, turn.after.digest) {
            let (expected, found) = (turn.after.words(), seen.words());
            return Err(StandInError::LeftTheRecord { turn: at + 1, expected, found });
        }
        Ok(turn.reply.clone())
    }

    /// Turns that were recorded.
    #[must_use]
    pub fn turns(&self) -> usize {
        self.turns.len()
    }
}

impl Seen {
    fn of(request: &Request) -> Self {
        let (role, tool, text) = match request.messages.last() {
            None => ("nothing", None, ""),
            Some(Message::System { text }) => ("system", None, text.as_str()),
            Some(Message::User { text }) => ("user", None, text.as_str()),
            Some(Message::Assistant { text, .. }) => ("assistant", None, text.as_str()),
            Some(Message::Tool { call_id, text }) => ("tool", Some(tool_of(request, call_id)), text.as_str()),
        };
        let text = settled(request, text);
        let head = text.chars().take(HEAD).collect();
        Self { role: role.to_owned(), tool, digest: Digest::of(text.as_bytes()), head }
    }

    fn words(&self) -> String {
        let what = match &self.tool {
            Some(tool) => format!("a result of {tool}"),
            None => format!("a {} message", self.role),
        };
        format!("{what} with digest {} that begins {:?}", self.digest.short(), self.head)
    }
}

/// The tool whose call has this id: the last one, should ids repeat.
fn tool_of(request: &Request, call_id: &str) -> String {
    let calls = request.messages.iter().filter_map(|message| match message {
        Message::Assistant { calls, .. } => Some(calls),
        _ => None,
    });
    let called = calls.flatten().rfind(|call| call.id == call_id);
    called.map_or_else(|| "no known call".to_owned(), |call| call.name.clone())
}

/// The text with every mark of this request read as `MARK`.
fn settled(request: &Request, text: &str) -> String {
    let systems = request.messages.iter().filter_map(|message| match message {
        Message::System { text } => Some(text.as_str()),
        _ => None,
    });
    let runs = systems.flat_map(|text| text.split(|c: char| !c.is_ascii_hexdigit())).filter(|run| run.len() >= MARK);
    runs.fold(text.to_owned(), |text, mark| text.replace(mark, "MARK"))
}

/// Makes a recording of what is said.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    turns: Vec<Turn>,
}

impl Recorder {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a turn: the pairs have to come in the order of the conversation.
    pub fn record(&mut self, request: &Request, reply: &Reply) {
        self.turns.push(Turn { after: Seen::of(request), reply: reply.clone() });
    }

    /// The recording as [`Replay::load`] takes it: JSON, indented, with a final line feed.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let replay = Replay { format: FORMAT.to_owned(), version: VERSION, turns: self.turns.clone() };
        // Strings, numbers and digests: writing them to memory does not fail.
        let mut json = serde_json::to_vec_pretty(&replay).unwrap_or_default();
        json.push(b'\n');
        json
    }
}
