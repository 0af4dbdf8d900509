//! Names: a server's own, and those by which a model knows its tools.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::McpError;

/// Bytes of a server's name at most.
const MAX_SERVER: usize = 24;
/// Bytes of a tool's name as a model knows it, at most: what every provider takes.
const MAX_KNOWN: usize = 64;

/// By which a person knows a server: `[a-z0-9-]{1,24}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerName(String);

impl ServerName {
    /// Parses one.
    ///
    /// # Errors
    /// [`McpError::Name`].
    pub fn parse(text: &str) -> Result<Self, McpError> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=MAX_SERVER).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(McpError::Name(text.chars().take(80).collect()))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// By which a model knows the server's tools, in the order of `tools`: `SERVER__TOOL`, of letters, digits, `_` and `-`,
    /// 64 bytes at most, no two alike. A server's name holds no `_`, so no tool can pass for another server's or for one
    /// of ours.
    #[must_use]
    pub fn known_as(&self, tools: &[&str]) -> Vec<String> {
        let mut taken = BTreeSet::new();
        let mut order: Vec<(usize, &str)> = tools.iter().copied().enumerate().collect();
        // Whoever needs no change keeps its name; the rest is told apart in an order of their own names.
        order.sort_by_key(|(_, tool)| (self.plain(tool) != format!("{self}__{tool}"), *tool));
        let mut known = vec![String::new(); tools.len()];
        for (place, tool) in order {
            let whole = self.plain(tool);
            let mut name = cut(&whole, MAX_KNOWN);
            let mut number = 2;
            while !taken.insert(name.clone()) {
                let end = format!("_{number}");
                name = format!("{}{end}", cut(&whole, MAX_KNOWN - end.len()));
                number += 1;
            }
            if let Some(slot) = known.get_mut(place) {
                *slot = name;
            }
        }
        known
    }

    fn plain(&self, tool: &str) -> String {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let tool: String = tool.chars().map(|c| if fits(c) { c } else { '_' }).collect();
        format!("{self}__{tool}")
    }
}

/// The first bytes of a text of ASCII.
fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ServerName {
    type Error = McpError;

    fn try_from(text: String) -> Result<Self, McpError> {
        Self::parse(&text)
    }
}

impl From<ServerName> for String {
    fn from(name: ServerName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_servers() {
        for good in ["a", "git", "my-server-2", "0", &"x".repeat(24)] {
            assert_eq!(ServerName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "a_b", "a.b", "-a", "a b", "a/b", "..", "é", &"x".repeat(25)] {
            assert!(ServerName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn d7_no_tool_shadows_another_whatever_it_is_called() {
        let server = ServerName::parse("s").unwrap();
        let long = "x".repeat(80);
        let tools = ["a.b", "a_b", "a b", "read_file", "finish", &long, &format!("{long}y"), "e\u{301}"];
        let known = server.known_as(&tools);
        assert_eq!(known[..5], ["s__a_b_3", "s__a_b", "s__a_b_2", "s__read_file", "s__finish"]);
        let different: BTreeSet<_> = known.iter().collect();
        assert_eq!(different.len(), tools.len());
        for name in &known {
            assert!(name.len() <= 64 && name.starts_with("s__"), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{name}");
        }
        // Nor does another server's.
        assert!(!ServerName::parse("s-").unwrap().known_as(&tools).iter().any(|name| known.contains(name)));
    }

    #[test]
    fn d7_the_order_of_a_list_changes_no_name() {
        let server = ServerName::parse("s").unwrap();
        let (one, other) = (["a.b", "a b", "a_b"], ["a_b", "a.b", "a b"]);
        let named = |tools: &[&str]| -> BTreeSet<(String, String)> {
            let tools_owned = tools.iter().map(|tool| (*tool).to_owned());
            tools_owned.zip(server.known_as(tools)).collect()
        };
        assert_eq!(named(&one), named(&other));
    }
}
