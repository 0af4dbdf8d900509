//! What a caller asks: its body is read once, checked field by field, and sent on as it came where nothing has to change.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::paths;
use super::refusal::Refusal;
use crate::provider::Operation;

/// Depth of a body at most.
const MAX_DEPTH: usize = 64;
/// Values of a body at most, and objects among them: parsed, a small one takes a hundred times its bytes.
const MAX_VALUES: usize = 1_000_000;
const MAX_OBJECTS: usize = 100_000;
/// Fields of a body at most.
const MAX_FIELDS: usize = 128;
/// Bytes of a model's name at most.
const MAX_MODEL: usize = 256;
/// Answers to one request at most: each is paid for.
const MAX_ANSWERS: u64 = 8;

/// A body whose fields are all known, none twice.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
    body: &'a [u8],
    /// The model, as the caller names it.
    pub(super) model: String,
    /// Whether the answer is wanted as a stream.
    pub(super) stream: bool,
    /// Tokens of one answer at most, if the caller says so.
    pub(super) max_output: Option<u64>,
    /// Answers wanted.
    pub(super) answers: u64,
    /// Whether the caller wants the usage told in the stream.
    pub(super) wants_usage: bool,
}

impl<'a> Asked<'a> {
    /// Reads a body. `extra` are fields that the operator allows beside the known ones.
    ///
    /// # Errors
    /// A [`Refusal`] of status 400, that names the field.
    pub(super) fn read(operation: Operation, body: &'a [u8], extra: &[String]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(body).map_err(|_| Refusal::bad("the body is not UTF-8"))?;
        check_shape(body)?;
        let mut parser = serde_json::Deserializer::from_str(text);
        let Fields(fields) = parser
            .deserialize_map(FieldsVisitor)
            .and_then(|fields| parser.end().map(|()| fields))
            .map_err(|error| Refusal::bad(format!("the body is no JSON object that can be sent on: {error}")))?;
        for (name, _) in &fields {
            let known = paths::fields(operation).contains(&name.as_ref()) || extra.iter().any(|extra| extra == name);
            if !known {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
                return Err(Refusal::field(
                    &shown,
                    format!(
                        "the field {shown:?} is not one that this gateway sends on; leave it out, or have the operator \
                         allow it ([gateway] extra_fields)"
                    ),
                ));
            }
        }
        let mut asked = Self {
            body,
            model: String::new(),
            stream: false,
            max_output: None,
            answers: 1,
            wants_usage: false,
            fields,
        };
        asked.model = asked.parsed::<String>("model", "a text")?.unwrap_or_default();
        if asked.model.is_empty() || asked.model.len() > MAX_MODEL || asked.model.chars().any(char::is_control) {
            return Err(Refusal::field("model", "name a model: 1 to 256 bytes without control characters".to_owned()));
        }
        asked.stream = asked.parsed::<bool>("stream", "true or false")?.unwrap_or(false);
        for name in ["max_completion_tokens", "max_output_tokens", "max_tokens"] {
            let Some(limit) = asked.parsed::<u64>(name, "a number of tokens")? else { continue };
            asked.max_output = Some(asked.max_output.map_or(limit, |other| other.max(limit)));
        }
        asked.answers = asked.parsed::<u64>("n", "a number")?.unwrap_or(1);
        if asked.answers == 0 || asked.answers > MAX_ANSWERS {
            return Err(Refusal::field(
                "n",
                format!("n is {}: 1 to {MAX_ANSWERS} answers to a request", asked.answers),
            ));
        }
        if let Some(options) = asked.parsed::<StreamOptions>("stream_options", "an object with no field twice")? {
            asked.wants_usage = options.include_usage.unwrap_or(false);
        }
        Ok(asked)
    }

    /// A field's JSON, as it came.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.field(name).map(RawValue::get)
    }

    fn field(&self, name: &str) -> Option<&'a RawValue> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// A field's value; absent and null are the same.
    pub(super) fn parsed<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
        wanted: &str,
    ) -> Result<Option<T>, Refusal> {
        let Some(raw) = self.field(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map_err(|_| Refusal::field(name, format!("{name} must be {wanted}")))
    }

    /// The body for the upstream: the very bytes that came, unless a field has to be another.
    pub(super) fn body(&self, changes: &[Change<'_>]) -> Vec<u8> {
        let is_needed = |change: &Change<'_>| match change.value {
            Some(value) => self.field(change.field).is_none_or(|raw| raw.get() != value),
            None => self.field(change.field).is_some(),
        };
        let changes: Vec<&Change<'_>> = changes.iter().filter(|change| is_needed(change)).collect();
        if changes.is_empty() {
            return self.body.to_vec();
        }
        let mut out = Vec::with_capacity(self.body.len() + 128);
        let mut put = |name: &str, value: &str| {
            out.push(if out.is_empty() { b'{' } else { b',' });
            out.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
        };
        for (name, raw) in &self.fields {
            match changes.iter().find(|change| change.field == name) {
                None => put(name, raw.get()),
                Some(Change { value: Some(value), .. }) => put(name, value),
                Some(Change { value: None, .. }) => {}
            }
        }
        for change in &changes {
            if let (None, Some(value)) = (self.field(change.field), change.value) {
                put(change.field, value);
            }
        }
        if out.is_empty() {
            out.push(b'{');
        }
        out.push(b'}');
        out
    }
}

/// A field of a body that has to be another one: set to this JSON, or left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) field: &'a str,
    pub(super) value: Option<&'a str>,
}

