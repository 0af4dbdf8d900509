//! A stream that tells less by its sizes and times: records of one size, on one tick.
//!
//! Whoever sees the ciphertext of a streamed answer sees the length of each token and when it came, and has read topics
//! and whole sentences out of that ("What Was Your Prompt? A Remote Keylogging Attack on AI Assistants", USENIX Security
//! 2024). Here each tick brings one record of the same size, filled up with a comment of the event stream, which every
//! reader skips; and the number of records is a multiple of [`Shape::multiple`], so that the length of the whole tells
//! little more.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use tokio::time::{Instant, Sleep};

/// Sizes and times of a padded stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of a record: 1024, of which a chunk of chat completions takes some 250.
    pub record: usize,
    /// Between two records: 25 ms.
    pub tick: Duration,
    /// The number of records is a multiple of this: 40, a second.
    pub multiple: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self { record: 1024, tick: Duration::from_millis(25), multiple: 40 }
    }
}

/// A body in that shape. What it is given comes in whole events.
pub(super) struct Padded<B> {
    inner: B,
    shape: Shape,
    waiting: BytesMut,
    timer: Pin<Box<Sleep>>,
    records: u32,
    state: State,
}

enum State {
    Flows,
    Ended(Option<io::Error>),
}

impl<B> Padded<B> {
    pub(super) fn new(inner: B, shape: Shape) -> Self {
        let timer = Box::pin(tokio::time::sleep(shape.tick));
        Self { inner, shape, waiting: BytesMut::new(), timer, records: 0, state: State::Flows }
    }

    fn end(&mut self, error: Option<io::Error>) {
        self.state = State::Ended(error);
        // A comment begins a line.
        if !self.waiting.is_empty() && !self.waiting.ends_with(b"\n") {
            self.waiting.extend_from_slice(b"\n\n");
        }
    }

    /// The next record: what waits, filled up with a comment where that ends.
    fn record(&mut self) -> Bytes {
        let size = self.shape.record.max(1);
        let mut record = self.waiting.split_to(self.waiting.len().min(size));
        let missing = size - record.len();
        // What waited was whole events, so that a comment line of any length fits behind them.
        record.reserve(missing);
        for place in 0..missing {
            let byte = if place + 1 == missing {
                b'\n'
            } else if place == 0 {
                b':'
            } else {
                b' '
            };
            record.extend_from_slice(&[byte]);
        }
        record.freeze()
    }
}

impl<B: Body<Data = Bytes, Error = io::Error> + Unpin> Body for Padded<B> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        // Enough for a few ticks is taken ahead; whoever sends faster waits.
        while matches!(this.state, State::Flows) && this.waiting.len() < 8 * this.shape.record {
            match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        this.waiting.extend_from_slice(&data);
                    }
                }
                Poll::Ready(Some(Err(error))) => this.end(Some(error)),
                Poll::Ready(None) => this.end(None),
                Poll::Pending => break,
            }
        }
        let is_round = this.records > 0 && this.records.is_multiple_of(this.shape.multiple.max(1));
        if let State::Ended(error) = &mut this.state
            && is_round
            && this.waiting.is_empty()
        {
            return Poll::Ready(error.take().map(Err));
        }
        ready!(this.timer.as_mut().poll(cx));
        let due = this.timer.deadline() + this.shape.tick;
        this.timer.as_mut().reset(due.max(Instant::now()));
        this.records = this.records.saturating_add(1);
        let record = this.record();
        Poll::Ready(Some(Ok(Frame::data(record))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    struct Script(std::collections::VecDeque<Bytes>);

    impl Body for Script {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            Poll::Ready(self.0.pop_front().map(|bytes| Ok(Frame::data(bytes))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn records_have_one_size_and_one_distance_whatever_they_hold() {
        let shape = Shape { record: 64, tick: Duration::from_millis(10), multiple: 5 };
        for lengths in [vec![], vec![1], vec![50, 3], vec![63], vec![64], vec![65], vec![500, 500, 500]] {
            let events: Vec<Bytes> =
                lengths.iter().map(|length| Bytes::from(format!("data: {}\n\n", "x".repeat(*length)))).collect();
            let wanted: Vec<u8> = events.concat();
            let mut padded = Padded::new(Script(events.into()), shape);
            let (mut out, mut records) = (Vec::new(), 0);
            let begun = Instant::now();
            while let Some(frame) = padded.frame().await {
                let data = frame.unwrap().into_data().unwrap();
                assert_eq!(data.len(), 64);
                records += 1;
                assert_eq!(begun.elapsed(), shape.tick * records);
                out.extend_from_slice(&data);
            }
            assert!(records > 0 && records % 5 == 0, "{lengths:?}: {records}");
            // A reader that skips comments and the blank lines between events gets what was sent.
            let text = String::from_utf8(out).unwrap();
            let read: String =
                text.lines().filter(|line| line.starts_with("data:")).map(|l| format!("{l}\n\n")).collect();
            assert_eq!(read.into_bytes(), wanted, "{lengths:?}");
        }
    }
}
