//! The gateway: the interfaces of model providers, offered to programs that are not ours.
//!
//! A program speaks to it as it would to its provider. Who it is, is known from elsewhere (a token, or the socket of its
//! cell): a [`Caller`]. [`Gateway::answer`] reads the request, charges the caller's ledger, sends it on with the real key,
//! and passes the answer back as it comes. Where the upstream speaks the caller's dialect, bodies are the bytes that came.
//!
//! **Invariants**
//! - No header of a caller goes further but those in [`PASSED_ON`], and no field but those in a list: nothing that a caller
//!   sends says where a call goes or which credential it bears.
//! - The key never comes back: an answer that repeats it is broken off.
//! - What a call may take is reserved before anything is sent, and settled once, however the call ends; one whose end is
//!   not told by the upstream counts in full.
//! - An answer that is cut is told as an error, never as a short answer.
//! - Everything is bounded: bodies, answers, times, calls at once, bytes of all bodies together.
//! - Calls of several tenants, and of several tokens of one, get their turns by what they used ([`Gateway::with_places`]).

mod at_once;
mod meter;
mod paths;
mod refusal;
mod relay;
mod request;
mod send;
mod shape;
mod sources;
mod tools;
mod translate;
mod watch;

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use autoshare_core::budget::Limit;
use autoshare_core::event::Exchange;
use autoshare_core::fair::{Flow, Place, Share};
use autoshare_core::usage::Usage;
use autoshare_core::{BrainId, Digest, TokenId};
use autoshare_guard::verify::Profile;
use autoshare_store::ledger::{Ledger, LedgerError, Payer, Reservation, Settled};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use hyper::{Request, Response, StatusCode};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::time::{Instant, timeout};

use self::at_once::{AtOnce, Counted};
use self::paths::{Asks, Face, asks};
use self::request::Asked;
use self::send::{Billed, Failed, Sending};
use self::translate::Translated;
use crate::prices::Tokens;
use crate::provider::Operation;
use crate::route::Route;
use crate::{Broker, BrokerError, Unsent};

pub use self::refusal::Refusal;
pub use self::relay::{Answer, Streamed};
pub use self::shape::Shape;

/// The path under which all of the gateway lies.
pub const ROOT: &str = "/gateway/";
/// Headers of a caller that go on to the upstream: versions and betas of the dialect, which say how a body is meant.
pub const PASSED_ON: [&str; 3] = ["anthropic-beta", "anthropic-version", "openai-beta"];

/// What the gateway allows itself and its callers. Every limit has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySettings {
    /// Bytes of a request's body at most: 32 MiB.
    pub max_body: u64,
    /// Bytes of an answer's body at most: 64 MiB.
    pub max_answer: u64,
    /// Bytes of all requests' bodies together: 256 MiB.
    pub max_bodies: u64,
    /// How long a request's body may take to come: 60 s.
    pub body_timeout: Duration,
    /// Calls at once, of the tenant: 1,000.
    pub max_calls: usize,
    /// Calls of one caller at once: 250.
    pub max_calls_each: usize,
    /// Fields of a request that are sent on beside the known ones.
    pub extra_fields: Vec<String>,
    /// Kinds of tools that the provider itself runs, which callers may ask for: they reach the network from there.
    pub server_tools: Vec<String>,
    /// How readily what callers send is counted as suspicious; `None` does not look. It is passed on in any case.
    pub detector: Option<Profile>,
    /// Whether and how streams are given a shape that tells less.
    pub stream_shape: Option<Shape>,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            max_body: 32 * 1024 * 1024,
            max_answer: 64 * 1024 * 1024,
            max_bodies: 256 * 1024 * 1024,
            body_timeout: Duration::from_secs(60),
            max_calls: 1_000,
            max_calls_each: 250,
            detector: Some(Profile::Default),
            extra_fields: Vec::new(),
            server_tools: Vec::new(),
            stream_shape: None,
        }
    }
}

/// Whoever calls, as it is known without its words.
pub struct Caller {
    /// The token that it showed.
    pub token: Option<TokenId>,
    /// The brain whose cell it is in.
    pub brain: Option<BrainId>,
    /// What holds for it beside the tenant's budget.
    pub limits: Arc<[Limit]>,
    /// Whether it may name this model.
    pub allows: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// Where its calls are recorded.
    pub records: mpsc::UnboundedSender<Exchange>,
}

