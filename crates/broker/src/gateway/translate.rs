//! Calls whose upstream speaks another dialect than their caller.

use bytes::Bytes;
use serde_json::Value;

use super::paths::Face;
use super::refusal::Refusal;
use super::request::Asked;
use crate::dialect::{self, Decoder, Progress, Speaker};
use crate::form::{Assembler, Delivery, Piece, Wrong};
use crate::prices::Tokens;
use crate::provider::{Dialect, Operation};
use crate::route::Route;

/// A request in the upstream's words, and what is needed to say its answer in the caller's.
pub(super) struct Translated {
    pub(super) operation: Operation,
    pub(super) body: Bytes,
    caller: Dialect,
    upstream: Dialect,
    id: String,
    model: String,
    usage: dialect::UsageWanted,
}

/// The dialect of an operation, where it is a conversation.
fn spoken(operation: Operation) -> Option<Dialect> {
    match operation {
        Operation::Chat => Some(Dialect::Chat),
        Operation::Responses => Some(Dialect::Responses),
        Operation::Messages => Some(Dialect::Messages),
        _ => None,
    }
}

impl Translated {
    /// Puts a caller's request into the words of the upstream.
    pub(super) fn new(operation: Operation, asked: &Asked<'_>, body: &[u8], route: &Route) -> Result<Self, Refusal> {
        let lacks = || Refusal::bad(format!("{} has no such operation, nor any like it", route.provider()));
        let caller = spoken(operation).ok_or_else(lacks)?;
        let upstream = route.dialect();
        let said: Value = serde_json::from_slice(body).map_err(|error| Refusal::bad(error.to_string()))?;
        let refuse = |error: crate::form::FormError| Refusal::bad(error.to_string());
        let mut understood = dialect::understand(caller, said).map_err(refuse)?;
        understood.call.delivery = if asked.stream { Delivery::Stream } else { Delivery::Whole };
        if let Some(line) = route.first_line() {
            understood.call.items.insert(0, crate::form::Item::System(line.to_owned()));
        }
        if understood.call.max_output.is_none() && upstream == Dialect::Messages {
            understood.call.max_output = Some(route.max_output());
        }
        let body = dialect::encode(upstream, route.model(), &understood.call, route.quirks()).map_err(refuse)?;
        let operation = match (upstream, asked.stream) {
            (Dialect::Chat, _) => Operation::Chat,
            (Dialect::Responses, _) => Operation::Responses,
            (Dialect::Messages, _) => Operation::Messages,
            (Dialect::Gemini, true) => Operation::StreamGenerate,
            (Dialect::Gemini, false) => Operation::Generate,
        };
        let mut bits = [0u8; 12];
        getrandom::fill(&mut bits).map_err(|error| Refusal::bad(error.to_string()))?;
        let id: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            operation,
            body: Bytes::from(body.to_string()),
            caller,
            upstream,
            id,
            model: asked.model.clone(),
            usage: understood.usage,
        })
    }

    /// What says a streamed answer to the caller.
    pub(super) fn interpreter(&self) -> Interpreter {
        Interpreter {
            decoder: Decoder::new(self.upstream),
            speaker: Speaker::new(self.caller, &self.id, &self.model, self.usage),
            pieces: Vec::new(),
            tokens: None,
            finished: false,
        }
    }

    /// An answer that came as one value, in the caller's words.
    pub(super) fn whole(&self, body: &[u8]) -> Result<(Bytes, Option<Tokens>), String> {
        let text = std::str::from_utf8(body).map_err(|_| "its answer is not UTF-8".to_owned())?;
        let mut pieces = Vec::new();
        Decoder::new(self.upstream).whole(text, &mut pieces).map_err(|wrong| words(&wrong))?;
        let mut assembler = Assembler::default();
        pieces.iter().try_for_each(|piece| assembler.push(piece)).map_err(|wrong| words(&wrong))?;
        if assembler.finish.is_none() && pieces.iter().all(|piece| matches!(piece, Piece::Usage(_))) {
            return Err("its answer holds none".to_owned());
        }
        let tokens = assembler.usage;
        let assembled = assembler.into_reply().map_err(|wrong| words(&wrong))?;
        let said = dialect::whole(self.caller, &self.id, &self.model, &assembled);
        Ok((Bytes::from(said.to_string()), tokens))
    }
}

/// Says a streamed answer in the caller's words.
pub(super) struct Interpreter {
    decoder: Decoder,
    speaker: Speaker,
    pieces: Vec<Piece>,
    pub(super) tokens: Option<Tokens>,
    pub(super) finished: bool,
}

impl Interpreter {
    /// One event of the upstream; what it comes to for the caller, which may be nothing.
    pub(super) fn event(&mut self, data: &[u8]) -> Result<String, String> {
        let text = std::str::from_utf8(data).map_err(|_| "it sent what is not UTF-8".to_owned())?;
        if text.is_empty() || text == "[DONE]" {
            return Ok(String::new());
        }
        match self.decoder.event(text, &mut self.pieces) {
            Ok(Progress::More | Progress::End) => {}
            Err(wrong) => return Err(words(&wrong)),
        }
        let mut said = String::new();
        for piece in self.pieces.drain(..) {
            match &piece {
                Piece::Usage(tokens) => self.tokens = Some(*tokens),
                Piece::Finish(_) => self.finished = true,
                _ => {}
            }
            said.push_str(&self.speaker.say(&piece));
        }
        Ok(said)
    }

    pub(super) fn end(&mut self) -> String {
        self.speaker.end()
    }

    pub(super) fn fail(&mut self, words: &str) -> String {
        self.speaker.fail(words)
    }
}

fn words(wrong: &Wrong) -> String {
    match wrong {
        Wrong::TooLarge { what, limit } => format!("it sent {what} of more than {limit}"),
        Wrong::Malformed(why) => format!("its answer makes no sense: {}", crate::error::quoted(why)),
        Wrong::KeyEchoed => "it repeated the key that it was sent".to_owned(),
        Wrong::Error(value) => format!("it said: {}", crate::error::quoted(&value.to_string())),
    }
}

/// An error of our own, where there is no interpreter.
pub(super) fn failure(face: Face, refusal: &Refusal) -> String {
    let body = refusal.body(face);
    match face {
        Face::OpenAi => format!("data: {body}\n\n"),
        Face::Anthropic => format!("event: error\ndata: {body}\n\n"),
    }
}
