//! Model providers and metering: the only opener of outbound sockets.
//!
//! A [`Broker`] holds a tenant's credential and turns a model's name into a [`Model`]; [`Model::complete`] makes one
//! call: it sends the conversation, streams the reply, tries again where that makes sense, and says what was used.
//! [`Model::reserve`] says beforehand what a call may take. [`discover`] finds model servers on this machine.
//!
//! An endpoint is any that speaks OpenAI's chat completions with tools. The [`standin`]s answer in its place where no
//! model is wanted.
//!
//! [`egress`] is the way out of a cell: a proxy on the cell's own loopback that reaches the hosts it is told.
//!
//! **Invariants**
//! - The key stands in the `Authorization` header of a request to the origin it was given for, and nowhere else: not
//!   in an error, a `Debug` text or a reply (one that repeats it is thrown away). No redirect is followed and no proxy
//!   is asked.
//! - Plain HTTP goes to loopback only, and `localhost` is loopback whatever a resolver says.
//! - A reply is whole or an error, never silently short. Every reply is bounded in bytes, pieces and time:
//!   16 MiB on the wire, 1 MiB a line or event, 4 MiB of words and arguments, 64 calls, the [`Timeouts`].
//! - A call is never repeated once anything of its reply was shown.
//!
//! This crate does not know what a conversation is about, whether a call is allowed or affordable (the host asks
//! [`Model::reserve`] and decides), or where a key is kept. What a model says is passed on as it is: whoever shows it
//! encodes it.

mod broker;
mod discover;
pub mod egress;
mod endpoint;
mod error;
mod estimate;
mod model;
mod openai;
mod prices;
mod retry;
mod settings;
mod sse;
pub mod standin;

pub use broker::Broker;
pub use discover::{Found, Kind, USUAL_PORTS, discover, discover_on};
pub use endpoint::DEFAULT_BASE_URL;
pub use error::{BrokerError, ModelError};
pub use model::{Completion, Delta, Metered, Model, ModelRef};
pub use prices::{Known, Price, PriceSource, Prices};
pub use retry::Retries;
pub use settings::{Settings, Timeouts};
