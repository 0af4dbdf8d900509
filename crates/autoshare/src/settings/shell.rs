//! Whether programs may be run, and which may be called by name, in AutoGPT's spelling and in `[shell]`.

use autoshare_gate::Commands;

use super::SettingsError;
use super::file::ShellSection;
use super::words::yes_or_no;

/// Which commands may be called by name; `None` if no program is to be run.
pub(super) fn commands(
    get: &dyn Fn(&str) -> Option<String>,
    section: &ShellSection,
) -> Result<Option<Commands>, SettingsError> {
    let enabled = match get("EXECUTE_LOCAL_COMMANDS") {
        Some(text) => yes_or_no("EXECUTE_LOCAL_COMMANDS", &text)?,
        None => section.enabled.unwrap_or(true),
    };
    if !enabled {
        return Ok(None);
    }
    let allow = get("SHELL_ALLOWLIST").map(|text| list(&text)).or_else(|| section.allow.clone());
    let deny = get("SHELL_DENYLIST").map(|text| list(&text)).or_else(|| section.deny.clone());
    let control = get("SHELL_COMMAND_CONTROL").or_else(|| section.control.clone());
    Ok(Some(match control.as_deref().map(str::trim) {
        Some("allowlist") => Commands::Only(allow.unwrap_or_default()),
        Some("denylist") => Commands::Not(deny.unwrap_or_default()),
        None => match (allow, deny) {
            (Some(allow), _) => Commands::Only(allow),
            (None, Some(deny)) => Commands::Not(deny),
            (None, None) => Commands::Any,
        },
        Some(other) => {
            return Err(SettingsError::Wrong {
                name: "SHELL_COMMAND_CONTROL".to_owned(),
                value: other.to_owned(),
                why: "use allowlist or denylist".to_owned(),
            });
        }
    }))
}

/// Names with commas between them; blanks around them are no part of a name.
fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
