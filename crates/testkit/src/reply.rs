//! A turn of a script as the bytes of an answer, whatever the wire.

use serde_json::Value;

use crate::script::{Call, Reported, Turn};
use crate::wire::Wire;

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

/// What a turn says to one request: all that a wire has to write down.
#[derive(Debug)]
pub(crate) struct Said<'a> {
    /// Which turn of the conversation this is, from 0.
    pub(crate) place: usize,
    /// The model that was asked for.
    pub(crate) model: &'a str,
    /// The words.
    pub(crate) text: &'a str,
    /// The calls.
    pub(crate) calls: Vec<Asked<'a>>,
    /// Tokens sent and received, if they are reported.
    pub(crate) usage: Option<(u64, u64)>,
    /// The finish reason, if the script names one.
    pub(crate) finish: Option<&'a str>,
    /// Characters of a piece.
    chunk: usize,
}

/// One call as it is sent.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// The id, by which its result will be told.
    pub(crate) id: String,
    /// The tool.
    pub(crate) name: &'a str,
    /// The arguments: JSON, if the script holds JSON.
    pub(crate) arguments: String,
}

impl<'a> Said<'a> {
    /// What `turn` says to a request of `sent` bytes.
    pub(crate) fn of(turn: &'a Turn, place: usize, request: &'a Value, sent: usize) -> Self {
        // The place is in the id, so that no two calls of a conversation share one.
        let id = |call: &Call, n: usize| call.id.clone().unwrap_or_else(|| format!("call_{}_{}", place + 1, n + 1));
        let asked =
            |(n, call): (usize, &'a Call)| Asked { id: id(call, n), name: &call.name, arguments: arguments(call) };
        let calls: Vec<Asked<'a>> = turn.calls.iter().enumerate().map(asked).collect();
        let usage = match turn.usage {
            Reported::Nothing => None,
            Reported::Tokens { input, output } => Some((input, output)),
            Reported::Bytes => {
                let called: usize = calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
                Some((sent.div_ceil(4) as u64, (turn.text.len() + called).div_ceil(4) as u64))
            }
        };
        let model = request.get("model").and_then(Value::as_str).unwrap_or("scripted");
        let (text, finish) = (turn.text.as_str(), turn.finish.as_deref());
        Self { place, model, text, calls, usage, finish, chunk: turn.chunk.unwrap_or(8).max(1) }
    }

    /// A text in the pieces in which it is streamed.
    pub(crate) fn parts(&self, text: &str) -> Vec<String> {
        let chars: Vec<char> = text.chars().collect();
        chars.chunks(self.chunk).map(|part| part.iter().collect()).collect()
    }
}

fn arguments(call: &Call) -> String {
    match &call.arguments {
        Value::String(text) => text.clone(),
        Value::Null => "{}".to_owned(),
        other => other.to_string(),
    }
}

/// Whether a turn answers this request with a stream.
pub(crate) fn is_stream(wire: Wire, path: &str, turn: &Turn, request: &Value) -> bool {
    let asked = match wire {
        Wire::Gemini => path.ends_with(":streamGenerateContent"),
        _ => request.get("stream").and_then(Value::as_bool) == Some(true),
    };
    !turn.whole && asked
}

/// The whole answer to a request of `sent` bytes.
pub(crate) fn pieces(wire: Wire, path: &str, turn: &Turn, place: usize, request: &Value, sent: usize) -> Vec<Piece> {
    let said = Said::of(turn, place, request, sent);
    if is_stream(wire, path, turn, request) {
        wire.stream(&said, request).into_iter().map(Piece::Bytes).collect()
    } else {
        vec![Piece::Bytes(wire.whole(&said).to_string())]
    }
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
