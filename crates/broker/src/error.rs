//! What can go wrong, each said with what to do about it.

use std::time::Duration;

use crate::breaker::Blame;
use crate::standin::StandInError;

/// Why a broker or a model could not be set up. Nothing was sent yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The base URL is no address of an endpoint. The URL is not repeated: people paste keys into it.
    #[error("the base URL {why}; write one such as https://api.openai.com/v1 (OPENAI_BASE_URL)")]
    BaseUrl {
        /// What is wrong with it.
        why: &'static str,
    },
    /// Plain HTTP to another machine.
    #[error(
        "plain http is for this machine only, and {host} is not loopback: use https, or http with localhost, 127.0.0.1 or [::1]"
    )]
    PlainHttp {
        /// The host.
        host: String,
    },
    /// The key cannot be one.
    #[error("the key from {from} {why}: set it again, the key alone on one line")]
    Key {
        /// The variable or file it came from.
        from: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A provider that wants a key, and there is none for it.
    #[error(
        "{who} needs a key and there is none: set {from}, or name another endpoint (OPENAI_BASE_URL) or provider (docs/providers.md)"
    )]
    NoKey {
        /// The endpoint's origin.
        who: String,
        /// The variable or file that a key is looked for in.
        from: String,
    },
    /// The model's name cannot be one.
    #[error("{given:?} is not a model: {why}")]
    ModelName {
        /// What was given, shortened.
        given: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The record of `replay:FILE` cannot be used.
    #[error("the record {file:?} cannot be replayed: {why}")]
    Record {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// A price table that is none.
    #[error("the price table cannot be used: {why}")]
    Prices {
        /// What is wrong with it, with the line.
        why: String,
    },
    /// `[provider.NAME]` holds what cannot be.
    #[error("[provider.{name}]: {why}")]
    Provider {
        /// The provider's name.
        name: String,
        /// What is wrong with it, and what is accepted.
        why: String,
    },
    /// No provider of this name, or one whose address nobody said.
    #[error("the provider {name:?} has no address: set base_url below [provider.{name}] in autoshare.toml")]
    NoAddress {
        /// The provider's name.
        name: String,
    },
    /// The provider cannot be asked for this.
    #[error("{provider} has no {operation}: name a model of another provider (docs/providers.md)")]
    NoOperation {
        /// The provider's name.
        provider: String,
        /// What was asked for.
        operation: &'static str,
    },
    /// A name that only a person at the command line may use: an address, a file or a stand-in.
    #[error("{given:?} cannot be called here: name a model as NAME or PROVIDER/NAME")]
    NotHere {
        /// What was given, shortened.
        given: String,
    },
    /// A local server whose cache another tenant uses.
    #[error(
        "{who} is another tenant's: it has no cache salt, and its cache would tell one what the other asked; start one \
         for each, or give leave with shared = true below [provider.{provider}]"
    )]
    OtherTenants {
        /// The provider's name.
        provider: String,
        /// The server's origin.
        who: String,
    },
    /// What was asked for is more than may be asked for at once.
    #[error("{what}: {limit} at most; ask for less at once")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The HTTP client cannot be made.
    #[error("no HTTPS client: {why}; are the system's root certificates installed (package ca-certificates)?")]
    Client {
        /// What it said.
        why: String,
    },
}