/// The gateway of one tenant.
pub struct Gateway {
    broker: Arc<Broker>,
    ledger: Arc<Ledger>,
    settings: GatewaySettings,
    calls: Arc<AtOnce>,
    /// Among the calls of models of all tenants; `None` where there is one alone.
    share: Option<Share>,
    /// When a call was last recorded that was refused before anything was sent.
    refused: Mutex<Option<Instant>>,
    /// KiB of bodies that may still be taken in.
    bodies: Semaphore,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A call under way: what is known of it so far, and where it is told when it has ended. One that is dropped ended because
/// its caller went away.
struct Call {
    exchange: Exchange,
    begun: Instant,
    reservation: Option<Reservation>,
    /// Among the calls at once, until the answer has ended.
    counted: Option<Counted>,
    /// Among those of all tenants, from when it was its turn.
    place: Option<Place>,
    /// Gone when it was told.
    records: Option<mpsc::UnboundedSender<Exchange>>,
}

/// Between two records of calls that were refused before anything was sent.
const REFUSALS_APART: Duration = Duration::from_secs(1);
/// Seconds after which a call may come back whose turn did not come.
const LATER: u64 = 30;
/// What stands for a status where nobody was there to be told one.
const NOBODY: u16 = 499;

impl Call {
    /// Settles and records.
    fn end(mut self, used: Option<Usage>, status: StatusCode, error: Option<String>) {
        self.finish(used, status.as_u16(), error);
    }

    fn finish(&mut self, used: Option<Usage>, status: u16, error: Option<String>) {
        let Some(records) = self.records.take() else { return };
        if let Some(reservation) = self.reservation.take() {
            let how = if error.is_none() { Settled::Done } else { Settled::Failed };
            let used = used.unwrap_or(*reservation.wanted());
            self.exchange.usage = used;
            reservation.settle(used, how);
        }
        self.exchange.status = status;
        self.exchange.error = error;
        self.exchange.millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Whoever recorded is gone: the process ends.
        let _ = records.send(self.exchange.clone());
        if let Some(place) = self.place.take() {
            place.charge(self.exchange.usage.tokens());
        }
        self.counted = None;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.finish(None, NOBODY, Some(relay::GONE.to_owned()));
    }
}

impl Gateway {
    /// A gateway over a tenant's broker and ledger.
    #[must_use]
    pub fn new(broker: Arc<Broker>, ledger: Arc<Ledger>, settings: GatewaySettings) -> Self {
        let kib = usize::try_from(settings.max_bodies / 1024).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            broker,
            ledger,
            calls: AtOnce::new(settings.max_calls, settings.max_calls_each),
            share: None,
            refused: Mutex::default(),
            bodies: Semaphore::new(kib),
            settings,
        }
    }

    /// The same with a share in places that it has in common with other tenants' gateways and hosts: a call waits for its
    /// turn, and is charged the tokens that it used.
    #[must_use]
    pub fn with_places(self, model_calls: Share) -> Self {
        Self { share: Some(model_calls), ..self }
    }

    /// Answers a request of `caller` below [`ROOT`].
    pub async fn answer<B>(&self, caller: &Caller, request: Request<B>) -> Response<Answer>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Display,
    {
        let (face, operation) = match asks(request.method(), request.uri().path()) {
            Asks::For(face, operation) => (face, operation),
            Asks::WithMethod(face, method) => return Refusal::method(method).answer(face).map(Answer::from),
            Asks::Nothing(face) => {
                let words = "the gateway has no such path; those it has are in docs/gateway.md";
                return Refusal::new(StatusCode::NOT_FOUND, "unknown_path", words).answer(face).map(Answer::from);
            }
        };
        let answered = match operation {
            Operation::Models => Ok(self.models(caller, face)),
            _ => self.call(caller, face, operation, request).await,
        };
        answered.unwrap_or_else(|refusal| refusal.answer(face).map(Answer::from))
    }

