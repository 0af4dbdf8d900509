//! The approved tools of a server, as a brain is offered them.

use autoshare_core::tool::ToolSpec;
use autoshare_gate::contract::{ContractError, Description, Hints, OperatorContracts, derive};
use autoshare_mcp::{Annotations, Described, ServerName};

use super::{Definition, ServerError};

/// What a brain is offered of a server.
#[derive(Debug, Clone, Default)]
pub struct Offered {
    /// The approved tools with their contracts, sorted by the server's names of them.
    pub tools: Vec<ToolSpec>,
    /// Why others are not among them: what their arguments are cannot be told.
    pub left_out: Vec<ContractError>,
}

/// What a brain is offered of a server: what was approved, under the contracts that are derived from it, or those that the
/// operator wrote.
///
/// # Errors
/// [`ServerError::Contract`] for contracts of the operator's that cannot be read or do not fit.
pub fn offered(name: &ServerName, definition: &Definition) -> Result<Offered, ServerError> {
    let tools: Vec<&Described> = definition.pins.tools().collect();
    let own: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    let mut offered = Offered::default();
    for (known, tool) in name.known_as(&own).into_iter().zip(tools) {
        match derive(&description(name, known, tool)) {
            Ok(spec) => offered.tools.push(spec),
            Err(why) => offered.left_out.push(why),
        }
    }
    if let Some(text) = &definition.contracts {
        OperatorContracts::parse(text)?.apply(&mut offered.tools)?;
    }
    Ok(offered)
}

/// What a server hints at, in the words of the gate.
#[must_use]
pub const fn hints(tool: &Described) -> Hints {
    let Annotations { read_only, destructive, idempotent, open_world } = tool.annotations;
    Hints { read_only, destructive, idempotent, open_world }
}

fn description(server: &ServerName, name: String, tool: &Described) -> Description {
    Description {
        server: server.as_str().to_owned(),
        tool: tool.name.clone(),
        name,
        description: tool.description.clone(),
        input_schema: tool.input_schema.clone(),
        hints: hints(tool),
        digest: tool.digest(),
    }
}
