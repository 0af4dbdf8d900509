//! The dialects that providers and callers speak, each to and from the form.
//!
//! Towards a provider: [`encode`] a call, [`Decoder`] the reply. Towards a caller of the gateway: [`understand`] the
//! request, [`Speaker`] a streamed reply, [`whole`] one that is not. What a caller says that has no counterpart is
//! refused, but for a few fields that change nothing of what the model is asked.
//!
//! Reading of replies is tolerant: unknown fields are skipped, and what may be absent, null or of another shape is.

pub(crate) mod chat;
mod gemini;
mod messages;
mod responses;
mod sse_out;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::form::{Assembled, Call, FormError, Piece, ToolChoice, Wrong};
use crate::provider::Dialect;

/// What an endpoint of chat completions turned out to want; learnt from its refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// `max_completion_tokens` instead of the older `max_tokens`.
    pub completion_tokens: bool,
    /// Whether `stream_options` may be sent.
    pub stream_options: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self { completion_tokens: false, stream_options: true }
    }
}

/// The body of a request.
///
/// # Errors
/// [`FormError`] for what the dialect has no word for.
pub fn encode(dialect: Dialect, model: &str, call: &Call, quirks: Quirks) -> Result<Value, FormError> {
    match dialect {
        Dialect::Chat => chat::request::encode(model, call, quirks),
        Dialect::Responses => responses::request::encode(model, call),
        Dialect::Messages => messages::request::encode(model, call),
        Dialect::Gemini => gemini::request::encode(model, call),
    }
}

/// How far a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There may be more.
    More,
    /// That was the end mark.
    End,
}

/// Reads a reply.
#[derive(Debug)]
pub enum Decoder {
    /// Chat completions.
    Chat(chat::reply::Decoder),
    /// Responses.
    Responses(responses::reply::Decoder),
    /// Messages.
    Messages(messages::reply::Decoder),
    /// Gemini.
    Gemini(gemini::reply::Decoder),
}

impl Decoder {
    /// One for a new reply.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Chat => Self::Chat(chat::reply::Decoder::default()),
            Dialect::Responses => Self::Responses(responses::reply::Decoder::default()),
            Dialect::Messages => Self::Messages(messages::reply::Decoder::default()),
            Dialect::Gemini => Self::Gemini(gemini::reply::Decoder::default()),
        }
    }

    /// Takes the data of one event of a stream, and adds what it says to `pieces`.
    ///
    /// # Errors
    /// [`Wrong`] for what is no event of the dialect, and for an error that the provider reports.
    pub fn event(&mut self, json: &str, pieces: &mut Vec<Piece>) -> Result<Progress, Wrong> {
        match self {
            Self::Chat(decoder) => decoder.event(json, pieces),
            Self::Responses(decoder) => decoder.event(json, pieces),
            Self::Messages(decoder) => decoder.event(json, pieces),
            Self::Gemini(decoder) => decoder.event(json, pieces),
        }
    }

    /// Takes a reply that was not streamed.
    ///
    /// # Errors
    /// As [`Decoder::event`].
    pub fn whole(&mut self, json: &str, pieces: &mut Vec<Piece>) -> Result<(), Wrong> {
        match self {
            Self::Chat(decoder) => decoder.event(json, pieces).map(|_| ()),
            Self::Responses(decoder) => decoder.whole(json, pieces),
            Self::Messages(decoder) => decoder.whole(json, pieces),
            Self::Gemini(decoder) => decoder.event(json, pieces).map(|_| ()),
        }
    }
}

/// Which tool a caller of OpenAI's dialects wants called; the name of one stands at `name_at` (RFC 6901).
fn tool_choice(choice: &Value, name_at: &str) -> Result<ToolChoice, FormError> {
    match choice.as_str() {
        Some("auto") => return Ok(ToolChoice::Auto),
        Some("none") => return Ok(ToolChoice::None),
        Some("required") => return Ok(ToolChoice::Any),
        _ => {}
    }
    let name = choice.pointer(name_at).and_then(Value::as_str).map(str::to_owned);
    name.map(ToolChoice::Named)
        .ok_or_else(|| FormError::wrong("tool_choice", "must be auto, none, required or name a function"))
}

/// What a caller asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The model.
    pub model: String,
    /// The call.
    pub call: Call,
    /// Whether a streamed reply should end with what was used, where the dialect leaves that to the caller.
    pub usage: UsageWanted,
}

/// Whether a caller wants to be told what was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UsageWanted {
    /// It does.
    Yes,
    /// It does not.
    #[default]
    No,
}

/// Reads a caller's request.
///
/// # Errors
/// [`FormError`] with the field that is wrong or has no counterpart. Callers do not speak Gemini's dialect.
pub fn understand(dialect: Dialect, request: Value) -> Result<Asked, FormError> {
    match dialect {
        Dialect::Chat => chat::caller::understand(request),
        Dialect::Responses => responses::caller::understand(request),
        Dialect::Messages => messages::caller::understand(request),
        Dialect::Gemini => Err(FormError::wrong("the request", "gemini is not spoken here")),
    }
}

/// A reply for a caller, not streamed. `id` is any name for it.
#[must_use]
pub fn whole(dialect: Dialect, id: &str, model: &str, reply: &Assembled) -> Value {
    match dialect {
        Dialect::Responses => responses::caller::whole(id, model, reply),
        Dialect::Messages => messages::caller::whole(id, model, reply),
        Dialect::Chat | Dialect::Gemini => chat::caller::whole(id, model, reply),
    }
}

/// Says a reply to a caller, piece by piece, as bytes of an event stream.
#[derive(Debug)]
pub enum Speaker {
    /// Chat completions.
    Chat(chat::caller::Speaker),
    /// Responses.
    Responses(responses::caller::Speaker),
    /// Messages.
    Messages(messages::caller::Speaker),
}

impl Speaker {
    /// One for a new reply.
    #[must_use]
    pub fn new(dialect: Dialect, id: &str, model: &str, usage: UsageWanted) -> Self {
        match dialect {
            Dialect::Responses => Self::Responses(responses::caller::Speaker::new(id, model)),
            Dialect::Messages => Self::Messages(messages::caller::Speaker::new(id, model)),
            Dialect::Chat | Dialect::Gemini => Self::Chat(chat::caller::Speaker::new(id, model, usage)),
        }
    }

    /// The events of a piece; empty where nothing is to be said yet.
    pub fn say(&mut self, piece: &Piece) -> String {
        match self {
            Self::Chat(speaker) => speaker.say(piece),
            Self::Responses(speaker) => speaker.say(piece),
            Self::Messages(speaker) => speaker.say(piece),
        }
    }

    /// The events of the end. Only a reply that is whole has one; a cut one is told by [`Speaker::fail`].
    pub fn end(&mut self) -> String {
        match self {
            Self::Chat(speaker) => speaker.end(),
            Self::Responses(speaker) => speaker.end(),
            Self::Messages(speaker) => speaker.end(),
        }
    }

    /// The event of a reply that breaks off. `message` is ours, and holds nothing that a caller must not see.
    pub fn fail(&mut self, message: &str) -> String {
        match self {
            Self::Chat(_) => chat::caller::failure(message),
            Self::Responses(speaker) => speaker.fail(message),
            Self::Messages(_) => messages::caller::failure(message),
        }
    }
}
