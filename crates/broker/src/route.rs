//! Where a call to a model goes: the provider, its address, its key, the model's name there.

use std::fmt;
use std::sync::Arc;

use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Url};

use crate::breaker::{Breaker, Breakers};
use crate::client::Learnt;
use crate::credentials::Credential;
use crate::endpoint::{Endpoint, Key};
use crate::error::BrokerError;
use crate::prices::{Abilities, Facts, Price};
use crate::provider::{Dialect, Operation, Provider};

/// A provider as one tenant reaches it: its address, and the connections that are this tenant's alone.
pub(crate) struct Upstream {
    pub(crate) provider: Provider,
    pub(crate) endpoint: Endpoint,
    pub(crate) http: reqwest::Client,
    pub(crate) learnt: Learnt,
    pub(crate) breakers: Breakers,
}

/// A way to one model. Cheap to make; made anew for every call, so that a key that was replaced holds at once.
#[derive(Clone)]
pub struct Route {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) model: String,
    pub(crate) credential: Option<Credential>,
    /// Where a key was or would be looked for, for messages.
    pub(crate) key_from: String,
    pub(crate) facts: Facts,
    pub(crate) price: Price,
    pub(crate) breaker: Arc<Breaker>,
    /// What keeps this tenant's share of a prompt cache apart, if the provider takes it.
    pub(crate) cache_salt: Option<String>,
    /// What every conversation begins with, where the cache is shared and the operator wants it so.
    pub(crate) first_line: Option<String>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("provider", &self.provider())
            .field("at", &self.origin())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl Route {
    /// The provider's name.
    #[must_use]
    pub fn provider(&self) -> &str {
        self.upstream.provider.name()
    }

    /// What the provider speaks with us when it is called through [`crate::Model`]. It may have others, natively: see
    /// [`Route::has`].
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.upstream.provider.dialect
    }

    /// Scheme, host and port of what is called.
    #[must_use]
    pub fn origin(&self) -> String {
        self.upstream.endpoint.origin()
    }

    /// The model's name, as the provider knows it: what goes into the request.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// What its tokens cost.
    #[must_use]
    pub const fn price(&self) -> Price {
        self.price
    }

    /// Tokens of context.
    #[must_use]
    pub const fn window(&self) -> u64 {
        self.facts.window
    }

    /// Tokens of one reply at most.
    #[must_use]
    pub const fn max_output(&self) -> u64 {
        self.facts.max_output
    }

    /// What the model can do, as far as it is known.
    #[must_use]
    pub const fn abilities(&self) -> Abilities {
        self.facts.abilities
    }

    /// The circuit breaker of this provider and model. Whoever sends a request by [`Route::request`] asks it before and
    /// tells it after.
    #[must_use]
    pub const fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }

    /// The value that goes into `cache_salt` of a request, in place of any that a caller put there; `None`: the
    /// provider takes none, and the field is taken out.
    #[must_use]
    pub fn cache_salt(&self) -> Option<&str> {
        self.cache_salt.as_deref()
    }

    /// A line that every conversation of this tenant begins with, where that is how a shared prompt cache is kept apart.
    #[must_use]
    pub fn first_line(&self) -> Option<&str> {
        self.first_line.as_deref()
    }

    /// Whether the provider can be asked for this.
    #[must_use]
    pub fn has(&self, operation: Operation) -> bool {
        self.upstream.provider.has(operation)
    }

    /// The address for an operation, without the key.
    ///
    /// # Errors
    /// [`BrokerError::NoOperation`] if this provider has no such operation.
    pub fn url(&self, operation: Operation) -> Result<Url, BrokerError> {
        let provider = &self.upstream.provider;
        if !provider.has(operation) {
            return Err(BrokerError::NoOperation { provider: provider.name.clone(), operation: operation.name() });
        }
        let gemini = |method: &str| format!("{}:{method}", self.model.trim_start_matches("models/"));
        let method = match operation {
            Operation::Generate => gemini("generateContent"),
            Operation::StreamGenerate => gemini("streamGenerateContent"),
            _ => gemini("batchEmbedContents"),
        };
        let path: &[&str] = match (operation, provider.dialect) {
            (Operation::Generate | Operation::StreamGenerate, _) | (Operation::Embeddings, Dialect::Gemini) => {
                &["models", &method]
            }
            (Operation::Chat, _) => &["chat", "completions"],
            (Operation::Responses, _) => &["responses"],
            (Operation::Messages, _) => &["messages"],
            (Operation::CountTokens, _) => &["messages", "count_tokens"],
            (Operation::Embeddings, _) => &["embeddings"],
            (Operation::Images, _) => &["images", "generations"],
            (Operation::Models, _) => &["models"],
        };
        let mut url = self.upstream.endpoint.at(path, &self.model)?;
        for (key, value) in &provider.query {
            url.query_pairs_mut().append_pair(key, value);
        }
        if operation == Operation::StreamGenerate {
            url.query_pairs_mut().append_pair("alt", "sse");
        }
        Ok(url)
    }

    /// A request for an operation, with address, the provider's headers and the key; the body is the caller's to add.
    /// Nothing but this puts a key into a request.
    ///
    /// # Errors
    /// [`BrokerError::NoOperation`] if this provider has no such operation.
    pub fn request(&self, operation: Operation) -> Result<RequestBuilder, BrokerError> {
        let mut url = self.url(operation)?;
        let mut headers: HeaderMap = self.upstream.provider.headers.clone();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let method = if operation == Operation::Models {
            Method::GET
        } else {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Method::POST
        };
        if let Some(credential) = &self.credential {
            credential.put(&mut url, &mut headers);
        }
        Ok(self.upstream.http.request(method, url).headers(headers))
    }

    /// What the endpoint turned out to want.
    pub(crate) fn quirks(&self) -> crate::dialect::Quirks {
        self.upstream.learnt.quirks()
    }

    /// The key, for looking whether an answer repeats it.
    pub(crate) fn key(&self) -> Option<&Key> {
        self.credential.as_ref().map(Credential::key)
    }

    /// A text with the key struck out, if it repeats it.
    #[must_use]
    pub fn without_key(&self, text: &str) -> String {
        self.credential.as_ref().map_or_else(|| text.to_owned(), |credential| credential.key().struck_from(text))
    }

    /// Whether a text repeats the key.
    #[must_use]
    pub fn repeats_key(&self, text: &str) -> bool {
        self.credential.as_ref().is_some_and(|credential| credential.key().is_in(text))
    }
}
