//! `[gate]`: how actions are judged.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use autoshare_core::event::{PolicyFile, PolicyInForce};
use autoshare_gate::Policy;
use autoshare_gate::policy::{PolicyError, Profile};
use autoshare_host::warrant::Drawing;
use serde::Deserialize;

use super::{SettingsError, bounded_in, read_text};
use crate::args::{Judging, PolicyFlags};

/// The name that stands for no profile at all.
const NONE: &str = "none";

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
    pub(crate) rules: Rules,
    pub(crate) warrant: WarrantMode,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) pause_after: u64,
    pub(crate) answer_within: Duration,
}

/// The policy that was chosen: a profile, and rules that are added to it. It is read where it is needed: that takes longer
/// than most commands.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    profile: Option<Profile>,
    /// The operator's own.
    own: Option<PolicyFile>,
    /// Which of both the command line names.
    named: Named,
}

/// What of a policy the command line names; the rest is the settings'.
#[derive(Debug, Clone, Copy, Default)]
struct Named {
    profile: bool,
    file: bool,
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
            rules: Rules::read(self.profile.as_deref(), self.policy.as_deref())?,
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
        self.rules.policy().map(Arc::new)
    }

    /// The same, as it is journaled.
    pub(crate) fn in_force(&self) -> PolicyInForce {
        let Rules { own, named, .. } = &self.rules;
        PolicyInForce {
            profile: self.rules.profile().to_owned(),
            profile_named: named.profile,
            file: own.clone(),
            file_named: named.file,
            allowed_hosts: self.allowed_hosts.clone(),
        }
    }

    /// What the command line says of one run goes before the file.
    pub(crate) fn choose(&mut self, flags: &Judging) -> Result<WarrantMode, SettingsError> {
        self.rules = self.rules.with(&flags.rules)?;
        if let Some(how) = &flags.warrant {
            self.warrant = WarrantMode::parse(how);
        }
        Ok(self.warrant.clone())
    }
}

impl Rules {
    fn read(profile: Option<&str>, file: Option<&Path>) -> Result<Self, SettingsError> {
        let usual = Self { profile: Some(Profile::Default), own: None, named: Named::default() };
        usual.chosen("gate.profile", profile, file)
    }

    /// What the command line names, and these where it names nothing.
    pub(crate) fn with(&self, flags: &PolicyFlags) -> Result<Self, SettingsError> {
        let chosen = self.chosen("--profile", flags.profile.as_deref(), flags.policy.as_deref())?;
        let Named { profile, file } = self.named;
        let named = Named { profile: profile || flags.profile.is_some(), file: file || flags.policy.is_some() };
        Ok(Self { named, ..chosen })
    }

    /// Those by which a brain was judged before, to judge it on: with what the command line names now in place of them. What
    /// it does not name must be as it was, so that nothing that was changed elsewhere makes a brain's rules others.
    pub(crate) fn again(&self, was: &PolicyInForce, flags: &PolicyFlags) -> Result<Self, SettingsError> {
        let changed = |why: String| Err(SettingsError::PolicyChanged { why });
        let mut flags = flags.clone();
        let (is_profile_said, is_file_said) = (flags.profile.is_some(), flags.policy.is_some());
        if let Some(file) = was.file.as_ref().filter(|_| was.file_named && !is_file_said) {
            let path = Path::new(&file.path);
            match read_text(path) {
                Ok(text) if text == file.text => flags.policy = Some(path.to_owned()),
                Ok(_) => return changed(reads_otherwise(&file.path)),
                Err(error) => return changed(format!("{error}. Put it back, or name another with --policy FILE")),
            }
        }
        if was.profile_named && !is_profile_said {
            flags.profile = Some(was.profile.clone());
        }
        let now = self.with(&flags)?;
        let (before, after) = (&was.profile, now.profile());
        if !is_profile_said && before != after {
            return changed(format!(
                "its profile was {before}, the settings now say {after}. Say which: --profile {before}, or --profile {after}"
            ));
        }
        match (&was.file, &now.own) {
            _ if is_file_said => Ok(now),
            (was, own) if was == own => Ok(now),
            (Some(was), Some(own)) if was.path == own.path => changed(reads_otherwise(&own.path)),
            (Some(was), Some(own)) => changed(format!(
                "its rules were those of {}, the settings now name {}. Say which: --policy FILE",
                was.path, own.path
            )),
            (Some(was), None) => changed(format!(
                "its rules were those of {}, the settings now name none. Say by which: --policy FILE",
                was.path
            )),
            (None, own) => {
                let path = own.as_ref().map(|own| own.path.as_str()).unwrap_or_default();
                changed(format!("the settings now name the rules of {path}. To judge it by them too: --policy {path}"))
            }
        }
    }

    /// Those that were in force for a brain, from its journal alone.
    pub(crate) fn of(was: &PolicyInForce) -> Result<Self, SettingsError> {
        let profile = Profile::named(&was.profile);
        if profile.is_none() && was.profile != NONE {
            let why = format!("this version knows no profile {:?}", was.profile);
            return Err(SettingsError::PolicyChanged { why });
        }
        Ok(Self { profile, own: was.file.clone(), named: Named::default() })
    }

    /// The same profile with the file of `other`.
    pub(crate) fn with_file_of(&self, other: &Self) -> Self {
        Self { own: other.own.clone(), ..self.clone() }
    }

    fn chosen(&self, setting: &str, profile: Option<&str>, file: Option<&Path>) -> Result<Self, SettingsError> {
        let wrong = |value: &str, why: &str| SettingsError::Wrong {
            name: setting.to_owned(),
            value: value.to_owned(),
            why: why.to_owned(),
        };
        let profile = match profile {
            None => self.profile,
            Some(NONE) => None,
            Some(name) => {
                Some(Profile::named(name).ok_or_else(|| wrong(name, "use cautious, default, trusting or none"))?)
            }
        };
        let own = match file {
            Some(file) => {
                let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
                Some(PolicyFile { path: path.display().to_string(), text: read_text(file)? })
            }
            None => self.own.clone(),
        };
        if profile.is_none() && own.is_none() {
            return Err(wrong(
                NONE,
                "without a rule nothing could be done: name a file of rules too (gate.policy, --policy)",
            ));
        }
        Ok(Self { profile, own, named: self.named })
    }

    /// The name of the profile.
    pub(crate) fn profile(&self) -> &'static str {
        self.profile.map_or(NONE, Profile::name)
    }

    /// The file of the operator's own rules.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.own.as_ref().map(|file| Path::new(&file.path))
    }

    /// Puts the policy together.
    pub(crate) fn policy(&self) -> Result<Policy, SettingsError> {
        let wrong = |path: String| move |why: PolicyError| SettingsError::File { path, why: why.to_string() };
        let base = match self.profile {
            Some(profile) => Policy::builtin(profile),
            None => Policy::empty(),
        };
        let base = base.map_err(wrong(self.profile().to_owned()))?;
        let Some(PolicyFile { path, text }) = &self.own else { return Ok(base) };
        base.add(path, text).map_err(wrong(path.clone()))
    }
}

fn reads_otherwise(path: &str) -> String {
    format!("{path} reads otherwise now. To judge it by what stands there now: --policy {path}")
}
