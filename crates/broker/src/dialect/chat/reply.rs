//! A reply in chat completions, streamed or whole.

use serde::Deserialize;
use serde_json::Value;

use crate::dialect::Progress;
use crate::form::{CallPiece, Finish, MAX_CALLS, Piece, Wrong};
use crate::prices::Tokens;

/// Reads chunks.
#[derive(Debug, Default)]
pub struct Decoder {
    calls: Vec<Known>,
}

/// What tells the fragments of a call from those of another.
#[derive(Debug)]
struct Known {
    index: u64,
    id: String,
}

#[derive(Debug, Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<Value>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    index: Option<u64>,
    /// What is new, in a stream.
    delta: Option<Part>,
    /// Everything, in a whole reply.
    message: Option<Part>,
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Part {
    content: Option<Value>,
    refusal: Option<String>,
    /// Thoughts, as vLLM, DeepSeek and others show them.
    #[serde(alias = "reasoning")]
    reasoning_content: Option<Value>,
    tool_calls: Option<Vec<CallPart>>,
}

#[derive(Debug, Deserialize)]
struct CallPart {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionPart>,
}

#[derive(Debug, Deserialize)]
struct FunctionPart {
    name: Option<String>,
    arguments: Option<Value>,
}

impl Decoder {
    pub(crate) fn event(&mut self, json: &str, pieces: &mut Vec<Piece>) -> Result<Progress, Wrong> {
        if json.trim() == "[DONE]" {
            return Ok(Progress::End);
        }
        let chunk: Chunk =
            serde_json::from_str(json).map_err(|e| Wrong::Malformed(format!("a chunk is no chunk: {e}")))?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(Wrong::Error(error));
        }
        for choice in chunk.choices.unwrap_or_default() {
            if choice.index.unwrap_or(0) != 0 {
                continue;
            }
            if let Some(part) = choice.delta.or(choice.message) {
                if let Some(Value::String(thought)) = part.reasoning_content
                    && !thought.is_empty()
                {
                    pieces.push(Piece::Thought(thought));
                }
                let mut words = part.content.as_ref().map(words).unwrap_or_default();
                words.push_str(part.refusal.as_deref().unwrap_or_default());
                if !words.is_empty() {
                    pieces.push(Piece::Text(words));
                }
                for call in part.tool_calls.unwrap_or_default() {
                    let piece = self.call(call)?;
                    pieces.push(Piece::Call(piece));
                }
            }
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
                pieces.push(Piece::Finish(finish(&reason)));
            }
        }
        pieces.extend(chunk.usage.as_ref().and_then(usage).map(Piece::Usage));
        Ok(Progress::More)
    }

    /// Fragments of one call bear one index. Some servers leave it out, others give every call index 0: so a new id
    /// under a known index begins a new call, and a fragment with neither goes on with the last.
    fn call(&mut self, part: CallPart) -> Result<CallPiece, Wrong> {
        let id = part.id.unwrap_or_default();
        let (name, arguments) = part.function.map(|f| (f.name.unwrap_or_default(), f.arguments)).unwrap_or_default();
        let arguments = match arguments {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
        };
        let known = match part.index {
            Some(index) => {
                let at = self.calls.iter().rposition(|known| known.index == index);
                at.filter(|at| {
                    self.calls.get(*at).is_some_and(|known| id.is_empty() || known.id.is_empty() || known.id == id)
                })
            }
            None if id.is_empty() => self.calls.len().checked_sub(1),
            None => self.calls.iter().position(|known| known.id == id),
        };
        let place = known.unwrap_or(self.calls.len());
        if place >= MAX_CALLS {
            return Err(Wrong::TooLarge { what: "a number of calls", limit: MAX_CALLS });
        }
        match self.calls.get_mut(place) {
            Some(known) if known.id.is_empty() => known.id.clone_from(&id),
            Some(_) => {}
            None => self.calls.push(Known { index: part.index.unwrap_or(place as u64), id: id.clone() }),
        }
        Ok(CallPiece { place, id, name, arguments })
    }
}

fn finish(reason: &str) -> Finish {
    match reason {
        "stop" => Finish::Stop,
        "tool_calls" | "function_call" => Finish::Calls,
        "length" => Finish::Length,
        "content_filter" => Finish::Filter,
        other => Finish::Other(other.chars().take(80).collect()),
    }
}

/// The tokens, if both numbers are there.
fn usage(value: &Value) -> Option<Tokens> {
    let tokens = |path: &str| value.pointer(path).and_then(Value::as_u64);
    Some(Tokens {
        input: tokens("/prompt_tokens")?,
        output: tokens("/completion_tokens")?,
        cached: tokens("/prompt_tokens_details/cached_tokens")
            .or_else(|| tokens("/prompt_cache_hit_tokens"))
            .unwrap_or_default(),
        written: 0,
        reasoning: tokens("/completion_tokens_details/reasoning_tokens").unwrap_or_default(),
    })
}