    /// The models that a caller may name, of those in the table.
    fn models(&self, caller: &Caller, face: Face) -> Response<Answer> {
        let known = self.broker.known();
        let names = known.iter().map(|known| known.name.as_str()).filter(|name| (caller.allows)(name));
        let list: Vec<serde_json::Value> = names
            .map(|name| match face {
                Face::OpenAi => {
                    serde_json::json!({"id": name, "object": "model", "created": 0, "owned_by": "autoshare"})
                }
                Face::Anthropic => serde_json::json!({
                    "type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z",
                }),
            })
            .collect();
        let body = match face {
            Face::OpenAi => serde_json::json!({"object": "list", "data": list}),
            Face::Anthropic => {
                let id = |model: Option<&serde_json::Value>| model.and_then(|model| model.get("id")).cloned();
                let (first, last) = (id(list.first()), id(list.last()));
                serde_json::json!({"data": list, "has_more": false, "first_id": first, "last_id": last})
            }
        };
        let mut response = Response::new(Answer::from(Bytes::from(body.to_string())));
        response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
        response
    }

    /// How many passages of what is new in a request read like an attack.
    async fn suspicious(&self, operation: Operation, asked: &Asked<'_>) -> u64 {
        let Some(profile) = self.settings.detector else { return 0 };
        let texts = watch::new_texts(operation, asked);
        if texts.is_empty() {
            return 0;
        }
        // Other callers do not wait for that.
        tokio::task::spawn_blocking(move || watch::suspicious(&texts, profile)).await.unwrap_or_default()
    }

    async fn call<B>(
        &self,
        caller: &Caller,
        face: Face,
        operation: Operation,
        request: Request<B>,
    ) -> Result<Response<Answer>, Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Display,
    {
        let begun = Instant::now();
        let (parts, body) = request.into_parts();
        check_query(operation, parts.uri.query())?;
        check_headers(&parts.headers)?;
        let (body, _room) = self.take_in(&parts.headers, body).await?;
        let asked = Asked::read(operation, &body, &self.settings.extra_fields)?;
        tools::check(operation, &asked, &self.settings.server_tools)?;
        sources::check(operation, &asked, &self.settings.server_tools)?;
        let route = self.route(caller, face, &asked.model)?;
        let translated = translation(operation, &asked, &body, &route)?;
        let exchange = Exchange {
            path: parts.uri.path().to_owned(),
            model: asked.model.clone(),
            upstream: route.origin(),
            status: 0,
            usage: Usage::ZERO,
            tries: 0,
            millis: 0,
            asked: Digest::of(&body),
            received: Digest::of(b""),
            answered: Digest::of(b""),
            error: None,
            suspicious: self.suspicious(operation, &asked).await,
        };
        let records = Some(caller.records.clone());
        let mut call = Call { exchange, begun, reservation: None, counted: None, place: None, records };
        let until = begun + self.broker.timeouts().total;
        let counted = self.calls.enter(&caller.token);
        let reserved = counted.and_then(|counted| {
            call.counted = Some(counted);
            self.reserve(caller, &route, wanted(operation, &asked, &body, &route))
        });
        let admitted = match reserved {
            Ok(reservation) => self.turn(caller, reservation, until).await,
            Err(refusal) => Err(refusal),
        };
        match admitted {
            Ok((place, reservation)) => (call.place, call.reservation) = (place, Some(reservation)),
            Err(refusal) => {
                // Whoever asks in vain without end is not to fill the disk.
                if !self.is_worth_a_record() {
                    call.records = None;
                }
                call.end(None, refusal.status, Some(refusal.words.clone()));
                return Err(refusal);
            }
        }
        let passed_on =
            PASSED_ON.iter().filter_map(|name| parts.headers.get(*name).map(|value| (*name, value.clone())));
        let mut sending = Sending { face, operation, asked: &asked, route, translated, headers: passed_on.collect() };
        let mut others = self.broker.fallbacks(&asked.model).iter();
        loop {
            let failed = match self.begin(&sending, &mut call, until).await {
                Ok(answering) if answering.is_failing() => Failed::Answering(answering),
                Ok(answering) => return self.pass_on(&sending, call, answering, until).await,
                Err(failed) => failed,
            };
            // Another model may do, as long as nobody can have charged for this one.
            let other = others.find_map(|model| {
                let route = self.route(caller, face, model).ok().filter(|_| failed.is_free())?;
                let translated = translation(operation, &asked, &body, &route).ok()?;
                Some((route, translated))
            });
            match (other, failed) {
                (Some((route, translated)), failed) => {
                    failed.blame();
                    // It is another model's call now: charged to what that one's calls are charged to, at its price.
                    if let Some(reservation) = call.reservation.take() {
                        reservation.release();
                    }
                    match self.reserve(caller, &route, wanted(operation, &asked, &body, &route)) {
                        Ok(reservation) => call.reservation = Some(reservation),
                        Err(refusal) => {
                            call.end(None, refusal.status, Some(refusal.words.clone()));
                            return Err(refusal);
                        }
                    }
                    call.exchange.upstream = route.origin();
                    (sending.route, sending.translated) = (route, translated);
                }
                (None, Failed::Answering(answering)) => return self.pass_on(&sending, call, answering, until).await,
                (None, Failed::Refused(refusal, billed)) => {
                    let used = if billed == Billed::Perhaps { None } else { Some(Usage::ZERO) };
                    call.end(used, refusal.status, Some(refusal.words.clone()));
                    return Err(refusal);
                }
            }
        }
    }

