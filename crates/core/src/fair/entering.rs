//! Waiting for a place.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Flow;
use super::places::{Place, Refused, Share};

/// Somebody who waits for a place, from the first poll on; dropped, it has left. A refusal may also come later, when it is
/// shed from a queue that is full.
#[derive(Debug)]
#[must_use = "nobody waits until this is polled"]
pub struct Entering {
    share: Share,
    flow: Flow,
    ticket: Option<u64>,
}

impl Entering {
    pub(super) const fn new(share: Share, flow: Flow) -> Self {
        Self { share, flow, ticket: None }
    }
}

impl Future for Entering {
    type Output = Result<Place, Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = context.waker().clone();
        if let Some(ticket) = self.ticket {
            let told = self.share.look(ticket, &self.flow, waker);
            if told.is_some() {
                self.ticket = None;
            }
            return told.map_or(Poll::Pending, Poll::Ready);
        }
        match self.share.join(&self.flow, waker) {
            Ok(Ok(place)) => Poll::Ready(Ok(place)),
            Ok(Err(ticket)) => {
                self.ticket = Some(ticket);
                Poll::Pending
            }
            Err(refused) => Poll::Ready(Err(refused)),
        }
    }
}

impl Drop for Entering {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.share.leave(ticket);
        }
    }
}
