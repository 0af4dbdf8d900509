//! MCP over HTTP ("streamable HTTP"): the SDK speaks the protocol, whoever owns the sockets carries the requests.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt as _};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::service::RoleClient;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
    StreamableHttpError, StreamableHttpPostResponse, StreamableHttpResponseLimits,
};
use rmcp::transport::{Transport, WorkerTransport};
use serde_json::Value;
use sse_stream::{Sse, SseStream};

use crate::handler::Shared;
use crate::limits::{Limits, MAX_WORDS};
use crate::stream::{is_unasked, odd};

/// A body that comes piece by piece.
pub type Body = BoxStream<'static, io::Result<Bytes>>;
type Posted<E> = Result<StreamableHttpPostResponse, StreamableHttpError<E>>;
type Events = BoxStream<'static, Result<Sse, SseError>>;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
/// By which a server is told that its labels are read; `ifc_labels` is GitHub's name of them.
static FEATURES: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-mcp-features"), HeaderValue::from_static("ifc_labels"));
/// Times that a stream which broke off is taken up again.
const MAX_RECONNECTS: usize = 3;

/// Carries requests to the one server that it is for: whoever opens sockets, checks certificates, follows nothing, and
/// puts a credential in.
pub trait Carry: Clone + Send + Sync + 'static {
    /// Sends a request, whose address is the path of the server as it was given.
    fn carry(&self, request: Request<Bytes>) -> impl Future<Output = io::Result<Response<Body>>> + Send;
}

/// Requests of the SDK on their way to a carrier.
#[derive(Clone)]
pub(crate) struct Client<C> {
    carrier: C,
}

impl<C: Carry> Client<C> {
    async fn send(
        &self,
        method: Method,
        uri: &str,
        session: Option<&str>,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Response<Body>, StreamableHttpError<io::Error>> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in [&FEATURES].into_iter().chain(headers) {
            request = request.header(name, value);
        }
        if let Some(session) = session {
            request = request.header(SESSION, session);
        }
        let request = request.body(body).map_err(|error| StreamableHttpError::Client(io::Error::other(error)))?;
        self.carrier.carry(request).await.map_err(StreamableHttpError::Client)
    }
}

impl<C: Carry> StreamableHttpClient for Client<C> {
    type Error = io::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Posted<io::Error> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(uri, message, session, auth, headers, limits).await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
        limits: StreamableHttpResponseLimits,
    ) -> Posted<io::Error> {
        let body = serde_json::to_vec(&message)?;
        let mut headers: Vec<_> = headers.into_iter().collect();
        headers.push((CONTENT_TYPE, HeaderValue::from_static(JSON)));
        headers.push((ACCEPT, HeaderValue::from_static("application/json, text/event-stream")));
        let reply = self.send(Method::POST, &uri, session.as_deref(), &headers, body.into()).await?;
        let status = reply.status();
        if status == StatusCode::NOT_FOUND && session.is_some() {
            return Err(StreamableHttpError::SessionExpired);
        }
        let kind = essence(&reply);
        if status == StatusCode::ACCEPTED || status == StatusCode::NO_CONTENT {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        let told = reply.headers().get(SESSION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if status.is_success() && kind == EVENTS {
            return Ok(StreamableHttpPostResponse::Sse(events(reply.into_body(), limits.max_sse_event_size), told));
        }
        let wants_answer = matches!(message, ClientJsonRpcMessage::Request(_));
        if status.is_success() && !wants_answer {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if kind == JSON {
            let bytes = whole(reply.into_body(), limits.max_json_response_size).await?;
            let value: Value = serde_json::from_slice(&bytes)?;
            match serde_json::from_value(value.clone()) {
                Ok(message) if status.is_success() || matches!(message, ServerJsonRpcMessage::Error(_)) => {
                    return Ok(StreamableHttpPostResponse::Json(message, told));
                }
                Err(error) if status.is_success() => {
                    let odd = odd(&value, &error).ok_or(StreamableHttpError::Deserialize(error))?;
                    return Ok(StreamableHttpPostResponse::Json(odd, told));
                }
                _ => {}
            }
            return Err(unexpected(status, &String::from_utf8_lossy(&bytes)));
        }
        if status.is_success() {
            return Err(StreamableHttpError::UnexpectedContentType(Some(short(&kind))));
        }
        let said = beginning(reply.into_body(), limits.max_error_response_size.min(MAX_WORDS)).await;
        Err(unexpected(status, &String::from_utf8_lossy(&said)))
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), StreamableHttpError<io::Error>> {
        let headers: Vec<_> = headers.into_iter().collect();
        self.send(Method::DELETE, &uri, Some(&session), &headers, Bytes::new()).await.map(drop)
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<Events, StreamableHttpError<io::Error>> {
        let limit = Limits::default().frame;
        self.get_stream_with_max_sse_event_size(uri, session, last_event, auth, headers, limit).await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
        limit: usize,
    ) -> Result<Events, StreamableHttpError<io::Error>> {
        let mut headers: Vec<_> = headers.into_iter().collect();
        headers.push((ACCEPT, HeaderValue::from_static(EVENTS)));
        if let Some(last) = last_event.and_then(|last| HeaderValue::from_str(&last).ok()) {
            headers.push((LAST_EVENT, last));
        }
        let reply = self.send(Method::GET, &uri, session.as_deref(), &headers, Bytes::new()).await?;
        match reply.status() {
            StatusCode::METHOD_NOT_ALLOWED => Err(StreamableHttpError::ServerDoesNotSupportSse),
            status if !status.is_success() => Err(unexpected(status, "")),
            _ if essence(&reply) != EVENTS => Err(StreamableHttpError::ServerDoesNotSupportSse),
            _ => Ok(events(reply.into_body(), limit)),
        }
    }
}

fn unexpected(status: StatusCode, said: &str) -> StreamableHttpError<io::Error> {
    let said = short(said);
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; it wants a credential that it knows (--credential)",
        status if status.is_redirection() => "; a redirect is not followed: name the address that it leads to",
        _ => "",
    };
    let words = if said.is_empty() { format!("HTTP {status}{hint}") } else { format!("HTTP {status}{hint}: {said}") };
    StreamableHttpError::UnexpectedServerResponse(Cow::Owned(words))
}

fn short(said: &str) -> String {
    autoshare_guard::plain(said, MAX_WORDS).text
}

fn essence(reply: &Response<Body>) -> String {
    let kind = reply.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

async fn whole(mut body: Body, limit: usize) -> Result<Vec<u8>, StreamableHttpError<io::Error>> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece.map_err(StreamableHttpError::Client)?);
        if bytes.len() > limit {
            return Err(StreamableHttpError::ResponseBodyTooLarge { max_size: limit });
        }
    }
    Ok(bytes)
}

