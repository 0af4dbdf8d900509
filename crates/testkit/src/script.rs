//! What a scripted model says and how it fails.
//!
//! A script is JSON. Every key but `turns` may be left out; unknown keys are errors.
//!
//! ```json
//! {
//!   "version": 1,
//!   "models": ["scripted"],
//!   "choose": "assistant_messages",
//!   "turns": [
//!     {
//!       "text": "I look at the folder.",
//!       "calls": [{"name": "list_folder", "arguments": {"path": "."}, "id": "call_1"}],
//!       "usage": {"input": 120, "output": 14},
//!       "delay_ms": 0, "pause_ms": 0, "chunk": 8,
//!       "whole": false,
//!       "finish": "stop",
//!       "faults": [{"kind": "status", "status": 429, "retry_after": "1", "times": 2}]
//!     },
//!     {"text": "Done."}
//!   ]
//! }
//! ```
//!
//! - `models`: what `/v1/models` lists.
//! - The same script is played on every wire: `/v1/chat/completions`, `/v1/responses`, `/v1/messages`, and Gemini's
//!   `models/NAME:generateContent` and `models/NAME:streamGenerateContent`. Embeddings and images have fixed answers.
//! - `choose`: which turn answers. `assistant_messages` (the default): the first for a conversation without an
//!   assistant message, the second for one with one, and so on. `arrival`: the n-th request gets the n-th turn.
//!   A request beyond the last turn is refused with status 418, so that no test goes on in silence.
//! - `arguments`: an object, or a text for arguments that are no JSON.
//! - `usage`: tokens to report; `null` reports none; left out, bytes divided by four.
//! - `delay_ms` before the answer begins, `pause_ms` between its pieces, `chunk`: characters of a piece (8).
//! - `whole`: answer with plain JSON although a stream was asked for.
//! - `finish`: the finish reason; left out, `tool_calls` or `stop`, or what the wire says for these.
//! - `faults`: each holds for `times` requests of its turn, in order; without `times`, for all. The kinds are those of
//!   [`Fault`], in snake case.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a text is no script.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// Not JSON of the form above.
    #[error("not a script: {0} (the form is described in crates/testkit/src/script.rs)")]
    Form(#[from] serde_json::Error),
    /// Another version.
    #[error("the script's version is {0}; this program knows version 1")]
    Version(u32),
}

/// A whole script.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// 1.
    #[serde(default = "one")]
    pub version: u32,
    /// What `/v1/models` lists.
    #[serde(default = "models")]
    pub models: Vec<String>,
    /// Which turn answers.
    #[serde(default)]
    pub choose: Choose,
    /// The turns.
    pub turns: Vec<Turn>,
}

fn one() -> u32 {
    1
}

fn models() -> Vec<String> {
    vec!["scripted".to_owned()]
}

/// Which turn answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choose {
    /// That after as many as the request has assistant messages.
    #[default]
    AssistantMessages,
    /// The next, whatever the request says.
    Arrival,
}

/// One reply.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    /// The words.
    pub text: String,
    /// The calls.
    pub calls: Vec<Call>,
    /// Tokens to report.
    pub usage: Reported,
    /// Milliseconds before the answer begins.
    pub delay_ms: u64,
    /// Milliseconds between pieces.
    pub pause_ms: u64,
    /// Characters of a piece.
    pub chunk: Option<usize>,
    /// Plain JSON instead of a stream.
    pub whole: bool,
    /// The finish reason.
    pub finish: Option<String>,
    /// What goes wrong.
    pub faults: Vec<Planned>,
}

/// One call of a turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The tool.
    pub name: String,
    /// The arguments: an object, or any text.
    #[serde(default)]
    pub arguments: Value,
    /// The id; left out, it is made from turn and place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// The tokens that a turn reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reported {
    /// These.
    Tokens {
        /// Tokens sent.
        input: u64,
        /// Tokens received.
        output: u64,
    },
    /// None: `null`.
    Nothing,
    /// Bytes divided by four.
    #[default]
    #[serde(skip)]
    Bytes,
}

/// A fault and how often it happens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Planned {
    /// What goes wrong.
    #[serde(flatten)]
    pub fault: Fault,
    /// For how many requests of the turn; `None` is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// By hand, for `flatten` would let unknown keys pass.
