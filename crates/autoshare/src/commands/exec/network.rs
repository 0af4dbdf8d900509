//! The way out of one program: its rules, its credentials, and what it is to trust where TLS is ended for it.

use autoshare_broker::egress::{Credential, Policy};
use autoshare_core::origin::Origin;
use autoshare_host::programs;
use autoshare_host::trust::Trust;
use autoshare_vault::secrets::{About, SecretName};

use super::options::{Options, placeholder, wrong};
use crate::assemble;
use crate::exit::{FAILED, Failure};
use crate::settings::{Inject, Settings};

/// The port of the cell's own loopback on which the way out is.
pub(super) const PORT: u16 = programs::PROXY_PORT;
/// By which programs find the gateway to models.
const GATEWAY_VARIABLES: [(&str, &str); 3] = [
    ("OPENAI_BASE_URL", "/gateway/openai/v1"),
    ("OPENAI_API_BASE", "/gateway/openai/v1"),
    ("ANTHROPIC_BASE_URL", "/gateway/anthropic"),
];
/// By which they look for keys, and do nothing without.
const KEY_VARIABLES: [&str; 3] = ["OPENAI_API_KEY", "CODEX_API_KEY", "ANTHROPIC_API_KEY"];
/// What one program may reach.
pub(super) struct Network {
    pub(super) policy: Policy,
    /// The folder that only its cell is shown.
    pub(super) trust: Option<Trust>,
}

/// Puts it together, and tells the program's environment; nothing where nothing may be reached.
pub(super) fn open(settings: &Settings, options: &mut Options) -> Result<Option<Network>, Failure> {
    if options.allow.is_empty() && options.inject.is_empty() && options.models.is_empty() && !options.ask_hosts {
        return Ok(None);
    }
    let credentials = credentials(settings, &options.inject)?;
    for name in credentials.iter().map(Credential::name) {
        // What is no name of a variable is none.
        if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            options.env.entry(name.to_owned()).or_insert_with(|| placeholder(name));
        }
    }
    let ca = settings.network.ca.as_deref();
    let policy = Policy::new(options.allow.clone(), credentials, settings.connections, ca)
        .map_err(|error| Failure::new(FAILED, error.to_string()))?;
    let proxy = format!("http://127.0.0.1:{PORT}");
    let mut found: Vec<(&str, String)> = Vec::new();
    for (name, value) in programs::proxy_environment() {
        options.env.entry(name).or_insert(value);
    }
    if !options.models.is_empty() {
        found.extend(GATEWAY_VARIABLES.map(|(name, path)| (name, format!("{proxy}{path}"))));
        // Whose SDK insists on a key shows what is none; the gateway knows the cell without it.
        found.extend(KEY_VARIABLES.map(|name| (name, placeholder(name))));
        found.extend(["NO_PROXY", "no_proxy"].map(|name| (name, "127.0.0.1".to_owned())));
    }
    let trust = policy.trust().map(|pem| Trust::put(&settings.data_dir, pem)).transpose()?;
    for (name, value) in found {
        options.env.entry(name.to_owned()).or_insert(value);
    }
    for (name, value) in trust.iter().flat_map(Trust::environment) {
        options.env.entry(name).or_insert(value);
    }
    Ok(Some(Network { policy, trust }))
}

fn credentials(settings: &Settings, wanted: &[Inject]) -> Result<Vec<Credential>, Failure> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let secrets = assemble::secrets(settings)?;
    let known =
        || secrets.list().map(|all| all.iter().map(|about| about.name.to_string()).collect::<Vec<_>>().join(", "));
    let credential = |Inject { secret: name, host }: &Inject| {
        let Some(secret) = secrets.get(name)? else {
            let known = known()?;
            let there = if known.is_empty() { "there is none".to_owned() } else { format!("there are: {known}") };
            return Err(wrong(format!(
                "--credential {name}: there is no such secret; {there}; keep it with: {}",
                set(name)
            )));
        };
        Credential::new(secret, placeholder(name.as_str()), host.as_ref()).map_err(|About { hosts, .. }| {
            let hosts: Vec<String> = hosts.iter().map(Origin::to_string).collect();
            wrong(format!(
                "--credential {name}: that secret is for {} alone; keep it anew with every host",
                hosts.join(", ")
            ))
        })
    };
    wanted.iter().map(credential).collect()
}

fn set(name: &SecretName) -> String {
    format!("autoshare secret set {name} --host HOST")
}
