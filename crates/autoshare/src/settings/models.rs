//! Who serves models: `[model]` and `[provider.NAME]`, their keys and certificates.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use autoshare_broker::{BreakerSettings, ProviderSpec, Providers, TlsSettings};
use autoshare_vault::Sensitive;

use super::{ConfigFile, SettingsError, file};

/// What the broker is told.
#[derive(Default)]
pub(crate) struct ModelSettings {
    pub(crate) providers: Providers,
    /// The provider of names that say none.
    pub(crate) default_provider: String,
    /// Its address and key, where they were said.
    pub(crate) base_url: Option<String>,
    pub(crate) api_key: Option<Sensitive>,
    /// All other keys, by the names under which providers look for them.
    pub(crate) credentials: BTreeMap<String, Arc<Sensitive>>,
    pub(crate) fallbacks: BTreeMap<String, Vec<String>>,
    pub(crate) breaker: BreakerSettings,
    /// What doctor lists: what is served where nothing but these settings says so, and what is not checked.
    pub(crate) listed: Vec<String>,
    /// What is told at every start.
    pub(crate) warnings: Vec<String>,
    /// Files that were read.
    pub(crate) read_from: Vec<PathBuf>,
}

/// The usual variables of OpenAI's own programs for another address.
const BASE_URLS: [&str; 3] = ["OPENAI_BASE_URL", "OPENAI_API_BASE_URL", "OPENAI_API_BASE"];

impl ModelSettings {
    /// Nobody's keys, and no address but the usual ones.
    pub(super) fn none() -> Self {
        Self { default_provider: "openai".to_owned(), ..Self::default() }
    }

    pub(super) fn load(file: &ConfigFile, get: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let said = |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let default_provider = file.model.provider.clone().unwrap_or_else(|| "openai".to_owned());
        let mut this = Self { default_provider, fallbacks: file.model.fallback.clone(), ..Self::default() };
        let mut specs = file.provider.clone();
        if let Some(endpoint) = said("AZURE_OPENAI_ENDPOINT") {
            let azure = specs.entry("azure".to_owned()).or_default();
            let url = || format!("{}/openai/deployments/{{model}}", endpoint.trim_end_matches('/'));
            azure.base_url.get_or_insert_with(url);
        }
        if let Some(version) = said("AZURE_OPENAI_API_VERSION") {
            let azure = specs.entry("azure".to_owned()).or_default();
            azure.query.get_or_insert_default().entry("api-version".to_owned()).or_insert(version);
        }
        for (name, spec) in specs {
            this.add(&name, spec)?;
        }
        let mut keys = Vec::new();
        for provider in this.providers.all() {
            this.warnings.extend(provider.notices());
            for name in provider.key_names() {
                keys.extend(said(name).map(|key| (name.clone(), Arc::new(Sensitive::new(key)))));
            }
        }
        this.credentials.extend(keys);
        // The variables of OpenAI's programs mean OpenAI's provider, whichever is the default.
        let openai = this.default_provider == "openai";
        let variables = BASE_URLS.iter().find_map(|name| said(name)).filter(|_| openai);
        this.base_url = variables.or_else(|| file.model.base_url.clone());
        let has_key = openai && this.credentials.contains_key("OPENAI_API_KEY");
        if let (false, Some(path)) = (has_key, &file.model.api_key_file) {
            this.api_key = Some(file::read_key(path)?);
        }
        let usual = BreakerSettings::default();
        let faults = super::bounded("breaker_faults", file.limits.breaker_faults, usual.faults.into(), 0..=1_000)?;
        let rest = super::bounded("breaker_rest_s", file.limits.breaker_rest_s, usual.rest.as_secs(), 1..=86_400)?;
        let rest = Duration::from_secs(rest);
        let faults = u32::try_from(faults).unwrap_or(u32::MAX);
        this.breaker = BreakerSettings { faults, rest, longest_rest: usual.longest_rest.max(rest) };
        Ok(this)
    }

    fn add(&mut self, name: &str, mut spec: ProviderSpec) -> Result<(), SettingsError> {
        let section = format!("provider.{name}");
        let wrong = |why: String| SettingsError::Wrong { name: section.clone(), value: name.to_owned(), why };
        if let Some(path) = &spec.key_file {
            let key = format!("[{section}] key_file");
            self.credentials.insert(key.clone(), Arc::new(file::read_key(path)?));
            self.read_from.push(path.clone());
            spec.key.get_or_insert_default().insert(0, key);
        }
        let ca = spec.tls.ca_file.as_deref().map(file::read_text).transpose()?;
        let client = match (&spec.tls.client_certificate_file, &spec.tls.client_key_file) {
            (Some(certificate), Some(key)) => Some((file::read_text(certificate)?, file::read_key(key)?)),
            _ => None,
        };
        let tls = &spec.tls;
        let files = [tls.ca_file.clone(), tls.client_certificate_file.clone(), tls.client_key_file.clone()];
        self.read_from.extend(files.into_iter().flatten());
        let tls = TlsSettings::of(tls, ca, client).map_err(|why| wrong(format!("tls: {why}")))?;
        self.providers.extend(name, &spec, tls).map_err(|error| wrong(error.to_string()))?;
        if let Some(origin) = self.providers.get(name).and_then(|provider| provider.origin())
            && spec.base_url.is_some()
        {
            self.listed.push(format!("models of {name} are called at {origin}, as the settings say"));
        }
        Ok(())
    }

    /// Whether somebody said where models are: then none is looked for on this machine.
    pub(crate) fn is_said(&self) -> bool {
        let usual = self.providers.get(&self.default_provider);
        let has_key = usual.is_some_and(|one| one.key_names().iter().any(|name| self.credentials.contains_key(name)));
        self.base_url.is_some() || self.api_key.is_some() || has_key
    }

    /// What doctor lists.
    pub(crate) fn listed(&self) -> Vec<String> {
        let elsewhere = self
            .base_url
            .iter()
            .map(|_| format!("models of {} are called at an address of the settings", self.default_provider));
        self.listed.iter().cloned().chain(elsewhere).chain(self.warnings.iter().cloned()).collect()
    }
}
