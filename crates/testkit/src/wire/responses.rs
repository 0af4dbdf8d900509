//! OpenAI's responses: an answer is a list of items, and a stream tells each item's beginning, parts and end.

use serde_json::{Value, json};

use crate::reply::{Asked, Said};

/// Runs of what a model says: its messages, calls and thoughts. What tools answer and people say stands between.
pub(super) fn turns(request: &Value) -> usize {
    super::runs(super::list(request, "input"), |item| {
        super::is_of(item, "assistant")
            || matches!(
                item.get("type").and_then(Value::as_str),
                Some("function_call" | "custom_tool_call" | "reasoning")
            )
    })
}

pub(super) fn whole(said: &Said<'_>) -> Value {
    let words = (!said.text.is_empty()).then(|| message(said));
    let output: Vec<Value> =
        words.into_iter().chain(said.calls.iter().map(|call| function_call(call, "completed"))).collect();
    let (status, details) = match said.finish {
        None | Some("stop" | "tool_calls") => ("completed", Value::Null),
        Some(reason) => ("incomplete", json!({"reason": reason})),
    };
    json!({"id": response_id(said), "object": "response", "status": status, "model": said.model, "error": null,
           "incomplete_details": details, "output": output, "usage": usage(said)})
}

pub(super) fn stream(said: &Said<'_>) -> Vec<String> {
    let begun = json!({"id": response_id(said), "object": "response", "status": "in_progress", "model": said.model,
                       "output": [], "usage": null});
    let mut events = vec![json!({"type": "response.created", "response": begun})];
    let mut at = 0;
    if !said.text.is_empty() {
        let id = message_id(said);
        let place = |kind: &str| json!({"type": kind, "item_id": id, "output_index": at, "content_index": 0});
        let empty = json!({"type": "message", "id": id, "status": "in_progress", "role": "assistant", "content": []});
        events.push(json!({"type": "response.output_item.added", "output_index": at, "item": empty}));
        events.push(with(place("response.content_part.added"), "part", output_text("")));
        let delta = |part: String| with(place("response.output_text.delta"), "delta", part.into());
        events.extend(said.parts(said.text).into_iter().map(delta));
        events.push(with(place("response.output_text.done"), "text", said.text.into()));
        events.push(with(place("response.content_part.done"), "part", output_text(said.text)));
        events.push(json!({"type": "response.output_item.done", "output_index": at, "item": message(said)}));
        at += 1;
    }
    for call in &said.calls {
        let place = |kind: &str| json!({"type": kind, "item_id": item_id(call), "output_index": at});
        let empty =
            function_call(&Asked { id: call.id.clone(), name: call.name, arguments: String::new() }, "in_progress");
        events.push(json!({"type": "response.output_item.added", "output_index": at, "item": empty}));
        let delta = |part: String| with(place("response.function_call_arguments.delta"), "delta", part.into());
        events.extend(said.parts(&call.arguments).into_iter().map(delta));
        let all = call.arguments.as_str();
        events.push(with(place("response.function_call_arguments.done"), "arguments", all.into()));
        let done = function_call(call, "completed");
        events.push(json!({"type": "response.output_item.done", "output_index": at, "item": done}));
        at += 1;
    }
    let whole = whole(said);
    let end =
        if whole.get("status") == Some(&json!("completed")) { "response.completed" } else { "response.incomplete" };
    events.push(json!({"type": end, "response": whole}));
    let numbered = events.into_iter().enumerate().map(|(n, event)| with(event, "sequence_number", n.into()));
    numbered.map(|event| super::event(&event)).collect()
}

pub(super) fn words(text: &str) -> String {
    super::event(&json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
                         "content_index": 0, "delta": text}))
}

/// An event with one field more.
fn with(mut event: Value, key: &str, value: Value) -> Value {
    if let Some(map) = event.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
    event
}

fn response_id(said: &Said<'_>) -> String {
    format!("resp_{}", said.place + 1)
}

fn message_id(said: &Said<'_>) -> String {
    format!("msg_{}", said.place + 1)
}

/// An item has an id of its own beside the one that its result is told by.
fn item_id(call: &Asked<'_>) -> String {
    format!("fc_{}", call.id)
}

fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": []})
}

fn message(said: &Said<'_>) -> Value {
    json!({"type": "message", "id": message_id(said), "status": "completed", "role": "assistant",
           "content": [output_text(said.text)]})
}

fn function_call(call: &Asked<'_>, status: &str) -> Value {
    json!({"type": "function_call", "id": item_id(call), "status": status, "call_id": call.id, "name": call.name,
           "arguments": call.arguments})
}

fn usage(said: &Said<'_>) -> Value {
    said.usage.map_or(Value::Null, |(input, output)| {
        json!({"input_tokens": input, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": output,
               "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input.saturating_add(output)})
    })
}
