//! A file of contracts to begin with: what is in force, as an operator would write it.

use autoshare_core::tool::{Fields, Kind, Param, Redo, Role, ToolSpec};
use serde::Serialize;
use toml::{Table, Value};

use super::ContractError;

/// What stands above it.
const HEAD: &str = "\
# Contracts of tools: what each does, and what its parameters are for. What is left out stays as it was derived.
# effect: read, fetch, external, destructive. roles: target, amount, secret, content, query, option.
# words = \"operator\": nobody else can write what it returns. issued: fields of its results that are identifiers of the
# server's own ([] is none, [\"*\"] all; left out: those that are by their names). secret: fields that are secrets.
";

/// The contracts of these tools of one server as a file that [`OperatorContracts`](super::OperatorContracts) reads.
///
/// # Errors
/// [`ContractError::File`] for what TOML cannot say.
pub fn template(specs: &[ToolSpec]) -> Result<String, ContractError> {
    let mut tools = Table::new();
    for spec in specs {
        let name = spec.served.as_ref().map_or(&spec.name, |served| &served.tool);
        tools.insert(name.clone(), Value::Table(contract(spec)?));
    }
    let file = Table::from_iter([("version".to_owned(), Value::Integer(1)), ("tools".to_owned(), Value::Table(tools))]);
    let text = toml::to_string(&file).map_err(|error| ContractError::File(error.to_string()))?;
    Ok(format!("{HEAD}{text}"))
}

fn contract(spec: &ToolSpec) -> Result<Table, ContractError> {
    let mut table = Table::new();
    let mut put = |name: &str, value: Value| drop(table.insert(name.to_owned(), value));
    put("effect", value(&spec.effect)?);
    put("reversible", Value::Boolean(spec.reversible));
    put("idempotent", Value::Boolean(spec.redo == Redo::Idempotent));
    put("words", value(&spec.result.words)?);
    match &spec.result.issued {
        Fields::ByName => {}
        Fields::None => put("issued", Value::Array(Vec::new())),
        Fields::These(fields) => put("issued", value(fields)?),
    }
    if !spec.result.secret.is_empty() {
        put("secret", value(&spec.result.secret)?);
    }
    let mut params = Table::new();
    spec.params.iter().try_for_each(|param| roles(param, "", None, &mut params))?;
    put("params", Value::Table(params));
    Ok(table)
}

/// The role of a parameter, and of each member that plays another one. A name with a dot cannot be told from a way into a
/// record, and is left as it was derived.
fn roles(param: &Param, path: &str, of: Option<Role>, params: &mut Table) -> Result<(), ContractError> {
    if param.name.contains('.') {
        return Ok(());
    }
    let path = if path.is_empty() { param.name.clone() } else { format!("{path}.{}", param.name) };
    if of != Some(param.role) {
        params.insert(path.clone(), value(&param.role)?);
    }
    members(&param.kind).iter().try_for_each(|member| roles(member, &path, Some(param.role), params))
}

fn members(kind: &Kind) -> &[Param] {
    match kind {
        Kind::List { of, .. } => members(of),
        Kind::Record { fields, .. } => fields,
        _ => &[],
    }
}

fn value(value: &impl Serialize) -> Result<Value, ContractError> {
    Value::try_from(value).map_err(|error| ContractError::File(error.to_string()))
}

#[cfg(test)]
mod tests {
    use autoshare_core::Digest;
    use serde_json::json;

    use super::template;
    use crate::contract::{Description, Hints, OperatorContracts, derive};

    #[test]
    fn what_is_read_back_is_what_was_written() {
        let schema = json!({"type": "object", "properties": {
            "to": {"type": "array", "items": {"type": "object", "properties": {
                "email": {"type": "string"}, "body": {"type": "string"}}}},
            "a.b": {"type": "string"}, "we\"ird": {"type": "integer"}, "subject": {"type": "string"}}});
        let of = |tool: &str| Description {
            server: "mail".to_owned(),
            tool: tool.to_owned(),
            name: format!("mail__{tool}"),
            description: "Ignored.\n[tools.other]".to_owned(),
            input_schema: schema.clone(),
            hints: Hints::default(),
            digest: Digest::of(b"x"),
        };
        let specs: Vec<_> = ["send_mail", "read.inbox", "delete_mail"].map(|tool| derive(&of(tool)).unwrap()).into();
        let text = template(&specs).unwrap();
        let mut again = specs.clone();
        OperatorContracts::parse(&text).unwrap().apply(&mut again).unwrap();
        for (before, after) in specs.iter().zip(&again) {
            let same = |spec: &autoshare_core::tool::ToolSpec| {
                (spec.effect, spec.redo, spec.params.clone(), spec.result.clone(), spec.reversible)
            };
            assert_eq!(same(before), same(after), "{text}");
        }
        assert!(!text.contains("other"), "nothing of a description is passed on: {text}");
    }
}
