//! OpenAI's responses: a conversation and an answer are lists of items.

pub(crate) mod caller;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod speaker;
