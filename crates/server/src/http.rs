//! HTTP: the listener, who may speak to it, and what lies under which path.
//!
//! Served are the gateway ([`autoshare_broker::gateway`]), `/livez` and `/readyz`.

mod connection;
mod patient;
mod peer;
mod tls;
mod watch;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use autoshare_access::{Bearer, Scope, Tokens};
use autoshare_broker::gateway::{Answer, Caller, Gateway, ROOT, Refusal};
use autoshare_host::calls::Calls;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::connection::{Answering, Server};
use self::patient::Patient;
pub use self::peer::PeerCertificate;
pub use self::tls::{Certificate, ClientCa, Demand, TlsPair};

/// Anthropic's header for a key.
const X_API_KEY: &str = "x-api-key";

/// Where and how to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// The address: `127.0.0.1:7878` unless another is named.
    pub listen: SocketAddr,
    /// Names under which it is reached, beside `localhost` and addresses of this machine's loopback.
    pub hosts: Vec<String>,
    /// Connections at once: 1,000. More wait.
    pub connections: usize,
    /// How long a request's head, and TLS's handshake, may take: 10 s.
    pub head_timeout: Duration,
    /// How long whoever is answered may take nothing of it: 60 s.
    pub write_timeout: Duration,
    /// How long answers that are under way may take when it is to end: 30 s.
    pub drain: Duration,
    /// What HTTP/2 needs beside.
    pub http2: Http2Settings,
}

/// What an HTTP/2 connection may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2Settings {
    /// Requests at once: 100. The protocol has others wait, or be asked again.
    pub streams: u32,
    /// Bytes of a request's fields, 32 more counted for each: 32,768.
    pub header_list: u32,
    /// Bytes that may come of one request before they are read: 262,144.
    pub stream_window: u32,
    /// The same of all requests of a connection: 1,048,576.
    pub connection_window: u32,
    /// Requests that may be taken back in ten seconds: 100. Whoever takes back more has them begun for nothing (CVE-2023-44487).
    pub resets: u32,
    /// How long a connection may stay without a request: 60 s.
    pub idle: Duration,
    /// How often it is asked whether the other side is still there: 20 s. It has [`HttpSettings::head_timeout`] to answer.
    pub ping: Duration,
}

impl Default for Http2Settings {
    fn default() -> Self {
        Self {
            streams: 100,
            header_list: 32 * 1024,
            stream_window: 256 * 1024,
            connection_window: 1024 * 1024,
            resets: 100,
            idle: Duration::from_secs(60),
            ping: Duration::from_secs(20),
        }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7878)),
            hosts: Vec::new(),
            connections: 1_000,
            head_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            drain: Duration::from_secs(30),
            http2: Http2Settings::default(),
        }
    }
}

/// Why it cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Others could reach it, and read all that passes.
    #[error(
        "{0} can be reached from other machines, and without TLS whoever is between reads tokens and conversations: \
         name a certificate and its key ([serve] tls_cert and tls_key), or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// The address is not to be had.
    #[error("cannot listen on {at}: {error}; name another address with --listen")]
    Listen {
        /// The address.
        at: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// What was handed over is no listener.
    #[error(
        "the socket that was handed over is no TCP socket that listens ({0}): name one with ListenStream= in the .socket \
         unit"
    )]
    Given(io::Error),
    /// The certificate or its key cannot be used.
    #[error("{file}: {why}")]
    Tls {
        /// Which file.
        file: String,
        /// What is wrong.
        why: String,
    },
}

/// What answers.
pub struct Faces {
    /// Who may.
    pub tokens: Tokens,
    /// Models for programs.
    pub gateway: Gateway,
    /// Its records.
    pub calls: Calls,
}

/// A listener that stands; nobody is served yet.
pub struct Http {
    listener: TcpListener,
    tls: Option<Certificate>,
    settings: HttpSettings,
}

