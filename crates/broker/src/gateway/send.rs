//! A call on its way to an upstream, and its answer back.

use std::time::SystemTime;

use autoshare_core::Digest;
use bytes::{Bytes, BytesMut};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use tokio::time::{Instant, timeout};

use super::meter::Meter;
use super::paths::Face;
use super::refusal::Refusal;
use super::relay::{Answer, Ended, Relay, Usage, Watch};
use super::request::{Asked, Change};
use super::translate::Translated;
use super::{Call, Gateway};
use crate::breaker::{Blame, Permit};
use crate::client::root_cause;
use crate::error::quoted;
use crate::prices::Tokens;
use crate::provider::Operation;
use crate::retry;
use crate::route::Route;

/// Bytes of an upstream's refusal that are passed on at most.
const MAX_REFUSAL: u64 = 64 * 1024;
/// Headers of an upstream's answer that its caller is told. What is left of a limit is not among them: the account is
/// shared with others.
const TOLD: [&str; 5] = ["openai-version", "openai-processing-ms", "request-id", "retry-after", "x-request-id"];

/// What is sent.
pub(super) struct Sending<'a> {
    pub(super) face: Face,
    pub(super) operation: Operation,
    pub(super) asked: &'a Asked<'a>,
    pub(super) route: Route,
    /// In the upstream's words, where that speaks another dialect.
    pub(super) translated: Option<Translated>,
    /// Of the caller's headers, those that go on.
    pub(super) headers: Vec<(&'static str, HeaderValue)>,
}

/// A call that no answer came of.
pub(super) enum Failed {
    /// In our words.
    Refused(Refusal, Billed),
    /// In the upstream's, which says that it is not well.
    Answering(Begun),
}

impl Failed {
    /// Whether nobody can have charged for it.
    pub(super) fn is_free(&self) -> bool {
        matches!(self, Self::Answering(_) | Self::Refused(_, Billed::No))
    }

    /// Tells the upstream's breaker, where that was not done.
    pub(super) fn blame(self) {
        if let Self::Answering(begun) = self {
            begun.permit.end(Blame::Provider);
        }
    }
}

/// An upstream that began to answer.
pub(super) struct Begun {
    response: reqwest::Response,
    permit: Permit,
}

impl Begun {
    /// Whether what it begins to say is that it is not well.
    pub(super) fn is_failing(&self) -> bool {
        is_fault(self.response.status())
    }
}

impl Gateway {
    /// Passes on what an upstream answers; settles and records the call, now or when its stream has ended.
    pub(super) async fn pass_on(
        &self,
        sending: &Sending<'_>,
        call: Call,
        begun: Begun,
        until: Instant,
    ) -> Result<Response<Answer>, Refusal> {
        let status = begun.response.status();
        if status != StatusCode::OK {
            return self.refused(sending, call, begun).await;
        }
        let header = |name: HeaderName| begun.response.headers().get(name).and_then(|value| value.to_str().ok());
        let kind = header(CONTENT_TYPE).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let encoding = header(CONTENT_ENCODING).filter(|encoding| !encoding.eq_ignore_ascii_case("identity"));
        let wrong = match (essence.as_str(), encoding) {
            (_, Some(encoding)) => Some(format!("it compressed its answer ({}), unasked", quoted(encoding))),
            ("text/event-stream" | "application/json", None) => None,
            _ => Some(format!("it answered with {} instead of JSON or events", quoted(kind))),
        };
        if let Some(why) = wrong {
            begun.permit.end(Blame::Provider);
            let refusal = upstream_failed(&sending.route, &why);
            call.end(None, refusal.status, Some(refusal.words.clone()));
            return Err(refusal);
        }
        match essence.as_str() {
            "application/json" => self.whole(sending, call, begun, until).await,
            _ => Ok(self.stream(sending, call, begun, until)),
        }
    }