/// The first bytes of a body, as far as they can be had.
async fn beginning(mut body: Body, limit: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(Ok(piece)) = body.next().await {
        bytes.extend_from_slice(&piece);
        if bytes.len() >= limit {
            bytes.truncate(limit);
            break;
        }
    }
    bytes
}

fn events(body: Body, limit: usize) -> Events {
    SseStream::from_bytes_stream(Bounded { body, limit, since: 0, at_line_start: false, over: false }).boxed()
}

/// A stream of events, none of which has more than so many bytes.
struct Bounded {
    body: Body,
    limit: usize,
    /// Bytes since the last empty line.
    since: usize,
    at_line_start: bool,
    over: bool,
}

impl Bounded {
    /// Whether no event in these bytes is too long.
    fn fits(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            match byte {
                b'\n' if self.at_line_start => self.since = 0,
                b'\n' => self.at_line_start = true,
                b'\r' => {}
                _ => self.at_line_start = false,
            }
            self.since += 1;
            if self.since > self.limit {
                return false;
            }
        }
        true
    }
}

impl Stream for Bounded {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let piece = ready!(self.body.poll_next_unpin(cx));
        Poll::Ready(match piece {
            Some(Ok(bytes)) if self.fits(&bytes) => Some(Ok(bytes)),
            Some(Ok(_)) => {
                self.over = true;
                Some(Err(io::Error::other(format!("an event of more than {} bytes", self.limit))))
            }
            other => other,
        })
    }
}

/// The SDK's transport, looked after: what nobody asked for is counted.
pub(crate) struct Watched<C: Carry> {
    inner: WorkerOf<C>,
    shared: Arc<Shared>,
    limits: Limits,
}

type WorkerOf<C> = WorkerTransport<rmcp::transport::streamable_http_client::StreamableHttpClientWorker<Client<C>>>;

impl<C: Carry> Watched<C> {
    pub(crate) fn new(carrier: C, url: &str, shared: Arc<Shared>, limits: Limits) -> Self {
        let mut config = StreamableHttpClientTransportConfig::with_uri(url)
            .max_sse_event_size(limits.frame)
            .max_json_response_size(limits.frame)
            .max_error_response_size(MAX_WORDS);
        let mut again = ExponentialBackoff::default();
        again.max_times = Some(MAX_RECONNECTS);
        again.max_delay = Some(Duration::from_secs(5));
        config.retry_config = Arc::new(again);
        let inner = StreamableHttpClientTransport::with_client(Client { carrier }, config);
        Self { inner, shared, limits }
    }
}

impl<C: Carry> Transport<RoleClient> for Watched<C> {
    type Error = <WorkerOf<C> as Transport<RoleClient>>::Error;

    fn send(
        &mut self,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.inner.send(message)
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        let message = self.inner.receive().await?;
        (!is_unasked(&message) || self.shared.may_be_unasked(self.limits.unasked)).then_some(message)
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d7_an_event_without_an_end_is_cut_off_and_many_small_ones_pass() {
        let bounded = || Bounded {
            body: futures_util::stream::empty().boxed(),
            limit: 16,
            since: 0,
            at_line_start: false,
            over: false,
        };
        for text in ["data: 1\n\n".repeat(100), "data: 1\r\n\r\n".repeat(100)] {
            assert!(bounded().fits(text.as_bytes()), "{text:?}");
        }
        for text in ["data: 0123456789abcdef", "a: 1\nb: 2\nc: 3\nd: 4\n\n"] {
            assert!(!bounded().fits(text.as_bytes()), "{text:?}");
        }
    }
}
