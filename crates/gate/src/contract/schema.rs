//! A stranger's JSON Schema, read into the bounded form that is passed on. Nothing outside of it is ever fetched: a reference
//! that does not lead into the schema itself stands for any value.

use std::cell::Cell;

use autoshare_core::tool::{Kind, Param, Role, compiled};
use serde_json::{Map, Value};

/// Levels of a schema that are read.
const MAX_DEPTH: u32 = 16;
/// Parameters, and members of one record, at most; further ones are left out of what a model sees.
const MAX_FIELDS: usize = 100;
/// Bytes of a text unless its schema says less.
const MAX_TEXT: u64 = 1024 * 1024;
/// Members of a list unless its schema says less.
const MAX_MEMBERS: u64 = 10_000;
/// Bytes of a value of any kind.
const MAX_ANY: u64 = 1024 * 1024;
/// Words of an enumeration at most; a longer one is a text.
const MAX_WORDS: usize = 500;
/// Kinds of which a value may be one, at most; one of more is any value.
const MAX_EITHER: usize = 20;
/// Parts of a schema that are read, each as often as it is referred to: what lies behind stands for any value. References can
/// make a short schema as large as one likes.
const MAX_PARTS: u32 = 10_000;

/// The parameters of a tool, each with the role of an option for the time being.
pub(super) fn params(root: &Value) -> Result<Vec<Param>, String> {
    let schema = root.as_object().ok_or("it is no JSON object")?;
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => {}
        None if schema.contains_key("properties") || schema.is_empty() => {}
        other => return Err(format!("its type is {other:?}")),
    }
    Ok(Reader { root, left: Cell::new(MAX_PARTS), result: false }.fields(schema, 0))
}

/// What is wrong with a structured result by the schema that its tool declares for it, in words.
///
/// What is looked at: types, members, enumerations, patterns, the greatest lengths and the range of whole numbers. The rest
/// of a schema is passed over.
///
/// # Errors
/// What it should be.
pub fn fits(root: &Value, value: &Value) -> Result<(), String> {
    Reader { root, left: Cell::new(MAX_PARTS), result: true }.kind(root, 0).check(value)
}

struct Reader<'s> {
    root: &'s Value,
    /// Parts that may still be read.
    left: Cell<u32>,
    /// Whether these are the values of a result, where `null` is one and numbers have any size.
    result: bool,
}

impl Reader<'_> {
    fn fields(&self, schema: &Map<String, Value>, depth: u32) -> Vec<Param> {
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = schema.get("properties").and_then(Value::as_object);
        let field = |(name, value): (&String, &Value)| Param {
            name: name.clone(),
            description: text(value, "description").or_else(|| text(value, "title")).unwrap_or_default(),
            role: Role::Option,
            kind: self.kind(value, depth + 1),
            required: required.contains(&name.as_str()),
        };
        let most = if self.result { usize::MAX } else { MAX_FIELDS };
        properties.into_iter().flatten().take(most).map(field).collect()
    }

    fn kind(&self, value: &Value, depth: u32) -> Kind {
        match self.named(value, depth) {
            kind @ (Kind::Any { .. } | Kind::Null) => kind,
            kind if self.result && value.as_object().is_some_and(takes_null) => {
                Kind::Either { of: vec![Kind::Null, kind] }
            }
            kind => kind,
        }
    }

    /// The kind of a schema's values but `null`.
    fn named(&self, value: &Value, depth: u32) -> Kind {
        // A result is bounded as a whole; a limit that its server does not name is none.
        let most = |usual: u64| if self.result { u64::MAX } else { usual };
        let any = Kind::Any { max: most(MAX_ANY) };
        let is_too_much = depth >= MAX_DEPTH || self.left.get() == 0;
        let Some(schema) = value.as_object().filter(|_| !is_too_much) else { return any };
        self.left.set(self.left.get() - 1);
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let found = reference.strip_prefix('#').and_then(|inside| self.root.pointer(inside));
            return found.map_or(any, |found| self.kind(found, depth + 1));
        }
        for union in ["anyOf", "oneOf", "allOf"] {
            if let Some(members) = schema.get(union).and_then(Value::as_array) {
                let kinds: Vec<&Value> = members.iter().filter(|member| !is_null(member)).collect();
                return match kinds.as_slice() {
                    [only] => self.kind(only, depth + 1),
                    some if union != "allOf" && (2..=MAX_EITHER).contains(&some.len()) => {
                        Kind::Either { of: some.iter().map(|kind| self.kind(kind, depth + 1)).collect() }
                    }
                    _ => any,
                };
            }
        }
        if let Some(words) = words(schema) {
            return Kind::OneOf { words };
        }
        let number = |name: &str| schema.get(name).and_then(Value::as_i64);
        match type_of(schema) {
            Some("string") => {
                let max = number("maxLength").and_then(|max| u64::try_from(max).ok());
                let max = max.map_or(most(MAX_TEXT), |max| max.saturating_mul(4).min(most(MAX_TEXT)));
                // One that cannot be compiled within bounds, or needs more than linear time, is not looked at.
                let pattern = schema.get("pattern").and_then(Value::as_str).filter(|text| compiled(text).is_some());
                match pattern {
                    Some(pattern) => Kind::Fitting { pattern: pattern.to_owned(), max },
                    None => Kind::Text { max },
                }
            }
            Some("integer") if self.result && number("maximum").is_none() => Kind::Number,
            Some("null") if self.result => Kind::Null,
            Some("integer") => {
                Kind::Integer { min: number("minimum").unwrap_or(i64::MIN), max: number("maximum").unwrap_or(i64::MAX) }
            }
            Some("number") => Kind::Number,
            Some("boolean") => Kind::Boolean,
            Some("array") => {
                let of = schema.get("items").map_or(any, |items| self.kind(items, depth + 1));
                let max = number("maxItems").and_then(|max| u64::try_from(max).ok()).unwrap_or(u64::MAX);
                Kind::List { of: Box::new(of), max: max.min(most(MAX_MEMBERS)) }
            }
            Some("object") => {
                let open = schema.get("additionalProperties") != Some(&Value::Bool(false));
                Kind::Record { fields: self.fields(schema, depth), open }
            }
            _ => any,
        }
    }
}

/// The one type that a schema names beside `null`.
fn type_of(schema: &Map<String, Value>) -> Option<&str> {
    match schema.get("type")? {
        Value::String(name) => Some(name),
        Value::Array(names) => {
            let mut names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            names.next().filter(|_| names.next().is_none())
        }
        _ => None,
    }
}

fn words(schema: &Map<String, Value>) -> Option<Vec<String>> {
    if let Some(only) = schema.get("const") {
        return Some(vec![only.as_str()?.to_owned()]);
    }
    let members = schema.get("enum")?.as_array().filter(|members| members.len() <= MAX_WORDS)?;
    members.iter().filter(|member| !member.is_null()).map(|member| member.as_str().map(str::to_owned)).collect()
}

fn takes_null(schema: &Map<String, Value>) -> bool {
    let lists = |name: &str, null: &dyn Fn(&Value) -> bool| {
        schema.get(name).and_then(Value::as_array).is_some_and(|members| members.iter().any(null))
    };
    lists("type", &|name| name == "null")
        || lists("enum", &Value::is_null)
        || ["anyOf", "oneOf"].iter().any(|union| lists(union, &is_null))
        || schema.get("nullable") == Some(&Value::Bool(true))
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

fn text(schema: &Value, name: &str) -> Option<String> {
    schema.get(name)?.as_str().map(str::to_owned)
}
