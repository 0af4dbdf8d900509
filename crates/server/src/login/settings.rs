//! How people sign in, as the operator says it.

use std::time::Duration;

use autoshare_core::origin::{Origin, Scheme};

/// How people sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginSettings {
    /// Where browsers reach this server.
    pub origin: Origin,
    /// The provider, as its own configuration spells it: https, or http on this machine.
    pub issuer: String,
    /// What the provider calls this server.
    pub client_id: String,
    /// The name of the secret that the provider gave this server; `None` for a client without.
    pub client_secret: Option<String>,
    /// What the provider is asked to tell, beside `openid`: `email`.
    pub scopes: Vec<String>,
    /// The claim that holds a person's groups; `None`: groups count for nothing.
    pub groups_claim: Option<String>,
    /// How long a token of somebody who signed in lasts: 8 h.
    pub session: Duration,
    /// Logins that are under way at once: 10,000. Of more, the oldest must be begun again.
    pub pending: usize,
    /// How long a login may take: 10 min.
    pub pending_for: Duration,
    /// Logins for which the provider is asked at once: 16. Others wait, and are told to come again after [`Self::timeout`].
    pub at_once: usize,
    /// How long one answer of the provider's may take: 10 s.
    pub timeout: Duration,
    /// The least time between two looks at the provider's keys: 60 s.
    pub keys_apart: Duration,
    /// Authorities (PEM) that are trusted beside the platform's.
    pub ca: Option<String>,
}

impl LoginSettings {
    /// The usual ones, for a client without a secret.
    #[must_use]
    pub fn new(origin: Origin, issuer: &str, client_id: &str) -> Self {
        Self {
            origin,
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: None,
            scopes: vec!["email".to_owned()],
            groups_claim: None,
            session: Duration::from_secs(8 * 3_600),
            pending: 10_000,
            pending_for: Duration::from_secs(600),
            at_once: 16,
            timeout: Duration::from_secs(10),
            keys_apart: Duration::from_secs(60),
            ca: None,
        }
    }

    /// The origin as a URL.
    pub(super) fn base(&self) -> String {
        match self.origin.scheme {
            Scheme::Https => format!("https://{}", self.origin),
            Scheme::Http => self.origin.to_string(),
        }
    }
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("[serve.login] {name}: {why}")]
pub struct LoginError {
    /// Which one.
    pub name: &'static str,
    /// What is wrong, and what to do.
    pub why: String,
}
