//! The way out of a cell: an HTTP proxy on the cell's own loopback, that reaches what it is told and nothing else.
//!
//! Programs speak to it as to any proxy (RFC 9110 section 7.6, RFC 9112 section 3.2): `CONNECT host:port` for TLS, which
//! stays theirs from end to end, and absolute URLs for plain HTTP. A name is resolved once, here; every address it
//! leads to is looked at ([`is_public`]), and an address that was looked at is the one connected to. What a person named
//! by its address skips that look: they said so.

mod address;
mod allow;
mod proxy;

pub use address::is_public;
pub use allow::{Allow, Allowed, NotAllowed};
pub use proxy::{Egress, Reached};
