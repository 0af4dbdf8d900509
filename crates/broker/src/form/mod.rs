//! What is said to a model and what it replies, in no provider's words.
//!
//! Every dialect is translated to and from this form and no other: [`Call`] is a request; a reply comes as [`Piece`]s,
//! whether it was streamed or not, and an [`Assembler`] puts them together under limits of size. `autoshare_core::chat`
//! is what a brain says; it is part of this.

mod assemble;
mod fields;

use autoshare_core::chat::{Message, RawCall, Request};
use serde_json::Value;

pub use self::assemble::{Assembled, Assembler, MAX_CALLS, MAX_REPLY, Wrong};
pub(crate) use self::fields::Fields;
use crate::prices::Tokens;
use crate::provider::Dialect;

/// One call to a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Call {
    /// The conversation, the host's instructions included.
    pub items: Vec<Item>,
    /// The tools that the model may call.
    pub tools: Vec<Tool>,
    /// Which of them it should.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    pub parallel_calls: Option<bool>,
    /// Tokens of the reply at most.
    pub max_output: Option<u64>,
    /// How much chance there is in the reply.
    pub temperature: Option<f64>,
    /// The share of likely words that are considered.
    pub top_p: Option<f64>,
    /// The number of likely words that are considered.
    pub top_k: Option<u64>,
    /// Texts at which the reply ends.
    pub stop: Vec<String>,
    /// The form of the reply's words.
    pub output: Output,
    /// How long the model should think: `minimal`, `low`, `medium`, `high`, ... as the provider knows it.
    pub effort: Option<String>,
    /// How the reply comes.
    pub delivery: Delivery,
}

/// One item of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// Instructions of whoever hosts the conversation.
    System(String),
    /// What a person said or showed.
    User(Vec<Part>),
    /// What the model said, thought and called.
    Assistant(Vec<SaidPart>),
    /// What came of a call.
    ToolResult {
        /// The call's id.
        call_id: String,
        /// What it brought.
        parts: Vec<Part>,
        /// Whether the tool failed.
        outcome: ToolOutcome,
    },
}

/// How a tool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ToolOutcome {
    /// It did what it was asked, or nobody said otherwise.
    #[default]
    Done,
    /// It failed.
    Failed,
}

/// A part of what a person or a tool says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Words.
    Text(String),
    /// An image.
    Image(Image),
}

/// An image in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// At an address, which the provider fetches.
    Url(String),
    /// In the request itself.
    Data {
        /// Such as `image/png`.
        media_type: String,
        /// The bytes in base64, as they came.
        base64: String,
    },
}

/// A part of what the model said.
#[derive(Debug, Clone, PartialEq)]
pub enum SaidPart {
    /// Words.
    Text(String),
    /// A call.
    Call(RawCall),
    /// What it thought, sealed or signed by its provider: for that provider's dialect alone.
    Opaque(Opaque),
}

/// Something of one dialect that no other has a word for. It is carried back to that dialect unchanged, and left out of
/// any other.
#[derive(Debug, Clone, PartialEq)]
pub struct Opaque {
    /// The dialect.
    pub dialect: Dialect,
    /// The value.
    pub value: Value,
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The JSON schema of its arguments.
    pub parameters: Value,
    /// Whether the provider must keep the model to the schema.
    pub strict: Option<bool>,
}

/// Which tool the model should call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// It decides.
    Auto,
    /// None.
    None,
    /// At least one.
    Any,
    /// This one.
    Named(String),
}

/// The form of a reply's words.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Output {
    /// Any.
    #[default]
    Text,
    /// JSON.
    Json,
    /// JSON after a schema.
    Schema {
        /// A name for it.
        name: String,
        /// The JSON schema.
        schema: Value,
    },
}

/// How a reply comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// Piece by piece.
    #[default]
    Stream,
    /// Whole.
    Whole,
}

/// A piece of a reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// More of its words.
    Text(String),
    /// More of what it thought, as far as it is shown.
    Thought(String),
    /// Something sealed, whole.
    Opaque(Opaque),
    /// More of a call.
    Call(CallPiece),
    /// What was used so far; a later one replaces an earlier one.
    Usage(Tokens),
    /// Why it stopped: from now on the reply is whole.
    Finish(Finish),
}

/// More of a call. Whatever is not empty is new: the id and the name once, the arguments bit by bit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallPiece {
    /// Which call of the reply, from 0.
    pub place: usize,
    /// Its id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// More of its arguments, as JSON text.
    pub arguments: String,
}

/// Why a model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// It was done.
    Stop,
    /// It waits for what its calls bring.
    Calls,
    /// The limit of tokens was reached.
    Length,
    /// The provider held it back.
    Filter,
    /// Something else, in the provider's word.
    Other(String),
}

