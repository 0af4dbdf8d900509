//! Contracts: what a tool does to the world, and the role of each of its parameters.
//!
//! Those of the tools that AutoSHARE brings are data ([`builtin_tools`]). For any other tool one is derived from its name, its
//! schema and its hints by fixed rules ([`derive`](fn@derive)), never from its description, and always to the cautious side:
//! what no rule knows is an effect outside, and what it is given is what it is aimed at. An operator's file
//! ([`OperatorContracts`]) says better.

mod builtin;
mod derive;
mod operator;
mod resources;
mod schema;
mod template;

pub use builtin::{READ_DOCUMENT, builtin_tools};
pub use derive::{Description, Hints, derive, why};
pub use operator::OperatorContracts;
pub use resources::{LIST_RESOURCES, READ_RESOURCE, resource_tools};
pub use schema::fits;
pub use template::template;

/// Why a tool cannot be used, or a file of contracts cannot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// The tool's schema is none of an object.
    #[error("the input schema of {tool} is not that of an object ({why}): the tool cannot be called; tell its maker")]
    Schema {
        /// The tool.
        tool: String,
        /// What is wrong.
        why: String,
    },
    /// The file is no contract file.
    #[error("the contracts cannot be read: {0}")]
    File(String),
    /// It speaks of what is not there.
    #[error("the contracts speak of {what}, which {whose} does not have; it has: {known}")]
    Unknown {
        /// What.
        what: String,
        /// Whose.
        whose: String,
        /// What there is.
        known: String,
    },
}
