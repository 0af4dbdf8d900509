//! `[serve.traces]` and `[[serve.alerts]]`: what `serve` sends by itself, and where.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use autoshare_server::telemetry::{AlertKind, ReceiverSettings, TracesSettings, WHOLE_SHARE};
use serde::Deserialize;

use super::{SettingsError, bounded_in};

/// Receivers of alerts at most.
const MAX_RECEIVERS: usize = 16;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TracesSection {
    url: String,
    headers_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    share: Option<f64>,
    queue: Option<u64>,
    interval_s: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertsSection {
    url: String,
    secret_files: Vec<PathBuf>,
    ca_file: Option<PathBuf>,
    events: Option<Vec<String>>,
    queue: Option<u64>,
    retry_for_s: Option<u64>,
}

/// A collector of traces.
#[derive(Debug, Clone)]
pub(crate) struct Traces {
    pub(crate) url: String,
    pub(crate) headers_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) settings: TracesSettings,
}

/// A receiver of alerts.
#[derive(Debug, Clone)]
pub(crate) struct Alerts {
    pub(crate) url: String,
    pub(crate) secret_files: Vec<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) settings: ReceiverSettings,
}

impl TracesSection {
    /// The files it names.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        [&self.headers_file, &self.ca_file].into_iter().flatten().cloned()
    }

    pub(super) fn read(&self) -> Result<Traces, SettingsError> {
        const SECTION: &str = "serve.traces";
        let usual = TracesSettings::default();
        let share = self.share.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&share) {
            let (name, value) = (format!("{SECTION}.share"), share.to_string());
            return Err(SettingsError::Wrong { name, value, why: "use 0.0 to 1.0".to_owned() });
        }
        let within = |name, set, usual, accepted| bounded_in(SECTION, name, set, usual, accepted);
        let queue = within("queue", self.queue, usual.queue as u64, 1..=1_000_000)?;
        let interval = within("interval_s", self.interval_s, usual.interval.as_secs(), 1..=3_600)?;
        let settings = TracesSettings {
            // A whole number from 0 to the whole.
            share: (share * f64::from(WHOLE_SHARE)).round() as u32,
            queue: usize::try_from(queue).unwrap_or(usize::MAX),
            interval: Duration::from_secs(interval),
        };
        let (headers_file, ca_file) = (self.headers_file.clone(), self.ca_file.clone());
        Ok(Traces { url: self.url.clone(), headers_file, ca_file, settings })
    }
}

impl AlertsSection {
    /// The files it names.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.secret_files.iter().chain(&self.ca_file).cloned()
    }

    fn read(&self) -> Result<Alerts, SettingsError> {
        const SECTION: &str = "serve.alerts";
        let usual = ReceiverSettings::default();
        let within = |name, set, usual, accepted| bounded_in(SECTION, name, set, usual, accepted);
        let queue = within("queue", self.queue, usual.queue as u64, 1..=1_000_000)?;
        let retry_for = within("retry_for_s", self.retry_for_s, usual.retry_for.as_secs(), 60..=7 * 86_400)?;
        let kinds = match &self.events {
            None => usual.kinds,
            Some(named) => named.iter().map(|name| kind(name)).collect::<Result<BTreeSet<_>, _>>()?,
        };
        let settings = ReceiverSettings {
            kinds,
            queue: usize::try_from(queue).unwrap_or(usize::MAX),
            retry_for: Duration::from_secs(retry_for),
        };
        let (secret_files, ca_file) = (self.secret_files.clone(), self.ca_file.clone());
        Ok(Alerts { url: self.url.clone(), secret_files, ca_file, settings })
    }
}

/// All receivers.
pub(super) fn receivers(sections: &[AlertsSection]) -> Result<Vec<Alerts>, SettingsError> {
    if sections.len() > MAX_RECEIVERS {
        let (name, value) = ("serve.alerts".to_owned(), sections.len().to_string());
        return Err(SettingsError::Wrong { name, value, why: format!("name {MAX_RECEIVERS} receivers at most") });
    }
    sections.iter().map(AlertsSection::read).collect()
}

fn kind(name: &str) -> Result<AlertKind, SettingsError> {
    AlertKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
        let known: Vec<&str> = AlertKind::ALL.iter().map(|kind| kind.name()).collect();
        let (name, value) = ("serve.alerts.events".to_owned(), name.to_owned());
        SettingsError::Wrong { name, value, why: format!("use names of {}", known.join(", ")) }
    })
}
