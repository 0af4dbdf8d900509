//! The scripted model server: a thread of its own with a runtime of its own, so that any test can use it.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::reply::{self, Piece};
use crate::script::{Choose, Fault, Script, Turn};
use crate::wire::Wire;

/// A server that plays a script. It stops when this is dropped.
pub struct ScriptedModel {
    at: SocketAddr,
    log: Arc<Mutex<Vec<Recorded>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The method, such as `POST`.
    pub method: String,
    /// The path, such as `/v1/chat/completions`.
    pub path: String,
    /// Names (lower case) and values of the headers.
    pub headers: Vec<(String, String)>,
    /// The body as JSON; null if it is none.
    pub body: Value,
    /// When it was read.
    pub at: Instant,
}

impl Recorded {
    /// The value of a header, named in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The messages of the conversation.
    #[must_use]
    pub fn messages(&self) -> &[Value] {
        self.body.get("messages").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

impl fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedModel").field("at", &self.at).finish_non_exhaustive()
    }
}

impl ScriptedModel {
    /// Serves a script on a free port of loopback.
    ///
    /// # Panics
    /// If it cannot listen: for tests, which can do nothing about it.
    #[must_use]
    pub fn start(script: Script) -> Self {
        Self::start_on(script, 0).unwrap_or_else(|error| panic!("the scripted model cannot start: {error}"))
    }

    /// Serves a script on this port of loopback; 0 is any free one.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn start_on(script: Script, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let at = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let log = Arc::new(Mutex::new(Vec::new()));
        let served = vec![0; script.turns.len()];
        let shared = Arc::new(Shared { script, log: Arc::clone(&log), served: Mutex::new(served) });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("scripted-model".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, shared) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { at, log, stop: Some(stop), thread: Some(thread) })
    }

    /// The base URL, such as `http://127.0.0.1:40123/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.at)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.at.port()
    }

    /// Every request so far, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.log).clone()
    }
}

impl Drop for ScriptedModel {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Shared {
    script: Script,
    log: Arc<Mutex<Vec<Recorded>>>,
    /// Requests so far, by turn.
    served: Mutex<Vec<u32>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&shared), request));
            // An aborted connection is what some faults are for.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The body of an answer: what a task sends, until it stops. An error ends the connection without HTTP's end mark.
struct Stream(mpsc::Receiver<io::Result<Bytes>>);

impl Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

type Answer = Result<Response<Stream>, Infallible>;

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.map(|whole| whole.to_bytes()).unwrap_or_default();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let recorded = Recorded {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
        at: Instant::now(),
    };
    let (count, path, body) = {
        let mut log = lock(&shared.log);
        log.push(recorded.clone());
        let count = log.iter().filter(|r| r.path == recorded.path).count();
        (count, recorded.path, recorded.body)
    };
    if path.ends_with("/models") {
        let list: Vec<Value> = shared.script.models.iter().map(|id| json!({"id": id, "object": "model"})).collect();
        return ready(200, &json!({"object": "list", "data": list}));
    }
    if let Some(body) = crate::wire::other::answer(&path, &body) {
        return ready(200, &body);
    }
    let Some(wire) = Wire::of(&path).filter(|_| recorded.method == "POST") else {
        return ready(404, &error("there is nothing here", None));
    };
    let place = match shared.script.choose {
        Choose::AssistantMessages => wire.turns(&body),
        Choose::Arrival => count - 1,
    };
    let Some(turn) = shared.script.turns.get(place) else {
        return ready(418, &error(&format!("the script has no turn {}", place + 1), None));
    };
    let seen = lock(&shared.served).get_mut(place).map(|n| std::mem::replace(n, *n + 1)).unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(turn.delay_ms)).await;
    play((wire, &path), turn, turn.fault_of(seen), place, &body, bytes.len()).await
}