/// Words of a message: a text, or a list of parts of which some are texts.
fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|p| p.get("text").and_then(Value::as_str)).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use autoshare_core::chat::RawCall;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::form::{Assembler, MAX_REPLY};

    fn assemble(deltas: &[Value]) -> Result<(String, Vec<RawCall>), Wrong> {
        let (mut decoder, mut assembler) = (Decoder::default(), Assembler::default());
        for delta in deltas {
            let chunk = json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}], "new": [1]});
            let mut pieces = Vec::new();
            decoder.event(&chunk.to_string(), &mut pieces)?;
            pieces.iter().try_for_each(|piece| assembler.push(piece))?;
        }
        assembler.into_reply().map(|reply| (reply.text, reply.calls))
    }

    fn calls(deltas: &[Value]) -> Vec<(String, String, String)> {
        assemble(deltas).unwrap().1.into_iter().map(|c| (c.id, c.name, c.arguments)).collect()
    }

    fn fragment(index: Option<u64>, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
        json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]})
    }

    fn triple(id: &str, name: &str, arguments: &str) -> (String, String, String) {
        (id.into(), name.into(), arguments.into())
    }

    #[test]
    fn fragments_of_calls_are_joined_by_index_however_a_server_numbers_them() {
        let two = vec![triple("x", "f", "{\"a\":1}"), triple("y", "g", "{}")];
        let interleaved = [
            fragment(Some(0), Some("x"), Some("f"), ""),
            fragment(Some(1), Some("y"), Some("g"), "{"),
            fragment(Some(0), None, None, "{\"a\""),
            fragment(Some(1), None, None, "}"),
            fragment(Some(0), Some(""), Some(""), ":1}"),
        ];
        assert_eq!(calls(&interleaved), two);
        let all_zero =
            [fragment(Some(0), Some("x"), Some("f"), "{\"a\":1}"), fragment(Some(0), Some("y"), Some("g"), "{}")];
        assert_eq!(calls(&all_zero), two);
        let no_index = [
            fragment(None, Some("x"), Some("f"), "{\"a\""),
            fragment(None, None, None, ":1}"),
            fragment(None, Some("y"), Some("g"), "{}"),
        ];
        assert_eq!(calls(&no_index), two);
        let repeated = [fragment(Some(0), Some("x"), Some("f"), "{"), fragment(Some(0), Some("x"), Some("f"), "}")];
        assert_eq!(calls(&repeated), [triple("x", "f", "{}")]);
    }

    #[test]
    fn a_call_without_an_id_or_with_a_taken_one_gets_its_own() {
        let deltas = [
            fragment(Some(0), None, Some("f"), "{}"),
            fragment(Some(1), Some("x"), Some("f"), "{}"),
            fragment(Some(2), Some("x"), Some("g"), "{}"),
        ];
        let ids: Vec<String> = calls(&deltas).into_iter().map(|c| c.0).collect();
        assert_eq!(ids, ["call_1", "x", "call_3"]);
    }

    #[test]
    fn arguments_that_are_an_object_and_words_that_are_parts_are_taken() {
        let deltas = [
            json!({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}),
            json!({"content": null, "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": {"a": 1}}}]}),
            json!({"refusal": "no"}),
        ];
        let (text, calls) = assemble(&deltas).unwrap();
        assert_eq!((text.as_str(), calls[0].arguments.as_str()), ("abno", "{\"a\":1}"));
    }

    #[test]
    fn c8_what_is_too_much_or_no_reply_is_refused() {
        let many: Vec<Value> = (0..=MAX_CALLS as u64).map(|n| fragment(Some(n), None, Some("f"), "")).collect();
        assert_eq!(assemble(&many), Err(Wrong::TooLarge { what: "a number of calls", limit: MAX_CALLS }));
        let long = fragment(Some(0), None, Some(&"f".repeat(257)), "");
        assert!(matches!(assemble(&[long]), Err(Wrong::TooLarge { .. })));
        let half = json!({"content": "x".repeat(MAX_REPLY / 2 + 1)});
        assert!(matches!(assemble(&[half.clone(), half]), Err(Wrong::TooLarge { .. })));
        assert!(matches!(assemble(&[fragment(Some(0), Some("x"), None, "{}")]), Err(Wrong::Malformed(_))));
    }

    #[test]
    fn cached_and_thought_tokens_are_told_apart() {
        let usage = json!({"prompt_tokens": 100, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 80},
                           "completion_tokens_details": {"reasoning_tokens": 30}});
        let mut pieces = Vec::new();
        Decoder::default().event(&json!({"choices": [], "usage": usage}).to_string(), &mut pieces).unwrap();
        let tokens = Tokens { input: 100, output: 50, cached: 80, written: 0, reasoning: 30 };
        assert_eq!(pieces, [Piece::Usage(tokens)]);
    }

    proptest! {
        #[test]
        fn no_chunk_panics(text in "\\PC{0,80}", index in any::<Option<u64>>(), other in any::<u64>()) {
            let mut pieces = Vec::new();
            let mut decoder = Decoder::default();
            let _ = decoder.event(&text, &mut pieces);
            let _ = decoder.event(&json!({"choices": [{"index": index, "delta": {"tool_calls": [
                {"index": other, "id": text, "function": {"arguments": text}}]}}]}).to_string(), &mut pieces);
            let mut assembler = Assembler::default();
            let _ = pieces.iter().try_for_each(|piece| assembler.push(piece));
            let _ = assembler.into_reply();
        }
    }
}