/// Two parsers may not agree on what a body says: no field twice, whatever its spelling with escapes.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);
struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
        while let Some(Key(name)) = map.next_key()? {
            if fields.iter().any(|(known, _)| *known == name) {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
                return Err(serde::de::Error::custom(format!("the field {shown:?} stands there twice")));
            }
            if fields.len() >= MAX_FIELDS {
                return Err(serde::de::Error::custom(format!("more than {MAX_FIELDS} fields")));
            }
            fields.push((name, map.next_value()?));
        }
        Ok(Fields(fields))
    }
}

/// Read strictly: an upstream that takes the other one of two `include_usage` would leave a call uncounted.
#[derive(serde::Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Brackets that are open at once, outside strings, and how many values there are.
fn check_shape(body: &[u8]) -> Result<(), Refusal> {
    let (mut depth, mut is_string, mut is_escaped) = (0usize, false, false);
    let (mut values, mut objects) = (0usize, 0usize);
    for byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b',' => {
                values += 1;
                if values > MAX_VALUES {
                    return Err(Refusal::bad(format!("the body holds more than {MAX_VALUES} values")));
                }
            }
            b'{' | b'[' => {
                depth += 1;
                objects += 1;
                if objects > MAX_OBJECTS {
                    return Err(Refusal::bad(format!("the body holds more than {MAX_OBJECTS} objects and lists")));
                }
                if depth > MAX_DEPTH {
                    return Err(Refusal::bad(format!("the body is nested more than {MAX_DEPTH} deep")));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Asked<'_>, Refusal> {
        Asked::read(Operation::Chat, body.as_bytes(), &["top_k".to_owned()])
    }

    #[test]
    fn what_is_asked() {
        let asked = read(
            r#"{"model":"m","stream":true,"max_tokens":7,"max_completion_tokens":9,"n":2,"stream_options":{"include_usage":true},"top_k":1}"#,
        )
        .unwrap();
        assert_eq!(
            (asked.model.as_str(), asked.stream, asked.max_output, asked.answers, asked.wants_usage),
            ("m", true, Some(9), 2, true)
        );
        let plain = read(r#"{"model":"m","stream":null}"#).unwrap();
        assert_eq!((plain.stream, plain.max_output, plain.answers, plain.wants_usage), (false, None, 1, false));
    }

    #[test]
    fn what_is_refused_says_why() {
        let deep = format!(r#"{{"model":"m","messages":{}{}}}"#, "[".repeat(70), "]".repeat(70));
        let many =
            format!(r#"{{"model":"m",{}}}"#, (0..200).map(|i| format!("\"a{i}\":1")).collect::<Vec<_>>().join(","));
        for (body, part) in [
            ("", "no JSON object"),
            ("[]", "no JSON object"),
            ("\"model\"", "no JSON object"),
            (r#"{"model":"m"} x"#, "no JSON object"),
            (r#"{"model":"m"}{"model":"n"}"#, "no JSON object"),
            (r#"{"model":"cheap","model":"dear"}"#, "\"model\" stands there twice"),
            (r#"{"model":"cheap","mod\u0065l":"dear"}"#, "\"model\" stands there twice"),
            (r#"{"model":"m","api_base":"http://evil"}"#, "\"api_base\" is not one"),
            (r#"{"model":"m","base_url":"http://evil"}"#, "\"base_url\" is not one"),
            (r#"{"model":"m","api_key":"k"}"#, "\"api_key\" is not one"),
            (r#"{"model":"m","extra_headers":{}}"#, "\"extra_headers\" is not one"),
            (r#"{"messages":[]}"#, "name a model"),
            (r#"{"model":""}"#, "name a model"),
            (r#"{"model":7}"#, "model must be a text"),
            (r#"{"model":"a\nb"}"#, "name a model"),
            (r#"{"model":"m","stream":"yes"}"#, "stream must be"),
            (r#"{"model":"m","max_tokens":-1}"#, "max_tokens must be"),
            (r#"{"model":"m","max_tokens":1e99}"#, "max_tokens must be"),
            (r#"{"model":"m","n":100}"#, "1 to 8 answers"),
            (r#"{"model":"m","n":0}"#, "1 to 8 answers"),
            (&deep, "nested more than 64"),
            (&format!(r#"{{"model":"m","messages":[{}{{}}]}}"#, "{},".repeat(100_000)), "100000 objects"),
            (&format!(r#"{{"model":"m","messages":[{}0]}}"#, "0,".repeat(1_000_000)), "1000000 values"),
            (
                r#"{"model":"m","stream_options":{"include_usage":true,"include_usage":false}}"#,
                "stream_options must be",
            ),
            (&many, "fields"),
        ] {
            let said = read(body).unwrap_err().words;
            assert!(said.contains(part), "{body:.60}: {said}");
        }
        assert!(Asked::read(Operation::Chat, b"{\"model\":\"\xff\"}", &[]).unwrap_err().words.contains("UTF-8"));
    }

    #[test]
    fn a_body_is_sent_on_as_it_came_unless_something_has_to_change() {
        let body = "{ \"messages\" : [ {\"role\":\"user\",\"content\":\"h\\u00e4\"} ],\n\"model\":\"p/m\" }";
        let asked = read(body).unwrap();
        assert_eq!(asked.body(&[]), body.as_bytes());
        assert_eq!(asked.body(&[Change { field: "user", value: None }]), body.as_bytes());
        assert_eq!(asked.body(&[Change { field: "model", value: Some("\"p/m\"") }]), body.as_bytes());
        let changed = asked
            .body(&[Change { field: "model", value: Some("\"m\"") }, Change { field: "user", value: Some("\"t\"") }]);
        assert_eq!(
            String::from_utf8(changed).unwrap(),
            "{\"messages\":[ {\"role\":\"user\",\"content\":\"h\\u00e4\"} ],\"model\":\"m\",\"user\":\"t\"}"
        );
        let less = asked.body(&[Change { field: "messages", value: None }]);
        assert_eq!(less, b"{\"model\":\"p/m\"}");
    }
}
