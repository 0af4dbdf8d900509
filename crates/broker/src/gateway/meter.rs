//! What an answer used, read from the answer as it passes.

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::prices::Tokens;
use crate::provider::Operation;

/// Bytes of one event at most.
pub(super) const MAX_EVENT: usize = 4 * 1024 * 1024;

/// Watches the events of a stream.
#[derive(Debug)]
pub(super) struct Meter {
    operation: Operation,
    tokens: Option<Tokens>,
    /// Answers that were asked for, and those that ended so far.
    answers: u64,
    ended: u64,
    /// Whether the upstream said that the answer is whole.
    finished: bool,
    /// Whether it said that something went wrong.
    failed: bool,
    /// Bytes of data so far.
    bytes: u64,
}

/// What an event is, for whoever passes it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Something of the answer.
    Part,
    /// Of chat completions: nothing but what was used.
    UsageAlone,
}

#[derive(Deserialize)]
struct Seen {
    usage: Option<Value>,
    choices: Option<Vec<IgnoredAny>>,
    message: Option<Within>,
    response: Option<Within>,
}

#[derive(Deserialize)]
struct Within {
    usage: Option<Value>,
}

impl Meter {
    pub(super) const fn new(operation: Operation, answers: u64) -> Self {
        Self { operation, tokens: None, answers, ended: 0, finished: false, failed: false, bytes: 0 }
    }

    /// Takes one event of a stream, its blank line included.
    pub(super) fn event(&mut self, event: &[u8]) -> Event {
        self.bytes = self.bytes.saturating_add(event.len() as u64);
        self.ended = self.ended.saturating_add(endings(self.operation, event));
        self.finished |= self.ended >= self.answers || data(event) == Some(b"[DONE]");
        self.failed |= memmem::find(event, b"\"error\"").is_some() && is_error(event);
        // In a text the quotes have backslashes before them.
        if memmem::find(event, b"\"usage\"").is_none() {
            return Event::Part;
        }
        let Some(seen) = data(event).and_then(|data| serde_json::from_slice::<Seen>(data).ok()) else {
            return Event::Part;
        };
        let within = seen.message.or(seen.response).and_then(|within| within.usage);
        let is_alone = seen.choices.as_ref().is_some_and(Vec::is_empty) && seen.usage.is_some();
        if let Some(usage) = seen.usage.or(within) {
            self.usage(&usage);
        }
        if is_alone { Event::UsageAlone } else { Event::Part }
    }

    /// Takes what an interpreter read in an event.
    pub(super) const fn told(&mut self, event: &[u8], tokens: Option<Tokens>, finished: bool) {
        self.bytes = self.bytes.saturating_add(event.len() as u64);
        self.finished = finished;
        if tokens.is_some() {
            self.tokens = tokens;
        }
    }

    /// Takes an answer that came as one JSON value.
    pub(super) fn whole(&mut self, body: &[u8]) {
        self.bytes = body.len() as u64;
        self.finished = true;
        if let Ok(Seen { usage: Some(usage), .. }) = serde_json::from_slice(body) {
            self.usage(&usage);
        }
    }

    fn usage(&mut self, usage: &Value) {
        let at = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
        let first = |pointers: [&str; 2]| pointers.into_iter().find_map(at);
        let written = at("/cache_creation_input_tokens").unwrap_or(0);
        let read = at("/cache_read_input_tokens").unwrap_or(0);
        let input =
            first(["/prompt_tokens", "/input_tokens"]).map(|input| input.saturating_add(written).saturating_add(read));
        let output = first(["/completion_tokens", "/output_tokens"]);
        let cached = first(["/prompt_tokens_details/cached_tokens", "/input_tokens_details/cached_tokens"]);
        let reasoning =
            first(["/completion_tokens_details/reasoning_tokens", "/output_tokens_details/reasoning_tokens"]);
        if input.is_none() && output.is_none() {
            return;
        }
        // Anthropic tells what was sent first and what was received last, each more than once: the highest holds.
        let tokens = self.tokens.get_or_insert_default();
        tokens.input = tokens.input.max(input.unwrap_or(0));
        tokens.output = tokens.output.max(output.unwrap_or(0));
        tokens.cached = tokens.cached.max(cached.unwrap_or(read));
        tokens.written = tokens.written.max(written);
        tokens.reasoning = tokens.reasoning.max(reasoning.unwrap_or(0));
    }

