//! What a tool is: its schema, its contract, and an action that fits them.

mod kind;
mod result;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Digest;

pub use kind::{Kind, Param, compiled};
pub use result::{Fields, Label, Method, ResultSpec, Served, Words, WrittenBy};

/// The role that a parameter plays in what an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Who receives, what is changed, where it goes.
    Target,
    /// How much.
    Amount,
    /// A credential or something marked secret.
    Secret,
    /// What is written or sent.
    Content,
    /// What is looked for.
    Query,
    /// How it is done: a mode, a range, a flag.
    Option,
}

/// What an action does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Changes files inside the workspace.
    WriteInside,
    /// Runs a program in a cell of its own: it may change whatever was opened to the brain for writing, and reach nothing
    /// else.
    RunInside,
    /// Reads from an address that the call names: whoever is there learns what was asked for.
    Fetch,
    /// Reaches somebody or something outside.
    External,
    /// Takes away what cannot be had back.
    Destructive,
}

/// What a restart may do with an intent that has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Redo {
    /// Do it again: it changes nothing.
    Read,
    /// Do it again under the same key.
    Idempotent,
    /// Ask whether it happened; do it only if it did not.
    Queryable,
    /// The outcome is unknown: a person or a rule decides.
    Write,
}

/// What a tool declares: name, schema and contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSpec {
    /// Its name: `[A-Za-z0-9_-]{1,64}`; a server's tool is `SERVER__TOOL`.
    pub name: String,
    /// What it does, in words for the model.
    pub description: String,
    /// Its effect.
    pub effect: Effect,
    /// What a restart may do.
    pub redo: Redo,
    /// Its parameters.
    pub params: Vec<Param>,
    /// Whether what it does can be taken back by another call.
    #[serde(default)]
    pub reversible: bool,
    /// What its results are.
    #[serde(default)]
    pub result: ResultSpec,
    /// Whose tool it is; `None` is one that AutoSHARE brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Served>,
}

/// Why a model's call does not fit the tools it was given. The text is written for the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No such tool.
    #[error("there is no tool named {name:?}; the tools are: {known}")]
    UnknownTool {
        /// The name that was called.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// The arguments are not a JSON object.
    #[error("the arguments of {tool} are not a JSON object: {why}")]
    NotAnObject {
        /// The tool.
        tool: String,
        /// What the parser said.
        why: String,
    },
    /// An argument that the tool does not have.
    #[error("{tool} has no parameter {name:?}; it takes: {known}")]
    UnknownParam {
        /// The tool.
        tool: String,
        /// The name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A required argument is missing.
    #[error("{tool} needs the parameter {name:?}")]
    Missing {
        /// The tool.
        tool: String,
        /// The name.
        name: String,
    },
    /// A value of the wrong kind.
    #[error("{tool}: {name:?} must be {expected}")]
    Wrong {
        /// The tool.
        tool: String,
        /// The parameter.
        name: String,
        /// What it must be.
        expected: String,
    },
}

impl ToolSpec {
    /// A tool that AutoSHARE brings.
    #[must_use]
    pub fn new(name: &str, description: &str, effect: Effect, redo: Redo, params: Vec<Param>) -> Self {
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            effect,
            redo,
            params,
            reversible: false,
            result: ResultSpec::default(),
            served: None,
        }
    }

    /// The parameter of this name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.name == name)
    }

    /// What an action of this tool is aimed at: the values of its target parameters, as one text that differs whenever
    /// one of them does. One target is its own text; none is the empty text; several are a JSON array.
    #[must_use]
    pub fn target(&self, action: &Action) -> String {
        let targets = self.params.iter().filter(|p| p.role == Role::Target);
        let values: Vec<Value> = targets.map(|p| action.args.get(&p.name).cloned().unwrap_or_default()).collect();
        match values.as_slice() {
            [] | [Value::Null] => String::new(),
            [Value::String(text)] => text.clone(),
            _ => Value::Array(values).to_string(),
        }
    }

    /// The parameters as a JSON Schema object, as chat-completions endpoints take it.
    #[must_use]
    pub fn json_schema(&self) -> Value {
        kind::object_schema(&self.params, false)
    }

    /// Checks arguments, given as the JSON text a model sent, against the parameters.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn accept(&self, arguments: &str) -> Result<Action, CallError> {
        let not_object = |why: String| CallError::NotAnObject { tool: self.name.clone(), why };
        let text = if arguments.trim().is_empty() { "{}" } else { arguments };
        let value: Value = serde_json::from_str(text).map_err(|e| not_object(e.to_string()))?;
        let Value::Object(map) = value else { return Err(not_object("it is another kind of value".to_owned())) };
        let mut args = BTreeMap::new();
        for (name, value) in map {
            let Some(param) = self.param(&name) else {
                let known = self.params.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(CallError::UnknownParam { tool: self.name.clone(), name, known });
            };
            if value.is_null() && !param.required {
                continue;
            }
            param.kind.check(&value).map_err(|expected| CallError::Wrong {
                tool: self.name.clone(),
                name: name.clone(),
                expected,
            })?;
            args.insert(name, value);
        }
        if let Some(param) = self.params.iter().find(|p| p.required && !args.contains_key(&p.name)) {
            return Err(CallError::Missing { tool: self.name.clone(), name: param.name.clone() });
        }
        Ok(Action { tool: self.name.clone(), args })
    }
}

/// Finds the tool that a call names and checks its arguments.
///
/// # Errors
/// Why the call does not fit.
pub fn accept_call(tools: &[ToolSpec], name: &str, arguments: &str) -> Result<Action, CallError> {
    let Some(tool) = tools.iter().find(|tool| tool.name == name) else {
        let known = tools.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(CallError::UnknownTool { name: name.to_owned(), known });
    };
    tool.accept(arguments)
}

/// A tool call whose arguments fit the tool's schema. Arguments are kept in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// The tool's name.
    pub tool: String,
    /// Argument by name.
    pub args: BTreeMap<String, Value>,
}

impl Action {
    /// A text argument.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.args.get(name).and_then(Value::as_str)
    }

    /// A whole-number argument.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.args.get(name).and_then(kind::integer)
    }

    /// A yes-or-no argument; absent is `false`.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.args.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The digest of exactly this tool with exactly these arguments: what an approval is bound to.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let args = serde_json::to_vec(&self.args).unwrap_or_default();
        Digest::of_parts(&[b"autoshare action 1", self.tool.as_bytes(), &args])
    }
}