/// Plays a turn with its fault.
async fn play(
    (wire, path): (Wire, &str),
    turn: &Turn,
    fault: Option<&Fault>,
    place: usize,
    request: &Value,
    sent: usize,
) -> Answer {
    let mut content_type =
        if reply::is_stream(wire, path, turn, request) { "text/event-stream" } else { "application/json" };
    let mut pieces = reply::pieces(wire, path, turn, place, request, sent);
    let mut headers: Vec<(hyper::header::HeaderName, String)> = Vec::new();
    let mut code = 200;
    match fault {
        None => {}
        Some(Fault::Silence { after: None }) => std::future::pending().await,
        Some(Fault::Status { status, retry_after, location, message, code: word }) => {
            code = *status;
            content_type = "application/json";
            headers.extend(retry_after.clone().map(|value| (RETRY_AFTER, value)));
            headers.extend(location.clone().map(|value| (LOCATION, value)));
            let words = message.as_deref().unwrap_or("the script says so");
            pieces = vec![Piece::Bytes(error(words, word.as_deref()).to_string())];
        }
        Some(Fault::Raw { status, content_type: other, body }) => {
            code = *status;
            content_type = other;
            pieces = vec![Piece::Bytes(body.clone())];
        }
        Some(Fault::ContentType { value }) => content_type = value,
        Some(Fault::Encoded { value }) => headers.push((CONTENT_ENCODING, value.clone())),
        Some(Fault::Cut { after, clean }) => {
            let end = if *clean { Piece::End } else { Piece::Abort };
            pieces = reply::cut(pieces, *after, [end]);
        }
        Some(Fault::BadJson { after }) => {
            pieces = reply::interrupt(pieces, *after, "data: {\"choices\": [oops}\n\n".to_owned());
        }
        Some(Fault::ErrorEvent { after, error }) => {
            pieces = reply::interrupt(pieces, *after, wire.failure(error));
        }
        Some(Fault::Silence { after: Some(after) }) => pieces = reply::cut(pieces, *after, [Piece::Silence]),
        Some(Fault::Huge { bytes }) => pieces = vec![Piece::Bytes(format!("data: {}", "x".repeat(*bytes)))],
        Some(Fault::Endless) => pieces = vec![Piece::ForEver(wire.words(&"more and more of it ".repeat(100)))],
        Some(Fault::Comments) => pieces = vec![Piece::ForEver(format!(": {}\n\n", "still here ".repeat(100)))],
    }
    let mut response = Response::builder().status(code).header(CONTENT_TYPE, content_type);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    finish(response, stream(pieces, Duration::from_millis(turn.pause_ms)))
}

/// Sends pieces as a client takes them; a client that goes away ends it.
fn stream(pieces: Vec<Piece>, pause: Duration) -> Stream {
    let (to, from) = mpsc::channel(4);
    tokio::spawn(async move {
        for piece in pieces {
            match piece {
                Piece::Bytes(text) => {
                    if to.send(Ok(Bytes::from(text))).await.is_err() {
                        return;
                    }
                    rest(pause).await;
                }
                Piece::ForEver(text) => {
                    let bytes = Bytes::from(text);
                    while to.send(Ok(bytes.clone())).await.is_ok() {
                        rest(pause).await;
                    }
                    return;
                }
                Piece::Silence => return to.closed().await,
                Piece::Abort => {
                    // What was sent before reaches the client first.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let _ = to.send(Err(io::Error::from(io::ErrorKind::ConnectionAborted))).await;
                    return;
                }
                Piece::End => return,
            }
        }
    });
    Stream(from)
}

/// A timer's shortest sleep is a millisecond; no pause is none.
async fn rest(pause: Duration) {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

/// OpenAI's errors and, by the outer type, Anthropic's.
fn error(message: &str, code: Option<&str>) -> Value {
    json!({"type": "error", "error": {"message": message, "type": "scripted", "code": code}})
}

fn ready(status: u16, body: &Value) -> Answer {
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    finish(response, stream(vec![Piece::Bytes(body.to_string())], Duration::ZERO))
}

fn finish(response: hyper::http::response::Builder, body: Stream) -> Answer {
    Ok(response.body(body).unwrap_or_else(|error| {
        let mut response = Response::new(stream(vec![Piece::Bytes(format!("bad script: {error}"))], Duration::ZERO));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    }))
}
