//! How much of what a caller sends reads like an attack. The gateway passes it on all the same, for what it is for is the
//! caller's business; the operator is told.

use autoshare_guard::verify::{Channel, Profile, verify};
use serde_json::Value;

use super::request::Asked;
use crate::provider::Operation;

/// Bytes of one request that are judged at most: the rest is passed over.
const MAX_JUDGED: usize = 256 * 1024;

/// What is new in a conversation: texts since the model spoke last, each with whose words they are.
pub(super) fn new_texts(operation: Operation, asked: &Asked<'_>) -> Vec<(Channel, String)> {
    let field = if operation == Operation::Responses { "input" } else { "messages" };
    if !matches!(operation, Operation::Chat | Operation::Responses | Operation::Messages) {
        return Vec::new();
    }
    let conversation = asked.raw(field).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let turns = match conversation {
        Some(Value::String(text)) => return vec![(Channel::User, text)],
        Some(Value::Array(turns)) => turns,
        _ => return Vec::new(),
    };
    let is_the_models = |turn: &Value| {
        turn["role"] == "assistant" || matches!(turn["type"].as_str(), Some("function_call" | "reasoning"))
    };
    let new = turns.iter().rposition(is_the_models).map_or(0, |last| last + 1);
    let mut found = Vec::new();
    for turn in turns.iter().skip(new) {
        let channel = match (turn["role"].as_str(), turn["type"].as_str()) {
            (Some("tool" | "function"), _) | (None, Some("function_call_output" | "custom_tool_call_output")) => {
                Channel::Content
            }
            (Some("user"), _) => Channel::User,
            _ => continue,
        };
        texts(turn.get("content").or_else(|| turn.get("output")).unwrap_or(&Value::Null), channel, &mut found);
    }
    found
}

/// The texts of a message's content. What a tool gave back stands among a user's words in one dialect.
fn texts(content: &Value, channel: Channel, found: &mut Vec<(Channel, String)>) {
    match content {
        Value::String(text) => found.push((channel, text.clone())),
        Value::Array(parts) => parts.iter().for_each(|part| texts(part, channel, found)),
        Value::Object(part) => {
            let is_result = part.get("type").and_then(Value::as_str) == Some("tool_result");
            let channel = if is_result { Channel::Content } else { channel };
            ["text", "content"].iter().filter_map(|key| part.get(*key)).for_each(|inner| texts(inner, channel, found));
        }
        _ => {}
    }
}

/// How many passages of these read like an attack.
pub(super) fn suspicious(texts: &[(Channel, String)], profile: Profile) -> u64 {
    let mut left = MAX_JUDGED;
    let mut count = 0;
    for (channel, text) in texts {
        let judged = text.get(..text.floor_char_boundary(left)).unwrap_or_default();
        left -= judged.len();
        count += verify(judged, *channel).flagged(profile).len() as u64;
    }
    count
}
