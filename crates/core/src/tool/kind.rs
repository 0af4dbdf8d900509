//! The values that a parameter takes: a bounded form of JSON Schema that a tool's own schema is translated to, so that
//! nothing of a stranger's schema is passed on unread.

use std::cell::RefCell;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Role;

/// Bytes of a regular expression, and of what it is compiled to, at most.
const MAX_PATTERN: usize = 1_000;
const MAX_COMPILED: usize = 256 * 1024;
/// Compiled expressions that are kept for the next value.
const MAX_KNOWN: usize = 64;

/// The values that a parameter takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Kind {
    /// UTF-8 text of at most so many bytes.
    Text {
        /// Bytes at most.
        max: u64,
    },
    /// UTF-8 text that fits a regular expression, somewhere in it unless that is anchored.
    Fitting {
        /// The expression, in the syntax of the `regex` crate, which takes linear time.
        pattern: String,
        /// Bytes at most.
        max: u64,
    },
    /// `null`.
    Null,
    /// A value of one of these kinds.
    Either {
        /// The kinds.
        of: Vec<Kind>,
    },
    /// A whole number in a closed range.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// Any finite number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    OneOf {
        /// The words.
        words: Vec<String>,
    },
    /// A list of values of one kind.
    List {
        /// What its members are.
        of: Box<Kind>,
        /// Members at most.
        max: u64,
    },
    /// An object with these members.
    Record {
        /// The members.
        fields: Vec<Param>,
        /// Whether it may have others.
        open: bool,
    },
    /// Any JSON value whose text has at most so many bytes.
    Any {
        /// Bytes at most.
        max: u64,
    },
}

/// One parameter of a tool, or one member of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// What it is for, in words for the model.
    pub description: String,
    /// Its role.
    pub role: Role,
    /// Its values.
    pub kind: Kind,
    /// Whether a call must carry it.
    #[serde(default)]
    pub required: bool,
}

/// The parameters as a JSON Schema object, as chat-completions endpoints take it.
pub(super) fn object_schema(params: &[Param], open: bool) -> Value {
    let properties: Map<String, Value> = params.iter().map(|p| (p.name.clone(), p.json_schema())).collect();
    let required: Vec<&str> = params.iter().filter(|p| p.required).map(|p| p.name.as_str()).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": open})
}

impl Param {
    fn json_schema(&self) -> Value {
        let mut schema = self.kind.json_schema();
        if let (Value::Object(map), false) = (&mut schema, self.description.is_empty()) {
            map.insert("description".to_owned(), Value::String(self.description.clone()));
        }
        schema
    }
}

impl Kind {
    /// The values as a JSON Schema.
    #[must_use]
    pub fn json_schema(&self) -> Value {
        match self {
            Self::Text { .. } => json!({"type": "string"}),
            Self::Fitting { pattern, .. } => json!({"type": "string", "pattern": pattern}),
            Self::Null => json!({"type": "null"}),
            Self::Either { of } => json!({"anyOf": of.iter().map(Self::json_schema).collect::<Vec<_>>()}),
            Self::Integer { min: i64::MIN, max: i64::MAX } => json!({"type": "integer"}),
            Self::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
            Self::Number => json!({"type": "number"}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::OneOf { words } => json!({"type": "string", "enum": words}),
            Self::List { of, .. } => json!({"type": "array", "items": of.json_schema()}),
            Self::Record { fields, open } => object_schema(fields, *open),
            Self::Any { .. } => json!({}),
        }
    }

    /// Whether a value is one of these; if not, what it must be, in words.
    ///
    /// # Errors
    /// What is expected.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let must = |holds: bool, words: String| if holds { Ok(()) } else { Err(words) };
        match self {
            Self::Text { max } => must(
                value.as_str().is_some_and(|text| text.len() as u64 <= *max),
                format!("a text of at most {max} bytes"),
            ),
            Self::Fitting { pattern, max } => {
                let text = value.as_str().filter(|text| text.len() as u64 <= *max);
                let fits = text.is_some_and(|text| is_match(pattern, text));
                must(fits, format!("a text of at most {max} bytes that fits {pattern}"))
            }
            Self::Null => must(value.is_null(), "null".to_owned()),
            Self::Either { of } => {
                if of.iter().any(|kind| kind.check(value).is_ok()) {
                    return Ok(());
                }
                let wrong: Vec<String> = of.iter().filter_map(|kind| kind.check(value).err()).collect();
                Err(wrong.join(", or "))
            }
            Self::Integer { min, max } => must(
                integer(value).is_some_and(|number| (*min..=*max).contains(&number)),
                format!("a whole number from {min} to {max}"),
            ),
            Self::Number => must(value.is_number(), "a number".to_owned()),
            Self::Boolean => must(value.is_boolean(), "true or false".to_owned()),
            Self::OneOf { words } => must(
                value.as_str().is_some_and(|word| words.iter().any(|known| known == word)),
                format!("one of: {}", words.join(", ")),
            ),
            Self::List { of, max } => {
                let members = value.as_array().filter(|members| members.len() as u64 <= *max);
                let members = members.ok_or_else(|| format!("a list of at most {max} members"))?;
                members.iter().try_for_each(|member| of.check(member)).map_err(|inner| format!("a list, each {inner}"))
            }
            Self::Record { fields, open } => check_record(fields, *open, value),
            Self::Any { max } => {
                must(value.to_string().len() as u64 <= *max, format!("of at most {max} bytes as JSON"))
            }
        }
    }
}

/// A whole number, however it is written: `3`, `3.0`. One beyond 64 bits is none.
pub(super) fn integer(value: &Value) -> Option<i64> {
    let whole = |number: &f64| number.fract() == 0.0 && number.abs() < 9.0e15;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and small enough")]
    value.as_i64().or_else(|| value.as_f64().filter(whole).map(|number| number as i64))
}

thread_local! {
    /// Patterns that were compiled last: a result has many values of one kind.
    static COMPILED: RefCell<Vec<(String, Regex)>> = const { RefCell::new(Vec::new()) };
}

/// Whether a text fits a pattern; none fits one that cannot be compiled.
fn is_match(pattern: &str, text: &str) -> bool {
    COMPILED.with_borrow_mut(|known| {
        if let Some((_, regex)) = known.iter().find(|(one, _)| one == pattern) {
            return regex.is_match(text);
        }
        let Some(regex) = compiled(pattern) else { return false };
        let fits = regex.is_match(text);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.push((pattern.to_owned(), regex));
        fits
    })
}

/// A regular expression of a stranger's: bounded in what it is compiled to, and so in the time that it takes. `None` if it
/// is none, or too large.
#[must_use]
pub fn compiled(pattern: &str) -> Option<Regex> {
    (pattern.len() <= MAX_PATTERN).then(|| RegexBuilder::new(pattern).size_limit(MAX_COMPILED).build().ok())?
}

fn check_record(fields: &[Param], open: bool, value: &Value) -> Result<(), String> {
    let map = value.as_object().ok_or_else(|| "an object".to_owned())?;
    for (name, member) in map {
        match fields.iter().find(|field| field.name == *name) {
            Some(field) if member.is_null() && !field.required => {}
            Some(field) => field.kind.check(member).map_err(|inner| format!("an object whose {name:?} is {inner}"))?,
            None if open => {}
            None => return Err(format!("an object without {name:?}")),
        }
    }
    match fields.iter().find(|field| field.required && !map.contains_key(&field.name)) {
        Some(field) => Err(format!("an object with {:?}", field.name)),
        None => Ok(()),
    }
}
