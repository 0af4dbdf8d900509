//! Puts a reply together from its pieces.

use autoshare_core::chat::RawCall;
use serde_json::Value;

use super::wire::{self, CallPart, Chunk};
use crate::model::Delta;

/// Bytes of words and arguments in one reply at most.
pub(crate) const MAX_REPLY: usize = 4 * 1024 * 1024;
/// Calls in one reply at most.
pub(crate) const MAX_CALLS: usize = 64;
/// Bytes of a call's id or name at most.
const MAX_NAME: usize = 256;

/// Why pieces make no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    TooLarge {
        what: &'static str,
        limit: usize,
    },
    Malformed(String),
    KeyEchoed,
    /// The provider reports an error in the middle of a reply that began well.
    Error(Value),
}

/// The reply so far.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    text: String,
    calls: Vec<Partial>,
    size: usize,
    /// Tokens sent and received, once they were reported.
    pub(crate) usage: Option<(u64, u64)>,
    /// Why the model stopped, once it did: from then on the reply is whole.
    pub(crate) finish: Option<String>,
}

#[derive(Debug)]
struct Partial {
    index: u64,
    call: RawCall,
}

impl Assembler {
    /// Takes one chunk, as JSON text; `whole` is for a reply that was not streamed.
    pub(crate) fn push(&mut self, json: &str, deltas: &mut (dyn FnMut(Delta) + Send)) -> Result<(), Wrong> {
        let chunk: Chunk =
            serde_json::from_str(json).map_err(|e| Wrong::Malformed(format!("a chunk is no chunk: {e}")))?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(Wrong::Error(error));
        }
        if let Some(usage) = chunk.usage.as_ref().and_then(wire::usage) {
            self.usage = Some(usage);
        }
        for choice in chunk.choices.unwrap_or_default() {
            if choice.index.unwrap_or(0) != 0 {
                continue;
            }
            if let Some(part) = choice.delta.or(choice.message) {
                let mut words = part.content.as_ref().map(wire::words).unwrap_or_default();
                words.push_str(part.refusal.as_deref().unwrap_or_default());
                if !words.is_empty() {
                    self.grow(words.len())?;
                    self.text.push_str(&words);
                    deltas(Delta::Text(words));
                }
                for call in part.tool_calls.unwrap_or_default() {
                    self.push_call(call, deltas)?;
                }
            }
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
                self.finish = Some(reason);
            }
        }
        Ok(())
    }

    /// The words and the calls, in the order in which they began. A call without an id of its own gets one.
    pub(crate) fn into_parts(self) -> Result<(String, Vec<RawCall>), Wrong> {
        let mut calls: Vec<RawCall> = Vec::with_capacity(self.calls.len());
        for (place, Partial { mut call, .. }) in self.calls.into_iter().enumerate() {
            if call.name.is_empty() {
                return Err(Wrong::Malformed(format!("call {} has no name", place + 1)));
            }
            if call.id.is_empty() || calls.iter().any(|other| other.id == call.id) {
                call.id = format!("call_{}", place + 1);
            }
            calls.push(call);
        }
        Ok((self.text, calls))
    }

    /// Fragments of one call bear one index. Some servers leave it out, others give every call index 0: so a new id
    /// under a known index begins a new call, and a fragment with neither goes on with the last.
    fn push_call(&mut self, part: CallPart, deltas: &mut (dyn FnMut(Delta) + Send)) -> Result<(), Wrong> {
        let id = part.id.unwrap_or_default();
        let (name, arguments) = part.function.map(|f| (f.name.unwrap_or_default(), f.arguments)).unwrap_or_default();
        if id.len() > MAX_NAME || name.len() > MAX_NAME {
            return Err(Wrong::TooLarge { what: "the name of a call", limit: MAX_NAME });
        }
        let arguments = match arguments {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
        };
        self.grow(id.len() + name.len() + arguments.len())?;
        let known = match part.index {
            Some(index) => {
                self.calls.iter().rposition(|known| known.index == index).filter(|at| self.goes_on(*at, &id))
            }
            None if id.is_empty() => self.calls.len().checked_sub(1),
            None => self.calls.iter().position(|known| known.call.id == id),
        };
        let at = known.unwrap_or(self.calls.len());
        if at == MAX_CALLS {
            return Err(Wrong::TooLarge { what: "a number of calls", limit: MAX_CALLS });
        }
        if known.is_none() {
            let call = RawCall { id: String::new(), name: String::new(), arguments: String::new() };
            self.calls.push(Partial { index: part.index.unwrap_or(at as u64), call });
        }
        let Some(Partial { call, .. }) = self.calls.get_mut(at) else { return Ok(()) };
        if call.id.is_empty() {
            call.id = id;
        }
        if call.name.is_empty() && !name.is_empty() {
            call.name.clone_from(&name);
            deltas(Delta::CallStarted { name });
        }
        call.arguments.push_str(&arguments);
        Ok(())
    }

    fn goes_on(&self, at: usize, id: &str) -> bool {
        let known = self.calls.get(at).map_or("", |known| known.call.id.as_str());
        id.is_empty() || known.is_empty() || known == id
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Wrong> {
        self.size = self.size.saturating_add(bytes);
        if self.size > MAX_REPLY {
            Err(Wrong::TooLarge { what: "words and arguments", limit: MAX_REPLY })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn assemble(deltas: &[Value]) -> Result<(String, Vec<RawCall>), Wrong> {
        let mut assembler = Assembler::default();
        for delta in deltas {
            let chunk = json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}], "new": [1]});
            assembler.push(&chunk.to_string(), &mut |_| {})?;
        }
        assembler.into_parts()
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
        let long = fragment(Some(0), None, Some(&"f".repeat(MAX_NAME + 1)), "");
        assert!(matches!(assemble(&[long]), Err(Wrong::TooLarge { .. })));
        let half = json!({"content": "x".repeat(MAX_REPLY / 2 + 1)});
        assert!(matches!(assemble(&[half.clone(), half]), Err(Wrong::TooLarge { .. })));
        assert!(matches!(assemble(&[fragment(Some(0), Some("x"), None, "{}")]), Err(Wrong::Malformed(_))));
    }

    proptest! {
        #[test]
        fn no_chunk_panics(text in "\\PC{0,80}", index in any::<Option<u64>>(), other in any::<u64>()) {
            let mut assembler = Assembler::default();
            let _ = assembler.push(&text, &mut |_| {});
            let _ = assembler.push(&json!({"choices": [{"index": index, "delta": {"tool_calls": [
                {"index": other, "id": text, "function": {"arguments": text}}]}}]}).to_string(), &mut |_| {});
            let _ = assembler.into_parts();
        }
    }
}