    /// What was reported, if it was.
    pub(super) const fn tokens(&self) -> Option<Tokens> {
        self.tokens
    }

    /// Whether the answer is whole.
    pub(super) const fn is_whole(&self) -> bool {
        self.finished && !self.failed
    }

    /// Whether the upstream said, within the answer, that something went wrong.
    pub(super) const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Bytes of the answer so far.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The data of an event that has one line of it, as all of these have.
pub(super) fn data(event: &[u8]) -> Option<&[u8]> {
    let line = event.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"data:"))?;
    line.get(5..).map(<[u8]>::trim_ascii)
}

/// How many answers end with an event. One of chat completions may hold several, each of which ends on its own.
fn endings(operation: Operation, event: &[u8]) -> u64 {
    match operation {
        Operation::Messages => data(event).is_some_and(|data| has_type(data, &["message_stop"])).into(),
        Operation::Responses => {
            let ends = ["response.completed", "response.incomplete", "response.failed", "response.cancelled"];
            let may_be = memmem::find(event, b"\"response.").is_some();
            (may_be && data(event).is_some_and(|data| has_type(data, &ends))).into()
        }
        _ => {
            let reasons = memmem::find_iter(event, b"\"finish_reason\"").filter(|at| {
                let rest = event.get(at + 15..).unwrap_or_default().trim_ascii_start();
                let value = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start).unwrap_or_default();
                // Some say an empty one before the end.
                value.starts_with(b"\"") && !value.starts_with(b"\"\"")
            });
            reasons.count() as u64
        }
    }
}

/// Whether an event's data says that it is of one of these types: as a rule its first field.
fn has_type(data: &[u8], types: &[&str]) -> bool {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow, rename = "type")]
        kind: std::borrow::Cow<'a, str>,
    }
    let head = data.get(..data.len().min(64)).unwrap_or(data);
    let may_be =
        types.iter().any(|kind| memmem::find(head, kind.as_bytes()).is_some()) || !head.starts_with(b"{\"type\"");
    may_be && serde_json::from_slice::<Typed<'_>>(data).is_ok_and(|typed| types.contains(&typed.kind.as_ref()))
}

/// Whether an event is an error rather than one that has an empty field of that name.
fn is_error(event: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Failing {
        error: Option<Value>,
        #[serde(rename = "type")]
        kind: Option<String>,
    }
    let seen = data(event).and_then(|data| serde_json::from_slice::<Failing>(data).ok());
    seen.is_some_and(|seen| seen.error.is_some_and(|error| !error.is_null()) || seen.kind.as_deref() == Some("error"))
}

/// Cuts a stream of bytes into events (WHATWG HTML, "Server-sent events"): what ends with a blank line.
#[derive(Debug, Default)]
pub(super) struct Events {
    held: BytesMut,
    /// Up to where `held` was looked at.
    seen: usize,
}

