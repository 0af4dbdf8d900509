//! Puts a reply together from its pieces, under limits.

use autoshare_core::chat::RawCall;
use serde_json::Value;

use super::{CallPiece, Finish, Opaque, Piece};
use crate::prices::Tokens;

/// Bytes of words, thoughts and arguments in one reply at most.
pub const MAX_REPLY: usize = 4 * 1024 * 1024;
/// Calls in one reply at most.
pub const MAX_CALLS: usize = 64;
/// Bytes of a call's id or name at most.
const MAX_NAME: usize = 256;

/// Why pieces make no reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Wrong {
    /// There is too much of something.
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The limit, in bytes or pieces.
        limit: usize,
    },
    /// It is not what the dialect says.
    Malformed(String),
    /// It repeats the key that was sent.
    KeyEchoed,
    /// The provider reports an error in the middle of a reply that began well.
    Error(Value),
}

/// The reply so far.
#[derive(Debug, Default)]
pub struct Assembler {
    text: String,
    thought: String,
    opaque: Vec<Opaque>,
    calls: Vec<RawCall>,
    size: usize,
    /// What was used, once it was reported.
    pub usage: Option<Tokens>,
    /// Why the model stopped, once it did: from then on the reply is whole.
    pub finish: Option<Finish>,
}

/// A reply, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Assembled {
    /// Its words.
    pub text: String,
    /// What was shown of its thoughts.
    pub thought: String,
    /// What is sealed, for its own dialect.
    pub opaque: Vec<Opaque>,
    /// Its calls; each has an id of its own.
    pub calls: Vec<RawCall>,
    /// What was used, if it was reported.
    pub usage: Option<Tokens>,
    /// Why the model stopped.
    pub finish: Finish,
}

impl Assembler {
    /// Takes a piece.
    ///
    /// # Errors
    /// [`Wrong::TooLarge`].
    pub fn push(&mut self, piece: &Piece) -> Result<(), Wrong> {
        match piece {
            Piece::Text(text) => {
                self.grow(text.len())?;
                self.text.push_str(text);
            }
            Piece::Thought(text) => {
                self.grow(text.len())?;
                self.thought.push_str(text);
            }
            Piece::Opaque(opaque) => {
                self.grow(opaque.value.to_string().len())?;
                self.opaque.push(opaque.clone());
            }
            Piece::Call(part) => self.push_call(part)?,
            Piece::Usage(tokens) => self.usage = Some(*tokens),
            Piece::Finish(finish) => self.finish = Some(finish.clone()),
        }
        Ok(())
    }

    /// The reply, the calls in the order in which they began. A call without an id of its own gets one.
    ///
    /// # Errors
    /// [`Wrong::Malformed`] for a call without a name.
    pub fn into_reply(self) -> Result<Assembled, Wrong> {
        let mut calls: Vec<RawCall> = Vec::with_capacity(self.calls.len());
        for (place, mut call) in self.calls.into_iter().enumerate() {
            if call.name.is_empty() {
                return Err(Wrong::Malformed(format!("call {} has no name", place + 1)));
            }
            if call.id.is_empty() || calls.iter().any(|other| other.id == call.id) {
                call.id = format!("call_{}", place + 1);
            }
            calls.push(call);
        }
        let finish = self.finish.unwrap_or(Finish::Stop);
        let Self { text, thought, opaque, usage, .. } = self;
        Ok(Assembled { text, thought, opaque, calls, usage, finish })
    }

    fn push_call(&mut self, part: &CallPiece) -> Result<(), Wrong> {
        if part.id.len() > MAX_NAME || part.name.len() > MAX_NAME {
            return Err(Wrong::TooLarge { what: "the name of a call", limit: MAX_NAME });
        }
        self.grow(part.id.len() + part.name.len() + part.arguments.len())?;
        if part.place >= MAX_CALLS {
            return Err(Wrong::TooLarge { what: "a number of calls", limit: MAX_CALLS });
        }
        while self.calls.len() <= part.place {
            self.calls.push(RawCall { id: String::new(), name: String::new(), arguments: String::new() });
        }
        let Some(call) = self.calls.get_mut(part.place) else { return Ok(()) };
        if call.id.is_empty() {
            call.id.clone_from(&part.id);
        }
        if call.name.is_empty() {
            call.name.clone_from(&part.name);
        }
        call.arguments.push_str(&part.arguments);
        Ok(())
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
