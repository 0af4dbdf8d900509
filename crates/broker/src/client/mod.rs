//! Calls a model of any provider, in the provider's dialect.
//!
//! One call is: translate; send; sort the answer by status and content type; read it under limits of size and time;
//! assemble it. A call is made again only while nothing of a reply was shown.

mod body;
mod plain;
mod refusal;
mod said;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use autoshare_core::chat::{Reply, Request};
use reqwest::Response;
use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use serde_json::json;
use tokio::time::{Instant, timeout};

use self::body::Body;
pub(crate) use self::body::root_cause;
use self::refusal::{Again, Asked, Failure, KeySent};
use crate::breaker::Blame;
use crate::dialect::{self, Decoder, Progress, Quirks};
use crate::endpoint::Endpoint;
use crate::error::{BrokerError, ModelError, quoted};
use crate::form::{Assembler, Call, Finish, Item, Piece, Wrong};
use crate::model::{Completion, Delta, Metered};
use crate::provider::Operation;
use crate::retry::{self, Retries};
use crate::route::Route;
use crate::settings::Timeouts;
use crate::tls::TlsSettings;
use crate::{estimate, sse};

/// Bytes of a refusal's body that are read.
const MAX_REFUSAL: usize = 64 * 1024;
/// A model of a provider.
pub(crate) struct Client {
    /// The model's name, as it was given.
    pub(crate) name: String,
    pub(crate) route: Route,
    pub(crate) timeouts: Timeouts,
    pub(crate) retries: Retries,
}

/// What the endpoint turned out to want; kept so that it is asked in vain once only.
pub(crate) struct Learnt {
    completion_tokens: AtomicBool,
    stream_options: AtomicBool,
}

impl Learnt {
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        Self { completion_tokens: AtomicBool::new(endpoint.is_openai()), stream_options: AtomicBool::new(true) }
    }

    pub(crate) fn quirks(&self) -> Quirks {
        Quirks {
            completion_tokens: self.completion_tokens.load(Ordering::Relaxed),
            stream_options: self.stream_options.load(Ordering::Relaxed),
        }
    }

    /// Learns from a refusal; false if there is nothing to change.
    fn learn(&self, again: Again) -> bool {
        match again {
            Again::OtherLimitName => !self.completion_tokens.swap(true, Ordering::Relaxed),
            Again::NoStreamOptions => self.stream_options.swap(false, Ordering::Relaxed),
            Again::No | Again::Later(_) => false,
        }
    }
}

