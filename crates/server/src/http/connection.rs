//! One connection, in the version of HTTP that was agreed on, for as long as it keeps to what is usual.
//!
//! HTTP/2 carries many requests on one connection, and its windows let whoever asked leave an answer where it is without
//! the connection standing still. So what [`Patient`](super::patient::Patient) and hyper's time-out for heads see to for
//! HTTP/1.1 is seen to here: [`Watch`] counts what a connection asks for and takes back, and how long nothing of an
//! answer was taken.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_rustls::server::TlsStream;

use super::body::RequestBody;
use super::pause::Pause;
use super::peer::PeerCertificate;
use super::reply::Reply;
use super::strangers::Stranger;
use super::tls::HTTP_2;
use super::watch::{Standing, Watch, Watched};
use super::{HttpSettings, plain};
use crate::api::Asker;

/// Bytes of a request's head at most.
const MAX_HEAD: usize = 64 * 1024;
/// Bytes of answers that wait to be sent, for each stream of HTTP/2.
const MAX_UNSENT: usize = 64 * 1024;
/// How often it is looked whether an HTTP/2 connection still keeps to its limits, at least.
const LOOK: Duration = Duration::from_secs(1);

/// Who answers requests.
pub(super) trait Answering: Send + Sync + 'static {
    fn answer(&self, request: Request<RequestBody>) -> impl Future<Output = Response<Reply>> + Send;
}

/// What every request of a connection brings.
#[derive(Clone)]
struct Brings {
    from: Stranger,
    peer: Option<PeerCertificate>,
    pause: Arc<Pause>,
    settings: Arc<HttpSettings>,
}

impl Brings {
    fn new(from: Stranger, peer: Option<PeerCertificate>, settings: &Arc<HttpSettings>) -> Self {
        let pause = Arc::new(Pause::new(settings.refused_pause));
        Self { from, peer, pause, settings: Arc::clone(settings) }
    }
}

/// What a connection needs.
pub(super) struct Server<A> {
    pub(super) site: Arc<A>,
    pub(super) settings: Arc<HttpSettings>,
    /// Told when no more requests are to be taken.
    pub(super) ended: watch::Receiver<()>,
}

impl<A> Clone for Server<A> {
    fn clone(&self) -> Self {
        Self { site: Arc::clone(&self.site), settings: Arc::clone(&self.settings), ended: self.ended.clone() }
    }
}

