//! `[guard]`: what text from elsewhere passes before a model sees it.

use autoshare_guard::verify::Profile;
use autoshare_host::GuardSettings;
use serde::Deserialize;

use super::{SettingsError, bounded_in};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GuardSection {
    pub(crate) detector: Option<String>,
    pub(crate) set_aside_after: Option<u64>,
}

impl GuardSection {
    /// `from_environment` goes before the file.
    pub(crate) fn read(&self, from_environment: Option<&str>) -> Result<GuardSettings, SettingsError> {
        let default = GuardSettings::default();
        let set_aside_after =
            bounded_in("guard", "set_aside_after", self.set_aside_after, default.set_aside_after, 0..=1_000_000)?;
        let detector = match (from_environment, self.detector.as_deref()) {
            (Some(name), _) => detector("AUTOSHARE_DETECTOR", name)?,
            (None, Some(name)) => detector("guard.detector", name)?,
            (None, None) => default.detector,
        };
        Ok(GuardSettings { detector, set_aside_after })
    }
}

/// How readily a passage is held back, by its name; `off` holds nothing back.
pub(crate) fn detector(setting: &str, name: &str) -> Result<Option<Profile>, SettingsError> {
    match name {
        "off" => Ok(None),
        "cautious" => Ok(Some(Profile::Cautious)),
        "default" => Ok(Some(Profile::Default)),
        "trusting" => Ok(Some(Profile::Trusting)),
        other => Err(SettingsError::Wrong {
            name: setting.to_owned(),
            value: other.to_owned(),
            why: "use cautious, default, trusting or off".to_owned(),
        }),
    }
}
