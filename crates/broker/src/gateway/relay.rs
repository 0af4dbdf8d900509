//! An answer on its way from an upstream to a caller: event by event, the bytes as they came.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use autoshare_core::{Digest, Digesting};
use bytes::Bytes;
use hyper::body::{Body, Frame};
use memchr::memmem;
use tokio::time::{Instant, Sleep};

use super::meter::{self, Event, Events, MAX_EVENT, Meter};
use super::paths::Face;
use super::refusal::Refusal;
use super::translate::{self, Interpreter};
use crate::endpoint::Key;
use crate::prices::Tokens;

/// How an answer went, told once: when it has ended, or when its caller is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    /// What the upstream sent.
    pub(super) received: Digest,
    /// What the caller was sent.
    pub(super) answered: Digest,
    /// What was used, as far as the upstream told.
    pub(super) tokens: Option<Tokens>,
    /// Bytes that came.
    pub(super) bytes: u64,
    /// Whether the upstream told the end.
    pub(super) is_whole: bool,
    /// Why the answer is not whole.
    pub(super) error: Option<String>,
}

/// Said of an answer that nobody read to its end.
pub(super) const GONE: &str = "the caller went away";

/// Said of an upstream that is not to be trusted.
pub(super) const ECHO: &str = "it repeated the key that it was sent: replace that key, and mistrust this upstream";

/// From the words that say what went wrong until the connection is broken off.
const FAREWELL: Duration = Duration::from_millis(20);

/// What is watched for in an answer, and how long it may take.
pub(super) struct Watch {
    pub(super) face: Face,
    pub(super) meter: Meter,
    /// Says the answer in the caller's words, where the upstream has others.
    pub(super) interpreter: Option<Interpreter>,
    /// The key that the upstream was sent: an answer that repeats it goes no further.
    pub(super) key: Option<Key>,
    /// Whether the event that tells what was used was asked for by the gateway, and is not the caller's.
    pub(super) usage: Usage,
    /// Between two pieces.
    pub(super) idle: Duration,
    /// The whole answer.
    pub(super) until: Instant,
    /// Bytes of the answer at most.
    pub(super) max: u64,
}

/// For whom a stream's last event, with what was used, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    /// The caller asked for it.
    Callers,
    /// Only the gateway did.
    Ours,
}

/// The body of a streamed answer.
pub(super) struct Relay {
    upstream: reqwest::Body,
    watch: Watch,
    events: Events,
    timer: Pin<Box<Sleep>>,
    received: Digesting,
    answered: Digesting,
    state: State,
    ended: Option<Box<dyn FnOnce(Ended) + Send + Sync>>,
}

enum State {
    Flows,
    /// The caller has been told what went wrong; the connection is broken off, so that nobody takes it for an end.
    BreaksOff(String),
    Done,
}

