//! What came of a call: read as data, whatever its server meant by it.

use autoshare_core::tool::Label;
use serde_json::Value;

use crate::McpError;
use crate::described::depth;
use crate::label::label;
use crate::limits::{Limits, MAX_DEPTH};

/// What came of a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Called {
    /// Its texts, one after another; what is no text stands there as a line that says what it is. Unchecked: it has not
    /// passed the guard.
    pub text: String,
    /// Its structured content.
    pub structured: Option<Value>,
    /// Whether the server says that the call failed.
    pub is_error: bool,
    /// What the labels on it take: of the result and of everything in it.
    pub label: Label,
}

impl Called {
    /// Reads the result of `tools/call`.
    pub(crate) fn read(result: &Value, limits: &Limits) -> Result<Self, McpError> {
        let bounded = |value: &Value| {
            if value.to_string().len() > limits.structured {
                return Err(McpError::TooMuch { what: "structured content", limit: limits.structured });
            }
            if depth(value) > MAX_DEPTH {
                return Err(McpError::TooMuch { what: "levels of structured content", limit: MAX_DEPTH });
            }
            Ok(value.clone())
        };
        let get = |key: &str| result.get(key).filter(|value| !value.is_null());
        let structured = get("structuredContent").map(bounded).transpose()?;
        let blocks = result.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut text = joined(blocks);
        // A server may leave the text out where there is structure.
        if let (true, Some(structured)) = (text.is_empty(), &structured) {
            text = serde_json::to_string_pretty(structured).unwrap_or_default();
        }
        Ok(Self {
            text,
            structured,
            is_error: result.get("isError").and_then(Value::as_bool).unwrap_or(false),
            label: blocks.iter().map(labelled).fold(label(get("_meta")), Label::and),
        })
    }

    /// Reads the result of `resources/read`.
    pub(crate) fn read_resource(result: &Value) -> Self {
        let contents = result.get("contents").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Self {
            text: contents.iter().map(resource).collect::<Vec<_>>().join("\n"),
            label: contents.iter().map(labelled).fold(label(result.get("_meta")), Label::and),
            ..Self::default()
        }
    }
}

/// Blocks of content as one text.
pub(crate) fn joined(blocks: &[Value]) -> String {
    blocks.iter().map(block).collect::<Vec<_>>().join("\n")
}

/// What the labels on a block, and on a resource in it, take.
fn labelled(block: &Value) -> Label {
    let inner = block.get("resource").and_then(|resource| resource.get("_meta"));
    label(block.get("_meta")).and(label(inner))
}

/// A block as text: its own, or a line that says what it is.
fn block(block: &Value) -> String {
    let text = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default();
    let kind = |value: &str| if value.is_empty() { "unknown type".to_owned() } else { value.to_owned() };
    match text("type") {
        "text" => text("text").to_owned(),
        "image" | "audio" => {
            format!("[{}: {}, {} bytes in base64, not shown]", text("type"), kind(text("mimeType")), text("data").len())
        }
        "resource" => block.get("resource").map(resource).unwrap_or_default(),
        "resource_link" => format!("[link to a resource: {} {}]", text("name"), text("uri")),
        other => format!("[{}: not shown]", kind(other)),
    }
}

/// The contents of a resource as text.
fn resource(contents: &Value) -> String {
    let text = |key: &str| contents.get(key).and_then(Value::as_str);
    match (text("text"), text("blob")) {
        (Some(words), _) => words.to_owned(),
        (None, Some(blob)) => {
            format!("[resource {}: {} bytes in base64, not shown]", text("uri").unwrap_or("?"), blob.len())
        }
        (None, None) => "[resource without contents]".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_of_every_kind() {
        let read = |value: Value| Called::read(&value, &Limits::default()).unwrap();
        let called = read(json!({"content": [
            {"type": "text", "text": "one"}, {"type": "image", "mimeType": "image/png", "data": "AAAA"},
            {"type": "resource", "resource": {"uri": "a:b", "text": "inside"}},
            {"type": "resource_link", "uri": "file:///x", "name": "x"}, {"type": "hologram"}],
            "isError": true, "_meta": {"ifc": {"integrity": "trusted"}}}));
        assert_eq!(
            called.text,
            "one\n[image: image/png, 4 bytes in base64, not shown]\ninside\n[link to a resource: x file:///x]\n\
             [hologram: not shown]"
        );
        assert!(called.is_error && called.structured.is_none());
        assert_eq!(called.label, Label { untrusted: false, private: true });
        let resource =
            json!({"uri": "a:b", "text": "x", "_meta": {"ifc": {"integrity": "low", "confidentiality": "public"}}});
        let inside =
            read(json!({"content": [{"type": "text", "text": "x"}, {"type": "resource", "resource": resource}]}));
        assert_eq!(inside.label, Label { untrusted: true, private: false });
        let only = read(json!({"structuredContent": {"a": 1}}));
        assert_eq!((only.text.as_str(), only.structured), ("{\n  \"a\": 1\n}", Some(json!({"a": 1}))));
        assert_eq!(read(json!({})), Called::default());
    }

    #[test]
    fn d7_structured_content_is_bounded() {
        let mut deep = json!(1);
        for _ in 0..70 {
            deep = json!([deep]);
        }
        for value in [deep, json!("x".repeat(2 << 20))] {
            let error = Called::read(&json!({"structuredContent": value}), &Limits::default()).unwrap_err();
            assert!(matches!(error, McpError::TooMuch { .. }), "{error}");
        }
    }
}
