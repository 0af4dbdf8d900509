//! From a model's name to a model.

use std::io::Read as _;
use std::sync::OnceLock;

use autoshare_core::usage::MicroUsd;

use crate::endpoint::{DEFAULT_BASE_URL, Endpoint, Key};
use crate::error::BrokerError;
use crate::model::{Engine, Model, ModelRef};
use crate::openai::{self, Client, Learnt};
use crate::prices::{Facts, Known, Price, PriceSource, Prices};
use crate::retry::Retries;
use crate::settings::{Settings, Timeouts};
use crate::standin::replay::Replay;

/// Bytes of a record at most.
const MAX_RECORD: u64 = 64 * 1024 * 1024;
/// A stand-in has no window of its own; one this large never gets in the way.
const STAND_IN: Facts = Facts { window: 200_000, max_output: 8_192, input: MicroUsd(0), output: MicroUsd(0) };

/// The way to models, for one tenant: its connections and TLS sessions are shared with no other broker.
pub struct Broker {
    endpoint: Endpoint,
    key: Option<Key>,
    key_from: String,
    prices: Prices,
    timeouts: Timeouts,
    retries: Retries,
    plain: OnceLock<reqwest::Client>,
    tls: OnceLock<reqwest::Client>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("at", &self.endpoint.origin()).finish_non_exhaustive()
    }
}

impl Broker {
    /// Checks the settings; nothing is connected yet.
    ///
    /// # Errors
    /// [`BrokerError`] for a base URL or key that cannot be one.
    pub fn new(settings: Settings) -> Result<Self, BrokerError> {
        let endpoint = Endpoint::parse(settings.base_url.as_deref().unwrap_or(DEFAULT_BASE_URL))?;
        let key = settings.api_key.map(|key| Key::new(key, &settings.key_from)).transpose()?;
        Ok(Self {
            endpoint,
            key,
            key_from: settings.key_from,
            prices: settings.prices,
            timeouts: settings.timeouts,
            retries: settings.retries,
            plain: OnceLock::new(),
            tls: OnceLock::new(),
        })
    }

    /// The models of the price table, sorted by name.
    #[must_use]
    pub fn known(&self) -> Vec<Known> {
        self.prices.known()
    }

    /// The model of this name: what [`ModelRef`] says of it.
    ///
    /// # Errors
    /// [`BrokerError`] for a name or base URL that cannot be one, for OpenAI's own endpoint without a key, and for a
    /// record that cannot be read.
    pub fn model(&self, name: &str) -> Result<Model, BrokerError> {
        let stand_in = |engine| {
            let price = Price::free(PriceSource::StandIn);
            Ok(Model { name: name.to_owned(), facts: STAND_IN, price, engine })
        };
        match ModelRef::parse(name)? {
            ModelRef::Gullible => stand_in(Engine::Gullible),
            ModelRef::Replay { file } => stand_in(Engine::Replay(load_record(&file)?)),
            ModelRef::OpenAi { base_url, model } => {
                let endpoint = base_url.as_deref().map_or(Ok(self.endpoint.clone()), Endpoint::parse)?;
                self.endpoint_model(name, model, endpoint)
            }
        }
    }

    fn endpoint_model(&self, name: &str, model: String, endpoint: Endpoint) -> Result<Model, BrokerError> {
        // A key is for the origin it was given for: `NAME@URL` sends it nowhere else.
        let key = self.key.clone().filter(|_| endpoint.origin() == self.endpoint.origin());
        if key.is_none() && endpoint.is_openai() {
            return Err(BrokerError::NoKey { who: endpoint.origin(), from: self.key_from.clone() });
        }
        let (facts, source) = match self.prices.find(&model) {
            Some(facts) => (facts, PriceSource::Table),
            None if endpoint.is_loopback() => (self.prices.unknown(), PriceSource::Local),
            None => (self.prices.unknown(), PriceSource::Assumed),
        };
        let price = match source {
            PriceSource::Local => Price::free(source),
            _ => Price { input: facts.input, output: facts.output, source },
        };
        let client = Client {
            http: self.http(endpoint.is_https())?,
            learnt: Learnt::of(&endpoint),
            endpoint,
            key,
            key_from: self.key_from.clone(),
            model,
            price,
            timeouts: self.timeouts,
            retries: self.retries,
        };
        Ok(Model { name: name.to_owned(), facts, price, engine: Engine::OpenAi(Box::new(client)) })
    }

    fn http(&self, https: bool) -> Result<reqwest::Client, BrokerError> {
        let cell = if https { &self.tls } else { &self.plain };
        if let Some(client) = cell.get() {
            return Ok(client.clone());
        }
        let client = openai::http_client(https, &self.timeouts)?;
        Ok(cell.get_or_init(|| client).clone())
    }
}

#[allow(clippy::disallowed_methods, reason = "the one loader of records; the person named the file after --model")]
fn load_record(file: &str) -> Result<Replay, BrokerError> {
    let wrong = |why: String| BrokerError::Record { file: file.to_owned(), why };
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(MAX_RECORD + 1).read_to_end(&mut bytes))
        .map_err(|e| wrong(e.to_string()))?;
    if bytes.len() as u64 > MAX_RECORD {
        return Err(wrong(format!("it has more than {MAX_RECORD} bytes")));
    }
    Replay::load(&bytes).map_err(|e| wrong(e.to_string()))
}