impl<A: Answering> Server<A> {
    /// In the version that TLS has agreed on.
    pub(super) async fn over_tls<S>(self, stream: TlsStream<S>, from: Stranger)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (_, session) = stream.get_ref();
        let peer = session.peer_certificates().and_then(|chain| PeerCertificate::of(chain.first()?));
        match session.alpn_protocol() {
            Some(HTTP_2) => self.http2(stream, from, peer).await,
            _ => self.http1(stream, from, peer).await,
        }
    }

    pub(super) async fn http1<S>(mut self, stream: S, from: Stranger, peer: Option<PeerCertificate>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let brings = Brings::new(from, peer, &self.settings);
        let site = self.site;
        let service = service_fn(move |request| {
            let (site, brings) = (Arc::clone(&site), brings.clone());
            async move { Ok::<_, Infallible>(answer(&*site, request, brings).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.head_timeout)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => {}
            _ = self.ended.changed() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }

    async fn http2<S>(mut self, stream: S, from: Stranger, peer: Option<PeerCertificate>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (site, limits) = (self.site, self.settings.http2);
        let brings = Brings::new(from, peer, &self.settings);
        let watch = Arc::new(Watch::new(&self.settings));
        let asked = Arc::clone(&watch);
        let service = service_fn(move |request: Request<Incoming>| {
            let (site, brings, call) = (Arc::clone(&site), brings.clone(), asked.begin());
            async move {
                let response = answer(&*site, request, brings).await;
                Ok::<_, Infallible>(response.map(|body| Watched::new(body, call)))
            }
        });
        let streams = Streams::default();
        let mut builder = hyper::server::conn::http2::Builder::new(streams.clone());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(limits.header_list)
            .initial_stream_window_size(limits.stream_window)
            .initial_connection_window_size(limits.connection_window)
            .max_send_buf_size(MAX_UNSENT)
            .keep_alive_interval(limits.ping)
            .keep_alive_timeout(self.settings.head_timeout);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut running = FuturesUnordered::new();
        let mut looks = tokio::time::interval(LOOK.min(self.settings.write_timeout / 4));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ending: Option<Instant> = None;
        loop {
            let over = tokio::select! {
                () = poll_fn(|cx| streams.drive(connection.as_mut(), &mut running, cx)) => break,
                () = watch.broken() => break,
                _ = self.ended.changed(), if ending.is_none() => true,
                _ = looks.tick() => match watch.standing() {
                    Standing::Busy => false,
                    Standing::Idle => true,
                    Standing::Broken => break,
                },
            };
            match ending {
                // What its answers left unsent may still be taken.
                Some(since) if watch.is_quiet() && since.elapsed() > self.settings.head_timeout => break,
                None if over => {
                    connection.as_mut().graceful_shutdown();
                    ending = Some(Instant::now());
                }
                _ => {}
            }
        }
    }
}

/// A request is answered under the one name that it was sent to, whichever version and form said it.
async fn answer<A: Answering>(site: &A, request: Request<Incoming>, brings: Brings) -> Response<Reply> {
    let Brings { from, peer, pause, settings } = brings;
    let (head, body) = request.into_parts();
    let body = RequestBody::new(&head.headers, body, &settings);
    let mut request = Request::from_parts(head, body);
    if let Err(refused) = settle_name(&mut request) {
        return plain(StatusCode::BAD_REQUEST, refused);
    }
    request.extensions_mut().insert(Arc::clone(&pause));
    request.extensions_mut().insert(from);
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    let response = site.answer(request).await;
    if let Some(Asker(tenant)) = response.extensions().get() {
        pause.answered(tenant, response.status());
    }
    response
}

/// Writes `:authority`, or the name of an absolute target, where the rest looks for it (RFC 9113, 8.3.1; RFC 9112, 3.2.2).
fn settle_name<B>(request: &mut Request<B>) -> Result<(), &'static str> {
    let mut named = request.headers().get_all(HOST).iter();
    let (host, more) = (named.next(), named.next());
    if more.is_some() {
        return Err("a request names one host");
    }
    let Some(authority) = request.uri().authority() else { return Ok(()) };
    if host.is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())) {
        return Err("a request names one host, and Host names another than its target");
    }
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| "the name of this host is none")?;
    request.headers_mut().insert(HOST, host);
    Ok(())
}

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The streams of one connection, which run where it runs and end with it: when a server has ended its connections, no
/// call of theirs goes on.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<Vec<Stream>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(stream));
    }
}

