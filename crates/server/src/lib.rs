//! Faces of the host that others connect to.
//!
//! The *control socket*, by which `approve`, `stop` and `logs -f` reach the process that drives a brain ([`control`]), and
//! HTTP, by which everybody else does ([`http`]): HTTP/1.1 and, over TLS, HTTP/2. People sign in by [`login`]. How it all is,
//! [`health`] says; what leaves by itself, traces and alerts, [`telemetry`] sends.
//!
//! **Invariants**
//! - Every handler starts from an `Access` that it can get in one way only: at the socket, that the kernel says the peer
//!   runs under the uid that owns the data directory (`SO_PEERCRED`, unix(7)), where a request carries no identity; over
//!   HTTP, by a token. Who signs in has none yet, and reaches nothing: a login ends with a token.
//! - Whoever is slow, silent or changes his mind holds a place for a bounded time, in either version of HTTP, and what was
//!   begun for him is recorded.
//! - A request has one name, and it is this server's; a page in a browser has none. What a page may send unasked (a form,
//!   plain text, nothing) is refused where it would change something.
//! - Who asks over HTTP names a model, never an address or a file of this machine's: only its operator does.
//! - The description of the API is made of the routes that answer.
//!
//! This crate does not know how a brain is driven; it hands words to the host's switchboard and answers with what that
//! says. No journal content passes the control socket: a follower is told that there is something to read.

mod ap;
pub mod api;
pub mod control;
mod each;
pub mod health;
pub mod http;
pub mod login;
mod noted;
pub mod telemetry;
