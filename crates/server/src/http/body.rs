//! What a request brings.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{EXPECT, HeaderMap};
use tokio::runtime::Handle;

use super::HttpSettings;

/// A body, of which nothing stays unread. What is left when its request is refused is read and thrown away beside the answer,
/// if it is not too long: a connection on which it stood would be broken off, and whoever still sends would
/// never see why (RFC 9112, 9.6). Not so what is sent only when it is asked for (`Expect: 100-continue`): whether it comes after
/// an answer is unknown, and what came would be taken for it.
pub(crate) struct RequestBody {
    body: Option<Incoming>,
    is_announced: bool,
    /// Bytes that are thrown away at most, and how long that may take.
    thrown_away: (u64, Duration),
}

impl RequestBody {
    /// Of a request with this head.
    pub(super) fn new(head: &HeaderMap, body: Incoming, settings: &HttpSettings) -> Self {
        let thrown_away = (settings.refused_body, settings.head_timeout);
        Self { body: Some(body), is_announced: head.contains_key(EXPECT), thrown_away }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let (mut left, patience) = self.thrown_away;
        let is_short = self.size_hint().exact().is_none_or(|bytes| bytes <= left);
        let is_wanted = is_short && !self.is_announced;
        let unread = self.body.take().filter(|body| is_wanted && !body.is_end_stream());
        if let (Some(mut body), Ok(runtime)) = (unread, Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(patience, async move {
                while let Some(Ok(frame)) = body.frame().await {
                    let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                    match left.checked_sub(bytes) {
                        Some(fewer) => left = fewer,
                        None => break,
                    }
                }
            }));
        }
    }
}
