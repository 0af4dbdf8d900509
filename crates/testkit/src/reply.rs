//! A turn of a script as the bytes of an answer.

use serde_json::{Value, json};

use crate::script::{Call, Reported, Turn};

/// What is done next with the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// These bytes are sent.
    Bytes(String),
    /// These bytes are sent again and again.
    ForEver(String),
    /// Nothing is sent any more, and the connection stays.
    Silence,
    /// The connection ends at once.
    Abort,
    /// The body ends as it should.
    End,
}

/// Whether a turn answers this request with a stream.
pub(crate) fn is_stream(turn: &Turn, request: &Value) -> bool {
    !turn.whole && request.get("stream").and_then(Value::as_bool) == Some(true)
}

/// An event with these words.
pub(crate) fn words(text: &str) -> String {
    event(&json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}))
}

/// The first `after` bytes of the pieces, and then others.
pub(crate) fn cut(pieces: Vec<Piece>, after: usize, then: impl IntoIterator<Item = Piece>) -> Vec<Piece> {
    let mut left = after;
    let mut kept = Vec::new();
    for piece in pieces {
        let Piece::Bytes(mut text) = piece else { continue };
        text.truncate((0..=left.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
        left = left.saturating_sub(text.len().max(1));
        kept.push(Piece::Bytes(text));
        if left == 0 {
            break;
        }
    }
    kept.into_iter().filter(|piece| *piece != Piece::Bytes(String::new())).chain(then).collect()
}

/// The first pieces, until they have `after` bytes or more, and then another.
pub(crate) fn interrupt(pieces: Vec<Piece>, after: usize, with: String) -> Vec<Piece> {
    let mut sent = 0;
    let early = pieces.into_iter().take_while(|piece| {
        let before = sent;
        sent += if let Piece::Bytes(text) = piece { text.len() } else { 0 };
        before < after
    });
    early.chain([Piece::Bytes(with), Piece::End]).collect()
}

/// The whole answer to a request of `sent` bytes.
pub(crate) fn pieces(turn: &Turn, place: usize, request: &Value, sent: usize) -> Vec<Piece> {
    let usage = usage(turn, sent);
    let finish = turn.finish.as_deref().unwrap_or(if turn.calls.is_empty() { "stop" } else { "tool_calls" });
    if !is_stream(turn, request) {
        let calls: Vec<Value> = turn.calls.iter().enumerate().map(|(n, call)| whole_call(call, place, n)).collect();
        let mut message = json!({"role": "assistant", "content": turn.text});
        if let (false, Some(map)) = (calls.is_empty(), message.as_object_mut()) {
            map.insert("tool_calls".to_owned(), calls.into());
        }
        let choice = json!({"index": 0, "message": message, "finish_reason": finish});
        let body = json!({"object": "chat.completion", "choices": [choice], "usage": usage});
        return vec![Piece::Bytes(body.to_string())];
    }
    let size = turn.chunk.unwrap_or(8).max(1);
    let delta = |delta: Value, finish: Option<&str>| {
        event(
            &json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}),
        )
    };
    let mut events = vec![delta(json!({"role": "assistant", "content": ""}), None)];
    events.extend(parts(&turn.text, size).map(|part| delta(json!({"content": part}), None)));
    for (n, call) in turn.calls.iter().enumerate() {
        let begin = json!({"index": n, "id": id(call, place, n), "type": "function",
                           "function": {"name": call.name, "arguments": ""}});
        events.push(delta(json!({"tool_calls": [begin]}), None));
        events.extend(
            parts(&arguments(call), size)
                .map(|part| delta(json!({"tool_calls": [{"index": n, "function": {"arguments": part}}]}), None)),
        );
    }
    events.push(delta(json!({}), Some(finish)));
    let wanted = request.pointer("/stream_options/include_usage").and_then(Value::as_bool) == Some(true);
    if wanted && !usage.is_null() {
        events.push(event(&json!({"object": "chat.completion.chunk", "choices": [], "usage": usage})));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events.into_iter().map(Piece::Bytes).collect()
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn parts(text: &str, size: usize) -> impl Iterator<Item = String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(size).map(|part| part.iter().collect()).collect::<Vec<String>>().into_iter()
}

fn usage(turn: &Turn, sent: usize) -> Value {
    let (input, output) = match turn.usage {
        Reported::Nothing => return Value::Null,
        Reported::Tokens { input, output } => (input, output),
        Reported::Bytes => {
            let received =
                turn.text.len() + turn.calls.iter().map(|c| c.name.len() + arguments(c).len()).sum::<usize>();
            (sent.div_ceil(4) as u64, received.div_ceil(4) as u64)
        }
    };
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input.saturating_add(output)})
}

fn arguments(call: &Call) -> String {
    match &call.arguments {
        Value::String(text) => text.clone(),
        Value::Null => "{}".to_owned(),
        other => other.to_string(),
    }
}

/// Names the turn, so that no two calls of a conversation share an id.
fn id(call: &Call, place: usize, n: usize) -> String {
    call.id.clone().unwrap_or_else(|| format!("call_{}_{}", place + 1, n + 1))
}

fn whole_call(call: &Call, place: usize, n: usize) -> Value {
    json!({"id": id(call, place, n), "type": "function", "function": {"name": call.name, "arguments": arguments(call)}})
}
