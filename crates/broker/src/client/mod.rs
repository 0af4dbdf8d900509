//! A client of any endpoint that speaks OpenAI's chat completions.
//!
//! One call is: send; sort the answer by status and content type; read it under limits of size and time; assemble it.
//! A call is made again only while nothing of a reply was shown.

mod assemble;
mod refusal;
mod wire;

use std::error::Error as _;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use autoshare_core::chat::{Reply, Request};
use reqwest::Response;
use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use tokio::time::{Instant, timeout};

use self::assemble::{Assembler, Wrong};
use self::refusal::{Again, Asked, Failure, KeySent};
use self::wire::Dialect;
use crate::endpoint::Endpoint;
use crate::error::{BrokerError, ModelError, quoted};
use crate::model::{Completion, Delta, Metered};
use crate::provider::Operation;
use crate::retry::{self, Retries};
use crate::route::Route;
use crate::settings::Timeouts;
use crate::{estimate, sse};

/// Bytes of a refusal's body that are read.
const MAX_REFUSAL: usize = 64 * 1024;
/// How long a stream may go on after the reply is whole, for the usage and the end mark.
const AFTER_FINISH: Duration = Duration::from_secs(5);

/// A model behind an endpoint.
pub(crate) struct Client {
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

    fn dialect(&self) -> Dialect {
        Dialect {
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
    /// Calls the model, again and again if need be, within [`Timeouts::total`].
    pub(crate) async fn complete(
        &self,
        request: &Request,
        deltas: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<Completion, ModelError> {
        let limit = self.timeouts.total;
        let what = "the whole call did not end";
        let late = || ModelError::TimedOut { who: self.route.origin(), what, limit };
        timeout(limit, self.persist(request, deltas)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn persist(
        &self,
        request: &Request,
        deltas: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<Completion, ModelError> {
        let deadline = Instant::now() + self.timeouts.total;
        let mut shown = false;
        let mut tries = 0;
        loop {
            tries += 1;
            let mut relay = |delta| {
                shown = true;
                deltas(delta);
            };
            let failure = match self.attempt(request, tries, &mut relay).await {
                Ok(completion) => return Ok(completion),
                Err(failure) => failure,
            };
            let wait = match failure.again {
                _ if shown => return Err(failure.error),
                Again::Later(asked) => self.retries.wait(tries, asked, retry::random()),
                again => self.route.upstream.learnt.learn(again).then_some(Duration::ZERO),
            };
            match wait {
                Some(wait) if Instant::now() + wait < deadline => tokio::time::sleep(wait).await,
                _ => return Err(failure.error),
            }
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        tries: u32,
        deltas: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<Completion, Failure> {
        let who = self.route.origin();
        let key_sent = if self.route.credential.is_some() { KeySent::Yes } else { KeySent::No };
        let asked = Asked { who: &who, model: self.route.model(), key_from: &self.route.key_from, key_sent, tries };
        let sent = Instant::now();
        let response = self.send(request, asked).await?;
        let status = response.status().as_u16();
        if status != 200 {
            let wait = self.header(&response, RETRY_AFTER).and_then(|v| retry::retry_after(&v, SystemTime::now()));
            let body = self.refusal_body(response).await;
            return Err(refusal::refusal(asked, status, &wire::said(&body), wait));
        }
        if let Some(encoding) = self.header(&response, CONTENT_ENCODING).filter(|e| !e.eq_ignore_ascii_case("identity"))
        {
            return Err(ModelError::Compressed { who, encoding: quoted(&encoding) }.into());
        }
        let content_type = self.header(&response, CONTENT_TYPE).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let mut assembler = Assembler::default();
        let mut body = Body { response, who: &who, sent, timeouts: self.timeouts, begun: false };
        match essence.as_str() {
            "text/event-stream" => self.read_stream(&mut body, asked, &mut assembler, deltas).await?,
            "application/json" => self.read_whole(&mut body, asked, &mut assembler, deltas).await?,
            _ => return Err(ModelError::ContentType { who, found: quoted(&content_type) }.into()),
        }
        self.reply(request, assembler, tries).map_err(|wrong| self.wrong(asked, wrong))
    }

    async fn send(&self, request: &Request, asked: Asked<'_>) -> Result<Response, Failure> {
        let who = || asked.who.to_owned();
        let malformed = |why: &str| Failure::from(ModelError::Malformed { who: who(), why: why.to_owned() });
        let body = wire::body(self.route.model(), request, self.route.upstream.learnt.dialect()).to_string();
        let call = self
            .route
            .request(Operation::Chat)
            .map_err(|error| malformed(&error.to_string()))?
            .header(ACCEPT, "text/event-stream, application/json")
            .body(body);
        let limit = self.timeouts.first_byte;
        match timeout(limit, call.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_connect() => {
                let why = root_cause(&error);
                let again = if why.contains("certificate") { Again::No } else { Again::Later(None) };
                Err(Failure { error: ModelError::Unreachable { who: who(), tries: asked.tries, why }, again })
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
        assembler: &mut Assembler,
        deltas: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<(), Failure> {
        let mut reader = sse::Reader::default();
        let mut events = Vec::new();
        loop {
            let chunk = match body.next(assembler.finish.is_some()).await {
                Ok(Some(chunk)) => chunk,
                // The reply is whole; only its usage or its end mark is missing.
                _ if assembler.finish.is_some() => return Ok(()),
                Ok(None) => break,
                Err(error) => return Err(error.into()),
            };
            let pushed = reader.push(&chunk, &mut events);
            for event in events.drain(..) {
                if event.trim() == "[DONE]" {
                    return self.ended(asked, assembler);
                }
                self.take(&event, asked, assembler, deltas)?;
            }
            pushed.map_err(|e| ModelError::TooLarge { who: asked.who.to_owned(), what: e.what, limit: e.limit })?;
        }
        if let Some(event) = reader.finish().filter(|event| event.trim() != "[DONE]") {
            // Half an event is no JSON: the stream was cut, which is what is said below.
            let _ = self.take(&event, asked, assembler, deltas);
        }
        self.ended(asked, assembler)
    }

    async fn read_whole(
        &self,
        body: &mut Body<'_>,
        asked: Asked<'_>,
        assembler: &mut Assembler,
        deltas: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next(false).await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > sse::MAX_TOTAL {
                let what = "a JSON reply";
                return Err(ModelError::TooLarge { who: asked.who.to_owned(), what, limit: sse::MAX_TOTAL }.into());
            }
        }
        self.take(&String::from_utf8_lossy(&bytes), asked, assembler, deltas)?;
        self.ended(asked, assembler)
    }

    fn take(
        &self,
        event: &str,
        asked: Asked<'_>,
        assembler: &mut Assembler,
        deltas: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<(), Failure> {
        if self.route.repeats_key(event) {
            return Err(ModelError::KeyEchoed { who: asked.who.to_owned() }.into());
        }
        assembler.push(event, deltas).map_err(|wrong| self.wrong(asked, wrong))
    }

    fn ended(&self, asked: Asked<'_>, assembler: &Assembler) -> Result<(), Failure> {
        if assembler.finish.is_some() {
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
            Wrong::Error(error) => refusal::in_stream(asked, &wire::said_in(&error)),
        }
    }

    fn reply(&self, request: &Request, assembler: Assembler, tries: u32) -> Result<Completion, Wrong> {
        let truncated = assembler.finish.as_deref() == Some("length");
        let reported = assembler.usage;
        let (text, calls) = assembler.into_parts()?;
        // Pieces may spell what no piece holds.
        if self.route.repeats_key(&text) || calls.iter().any(|call| self.route.repeats_key(&call.arguments)) {
            return Err(Wrong::KeyEchoed);
        }
        let (metered, (input, output)) = match reported {
            Some(tokens) => (Metered::Reported, tokens),
            None => {
                let calls = calls.iter().map(|c| estimate::tokens(&c.name) + estimate::tokens(&c.arguments));
                let output = estimate::tokens(&text) + calls.sum::<u64>();
                (Metered::Estimated, (estimate::request_tokens(request), output))
            }
        };
        let usage = self.route.price.usage(input, output);
        Ok(Completion { reply: Reply { text, calls, usage, truncated }, metered, tries })
    }
}

/// The body of a reply, read under limits of time.
struct Body<'a> {
    response: Response,
    who: &'a str,
    sent: Instant,
    timeouts: Timeouts,
    begun: bool,
}

impl Body<'_> {
    async fn next(&mut self, whole: bool) -> Result<Option<impl Deref<Target = [u8]> + use<>>, ModelError> {
        let (what, limit, until) = if whole {
            ("the stream did not end", AFTER_FINISH, Instant::now() + AFTER_FINISH)
        } else if self.begun {
            ("nothing more came", self.timeouts.idle, Instant::now() + self.timeouts.idle)
        } else {
            ("no reply began", self.timeouts.first_byte, self.sent + self.timeouts.first_byte)
        };
        let who = || self.who.to_owned();
        match tokio::time::timeout_at(until, self.response.chunk()).await {
            Ok(Ok(chunk)) => {
                self.begun = true;
                Ok(chunk)
            }
            Ok(Err(error)) => Err(ModelError::Cut { who: who(), why: root_cause(&error) }),
            Err(_) => Err(ModelError::TimedOut { who: who(), what, limit }),
        }
    }
}

/// The innermost reason of an HTTP client's error: the system's words, without URLs or headers.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut words = "the connection failed".to_owned();
    while let Some(inner) = cause {
        words = inner.to_string();
        cause = inner.source();
    }
    quoted(&words)
}

/// An HTTP client that follows nothing, asks no proxy, and takes `localhost` for this machine.
///
/// Root certificates are loaded for https only, so that a machine without any can still use a server of its own.
pub(crate) fn http_client(https: bool, timeouts: &Timeouts) -> Result<reqwest::Client, BrokerError> {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(timeouts.connect)
        .pool_idle_timeout(Duration::from_secs(30))
        .user_agent(concat!("autoshare/", env!("CARGO_PKG_VERSION")))
        .resolve_to_addrs("localhost", &crate::endpoint::LOCALHOST.map(Into::into));
    let builder = if https { builder.https_only(true) } else { builder.tls_certs_only([]) };
    builder.build().map_err(|error| BrokerError::Client { why: root_cause(&error) })
}
