//! An upstream of one's own: it keeps every byte that it is sent, and answers with the bytes it is told.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;

/// What came.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) struct Says {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The pieces of the body; `None` breaks the connection off.
    pub(crate) pieces: Vec<Option<Bytes>>,
    /// Before anything is said.
    pub(crate) wait: Duration,
    /// Whether the end is told.
    pub(crate) ends: bool,
}

impl Says {
    pub(crate) fn json(body: &str) -> Self {
        Self::new(200, "application/json", &[body])
    }

    pub(crate) fn events(pieces: &[&str]) -> Self {
        Self::new(200, "text/event-stream", pieces)
    }

    pub(crate) fn new(status: u16, kind: &str, pieces: &[&str]) -> Self {
        Self {
            status,
            headers: vec![("content-type", kind.to_owned())],
            pieces: pieces.iter().map(|piece| Some(Bytes::from((*piece).to_owned()))).collect(),
            wait: Duration::ZERO,
            ends: true,
        }
    }

    /// Says nothing for so long.
    pub(crate) fn after(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Says nothing more after its pieces, and does not end.
    pub(crate) fn endless(self) -> Self {
        Self { ends: false, ..self }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn broken_off(mut self) -> Self {
        self.pieces.push(None);
        self
    }
}

pub(crate) type Answers = Arc<dyn Fn(&Came) -> Says + Send + Sync>;

pub(crate) struct Upstream {
    pub(crate) at: SocketAddr,
    came: Arc<Mutex<Vec<Came>>>,
}

impl Upstream {
    pub(crate) async fn start(answers: impl Fn(&Came) -> Says + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let came = Arc::new(Mutex::new(Vec::new()));
        let (kept, answers): (_, Answers) = (Arc::clone(&came), Arc::new(answers));
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (kept, answers) = (Arc::clone(&kept), Arc::clone(&answers));
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(request, Arc::clone(&kept), Arc::clone(&answers)));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { at, came }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}/v1", self.at)
    }

    pub(crate) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Came {
        self.came().pop().unwrap()
    }
}

async fn answer(
    request: Request<Incoming>,
    kept: Arc<Mutex<Vec<Came>>>,
    answers: Answers,
) -> Result<Response<Pieces>, Infallible> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let came = Came { path, headers: parts.headers, body };
    let says = answers(&came);
    kept.lock().unwrap().push(came);
    tokio::time::sleep(says.wait).await;
    let mut response = Response::new(Pieces { left: says.pieces.into(), breath: None, ends: says.ends });
    *response.status_mut() = hyper::StatusCode::from_u16(says.status).unwrap();
    for (name, value) in says.headers {
        response.headers_mut().append(name, value.parse().unwrap());
    }
    Ok(response)
}

/// One piece after another. What was said before a connection is broken off gets out.
struct Pieces {
    left: VecDeque<Option<Bytes>>,
    breath: Option<Pin<Box<tokio::time::Sleep>>>,
    ends: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.left.front() == Some(&None) {
            let breath = self.breath.get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(50))));
            std::task::ready!(breath.as_mut().poll(cx));
        }
        if self.left.is_empty() && !self.ends {
            return Poll::Pending;
        }
        let broken = || std::io::Error::other("broken off");
        Poll::Ready(self.left.pop_front().map(|piece| piece.map(Frame::data).ok_or_else(broken)))
    }
}
