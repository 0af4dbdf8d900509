//! Google's `generateContent`: a conversation of contents, each of parts.

pub(crate) mod reply;
pub(crate) mod request;