/// Why a caller's request cannot be put into the form, or the form into a dialect. For the caller, who sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A field holds what it cannot hold.
    #[error("{field}: {why}")]
    Wrong {
        /// Where it stands, such as `messages[3].content`.
        field: String,
        /// What is wrong, and what is accepted.
        why: String,
    },
    /// A field has no counterpart.
    #[error(
        "{field} has no counterpart where this model is served ({to}): leave it out, or name a model of a provider that \
         has it"
    )]
    NoCounterpart {
        /// The field.
        field: String,
        /// The dialect that lacks it; `another dialect` where every one does.
        to: &'static str,
    },
}

impl FormError {
    pub(crate) fn wrong(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Wrong { field: field.into(), why: why.into() }
    }

    pub(crate) fn lacks(to: Dialect, field: impl Into<String>) -> Self {
        Self::NoCounterpart { field: field.into(), to: to.name() }
    }
}

impl From<&Request> for Call {
    fn from(request: &Request) -> Self {
        let item = |message: &Message| match message {
            Message::System { text } => Item::System(text.clone()),
            Message::User { text } => Item::User(vec![Part::Text(text.clone())]),
            Message::Tool { call_id, text } => Item::ToolResult {
                call_id: call_id.clone(),
                parts: vec![Part::Text(text.clone())],
                outcome: ToolOutcome::Done,
            },
            Message::Assistant { text, calls } => {
                let words = (!text.is_empty()).then(|| SaidPart::Text(text.clone()));
                Item::Assistant(words.into_iter().chain(calls.iter().cloned().map(SaidPart::Call)).collect())
            }
        };
        let tools = request.tools.iter().map(|tool| Tool {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.json_schema(),
            strict: None,
        });
        Self {
            items: request.messages.iter().map(item).collect(),
            tools: tools.collect(),
            max_output: Some(request.max_output),
            ..Self::default()
        }
    }
}

impl Call {
    /// All instructions as one text, for dialects in which they stand apart from the conversation.
    pub(crate) fn instructions(&self) -> String {
        let texts: Vec<&str> = self
            .items
            .iter()
            .filter_map(|item| if let Item::System(text) = item { Some(text.as_str()) } else { None })
            .collect();
        texts.join("\n\n")
    }
}

/// Words alone, joined.
pub(crate) fn words(parts: &[Part]) -> String {
    let text = |part: &Part| if let Part::Text(text) = part { Some(text.clone()) } else { None };
    parts.iter().filter_map(text).collect::<Vec<_>>().join("\n")
}

/// Whether there is nothing but words.
pub(crate) fn only_words(parts: &[Part]) -> bool {
    parts.iter().all(|part| matches!(part, Part::Text(_)))
}

/// Endpoints refuse a whole conversation for a name that a model made up earlier; this is the nearest they take.
pub(crate) fn acceptable_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name: String = name.chars().take(64).map(|c| if fits(c) { c } else { '_' }).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

/// The arguments of an earlier call as an object, which is all that endpoints take: what was none is told in one.
pub(crate) fn arguments_object(arguments: &str) -> Value {
    match serde_json::from_str(arguments) {
        Ok(Value::Object(map)) => Value::Object(map),
        _ if arguments.trim().is_empty() => Value::Object(serde_json::Map::new()),
        _ => serde_json::json!({"malformed": arguments}),
    }
}

/// The same as text; arguments that are an object stay byte for byte.
pub(crate) fn acceptable_arguments(arguments: &str) -> String {
    match serde_json::from_str(arguments) {
        Ok(Value::Object(_)) => arguments.to_owned(),
        _ => arguments_object(arguments).to_string(),
    }
}

/// A `data:` address as an image in the request; any other http(s) address as one to fetch.
pub(crate) fn image_of(url: &str) -> Option<Image> {
    if let Some(rest) = url.strip_prefix("data:") {
        let (media_type, base64) = rest.split_once(";base64,")?;
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"+/=".contains(&c);
        let is_image = media_type.starts_with("image/") && media_type.len() < 40;
        return (is_image && !base64.is_empty() && base64.bytes().all(fits))
            .then(|| Image::Data { media_type: media_type.to_owned(), base64: base64.to_owned() });
    }
    (url.starts_with("https://") || url.starts_with("http://")).then(|| Image::Url(url.to_owned()))
}

/// An image as an address.
pub(crate) fn image_url(image: &Image) -> String {
    match image {
        Image::Url(url) => url.clone(),
        Image::Data { media_type, base64 } => format!("data:{media_type};base64,{base64}"),
    }
}
