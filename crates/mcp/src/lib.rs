//! A client of the Model Context Protocol, over the protocol's own SDK, for servers that are presumed hostile.
//!
//! [`Client::over_streams`] speaks to a server through its standard streams, [`Client::over_http`] over HTTP; then tools,
//! resources and prompts are listed, called, read. A tool is [`Described`] by its server; a person approves descriptions
//! as [`Pins`], and what is listed later is compared with them. [`ServerName::known_as`] says by which names a model knows
//! the tools.
//!
//! **Invariants**
//! - Everything that a server sends is bounded: messages in bytes and number, lists, names, descriptions, schemas, time
//!   ([`Limits`]). What exceeds a limit is an error in words, and ends the connection where it cannot be passed over.
//! - A server gets an answer to a ping and to nothing else: sampling, roots and elicitation are refused, and no capability
//!   is offered. Its own instructions to the model are read by nobody.
//! - Names, titles and descriptions have passed the guard. A schema is data: no `$ref` is followed. A change of anything
//!   that a model or a person would see, or that hides in it, changes [`Described::digest`].
//! - A label on a result is read as what it takes from the result, never as what it gives.
//! - No tool's name can pass for another server's or for a built-in one.
//!
//! This crate opens no socket and starts no process: streams and a carrier of requests ([`Carry`]) are given to it. It does
//! not know whether a call is allowed, or what a tool does to the world.

mod called;
mod client;
mod described;
mod error;
mod handler;
mod label;
mod limits;
mod listed;
mod name;
mod pins;
mod stream;
mod web;

pub use called::Called;
pub use client::Client;
pub use described::{Annotations, Described, Part};
pub use error::McpError;
pub use handler::Progress;
pub use limits::{
    Limits, MAX_DEPTH, MAX_DESCRIPTION, MAX_NAME, MAX_SCHEMA, MAX_SCHEMA_DEPTH, MAX_TITLE, MAX_URI, MAX_WORDS,
};
pub use listed::{Argument, Listed};
pub use name::ServerName;
pub use pins::{Changes, Comparison, Offer, Pins};
pub use web::{Body, Carry};
