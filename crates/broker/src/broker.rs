//! From a model's name to a way to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use autoshare_core::usage::MicroUsd;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

use crate::breaker::{BreakerSettings, Breakers};
use crate::claims::Claims;
use crate::client::{self, Client, Learnt};
use crate::credentials::{Credential, Credentials};
use crate::endpoint::{Endpoint, Key};
use crate::error::{BrokerError, ModelError};
use crate::extras::{Embeddings, ImageWish, MAX_IMAGES, MAX_PROMPT, MAX_TEXT_BYTES, MAX_TEXTS, Pictures};
use crate::model::{Engine, Model, ModelRef};
use crate::prices::{Facts, Known, Price, PriceSource, Prices, UNKNOWN};
use crate::provider::{Auth, Provider, Providers};
use crate::retry::{self, Retries};
use crate::route::{Route, Upstream};
use crate::settings::{Settings, Timeouts};
use crate::standin::replay::Replay;
use crate::tls::TlsSettings;

/// Bytes of a record at most.
const MAX_RECORD: u64 = 64 * 1024 * 1024;
/// A stand-in has no window of its own; one this large never gets in the way.
const STAND_IN: Facts =
    Facts { window: 200_000, max_output: 8_192, input: MicroUsd(0), output: MicroUsd(0), ..UNKNOWN };
/// Models that are called instead of one at most.
const MAX_FALLBACKS: usize = 8;
/// Addresses that one broker has connections for at most. They are a person's words, never a caller's.
const MAX_UPSTREAMS: usize = 256;

/// The way to models, for one tenant: its connections and TLS sessions are shared with no other broker.
pub struct Broker {
    providers: Providers,
    default_provider: String,
    /// Whether the default provider's address was said: then names without a provider go there.
    elsewhere: Elsewhere,
    /// The default provider's key and where it came from.
    key: Option<Key>,
    key_from: String,
    credentials: Box<dyn Credentials>,
    tenant: String,
    claims: Arc<Claims>,
    cache_salt: String,
    breaker: BreakerSettings,
    fallbacks: BTreeMap<String, Vec<String>>,
    prices: Prices,
    timeouts: Timeouts,
    retries: Retries,
    plain: OnceLock<reqwest::Client>,
    tls: OnceLock<reqwest::Client>,
    upstreams: Mutex<BTreeMap<(String, String), Arc<Upstream>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Elsewhere {
    Yes,
    No,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.providers.get(&self.default_provider).and_then(Provider::origin);
        f.debug_struct("Broker").field("at", &at).finish_non_exhaustive()
    }
}

impl Broker {
    /// Checks the settings; nothing is connected yet.
    ///
    /// # Errors
    /// [`BrokerError`] for a base URL or key that cannot be one, a default provider that is not known, and names of
    /// fallbacks that cannot be any.
    pub fn new(settings: Settings) -> Result<Self, BrokerError> {
        let mut providers = settings.providers;
        let default_provider = settings.default_provider;
        let known = providers
            .get(&default_provider)
            .ok_or_else(|| BrokerError::NoAddress { name: default_provider.chars().take(80).collect() })?;
        let key_from = match settings.key_from {
            from if from.is_empty() => known.keys.first().cloned().unwrap_or_else(|| "OPENAI_API_KEY".to_owned()),
            from => from,
        };
        let elsewhere = match settings.base_url.as_deref() {
            None => Elsewhere::No,
            Some(url) => {
                providers.set_endpoint(&default_provider, Endpoint::parse(url)?);
                Elsewhere::Yes
            }
        };
        for others in settings.fallbacks.values() {
            if others.len() > MAX_FALLBACKS {
                return Err(BrokerError::TooMuch {
                    what: "models that are called instead of one",
                    limit: MAX_FALLBACKS,
                });
            }
            for other in others {
                named_alone(other)?;
            }
        }
        let key = settings.api_key.map(|key| Key::new(Arc::new(key), &key_from)).transpose()?;
        let cache_salt = match settings.cache_salt {
            Some(salt) => salt,
            None => (0..8).map(|_| format!("{:08x}", retry::random())).collect(),
        };
        Ok(Self {
            providers,
            default_provider,
            elsewhere,
            key,
            key_from,
            credentials: settings.credentials,
            tenant: settings.tenant,
            claims: settings.claims,
            cache_salt,
            breaker: settings.breaker,
            fallbacks: settings.fallbacks,
            prices: settings.prices,
            timeouts: settings.timeouts,
            retries: settings.retries,
            plain: OnceLock::new(),
            tls: OnceLock::new(),
            upstreams: Mutex::default(),
        })
    }