    /// Sends until an upstream answers; what it refuses for reasons of the caller's is an answer.
    pub(super) async fn begin(&self, sending: &Sending<'_>, call: &mut Call, until: Instant) -> Result<Begun, Failed> {
        let route = &sending.route;
        let body = sending.body();
        loop {
            let permit = route.breaker().ask().map_err(|wait| {
                let words = format!("{} failed again and again, and is left alone for now", route.origin());
                let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "upstream_failing", words);
                Failed::Refused(refusal.later(wait.as_secs().saturating_add(1)), Billed::No)
            })?;
            let mut request = route.request(sending.upstream_operation()).map_err(|error| {
                Failed::Refused(Refusal::new(StatusCode::BAD_REQUEST, "no_operation", error.to_string()), Billed::No)
            })?;
            // A beta of the caller's dialect means nothing in another.
            for (name, value) in sending.headers.iter().filter(|_| sending.is_native()) {
                // In the place of the one that the provider is sent as a rule.
                let one = std::iter::once((HeaderName::from_static(name), value.clone())).collect();
                request = request.headers(one);
            }
            call.exchange.tries = call.exchange.tries.saturating_add(1);
            let tries = call.exchange.tries;
            let patience = self.broker.timeouts().first_byte;
            let sent = timeout(patience, request.body(body.clone()).send()).await;
            let (why, billed, asked) = match sent {
                Ok(Ok(response)) if is_fault(response.status()) => {
                    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                    let asked = asked.and_then(|value| retry::retry_after(value, SystemTime::now()));
                    if self.broker.retries().wait(tries, asked, retry::random()).is_none() {
                        // What it said is for the caller to read.
                        return Ok(Begun { response, permit });
                    }
                    (format!("it answered with HTTP {}", response.status().as_u16()), Billed::No, asked)
                }
                Ok(Ok(response)) => return Ok(Begun { response, permit }),
                Ok(Err(error)) if error.is_connect() => {
                    (format!("no connection: {}", root_cause(&error)), Billed::No, None)
                }
                // The server closed before it began to answer: as a rule a connection that it had let go.
                Ok(Err(error)) => (root_cause(&error), Billed::Perhaps, None),
                Err(_) => {
                    permit.end(Blame::Provider);
                    let words = format!("{} did not begin to answer within {} s", route.origin(), patience.as_secs());
                    let refusal = Refusal::new(StatusCode::GATEWAY_TIMEOUT, "timeout", words);
                    return Err(Failed::Refused(refusal, Billed::Perhaps));
                }
            };
            permit.end(Blame::Provider);
            // What may have been charged for is counted once: whoever asks again reserves again.
            if billed == Billed::Perhaps {
                return Err(Failed::Refused(upstream_failed(route, &why), billed));
            }
            match self.broker.retries().wait(tries, asked, retry::random()) {
                Some(wait) if Instant::now() + wait < until => tokio::time::sleep(wait).await,
                _ => return Err(Failed::Refused(upstream_failed(route, &why), billed)),
            }
        }
    }

    /// An upstream's refusal is the caller's to read, in the upstream's words; but not what it says of our key.
    async fn refused(&self, sending: &Sending<'_>, mut call: Call, begun: Begun) -> Result<Response<Answer>, Refusal> {
        let Begun { response, permit } = begun;
        let status = response.status();
        permit.end(if is_fault(status) { Blame::Provider } else { Blame::None });
        let headers = response.headers().clone();
        let body = self.read(response, MAX_REFUSAL, Instant::now() + self.broker.timeouts().idle).await;
        call.exchange.received = Digest::of(body.as_deref().unwrap_or_default());
        let words = match (status.as_u16(), &body) {
            (401 | 403, _) => Some("the upstream refused the gateway's own key: tell the operator"),
            (300..=399, _) => Some("the upstream redirects, which is not followed: tell the operator"),
            (_, Err(_)) => Some("the upstream refused the request, in words that cannot be passed on"),
            (_, Ok(body)) if sending.route.repeats_key(&String::from_utf8_lossy(body)) => {
                Some("the upstream repeated the gateway's key in what it said: tell the operator")
            }
            _ => None,
        };
        // One that says that it did it, in whatever way, may have charged for it.
        let zero = (!status.is_success()).then_some(autoshare_core::usage::Usage::ZERO);
        match (words, body) {
            (None, Ok(body)) if sending.is_native() => {
                call.exchange.answered = call.exchange.received;
                call.end(zero, status, Some(format!("the upstream refused it (HTTP {})", status.as_u16())));
                let mut answer = Response::new(Answer::from(body));
                *answer.status_mut() = status;
                tell(&sending.route, &headers, &mut answer);
                Ok(answer)
            }
            (words, body) => {
                let said = body.ok().map(|body| quoted(&sending.route.without_key(&String::from_utf8_lossy(&body))));
                let words = words.map_or_else(
                    || format!("the upstream refused it (HTTP {}): {}", status.as_u16(), said.unwrap_or_default()),
                    str::to_owned,
                );
                let told = if words_are_ours(status) { StatusCode::BAD_GATEWAY } else { status };
                let refusal = Refusal::new(told, "upstream_refused", words);
                call.end(zero, refusal.status, Some(refusal.words.clone()));
                Err(refusal)
            }
        }
    }

    /// An answer that is one JSON value.
    async fn whole(
        &self,
        sending: &Sending<'_>,
        mut call: Call,
        begun: Begun,
        until: Instant,
    ) -> Result<Response<Answer>, Refusal> {
        let Begun { response, permit } = begun;
        let headers = response.headers().clone();
        let body = self.read(response, self.settings.max_answer, until).await;
        let checked = body.and_then(|body| {
            if sending.route.repeats_key(&String::from_utf8_lossy(&body)) {
                return Err(super::relay::ECHO.to_owned());
            }
            match serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
                Ok(_) => Ok(body),
                Err(error) => Err(format!("its answer is no JSON: {error}")),
            }
        });
        let body = match checked {
            Ok(body) => body,
            Err(why) => {
                permit.end(Blame::Provider);
                let refusal = upstream_failed(&sending.route, &why);
                call.end(None, refusal.status, Some(refusal.words.clone()));
                return Err(refusal);
            }
        };
        permit.end(Blame::None);
        call.exchange.received = Digest::of(&body);
        let (body, used) = match &sending.translated {
            None => {
                let mut meter = Meter::new(sending.operation, 1);
                meter.whole(&body);
                let used = sending.used(meter.tokens(), body.len(), &call);
                (body, used)
            }
            Some(translated) => match translated.whole(&body) {
                Ok((said, _)) if sending.route.repeats_key(&String::from_utf8_lossy(&said)) => {
                    let refusal = upstream_failed(&sending.route, super::relay::ECHO);
                    call.end(None, refusal.status, Some(refusal.words.clone()));
                    return Err(refusal);
                }
                Ok((said, tokens)) => {
                    let used = sending.used(tokens, body.len(), &call);
                    (said, used)
                }
                Err(why) => {
                    let refusal = upstream_failed(&sending.route, &why);
                    call.end(None, refusal.status, Some(refusal.words.clone()));
                    return Err(refusal);
                }
            },
        };
        call.exchange.answered = if sending.is_native() { call.exchange.received } else { Digest::of(&body) };
        call.end(Some(used), StatusCode::OK, None);
        let mut answer = Response::new(Answer::from(body));
        tell(&sending.route, &headers, &mut answer);
        Ok(answer)
    }

    fn stream(&self, sending: &Sending<'_>, mut call: Call, begun: Begun, until: Instant) -> Response<Answer> {
        let Begun { response, permit } = begun;
        let headers = response.headers().clone();
        let key = sending.route.key().cloned();
        let watch = Watch {
            face: sending.face,
            meter: Meter::new(sending.operation, sending.asked.answers),
            interpreter: sending.translated.as_ref().map(Translated::interpreter),
            key,
            usage: if sending.adds_usage() { Usage::Ours } else { Usage::Callers },
            idle: self.broker.timeouts().idle,
            until,
            max: self.settings.max_answer,
        };
        let price = sending.route.price();
        let reserved = call.reservation.as_ref().map(|reservation| *reservation.wanted());
        let ended = Box::new(move |ended: Ended| {
            permit.end(match &ended.error {
                None => Blame::None,
                Some(error) if error == super::relay::GONE => Blame::Unknown,
                Some(_) => Blame::Provider,
            });
            call.exchange.received = ended.received;
            call.exchange.answered = ended.answered;
            let used = match (ended.tokens, &ended.error) {
                (Some(tokens), None) => Some(price.usage_of(&tokens)),
                // All was there, and told: whoever takes his leave before the connection ends pays no more and no less.
                (Some(tokens), Some(error)) if error == super::relay::GONE && ended.is_whole => {
                    Some(price.usage_of(&tokens))
                }
                // What was told already may be more than was set aside.
                (Some(tokens), Some(_)) => reserved.map(|reserved| higher(&reserved, &price.usage_of(&tokens))),
                // Whole, and the upstream does not count: what came is what was used.
                (None, None) => {
                    let input = reserved.map_or(0, |reserved| reserved.input_tokens);
                    Some(price.usage(input, ended.bytes.div_ceil(3)))
                }
                // Nobody knows how much was made before it was cut.
                (None, Some(_)) => None,
            };
            call.end(used, StatusCode::OK, ended.error);
        });
        let relay = Relay::new(reqwest::Body::from(response), watch, ended);
        let body = match self.settings.stream_shape {
            Some(shape) => Answer::padded(relay, shape),
            None => Answer::relayed(relay),
        };
        let mut answer = Response::new(body);
        tell(&sending.route, &headers, &mut answer);
        answer
    }

    /// A body, whole, within bounds.
    async fn read(&self, mut response: reqwest::Response, most: u64, until: Instant) -> Result<Bytes, String> {
        let mut bytes = BytesMut::new();
        loop {
            let next = until.min(Instant::now() + self.broker.timeouts().idle);
            match tokio::time::timeout_at(next, response.chunk()).await {
                Ok(Ok(Some(chunk))) if bytes.len() as u64 + chunk.len() as u64 > most => {
                    return Err(format!("its answer has more than {most} bytes ([gateway] max_answer)"));
                }
                Ok(Ok(Some(chunk))) => bytes.extend_from_slice(&chunk),
                Ok(Ok(None)) => return Ok(bytes.freeze()),
                Ok(Err(error)) => return Err(format!("its answer was cut off: {}", root_cause(&error))),
                Err(_) => return Err("nothing more came in time".to_owned()),
            }
        }
    }
}

