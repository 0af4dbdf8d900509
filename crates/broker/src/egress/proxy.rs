//! The proxy itself.
#![allow(clippy::disallowed_types, reason = "this crate is the one that opens outbound sockets")]

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use autoshare_core::event::Reach;
use autoshare_core::origin::Scheme;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use super::allow::Target;
use super::counts::Counts;
use super::dial::{Counted, connect};
use super::door::Door;
use super::head::{Body, Ready, Refused, empty, prepare, refusal, reply};
use super::policy::{Policy, Question};
use super::tunnel;

/// Bytes of a request's head at most.
const MAX_HEAD: usize = 64 * 1024;
/// How long a request's head, or the beginning of TLS, may take.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Different hosts that a person is asked about in one session.
const MAX_QUESTIONS: usize = 50;

/// A proxy that serves one cell until it is dropped.
#[derive(Debug)]
pub struct Egress {
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// A place among the connections that are served at once, held as long as any part of one goes on.
pub(super) type Place = Arc<OwnedSemaphorePermit>;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) policy: Policy,
    pub(super) counts: Arc<Counts>,
    /// What a person said about hosts that no rule names.
    answers: Mutex<BTreeMap<Target, bool>>,
}

impl Egress {
    /// Serves what connects to `listener`, which is the cell's: whoever connects there is the cell.
    ///
    /// # Errors
    /// The listener cannot be waited on.
    pub fn serve(listener: std::net::TcpListener, policy: Policy) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let shared = Arc::new(Shared { policy, counts: Arc::default(), answers: Mutex::default() });
        let serving = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { shared, serving })
    }

    /// What was reached since this was last asked, by `host:port` as it was asked for: a cell's words.
    #[must_use]
    pub fn take(&self) -> Vec<Reach> {
        self.shared.counts.take()
    }

    /// What was refused so far without the program being told why, in words for a person.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        self.shared.counts.words()
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    /// Whether a person lets a host be reached that no rule names. Asked once for each; others wait meanwhile.
    async fn is_opened(&self, target: &Target) -> bool {
        let Some(ask) = &self.policy.ask else { return false };
        let mut answers = self.answers.lock().await;
        if let Some(answer) = answers.get(target) {
            return *answer;
        }
        if answers.len() >= MAX_QUESTIONS {
            return false;
        }
        let (answer, answered) = oneshot::channel();
        let asked = ask.send(Question { target: target.clone(), answer }).await.is_ok();
        let yes = asked && answered.await.unwrap_or(false);
        answers.insert(target.clone(), yes);
        yes
    }
}

/// How HTTP is spoken with a cell.
pub(super) fn server() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD).half_close(true);
    builder
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(shared.policy.connections));
    // When this ends, they end: a call of a model that is under way then is settled and recorded.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await.map(Arc::new) else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, perhaps: some will be given back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let (shared, place) = (Arc::clone(&shared), Arc::clone(&place));
                async move {
                    Ok::<_, hyper::Error>(answer(request, &shared, &place).await.unwrap_or_else(|refused| *refused))
                }
            });
            let _ = server().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        });
    }
}

async fn answer(request: Request<Incoming>, shared: &Arc<Shared>, place: &Place) -> Result<Response<Body>, Refused> {
    if let Some(door) = shared.policy.door.as_ref().filter(|_| Door::leads(&request)) {
        return Ok(door.answer(request).await);
    }
    let (scheme, authority) = match (request.method(), request.uri().scheme_str(), request.uri().authority()) {
        (&Method::CONNECT, _, Some(authority)) => (Scheme::Https, authority.as_str()),
        (_, Some("http"), Some(authority)) => (Scheme::Http, authority.as_str()),
        _ => {
            let words = "this is a proxy: use CONNECT for TLS, or an absolute http:// URL";
            return Err(refusal(StatusCode::BAD_REQUEST, words));
        }
    };
    let target = Target::parse(authority, scheme);
    let rules = target.as_ref().map(|target| shared.policy.rules(target, scheme)).unwrap_or_default();
    let opened = match &target {
        Some(target) if rules.is_empty() => shared.is_opened(target).await,
        _ => false,
    };
    let Some(target) = target.filter(|_| opened || !rules.is_empty()) else {
        shared.counts.count(authority, None, |one| one.refused += 1);
        let words = format!("{authority} cannot be reached from this cell; {}", shared.policy.list());
        return Err(refusal(StatusCode::FORBIDDEN, &words));
    };
    if request.method() == Method::CONNECT {
        if let Some(config) = shared.policy.inside.as_ref().and_then(|inside| inside.server(&target)) {
            tokio::spawn(tunnel::look_into(request, target, config, Arc::clone(shared), Arc::clone(place)));
        } else {
            let stream = dial(&target, None, shared).await?;
            tokio::spawn(tunnel::through(request, stream, target, Arc::clone(shared), Arc::clone(place)));
        }
        return Ok(Response::new(empty()));
    }
    let anything = super::allow::Allow::origin(&target.origin(scheme));
    let rules = if opened { vec![&anything] } else { rules };
    let Ready { mut request, credential } = prepare(request, &target, scheme, &rules, shared)?;
    let stream = dial(&target, credential.as_deref(), shared).await?;
    // One request over a connection of its own: no second one can follow it to a host that was not asked for.
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let failed = |error| refusal(StatusCode::BAD_GATEWAY, &format!("the answer of {target} cannot be used: {error}"));
    let mut sender = tunnel::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let response = sender.send_request(request).await.map_err(failed)?;
    Ok(reply(response, &target.origin(scheme), shared))
}

/// A counted connection to a host.
async fn dial(target: &Target, credential: Option<&str>, shared: &Shared) -> Result<Counted, Refused> {
    match connect(target, &shared.policy.resolver).await {
        Ok(stream) => Ok(Counted::new(stream, target, credential, &shared.counts)),
        Err(error) => {
            shared.counts.count(&target.to_string(), credential, |one| one.refused += 1);
            Err(refusal(StatusCode::BAD_GATEWAY, &format!("{target}: {error}")))
        }
    }
}
