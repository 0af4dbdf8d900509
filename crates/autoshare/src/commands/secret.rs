//! `secret set`, `secret list`, `secret remove`.

use std::process::ExitCode;

use autoshare_core::audit::Act;
use autoshare_core::origin::Origin;
use autoshare_vault::Sensitive;
use autoshare_vault::secrets::{About, Form, MAX_VALUE, Secret, SecretError, SecretName};

use super::audit::note;
use crate::args;
use crate::assemble;
use crate::exit::{FAILED, Failure, SETTINGS};
use crate::prompt::{self, Typed};
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::Settings;

/// What is known of the names that programs and providers use: the host that issues it, and how it is shown there.
const KNOWN: [(&str, &str, &str); 12] = [
    ("OPENAI_API_KEY", "api.openai.com", "bearer"),
    ("ANTHROPIC_API_KEY", "api.anthropic.com", "header:x-api-key"),
    ("GEMINI_API_KEY", "generativelanguage.googleapis.com", "header:x-goog-api-key"),
    ("GROQ_API_KEY", "api.groq.com", "bearer"),
    ("OPENROUTER_API_KEY", "openrouter.ai", "bearer"),
    ("MISTRAL_API_KEY", "api.mistral.ai", "bearer"),
    ("DEEPSEEK_API_KEY", "api.deepseek.com", "bearer"),
    ("HF_TOKEN", "huggingface.co", "bearer"),
    ("GITHUB_TOKEN", "github.com", "basic:x-access-token"),
    ("GITLAB_TOKEN", "gitlab.com", "basic:oauth2"),
    ("NPM_TOKEN", "registry.npmjs.org", "bearer"),
    ("CARGO_REGISTRY_TOKEN", "crates.io", "header:authorization"),
];

/// One of them.
pub(crate) fn secret(settings: &Settings, command: &args::Secret, look: Look) -> Result<ExitCode, Failure> {
    match command {
        args::Secret::Set(flags) => set(settings, flags, look),
        args::Secret::List => list(settings, look),
        args::Secret::Remove { name } => remove(settings, name, look),
    }
}

fn set(settings: &Settings, flags: &args::SetSecret, look: Look) -> Result<ExitCode, Failure> {
    let name = SecretName::parse(&flags.name)?;
    let known = KNOWN.iter().find(|(known, ..)| *known == name.as_str());
    let hosts: Vec<&str> = match known {
        Some((_, host, _)) if flags.host.is_empty() => vec![host],
        _ => flags.host.iter().map(String::as_str).collect(),
    };
    let hosts = hosts.into_iter().map(Origin::parse).collect::<Result<Vec<_>, _>>().map_err(SecretError::from)?;
    if hosts.is_empty() {
        return Err(SecretError::Hosts.into());
    }
    let form = Form::parse(flags.form.as_deref().or(known.map(|(.., form)| *form)).unwrap_or("bearer"))?;
    let about = About { name, hosts, form };
    let value = match prompt::secret(&format!("value of {} (not shown): ", about.name), MAX_VALUE)? {
        Typed::Text(text) => Sensitive::new(text),
        Typed::TooLong => return Err(SecretError::Length(MAX_VALUE + 1).into()),
        Typed::GivenUp => return Err(Failure::new(FAILED, "nothing was kept")),
    };
    let secret = Secret::new(about, value)?;
    assemble::secrets(settings)?.set(&secret)?;
    note(settings, Act::SecretSet, &secret.about().name.to_string())?;
    if look != Look::Json {
        let About { name, hosts, form } = secret.about();
        err(&format!("kept {name}, for {} as {form}", shown(hosts)));
    }
    Ok(ExitCode::SUCCESS)
}

fn list(settings: &Settings, look: Look) -> Result<ExitCode, Failure> {
    let all = assemble::secrets(settings)?.list()?;
    for About { name, hosts, form } in &all {
        if look == Look::Json {
            let hosts: Vec<String> = hosts.iter().map(Origin::to_string).collect();
            out(&ascii_json(&serde_json::json!({"name": name.as_str(), "hosts": hosts, "form": form.to_string()})));
        } else {
            out(&format!("{:<24} {:<24} {}", name.to_string(), form.to_string(), shown(hosts)));
        }
    }
    if all.is_empty() && look != Look::Json {
        err("no secret is kept; keep one with: autoshare secret set NAME --host HOST");
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(settings: &Settings, name: &str, look: Look) -> Result<ExitCode, Failure> {
    let name = SecretName::parse(name)?;
    if !assemble::secrets(settings)?.remove(&name)? {
        return Err(Failure::new(
            FAILED,
            format!("there is no secret {name}; `autoshare secret list` shows those there are"),
        ));
    }
    note(settings, Act::SecretRemoved, &name.to_string())?;
    if look != Look::Json {
        err(&format!("removed {name}; where it was issued it still holds until it is revoked there"));
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(hosts: &[Origin]) -> String {
    let hosts: Vec<String> = hosts.iter().map(Origin::to_string).collect();
    hosts.join(", ")
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Self::new(SETTINGS, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_names_can_be_used() {
        for (name, host, form) in KNOWN {
            assert!(
                SecretName::parse(name).is_ok() && Origin::parse(host).is_ok() && Form::parse(form).is_ok(),
                "{name}"
            );
        }
    }
}
