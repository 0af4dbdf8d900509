//! The upstream, and the least that can stand before it.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};

/// Pieces of a streamed answer.
pub(crate) const PIECES: u32 = 20;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(5);
const WHOLE: &str = r#"{"id":"chatcmpl-0123456789","object":"chat.completion","created":1700000000,"model":"gpt-4.1-mini","choices":[{"index":0,"message":{"role":"assistant","content":"The quick brown fox jumps over the lazy dog, and then it does so once more for those who looked away."},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":180,"completion_tokens":24,"total_tokens":204,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}"#;

type Answer = BoxBody<Bytes, io::Error>;

/// Serves connections for ever, and says where.
async fn serve<F, R>(answer: F)
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<Answer>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}/v1", listener.local_addr().unwrap());
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let answer = answer.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request).await) });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

pub(crate) async fn mock() {
    serve(|request: Request<Incoming>| async {
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let streams = [&b"\"stream\":true"[..], b"\"stream\": true"];
        let is_stream = streams.iter().any(|words| body.windows(words.len()).any(|window| window == *words));
        let (kind, body) = if is_stream {
            let timer = Box::pin(tokio::time::sleep(Duration::ZERO));
            ("text/event-stream", Pieces { sent: 0, timer }.boxed())
        } else {
            (
                "application/json",
                Full::new(Bytes::from_static(WHOLE.as_bytes())).map_err(|never| match never {}).boxed(),
            )
        };
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    })
    .await;
}

/// Nanoseconds since 1970.
pub(crate) fn now_ns() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// Events that say when they were sent.
struct Pieces {
    sent: u32,
    timer: Pin<Box<Sleep>>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.sent > PIECES + 1 {
            return Poll::Ready(None);
        }
        ready!(self.timer.as_mut().poll(cx));
        self.timer.as_mut().reset(Instant::now() + PAUSE);
        self.sent += 1;
        let head = r#"{"id":"chatcmpl-0123456789","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4.1-mini""#;
        let text = if self.sent <= PIECES {
            let role = if self.sent == 1 { r#""role":"assistant","# } else { "" };
            let now = now_ns();
            format!(
                "data: {head},\"choices\":[{{\"index\":0,\"delta\":{{{role}\"content\":\"at={now}\"}},\"finish_reason\":null}}]}}\n\n"
            )
        } else if self.sent == PIECES + 1 {
            format!("data: {head},\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n")
        } else {
            let usage = r#""usage":{"prompt_tokens":180,"completion_tokens":20,"total_tokens":200}"#;
            format!("data: {head},\"choices\":[],{usage}}}\n\ndata: [DONE]\n\n")
        };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(text)))))
    }
}

/// Passes everything on, over connections that are kept.
pub(crate) async fn proxy(upstream: SocketAddr) {
    let free: Arc<Mutex<Vec<SendRequest<Incoming>>>> = Arc::default();
    serve(move |mut request: Request<Incoming>| {
        let free = Arc::clone(&free);
        async move {
            let kept = {
                let mut free = free.lock().unwrap();
                let ready = free.iter().position(SendRequest::is_ready);
                ready.map(|at| free.swap_remove(at))
            };
            let mut connection = match kept {
                Some(connection) => connection,
                None => connect(upstream).await,
            };
            request.headers_mut().insert(HOST, HeaderValue::from_str(&upstream.to_string()).unwrap());
            let response = connection.send_request(request).await.unwrap();
            free.lock().unwrap().push(connection);
            response.map(|body| body.map_err(io::Error::other).boxed())
        }
    })
    .await;
}

/// A connection that is driven by a task of its own.
pub(crate) async fn connect<B>(at: SocketAddr) -> SendRequest<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let stream = TcpStream::connect(at).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}
