//! Who serves models, as data: a table in the program that a person's settings extend.
//!
//! A [`ProviderSpec`] is what somebody wrote, every key of it optional; a [`Provider`] is what came of it, checked.

mod spec;

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

pub use self::spec::{ProviderSpec, TlsSpec};
use crate::endpoint::Endpoint;
use crate::error::BrokerError;
use crate::tls::TlsSettings;

const EMBEDDED: &str = include_str!("../../providers.toml");

/// What a provider speaks with us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// OpenAI's chat completions, and whatever is compatible.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Google's `generateContent`.
    Gemini,
}

/// What can be asked of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `chat/completions`.
    Chat,
    /// `responses`.
    Responses,
    /// `messages`.
    Messages,
    /// `messages/count_tokens`.
    CountTokens,
    /// Gemini's `generateContent`.
    Generate,
    /// Gemini's `streamGenerateContent`, as server-sent events.
    StreamGenerate,
    /// `embeddings`; Gemini's `batchEmbedContents`.
    Embeddings,
    /// `images/generations`.
    Images,
    /// The list of models.
    Models,
}

impl Operation {
    /// What it is called in settings and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Generate => "generate",
            Self::StreamGenerate => "stream_generate",
            Self::Embeddings => "embeddings",
            Self::Images => "images",
            Self::Models => "models",
        }
    }
}

impl Dialect {
    /// Its name, as in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
        }
    }

    /// The operation by which a model is called in it.
    #[must_use]
    pub const fn operation(self) -> Operation {
        match self {
            Self::Chat => Operation::Chat,
            Self::Responses => Operation::Responses,
            Self::Messages => Operation::Messages,
            Self::Gemini => Operation::StreamGenerate,
        }
    }
}

/// How a provider's key is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Auth {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// A header of its own.
    Header(HeaderName),
    /// A parameter of the address.
    Query(String),
    /// There is no key.
    None,
}

/// A provider, checked.
#[derive(Debug, Clone)]
pub struct Provider {
    pub(crate) name: String,
    pub(crate) dialect: Dialect,
    /// `None` if its address must be said first.
    pub(crate) endpoint: Option<Endpoint>,
    /// The address that the table or `[provider.NAME]` says, whatever else was set later.
    pub(crate) usual: Option<Endpoint>,
    pub(crate) auth: Auth,
    /// Names under which its key is looked for, in order.
    pub(crate) keys: Vec<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) cache_salt: bool,
    pub(crate) shared_cache: bool,
    pub(crate) first_line: bool,
    pub(crate) local: bool,
    pub(crate) shared: bool,
    pub(crate) tls: TlsSettings,
}

impl Provider {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it speaks with us.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Where it is: scheme, host and port; `None` if that must be said first.
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        self.endpoint.as_ref().map(Endpoint::origin)
    }

    /// Names under which its key is looked for, in order.
    #[must_use]
    pub fn key_names(&self) -> &[String] {
        &self.keys
    }

    /// Whether it runs on a machine of one's own.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.local
    }

    /// What whoever operates this must know of its settings, a sentence each: checks that are off, tenants that are
    /// not kept apart. For `doctor`, and for every start.
    #[must_use]
    pub fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if self.tls.danger_accept_any_certificate {
            notices.push(format!(
                "provider {}: danger_accept_any_certificate is on: anybody on the way can read the key and every \
                 conversation; name the server's authority with ca_file instead",
                self.name
            ));
        }
        if self.local && self.shared && !self.cache_salt {
            notices.push(format!(
                "provider {}: shared is on: its cache may tell one tenant what another asked",
                self.name
            ));
        }
        notices
    }

    /// Whether it can be asked for this.
    #[must_use]
    pub fn has(&self, operation: Operation) -> bool {
        match operation {
            Operation::Generate | Operation::StreamGenerate => self.dialect == Dialect::Gemini,
            _ => self.dialect.operation() == operation || self.operations.contains(&operation),
        }
    }

    /// The provider that an address without a name means: chat completions, and no key that is for another.
    pub(crate) fn unnamed(endpoint: Endpoint) -> Self {
        Self {
            name: "endpoint".to_owned(),
            dialect: Dialect::Chat,
            endpoint: Some(endpoint),
            usual: None,
            auth: Auth::Bearer,
            keys: Vec::new(),
            headers: HeaderMap::new(),
            query: Vec::new(),
            operations: vec![Operation::Responses, Operation::Embeddings, Operation::Images, Operation::Models],
            cache_salt: false,
            shared_cache: false,
            first_line: false,
            local: false,
            shared: false,
            tls: TlsSettings::default(),
        }
    }
}

/// The providers that are known, by name.
#[derive(Debug, Clone)]
pub struct Providers {
    by_name: BTreeMap<String, Provider>,
}

impl Default for Providers {
    /// The table in the program. A test holds that all of it is taken.
    fn default() -> Self {
        let specs: BTreeMap<String, ProviderSpec> = toml::from_str(EMBEDDED).unwrap_or_default();
        let by_name = specs
            .into_iter()
            .filter_map(|(name, spec)| Some((name.clone(), spec.over(&name, None, TlsSettings::default()).ok()?)))
            .collect();
        Self { by_name }
    }
}

impl Providers {
    /// Changes a provider, or adds one. `tls` is what the files that `spec.tls` names hold.
    ///
    /// # Errors
    /// [`BrokerError::Provider`] for a name or value that cannot be one.
    pub fn extend(&mut self, name: &str, spec: &ProviderSpec, tls: TlsSettings) -> Result<(), BrokerError> {
        let provider = spec.over(name, self.by_name.get(name), tls)?;
        self.by_name.insert(name.to_owned(), provider);
        Ok(())
    }

    /// All of them, sorted by name.
    pub fn all(&self) -> impl Iterator<Item = &Provider> {
        self.by_name.values()
    }

    /// The one of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.by_name.get(name)
    }

    pub(crate) fn set_endpoint(&mut self, name: &str, endpoint: Endpoint) {
        if let Some(provider) = self.by_name.get_mut(name) {
            provider.endpoint = Some(endpoint);
        }
    }
}

/// A header as somebody wrote it in settings.
pub(crate) fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
}
