//! What waits to be sent: so much, and no more. Whoever puts something in never waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A bounded queue, and what became of what was in it.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    waiting: Mutex<VecDeque<T>>,
    most: usize,
    news: Notify,
    /// How many things were ever to be sent.
    offered: AtomicU64,
    pub(super) tally: Tally,
}

/// What became of things that were to be sent.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// They were taken.
    pub(super) sent: AtomicU64,
    /// They were refused, or nobody took them for too long.
    pub(super) failed: AtomicU64,
    /// There was no room for them.
    pub(super) dropped: AtomicU64,
}

/// The same at a moment: sent, failed, dropped, and how many wait or are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sent {
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) dropped: u64,
    pub(crate) waiting: u64,
}

impl std::ops::AddAssign for Sent {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.failed += other.failed;
        self.dropped += other.dropped;
        self.waiting += other.waiting;
    }
}

impl<T> Outbox<T> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            most,
            news: Notify::new(),
            offered: AtomicU64::new(0),
            tally: Tally::default(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts it in if fewer than `share` of a hundred places are taken; otherwise it is dropped and counted.
    pub(super) fn push(&self, thing: T, share: usize) {
        self.offered.fetch_add(1, Ordering::Relaxed);
        let mut waiting = self.waiting();
        if waiting.len() >= self.most.saturating_mul(share) / 100 {
            drop(waiting);
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push_back(thing);
        drop(waiting);
        self.news.notify_one();
    }

    /// Puts back what was taken, behind what waits: it has its place still.
    pub(super) fn put_back(&self, thing: T) {
        self.waiting().push_back(thing);
        self.news.notify_one();
    }

    /// Gives up those of which this is so.
    pub(super) fn give_up(&self, is_so: impl Fn(&T) -> bool) {
        let mut waiting = self.waiting();
        let before = waiting.len();
        waiting.retain(|thing| !is_so(thing));
        Tally::add(&self.tally.failed, before - waiting.len());
    }

    /// Takes the first ones.
    pub(super) fn take(&self, most: usize) -> Vec<T> {
        let mut waiting = self.waiting();
        let count = waiting.len().min(most);
        waiting.drain(..count).collect()
    }

    /// Waits until something was put in since the last time.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    pub(super) fn len(&self) -> usize {
        self.waiting().len()
    }

    pub(super) fn read(&self) -> Sent {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Tally { sent, failed, dropped } = &self.tally;
        let (sent, failed, dropped) = (read(sent), read(failed), read(dropped));
        let waiting = read(&self.offered).saturating_sub(sent + failed + dropped);
        Sent { sent, failed, dropped, waiting }
    }
}

impl Tally {
    pub(super) fn add(count: &AtomicU64, more: usize) {
        count.fetch_add(more as u64, Ordering::Relaxed);
    }
}
