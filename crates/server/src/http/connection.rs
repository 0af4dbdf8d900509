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

use autoshare_broker::gateway::Answer;
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

use super::peer::PeerCertificate;
use super::watch::{Standing, Watch, Watched};
use super::{HttpSettings, plain};

/// Bytes of a request's head at most.
const MAX_HEAD: usize = 64 * 1024;
/// Bytes of answers that wait to be sent, for each stream of HTTP/2.
const MAX_UNSENT: usize = 64 * 1024;
/// How often it is looked whether an HTTP/2 connection still keeps to its limits, at least.
const LOOK: Duration = Duration::from_secs(1);

/// Who answers requests.
pub(super) trait Answering: Send + Sync + 'static {
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Answer>> + Send;
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
    pub(super) async fn http1<S>(mut self, stream: S, peer: Option<PeerCertificate>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let site = self.site;
        let service = service_fn(move |request| {
            let (site, peer) = (Arc::clone(&site), peer.clone());
            async move { Ok::<_, Infallible>(answer(&*site, request, peer).await) }
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

    pub(super) async fn http2<S>(mut self, stream: S, peer: Option<PeerCertificate>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (site, limits) = (self.site, self.settings.http2);
        let watch = Arc::new(Watch::new(&self.settings));
        let asked = Arc::clone(&watch);
        let service = service_fn(move |request: Request<Incoming>| {
            let (site, peer, call) = (Arc::clone(&site), peer.clone(), asked.begin());
            async move {
                let response = answer(&*site, request, peer).await;
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
async fn answer<A: Answering>(
    site: &A,
    mut request: Request<Incoming>,
    peer: Option<PeerCertificate>,
) -> Response<Answer> {
    if let Err(refused) = settle_name(&mut request) {
        return plain(StatusCode::BAD_REQUEST, refused);
    }
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    site.answer(request).await
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
    use super::*;

    #[test]
    fn f4_a_request_has_one_name() {
        let cases: [(&str, &[&str], Result<Option<&str>, ()>); 7] = [
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
