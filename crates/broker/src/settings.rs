//! What a broker is told once: credential, address, prices, patience.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use autoshare_vault::Sensitive;

use crate::breaker::BreakerSettings;
use crate::claims::Claims;
use crate::credentials::Credentials;
use crate::prices::Prices;
use crate::provider::Providers;
use crate::retry::Retries;

/// Everything a [`crate::Broker`] needs to know.
pub struct Settings {
    /// The providers that are known.
    pub providers: Providers,
    /// The provider of names that say none and stand in no table.
    pub default_provider: String,
    /// The address of the default provider, if it is another than usual. Names without a provider go there then.
    pub base_url: Option<String>,
    /// The default provider's key, where it is not to be looked for; like all keys it goes to its provider's origin and
    /// to no other.
    pub api_key: Option<Sensitive>,
    /// Where `api_key` came from or would come from, for messages; empty: the name the provider says.
    pub key_from: String,
    /// Where all other keys are looked for.
    pub credentials: Box<dyn Credentials>,
    /// Whose broker it is.
    pub tenant: String,
    /// Whose the local servers are: the same for the brokers of all tenants.
    pub claims: Arc<Claims>,
    /// Keeps this tenant's share of a prompt cache apart, where the provider takes a salt. `None`: one that is random
    /// and holds as long as the broker.
    pub cache_salt: Option<String>,
    /// When a provider that fails is left alone.
    pub breaker: BreakerSettings,
    /// What is called instead of a model that fails, in order.
    pub fallbacks: BTreeMap<String, Vec<String>>,
    /// Windows and prices of models.
    pub prices: Prices,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// How often to try again.
    pub retries: Retries,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            providers: Providers::default(),
            default_provider: "openai".to_owned(),
            base_url: None,
            api_key: None,
            key_from: String::new(),
            credentials: Box::new(()),
            tenant: "local".to_owned(),
            claims: Arc::default(),
            cache_salt: None,
            breaker: BreakerSettings::default(),
            fallbacks: BTreeMap::new(),
            prices: Prices::default(),
            timeouts: Timeouts::default(),
            retries: Retries::default(),
        }
    }
}

/// Neither the key nor the base URL (which may hold a password until it is checked) is shown.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("api_key", &self.api_key.is_some())
            .field("key_from", &self.key_from)
            .field("base_url", &self.base_url.is_some())
            .field("timeouts", &self.timeouts)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

/// How long one call may take. No call is without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands, TLS included: 10 s.
    pub connect: Duration,
    /// From the request until the first byte of the reply's body: 180 s, for a local server may have to load the model.
    pub first_byte: Duration,
    /// Between two pieces of a reply: 60 s.
    pub idle: Duration,
    /// The whole call, all tries and waits: 900 s.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(180),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(900),
        }
    }
}
