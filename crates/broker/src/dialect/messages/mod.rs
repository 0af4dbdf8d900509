//! Anthropic's messages.

pub(crate) mod caller;
pub(crate) mod reply;
pub(crate) mod request;
