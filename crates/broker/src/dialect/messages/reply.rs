//! A reply in messages: blocks, each with a beginning, parts and an end.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::dialect::Progress;
use crate::form::{CallPiece, Finish, MAX_CALLS, MAX_REPLY, Opaque, Piece, Wrong};
use crate::prices::Tokens;
use crate::provider::Dialect;

/// Blocks of one reply at most.
const MAX_BLOCKS: usize = 1_024;

/// Reads events.
#[derive(Debug, Default)]
pub struct Decoder {
    blocks: BTreeMap<u64, Block>,
    begun: usize,
    calls: usize,
    usage: Option<Tokens>,
}

#[derive(Debug)]
enum Block {
    /// A call, and whether anything of its arguments came.
    Call { place: usize, heard: bool },
    /// A thought that is signed, and goes back as it came.
    Thought { text: String, signature: String },
    /// Text, and what is of no use here.
    Other,
}

impl Decoder {
    pub(crate) fn event(&mut self, json: &str, pieces: &mut Vec<Piece>) -> Result<Progress, Wrong> {
        let event = object(json)?;
        match event.get("type").and_then(Value::as_str) {
            Some("message_start") => {
                if let Some(usage) = event.get("message").and_then(|message| message.get("usage")) {
                    self.count(usage, pieces);
                }
            }
            Some("content_block_start") => self.start(&event, pieces)?,
            Some("content_block_delta") => self.delta(&event, pieces)?,
            Some("content_block_stop") => self.stop(&event, pieces),
            Some("message_delta") => {
                if let Some(usage) = event.get("usage") {
                    self.count(usage, pieces);
                }
                let reason = event.get("delta").and_then(|delta| delta.get("stop_reason")).and_then(Value::as_str);
                pieces.extend(reason.map(|reason| Piece::Finish(finish(reason))));
            }
            Some("message_stop") => return Ok(Progress::End),
            Some("error") => return Err(Wrong::Error(event.get("error").cloned().unwrap_or(Value::Null))),
            Some(_) => {}
            None if event.contains_key("error") => return Err(Wrong::Error(Value::Object(event))),
            None => return Err(Wrong::Malformed("an event has no type".to_owned())),
        }
        Ok(Progress::More)
    }

