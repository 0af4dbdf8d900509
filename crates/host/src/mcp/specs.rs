//! The approved tools of a server, as a brain is offered them.

use autoshare_core::tool::{Effect, Kind, Param, Redo, Role, Served, ToolSpec, WrittenBy};
use autoshare_mcp::{Described, ServerName};
use serde_json::Value;

use super::Definition;

/// Bytes of one argument at most.
const MAX_ARGUMENT: u64 = 64 * 1024;

/// The approved tools of a server with their contracts.
#[must_use]
pub fn specs(name: &ServerName, definition: &Definition) -> Vec<ToolSpec> {
    let tools: Vec<&Described> = definition.pins.tools().collect();
    let own: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    let known = name.known_as(&own);
    known.into_iter().zip(tools).map(|(known, tool)| spec(name, known, tool)).collect()
}

/// To the cautious side: it reaches outside, and each of its parameters says where.
fn spec(server: &ServerName, known: String, tool: &Described) -> ToolSpec {
    let required: Vec<&str> = tool
        .input_schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let properties = tool.input_schema.get("properties").and_then(Value::as_object);
    let param = |(name, _): (&String, &Value)| Param {
        name: name.clone(),
        description: String::new(),
        role: Role::Target,
        kind: Kind::Any { max: MAX_ARGUMENT },
        required: required.contains(&name.as_str()),
    };
    let params = properties.into_iter().flatten().map(param).collect();
    let served = Served {
        server: server.as_str().to_owned(),
        tool: tool.name.clone(),
        digest: tool.digest(),
        contract: WrittenBy::Derived,
    };
    let spec = ToolSpec::new(&known, &tool.description, Effect::External, Redo::Write, params);
    ToolSpec { served: Some(served), ..spec }
}
