//! A warrant as a file that a person writes or edits.

use autoshare_core::tool::{Effect, ToolSpec};
use autoshare_core::warrant::{DrawnBy, Warrant, Warranted};
use serde::{Deserialize, Serialize};

/// Why a file is no warrant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WarrantError {
    /// It cannot be read.
    #[error("the warrant cannot be read: {0}")]
    Text(String),
    /// It is for another program.
    #[error("the warrant's version is {0}, this program knows 1")]
    Version(u32),
    /// It names a tool that the brain does not have.
    #[error("the warrant names the tool {tool:?}; the tools are: {known}")]
    NoSuchTool {
        /// The name.
        tool: String,
        /// What there is.
        known: String,
    },
}

/// TOML: `version = 1`, and for each effect `[[effect]]` with `tool`, `targets` and `described`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    effect: Vec<Warranted>,
}

/// Reads a person's warrant for these tools. What it says of a tool that needs none does nothing.
///
/// # Errors
/// [`WarrantError`], with what is wrong.
pub fn read_warrant(text: &str, tools: &[ToolSpec]) -> Result<Warrant, WarrantError> {
    let file: File = toml::from_str(text).map_err(|e| WarrantError::Text(e.to_string()))?;
    if file.version != 1 {
        return Err(WarrantError::Version(file.version));
    }
    let known: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    if let Some(effect) = file.effect.iter().find(|effect| !known.contains(&effect.tool.as_str())) {
        return Err(WarrantError::NoSuchTool { tool: effect.tool.clone(), known: known.join(", ") });
    }
    Ok(Warrant { by: DrawnBy::Person, effects: file.effect })
}

/// The file that says the same as a warrant.
///
/// # Errors
/// [`WarrantError::Text`] for what TOML cannot say.
pub fn write_warrant(warrant: &Warrant) -> Result<String, WarrantError> {
    let file = File { version: 1, effect: warrant.effects.clone() };
    toml::to_string(&file).map_err(|e| WarrantError::Text(e.to_string()))
}

/// Whether a warrant is about effects of this kind: those that leave the machine or take away.
#[must_use]
pub const fn matters(effect: Effect) -> bool {
    matches!(effect, Effect::External | Effect::Destructive)
}
