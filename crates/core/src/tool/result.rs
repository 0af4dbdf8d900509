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

/// What a server's own label takes from one of its results: information-flow labels are believed only to the disadvantage of
/// what they are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Its integrity is low: nothing of it counts as issued by the server or as the operator's.
    #[serde(default)]
    pub untrusted: bool,
    /// It is confidential: whatever leaves afterwards may carry it.
    #[serde(default)]
    pub private: bool,
}

impl Label {
    /// Whether it takes nothing.
    #[must_use]
    pub const fn is_neutral(&self) -> bool {
        !self.untrusted && !self.private
    }

    /// Both labels at once.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { untrusted: self.untrusted || other.untrusted, private: self.private || other.private }
    }

    /// What it takes, in words: `untrusted, private`; empty if nothing.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match (self.untrusted, self.private) {
            (true, true) => "untrusted, private",
            (true, false) => "untrusted",
            (false, true) => "private",
            (false, false) => "",
        }
    }
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

/// By which method of the protocol a tool of a server is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// `tools/call`: a tool of the server's own.
    #[default]
    CallTool,
    /// `resources/list` and `resources/templates/list`.
    ListResources,
    /// `resources/read`.
    ReadResource,
}

impl Method {
    /// Whether it is the usual one.
    #[must_use]
    pub const fn is_call_tool(&self) -> bool {
        matches!(self, Self::CallTool)
    }
}

/// A tool of a server (Model Context Protocol).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    /// The server's name here.
    pub server: String,
    /// The tool's name there; of its resources, the protocol's name of the method.
    pub tool: String,
    /// How it is called.
    #[serde(default, skip_serializing_if = "Method::is_call_tool")]
    pub method: Method,
    /// What the server said of it when it was approved.
    pub digest: Digest,
    /// Who wrote its contract.
    pub contract: WrittenBy,
}
