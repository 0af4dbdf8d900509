//! OpenAI's chat completions, and whatever is compatible.

pub(crate) mod caller;
pub(crate) mod reply;
pub(crate) mod request;
