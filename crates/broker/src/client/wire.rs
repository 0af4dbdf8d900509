//! The chat-completions dialect: what is sent, and the parts of a reply that matter.
//!
//! Types for reading take what servers of many makes send: unknown fields are skipped, and what may be absent, null or
//! of another shape is.

use autoshare_core::chat::{Message, Request};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What an endpoint turned out to want; learnt from its refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// `max_completion_tokens` instead of the older `max_tokens`.
    pub(crate) completion_tokens: bool,
    /// Whether `stream_options` may be sent.
    pub(crate) stream_options: bool,
}

/// The body of a request.
pub(crate) fn body(model: &str, request: &Request, dialect: Dialect) -> Value {
    let mut body = json!({
        "model": model,
        "messages": request.messages.iter().map(message).collect::<Vec<_>>(),
        "stream": true,
    });
    let limit = if dialect.completion_tokens { "max_completion_tokens" } else { "max_tokens" };
    let mut set = |key: &str, value: Value| body.as_object_mut().map(|map| map.insert(key.to_owned(), value));
    set(limit, json!(request.max_output));
    if dialect.stream_options {
        set("stream_options", json!({"include_usage": true}));
    }
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            let function =
                json!({"name": tool.name, "description": tool.description, "parameters": tool.json_schema()});
            json!({"type": "function", "function": function})
        });
        set("tools", tools.collect());
    }
    body
}

fn message(message: &Message) -> Value {
    match message {
        Message::System { text } => json!({"role": "system", "content": text}),
        Message::User { text } => json!({"role": "user", "content": text}),
        Message::Tool { call_id, text } => json!({"role": "tool", "tool_call_id": call_id, "content": text}),
        Message::Assistant { text, calls } if calls.is_empty() => json!({"role": "assistant", "content": text}),
        Message::Assistant { text, calls } => {
            let calls: Vec<Value> = calls
                .iter()
                .map(|call| {
                    let function =
                        json!({"name": acceptable_name(&call.name), "arguments": acceptable_arguments(&call.arguments)});
                    json!({"id": call.id, "type": "function", "function": function})
                })
                .collect();
            let content = if text.is_empty() { Value::Null } else { json!(text) };
            json!({"role": "assistant", "content": content, "tool_calls": calls})
        }
    }
}

/// Endpoints refuse a whole conversation for a name that a model made up earlier; this is the nearest they take.
fn acceptable_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name: String = name.chars().take(64).map(|c| if fits(c) { c } else { '_' }).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

/// Endpoints parse the arguments of earlier calls, and some refuse the conversation where they are no JSON object.
fn acceptable_arguments(arguments: &str) -> String {
    match serde_json::from_str(arguments) {
        Ok(Value::Object(_)) => arguments.to_owned(),
        _ if arguments.trim().is_empty() => "{}".to_owned(),
        _ => json!({"malformed": arguments}).to_string(),
    }
}

/// A chunk of a streamed reply, or a whole reply.
#[derive(Debug, Deserialize)]
pub(crate) struct Chunk {
    pub(crate) choices: Option<Vec<Choice>>,
    pub(crate) usage: Option<Value>,
    pub(crate) error: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    pub(crate) index: Option<u64>,
    /// What is new, in a stream.
    pub(crate) delta: Option<Part>,
    /// Everything, in a whole reply.
    pub(crate) message: Option<Part>,
    pub(crate) finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Part {
    pub(crate) content: Option<Value>,
    pub(crate) refusal: Option<String>,
    pub(crate) tool_calls: Option<Vec<CallPart>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CallPart {
    pub(crate) index: Option<u64>,
    pub(crate) id: Option<String>,
    pub(crate) function: Option<FunctionPart>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FunctionPart {
    pub(crate) name: Option<String>,
    pub(crate) arguments: Option<Value>,
}

/// Tokens sent and received, if both are there and are numbers.
pub(crate) fn usage(value: &Value) -> Option<(u64, u64)> {
    let tokens = |key: &str| value.get(key).and_then(Value::as_u64);
    Some((tokens("prompt_tokens")?, tokens("completion_tokens")?))
}

/// Words of a message: a text, or a list of parts of which some are texts.
pub(crate) fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|p| p.get("text").and_then(Value::as_str)).collect(),
        _ => String::new(),
    }
}

/// What the body of a refusal says.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Said {
    pub(crate) message: String,
    pub(crate) code: String,
}

/// Reads `{"error": {"message", "code", "type"}}` and its relatives; any other body is its own message.
pub(crate) fn said(body: &str) -> Said {
    let Ok(value) = serde_json::from_str::<Value>(body) else {
        return Said { message: body.to_owned(), code: String::new() };
    };
    said_in(&value)
}

/// The same for a value.
pub(crate) fn said_in(value: &Value) -> Said {
    let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
    let error = value.get("error").unwrap_or(value);
    let text = |keys: &[&str]| {
        keys.iter().find_map(|key| match error.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    };
    let message = error.as_str().map(str::to_owned).or_else(|| text(&["message", "detail"]));
    let code: Vec<String> = ["code", "type", "status"].iter().filter_map(|key| text(&[key])).collect();
    Said { message: message.unwrap_or_else(|| error.to_string()), code: code.join(" ") }
}

#[cfg(test)]
mod tests {
    use autoshare_core::chat::RawCall;

    use super::*;

    #[test]
    fn history_is_sent_in_a_form_that_endpoints_take() {
        let call =
            |name: &str, arguments: &str| RawCall { id: "1".into(), name: name.into(), arguments: arguments.into() };
        let calls = vec![call("read_file", "{\"path\":\"a\"}"), call("bad name!", "{oops"), call("", " ")];
        let sent = message(&Message::Assistant { text: String::new(), calls });
        assert_eq!(sent["content"], Value::Null);
        let functions: Vec<&Value> = sent["tool_calls"].as_array().unwrap().iter().map(|c| &c["function"]).collect();
        assert_eq!(functions[0], &json!({"name": "read_file", "arguments": "{\"path\":\"a\"}"}));
        assert_eq!(functions[1], &json!({"name": "bad_name_", "arguments": "{\"malformed\":\"{oops\"}"}));
        assert_eq!(functions[2], &json!({"name": "_", "arguments": "{}"}));
    }

    #[test]
    fn refusals_of_many_makes_are_understood() {
        let cases = [
            (r#"{"error":{"message":"m","type":"t","code":"c"}}"#, "m", "c t"),
            (r#"{"error":{"message":"m","code":429,"status":"EXHAUSTED"}}"#, "m", "429 EXHAUSTED"),
            (r#"[{"error":{"message":"m","code":400}}]"#, "m", "400"),
            (r#"{"error":"m"}"#, "m", ""),
            (r#"{"message":"m","code":"c"}"#, "m", "c"),
            (r#"{"detail":"m"}"#, "m", ""),
            (r#"{"object":"error","message":"m","type":"BadRequestError"}"#, "m", "BadRequestError"),
            ("<html>", "<html>", ""),
            ("", "", ""),
            ("[]", "[]", ""),
        ];
        for (body, message, code) in cases {
            assert_eq!(said(body), Said { message: message.into(), code: code.into() }, "{body}");
        }
    }
}
