//! Anthropic's messages: an answer is a list of blocks, and a stream tells each block's beginning, parts and end.

use serde_json::{Value, json};

use crate::reply::{Asked, Said};

/// Runs of assistant messages: two that follow one another are one turn.
pub(super) fn turns(request: &Value) -> usize {
    super::runs(super::list(request, "messages"), |message| super::is_of(message, "assistant"))
}

pub(super) fn whole(said: &Said<'_>) -> Value {
    let words = (!said.text.is_empty()).then(|| json!({"type": "text", "text": said.text}));
    // Arguments that are no JSON can only be streamed: here a call's input is a value.
    let input = |call: &Asked<'_>| serde_json::from_str(&call.arguments).unwrap_or(Value::Null);
    let content: Vec<Value> =
        words.into_iter().chain(said.calls.iter().map(|call| tool_use(call, input(call)))).collect();
    message(said, content, finish(said).into(), usage(said))
}

pub(super) fn stream(said: &Said<'_>) -> Vec<String> {
    // What was sent is told at the beginning, what was received at the end.
    let begun = said.usage.map_or(Value::Null, |(input, _)| json!({"input_tokens": input, "output_tokens": 1}));
    let mut events = vec![json!({"type": "message_start", "message": message(said, Vec::new(), Value::Null, begun)})];
    let mut index = 0;
    let mut block = |empty: Value, deltas: Vec<Value>| {
        events.push(json!({"type": "content_block_start", "index": index, "content_block": empty}));
        let delta = |delta| json!({"type": "content_block_delta", "index": index, "delta": delta});
        events.extend(deltas.into_iter().map(delta));
        events.push(json!({"type": "content_block_stop", "index": index}));
        index += 1;
    };
    if !said.text.is_empty() {
        let part = |part: String| json!({"type": "text_delta", "text": part});
        block(json!({"type": "text", "text": ""}), said.parts(said.text).into_iter().map(part).collect());
    }
    for call in &said.calls {
        let part = |part: String| json!({"type": "input_json_delta", "partial_json": part});
        block(tool_use(call, json!({})), said.parts(&call.arguments).into_iter().map(part).collect());
    }
    let delta = json!({"stop_reason": finish(said), "stop_sequence": null});
    events.push(json!({"type": "message_delta", "delta": delta, "usage": usage(said)}));
    events.push(json!({"type": "message_stop"}));
    events.iter().map(super::event).collect()
}

pub(super) fn words(text: &str) -> String {
    super::event(&json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}))
}

fn message(said: &Said<'_>, content: Vec<Value>, stop_reason: Value, usage: Value) -> Value {
    json!({"id": format!("msg_{}", said.place + 1), "type": "message", "role": "assistant", "model": said.model,
           "content": content, "stop_reason": stop_reason, "stop_sequence": null, "usage": usage})
}

fn tool_use(call: &Asked<'_>, input: Value) -> Value {
    json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
}

/// The finish reasons that scripts name on every wire, in this one's words.
fn finish<'a>(said: &Said<'a>) -> &'a str {
    match said.finish {
        None if said.calls.is_empty() => "end_turn",
        None | Some("tool_calls") => "tool_use",
        Some("stop") => "end_turn",
        Some(other) => other,
    }
}

fn usage(said: &Said<'_>) -> Value {
    said.usage.map_or(Value::Null, |(input, output)| json!({"input_tokens": input, "output_tokens": output}))
}
