//! What an HTTP/2 connection is doing, seen from its requests.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::HttpSettings;
use super::reply::Reply;

/// Over which time requests that were taken back are counted.
const RESETS_IN: Duration = Duration::from_secs(10);
/// Bytes of an answer handed over at a time: no more than this lies unsent beyond what its caller has room for.
const PIECE: usize = 16 * 1024;
/// Milliseconds at which nothing is waited for.
const TAKEN: u64 = u64::MAX;

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Busy,
    /// Nothing was asked for so long that it may be ended.
    Idle,
    /// It does not keep to its limits: nothing of an answer was taken for too long, or too much was taken back.
    Broken,
}

/// Counts the requests of one connection.
pub(super) struct Watch {
    born: Instant,
    /// Until the first request.
    head_timeout: Duration,
    idle: Duration,
    patience: Duration,
    /// Requests that may be taken back in [`RESETS_IN`].
    resets: u32,
    state: Mutex<State>,
    broken: Notify,
}

struct State {
    open: usize,
    served: bool,
    quiet_since: Instant,
    resets: u32,
    resets_since: Instant,
    /// One for each answer that is under way: since when a piece of it waits to be taken.
    waiting: Vec<Weak<AtomicU64>>,
}

impl Watch {
    pub(super) fn new(settings: &HttpSettings) -> Self {
        let now = Instant::now();
        let state =
            State { open: 0, served: false, quiet_since: now, resets: 0, resets_since: now, waiting: Vec::new() };
        Self {
            born: now,
            head_timeout: settings.head_timeout,
            idle: settings.http2.idle,
            patience: settings.write_timeout,
            resets: settings.http2.resets,
            state: Mutex::new(state),
            broken: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(TAKEN - 1)
    }

    /// A request has come.
    pub(super) fn begin(self: &Arc<Self>) -> Call {
        let waits_since = Arc::new(AtomicU64::new(TAKEN));
        let mut state = self.state();
        state.open += 1;
        state.served = true;
        if state.waiting.len() >= 2 * state.open {
            state.waiting.retain(|waiting| waiting.strong_count() > 0);
        }
        state.waiting.push(Arc::downgrade(&waits_since));
        drop(state);
        Call { watch: Arc::clone(self), waits_since, is_done: false }
    }

    fn end(&self, was_done: bool) {
        let mut state = self.state();
        let now = Instant::now();
        state.open = state.open.saturating_sub(1);
        state.quiet_since = now;
        if was_done {
            return;
        }
        if now.duration_since(state.resets_since) > RESETS_IN {
            (state.resets, state.resets_since) = (0, now);
        }
        state.resets += 1;
        if state.resets > self.resets {
            self.broken.notify_one();
        }
    }

    /// Waits until more was taken back than may be.
    pub(super) async fn broken(&self) {
        self.broken.notified().await;
    }

    /// Whether nothing is being answered.
    pub(super) fn is_quiet(&self) -> bool {
        self.state().open == 0
    }

    pub(super) fn standing(&self) -> Standing {
        let state = self.state();
        if state.open == 0 {
            let idle = if state.served { self.idle } else { self.head_timeout };
            return if state.quiet_since.elapsed() > idle { Standing::Idle } else { Standing::Busy };
        }
        let (now, patience) = (self.now(), u64::try_from(self.patience.as_millis()).unwrap_or(TAKEN));
        let is_left = |waiting: &Weak<AtomicU64>| {
            let since = waiting.upgrade().map_or(TAKEN, |since| since.load(Ordering::Relaxed));
            since != TAKEN && now.saturating_sub(since) > patience
        };
        if state.waiting.iter().any(is_left) { Standing::Broken } else { Standing::Busy }
    }
}

/// A request that is being answered, until this is dropped.
pub(super) struct Call {
    watch: Arc<Watch>,
    waits_since: Arc<AtomicU64>,
    /// Whether the answer came to its end; otherwise the caller has taken the request back.
    is_done: bool,
}

impl Call {
    fn waits(&self) {
        self.waits_since.store(self.watch.now(), Ordering::Relaxed);
    }

    fn goes_on(&self) {
        self.waits_since.store(TAKEN, Ordering::Relaxed);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.watch.end(self.is_done);
    }
}

/// An answer of which it is known since when its caller has no room for more: it is not asked for the next piece before
/// there is some.
pub(super) struct Watched {
    inner: Reply,
    /// What has not been handed over yet.
    rest: Bytes,
    call: Call,
}

impl Watched {
    pub(super) fn new(inner: Reply, mut call: Call) -> Self {
        call.is_done = inner.is_end_stream();
        call.waits();
        Self { inner, rest: Bytes::new(), call }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.call.goes_on();
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => {
                    self.call.is_done = true;
                    return Poll::Ready(other);
                }
            }
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        self.call.is_done = self.is_end_stream();
        self.call.waits();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}