    /// Of the calls that are refused before anything is sent, one a second is recorded.
    fn is_worth_a_record(&self) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let is = refused.is_none_or(|last| last.elapsed() >= REFUSALS_APART);
        if is {
            *refused = Some(Instant::now());
        }
        is
    }

    /// Sets aside what a call may take.
    fn reserve(&self, caller: &Caller, route: &Route, wanted: Usage) -> Result<Reservation, Refusal> {
        let payer = Payer { token: caller.token.clone(), brain: caller.brain.clone(), model: route.model().to_owned() };
        self.ledger.reserve(&payer, &caller.limits, wanted).map_err(over_budget)
    }

    /// Waits for the turn of a call for which this was set aside. Nothing is sent meanwhile, so it costs nothing.
    async fn turn(
        &self,
        caller: &Caller,
        aside: Reservation,
        until: Instant,
    ) -> Result<(Option<Place>, Reservation), Refusal> {
        let Some(share) = &self.share else { return Ok((None, aside)) };
        let flow = match (&caller.token, &caller.brain) {
            (Some(token), _) => Flow::Token(token.clone()),
            (None, Some(brain)) => Flow::Brain(brain.clone()),
            (None, None) => Flow::Tenant,
        };
        let unsent = Unsent::new(aside);
        let place = tokio::time::timeout_at(until, share.enter(flow)).await.map_err(|_| {
            let words =
                "its turn among the calls of all tenants did not come in time; try again later ([fair] model_calls)";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", words).later(LATER)
        })?;
        let place = place.map_err(|refused| {
            let words = format!("calls of models: {refused} ([fair] queue, queue_each)");
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", words).later(refused.after().as_secs())
        })?;
        Ok((Some(place), unsent.send()))
    }

    /// Where a call of this model goes. A caller names a model, never an address or a file.
    fn route(&self, caller: &Caller, face: Face, model: &str) -> Result<Route, Refusal> {
        let unknown = |why: String| Refusal::new(StatusCode::NOT_FOUND, "model_not_found", why);
        let shown: String = model.chars().take(80).collect();
        if model.contains("://") || model.starts_with("replay:") || model == "gullible" {
            return Err(unknown(format!("{shown:?} is no model of the gateway's: name one without an address")));
        }
        if !(caller.allows)(model) {
            let words = format!("this token may not use the model {shown:?}; ask whoever gave it to you");
            return Err(Refusal::new(StatusCode::FORBIDDEN, "model_not_allowed", words));
        }
        let route = match face {
            Face::OpenAi => self.broker.route(model),
            Face::Anthropic => self.broker.route_of("anthropic", model),
        };
        route.map_err(|error| match error {
            BrokerError::NoKey { from, .. } => {
                let words = format!("there is no key for this model's provider: the operator sets one with `autoshare secret set {from}`");
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "no_credential", words)
            }
            other => unknown(other.to_string()),
        })
    }

    /// Reads a body, within what there is room for.
    async fn take_in<B>(&self, headers: &HeaderMap, mut body: B) -> Result<(Bytes, SemaphorePermit<'_>), Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Display,
    {
        let most = self.settings.max_body;
        let large = || {
            let words = format!("the body has more than {most} bytes ([gateway] max_body)");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", words)
        };
        let told = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if told.is_some_and(|length| length > most) {
            return Err(large());
        }
        let more = |kib: usize| {
            self.bodies.try_acquire_many(u32::try_from(kib).unwrap_or(u32::MAX)).map_err(|_| {
                let words = "too many large requests at once; try again in a moment ([gateway] max_bodies)";
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", words).later(1)
            })
        };
        let reading = async {
            // Room is taken for what has come: who only says how much will come keeps nobody out.
            let (mut bytes, mut room) = (BytesMut::new(), more(0)?);
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| Refusal::bad(format!("the body cannot be read: {error}")))?;
                let Ok(data) = frame.into_data() else { continue };
                let length = bytes.len() + data.len();
                if length as u64 > most {
                    return Err(large());
                }
                room.merge(more(length.div_ceil(1024).saturating_sub(room.num_permits()))?);
                bytes.extend_from_slice(&data);
            }
            Ok((bytes.freeze(), room))
        };
        let limit = self.settings.body_timeout;
        timeout(limit, reading).await.map_err(|_| {
            let words = format!("the body did not come within {} s", limit.as_secs());
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "timeout", words)
        })?
    }
}