/// Whether a provider may have charged for a call of which nothing came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Billed {
    No,
    Perhaps,
}

impl Sending<'_> {
    /// Whether the upstream speaks the caller's dialect.
    pub(super) fn is_native(&self) -> bool {
        self.translated.is_none()
    }

    fn upstream_operation(&self) -> Operation {
        self.translated.as_ref().map_or(self.operation, |translated| translated.operation)
    }

    /// Whether the gateway asks for the usage of a stream, and the caller did not.
    fn adds_usage(&self) -> bool {
        self.is_native() && self.operation == Operation::Chat && self.asked.stream && !self.asked.wants_usage
    }

    fn body(&self) -> Bytes {
        if let Some(translated) = &self.translated {
            return translated.body.clone();
        }
        let model = serde_json::Value::from(self.route.model()).to_string();
        let salt = self.route.cache_salt().map(|salt| serde_json::Value::from(salt).to_string());
        let mut changes = Vec::with_capacity(3);
        if self.route.model() != self.asked.model {
            changes.push(Change { field: "model", value: Some(&model) });
        }
        // One tenant's salt is what keeps its part of a cache apart: nobody chooses another's.
        changes.push(Change { field: "cache_salt", value: salt.as_deref() });
        if self.adds_usage() {
            changes.push(Change { field: "stream_options", value: Some("{\"include_usage\":true}") });
        }
        Bytes::from(self.asked.body(&changes))
    }

    /// What a whole answer used; where the upstream does not count, what came of it.
    fn used(&self, tokens: Option<Tokens>, bytes: usize, call: &Call) -> autoshare_core::usage::Usage {
        let price = self.route.price();
        match tokens {
            Some(tokens) => price.usage_of(&tokens),
            None => {
                let input = call.reservation.as_ref().map_or(0, |reservation| reservation.wanted().input_tokens);
                let output = if self.operation == Operation::Embeddings { 0 } else { (bytes as u64).div_ceil(3) };
                price.usage(input, output)
            }
        }
    }
}

