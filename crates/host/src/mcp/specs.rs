//! The approved tools of a server, as a brain is offered them.

use autoshare_core::tool::ToolSpec;
use autoshare_gate::contract::{ContractError, Description, Hints, OperatorContracts, derive};
use autoshare_mcp::{Described, ServerName};

use super::Definition;

/// The approved tools of a server with their contracts: derived by fixed rules, and then as the operator says. A tool that
/// cannot be called, since its arguments are no object, is left out.
///
/// # Errors
/// [`ContractError`] if the operator's contracts cannot be read, or speak of what the server does not have.
pub fn specs(name: &ServerName, definition: &Definition) -> Result<Vec<ToolSpec>, ContractError> {
    let described = described(name, definition);
    let mut specs: Vec<ToolSpec> = described.iter().filter_map(|tool| derive(tool).ok()).collect();
    if let Some(text) = &definition.contracts {
        OperatorContracts::parse(text)?.apply(&mut specs)?;
    }
    Ok(specs)
}

/// What is known of a server's approved tools, for the rules that derive a contract.
#[must_use]
pub fn described(name: &ServerName, definition: &Definition) -> Vec<Description> {
    let tools: Vec<&Described> = definition.pins.tools().collect();
    let own: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    let known = name.known_as(&own);
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
    known.into_iter().zip(tools).map(of).collect()
}