impl TryFrom<Value> for Planned {
    type Error = serde_json::Error;
    fn try_from(mut value: Value) -> Result<Self, Self::Error> {
        let times = value.as_object_mut().and_then(|map| map.remove("times")).unwrap_or_default();
        Ok(Self { fault: serde_json::from_value(value)?, times: serde_json::from_value(times)? })
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Fault {
    /// Another status, with a JSON error.
    Status {
        /// The status.
        status: u16,
        /// The `Retry-After` header.
        #[serde(default)]
        retry_after: Option<String>,
        /// The `Location` header.
        #[serde(default)]
        location: Option<String>,
        /// The error's message.
        #[serde(default)]
        message: Option<String>,
        /// The error's code.
        #[serde(default)]
        code: Option<String>,
    },
    /// The connection ends after so many bytes of the body: without HTTP's end mark, or with it if `clean`.
    Cut {
        /// Bytes that are still sent.
        after: usize,
        /// Whether HTTP itself ends as it should.
        #[serde(default)]
        clean: bool,
    },
    /// A piece that is no JSON, after the pieces that make up so many bytes of the body.
    BadJson {
        /// Bytes that are sent before.
        #[serde(default)]
        after: usize,
    },
    /// An error event in the stream, after the pieces that make up so many bytes of the body.
    ErrorEvent {
        /// Bytes that are sent before.
        #[serde(default)]
        after: usize,
        /// The error.
        error: Value,
    },
    /// Another content type, with the usual body.
    ContentType {
        /// The header's value.
        value: String,
    },
    /// Words without end.
    Endless,
    /// One line of so many bytes.
    Huge {
        /// The bytes.
        bytes: usize,
    },
    /// Nothing more, the connection held open: before the headers, or after so many bytes of the body.
    Silence {
        /// Bytes that are still sent; `None` sends no headers either.
        #[serde(default)]
        after: Option<usize>,
    },
    /// Comments without end, and nothing else: alive, and of no use.
    Comments,
    /// A `Content-Encoding` header with the usual body.
    Encoded {
        /// The header's value.
        value: String,
    },
    /// Any answer at all.
    Raw {
        /// The status.
        status: u16,
        /// The content type.
        content_type: String,
        /// The body.
        body: String,
    },
}

impl Script {
    /// A script of these turns.
    #[must_use]
    pub fn new(turns: impl IntoIterator<Item = Turn>) -> Self {
        Self { version: 1, models: models(), choose: Choose::default(), turns: turns.into_iter().collect() }
    }

    /// Reads a script.
    ///
    /// # Errors
    /// [`ScriptError`].
    pub fn parse(json: &str) -> Result<Self, ScriptError> {
        let script: Self = serde_json::from_str(json)?;
        if script.version == 1 { Ok(script) } else { Err(ScriptError::Version(script.version)) }
    }
}

impl Turn {
    /// Words.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    /// One call.
    #[must_use]
    pub fn call(name: &str, arguments: Value) -> Self {
        Self::default().and_call(name, arguments)
    }

    /// One call more.
    #[must_use]
    pub fn and_call(mut self, name: &str, arguments: Value) -> Self {
        self.calls.push(Call { name: name.to_owned(), arguments, id: None });
        self
    }

    /// A fault for every request.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(Planned { fault, times: None });
        self
    }

    /// A fault for the first so many requests (after those of faults before it).
    #[must_use]
    pub fn fault_times(mut self, times: u32, fault: Fault) -> Self {
        self.faults.push(Planned { fault, times: Some(times) });
        self
    }

    /// The fault of this turn's `n`-th request, counted from 0.
    pub(crate) fn fault_of(&self, n: u32) -> Option<&Fault> {
        let mut before = 0u32;
        for planned in &self.faults {
            let Some(times) = planned.times else { return Some(&planned.fault) };
            before = before.saturating_add(times);
            if n < before {
                return Some(&planned.fault);
            }
        }
        None
    }
}

impl Fault {
    /// A bare status.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::Status { status, retry_after: None, location: None, message: None, code: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_form_is_read() {
        let documented: String = include_str!("script.rs")
            .lines()
            .skip_while(|line| *line != "//! ```json")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .filter_map(|line| line.strip_prefix("//!"))
            .collect();
        let script = Script::parse(&documented).unwrap();
        assert_eq!(script.turns.len(), 2);
        let first = &script.turns[0];
        assert_eq!(first.usage, Reported::Tokens { input: 120, output: 14 });
        assert!(matches!(first.fault_of(1), Some(Fault::Status { status: 429, .. })));
        assert!(first.fault_of(2).is_none());
        assert_eq!(script.turns[1].usage, Reported::Bytes);
        assert_eq!(Script::parse(r#"{"turns": [{"usage": null}]}"#).unwrap().turns[0].usage, Reported::Nothing);
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        for text in [
            "",
            "{}",
            r#"{"turns":[{"texts":""}]}"#,
            r#"{"turns":[{"faults":[{"kind":"oops"}]}]}"#,
            r#"{"turns":[{"faults":[{"kind":"cut","after":1,"time":2}]}]}"#,
            r#"{"version":2,"turns":[]}"#,
        ] {
            assert!(Script::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn faults_hold_in_order_for_their_times() {
        let turn = Turn::text("x").fault_times(2, Fault::Endless).fault_times(1, Fault::Comments);
        let kinds: Vec<Option<String>> = (0..4).map(|n| turn.fault_of(n).map(|f| format!("{f:?}"))).collect();
        assert_eq!(kinds, [Some("Endless".into()), Some("Endless".into()), Some("Comments".into()), None]);
    }
}
