//! What is said to a model and what it replies: the internal form that every provider dialect is translated to.

use serde::{Deserialize, Serialize};

use crate::tool::ToolSpec;
use crate::usage::Usage;

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "role")]
pub enum Message {
    /// The host's instructions.
    System {
        /// The words.
        text: String,
    },
    /// The user's words, or a note of the host.
    User {
        /// The words.
        text: String,
    },
    /// What the model said.
    Assistant {
        /// Its words.
        text: String,
        /// The calls it made.
        #[serde(default)]
        calls: Vec<RawCall>,
    },
    /// What came of a call.
    Tool {
        /// The call's id.
        call_id: String,
        /// The result, framed as data by the guard.
        text: String,
    },
}

/// A tool call as a model made it, unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCall {
    /// The model's id for the call.
    pub id: String,
    /// The tool it names.
    pub name: String,
    /// The arguments as JSON text.
    pub arguments: String,
}

/// One call to a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// The tools it may call.
    pub tools: Vec<ToolSpec>,
    /// Tokens of the reply at most.
    pub max_output: u64,
}

/// A model's reply, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Its words.
    pub text: String,
    /// The calls it made.
    pub calls: Vec<RawCall>,
    /// What it took.
    pub usage: Usage,
    /// Whether it was cut at `max_output`.
    pub truncated: bool,
}
