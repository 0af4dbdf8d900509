//! The way out of a cell: an HTTP proxy on the cell's own loopback, that reaches what it is told and nothing else.
//!
//! Programs speak to it as to any proxy (RFC 9110 section 7.6, RFC 9112 section 3.2): `CONNECT host:port` for TLS, which
//! stays theirs from end to end, and absolute URLs for plain HTTP. A name is resolved once, here; every address it
//! leads to is looked at ([`is_public`]), and an address that was looked at is the one connected to. What a person named
//! by its address skips that look: they said so. A tunnel to a name must begin with TLS for that name.
//!
//! TLS is ended here for a host if, and only if, a rule says so: a [`Credential`] is for it, or an [`Allow`] of methods or
//! paths names it. Then each request is parsed, judged, written anew and sent over TLS of our own, verified against the
//! real roots. The cell trusts an authority that was made for it alone ([`Policy::trust`]).
//!
//! **Invariants**
//! - A credential leaves in the form and to the origins that its secret names, over TLS or to this machine. A request in
//!   which its placeholder stands anywhere else is refused.
//! - A request inside TLS is for the host that the tunnel was asked for: in SNI, in `Host`, in an absolute URL.
//! - What a reply repeats of a credential is struck; a reply that could not be looked through is refused.

mod address;
mod allow;
pub(crate) mod base64;
mod counts;
mod credential;
mod dial;
mod door;
mod head;
mod hello;
mod inside;
mod policy;
mod proxy;
mod strike;
mod tunnel;

pub use address::is_public;
pub use allow::{Allow, NotAllowed, Target};
pub use credential::Credential;
pub(crate) use credential::put_into;
pub use dial::Resolver;
pub use policy::{EgressError, Policy, Question};
pub use proxy::Egress;
pub(crate) use strike::{Striker, Struck};
