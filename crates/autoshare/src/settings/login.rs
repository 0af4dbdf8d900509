//! `[serve.login]`: the provider by which people sign in.

use std::path::PathBuf;
use std::time::Duration;

use autoshare_core::origin::Origin;
use autoshare_server::login::LoginSettings;
use autoshare_vault::secrets::SecretName;
use serde::Deserialize;

use super::{SettingsError, bounded_in, read_text};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginSection {
    origin: String,
    issuer: String,
    client_id: String,
    client_secret: Option<String>,
    scopes: Option<Vec<String>>,
    groups_claim: Option<String>,
    session_s: Option<u64>,
    pending: Option<u64>,
    pending_s: Option<u64>,
    at_once: Option<u64>,
    timeout_s: Option<u64>,
    keys_s: Option<u64>,
    pub(super) ca_file: Option<PathBuf>,
}

impl LoginSection {
    pub(super) fn read(&self) -> Result<LoginSettings, SettingsError> {
        let wrong = |name: &str, value: &str, why: String| SettingsError::Wrong {
            name: format!("serve.login.{name}"),
            value: value.to_owned(),
            why,
        };
        let origin = Origin::parse(&self.origin).map_err(|why| wrong("origin", &self.origin, why.to_string()))?;
        if self.client_id.trim().is_empty() {
            return Err(wrong("client_id", &self.client_id, "the provider gives one when you register".to_owned()));
        }
        let named = self.client_secret.as_deref().map(SecretName::parse).transpose();
        named.map_err(|why| {
            wrong("client_secret", "", format!("name a secret that is kept, never the secret itself: {why}"))
        })?;
        let usual = LoginSettings::new(origin, &self.issuer, &self.client_id);
        let within = |name, set, usual, accepted| bounded_in("serve.login", name, set, usual, accepted);
        let seconds = |name, set, usual: Duration, accepted| {
            within(name, set, usual.as_secs(), accepted).map(Duration::from_secs)
        };
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(LoginSettings {
            client_secret: self.client_secret.clone(),
            scopes: self.scopes.clone().unwrap_or_else(|| usual.scopes.clone()),
            groups_claim: self.groups_claim.clone(),
            session: seconds("session_s", self.session_s, usual.session, 60..=30 * 86_400)?,
            pending: count(within("pending", self.pending, usual.pending as u64, 1..=1_000_000)?),
            pending_for: seconds("pending_s", self.pending_s, usual.pending_for, 30..=3_600)?,
            at_once: count(within("at_once", self.at_once, usual.at_once as u64, 1..=1_000)?),
            timeout: seconds("timeout_s", self.timeout_s, usual.timeout, 1..=60)?,
            keys_apart: seconds("keys_s", self.keys_s, usual.keys_apart, 1..=3_600)?,
            ca: self.ca_file.as_deref().map(read_text).transpose()?,
            ..usual
        })
    }
}
