//! A request whose asker is known.

use std::str::FromStr;

use autoshare_access::Bearer;
use autoshare_core::audit::{Act, Actor, Entry};
use autoshare_core::{BrainId, Digest, PersonId, ShareId, TenantName, TokenId};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;

use super::aside;
use super::problem::Problem;

/// Items of one page, unless it is said, and at most.
const PAGE: usize = 20;
const MAX_PAGE: usize = 100;

/// A request, once it is known who asks.
pub(crate) struct Ask {
    pub(crate) bearer: Bearer,
    /// Segments of the path, by name.
    pub(crate) path: Vec<(&'static str, String)>,
    /// Parameters of the query, decoded.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Ask {
    fn segment(&self, name: &str) -> Option<&str> {
        self.path.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str())
    }

    /// An id in the path. One that is malformed names nothing.
    fn id<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.segment(name).and_then(|text| text.parse().ok()).ok_or_else(Problem::nothing)
    }

    pub(crate) fn brain(&self) -> Result<BrainId, Problem> {
        self.id("brain")
    }

    pub(crate) fn token(&self) -> Result<TokenId, Problem> {
        self.id("token")
    }

    pub(crate) fn person(&self) -> Result<PersonId, Problem> {
        self.id("person")
    }

    pub(crate) fn share(&self) -> Result<ShareId, Problem> {
        self.id("share")
    }

    pub(crate) fn tenant(&self) -> Result<TenantName, Problem> {
        self.id("tenant")
    }

    pub(crate) fn digest(&self) -> Result<Digest, Problem> {
        self.id("digest")
    }

    pub(crate) fn number(&self, name: &str) -> Result<u64, Problem> {
        self.id(name)
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str, Problem> {
        self.segment(name).ok_or_else(Problem::nothing)
    }

    /// A parameter of the query.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the query, parsed.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str, accepted: &str) -> Result<Option<T>, Problem> {
        let wrong = |text: &str| Problem::bad(format!("{name} is {text:?}: use {accepted}"));
        self.param(name).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    /// How many items are asked for.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        match self.parsed::<usize>("limit", "1 to 100")? {
            None => Ok(PAGE),
            Some(limit @ 1..=MAX_PAGE) => Ok(limit),
            Some(other) => Err(Problem::bad(format!("limit is {other}: use 1 to {MAX_PAGE}"))),
        }
    }

    /// The body, as JSON of this shape.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        // serde takes a list for an object whose fields come in this order; nobody is told of that order.
        if self.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::bad("the body is no JSON object"));
        }
        let read = aside(self.body.len(), || serde_json::from_slice(&self.body));
        read.map_err(|error| Problem::bad(format!("the body does not fit: {error}")))
    }

    /// The same; what a missing body leaves open is as usual.
    pub(crate) fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        if self.body.is_empty() { Ok(T::default()) } else { self.json() }
    }

    /// An entry of the audit trail: whoever asks did this.
    pub(crate) fn entry(&self, act: Act, about: &str) -> Entry {
        Entry::new(Actor::Token { id: self.bearer.token.id.clone() }, act, about)
    }

    /// Who answers for what is done, as records name them.
    pub(crate) fn who(&self) -> String {
        format!("{} (token {})", self.bearer.token.name, self.bearer.token.id)
    }
}

/// Whether a body of this type may be taken for JSON: what a web page can send without being asked (a form, plain text) may
/// not.
pub(crate) fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let is = |value: &str| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    };
    if headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is) {
        return Ok(());
    }
    let words = "send JSON, with Content-Type: application/json";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", words))
}
