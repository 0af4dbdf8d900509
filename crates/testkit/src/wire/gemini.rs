//! Google's `generateContent` and `streamGenerateContent`: every event is an answer as far as it is new.

use serde_json::{Value, json};

use crate::reply::{Asked, Said};

/// Runs of what the model says.
pub(super) fn turns(request: &Value) -> usize {
    super::runs(super::list(request, "contents"), |content| super::is_of(content, "model"))
}

pub(super) fn whole(said: &Said<'_>) -> Value {
    let words = (!said.text.is_empty()).then(|| json!({"text": said.text}));
    let parts = words.into_iter().chain(said.calls.iter().map(function_call)).collect();
    answer(said, parts, Some(finish(said)))
}

pub(super) fn stream(said: &Said<'_>) -> Vec<String> {
    let mut events: Vec<String> = said.parts(said.text).iter().map(|part| words(part)).collect();
    // A call is never cut.
    events.extend(
        said.calls.iter().map(|call| event(&json!({"candidates": [candidate(vec![function_call(call)], None)]}))),
    );
    events.push(event(&answer(said, Vec::new(), Some(finish(said)))));
    events
}

pub(super) fn words(text: &str) -> String {
    event(&json!({"candidates": [candidate(vec![json!({"text": text})], None)]}))
}

pub(super) fn failure(error: &Value) -> String {
    event(&json!({"error": error}))
}

fn answer(said: &Said<'_>, parts: Vec<Value>, finish: Option<&str>) -> Value {
    let usage = said.usage.map_or(Value::Null, |(input, output)| {
        json!({"promptTokenCount": input, "candidatesTokenCount": output,
               "totalTokenCount": input.saturating_add(output)})
    });
    json!({"candidates": [candidate(parts, finish)], "usageMetadata": usage, "modelVersion": said.model})
}

fn candidate(parts: Vec<Value>, finish: Option<&str>) -> Value {
    let content = json!({"role": "model", "parts": parts});
    finish.map_or_else(
        || json!({"index": 0, "content": content}),
        |reason| json!({"index": 0, "content": content, "finishReason": reason}),
    )
}

fn function_call(call: &Asked<'_>) -> Value {
    let args: Value = serde_json::from_str(&call.arguments).unwrap_or(Value::Null);
    json!({"functionCall": {"name": call.name, "args": args}})
}

/// The finish reasons that scripts name on every wire, in this one's words.
fn finish<'a>(said: &Said<'a>) -> &'a str {
    match said.finish {
        None | Some("stop" | "tool_calls") => "STOP",
        Some("length") => "MAX_TOKENS",
        Some(other) => other,
    }
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}