/// Why a model call brought no reply.
///
/// No variant carries a credential. Words of a provider are shortened, free of control characters and of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// HTTP 401 or 403 although a key was sent.
    #[error(
        "{who} refused the key from {from} (HTTP {status}): is it this provider's, still valid, and allowed to use this model?"
    )]
    KeyRefused {
        /// The endpoint's origin.
        who: String,
        /// The variable or file that the key came from.
        from: String,
        /// The HTTP status.
        status: u16,
    },
    /// HTTP 401 or 403, and no key was sent.
    #[error(
        "{who} wants a key (HTTP {status}) and none was sent: set {from}; a key goes to its own provider's address only (docs/providers.md)"
    )]
    KeyMissing {
        /// The endpoint's origin.
        who: String,
        /// The variable or file that a key is looked for in.
        from: String,
        /// The HTTP status.
        status: u16,
    },
    /// HTTP 402, or 429 with the word that the account is used up.
    #[error("{who} says that the account has no credit left: add some there, or name another model with --model")]
    OutOfCredit {
        /// The endpoint's origin.
        who: String,
    },
    /// HTTP 404.
    #[error(
        "{who} does not know the model {model:?} (HTTP 404): check --model (`autoshare model list`) and the path of the base URL"
    )]
    UnknownModel {
        /// The endpoint's origin.
        who: String,
        /// The model's name.
        model: String,
    },
    /// The conversation does not fit the model's window.
    #[error("the conversation does not fit the context window of {model:?}: {said}")]
    WindowExceeded {
        /// The model's name.
        model: String,
        /// What the provider said.
        said: String,
    },
    /// Another status of the 400s.
    #[error("{who} refused the request (HTTP {status}): {said}")]
    Refused {
        /// The endpoint's origin.
        who: String,
        /// The HTTP status.
        status: u16,
        /// What the provider said.
        said: String,
    },
    /// 429 or a status of the 500s, every time.
    #[error(
        "{who} is not ready (HTTP {status}, tried {tries} times{}): try later with `autoshare resume`; it said: {said}",
        wait(asked)
    )]
    Busy {
        /// The endpoint's origin.
        who: String,
        /// The last HTTP status.
        status: u16,
        /// Requests sent.
        tries: u32,
        /// How long it asked to wait.
        asked: Option<Duration>,
        /// What it said.
        said: String,
    },
    /// No connection, every time.
    #[error(
        "no connection to {who} (tried {tries} times): {why}; start the server, check the base URL, or name another model with --model"
    )]
    Unreachable {
        /// The endpoint's origin.
        who: String,
        /// Connections tried.
        tries: u32,
        /// What the system said.
        why: String,
    },
    /// A redirect, which is never followed: it would carry the conversation elsewhere.
    #[error("{who} redirects (HTTP {status}), and redirects are not followed: set the base URL to the final address")]
    Redirected {
        /// The endpoint's origin.
        who: String,
        /// The HTTP status.
        status: u16,
    },
    /// Nothing came for too long, or the whole took too long.
    #[error("{who} took too long: {what} within {} s", limit.as_secs_f32())]
    TimedOut {
        /// The endpoint's origin.
        who: String,
        /// What did not happen.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The reply ended before the provider said that it was whole.
    #[error("the reply of {who} was cut off: {why}; nothing of it is used, `autoshare resume` asks again")]
    Cut {
        /// The endpoint's origin.
        who: String,
        /// How it ended.
        why: String,
    },
    /// The reply is larger than any limit that it must keep.
    #[error(
        "the reply of {who} is too large: {what} of more than {limit}; does this address speak the dialect that its provider is said to?"
    )]
    TooLarge {
        /// The endpoint's origin.
        who: String,
        /// What is too large.
        what: &'static str,
        /// The limit, in bytes or pieces.
        limit: usize,
    },
    /// The reply is not what the protocol says.
    #[error(
        "the reply of {who} makes no sense: {why}; does this address speak the dialect that its provider is said to?"
    )]
    Malformed {
        /// The endpoint's origin.
        who: String,
        /// Where it goes wrong.
        why: String,
    },
    /// The reply is neither JSON nor an event stream.
    #[error("{who} replied with {found} instead of JSON or an event stream: does the base URL end in /v1?")]
    ContentType {
        /// The endpoint's origin.
        who: String,
        /// The content type, shortened.
        found: String,
    },
    /// The reply is compressed although that was ruled out.
    #[error(
        "{who} compressed its reply ({encoding}) although none was asked for: it is not unpacked; turn that off there"
    )]
    Compressed {
        /// The endpoint's origin.
        who: String,
        /// The encoding, shortened.
        encoding: String,
    },
    /// The reply repeats the credential.
    #[error(
        "the reply of {who} repeats the key it was sent: it is thrown away; replace the key and mistrust this endpoint"
    )]
    KeyEchoed {
        /// The endpoint's origin.
        who: String,
    },
    /// It failed too often lately, and is left alone for a while.
    #[error("{who} failed too often just now and is left alone for {} s more: try then with `autoshare resume`, or name another model with --model", wait.as_secs().max(1))]
    Resting {
        /// The endpoint's origin.
        who: String,
        /// For how long.
        wait: Duration,
    },
    /// The call could not be made.
    #[error(transparent)]
    Setup(#[from] BrokerError),
    /// A stand-in model cannot go on.
    #[error(transparent)]
    StandIn(#[from] StandInError),
}

fn wait(asked: &Option<Duration>) -> String {
    asked.map(|wait| format!(", asks for {} s", wait.as_secs())).unwrap_or_default()
}

impl ModelError {
    /// Whether the provider is to blame, for its circuit breaker. Statuses of the 400s never are.
    pub(crate) const fn blame(&self) -> Blame {
        match self {
            Self::Busy { status, .. } if *status >= 500 => Blame::Provider,
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Cut { .. } => Blame::Provider,
            _ => Blame::None,
        }
    }

    /// Whether another model may do where this one did not: it is not ready, not reached, or has no credit left. What
    /// the request itself is to blame for would fail elsewhere too, or mean something else there.
    pub(crate) const fn may_fall_back(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. }
                | Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::Cut { .. }
                | Self::Resting { .. }
                | Self::OutOfCredit { .. }
        )
    }

    /// Whether the provider may have charged for the call although no reply came of it: once a request was taken, a
    /// budget that must hold counts the reservation.
    #[must_use]
    pub const fn may_have_been_billed(&self) -> bool {
        matches!(
            self,
            Self::TimedOut { .. }
                | Self::Cut { .. }
                | Self::TooLarge { .. }
                | Self::Malformed { .. }
                | Self::ContentType { .. }
                | Self::Compressed { .. }
                | Self::KeyEchoed { .. }
        )
    }
}

/// Bytes of a provider's words in an error at most.
const MAX_SAID: usize = 300;

/// A provider's words, fit for an error: one line, no control characters, at most [`MAX_SAID`] bytes.
pub(crate) fn quoted(text: &str) -> String {
    let mut clean = String::new();
    for c in text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if clean.len() + c.len_utf8() > MAX_SAID {
            clean.push_str("...");
            break;
        }
        clean.push(c);
    }
    if clean.is_empty() { "(nothing)".to_owned() } else { clean }
}