impl Client {
    /// Calls the model, again and again if need be, until `deadline`.
    pub(crate) async fn complete(
        &self,
        request: &Request,
        deadline: Instant,
        deltas: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<Completion, ModelError> {
        let limit = self.timeouts.total;
        let what = "the whole call did not end";
        let late = || ModelError::TimedOut { who: self.route.origin(), what, limit };
        let persist = self.persist(request, deadline, deltas);
        tokio::time::timeout_at(deadline, persist).await.unwrap_or_else(|_| Err(late()))
    }

    async fn persist(
        &self,
        request: &Request,
        deadline: Instant,
        deltas: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<Completion, ModelError> {
        let mut call = Call::from(request);
        call.items.splice(0..0, self.route.first_line().map(|line| Item::System(line.to_owned())));
        let mut shown = false;
        let mut tries = 0;
        let mut last = None;
        loop {
            let permit = match self.route.breaker().ask() {
                Ok(permit) => permit,
                Err(wait) => {
                    let resting = || ModelError::Resting { who: self.route.origin(), wait };
                    return Err(last.unwrap_or_else(resting));
                }
            };
            tries += 1;
            let mut relay = |delta| {
                shown = true;
                deltas(delta);
            };
            let failure = match self.attempt(request, &call, tries, &mut relay).await {
                Ok(completion) => {
                    permit.end(Blame::None);
                    return Ok(completion);
                }
                Err(failure) => failure,
            };
            permit.end(failure.error.blame());
            if shown {
                return Err(failure.error);
            }
            last = Some(self.pause(failure, tries, deadline).await?);
        }
    }

    /// Waits until the call may be made again, or says that it may not.
    async fn pause(&self, failure: Failure, tries: u32, deadline: Instant) -> Result<ModelError, ModelError> {
        let wait = match failure.again {
            Again::Later(asked) => self.retries.wait(tries, asked, retry::random()),
            again => self.route.upstream.learnt.learn(again).then_some(Duration::ZERO),
        };
        match wait {
            Some(wait) if Instant::now() + wait < deadline => tokio::time::sleep(wait).await,
            _ => return Err(failure.error),
        }
        Ok(failure.error)
    }

    async fn attempt(
        &self,
        request: &Request,
        call: &Call,
        tries: u32,
        deltas: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<Completion, Failure> {
        let who = self.route.origin();
        let asked = self.asked(&who, tries);
        let sent = Instant::now();
        let body = self.body(call, asked)?;
        let response = self.send(self.route.dialect().operation(), body, asked).await?;
        let content_type = self.header(&response, CONTENT_TYPE).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let mut reading = Reading {
            decoder: Decoder::new(self.route.dialect()),
            assembler: Assembler::default(),
            pieces: Vec::new(),
            named: Vec::new(),
        };
        let mut body = Body { response, who: &who, sent, timeouts: self.timeouts, begun: false };
        match essence.as_str() {
            "text/event-stream" => self.read_stream(&mut body, asked, &mut reading, deltas).await?,
            "application/json" => self.read_whole(&mut body, asked, &mut reading, deltas).await?,
            _ => return Err(ModelError::ContentType { who, found: quoted(&content_type) }.into()),
        }
        self.reply(request, reading.assembler, tries).map_err(|wrong| self.wrong(asked, wrong))
    }

    fn asked<'a>(&'a self, who: &'a str, tries: u32) -> Asked<'a> {
        let key_sent = if self.route.credential.is_some() { KeySent::Yes } else { KeySent::No };
        Asked { who, model: self.route.model(), key_from: &self.route.key_from, key_sent, tries }
    }

    /// Takes an answer only if it is a success that is not packed.
    async fn accept(&self, response: Response, asked: Asked<'_>) -> Result<Response, Failure> {
        let status = response.status().as_u16();
        if status != 200 {
            let wait = self.header(&response, RETRY_AFTER).and_then(|v| retry::retry_after(&v, SystemTime::now()));
            let body = self.refusal_body(response).await;
            return Err(refusal::refusal(asked, status, &said::said(&body), wait));
        }
        if let Some(encoding) = self.header(&response, CONTENT_ENCODING).filter(|e| !e.eq_ignore_ascii_case("identity"))
        {
            return Err(ModelError::Compressed { who: asked.who.to_owned(), encoding: quoted(&encoding) }.into());
        }
        Ok(response)
    }

    fn body(&self, call: &Call, asked: Asked<'_>) -> Result<String, Failure> {
        let quirks = self.route.upstream.learnt.quirks();
        let mut body = dialect::encode(self.route.dialect(), self.route.model(), call, quirks)
            .map_err(|error| ModelError::Refused { who: asked.who.to_owned(), status: 400, said: error.to_string() })?;
        if let (Some(salt), Some(map)) = (self.route.cache_salt(), body.as_object_mut()) {
            map.insert("cache_salt".to_owned(), json!(salt));
        }
        Ok(body.to_string())
    }

    async fn send(&self, operation: Operation, body: String, asked: Asked<'_>) -> Result<Response, Failure> {
        let who = || asked.who.to_owned();
        let call = self
            .route
            .request(operation)
            .map_err(|error| ModelError::Refused { who: who(), status: 404, said: error.to_string() })?
            .header(ACCEPT, "text/event-stream, application/json")
            .body(body);
        let limit = self.timeouts.first_byte;
        match timeout(limit, call.send()).await {
            Ok(Ok(response)) => self.accept(response, asked).await,
            Ok(Err(error)) if error.is_connect() => {
                let why = root_cause(&error);
                let again = if is_about_certificates(&why) { Again::No } else { Again::Later(None) };
                Err(Failure { error: ModelError::Unreachable { who: who(), tries: asked.tries, why }, again })
            }
            // A server that wants a certificate of ours says so after the handshake.
            Ok(Err(error)) if is_about_certificates(&root_cause(&error)) => {
                let why = root_cause(&error);
                Err(ModelError::Unreachable { who: who(), tries: asked.tries, why }.into())
            }
            // The server closed before it began to answer: as a rule a connection that it had let go.
            Ok(Err(error)) => {
                let error = ModelError::Cut { who: who(), why: root_cause(&error) };
                Err(Failure { error, again: Again::Later(None) })
            }
            Err(_) => Err(ModelError::TimedOut { who: who(), what: "no answer began", limit }.into()),
        }
    }

    /// A refusal's words, as far as they can be had, without the key.
    async fn refusal_body(&self, mut response: Response) -> String {
        let mut bytes = Vec::new();
        while let Ok(Ok(Some(chunk))) = timeout(self.timeouts.idle, response.chunk()).await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() >= MAX_REFUSAL {
                bytes.truncate(MAX_REFUSAL);
                break;
            }
        }
        self.without_key(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A header's value, without the key.
    fn header(&self, response: &Response, name: HeaderName) -> Option<String> {
        let text = String::from_utf8_lossy(response.headers().get(name)?.as_bytes()).into_owned();
        Some(self.without_key(text))
    }

    fn without_key(&self, text: String) -> String {
        self.route.without_key(&text)
    }

    async fn read_stream(
        &self,
        body: &mut Body<'_>,
        asked: Asked<'_>,
        reading: &mut Reading,
        deltas: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<(), Failure> {
        let mut reader = sse::Reader::default();
        let mut events = Vec::new();
        loop {
            let chunk = match body.next(reading.is_whole()).await {
                Ok(Some(chunk)) => chunk,
                // The reply is whole; only its usage or its end mark is missing.
                _ if reading.is_whole() => return Ok(()),
                Ok(None) => break,
                Err(error) => return Err(error.into()),
            };
            let pushed = reader.push(&chunk, &mut events);
            for event in events.drain(..) {
                if self.take(&event, asked, reading, deltas)? == Progress::End {
                    return self.ended(asked, reading);
                }
            }
            pushed.map_err(|e| ModelError::TooLarge { who: asked.who.to_owned(), what: e.what, limit: e.limit })?;
        }
        if let Some(event) = reader.finish() {
            // Half an event is no JSON: the stream was cut, which is what is said below.
            let _ = self.take(&event, asked, reading, deltas);
        }
        self.ended(asked, reading)
    }

    async fn read_whole(
        &self,
        body: &mut Body<'_>,
        asked: Asked<'_>,
        reading: &mut Reading,
        deltas: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<(), Failure> {
        let text = self.read_text(body, asked, sse::MAX_TOTAL).await?;
        let taken = reading.decoder.whole(&text, &mut reading.pieces);
        reading.relay(deltas).and(taken).map_err(|wrong| self.wrong(asked, wrong))?;
        self.ended(asked, reading)
    }

    /// A JSON reply of `limit` bytes at most.
    async fn read_text(&self, body: &mut Body<'_>, asked: Asked<'_>, limit: usize) -> Result<String, Failure> {
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next(false).await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > limit {
                return Err(ModelError::TooLarge { who: asked.who.to_owned(), what: "a JSON reply", limit }.into());
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.check_key(&text, asked)?;
        Ok(text)
    }

    fn take(
        &self,
        event: &str,
        asked: Asked<'_>,
        reading: &mut Reading,
        deltas: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<Progress, Failure> {
        self.check_key(event, asked)?;
        let taken = reading.decoder.event(event, &mut reading.pieces);
        reading.relay(deltas).and(taken).map_err(|wrong| self.wrong(asked, wrong))
    }

    fn check_key(&self, text: &str, asked: Asked<'_>) -> Result<(), Failure> {
        if self.route.repeats_key(text) {
            return Err(ModelError::KeyEchoed { who: asked.who.to_owned() }.into());
        }
        Ok(())
    }

    fn ended(&self, asked: Asked<'_>, reading: &Reading) -> Result<(), Failure> {
        if reading.is_whole() {
            return Ok(());
        }
        let why = "it ended without saying why it stopped".to_owned();
        Err(ModelError::Cut { who: asked.who.to_owned(), why }.into())
    }

    fn wrong(&self, asked: Asked<'_>, wrong: Wrong) -> Failure {
        let who = asked.who.to_owned();
        match wrong {
            Wrong::TooLarge { what, limit } => ModelError::TooLarge { who, what, limit }.into(),
            Wrong::Malformed(why) => ModelError::Malformed { who, why: quoted(&why) }.into(),
            Wrong::KeyEchoed => ModelError::KeyEchoed { who }.into(),
            Wrong::Error(error) => refusal::in_stream(asked, &said::said_in(&error)),
        }
    }

    fn reply(&self, request: &Request, assembler: Assembler, tries: u32) -> Result<Completion, Wrong> {
        let reply = assembler.into_reply()?;
        // Pieces may spell what no piece holds.
        if self.route.repeats_key(&reply.text) || reply.calls.iter().any(|call| self.route.repeats_key(&call.arguments))
        {
            return Err(Wrong::KeyEchoed);
        }
        let price = self.route.price;
        let (metered, usage) = match &reply.usage {
            Some(tokens) => (Metered::Reported, price.usage_of(tokens)),
            None => {
                let calls = reply.calls.iter().map(|c| estimate::tokens(&c.name) + estimate::tokens(&c.arguments));
                let output = estimate::tokens(&reply.text) + calls.sum::<u64>();
                (Metered::Estimated, price.usage(estimate::request_tokens(request), output))
            }
        };
        let truncated = reply.finish == Finish::Length;
        let reply = Reply { text: reply.text, calls: reply.calls, usage, truncated };
        Ok(Completion { reply, metered, tries, model: self.name.clone() })
    }
}

/// A reply that is being read.
struct Reading {
    decoder: Decoder,
    assembler: Assembler,
    pieces: Vec<Piece>,
    /// The calls whose names were told.
    named: Vec<usize>,
}

impl Reading {
    fn is_whole(&self) -> bool {
        self.assembler.finish.is_some()
    }

    /// Takes the pieces that were decoded, and tells whoever listens.
    fn relay(&mut self, deltas: &mut (dyn FnMut(Delta) + Send)) -> Result<(), Wrong> {
        for piece in self.pieces.drain(..) {
            self.assembler.push(&piece)?;
            match piece {
                Piece::Text(text) => deltas(Delta::Text(text)),
                Piece::Call(part) if !part.name.is_empty() && !self.named.contains(&part.place) => {
                    self.named.push(part.place);
                    deltas(Delta::CallStarted { name: part.name });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether the words of TLS mean that another try would end the same.
fn is_about_certificates(why: &str) -> bool {
    let why = why.to_ascii_lowercase();
    why.contains("certificate") || why.contains("received fatal alert")
}

/// An HTTP client that follows nothing, asks no proxy, and takes `localhost` for this machine.
///
/// Root certificates are loaded for https only, so that a machine without any can still use a server of its own.
pub(crate) fn http_client(https: bool, timeouts: &Timeouts) -> Result<reqwest::Client, BrokerError> {
    let builder = builder(timeouts);
    let builder = if https { builder.https_only(true) } else { builder.tls_certs_only([]) };
    builder.build().map_err(|error| BrokerError::Client { why: root_cause(&error) })
}

/// The same for https, with authorities (PEM) that are trusted beside the platform's.
pub(crate) fn http_client_trusting(more: &str, timeouts: &Timeouts) -> Result<reqwest::Client, BrokerError> {
    let wrong = |error: &reqwest::Error| BrokerError::Client { why: root_cause(error) };
    let more = reqwest::Certificate::from_pem_bundle(more.as_bytes()).map_err(|error| wrong(&error))?;
    builder(timeouts).https_only(true).tls_certs_merge(more).build().map_err(|error| wrong(&error))
}

/// The same, with TLS as a provider's settings say.
pub(crate) fn http_client_with(tls: &TlsSettings, timeouts: &Timeouts) -> Result<reqwest::Client, BrokerError> {
    let config = tls.config().map_err(|why| BrokerError::Client { why })?;
    let builder = builder(timeouts).https_only(true).tls_backend_preconfigured(config);
    builder.build().map_err(|error| BrokerError::Client { why: root_cause(&error) })
}

fn builder(timeouts: &Timeouts) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(timeouts.connect)
        .pool_idle_timeout(Duration::from_secs(30))
        .user_agent(concat!("autoshare/", env!("CARGO_PKG_VERSION")))
        .resolve_to_addrs("localhost", &crate::endpoint::LOCALHOST.map(Into::into))
}
