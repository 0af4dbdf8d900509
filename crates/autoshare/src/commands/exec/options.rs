//! What the command line, a profile and this machine come to: environment, limits, home.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autoshare_broker::egress::Allow;
use autoshare_core::budget::ModelPattern;
use autoshare_host::programs;
use autoshare_sandbox::CellLimits;

use super::profile::{self, Profile};
use crate::args::Exec;
use crate::exit::{Failure, SETTINGS};
use crate::settings::{Inject, Settings, variable};

/// Parts of names of variables that hold credentials.
const CREDENTIALS: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"];
/// What of the caller's environment says how to show things, and nothing else.
const SHOWN: [&str; 5] = ["TERM", "COLORTERM", "LANG", "NO_COLOR", "TZ"];

/// What one run gets.
pub(super) struct Options {
    pub(super) env: BTreeMap<String, String>,
    pub(super) limits: CellLimits,
    /// How long it may take.
    pub(super) time: Option<Duration>,
    /// How long nothing may come from it or go to it.
    pub(super) idle: Option<Duration>,
    /// Bytes that it may write to its streams.
    pub(super) output: Option<u64>,
    /// Its own home directory, if it is to be kept.
    pub(super) home: Option<PathBuf>,
    /// What it may reach.
    pub(super) allow: Vec<Allow>,
    /// What is put into its requests.
    pub(super) inject: Vec<Inject>,
    /// The models that it may use.
    pub(super) models: Vec<ModelPattern>,
    /// Whether a person is asked about other hosts.
    pub(super) ask_hosts: bool,
    /// What the person should know.
    pub(super) notes: Vec<String>,
    /// Where this process looks for programs.
    pub(super) path: String,
}

pub(super) fn wrong(text: String) -> Failure {
    Failure::new(SETTINGS, text)
}

impl Options {
    pub(super) fn of(flags: &Exec, settings: &Settings) -> Result<Self, Failure> {
        let allow = flags.allow_host.iter().map(|host| Allow::parse(host)).collect::<Result<Vec<_>, _>>();
        let mut allow = allow.map_err(|e| wrong(format!("--allow-host {e}")))?;
        allow.extend(settings.network.allow.iter().cloned());
        let models = flags.model.iter().map(|name| ModelPattern::parse(name)).collect::<Result<Vec<_>, _>>();
        let models = models.map_err(|e| wrong(format!("--model {e}")))?;
        let inject = flags.credential.iter().map(|text| Inject::parse(text)).collect::<Result<Vec<_>, _>>();
        let mut inject = inject.map_err(|e| wrong(format!("--credential {e}")))?;
        let more = |one: &&Inject| inject.iter().all(|named| named.secret != one.secret);
        let more: Vec<Inject> = settings.network.inject.iter().filter(more).cloned().collect();
        inject.extend(more);
        let mut profiles = profile::all()?;
        let profile = match &flags.profile {
            None => None,
            Some(name) => Some(profiles.remove(name).map(|profile| (name, profile)).ok_or_else(|| {
                let known: Vec<&str> = profiles.keys().map(String::as_str).collect();
                wrong(format!("there is no profile {name:?}; there are: {}", known.join(", ")))
            })?),
        };
        let mut options = Self {
            env: environment(),
            limits: settings.program_cell,
            time: None,
            idle: None,
            output: None,
            home: None,
            allow,
            inject,
            models,
            ask_hosts: flags.ask_hosts,
            notes: Vec::new(),
            path: variable("PATH").unwrap_or_default(),
        };
        let command =
            flags.command.first().map(|name| Path::new(name).file_name().unwrap_or_default().to_string_lossy());
        let offered = profiles
            .iter()
            .find(|(_, profile)| command.as_ref().is_some_and(|c| profile.command.iter().any(|k| k == c)));
        if let (None, Some((name, _))) = (&profile, offered) {
            options.notes.push(format!("this looks like {name}: --profile {name} keeps its files and knows its needs"));
        }
        if let Some((name, profile)) = profile {
            options.apply(name, profile, settings)?;
        }
        if options.ask_hosts && !crate::prompt::somebody_is_there() {
            options.notes.push(
                "--ask-hosts: there is no terminal to ask at, so that hosts that are not named are refused".into(),
            );
            options.ask_hosts = false;
        }
        flags.env.iter().try_for_each(|text| options.set(text))?;
        flags.expose_credential.iter().try_for_each(|name| options.expose(name))?;
        flags.limit.iter().try_for_each(|text| options.limit(text))?;
        Ok(options)
    }