    /// The models of the price table, sorted by name.
    #[must_use]
    pub fn known(&self) -> Vec<Known> {
        self.prices.known()
    }

    /// The providers that are known, sorted by name.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.all()
    }

    /// The model of this name: what [`ModelRef`] says of it. For a person's words alone: a name may hold an address or a
    /// file. What a caller of the gateway asks for goes through [`Broker::route`].
    ///
    /// # Errors
    /// [`BrokerError`] for a name or base URL that cannot be one, for a provider without its key, and for a record that
    /// cannot be read.
    pub fn model(&self, name: &str) -> Result<Model, BrokerError> {
        let stand_in = |engine| {
            let price = Price::free(PriceSource::StandIn);
            Ok(Model { name: name.to_owned(), facts: STAND_IN, price, engine })
        };
        match ModelRef::parse(name)? {
            ModelRef::Gullible => stand_in(Engine::Gullible),
            ModelRef::Replay { file } => stand_in(Engine::Replay(load_record(&file)?)),
            ModelRef::Named { base_url, model } => {
                let route = self.resolve(&model, base_url.as_deref())?;
                let (facts, price) = (route.facts, route.price);
                let mut chain = vec![self.client(name, route)];
                for other in self.fallbacks(name) {
                    chain.push(self.client(other, self.route(other)?));
                }
                Ok(Model { name: name.to_owned(), facts, price, engine: Engine::Called(chain) })
            }
        }
    }

    /// The way to the model of this name: `NAME` or `PROVIDER/NAME`. Safe for a caller's words: no name leads anywhere
    /// but to the providers of the settings.
    ///
    /// # Errors
    /// [`BrokerError::NotHere`] for a name that holds an address or means a stand-in; else as [`Broker::model`].
    pub fn route(&self, model: &str) -> Result<Route, BrokerError> {
        self.resolve(&named_alone(model)?, None)
    }

    /// The same for a caller who speaks to one provider's interface: a name that says no provider, and that the table of
    /// models does not know, is one of that provider's.
    pub(crate) fn route_of(&self, provider: &str, model: &str) -> Result<Route, BrokerError> {
        let is_known = self.providers.get(model.split('/').next().unwrap_or_default()).is_some();
        // Who has named one address for all that says no provider means these as well.
        if is_known
            || self.elsewhere == Elsewhere::Yes
            || self.prices.provider_of(model).is_some_and(|theirs| theirs != provider)
        {
            return self.route(model);
        }
        self.route(&format!("{provider}/{model}"))
    }

    /// The providers of which a model is left alone for now, since its calls failed one after another; sorted.
    #[must_use]
    pub fn resting(&self) -> Vec<String> {
        let upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        let open = upstreams.values().filter(|upstream| upstream.breakers.is_one_open());
        let names: BTreeSet<_> = open.map(|upstream| upstream.provider.name.clone()).collect();
        names.into_iter().collect()
    }

    /// Vectors of texts, in their order.
    ///
    /// # Errors
    /// Any [`ModelError`]; [`BrokerError::TooMuch`] for more than [`MAX_TEXTS`] texts or [`MAX_TEXT_BYTES`] bytes.
    pub async fn embed(&self, model: &str, texts: &[&str]) -> Result<Embeddings, ModelError> {
        if texts.is_empty() || texts.len() > MAX_TEXTS {
            return Err(BrokerError::TooMuch { what: "a number of texts, of 1 or more", limit: MAX_TEXTS }.into());
        }
        if texts.iter().map(|text| text.len()).sum::<usize>() > MAX_TEXT_BYTES {
            return Err(BrokerError::TooMuch { what: "bytes of texts", limit: MAX_TEXT_BYTES }.into());
        }
        self.client(model, self.route(model)?).embed(texts).await
    }

    /// Images of a description.
    ///
    /// # Errors
    /// Any [`ModelError`]; [`BrokerError::TooMuch`] for a description of more than [`MAX_PROMPT`] bytes, or for more
    /// than [`MAX_IMAGES`] images.
    pub async fn image(&self, model: &str, prompt: &str, wish: &ImageWish) -> Result<Pictures, ModelError> {
        if prompt.is_empty() || prompt.len() > MAX_PROMPT {
            return Err(BrokerError::TooMuch { what: "bytes of a description, of 1 or more", limit: MAX_PROMPT }.into());
        }
        if !(1..=MAX_IMAGES).contains(&wish.count) {
            let limit = usize::from(MAX_IMAGES);
            return Err(BrokerError::TooMuch { what: "a number of images, of 1 or more", limit }.into());
        }
        self.client(model, self.route(model)?).image(prompt, wish).await
    }

    fn client(&self, name: &str, route: Route) -> Client {
        Client { name: name.to_owned(), route, timeouts: self.timeouts, retries: self.retries }
    }

    /// How long a call may take.
    #[must_use]
    pub const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// How often a call is made again.
    #[must_use]
    pub const fn retries(&self) -> Retries {
        self.retries
    }

    /// The models that are called in turn when this one fails, as the settings say.
    #[must_use]
    pub fn fallbacks(&self, model: &str) -> &[String] {
        self.fallbacks.get(model).map_or(&[], Vec::as_slice)
    }

    /// `openai/gpt-5` names its provider. A name without one goes to the address of the settings if they say one, else
    /// to the provider that the table of models says, else to the default provider.
    fn resolve(&self, name: &str, base_url: Option<&str>) -> Result<Route, BrokerError> {
        let named = name.split_once('/').and_then(|(first, rest)| Some((self.providers.get(first)?, rest)));
        let usual = || self.providers.get(&self.default_provider);
        let (provider, model) = match named.filter(|(_, rest)| !rest.is_empty()) {
            Some(found) => found,
            None => {
                let by_table = || self.providers.get(self.prices.provider_of(name)?);
                let provider = match (base_url, self.elsewhere) {
                    (None, Elsewhere::No) => by_table().or_else(usual),
                    _ => usual(),
                };
                (provider.ok_or_else(|| BrokerError::NoAddress { name: self.default_provider.clone() })?, name)
            }
        };
        let own = provider.endpoint.as_ref();
        let endpoint = match base_url {
            Some(url) => Endpoint::parse(url)?,
            None => own.cloned().ok_or_else(|| BrokerError::NoAddress { name: provider.name.clone() })?,
        };
        // A key is for the origin it was given for: `NAME@URL` sends it nowhere else.
        let at_home = own.is_some_and(|own| own.origin() == endpoint.origin());
        let (credential, key_from) = self.credential(provider, &endpoint.origin())?;
        let credential = credential.filter(|_| at_home);
        if credential.is_none() && endpoint.wants_key(provider) {
            return Err(BrokerError::NoKey { who: endpoint.origin(), from: key_from });
        }
        let upstream = match (at_home, named) {
            // An address without a provider's name: what stands there is not known.
            (false, None) => self.upstream(&Provider::unnamed(endpoint.clone()), endpoint)?,
            // Nor is the certificate that is shown to a provider shown to another.
            (false, Some(_)) => {
                self.upstream(&Provider { tls: TlsSettings::default(), ..provider.clone() }, endpoint)?
            }
            _ => self.upstream(provider, endpoint)?,
        };
        Ok(self.finish(upstream, model, credential, key_from))
    }

    fn finish(&self, upstream: Arc<Upstream>, model: &str, credential: Option<Credential>, key_from: String) -> Route {
        let local = upstream.endpoint.is_loopback() || upstream.provider.local;
        let (facts, source) = match self.prices.find(model) {
            Some(facts) => (facts, PriceSource::Table),
            None if local => (self.prices.unknown(), PriceSource::Local),
            None => (self.prices.unknown(), PriceSource::Assumed),
        };
        let price = match source {
            PriceSource::Local => Price::free(source),
            _ => Price::of(&facts, source),
        };
        let breaker = upstream.breakers.of(model);
        let provider = &upstream.provider;
        let cache_salt = provider.cache_salt.then(|| self.cache_salt.clone());
        let first_line = (provider.shared_cache && provider.first_line).then(|| self.first_line());
        Route { model: model.to_owned(), credential, key_from, facts, price, breaker, cache_salt, first_line, upstream }
    }

    /// A line that is this tenant's alone and says nothing.
    fn first_line(&self) -> String {
        let digest = Sha256::digest(format!("first line of {}", self.cache_salt));
        let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("Conversation space {name}.")
    }

    /// A provider's key, and where it was looked for.
    fn credential(&self, provider: &Provider, origin: &str) -> Result<(Option<Credential>, String), BrokerError> {
        let usual = provider.name == self.default_provider;
        let from = if usual {
            self.key_from.clone()
        } else {
            provider.keys.first().cloned().unwrap_or_else(|| format!("key and auth below [provider.{}]", provider.name))
        };
        if provider.auth == Auth::None {
            return Ok((None, from));
        }
        if let Some(key) = self.key.clone().filter(|_| usual) {
            return Ok((Some(Credential::new(key, provider.auth.clone())), from));
        }
        for name in &provider.keys {
            if let Some(key) = self.credentials.find(name, origin) {
                return Ok((Some(Credential::new(Key::new(key, name)?, provider.auth.clone())), name.clone()));
            }
        }
        Ok((None, from))
    }

    fn upstream(&self, provider: &Provider, endpoint: Endpoint) -> Result<Arc<Upstream>, BrokerError> {
        let name = (provider.name.clone(), endpoint.to_string());
        let lock = || self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&name) {
            return Ok(Arc::clone(known));
        }
        let local = provider.local || endpoint.is_loopback();
        let kept_apart = provider.cache_salt || provider.shared;
        if local && !kept_apart && !self.claims.take(&endpoint.origin(), &self.tenant) {
            return Err(BrokerError::OtherTenants { provider: provider.name.clone(), who: endpoint.origin() });
        }
        let upstream = Arc::new(Upstream {
            http: self.http(&endpoint, provider)?,
            learnt: Learnt::of(&endpoint),
            breakers: Breakers::new(self.breaker),
            provider: provider.clone(),
            endpoint,
        });
        let mut upstreams = lock();
        if upstreams.len() >= MAX_UPSTREAMS {
            return Ok(upstream);
        }
        Ok(Arc::clone(upstreams.entry(name).or_insert(upstream)))
    }

    fn http(&self, endpoint: &Endpoint, provider: &Provider) -> Result<reqwest::Client, BrokerError> {
        let https = endpoint.is_https();
        if https && !provider.tls.is_usual() {
            return client::http_client_with(&provider.tls, &self.timeouts);
        }
        let cell = if https { &self.tls } else { &self.plain };
        if let Some(client) = cell.get() {
            return Ok(client.clone());
        }
        let client = client::http_client(https, &self.timeouts)?;
        Ok(cell.get_or_init(|| client).clone())
    }
}

