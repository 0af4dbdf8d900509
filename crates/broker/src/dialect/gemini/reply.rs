//! A reply in Gemini's dialect: each event is a whole answer as far as it is new.

use serde_json::Value;

use crate::dialect::Progress;
use crate::form::{CallPiece, Finish, MAX_CALLS, Opaque, Piece, Wrong};
use crate::prices::Tokens;
use crate::provider::Dialect;

/// Reads events.
#[derive(Debug, Default)]
pub struct Decoder {
    calls: usize,
}

impl Decoder {
    pub(crate) fn event(&mut self, json: &str, pieces: &mut Vec<Piece>) -> Result<Progress, Wrong> {
        let event: Value =
            serde_json::from_str(json).map_err(|e| Wrong::Malformed(format!("an answer is no answer: {e}")))?;
        if !event.is_object() {
            return Err(Wrong::Malformed("an answer is no object".to_owned()));
        }
        if let Some(error) = event.get("error").filter(|error| !error.is_null()) {
            return Err(Wrong::Error(error.clone()));
        }
        let candidate = event.pointer("/candidates/0");
        for part in
            candidate.and_then(|one| one.pointer("/content/parts")).and_then(Value::as_array).into_iter().flatten()
        {
            self.part(part, pieces)?;
        }
        pieces.extend(event.get("usageMetadata").and_then(usage).map(Piece::Usage));
        if let Some(reason) = candidate.and_then(|one| one.get("finishReason")).and_then(Value::as_str) {
            pieces.push(Piece::Finish(self.finish(reason)));
        } else if event.pointer("/promptFeedback/blockReason").is_some_and(Value::is_string) {
            pieces.push(Piece::Finish(Finish::Filter));
        }
        Ok(Progress::More)
    }

    fn part(&mut self, part: &Value, pieces: &mut Vec<Piece>) -> Result<(), Wrong> {
        if let Some(seal) = part.get("thoughtSignature").filter(|seal| seal.is_string()) {
            pieces.push(Piece::Opaque(Opaque { dialect: Dialect::Gemini, value: seal.clone() }));
        }
        if let Some(text) = part.get("text").and_then(Value::as_str).filter(|text| !text.is_empty()) {
            let thought = part.get("thought").and_then(Value::as_bool) == Some(true);
            pieces.push(if thought { Piece::Thought(text.to_owned()) } else { Piece::Text(text.to_owned()) });
        }
        if let Some(call) = part.get("functionCall") {
            let place = self.calls;
            if place >= MAX_CALLS {
                return Err(Wrong::TooLarge { what: "a number of calls", limit: MAX_CALLS });
            }
            self.calls += 1;
            let text = |key: &str| call.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let arguments = call.get("args").filter(|args| args.is_object());
            let arguments = arguments.map_or_else(|| "{}".to_owned(), ToString::to_string);
            pieces.push(Piece::Call(CallPiece { place, id: text("id"), name: text("name"), arguments }));
        }
        Ok(())
    }

    fn finish(&self, reason: &str) -> Finish {
        match reason {
            "STOP" if self.calls > 0 => Finish::Calls,
            "STOP" => Finish::Stop,
            "MAX_TOKENS" => Finish::Length,
            "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "IMAGE_SAFETY" => Finish::Filter,
            other => Finish::Other(other.chars().take(80).collect()),
        }
    }
}

/// Thoughts are counted apart there, and belong to what was received.
fn usage(value: &Value) -> Option<Tokens> {
    let tokens = |key: &str| value.get(key).and_then(Value::as_u64);
    let reasoning = tokens("thoughtsTokenCount").unwrap_or_default();
    Some(Tokens {
        input: tokens("promptTokenCount")?.saturating_add(tokens("toolUsePromptTokenCount").unwrap_or_default()),
        output: tokens("candidatesTokenCount").unwrap_or_default().saturating_add(reasoning),
        cached: tokens("cachedContentTokenCount").unwrap_or_default(),
        written: 0,
        reasoning,
    })
}
