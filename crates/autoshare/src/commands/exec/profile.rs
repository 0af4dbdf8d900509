//! What well-known agents need in a cell, as `profiles.toml` says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use autoshare_vault::VaultError;
use autoshare_vault::private::{Others, PrivateDir};
use serde::Deserialize;

use super::options::wrong;
use crate::exit::Failure;

const PROFILES: &str = include_str!("../../../profiles.toml");

/// One agent's needs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    /// The names of its program.
    pub(super) command: Vec<String>,
    /// What it keeps below its home directory.
    pub(super) files: Vec<String>,
    /// What it talks to.
    pub(super) hosts: Vec<String>,
    /// Variables with its credentials.
    pub(super) credentials: Vec<String>,
    /// Variables that make it do without what a cell does not have.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// Files below its home directory that do the same: made where they are missing, and its own from then on.
    #[serde(default)]
    settings: BTreeMap<String, String>,
}

/// All profiles by their names.
pub(super) fn all() -> Result<BTreeMap<String, Profile>, Failure> {
    toml::from_str(PROFILES).map_err(|e| wrong(e.to_string()))
}

impl Profile {
    /// The home directory of this profile's own, made if there is none, with the settings that are missing.
    pub(super) fn home(&self, name: &str, data_dir: &Path) -> Result<PathBuf, Failure> {
        let made = || {
            let homes = PrivateDir::open(data_dir, Others::MayRead)?.sub("homes", Others::MayRead)?;
            let home = homes.sub(name, Others::Nothing)?;
            self.settings.iter().try_for_each(|(path, text)| put(&home, path, text))
        };
        made().map_err(|e: VaultError| wrong(e.to_string()))?;
        Ok(crate::assemble::real(&data_dir.join("homes").join(name)))
    }
}

/// Makes a file, unless there is one. The agent may have changed what lies on the way: no link is followed.
fn put(home: &PrivateDir, path: &str, text: &str) -> Result<(), VaultError> {
    match path.split_once('/') {
        Some((folder, rest)) => put(&home.sub(folder, Others::MayRead)?, rest, text),
        None => home.create(path, text.as_bytes()).map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::exec::options::is_credential;

    #[test]
    fn every_profile_is_well_formed() {
        let all: BTreeMap<String, Profile> = toml::from_str(PROFILES).unwrap();
        for (name, profile) in all {
            assert!(!profile.command.is_empty() && !profile.hosts.is_empty() && !profile.files.is_empty(), "{name}");
            assert!(profile.credentials.iter().all(|variable| is_credential(variable)), "{name}");
            for host in &profile.hosts {
                assert!(autoshare_broker::egress::Allow::parse(host).is_ok(), "{name}: {host}");
            }
            for path in profile.settings.keys() {
                let kept = |file: &String| path.strip_prefix(file.as_str()).is_some_and(|rest| rest.starts_with('/'));
                assert!(profile.files.iter().any(kept), "{name}: {path} is below none of its files");
            }
        }
    }
}
