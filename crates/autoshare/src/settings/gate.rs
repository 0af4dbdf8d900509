//! `[gate]`: how actions are judged.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use autoshare_gate::Policy;
use autoshare_gate::policy::Profile;
use autoshare_host::warrant::Drawing;
use serde::Deserialize;

use super::{SettingsError, bounded_in, read_text};
use crate::args::Judging;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GateSection {
    pub(crate) profile: Option<String>,
    pub(crate) policy: Option<PathBuf>,
    pub(crate) warrant: Option<String>,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) pause_after: Option<u64>,
    pub(crate) answer_within_s: Option<u64>,
}

/// How actions are judged.
pub(crate) struct Gate {
    policy: PolicyText,
    pub(crate) warrant: WarrantMode,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) pause_after: u64,
    pub(crate) answer_within: Duration,
}

/// The policy that was chosen. It is read where it is needed: that takes longer than most commands.
#[derive(Debug, Clone)]
enum PolicyText {
    /// One that comes with AutoSHARE.
    Builtin(Profile),
    /// The operator's own: where it came from, and its text.
    Own(String, String),
}

/// Where a goal's warrant comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WarrantMode {
    /// The model draws it up.
    Auto,
    /// Fixed rules do.
    Draft,
    /// Fixed rules propose it, and a person is shown it.
    Ask,
    /// It is in this file.
    File(PathBuf),
}

impl WarrantMode {
    fn parse(text: &str) -> Self {
        match text {
            "auto" => Self::Auto,
            "draft" => Self::Draft,
            "ask" => Self::Ask,
            path => Self::File(PathBuf::from(path)),
        }
    }

    /// How the host draws one up where it is not given.
    pub(crate) const fn drawing(&self) -> Drawing {
        match self {
            Self::Auto => Drawing::Model,
            Self::Draft | Self::Ask | Self::File(_) => Drawing::Draft,
        }
    }
}

impl GateSection {
    pub(crate) fn read(&self) -> Result<Gate, SettingsError> {
        let pause_after = bounded_in("gate", "pause_after", self.pause_after, 2, 0..=1_000_000)?;
        let answer_within = bounded_in("gate", "answer_within_s", self.answer_within_s, 86_400, 1..=31_536_000)?;
        Ok(Gate {
            policy: policy(self.profile.as_deref(), self.policy.as_ref())?,
            warrant: self.warrant.as_deref().map_or(WarrantMode::Auto, WarrantMode::parse),
            allowed_hosts: self.allowed_hosts.iter().map(|host| host.to_lowercase()).collect(),
            pause_after,
            answer_within: Duration::from_secs(answer_within),
        })
    }
}

impl Gate {
    /// The policy in force.
    pub(crate) fn policy(&self) -> Result<Arc<Policy>, SettingsError> {
        let (name, policy) = match &self.policy {
            PolicyText::Builtin(profile) => (profile.name(), Policy::builtin(*profile)),
            PolicyText::Own(path, text) => (path.as_str(), Policy::parse(text)),
        };
        policy.map(Arc::new).map_err(|e| SettingsError::File { path: name.to_owned(), why: e.to_string() })
    }

    /// What the command line says of one run goes before the file.
    pub(crate) fn choose(&mut self, flags: &Judging) -> Result<WarrantMode, SettingsError> {
        if flags.profile.is_some() || flags.policy.is_some() {
            self.policy = policy(flags.profile.as_deref(), flags.policy.as_ref())?;
        }
        if let Some(how) = &flags.warrant {
            self.warrant = WarrantMode::parse(how);
        }
        Ok(self.warrant.clone())
    }
}

fn policy(profile: Option<&str>, file: Option<&PathBuf>) -> Result<PolicyText, SettingsError> {
    if let Some(file) = file {
        return Ok(PolicyText::Own(file.display().to_string(), read_text(file)?));
    }
    let named = profile.unwrap_or("default");
    Profile::named(named).map(PolicyText::Builtin).ok_or_else(|| SettingsError::Wrong {
        name: "gate.profile".to_owned(),
        value: named.to_owned(),
        why: "use cautious, default or trusting".to_owned(),
    })
}
