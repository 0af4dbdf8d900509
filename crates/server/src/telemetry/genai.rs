//! The names that traces use: OpenTelemetry's semantic conventions for generative AI, which are in development. When they
//! change, this file changes and no other.
//!
//! None of them is for content: the conventions have names for prompts, answers, arguments and results, and these are not here.

/// The conventions that these names are of.
pub(super) const SCHEMA: &str = "https://opentelemetry.io/schemas/1.41.0";

/// What a value of an attribute is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Texts(Vec<&'static str>),
    Int(u64),
}

/// An attribute.
pub(super) type Attribute = (&'static str, Value);

pub(super) const SERVICE_NAME: &str = "service.name";
pub(super) const SERVICE_VERSION: &str = "service.version";
pub(super) const SERVICE_INSTANCE: &str = "service.instance.id";

/// Of us: the tenant's opaque id.
const TENANT: &str = "autoshare.tenant.id";

/// What an operation is, and how its span is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// A brain is driven.
    InvokeAgent,
    /// A model is called.
    Chat,
    /// A tool is used.
    ExecuteTool,
}

impl Operation {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::InvokeAgent => "invoke_agent",
            Self::Chat => "chat",
            Self::ExecuteTool => "execute_tool",
        }
    }
}

/// Bytes of a name that is not ours to choose, such as a model's or a tool's.
const MAX_NAME: usize = 128;

/// A name of others as it may leave: one word of printable ASCII, cut where it is too long.
pub(super) fn name(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(MAX_NAME).collect()
}

pub(super) fn operation(operation: Operation) -> Attribute {
    ("gen_ai.operation.name", Value::Text(operation.name().to_owned()))
}

/// The provider, by the conventions' name for it where they have one.
pub(super) fn provider(known_as: &str) -> Attribute {
    let theirs = match known_as {
        "azure" => "azure.ai.openai",
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        other => other,
    };
    ("gen_ai.provider.name", Value::Text(name(theirs)))
}

pub(super) fn request_model(model: &str) -> Attribute {
    ("gen_ai.request.model", Value::Text(name(model)))
}

pub(super) fn response_model(model: &str) -> Attribute {
    ("gen_ai.response.model", Value::Text(name(model)))
}

/// Tokens sent, those of a cache among them.
pub(super) fn input_tokens(count: u64) -> Attribute {
    ("gen_ai.usage.input_tokens", Value::Int(count))
}

pub(super) fn cached_tokens(count: u64) -> Attribute {
    ("gen_ai.usage.cache_read.input_tokens", Value::Int(count))
}

pub(super) fn output_tokens(count: u64) -> Attribute {
    ("gen_ai.usage.output_tokens", Value::Int(count))
}

/// Why a model ended its reply.
pub(super) fn finish(reason: &'static str) -> Attribute {
    ("gen_ai.response.finish_reasons", Value::Texts(vec![reason]))
}

/// A brain: all its spans have it.
pub(super) fn agent(brain: &str) -> [Attribute; 2] {
    let id = || Value::Text(brain.to_owned());
    [("gen_ai.agent.id", id()), ("gen_ai.conversation.id", id())]
}

pub(super) fn tenant(opaque: &str) -> Attribute {
    (TENANT, Value::Text(opaque.to_owned()))
}

/// A tool, and which of the brain's actions it was: our number, and not what the model called it by.
pub(super) fn tool(tool: &str, step: u64) -> [Attribute; 2] {
    [("gen_ai.tool.name", Value::Text(name(tool))), ("gen_ai.tool.call.id", Value::Text(format!("step-{step}")))]
}

/// A class of failure, one of a short list.
pub(super) fn error(class: &'static str) -> Attribute {
    ("error.type", Value::Text(class.to_owned()))
}