impl Events {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole event, with its blank line.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let from = self.seen.saturating_sub(3);
        let end = memchr::memchr_iter(b'\n', self.held.get(from..)?).map(|at| from + at).find(|at| {
            let before = self.held.get(..*at).unwrap_or_default();
            before.ends_with(b"\n") || before.ends_with(b"\n\r")
        });
        match end {
            Some(end) => {
                self.seen = 0;
                Some(self.held.split_to(end + 1).freeze())
            }
            None => {
                self.seen = self.held.len();
                None
            }
        }
    }

    /// Bytes of an event that has not ended yet.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// What is left when the stream has ended.
    pub(super) fn rest(&mut self) -> Bytes {
        self.seen = 0;
        self.held.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metered(operation: Operation, stream: &str) -> (Option<Tokens>, bool, bool) {
        let mut meter = Meter::new(operation, 1);
        // However it is cut.
        let mut events = Events::default();
        for byte in stream.as_bytes() {
            events.push(&[*byte]);
            while let Some(event) = events.next() {
                meter.event(&event);
            }
        }
        meter.event(&events.rest());
        (meter.tokens(), meter.is_whole(), meter.has_failed())
    }

    #[test]
    fn what_streams_say_of_themselves() {
        let tokens =
            |input, output, cached, written, reasoning| Some(Tokens { input, output, cached, written, reasoning });
        for (operation, stream, wanted) in [
            (
                Operation::Chat,
                "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\" \\\"finish_reason\\\":\\\"x\\\"\"},\"finish_reason\":null}]}\n\n\
                 data: {\"choices\":[{\"delta\":{},\"finish_reason\": \"stop\"}]}\n\n\
                 data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"prompt_tokens_details\":{\"cached_tokens\":5},\"completion_tokens_details\":{\"reasoning_tokens\":2}}}\n\n\
                 data: [DONE]\n\n",
                (tokens(9, 4, 5, 0, 2), true, false),
            ),
            (
                Operation::Chat,
                "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"finish_reason\\\":\\\"stop\\\" [DONE]\"},\"finish_reason\":null}]}\n\n",
                (None, false, false),
            ),
            (Operation::Chat, "data: {\"error\":{\"message\":\"no\"}}\n\ndata: [DONE]\n\n", (None, false, true)),
            (Operation::Chat, "data: {\"error\":null,\"choices\":[]}\r\n\r\ndata: [DONE]\r\n\r\n", (None, true, false)),
            (
                Operation::Messages,
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":10,\"output_tokens\":1}}}\n\n\
                 event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}\n\n\
                 event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
                (tokens(113, 7, 100, 10, 0), true, false),
            ),
            (
                Operation::Messages,
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
                 event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
                (tokens(3, 1, 0, 0, 0), false, true),
            ),
            (
                Operation::Responses,
                "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"response.completed\"}\n\n\
                 event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[],\"usage\":{\"input_tokens\":11,\"input_tokens_details\":{\"cached_tokens\":8},\"output_tokens\":6,\"output_tokens_details\":{\"reasoning_tokens\":5}}}}\n\n",
                (tokens(11, 6, 8, 0, 5), true, false),
            ),
            (
                Operation::Responses,
                "data: {\"type\":\"response.output_text.delta\",\"delta\":\"response.completed\"}\n\n",
                (None, false, false),
            ),
            (
                Operation::Messages,
                "data: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":9,\"cache_read_input_tokens\":18446744073709551615,\"cache_creation_input_tokens\":18446744073709551615}}\n\n",
                (tokens(u64::MAX, 0, u64::MAX, u64::MAX, 0), false, false),
            ),
        ] {
            assert_eq!(metered(operation, stream), wanted, "{stream}");
        }
    }

    #[test]
    fn c8_of_several_answers_each_has_to_end() {
        let part = |index: u8, reason: &str| {
            format!("data: {{\"choices\":[{{\"index\":{index},\"delta\":{{}},\"finish_reason\":{reason}}}]}}\n\n")
        };
        let (done, stop) = ("data: [DONE]\n\n".to_owned(), "\"stop\"");
        for (answers, events, is_whole) in [
            (1, vec![part(0, stop)], true),
            (1, vec![part(0, "\"\"")], false),
            (2, vec![part(0, stop), part(1, "null")], false),
            (2, vec![part(0, stop), part(1, "\"length\"")], true),
            (2, vec![part(0, stop), done], true),
        ] {
            let mut meter = Meter::new(Operation::Chat, answers);
            for event in &events {
                meter.event(event.as_bytes());
            }
            assert_eq!(meter.is_whole(), is_whole, "{answers}: {events:?}");
        }
    }

    #[test]
    fn events_come_out_as_they_went_in() {
        let stream = b"data: a\n\n: comment\r\n\r\n\n\ndata: b\ndata: c\n\ntail";
        for size in 1..stream.len() {
            let mut events = Events::default();
            let (mut out, mut count) = (Vec::new(), 0);
            for chunk in stream.chunks(size) {
                events.push(chunk);
                while let Some(event) = events.next() {
                    out.extend_from_slice(&event);
                    count += 1;
                }
            }
            assert_eq!(events.held(), 4, "{size}");
            out.extend_from_slice(&events.rest());
            assert_eq!((out.as_slice(), count >= 3), (stream.as_slice(), true), "{size}");
        }
    }
}