/// A name that holds neither an address nor a stand-in.
fn named_alone(model: &str) -> Result<String, BrokerError> {
    match ModelRef::parse(model)? {
        ModelRef::Named { base_url: None, model } => Ok(model),
        _ => Err(BrokerError::NotHere { given: model.chars().take(80).collect() }),
    }
}

#[allow(clippy::disallowed_methods, reason = "the one loader of records; the person named the file after --model")]
fn load_record(file: &str) -> Result<Replay, BrokerError> {
    let wrong = |why: String| BrokerError::Record { file: file.to_owned(), why };
    let mut bytes = Vec::new();
    // Whoever may write where the record lies could put a pipe there, and nobody waits for what never comes.
    let how = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = rustix::fs::open(file, how, Mode::empty()).map_err(|e| wrong(std::io::Error::from(e).to_string()))?;
    let open = std::fs::File::from(open);
    if !open.metadata().is_ok_and(|of| of.is_file()) {
        return Err(wrong("it is no file".to_owned()));
    }
    open.take(MAX_RECORD + 1).read_to_end(&mut bytes).map_err(|e| wrong(e.to_string()))?;
    if bytes.len() as u64 > MAX_RECORD {
        return Err(wrong(format!("it has more than {MAX_RECORD} bytes")));
    }
    Replay::load(&bytes).map_err(|e| wrong(e.to_string()))
}
