//! Contracts that an operator wrote, for tools of a server.

use std::collections::BTreeMap;

use autoshare_core::tool::{Effect, Fields, Kind, Param, Redo, Role, ToolSpec, Words, WrittenBy};
use serde::Deserialize;

use super::ContractError;

/// A file of contracts: TOML, one table a tool.
///
/// ```toml
/// version = 1
///
/// [tools.send_money]
/// effect = "external"
/// params = { recipient = "target", amount = "amount", subject = "content", date = "option" }
///
/// [tools.get_contacts]
/// effect = "read"
/// issued = ["email", "id"]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorContracts {
    version: u32,
    #[serde(default)]
    tools: BTreeMap<String, Contract>,
}

/// What the operator says of one tool. What is left out stays as it was derived.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contract {
    effect: Option<Effect>,
    reversible: Option<bool>,
    idempotent: Option<bool>,
    /// Whose words its results carry.
    words: Option<Words>,
    /// Fields of its results that are identifiers which the server issues; `*` is all.
    issued: Option<Vec<String>>,
    /// Fields of its results that are secrets; `*` is all.
    secret: Option<Vec<String>>,
    /// The role of each parameter; members of records by `parameter.member`.
    #[serde(default)]
    params: BTreeMap<String, Role>,
}

impl OperatorContracts {
    /// Reads a file of contracts.
    ///
    /// # Errors
    /// [`ContractError::File`], with the line.
    pub fn parse(text: &str) -> Result<Self, ContractError> {
        let file: Self = toml::from_str(text).map_err(|e| ContractError::File(e.to_string()))?;
        if file.version != 1 {
            return Err(ContractError::File(format!("their version is {}, this program knows 1", file.version)));
        }
        Ok(file)
    }

    /// Puts what the operator says in place of what was derived.
    ///
    /// # Errors
    /// [`ContractError::Unknown`] if a tool or a parameter is spoken of that is not there.
    pub fn apply(&self, tools: &mut [ToolSpec]) -> Result<(), ContractError> {
        for (name, contract) in &self.tools {
            let known = || tools.iter().map(|tool| own_name(tool).to_owned()).collect::<Vec<_>>().join(", ");
            let known = known();
            let tool = tools.iter_mut().find(|tool| own_name(tool) == name).ok_or_else(|| ContractError::Unknown {
                what: format!("the tool {name:?}"),
                whose: "the server".to_owned(),
                known,
            })?;
            contract.apply(tool)?;
        }
        Ok(())
    }
}

fn own_name(tool: &ToolSpec) -> &str {
    tool.served.as_ref().map_or(tool.name.as_str(), |served| served.tool.as_str())
}

impl Contract {
    fn apply(&self, tool: &mut ToolSpec) -> Result<(), ContractError> {
        if let Some(effect) = self.effect {
            tool.effect = effect;
            tool.redo = if effect == Effect::Read { Redo::Read } else { tool.redo };
            tool.redo = if effect != Effect::Read && tool.redo == Redo::Read { Redo::Write } else { tool.redo };
        }
        if self.idempotent == Some(true) && tool.redo == Redo::Write {
            tool.redo = Redo::Idempotent;
        }
        tool.reversible = self.reversible.unwrap_or(tool.reversible);
        tool.result.words = self.words.unwrap_or(tool.result.words);
        if let Some(fields) = &self.issued {
            tool.result.issued = if fields.is_empty() { Fields::None } else { Fields::These(fields.clone()) };
        }
        if let Some(fields) = &self.secret {
            tool.result.secret.clone_from(fields);
        }
        for (path, role) in &self.params {
            let known = || tool.params.iter().map(|param| param.name.clone()).collect::<Vec<_>>().join(", ");
            let known = known();
            let whose = own_name(tool).to_owned();
            let param = find(&mut tool.params, path).ok_or_else(|| ContractError::Unknown {
                what: format!("the parameter {path:?}"),
                whose,
                known,
            })?;
            give(param, *role);
        }
        if let Some(served) = &mut tool.served {
            served.contract = WrittenBy::Operator;
        }
        Ok(())
    }
}

fn find<'p>(params: &'p mut [Param], path: &str) -> Option<&'p mut Param> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let param = params.iter_mut().find(|param| param.name == name)?;
    match rest {
        None => Some(param),
        Some(rest) => find(members(&mut param.kind)?, rest),
    }
}

fn members(kind: &mut Kind) -> Option<&mut [Param]> {
    match kind {
        Kind::List { of, .. } => members(of),
        Kind::Record { fields, .. } => Some(fields),
        _ => None,
    }
}

/// A parameter and all that is in it has the role.
fn give(param: &mut Param, role: Role) {
    param.role = role;
    for member in members(&mut param.kind).into_iter().flatten() {
        give(member, role);
    }
}