impl Relay {
    pub(super) fn new(upstream: reqwest::Body, watch: Watch, ended: Box<dyn FnOnce(Ended) + Send + Sync>) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(watch.until.min(Instant::now() + watch.idle)));
        Self {
            upstream,
            watch,
            events: Events::default(),
            timer,
            received: Digesting::default(),
            answered: Digesting::default(),
            state: State::Flows,
            ended: Some(ended),
        }
    }

    /// Tells how it went, once.
    fn end(&mut self, error: Option<String>) {
        if let Some(ended) = self.ended.take() {
            let meter = &self.watch.meter;
            ended(Ended {
                received: std::mem::take(&mut self.received).finish(),
                answered: std::mem::take(&mut self.answered).finish(),
                tokens: meter.tokens(),
                bytes: meter.bytes(),
                is_whole: meter.is_whole(),
                error,
            });
        }
    }

    /// The next event that is the caller's, if a whole one is there.
    fn event(&mut self) -> Result<Option<Bytes>, String> {
        while let Some(event) = self.events.next() {
            let said = self.look(event)?;
            if said.is_some() {
                return Ok(said);
            }
        }
        if self.events.held() > MAX_EVENT {
            return Err("it sent an event of more than 4 MiB".to_owned());
        }
        Ok(None)
    }

    /// What an event comes to for the caller.
    fn look(&mut self, event: Bytes) -> Result<Option<Bytes>, String> {
        if self.repeats_key(&event) {
            return Err(ECHO.to_owned());
        }
        match &mut self.watch.interpreter {
            None => {
                let kind = self.watch.meter.event(&event);
                let is_ours = kind == Event::UsageAlone && self.watch.usage == Usage::Ours;
                Ok((!is_ours).then_some(event))
            }
            Some(interpreter) => {
                let said = interpreter.event(meter::data(&event).unwrap_or_default())?;
                // What was spelt with escapes is now spelt without.
                let echoes = self.watch.key.as_ref().is_some_and(|key| key.is_in(&said));
                self.watch.meter.told(&event, interpreter.tokens, interpreter.finished);
                if echoes { Err(ECHO.to_owned()) } else { Ok((!said.is_empty()).then(|| Bytes::from(said))) }
            }
        }
    }

    fn repeats_key(&self, bytes: &[u8]) -> bool {
        self.watch.key.as_ref().is_some_and(|key| memmem::find(bytes, key.expose().as_bytes()).is_some())
    }

    fn send(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.answered.update(&bytes);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    /// Tells the caller in its own dialect; what follows is the end of the connection.
    fn break_off(&mut self, why: &str) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let why = self.watch.key.as_ref().map_or_else(|| why.to_owned(), |key| key.struck_from(why));
        let words = format!("the answer of the upstream is not whole: {why}");
        let event = match &mut self.watch.interpreter {
            Some(interpreter) => interpreter.fail(&words),
            None => {
                let refusal = Refusal::new(hyper::StatusCode::BAD_GATEWAY, "upstream_error", words.clone());
                translate::failure(self.watch.face, &refusal)
            }
        };
        self.state = State::BreaksOff(words);
        self.timer.as_mut().reset(Instant::now() + FAREWELL);
        self.send(Bytes::from(event))
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        match &mut this.state {
            State::Flows => {}
            State::BreaksOff(words) => {
                // A connection that is broken off takes with it what was not sent yet.
                ready!(this.timer.as_mut().poll(cx));
                let words = std::mem::take(words);
                this.state = State::Done;
                this.end(Some(words.clone()));
                return Poll::Ready(Some(Err(io::Error::other(words))));
            }
            State::Done => return Poll::Ready(None),
        }
        loop {
            match this.event() {
                Ok(Some(event)) => return this.send(event),
                Ok(None) => {}
                Err(why) => return this.break_off(&why),
            }
            match Pin::new(&mut this.upstream).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    this.received.update(&data);
                    this.events.push(&data);
                    if this.watch.meter.bytes() + this.events.held() as u64 > this.watch.max {
                        return this.break_off("it is larger than this gateway passes on");
                    }
                    let next = this.watch.until.min(Instant::now() + this.watch.idle);
                    this.timer.as_mut().reset(next);
                }
                Poll::Ready(Some(Err(error))) => {
                    let why = crate::client::root_cause(&error);
                    return this.break_off(&why);
                }
                Poll::Ready(None) => {
                    let rest = this.events.rest();
                    let said = if rest.is_empty() { Ok(None) } else { this.look(rest) };
                    if said.is_ok() && !this.watch.meter.is_whole() && !this.watch.meter.has_failed() {
                        // Half an event is none, and the error that is told now must not become its other half.
                        return this.break_off("it ended without saying why");
                    }
                    match said {
                        Ok(Some(said)) => return this.send(said),
                        Ok(None) => {}
                        Err(why) => return this.break_off(&why),
                    }
                    let last = this.watch.interpreter.take().map(|mut interpreter| interpreter.end());
                    if let Some(last) = last.filter(|last| !last.is_empty()) {
                        return this.send(Bytes::from(last));
                    }
                    this.state = State::Done;
                    let failed = this.watch.meter.has_failed();
                    this.end(failed.then(|| "the upstream said within its answer that it failed".to_owned()));
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    ready!(this.timer.as_mut().poll(cx));
                    return this.break_off("nothing more came in time");
                }
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // hyper lets a body go that has a known end without asking for more.
        let error = if matches!(self.state, State::Done) { None } else { Some(GONE.to_owned()) };
        self.end(error);
    }
}

/// An answer that is there as a whole, or comes piece by piece.
pub enum Answer {
    /// As a whole.
    Whole(Option<Bytes>),
    /// Piece by piece.
    Stream(Box<Streamed>),
}

/// An answer that comes piece by piece.
pub struct Streamed(Flow);

enum Flow {
    AsItComes(Relay),
    Padded(super::shape::Padded<Relay>),
}

impl Answer {
    pub(super) fn relayed(relay: Relay) -> Self {
        Self::Stream(Box::new(Streamed(Flow::AsItComes(relay))))
    }

    pub(super) fn padded(relay: Relay, shape: super::shape::Shape) -> Self {
        Self::Stream(Box::new(Streamed(Flow::Padded(super::shape::Padded::new(relay, shape)))))
    }
}

impl From<Bytes> for Answer {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().filter(|b| !b.is_empty()).map(|b| Ok(Frame::data(b)))),
            Self::Stream(streamed) => match &mut streamed.0 {
                Flow::AsItComes(relay) => Pin::new(relay).poll_frame(cx),
                Flow::Padded(padded) => Pin::new(padded).poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(bytes) => hyper::body::SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Stream(_) => hyper::body::SizeHint::default(),
        }
    }
}
