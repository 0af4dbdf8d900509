//! What tests, and people who develop without a network, need: a scripted model server and canaries. Never shipped.
//!
//! [`ScriptedModel::start`] serves a [`Script`] over real HTTP on loopback, as an endpoint that streams, and that fails
//! in every way the script asks for; it keeps every request for assertions. It speaks what its path says: OpenAI's chat
//! completions, OpenAI's responses, Anthropic's messages, Google's `generateContent`; embeddings and images in small
//! form. The program `scripted-model` serves the same from a file. A
//! [`Canary`] is a random text that is planted somewhere and looked for elsewhere.
//!
//! **Invariant:** which turn of a script answers depends on the request alone (the number of the assistant's turns in
//! it), so that a conversation that is taken up again meets the same replies; only a fault with a count remembers how
//! often it happened.
//!
//! This crate does not know what it is used to test.
#![allow(clippy::panic, reason = "test support: a failure to set up is a failed test, at once and in words")]

mod canary;
mod errand;
mod network;
mod reply;
mod script;
mod server;
mod tls;
mod wire;

pub use canary::Canary;
pub use errand::{ERRAND_ANSWER, ERRAND_EFFECTS, ERRAND_GOAL, errand};
pub use network::{PUBLIC, is_own_network};
pub use script::{Call, Choose, Fault, Planned, Reported, Script, ScriptError, Turn};
pub use server::{Recorded, ScriptedModel};
pub use tls::{Certified, CertifiedClient};
