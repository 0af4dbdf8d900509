//! `[network]`: what programs in cells may reach without being told on the command line, and with which credentials.

use std::path::PathBuf;

use autoshare_broker::egress::Allow;
use autoshare_core::origin::Origin;
use autoshare_vault::secrets::SecretName;
use serde::Deserialize;

use super::SettingsError;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NetworkSection {
    pub(crate) allow: Vec<String>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) inject: Vec<InjectSection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InjectSection {
    pub(crate) secret: String,
    pub(crate) host: Option<String>,
}

/// A secret that is put into the requests of a cell.
#[derive(Debug, Clone)]
pub(crate) struct Inject {
    pub(crate) secret: SecretName,
    /// Of the secret's hosts, that one alone.
    pub(crate) host: Option<Origin>,
}

impl Inject {
    /// `NAME`, or `NAME=HOST`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (secret, host) = text.split_once('=').map_or((text, None), |(secret, host)| (secret, Some(host)));
        Self::of(secret, host)
    }

    fn of(secret: &str, host: Option<&str>) -> Result<Self, String> {
        let secret = SecretName::parse(secret).map_err(|e| e.to_string())?;
        let host = host.map(Origin::parse).transpose().map_err(|e| e.to_string())?;
        Ok(Self { secret, host })
    }
}

/// What programs in cells may reach.
#[derive(Debug, Default)]
pub(crate) struct Network {
    /// The rules that hold for every program.
    pub(crate) allow: Vec<Allow>,
    /// The credentials that every program's requests bear.
    pub(crate) inject: Vec<Inject>,
    /// Roots, as PEM, beside those of this machine.
    pub(crate) ca: Option<String>,
}

impl Network {
    pub(super) fn of(section: &NetworkSection) -> Result<Self, SettingsError> {
        let wrong = |name: &str, value: &str, why: String| SettingsError::Wrong {
            name: format!("network.{name}"),
            value: value.to_owned(),
            why,
        };
        let allow = |rule: &String| Allow::parse(rule).map_err(|e| wrong("allow", rule, e.to_string()));
        let inject = |one: &InjectSection| {
            Inject::of(&one.secret, one.host.as_deref()).map_err(|e| wrong("inject", &one.secret, e))
        };
        Ok(Self {
            allow: section.allow.iter().map(allow).collect::<Result<_, _>>()?,
            inject: section.inject.iter().map(inject).collect::<Result<_, _>>()?,
            ca: section.ca_file.as_deref().map(super::file::read_text).transpose()?,
        })
    }
}