impl Http {
    /// Takes the address.
    ///
    /// # Errors
    /// [`HttpError::Open`] for an address that others can reach without TLS; [`HttpError::Listen`];
    /// [`HttpError::Tls`].
    pub async fn bind(settings: HttpSettings, tls: Option<TlsPair<'_>>) -> Result<Self, HttpError> {
        let at = settings.listen;
        // Said before the address is taken, and not after.
        protected(at, tls.as_ref())?;
        let listener = TcpListener::bind(at).await.map_err(|error| HttpError::Listen { at, error })?;
        Self::over(listener, settings, tls)
    }

    /// Takes a listener that somebody has made, such as systemd; its address goes before that of the settings.
    ///
    /// # Errors
    /// [`HttpError::Given`] if it is no TCP socket that listens, [`HttpError::Open`], [`HttpError::Tls`].
    pub fn given(
        listener: std::net::TcpListener,
        mut settings: HttpSettings,
        tls: Option<TlsPair<'_>>,
    ) -> Result<Self, HttpError> {
        let given = || {
            use rustix::net::{SocketType, sockopt};
            settings.listen = listener.local_addr()?;
            if sockopt::socket_type(&listener)? != SocketType::STREAM || !sockopt::socket_acceptconn(&listener)? {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        let listener = given().map_err(HttpError::Given)?;
        Self::over(listener, settings, tls)
    }

    fn over(listener: TcpListener, settings: HttpSettings, tls: Option<TlsPair<'_>>) -> Result<Self, HttpError> {
        protected(settings.listen, tls.as_ref())?;
        let tls = tls.map(|pair| Certificate::new(&pair)).transpose()?;
        Ok(Self { listener, tls, settings })
    }

    /// Where it listens; with port 0 the kernel chose one.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn at(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Its certificate, if it has one, to be renewed while it serves.
    #[must_use]
    pub fn certificate(&self) -> Option<Certificate> {
        self.tls.clone()
    }

    /// Serves until `stop`; then takes no more, and waits for answers that are under way.
    pub async fn serve(self, faces: Arc<Faces>, stop: impl Future<Output = ()>) {
        let Self { listener, tls, settings } = self;
        let places = Arc::new(Semaphore::new(settings.connections));
        let site =
            Arc::new(Site { faces, hosts: settings.hosts.clone(), is_open: !settings.listen.ip().is_loopback() });
        let (ending, ended) = tokio::sync::watch::channel(());
        let settings = Arc::new(settings);
        let server = Server { site, settings: Arc::clone(&settings), ended };
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = async {
                    let place = Arc::clone(&places).acquire_owned().await;
                    (place, listener.accept().await)
                } => accepted,
            };
            while connections.try_join_next().is_some() {}
            let (Ok(place), Ok((stream, _))) = accepted else {
                // Out of descriptors, perhaps: some will be given back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let stream = Patient::new(stream, settings.write_timeout);
            let (server, tls, limit) = (server.clone(), tls.as_ref().map(Certificate::acceptor), settings.head_timeout);
            connections.spawn(async move {
                match tls {
                    // Without TLS nothing says beforehand that it is HTTP/2.
                    None => server.http1(stream, None).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(limit, tls.accept(stream)).await {
                            server.over_tls(stream).await;
                        }
                    }
                }
                drop(place);
            });
        }
        drop(listener);
        drop(server);
        let _ = ending.send(());
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(settings.drain, all).await;
        // Those that are left are ended, and waited for: their calls are told to the recorder before it is closed.
        connections.shutdown().await;
    }
}

/// Refuses an address that others reach, where nothing is between them and what passes.
fn protected(at: SocketAddr, tls: Option<&TlsPair<'_>>) -> Result<(), HttpError> {
    if tls.is_none() && !at.ip().is_loopback() { Err(HttpError::Open(at)) } else { Ok(()) }
}

