//! What a broker is told once: credential, address, prices, patience.

use std::fmt;
use std::time::Duration;

use autoshare_vault::Sensitive;

use crate::prices::Prices;
use crate::retry::Retries;

/// Everything a [`crate::Broker`] needs to know.
pub struct Settings {
    /// The key, sent as a bearer token to the origin of `base_url` and to no other.
    pub api_key: Option<Sensitive>,
    /// Where the key came from, for messages: the name of a variable or file.
    pub key_from: String,
    /// The endpoint; `None` is `https://api.openai.com/v1`.
    pub base_url: Option<String>,
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
            api_key: None,
            key_from: "OPENAI_API_KEY".to_owned(),
            base_url: None,
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
