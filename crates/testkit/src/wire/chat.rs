//! OpenAI's chat completions.

use serde_json::{Value, json};

use crate::reply::{Asked, Said};

/// Assistant messages, each of which is a turn.
pub(super) fn turns(request: &Value) -> usize {
    super::list(request, "messages").iter().filter(|message| super::is_of(message, "assistant")).count()
}

pub(super) fn whole(said: &Said<'_>) -> Value {
    let calls: Vec<Value> = said.calls.iter().map(whole_call).collect();
    let mut message = json!({"role": "assistant", "content": said.text});
    if let (false, Some(map)) = (calls.is_empty(), message.as_object_mut()) {
        map.insert("tool_calls".to_owned(), calls.into());
    }
    let choice = json!({"index": 0, "message": message, "finish_reason": finish(said)});
    json!({"object": "chat.completion", "choices": [choice], "usage": usage(said)})
}

pub(super) fn stream(said: &Said<'_>, request: &Value) -> Vec<String> {
    let delta = |delta: Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        event(&json!({"object": "chat.completion.chunk", "choices": [choice]}))
    };
    let mut events = vec![delta(json!({"role": "assistant", "content": ""}), None)];
    events.extend(said.parts(said.text).into_iter().map(|part| delta(json!({"content": part}), None)));
    for (n, call) in said.calls.iter().enumerate() {
        let begin = json!({"index": n, "id": call.id, "type": "function",
                           "function": {"name": call.name, "arguments": ""}});
        events.push(delta(json!({"tool_calls": [begin]}), None));
        let part = |part| delta(json!({"tool_calls": [{"index": n, "function": {"arguments": part}}]}), None);
        events.extend(said.parts(&call.arguments).into_iter().map(part));
    }
    events.push(delta(json!({}), Some(finish(said))));
    let wanted = request.pointer("/stream_options/include_usage").and_then(Value::as_bool) == Some(true);
    if wanted && said.usage.is_some() {
        events.push(event(&json!({"object": "chat.completion.chunk", "choices": [], "usage": usage(said)})));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

pub(super) fn words(text: &str) -> String {
    event(&json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}))
}

pub(super) fn failure(error: &Value) -> String {
    event(&json!({"error": error}))
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn finish<'a>(said: &Said<'a>) -> &'a str {
    said.finish.unwrap_or(if said.calls.is_empty() { "stop" } else { "tool_calls" })
}

fn usage(said: &Said<'_>) -> Value {
    said.usage.map_or(Value::Null, |(input, output)| {
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input.saturating_add(output)})
    })
}

fn whole_call(call: &Asked<'_>) -> Value {
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
}
