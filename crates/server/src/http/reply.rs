//! What a request is answered with.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use autoshare_broker::gateway::Answer;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::mpsc;

/// The body of an answer.
pub(crate) enum Reply {
    /// What the gateway answers.
    Gateway(Answer),
    /// As a whole.
    Whole(Option<Bytes>),
    /// Piece by piece, for as long as somebody says something.
    Live(mpsc::Receiver<Bytes>),
}

impl From<Bytes> for Reply {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Gateway(answer)
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Gateway(answer) => Pin::new(answer).poll_frame(cx),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Live(pieces) => pieces.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Gateway(answer) => answer.is_end_stream(),
            Self::Whole(bytes) => bytes.is_none(),
            Self::Live(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Gateway(answer) => answer.size_hint(),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Live(_) => SizeHint::default(),
        }
    }
}