    fn apply(&mut self, name: &str, profile: Profile, settings: &Settings) -> Result<(), Failure> {
        let home = profile.home(name, &settings.data_dir)?;
        self.env.insert("HOME".to_owned(), home.display().to_string());
        self.env.extend(profile.env);
        for credential in profile.credentials.iter().filter(|name| variable(name).is_some()) {
            self.env.insert(credential.clone(), placeholder(credential));
        }
        self.notes.push(format!(
            "{name} keeps {} in a home directory of its own; it talks to {} (--allow-host opens it)",
            profile.files.join(", "),
            profile.hosts.join(", ")
        ));
        self.home = Some(home);
        Ok(())
    }

    /// A variable as `NAME` or `NAME=VALUE`.
    fn set(&mut self, text: &str) -> Result<(), Failure> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, variable(text)),
        };
        if name.is_empty() || name.contains('\0') {
            return Err(wrong(format!("--env {text:?}: use NAME or NAME=VALUE")));
        }
        let value =
            value.ok_or_else(|| wrong(format!("--env {name}: this variable is not set here; use {name}=VALUE")))?;
        let value = if is_credential(name) {
            self.notes.push(format!(
                "{name} looks like a credential: the program finds a placeholder (--expose-credential {name} hands it over)"
            ));
            placeholder(name)
        } else {
            value
        };
        self.env.insert(name.to_owned(), value);
        Ok(())
    }

    fn expose(&mut self, name: &str) -> Result<(), Failure> {
        let value = variable(name).ok_or_else(|| wrong(format!("--expose-credential {name}: it is not set here")))?;
        self.env.insert(name.to_owned(), value);
        self.notes
            .push(format!("WARNING: {name} is handed to the program as it is; whatever takes the program over has it"));
        Ok(())
    }

    fn limit(&mut self, text: &str) -> Result<(), Failure> {
        let form = || wrong(format!("--limit {text:?}: use NAME=NUMBER, such as memory=2g or time=600"));
        let (name, value) = text.split_once('=').ok_or_else(form)?;
        let value = size(value).filter(|value| *value > 0).ok_or_else(form)?;
        let limits = &mut self.limits;
        match name {
            "memory" => limits.memory = value,
            "processes" => limits.processes = value,
            "cpu" => limits.cpu_percent = value,
            "cpu-weight" if value <= 100 => limits.cpu_weight = value,
            "cpu-weight" => return Err(wrong(format!("--limit {text:?}: cpu-weight is 1 to 100"))),
            "cpu-seconds" => limits.cpu_seconds = value,
            "open-files" => limits.open_files = value,
            "file-size" => limits.file_size = value,
            "tmp" => limits.tmp_bytes = value,
            "tmp-files" => limits.tmp_files = value,
            "time" => self.time = Some(Duration::from_secs(value)),
            "idle" => self.idle = Some(Duration::from_secs(value)),
            "output" => self.output = Some(value),
            _ => {
                return Err(wrong(format!(
                    "--limit {name}: there is no such limit; there are memory, processes, cpu, cpu-weight, \
                     cpu-seconds, open-files, file-size, tmp, tmp-files, time, idle, output"
                )));
            }
        }
        Ok(())
    }
}

/// What programs find without any flag: nothing of the caller's but how to show things.
fn environment() -> BTreeMap<String, String> {
    let mut env = programs::environment();
    env.extend(SHOWN.iter().filter_map(|name| Some(((*name).to_owned(), variable(name)?))));
    env
}

pub(super) fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    CREDENTIALS.iter().any(|part| name.contains(part))
}

/// What stands in a credential's place: of no use to anybody, and found again by whoever swaps it on the way out.
pub(super) fn placeholder(name: &str) -> String {
    format!("autoshare-placeholder-{name}")
}

/// A number, with k, m or g for powers of 1024.
fn size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let (digits, shift) = match text.strip_suffix(['k', 'm', 'g']) {
        Some(digits) if text.ends_with('k') => (digits, 10),
        Some(digits) if text.ends_with('m') => (digits, 20),
        Some(digits) => (digits, 30),
        None => (text.as_str(), 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_credentials_are_read_as_people_write_them() {
        let sizes = [
            ("5", Some(5)),
            ("2k", Some(2048)),
            ("3M", Some(3 << 20)),
            ("1g", Some(1 << 30)),
            ("1t", None),
            ("-1", None),
            ("", None),
            ("99999999999g", None),
        ];
        for (text, bytes) in sizes {
            assert_eq!(size(text), bytes, "{text}");
        }
        for (name, is) in
            [("OPENAI_API_KEY", true), ("GH_TOKEN", true), ("db_password", true), ("EDITOR", false), ("TERM", false)]
        {
            assert_eq!(is_credential(name), is, "{name}");
        }
    }
}
