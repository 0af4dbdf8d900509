//! Faces of the host that others connect to.
//!
//! Today there is one: the *control socket*, by which `approve`, `stop` and `logs -f` reach the process that drives a
//! brain ([`control`]). The HTTP faces (native API, Agent Protocol, gateway, MCP) come beside it.
//!
//! **Invariant:** every handler starts from an `Access` that it can get in one way only: here, that the kernel says the
//! peer runs under the uid that owns the data directory (`SO_PEERCRED`, unix(7)). A request carries no identity.
//!
//! This crate does not know how a brain is driven; it hands words to the host's switchboard and answers with what that
//! says. No journal content passes a socket: a follower is told that there is something to read.

mod ap;
pub mod api;
pub mod control;
pub mod http;
