//! The proxy itself.
#![allow(clippy::disallowed_types, reason = "this crate is the one that opens outbound sockets")]

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt as _, Either, Full, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION, TE, TRAILER, UPGRADE,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::address::is_public;
use super::allow::{Allow, Allowed, allowed};

/// Bytes of a request's head at most.
const MAX_HEAD: usize = 64 * 1024;
/// How long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long resolving and connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Different hosts that are counted one by one; those beyond are counted together.
const COUNTED: usize = 1000;

/// What was reached at one host and port, or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// Connections that were made.
    pub connections: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Bytes that left.
    pub sent: u64,
    /// Bytes that came.
    pub received: u64,
}

/// A proxy that serves one cell until it is dropped.
#[derive(Debug)]
pub struct Egress {
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    allow: Vec<Allow>,
    reached: Mutex<BTreeMap<String, Reached>>,
}

type Body = Either<Incoming, BoxBody<Bytes, hyper::Error>>;

impl Egress {
    /// Serves what connects to `listener`, which is the cell's: whoever connects there is the cell. More than so many
    /// `connections` at once have to wait.
    ///
    /// # Errors
    /// The listener cannot be waited on.
    pub fn serve(listener: std::net::TcpListener, allow: Vec<Allow>, connections: usize) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let shared = Arc::new(Shared { allow, reached: Mutex::default() });
        let serving = tokio::spawn(accept(listener, Arc::clone(&shared), connections));
        Ok(Self { shared, serving })
    }

    /// What was reached so far, by `host:port` as it was asked for: a cell's words.
    #[must_use]
    pub fn reached(&self) -> BTreeMap<String, Reached> {
        self.shared.counts().clone()
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Reached>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, target: &str, what: impl FnOnce(&mut Reached)) {
        let mut counts = self.counts();
        let known = counts.contains_key(target) || counts.len() < COUNTED;
        what(counts.entry(if known { target } else { "others" }.to_owned()).or_default());
    }

    /// What may be reached, in words for whoever asked for something else.
    fn list(&self) -> String {
        if self.allow.is_empty() {
            return "no host is allowed".to_owned();
        }
        let hosts: Vec<String> = self.allow.iter().map(Allow::to_string).collect();
        format!("allowed hosts: {}", hosts.join(", "))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, connections: usize) {
    let places = Arc::new(Semaphore::new(connections));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, perhaps: some will be given back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(MAX_HEAD)
                .half_close(true)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
            drop(place);
        });
    }
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, hyper::Error> {
    let (authority, usual) = match (request.method(), request.uri().scheme_str(), request.uri().authority()) {
        (&Method::CONNECT, _, Some(authority)) => (authority.as_str().to_owned(), 443),
        (_, Some("http"), Some(authority)) => (authority.as_str().to_owned(), 80),
        _ => {
            let words = "this is a proxy: use CONNECT for TLS, or an absolute http:// URL";
            return Ok(refusal(StatusCode::BAD_REQUEST, words));
        }
    };
    let Some(target) = allowed(&shared.allow, &authority, usual) else {
        shared.count(&authority, |count| count.refused += 1);
        let words = format!("{authority} cannot be reached from this cell; {}", shared.list());
        return Ok(refusal(StatusCode::FORBIDDEN, &words));
    };
    let name = format!("{}:{}", target.host, target.port);
    let stream = match tokio::time::timeout(CONNECT_TIMEOUT, connect(&target)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            shared.count(&name, |count| count.refused += 1);
            return Ok(refusal(StatusCode::BAD_GATEWAY, &format!("{name}: {error}")));
        }
        Err(_) => {
            let seconds = CONNECT_TIMEOUT.as_secs();
            return Ok(refusal(StatusCode::GATEWAY_TIMEOUT, &format!("{name} did not answer in {seconds} s")));
        }
    };
    shared.count(&name, |count| count.connections += 1);
    let stream = Counted { stream, name, shared };
    if request.method() == Method::CONNECT {
        Ok(tunnel(request, stream))
    } else {
        forward(request, stream, &target).await
    }
}

/// Connects to one of the addresses of a host, after it was looked at.
async fn connect(target: &Allowed) -> io::Result<TcpStream> {
    let mut refused = None;
    let addresses: Vec<SocketAddr> = match target.host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, target.port)],
        Err(_) => tokio::net::lookup_host((target.host.as_str(), target.port)).await?.collect(),
    };
    for address in addresses {
        if !target.by_address && !is_public(address.ip()) {
            let words = format!("its name leads to {}, which is not on the internet", address.ip());
            refused = Some(io::Error::new(io::ErrorKind::PermissionDenied, words));
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address")))
}

fn tunnel(request: Request<Incoming>, mut upstream: Counted) -> Response<Body> {
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut upstream).await;
        }
    });
    Response::new(Either::Right(empty()))
}

/// One request over a connection of its own: no second one can follow it to a host that was not asked for.
async fn forward(
    mut request: Request<Incoming>,
    upstream: Counted,
    target: &Allowed,
) -> Result<Response<Body>, hyper::Error> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    // The host that was asked for and looked at is the host that is told, whatever the request says.
    let host = if target.port == 80 { target.host.clone() } else { format!("{}:{}", target.host, target.port) };
    let (Ok(uri), Ok(host)) = (path.parse::<Uri>(), HeaderValue::from_str(&host)) else {
        return Ok(refusal(StatusCode::BAD_REQUEST, "this URL cannot be asked for"));
    };
    *request.uri_mut() = uri;
    let hop: Vec<HeaderName> = request
        .headers()
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let headers = request.headers_mut();
    for name in hop.iter().chain(&[CONNECTION, PROXY_AUTHORIZATION, TE, TRAILER, UPGRADE]) {
        headers.remove(name);
    }
    headers.remove("proxy-connection");
    headers.insert(HOST, host);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(upstream)).await?;
    tokio::spawn(connection);
    match sender.send_request(request).await {
        Ok(response) => Ok(response.map(Either::Left)),
        Err(error) => Ok(refusal(StatusCode::BAD_GATEWAY, &format!("the host's answer cannot be used: {error}"))),
    }
}

fn empty() -> BoxBody<Bytes, hyper::Error> {
    Full::new(Bytes::new()).map_err(|never| match never {}).boxed()
}

fn refusal(status: StatusCode, words: &str) -> Response<Body> {
    let text = format!("autoshare: {words}\n");
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed();
    let mut response = Response::new(Either::Right(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// A connection whose bytes are counted.
struct Counted {
    stream: TcpStream,
    name: String,
    shared: Arc<Shared>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len().saturating_sub(before) as u64;
        if read > 0 {
            self.shared.count(&self.name, |count| count.received += read);
        }
        done
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &done {
            self.shared.count(&self.name, |count| count.sent += *written as u64);
        }
        done
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
