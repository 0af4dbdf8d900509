//! `[guard]`: what text from elsewhere passes before a model sees it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use autoshare_guard::ensemble::Agreement;
use autoshare_guard::rules::{Characters, SourceRule, Type};
use autoshare_guard::verify::Profile;
use autoshare_host::{Asks, Guard, JudgeSettings};
use serde::Deserialize;

use super::{SettingsError, bounded_in, parse_cost};

/// Levels of JSON that a rule may allow.
const MAX_DEPTH: u64 = 1_000_000;
/// Rules for sources at most.
const MAX_RULES: usize = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GuardSection {
    detector: Option<String>,
    set_aside_after: Option<u64>,
    agreement: Option<String>,
    datamark: Option<bool>,
    judge: Option<JudgeSection>,
    classifier: Option<ClassifierSection>,
    sources: Vec<SourceSection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JudgeSection {
    model: String,
    asks: Option<String>,
    max_calls: Option<u64>,
    max_cost: Option<String>,
    timeout_s: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassifierSection {
    folder: PathBuf,
    runtime: PathBuf,
    threshold: Option<f32>,
    timeout_s: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceSection {
    source: String,
    #[serde(default)]
    types: Vec<String>,
    characters: Option<String>,
    max_bytes: Option<u64>,
    max_depth: Option<u64>,
    detector: Option<String>,
}

/// A classifier as the settings name it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClassifierSettings {
    /// The folder of the model.
    pub(crate) folder: PathBuf,
    /// The ONNX runtime.
    pub(crate) runtime: PathBuf,
    /// The probability from which a passage counts.
    pub(crate) threshold: f32,
    /// How long it may judge one text.
    pub(crate) timeout: Duration,
}

impl GuardSection {
    /// `from_environment` goes before the file. The classifier is not read yet.
    pub(super) fn read(
        &self,
        from_environment: Option<&str>,
    ) -> Result<(Guard, Option<ClassifierSettings>), SettingsError> {
        let default = Guard::default();
        let set_aside_after =
            bounded_in("guard", "set_aside_after", self.set_aside_after, default.set_aside_after, 0..=1_000_000)?;
        let detector = match (from_environment, self.detector.as_deref()) {
            (Some(name), _) => detector("AUTOSHARE_DETECTOR", name)?,
            (None, Some(name)) => detector("guard.detector", name)?,
            (None, None) => default.detector,
        };
        let agreement = match self.agreement.as_deref() {
            None | Some("any") => Agreement::Any,
            Some("most") => Agreement::Most,
            Some("all") => Agreement::All,
            Some(other) => return Err(wrong("guard.agreement", other, "use any, most or all")),
        };
        if self.sources.len() > MAX_RULES {
            return Err(wrong("guard.sources", "", &format!("write {MAX_RULES} of them at most")));
        }
        let sources: Arc<[SourceRule]> = self.sources.iter().map(SourceSection::read).collect::<Result<_, _>>()?;
        let guard = Guard {
            detector,
            verifiers: Vec::new(),
            judge: self.judge.as_ref().map(JudgeSection::read).transpose()?,
            agreement,
            sources,
            set_aside_after,
            datamark: self.datamark.unwrap_or(default.datamark),
        };
        Ok((guard, self.classifier.as_ref().map(ClassifierSection::read).transpose()?))
    }
}

impl JudgeSection {
    fn read(&self) -> Result<JudgeSettings, SettingsError> {
        let asks = match self.asks.as_deref() {
            None | Some("doubtful") => Asks::Doubtful,
            Some("everything") => Asks::Everything,
            Some(other) => return Err(wrong("guard.judge.asks", other, "use doubtful or everything")),
        };
        let seconds = bounded_in("guard.judge", "timeout_s", self.timeout_s, 30, 1..=600)?;
        Ok(JudgeSettings {
            model: self.model.clone(),
            asks,
            max_calls: bounded_in("guard.judge", "max_calls", self.max_calls, 50, 0..=1_000_000)?,
            max_cost: parse_cost(self.max_cost.as_deref().unwrap_or("0.25"))?,
            timeout: Duration::from_secs(seconds),
        })
    }
}

impl ClassifierSection {
    fn read(&self) -> Result<ClassifierSettings, SettingsError> {
        let threshold = self.threshold.unwrap_or(0.5);
        if !(0.01..=1.0).contains(&threshold) {
            return Err(wrong("guard.classifier.threshold", &threshold.to_string(), "use 0.01 to 1"));
        }
        let seconds = bounded_in("guard.classifier", "timeout_s", self.timeout_s, 10, 1..=600)?;
        Ok(ClassifierSettings {
            folder: self.folder.clone(),
            runtime: self.runtime.clone(),
            threshold,
            timeout: Duration::from_secs(seconds),
        })
    }
}

impl SourceSection {
    fn read(&self) -> Result<SourceRule, SettingsError> {
        let of = |name: &str| {
            let known = Type::ALL.into_iter().find(|one| one.name() == name);
            known.ok_or_else(|| wrong("guard.sources.types", name, "use json, html, xml or text"))
        };
        let characters = self
            .characters
            .as_deref()
            .map(|class| Characters::parse(class).map_err(|why| wrong("guard.sources.characters", class, &why)));
        let bounded = |name: &str, set: Option<u64>, most: u64| {
            let number =
                set.map(|number| bounded_in("guard.sources", name, Some(number), number, 1..=most)).transpose()?;
            Ok::<_, SettingsError>(number.map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
        };
        Ok(SourceRule {
            source: self.source.clone(),
            types: self.types.iter().map(|name| of(name)).collect::<Result<_, _>>()?,
            characters: characters.transpose()?,
            max_bytes: bounded("max_bytes", self.max_bytes, 1 << 40)?,
            max_depth: bounded("max_depth", self.max_depth, MAX_DEPTH)?,
            detector: self.detector.as_deref().map(|name| detector("guard.sources.detector", name)).transpose()?,
        })
    }
}

/// How readily a passage is held back, by its name; `off` holds nothing back.
pub(crate) fn detector(setting: &str, name: &str) -> Result<Option<Profile>, SettingsError> {
    match name {
        "off" => Ok(None),
        "cautious" => Ok(Some(Profile::Cautious)),
        "default" => Ok(Some(Profile::Default)),
        "trusting" => Ok(Some(Profile::Trusting)),
        other => Err(wrong(setting, other, "use cautious, default, trusting or off")),
    }
}

fn wrong(name: &str, value: &str, why: &str) -> SettingsError {
    SettingsError::Wrong { name: name.to_owned(), value: value.to_owned(), why: why.to_owned() }
}
