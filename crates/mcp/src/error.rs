//! What can go wrong with a server.

use std::time::Duration;

/// What can go wrong with a server. Its own words have passed the guard and are bounded; whoever shows them encodes them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum McpError {
    /// It did not become ready.
    #[error("the MCP server did not start: {0}")]
    Start(String),
    /// The connection ended.
    #[error("the MCP server is gone: {0}")]
    Closed(String),
    /// It took too long.
    #[error("the MCP server did not answer {what} in {} s; [mcp.limits] gives it longer", limit.as_secs())]
    TimedOut {
        /// What was asked.
        what: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// It answered with an error.
    #[error("the MCP server refused {what}: {said} (code {code})")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// The code of JSON-RPC.
        code: i32,
        /// Its words.
        said: String,
    },
    /// It wants something that no server gets.
    #[error("the MCP server answered {what} with a wish of its own ({wish}), which is never granted; use another tool")]
    Wish {
        /// What was asked.
        what: &'static str,
        /// What it wants.
        wish: &'static str,
    },
    /// It sent more than it may.
    #[error("the MCP server sent {what} of more than {limit}, which is the limit; ask it for less ([mcp.limits])")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// It answered with what is no answer.
    #[error("the MCP server's answer to {what} cannot be read: {why}")]
    Malformed {
        /// What was asked.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A name that is none.
    #[error("{0:?} is no name of an MCP server: use 1 to 24 lower-case letters, digits and hyphens, such as git-tools")]
    Name(String),
}