/// Of each number the higher one.
fn higher(one: &autoshare_core::usage::Usage, other: &autoshare_core::usage::Usage) -> autoshare_core::usage::Usage {
    autoshare_core::usage::Usage {
        input_tokens: one.input_tokens.max(other.input_tokens),
        output_tokens: one.output_tokens.max(other.output_tokens),
        cached_tokens: one.cached_tokens.max(other.cached_tokens),
        reasoning_tokens: one.reasoning_tokens.max(other.reasoning_tokens),
        cost: one.cost.max(other.cost),
    }
}

/// Whether a status is the provider's own fault, and another try may help.
fn is_fault(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504 | 529)
}

fn words_are_ours(status: StatusCode) -> bool {
    status.is_redirection() || matches!(status.as_u16(), 401 | 403)
}

fn upstream_failed(route: &Route, why: &str) -> Refusal {
    // What it said is not to be said on, if it is the key, in whatever spelling it came.
    let words = format!("{} failed: {}", route.origin(), route.without_key(why));
    Refusal::new(StatusCode::BAD_GATEWAY, "upstream_error", words)
}

/// The upstream's headers that its caller is told, but for one that repeats the key.
fn tell(route: &Route, upstream: &hyper::HeaderMap, answer: &mut Response<Answer>) {
    let headers = answer.headers_mut();
    for name in std::iter::once("content-type").chain(TOLD) {
        let value = upstream.get(name).filter(|value| !route.repeats_key(&String::from_utf8_lossy(value.as_bytes())));
        if let (Some(value), Ok(name)) = (value, HeaderName::from_bytes(name.as_bytes())) {
            headers.insert(name, value.clone());
        }
    }
}