struct Site {
    faces: Arc<Faces>,
    hosts: Vec<String>,
    /// Whether other machines reach it: then any name may be its.
    is_open: bool,
}

impl Answering for Site {
    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        if let Some(refused) = self.is_foreign(request.headers()) {
            return plain(StatusCode::FORBIDDEN, refused);
        }
        let path = request.uri().path();
        match path {
            "/livez" | "/readyz" if request.method() != Method::GET => {
                plain(StatusCode::METHOD_NOT_ALLOWED, "GET only")
            }
            "/livez" => plain(StatusCode::OK, "alive"),
            "/readyz" => match self.faces.calls.broken() {
                None => plain(StatusCode::OK, "ready"),
                Some(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: calls cannot be recorded"),
            },
            path if path.starts_with(ROOT) => self.gateway(request).await,
            _ => plain(StatusCode::NOT_FOUND, "nothing here"),
        }
    }
}

impl Site {
    async fn gateway(&self, request: Request<Incoming>) -> Response<Answer> {
        match self.caller(request.headers()) {
            Ok(caller) => self.faces.gateway.answer(&caller, request).await,
            Err(refusal) => refusal.response_for(request.uri().path()).map(Answer::from),
        }
    }

    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let bearer: Bearer = presented(headers)
            .and_then(|token| self.faces.tokens.authenticate(token).ok())
            // Tokens of all tenants lie in one place; keys, budgets and records here are one tenant's.
            .filter(|bearer| bearer.access.tenant() == self.faces.calls.tenant())
            .filter(|bearer| bearer.has(Scope::Gateway))
            .ok_or_else(Refusal::stranger)?;
        let records = self.faces.calls.of(&bearer.token.id, &bearer.token.name).map_err(|_| Refusal::unrecorded())?;
        let (token, limits) = (Some(bearer.token.id.clone()), Arc::clone(&bearer.limits));
        let allows = Arc::new(move |model: &str| bearer.allows_model(model));
        Ok(Caller { token, brain: None, limits, allows, records })
    }

    /// A page in a browser may send requests here by another name for this address, and always says where it comes from.
    fn is_foreign(&self, headers: &HeaderMap) -> Option<&'static str> {
        if headers.contains_key(ORIGIN) {
            return Some("requests of web pages are not answered");
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        let is_ours = self.is_open
            || name.eq_ignore_ascii_case("localhost")
            || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            || self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name));
        (!is_ours).then_some("this name is none of this server's ([serve] hosts)")
    }
}

/// The one token that a request shows.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(AUTHORIZATION).iter().chain(headers.get_all(X_API_KEY));
    let mut tokens = all.by_ref().map(|value| {
        let text = value.to_str().unwrap_or_default();
        let scheme = text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        if scheme { text.get(7..).unwrap_or_default().trim() } else { text }
    });
    let first = tokens.next()?;
    // SDKs that send a key in both ways send the same one.
    tokens.all(|other| other == first).then_some(first)
}

fn plain(status: StatusCode, words: &'static str) -> Response<Answer> {
    let mut response = Response::new(Answer::from(Bytes::from_static(words.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_one_token() {
        type Headers = &'static [(&'static str, &'static str)];
        let cases: [(Headers, Option<&str>); 8] = [
            (&[], None),
            (&[("authorization", "Bearer as_x")], Some("as_x")),
            (&[("authorization", "bearer as_x")], Some("as_x")),
            (&[("x-api-key", "as_x")], Some("as_x")),
            (&[("x-api-key", "as_x"), ("authorization", "Bearer as_x")], Some("as_x")),
            (&[("x-api-key", "as_x"), ("authorization", "Bearer as_y")], None),
            (&[("authorization", "Bearer as_x"), ("authorization", "Bearer as_y")], None),
            (&[("cookie", "token=as_x")], None),
        ];
        for (given, wanted) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.append(hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
            }
            assert_eq!(presented(&headers), wanted, "{given:?}");
        }
    }
}
