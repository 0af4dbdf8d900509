//! What a tool's results are, and where a tool comes from that AutoSHARE does not bring.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Whose words a result carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Words {
    /// Anybody's: content.
    #[default]
    Anybody,
    /// The operator's own: nobody else can write what it returns. Only an operator's contract says so.
    Operator,
}

/// Which fields of a structured result hold identifiers that the tool itself issues: not words that somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fields {
    /// None.
    #[default]
    None,
    /// Those whose name and value are an identifier's by the fixed rules of `gate`.
    ByName,
    /// Those of these names; `*` is any. A list of plain values is the field of the tool's whole result, `result`.
    These(Vec<String>),
}

/// What a tool's results are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultSpec {
    /// Whose words they carry.
    #[serde(default)]
    pub words: Words,
    /// Which fields are issued identifiers.
    #[serde(default)]
    pub issued: Fields,
    /// Which fields are secrets, beside those that are by their name; `*` is the whole result.
    #[serde(default)]
    pub secret: Vec<String>,
}

/// Who wrote a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WrittenBy {
    /// Nobody: it was derived from names and schema.
    Derived,
    /// The operator.
    Operator,
}

/// A tool of a server (Model Context Protocol).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    /// The server's name here.
    pub server: String,
    /// The tool's name there.
    pub tool: String,
    /// What the server said of it when it was approved.
    pub digest: Digest,
    /// Who wrote its contract.
    pub contract: WrittenBy,
}