impl Streams {
    /// Ready when the connection has ended.
    fn drive<T>(
        &self,
        mut connection: Pin<&mut impl Future<Output = T>>,
        running: &mut FuturesUnordered<Stream>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let begun = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
            let is_new = !begun.is_empty();
            running.extend(begun);
            while let Poll::Ready(Some(())) = running.poll_next_unpin(cx) {}
            // A new stream may have made the connection ready again before it knew whom to wake.
            if !is_new {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use autoshare_testkit::{Certified, CertifiedClient};
    use hyper::body::Bytes;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::*;
    use crate::http::strangers::Strangers;
    use crate::http::{Certificate, ClientCa, Demand, TlsPair};

    /// Says whom it sees.
    struct Mirror;

    impl Answering for Mirror {
        async fn answer(&self, request: Request<RequestBody>) -> Response<Reply> {
            let seen = request
                .extensions()
                .get::<PeerCertificate>()
                .map(|peer| format!("{} {:?} {:?}", peer.common_name().unwrap_or("-"), peer.dns_names(), peer.uris()));
            Response::new(Reply::from(Bytes::from(seen.unwrap_or_else(|| "nobody".to_owned()))))
        }
    }

    /// What a client with this certificate is told over `protocol`; `None` if it is not let in.
    async fn told(
        server: &Certified,
        pair: &TlsPair<'_>,
        shown: Option<&CertifiedClient>,
        protocol: &[u8],
    ) -> Option<String> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let acceptor = Certificate::new(pair).unwrap().acceptor();
        let (_ending, ended) = watch::channel(());
        let serving = Server { site: Arc::new(Mirror), settings: Arc::default(), ended };
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(theirs).await {
                let everybody = Arc::new(Strangers::new(None, Duration::ZERO));
                serving.over_tls(stream, Stranger::new([127, 0, 0, 1].into(), &everybody)).await;
            }
        });
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(server.ca.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match shown {
            None => config.with_no_client_auth(),
            Some(client) => {
                let chain = vec![CertificateDer::from_pem_slice(client.certificate.as_bytes()).unwrap()];
                config
                    .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(client.key.as_bytes()).unwrap())
                    .unwrap()
            }
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TokioIo::new(TlsConnector::from(Arc::new(config)).connect(name, ours).await.ok()?);
        let request = Request::get("https://localhost/").body(String::new()).unwrap();
        let response = if protocol == b"h2" {
            let executor = hyper_util::rt::TokioExecutor::new();
            let (mut client, connection) = hyper::client::conn::http2::handshake(executor, stream).await.ok()?;
            tokio::spawn(connection);
            client.send_request(request).await.ok()?
        } else {
            let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await.ok()?;
            tokio::spawn(connection);
            client.send_request(request).await.ok()?
        };
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        Some(String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_service_is_told_whose_certificate_was_verified() {
        let server = Certified::new(&["localhost"]);
        let ann = CertifiedClient::new("ann", &["ann.example.org", "spiffe://example.org/ann"]);
        let stranger = CertifiedClient::new("ann", &["ann.example.org"]);
        let ann_seen = Some("ann [\"ann.example.org\"] [\"spiffe://example.org/ann\"]");
        let cases = [
            (Demand::Required, Some(&ann), ann_seen),
            (Demand::Required, Some(&stranger), None),
            (Demand::Required, None, None),
            (Demand::Optional, Some(&ann), ann_seen),
            (Demand::Optional, Some(&stranger), None),
            (Demand::Optional, None, Some("nobody")),
        ];
        for protocol in [&b"h2"[..], b"http/1.1"] {
            for (demand, shown, wanted) in &cases {
                let clients = Some(ClientCa { roots: ("ca.pem", ann.ca.as_bytes()), demand: *demand });
                let cert = ("cert.pem", server.certificate.as_bytes());
                let pair = TlsPair { cert, key: ("key.pem", server.key.as_bytes()), clients };
                let seen = told(&server, &pair, *shown, protocol).await;
                assert_eq!(seen.as_deref(), *wanted, "{demand:?} {protocol:?} {:?}", shown.map(|shown| &shown.ca));
            }
        }
        let cert = ("cert.pem", server.certificate.as_bytes());
        let none = Some(ClientCa { roots: ("ca.pem", b"nothing"), demand: Demand::Required });
        let error = Certificate::new(&TlsPair { cert, key: ("key.pem", server.key.as_bytes()), clients: none });
        assert_eq!(error.err().unwrap().to_string(), "ca.pem: no certificate in PEM form");
    }

    #[test]
    fn f4_a_request_has_one_name() {
        // (target, Host, the name that holds)
        type Row<'a> = (&'a str, &'a [&'a str], Result<Option<&'a str>, ()>);
        let cases: [Row<'_>; 7] = [
            ("/x", &[], Ok(None)),
            ("/x", &["a.test"], Ok(Some("a.test"))),
            ("/x", &["a.test", "b.test"], Err(())),
            ("/x", &["a.test", "a.test"], Err(())),
            ("http://a.test:1/x", &[], Ok(Some("a.test:1"))),
            ("http://a.test:1/x", &["A.test:1"], Ok(Some("a.test:1"))),
            ("http://a.test/x", &["b.test"], Err(())),
        ];
        for (target, hosts, wanted) in cases {
            let mut request = Request::builder().uri(target);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            let mut request = request.body(()).unwrap();
            let settled = settle_name(&mut request).map_err(drop);
            let found = settled.map(|()| request.headers().get(HOST).map(|host| host.to_str().unwrap()));
            assert_eq!(found, wanted, "{target} {hosts:?}");
        }
    }
}
