//! Which effects a goal needs, and at what they are aimed.

use serde::{Deserialize, Serialize};

/// What a goal needs: drawn up from trusted text alone, before anything untrusted is read. Only a person widens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warrant {
    /// Who drew it up.
    pub by: DrawnBy,
    /// The effects.
    pub effects: Vec<Warranted>,
}

/// Who drew up a warrant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrawnBy {
    /// Fixed rules, from the goal's words.
    Draft,
    /// A model that had read nothing but trusted text.
    Model,
    /// A person, in a file or at a prompt.
    Person,
}

/// One effect that a goal needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warranted {
    /// The tool, by the name that the model knows it by.
    pub tool: String,
    /// Whom or what it may be aimed at, as trusted words name it.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Whether trusted words describe a target without naming it ("the channel with the most users"): then an identifier
    /// that a tool issued will do.
    #[serde(default)]
    pub described: bool,
    /// The words of the goal that ask for it, for a person to see.
    #[serde(default)]
    pub because: String,
}

impl Warrant {
    /// The effects of one tool.
    pub fn of<'a>(&'a self, tool: &'a str) -> impl Iterator<Item = &'a Warranted> {
        self.effects.iter().filter(move |effect| effect.tool == tool)
    }
}
