//! HTTP: the listener, who may speak to it, and what lies under which path.
//!
//! Served are the gateway ([`autoshare_broker::gateway`]), `/livez` and `/readyz`.

mod patient;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use autoshare_access::{Bearer, Scope, Tokens};
use autoshare_broker::gateway::{Answer, Caller, Gateway, ROOT, Refusal};
use autoshare_host::calls::Calls;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use self::patient::Patient;

/// Bytes of a request's head at most.
const MAX_HEAD: usize = 64 * 1024;
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
    /// The certificate or its key cannot be used.
    #[error("{file}: {why}")]
    Tls {
        /// Which file.
        file: String,
        /// What is wrong.
        why: String,
    },
}

/// A certificate chain and its key, both PEM.
pub struct TlsPair<'a> {
    /// The certificate's file and text, the leaf first.
    pub cert: (&'a str, &'a [u8]),
    /// The key's file and text.
    pub key: (&'a str, &'a [u8]),
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

/// The certificate with which connections are accepted from now on. Those that stand keep the one that they began with.
#[derive(Clone)]
pub struct Certificate(Arc<Mutex<TlsAcceptor>>);

impl Certificate {
    /// Takes another one into use.
    ///
    /// # Errors
    /// [`HttpError::Tls`] if it cannot be used; the one before stays.
    pub fn renew(&self, pair: &TlsPair<'_>) -> Result<(), HttpError> {
        let renewed = acceptor(pair)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    fn acceptor(&self) -> TlsAcceptor {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Http {
    /// Takes the address.
    ///
    /// # Errors
    /// [`HttpError::Open`] for an address that others can reach without TLS; [`HttpError::Listen`];
    /// [`HttpError::Tls`].
    pub async fn bind(settings: HttpSettings, tls: Option<TlsPair<'_>>) -> Result<Self, HttpError> {
        let at = settings.listen;
        if tls.is_none() && !at.ip().is_loopback() {
            return Err(HttpError::Open(at));
        }
        let tls = tls.map(|pair| acceptor(&pair)).transpose()?;
        let tls = tls.map(|acceptor| Certificate(Arc::new(Mutex::new(acceptor))));
        let listener = TcpListener::bind(at).await.map_err(|error| HttpError::Listen { at, error })?;
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
        let site = Arc::new(Site { faces, hosts: settings.hosts, is_open: !settings.listen.ip().is_loopback() });
        let (ending, ended) = watch::channel(());
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
            let (site, tls, ended, limit) =
                (Arc::clone(&site), tls.as_ref().map(Certificate::acceptor), ended.clone(), settings.head_timeout);
            connections.spawn(async move {
                match tls {
                    None => connection(stream, site, ended, limit).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(limit, tls.accept(stream)).await {
                            connection(stream, site, ended, limit).await;
                        }
                    }
                }
                drop(place);
            });
        }
        drop(listener);
        drop(ended);
        let _ = ending.send(());
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(settings.drain, all).await;
        // Those that are left are ended, and waited for: their calls are told to the recorder before it is closed.
        connections.shutdown().await;
    }
}

fn acceptor(pair: &TlsPair<'_>) -> Result<TlsAcceptor, HttpError> {
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let wrong = |file: &str, why: String| HttpError::Tls { file: file.to_owned(), why };
    let chain = CertificateDer::pem_slice_iter(pair.cert.1)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(pair.cert.0, format!("no certificate in PEM form: {error}")))?;
    if chain.is_empty() {
        return Err(wrong(pair.cert.0, "no certificate in PEM form".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(pair.key.1)
        .map_err(|error| wrong(pair.key.0, format!("no private key in PEM form: {error}")))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(pair.cert.0, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| wrong(pair.key.0, format!("it does not belong to the certificate: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn connection<S>(stream: S, site: Arc<Site>, mut ended: watch::Receiver<()>, head_timeout: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = ended.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

struct Site {
    faces: Arc<Faces>,
    hosts: Vec<String>,
    /// Whether other machines reach it: then any name may be its.
    is_open: bool,
}

impl Site {
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
