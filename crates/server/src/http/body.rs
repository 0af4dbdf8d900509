//! What a request brings.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;

/// A body, of which nothing stays unread. What is left when its request is refused is read and thrown away beside the answer,
/// if it is no longer than a body may be: a connection on which it stood would be broken off, and whoever still sends would
/// never see why (RFC 9112, 9.6).
pub(crate) struct RequestBody(Option<Incoming>);

/// Bytes that are thrown away at most, and how long that may take.
const THROWN_AWAY: u64 = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

impl RequestBody {
    pub(crate) const fn new(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.0.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let is_short = self.size_hint().exact().is_none_or(|bytes| bytes <= THROWN_AWAY);
        let unread = self.0.take().filter(|body| is_short && !body.is_end_stream());
        if let (Some(mut body), Ok(runtime)) = (unread, Handle::try_current()) {
            let mut left = THROWN_AWAY;
            runtime.spawn(tokio::time::timeout(PATIENCE, async move {
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