const fn is_conversation(operation: Operation) -> bool {
    matches!(operation, Operation::Chat | Operation::Responses | Operation::Messages)
}

/// The request in the upstream's words, if it needs other ones.
fn translation(
    operation: Operation,
    asked: &Asked<'_>,
    body: &Bytes,
    route: &Route,
) -> Result<Option<Translated>, Refusal> {
    // A line of the tenant's own is put before the conversation, which changes the body.
    let as_it_is = route.has(operation) && route.first_line().is_none();
    if as_it_is || !is_conversation(operation) {
        Ok(None)
    } else {
        Translated::new(operation, asked, body, route).map(Some)
    }
}

/// Claude Code asks for `?beta=true`; nothing else belongs there, a token least of all.
fn check_query(operation: Operation, query: Option<&str>) -> Result<(), Refusal> {
    match query {
        None | Some("") => Ok(()),
        Some("beta=true") if operation == Operation::Messages => Ok(()),
        Some(_) => Err(Refusal::bad("this path takes nothing after a question mark")),
    }
}

/// A body of another kind could be sent by any page in a browser, without asking first.
fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let kind = text(CONTENT_TYPE).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let words = "send the body as application/json (Content-Type)";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", words));
    }
    if text(CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let words = "send the body as it is, not compressed (Content-Encoding)";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_encoding", words));
    }
    Ok(())
}

/// What a call may take, on the high side.
fn wanted(operation: Operation, asked: &Asked<'_>, body: &Bytes, route: &Route) -> Usage {
    let input = crate::estimate::body_tokens(body);
    let output = match operation {
        Operation::Embeddings => 0,
        _ => asked.max_output.unwrap_or_else(|| route.max_output()).saturating_mul(asked.answers),
    };
    // What goes into a provider's cache costs more than what does not.
    let written = if memchr::memmem::find(body, b"\"cache_control\"").is_some() { input } else { 0 };
    route.price().usage_of(&Tokens { input, output, written, ..Tokens::default() })
}

fn over_budget(error: LedgerError) -> Refusal {
    let words = error.to_string();
    match error {
        LedgerError::Over { passed } | LedgerError::Soft { passed } => {
            let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", words);
            match passed.until_ms.map(|until| until.saturating_sub(now_ms()) / 1000) {
                Some(seconds) => refusal.later(seconds),
                None => refusal,
            }
        }
        LedgerError::Fast { after, .. } => {
            let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", words);
            refusal.later(after.as_secs().saturating_add(1))
        }
        // What the disk said is the operator's to read, in the log.
        _ => Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "ledger",
            "the ledger cannot be written, and nothing is sent uncounted; tell the operator",
        ),
    }
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
