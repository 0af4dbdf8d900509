//! What was approved of a server, as a brain is offered it.

use autoshare_core::tool::ToolSpec;
use autoshare_gate::contract::{
    ContractError, Description, Hints, LIST_RESOURCES, OperatorContracts, READ_RESOURCE, derive, resource_tools,
};
use autoshare_mcp::{Described, ServerName};

use super::Definition;

/// The approved tools of a server with their contracts: derived by fixed rules, and then as the operator says; and those by
/// which its resources are listed and read. A tool that cannot be called, since its arguments are no object, is left out.
///
/// # Errors
/// [`ContractError`] if the operator's contracts cannot be read, or speak of what the server does not have.
pub fn specs(name: &ServerName, definition: &Definition) -> Result<Vec<ToolSpec>, ContractError> {
    let described = described(name, definition);
    let mut specs: Vec<ToolSpec> = described.iter().filter_map(|tool| derive(tool).ok()).collect();
    if let (Some([list, read]), _) = known(name, definition) {
        specs.extend(resource_tools(name.as_str(), (&list, &read)));
    }
    if let Some(text) = &definition.contracts {
        OperatorContracts::parse(text)?.apply(&mut specs)?;
    }
    Ok(specs)
}

/// What is known of a server's approved tools, for the rules that derive a contract.
#[must_use]
pub fn described(name: &ServerName, definition: &Definition) -> Vec<Description> {
    let of = |(known, tool): (String, &Described)| Description {
        server: name.as_str().to_owned(),
        tool: tool.name.clone(),
        name: known,
        description: tool.description.clone(),
        input_schema: tool.input_schema.clone(),
        hints: Hints {
            read_only: tool.annotations.read_only,
            destructive: tool.annotations.destructive,
            idempotent: tool.annotations.idempotent,
            open_world: tool.annotations.open_world,
        },
        digest: tool.digest(),
    };
    let (_, known) = known(name, definition);
    known.into_iter().zip(definition.pins.tools()).map(of).collect()
}

/// By which names a model knows the tools for resources, if there are any, and the server's own. Those for resources come
/// first: no tool of the server's takes their names.
fn known(name: &ServerName, definition: &Definition) -> (Option<[String; 2]>, Vec<String>) {
    let ours = if definition.pins.has_resources() { &[LIST_RESOURCES, READ_RESOURCE][..] } else { &[] };
    let all: Vec<&str> = ours.iter().copied().chain(definition.pins.tools().map(|tool| tool.name.as_str())).collect();
    let mut known = name.known_as(&all);
    let own = known.split_off(ours.len());
    (known.try_into().ok(), own)
}