    pub(crate) fn whole(&mut self, json: &str, pieces: &mut Vec<Piece>) -> Result<(), Wrong> {
        let message = object(json)?;
        if let Some(error) = message.get("error").filter(|error| !error.is_null()) {
            return Err(Wrong::Error(error.clone()));
        }
        for (n, block) in message.get("content").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let event = Map::from_iter([("index".to_owned(), json!(n)), ("content_block".to_owned(), block.clone())]);
            self.start(&event, pieces)?;
            self.stop(&event, pieces);
        }
        if let Some(usage) = message.get("usage") {
            self.count(usage, pieces);
        }
        let reason = message.get("stop_reason").and_then(Value::as_str);
        pieces.extend(reason.map(|reason| Piece::Finish(finish(reason))));
        Ok(())
    }

    fn start(&mut self, event: &Map<String, Value>, pieces: &mut Vec<Piece>) -> Result<(), Wrong> {
        self.begun += 1;
        if self.begun > MAX_BLOCKS {
            return Err(Wrong::TooLarge { what: "a number of blocks", limit: MAX_BLOCKS });
        }
        let Some(block) = event.get("content_block") else { return Ok(()) };
        let text = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = match text("type").as_str() {
            "text" => {
                words(text("text"), pieces);
                Block::Other
            }
            "tool_use" => {
                let place = self.calls;
                if place >= MAX_CALLS {
                    return Err(Wrong::TooLarge { what: "a number of calls", limit: MAX_CALLS });
                }
                self.calls += 1;
                // The beginning of a streamed call holds an empty object; a whole one, everything.
                let input = block.get("input").filter(|input| input.as_object().is_some_and(|map| !map.is_empty()));
                let arguments = input.map(ToString::to_string).unwrap_or_default();
                let heard = !arguments.is_empty();
                pieces.push(Piece::Call(CallPiece { place, id: text("id"), name: text("name"), arguments }));
                Block::Call { place, heard }
            }
            "thinking" => {
                thought(text("thinking"), pieces);
                Block::Thought { text: text("thinking"), signature: text("signature") }
            }
            "redacted_thinking" => {
                pieces.push(Piece::Opaque(Opaque { dialect: Dialect::Messages, value: block.clone() }));
                Block::Other
            }
            _ => Block::Other,
        };
        self.blocks.insert(index(event), kind);
        Ok(())
    }

    fn delta(&mut self, event: &Map<String, Value>, pieces: &mut Vec<Piece>) -> Result<(), Wrong> {
        let Some(delta) = event.get("delta") else { return Ok(()) };
        let text = |key: &str| delta.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let block = self.blocks.get_mut(&index(event));
        match (text("type").as_str(), block) {
            ("text_delta", _) => words(text("text"), pieces),
            ("input_json_delta", Some(Block::Call { place, heard })) => {
                let arguments = text("partial_json");
                *heard |= !arguments.is_empty();
                pieces.push(Piece::Call(CallPiece { place: *place, arguments, ..CallPiece::default() }));
            }
            ("thinking_delta", Some(Block::Thought { text: all, .. })) => {
                all.push_str(&text("thinking"));
                if all.len() > MAX_REPLY {
                    return Err(Wrong::TooLarge { what: "thoughts", limit: MAX_REPLY });
                }
                thought(text("thinking"), pieces);
            }
            ("signature_delta", Some(Block::Thought { signature, .. })) => {
                signature.push_str(&text("signature"));
                if signature.len() > MAX_REPLY {
                    return Err(Wrong::TooLarge { what: "a signature", limit: MAX_REPLY });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn stop(&mut self, event: &Map<String, Value>, pieces: &mut Vec<Piece>) {
        match self.blocks.remove(&index(event)) {
            // A tool without parameters: no part of its arguments was sent.
            Some(Block::Call { place, heard: false }) => {
                pieces.push(Piece::Call(CallPiece { place, arguments: "{}".to_owned(), ..CallPiece::default() }));
            }
            Some(Block::Thought { text, signature }) if !signature.is_empty() => {
                let value = json!({"type": "thinking", "thinking": text, "signature": signature});
                pieces.push(Piece::Opaque(Opaque { dialect: Dialect::Messages, value }));
            }
            _ => {}
        }
    }

    /// What was sent is told at the beginning, what was received at the end, each as a running total.
    fn count(&mut self, usage: &Value, pieces: &mut Vec<Piece>) {
        let tokens = |key: &str| usage.get(key).and_then(Value::as_u64);
        let mut so_far = self.usage.unwrap_or_default();
        if let Some(fresh) = tokens("input_tokens") {
            so_far.cached = tokens("cache_read_input_tokens").unwrap_or(so_far.cached);
            so_far.written = tokens("cache_creation_input_tokens").unwrap_or(so_far.written);
            so_far.input = fresh.saturating_add(so_far.cached).saturating_add(so_far.written);
        }
        let Some(output) = tokens("output_tokens") else { return };
        so_far.output = output;
        self.usage = Some(so_far);
        pieces.push(Piece::Usage(so_far));
    }
}

fn object(json: &str) -> Result<Map<String, Value>, Wrong> {
    serde_json::from_str(json).map_err(|e| Wrong::Malformed(format!("an event is no event: {e}")))
}

fn index(event: &Map<String, Value>) -> u64 {
    event.get("index").and_then(Value::as_u64).unwrap_or_default()
}

fn words(text: String, pieces: &mut Vec<Piece>) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
}

fn thought(text: String, pieces: &mut Vec<Piece>) {
    if !text.is_empty() {
        pieces.push(Piece::Thought(text));
    }
}

fn finish(reason: &str) -> Finish {
    match reason {
        "end_turn" | "stop_sequence" | "pause_turn" => Finish::Stop,
        "tool_use" => Finish::Calls,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "refusal" => Finish::Filter,
        other => Finish::Other(other.chars().take(80).collect()),
    }
}
