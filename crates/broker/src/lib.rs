//! Model providers and metering: the only opener of outbound sockets.
//!
//! A [`Broker`] is one tenant's. It turns a model's name into a [`Model`]; [`Model::complete`] makes one call: it sends
//! the conversation, streams the reply, tries again or calls another where that makes sense, and says what was used.
//! [`Model::reserve`] says beforehand what a call may take. [`Broker::route`] gives whoever speaks for others (the
//! gateway) the way to a model alone: a [`Route`]. [`discover`] finds model servers on this machine.
//!
//! [`Providers`] are data. What is said to a model has one form ([`form`]), which [`dialect`] translates to what a
//! provider speaks, and for callers the other way. The [`standin`]s answer where no model is wanted.
//!
//! [`egress`] is the way out of a cell: a proxy on the cell's own loopback that reaches the hosts it is told. [`Outbound`]
//! is the host's own way to one address that a person named and that is no model's; what is sent there by itself is a
//! [`Delivery`], and a [`Webhook`] one that is signed.
//!
//! **Invariants**
//! - A key stands in one place of a request (`Route::request` puts it there) to the origin of its own provider, and
//!   nowhere else: not in an error, a `Debug` text or a reply (one that repeats it is thrown away). No redirect is
//!   followed and no proxy is asked. No name of a caller leads anywhere but to a provider of the settings.
//! - Connections, TLS sessions, breakers and cache salts are one tenant's: no two brokers share any.
//! - Plain HTTP goes to loopback only, and `localhost` is loopback whatever a resolver says.
//! - A reply is whole or an error, never silently short. Every reply is bounded in bytes, pieces and time:
//!   16 MiB on the wire, 1 MiB a line or event, 4 MiB of words and arguments, 64 calls, the [`Timeouts`].
//! - A call is never repeated once anything of its reply was shown.
//!
//! This crate does not know what a conversation is about, whether a call is allowed or affordable (the host asks
//! [`Model::reserve`] and decides), or where a key is kept. What a model says is passed on as it is: whoever shows it
//! encodes it.

mod breaker;
mod broker;
mod claims;
mod client;
mod credentials;
mod delivery;
pub mod dialect;
mod discover;
pub mod egress;
mod endpoint;
mod error;
mod estimate;
mod extras;
pub mod form;
pub mod gateway;
mod model;
mod outbound;
mod prices;
mod provider;
mod retry;
mod route;
mod settings;
mod sse;
pub mod standin;
mod tls;
mod unsent;
mod webhook;

pub use breaker::{Blame, Breaker, BreakerSettings, Permit};
pub use broker::Broker;
pub use claims::Claims;
pub use credentials::Credentials;
pub use delivery::{Delivery, named_headers};
pub use discover::{Found, Kind, USUAL_PORTS, discover, discover_on};
pub use error::{BrokerError, ModelError};
pub use extras::{Embeddings, ImageWish, MAX_IMAGES, MAX_PROMPT, MAX_TEXT_BYTES, MAX_TEXTS, Picture, Pictures};
pub use model::{Completion, Delta, Metered, Model, ModelRef};
pub use outbound::{Outbound, OutboundBody, OutboundError};
pub use prices::{Abilities, Known, Price, PriceSource, Prices, Tokens};
pub use provider::{Dialect, Operation, Provider, ProviderSpec, Providers, TlsSpec};
pub use retry::Retries;
pub use route::Route;
pub use settings::{Settings, Timeouts};
pub use tls::TlsSettings;
pub use unsent::Unsent;
pub use webhook::{Webhook, WebhookError, new_message_id};
