//! A reply in responses: each item has a beginning, parts and an end, and the last event holds all of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::dialect::Progress;
use crate::form::{CallPiece, Finish, MAX_CALLS, Opaque, Piece, Wrong};
use crate::prices::Tokens;
use crate::provider::Dialect;

/// Items of one reply at most.
const MAX_ITEMS: usize = 1_024;

/// Reads events.
#[derive(Debug, Default)]
pub struct Decoder {
    /// What is known of each item, by its index.
    items: BTreeMap<u64, Known>,
    calls: usize,
}

#[derive(Debug, Default)]
struct Known {
    /// Which call of the reply it is, if it is one.
    call: Option<usize>,
    /// Whether any of its words or arguments came in parts.
    heard: bool,
}

impl Decoder {
    pub(crate) fn event(&mut self, json: &str, pieces: &mut Vec<Piece>) -> Result<Progress, Wrong> {
        if json.trim() == "[DONE]" {
            return Ok(Progress::End);
        }
        let event: Map<String, Value> =
            serde_json::from_str(json).map_err(|e| Wrong::Malformed(format!("an event is no event: {e}")))?;
        let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
        let index = event.get("output_index").and_then(Value::as_u64).unwrap_or_default();
        match text("type") {
            "response.output_text.delta" | "response.refusal.delta" => {
                self.known(index)?.heard = true;
                words(text("delta"), pieces);
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                let thought = Some(text("delta")).filter(|thought| !thought.is_empty());
                pieces.extend(thought.map(|thought| Piece::Thought(thought.to_owned())));
            }
            "response.output_item.added" => {
                if let Some(item) = event.get("item") {
                    self.added(index, item, pieces)?;
                }
            }
            "response.function_call_arguments.delta" => {
                let known = self.known(index)?;
                if let (Some(place), false) = (known.call, text("delta").is_empty()) {
                    known.heard = true;
                    let arguments = text("delta").to_owned();
                    pieces.push(Piece::Call(CallPiece { place, arguments, ..CallPiece::default() }));
                }
            }
            "response.output_item.done" => {
                if let Some(item) = event.get("item") {
                    self.done(index, item, pieces)?;
                }
            }
            "response.completed" | "response.incomplete" => {
                self.ended(event.get("response").unwrap_or(&Value::Null), pieces)?;
                return Ok(Progress::End);
            }
            "response.failed" => {
                let error = event.get("response").and_then(|response| response.get("error"));
                return Err(Wrong::Error(error.cloned().unwrap_or(Value::Null)));
            }
            "error" => {
                let inner = event.get("error").filter(|error| !error.is_null()).cloned();
                return Err(Wrong::Error(inner.unwrap_or(Value::Object(event))));
            }
            "" if event.get("error").is_some_and(|error| !error.is_null()) => {
                return Err(Wrong::Error(Value::Object(event)));
            }
            "" => return Err(Wrong::Malformed("an event has no type".to_owned())),
            _ => {}
        }
        Ok(Progress::More)
    }

    pub(crate) fn whole(&mut self, json: &str, pieces: &mut Vec<Piece>) -> Result<(), Wrong> {
        let response: Value =
            serde_json::from_str(json).map_err(|e| Wrong::Malformed(format!("it is no response: {e}")))?;
        if !response.is_object() {
            return Err(Wrong::Malformed("it is no object".to_owned()));
        }
        self.ended(&response, pieces)
    }

    fn known(&mut self, index: u64) -> Result<&mut Known, Wrong> {
        if self.items.len() >= MAX_ITEMS && !self.items.contains_key(&index) {
            return Err(Wrong::TooLarge { what: "a number of items", limit: MAX_ITEMS });
        }
        Ok(self.items.entry(index).or_default())
    }

    fn added(&mut self, index: u64, item: &Value, pieces: &mut Vec<Piece>) -> Result<(), Wrong> {
        if item.get("type").and_then(Value::as_str) != Some("function_call") || self.known(index)?.call.is_some() {
            return Ok(());
        }
        let place = self.calls;
        if place >= MAX_CALLS {
            return Err(Wrong::TooLarge { what: "a number of calls", limit: MAX_CALLS });
        }
        self.calls += 1;
        self.known(index)?.call = Some(place);
        let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        pieces.push(Piece::Call(CallPiece {
            place,
            id: text("call_id"),
            name: text("name"),
            arguments: String::new(),
        }));
        Ok(())
    }

    /// An item, whole: what was not heard of it in parts is taken from here.
    fn done(&mut self, index: u64, item: &Value, pieces: &mut Vec<Piece>) -> Result<(), Wrong> {
        self.added(index, item, pieces)?;
        let known = self.known(index)?;
        let heard = std::mem::replace(&mut known.heard, true);
        match item.get("type").and_then(Value::as_str) {
            Some("function_call") => {
                let arguments = item.get("arguments").and_then(Value::as_str).unwrap_or_default();
                if let (Some(place), false, false) = (known.call, heard, arguments.is_empty()) {
                    let arguments = arguments.to_owned();
                    pieces.push(Piece::Call(CallPiece { place, arguments, ..CallPiece::default() }));
                }
            }
            Some("message") if !heard => {
                for part in item.get("content").and_then(Value::as_array).into_iter().flatten() {
                    let said = part.get("text").or_else(|| part.get("refusal")).and_then(Value::as_str);
                    words(said.unwrap_or_default(), pieces);
                }
            }
            Some("reasoning") if !heard => {
                pieces.push(Piece::Opaque(Opaque { dialect: Dialect::Responses, value: item.clone() }));
            }
            _ => {}
        }
        Ok(())
    }

    /// The response as it stands at the end; items of which no event came are taken from here.
    fn ended(&mut self, response: &Value, pieces: &mut Vec<Piece>) -> Result<(), Wrong> {
        if let Some(error) = response.get("error").filter(|error| !error.is_null()) {
            return Err(Wrong::Error(error.clone()));
        }
        for (n, item) in response.get("output").and_then(Value::as_array).into_iter().flatten().enumerate() {
            self.done(n as u64, item, pieces)?;
        }
        pieces.extend(response.get("usage").and_then(usage).map(Piece::Usage));
        let reason = response.pointer("/incomplete_details/reason").and_then(Value::as_str).unwrap_or_default();
        let finish = match (response.get("status").and_then(Value::as_str), reason) {
            (Some("completed"), _) if self.calls > 0 => Finish::Calls,
            (Some("completed"), _) => Finish::Stop,
            (Some("incomplete"), "max_output_tokens" | "length") => Finish::Length,
            (Some("incomplete"), "content_filter") => Finish::Filter,
            (Some("incomplete"), other) => Finish::Other(other.chars().take(80).collect()),
            _ => return Ok(()),
        };
        pieces.push(Piece::Finish(finish));
        Ok(())
    }
}

fn words(text: &str, pieces: &mut Vec<Piece>) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

fn usage(value: &Value) -> Option<Tokens> {
    let tokens = |path: &str| value.pointer(path).and_then(Value::as_u64);
    Some(Tokens {
        input: tokens("/input_tokens")?,
        output: tokens("/output_tokens")?,
        cached: tokens("/input_tokens_details/cached_tokens").unwrap_or_default(),
        written: 0,
        reasoning: tokens("/output_tokens_details/reasoning_tokens").unwrap_or_default(),
    })
}
