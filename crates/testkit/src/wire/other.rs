//! What is asked of a provider beside conversations: embeddings and images, in small form.

use serde_json::{Value, json};

/// The answer to such a request, if the path is one of them.
pub(crate) fn answer(path: &str, request: &Value) -> Option<Value> {
    if path.ends_with("/embeddings") {
        return Some(embeddings(request));
    }
    if path.ends_with(":batchEmbedContents") {
        return Some(batch(request));
    }
    path.ends_with("/images/generations").then(|| images(request))
}

/// Each text becomes its length and its place, so that a test can tell them apart.
fn vector(text: &str, place: usize) -> Value {
    json!([text.len(), place])
}

fn embeddings(request: &Value) -> Value {
    let texts: Vec<&str> = match request.get("input") {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let row = |(n, text): (usize, &&str)| json!({"object": "embedding", "index": n, "embedding": vector(text, n)});
    let data: Vec<Value> = texts.iter().enumerate().map(row).collect();
    let tokens: usize = texts.iter().map(|text| text.len().div_ceil(4)).sum();
    json!({"object": "list", "data": data, "model": request.get("model"),
           "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})
}

fn batch(request: &Value) -> Value {
    let text =
        |one: &Value| one.pointer("/content/parts/0/text").and_then(Value::as_str).unwrap_or_default().to_owned();
    let rows = super::list(request, "requests").iter().enumerate();
    let rows: Vec<Value> = rows.map(|(n, one)| json!({"values": vector(&text(one), n)})).collect();
    json!({"embeddings": rows})
}

/// A picture of one transparent point.
const POINT: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

fn images(request: &Value) -> Value {
    let count = request.get("n").and_then(Value::as_u64).unwrap_or(1).min(10);
    let data: Vec<Value> = (0..count).map(|_| json!({"b64_json": POINT})).collect();
    json!({"created": 0, "data": data, "usage": {"input_tokens": 7, "output_tokens": 100, "total_tokens": 107}})
}
