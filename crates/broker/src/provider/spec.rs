//! A provider as somebody writes it down.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING};
use serde::Deserialize;

use super::{Auth, Dialect, Operation, Provider, header};
use crate::endpoint::Endpoint;
use crate::error::BrokerError;
use crate::tls::TlsSettings;

/// `[provider.NAME]`: what differs from what is known of that provider. The keys are told in `providers.toml`, and for
/// people in docs/providers.md.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderSpec {
    /// What it speaks; chat completions where nothing is said.
    pub dialect: Option<Dialect>,
    /// What paths are put behind.
    pub base_url: Option<String>,
    /// `bearer`, `header:NAME`, `query:NAME` or `none`.
    pub auth: Option<String>,
    /// Names under which its key is looked for, in order.
    pub key: Option<Vec<String>>,
    /// A file that holds its key.
    pub key_file: Option<PathBuf>,
    /// Sent with every request.
    pub headers: Option<BTreeMap<String, String>>,
    /// Put into every address.
    pub query: Option<BTreeMap<String, String>>,
    /// What it has beside the calls of its dialect.
    pub operations: Option<Vec<Operation>>,
    /// Whether it takes `cache_salt`.
    pub cache_salt: Option<bool>,
    /// Whether its prompt cache is one for all that use the same account.
    pub shared_cache: Option<bool>,
    /// Whether conversations begin with a line of the tenant's, which keeps a shared cache apart and costs tokens.
    pub first_line: Option<bool>,
    /// Whether it runs on a machine of one's own.
    pub local: Option<bool>,
    /// Leave for several tenants to use one local server that has no cache salt.
    pub shared: Option<bool>,
    /// How its certificate is checked, and which one is shown to it.
    pub tls: TlsSpec,
}

/// `[provider.NAME.tls]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSpec {
    /// Authorities that are trusted instead of the platform's (PEM).
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the server's public key (SPKI), hexadecimal; one of them must fit.
    pub pins: Vec<String>,
    /// The certificate that is shown to the server (PEM, with its chain).
    pub client_certificate_file: Option<PathBuf>,
    /// Its key (PEM).
    pub client_key_file: Option<PathBuf>,
    /// Takes any certificate at all.
    pub danger_accept_any_certificate: bool,
}

impl ProviderSpec {
    /// The provider that comes of this over what was known of it.
    pub(super) fn over(&self, name: &str, known: Option<&Provider>, tls: TlsSettings) -> Result<Provider, BrokerError> {
        let wrong = |why: String| BrokerError::Provider { name: name.chars().take(80).collect(), why };
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 40 || !name.chars().all(fits) {
            return Err(wrong("a name is 1 to 40 lower-case letters, digits, - and _".to_owned()));
        }
        let endpoint = match self.base_url.as_deref() {
            Some(url) => Some(Endpoint::parse(url).map_err(|error| wrong(error.to_string()))?),
            None => known.and_then(|known| known.endpoint.clone()),
        };
        if endpoint.is_none() && known.is_none() && name != "azure" {
            return Err(wrong("base_url is missing: say where it is".to_owned()));
        }
        let auth = match self.auth.as_deref() {
            Some(text) => auth(text).ok_or_else(|| {
                wrong(format!("auth is {text:?}; use \"bearer\", \"header:NAME\", \"query:NAME\" or \"none\""))
            })?,
            None => known.map_or(Auth::Bearer, |known| known.auth.clone()),
        };
        let mut headers = known.map(|known| known.headers.clone()).unwrap_or_default();
        extend_headers(&mut headers, self.headers.as_ref()).map_err(&wrong)?;
        let query = match &self.query {
            Some(query) => query.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            None => known.map(|known| known.query.clone()).unwrap_or_default(),
        };
        let flag = |set: Option<bool>, known_as: fn(&Provider) -> bool| set.unwrap_or(known.is_some_and(known_as));
        Ok(Provider {
            name: name.to_owned(),
            dialect: self.dialect.or(known.map(|known| known.dialect)).unwrap_or(Dialect::Chat),
            usual: endpoint.clone(),
            endpoint,
            auth,
            keys: self.key.clone().or_else(|| known.map(|known| known.keys.clone())).unwrap_or_default(),
            headers,
            query,
            operations: self.operations.clone().or_else(|| known.map(|k| k.operations.clone())).unwrap_or_else(usual),
            cache_salt: flag(self.cache_salt, |known| known.cache_salt),
            shared_cache: flag(self.shared_cache, |known| known.shared_cache),
            first_line: flag(self.first_line, |known| known.first_line),
            local: flag(self.local, |known| known.local),
            shared: flag(self.shared, |known| known.shared),
            tls,
        })
    }
}

/// What most endpoints have; one that has not says so itself when it is asked.
fn usual() -> Vec<Operation> {
    vec![Operation::Responses, Operation::Embeddings, Operation::Images, Operation::Models]
}

fn auth(text: &str) -> Option<Auth> {
    match text.split_once(':') {
        None if text == "bearer" => Some(Auth::Bearer),
        None if text == "none" => Some(Auth::None),
        Some(("header", name)) => HeaderName::from_bytes(name.as_bytes()).ok().map(Auth::Header),
        Some(("query", name)) if !name.is_empty() => Some(Auth::Query(name.to_owned())),
        _ => None,
    }
}

/// Headers that are ours to set.
const OURS: [HeaderName; 5] = [AUTHORIZATION, HOST, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING];

fn extend_headers(headers: &mut HeaderMap, set: Option<&BTreeMap<String, String>>) -> Result<(), String> {
    for (name, value) in set.into_iter().flatten() {
        let Some((name, value)) = header(name, value) else {
            return Err(format!("the header {name:?}, or its value, cannot be one"));
        };
        if OURS.contains(&name) {
            return Err(format!("the header {name} cannot be set here: a key is named by `key` and `auth`"));
        }
        headers.insert(name, value);
    }
    Ok(())
}
