//! Which commands may be called by name: AutoGPT's allow and deny lists.
//!
//! A convenience, and no boundary: a name says nothing about what a program does, and there are a hundred ways to call one
//! by another name. What a program can reach is decided by the cell it runs in.

use autoshare_core::tool::Action;

/// Which commands may be called by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Commands {
    /// All.
    #[default]
    Any,
    /// Only these.
    Only(Vec<String>),
    /// All but these.
    Not(Vec<String>),
}

impl Commands {
    /// Why an action is refused, if it calls a command by name that may not be called. The name is the first word, as
    /// AutoGPT takes it.
    pub(crate) fn refuse(&self, action: &Action) -> Option<String> {
        let name = action.text("command")?.split_whitespace().next().unwrap_or_default();
        let holds = |list: &[String]| list.iter().any(|known| known == name);
        match self {
            Self::Any => None,
            Self::Only(list) if holds(list) => None,
            Self::Not(list) if !holds(list) => None,
            Self::Only(list) => {
                Some(format!("{name:?} is not among the commands that may be called: {}", list.join(", ")))
            }
            Self::Not(_) => Some(format!("{name:?} is among the commands that may not be called")),
        }
    }
}
