//! `[gate]`: by which policy actions are judged.

use std::path::{Path, PathBuf};

use autoshare_gate::policy::{Policy, PolicyError, Profile};
use serde::Deserialize;

use super::{SettingsError, read_text};

/// The name that stands for no profile at all.
const NONE: &str = "none";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GateSection {
    pub(crate) profile: Option<String>,
    pub(crate) policy: Option<PathBuf>,
}

/// What the command line says about the policy.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct GateFlags {
    /// How much is asked: cautious, default, trusting, or none, which has no rule and leaves all to --policy
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// A file of rules that are added to the profile (docs/policy.md)
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

/// By which policy actions are judged: a profile, a file of rules, or both.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pub(crate) profile: Option<Profile>,
    pub(crate) file: Option<PathBuf>,
}

impl Gate {
    pub(crate) fn of(section: &GateSection) -> Result<Self, SettingsError> {
        let profile =
            section.profile.as_deref().map_or(Ok(Some(Profile::default())), |name| profile("gate.profile", name));
        Self { profile: profile?, file: section.policy.clone() }.checked()
    }

    /// The same with what the command line says instead.
    pub(crate) fn with(&self, flags: &GateFlags) -> Result<Self, SettingsError> {
        let named = flags.profile.as_deref().map(|name| profile("--profile", name)).transpose()?;
        let file = flags.policy.clone().or_else(|| self.file.clone());
        Self { profile: named.unwrap_or(self.profile), file }.checked()
    }

    /// What no rule permits is denied, so that without any rule nothing could be done.
    fn checked(self) -> Result<Self, SettingsError> {
        if self.profile.is_some() || self.file.is_some() {
            return Ok(self);
        }
        let why = "nothing would be allowed: name a file of rules too (policy below [gate], or --policy)".to_owned();
        Err(SettingsError::Wrong { name: "gate.profile".to_owned(), value: NONE.to_owned(), why })
    }

    /// The name of the profile.
    pub(crate) fn name(&self) -> &'static str {
        self.profile.map_or(NONE, Profile::name)
    }

    /// Reads the policy.
    pub(crate) fn policy(&self) -> Result<Policy, SettingsError> {
        let base = match self.profile {
            Some(profile) => Policy::builtin(profile),
            None => Policy::empty(),
        };
        let base = base.map_err(|why| wrong(Path::new(self.name()), &why))?;
        let Some(path) = &self.file else { return Ok(base) };
        base.add(&path.display().to_string(), &read_text(path)?).map_err(|why| wrong(path, &why))
    }
}

fn profile(setting: &str, name: &str) -> Result<Option<Profile>, SettingsError> {
    if name == NONE {
        return Ok(None);
    }
    Profile::named(name).map(Some).ok_or_else(|| SettingsError::Wrong {
        name: setting.to_owned(),
        value: name.to_owned(),
        why: "use cautious, default, trusting or none".to_owned(),
    })
}

fn wrong(path: &Path, why: &PolicyError) -> SettingsError {
    SettingsError::File { path: path.display().to_string(), why: why.to_string() }
}
