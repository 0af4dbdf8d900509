//! Traces: which brains are told of, and how their spans reach the operator's collector.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use autoshare_broker::{Delivery, Outbound, Retries};
use autoshare_core::{BrainId, Digest, TenantName};
use autoshare_host::Progress;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::watch;
use tokio::time::timeout;

use super::ended;
use super::otlp::{self, Parent};
use super::outbox::{Outbox, Sent, Tally};
use super::spans::{Identity, Invocation};

/// Spans that are sent together at most.
const BATCH: usize = 512;
/// How long the collector may take for one batch.
const WITHIN: Duration = Duration::from_secs(10);
/// When a batch that was not taken is sent again: it is given up after some four minutes.
const RETRIES: Retries = Retries {
    tries: 8,
    first_wait: Duration::from_secs(1),
    longest_wait: Duration::from_secs(60),
    longest_asked: Duration::from_secs(300),
};
/// Brains that are followed at once at most, and parents that wait for their brain.
const MAX_FOLLOWED: usize = 100_000;
const MAX_PARENTS: usize = 10_000;

/// Bounds of traces. Every one has a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TracesSettings {
    /// Of how many brains in a million it is told: all.
    pub share: u32,
    /// Spans that wait to be sent at most: 10,000. More are dropped and counted.
    pub queue: usize,
    /// How long spans wait for others to be sent together: 5 s.
    pub interval: Duration,
}

/// The whole of what [`TracesSettings::share`] is a share of.
pub const WHOLE_SHARE: u32 = 1_000_000;

impl Default for TracesSettings {
    fn default() -> Self {
        Self { share: WHOLE_SHARE, queue: 10_000, interval: Duration::from_secs(5) }
    }
}

type Whose = (TenantName, BrainId);

/// Parents that wait for their brain. Of a brain that is never driven nobody tells: the oldest are forgotten for new ones.
#[derive(Debug, Default)]
struct Parents {
    young: BTreeMap<Whose, Parent>,
    old: BTreeMap<Whose, Parent>,
}

impl Parents {
    fn insert(&mut self, whose: Whose, parent: Parent) {
        if self.young.len() >= MAX_PARENTS / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(whose, parent);
    }

    fn remove(&mut self, whose: &Whose) -> Option<Parent> {
        let old = self.old.remove(whose);
        self.young.remove(whose).or(old)
    }
}

/// What follows brains and sends what it sees.
pub(super) struct Tracer {
    collector: Outbound,
    settings: TracesSettings,
    /// This process, in what is sent.
    instance: String,
    followed: Mutex<BTreeMap<Whose, Invocation>>,
    parents: Mutex<Parents>,
    spans: Outbox<Vec<u8>>,
}

impl Tracer {
    pub(super) fn new(collector: Outbound, settings: TracesSettings) -> Self {
        let instance = Digest::of_parts(&[&std::process::id().to_be_bytes(), &now().to_be_bytes()]).to_string();
        Self {
            collector,
            settings,
            instance: instance.chars().take(32).collect(),
            followed: Mutex::default(),
            parents: Mutex::default(),
            spans: Outbox::new(settings.queue),
        }
    }

    /// Of a brain either all is told or nothing, whoever asks for it.
    pub(super) fn is_told(&self, tenant: &TenantName, brain: &BrainId) -> bool {
        let digest = Digest::of_parts(&[b"autoshare/sample/1", tenant.as_str().as_bytes(), brain.as_str().as_bytes()]);
        let number = digest.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        number % u64::from(WHOLE_SHARE) < u64::from(self.settings.share)
    }

    /// The next time that this brain is driven is a part of what `parent` tells.
    pub(super) fn is_child_of(&self, tenant: &TenantName, brain: &BrainId, parent: Parent) {
        if self.is_told(tenant, brain) {
            locked(&self.parents).insert((tenant.clone(), brain.clone()), parent);
        }
    }

    pub(super) fn begins(&self, who: Identity, tenant: &TenantName) {
        let whose = (tenant.clone(), who.brain.clone());
        let parent = locked(&self.parents).remove(&whose);
        let mut followed = locked(&self.followed);
        if followed.len() < MAX_FOLLOWED {
            followed.insert(whose, Invocation::begin(who, parent, now()));
        }
    }

    pub(super) fn hears(&self, tenant: &TenantName, brain: &BrainId, progress: &Progress) {
        if !matches!(progress, Progress::Replied { .. } | Progress::Recorded { .. }) {
            return;
        }
        let ended =
            locked(&self.followed).get_mut(&(tenant.clone(), brain.clone())).and_then(|it| it.take(now(), progress));
        ended.into_iter().for_each(|span| self.spans.push(span.encoded(), 100));
    }

    pub(super) fn rests(&self, tenant: &TenantName, brain: &BrainId, is_well: bool) {
        let ended = locked(&self.followed).remove(&(tenant.clone(), brain.clone()));
        let spans = ended.map(|it| it.end(now(), is_well)).unwrap_or_default();
        spans.into_iter().for_each(|span| self.spans.push(span.encoded(), 100));
    }

    pub(super) fn sent(&self) -> Sent {
        self.spans.read()
    }

    /// Sends what comes, until it is to end; then what waits, once.
    pub(super) async fn work(&self, mut ending: watch::Receiver<bool>) {
        let mut is_well = true;
        while !*ending.borrow() {
            tokio::select! {
                () = ended(&mut ending) => break,
                () = self.spans.news() => {}
            }
            // Others may come, to be sent with it.
            if self.spans.len() < BATCH {
                let _ = timeout(self.settings.interval, ended(&mut ending)).await;
            }
            while self.spans.len() > 0 && !*ending.borrow() {
                self.send_batch(&mut ending, &mut is_well).await;
            }
        }
        while self.spans.len() > 0 {
            self.send_batch(&mut ending, &mut is_well).await;
        }
    }

    /// Sends some, as often as they are worth it. `is_well`: whether the collector took the last ones.
    async fn send_batch(&self, ending: &mut watch::Receiver<bool>, is_well: &mut bool) {
        let batch = self.spans.take(BATCH);
        let body = Bytes::from(otlp::request(&self.instance, &batch));
        let tally = &self.spans.tally;
        let mut tried = 0;
        let lost = loop {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(otlp::CONTENT_TYPE))]);
            let delivery = self.collector.deliver(headers, body.clone(), WITHIN).await;
            tried += 1;
            if let (true, Delivery::Answered { body, .. }) = (delivery.is_taken(), &delivery) {
                let refused = usize::try_from(otlp::rejected(body)).unwrap_or(usize::MAX).min(batch.len());
                Tally::add(&tally.sent, batch.len() - refused);
                if !std::mem::replace(is_well, true) {
                    tracing::info!("the collector of traces takes them again");
                }
                break refused;
            }
            if std::mem::replace(is_well, false) {
                tracing::warn!(why = %delivery, "the collector of traces took nothing");
            }
            let asked = delivery.after().map(|asked| asked.min(RETRIES.longest_asked));
            let pause = is_worth_a_try(&delivery).then(|| RETRIES.pause(tried, asked)).flatten();
            let Some(pause) = pause.filter(|_| !*ending.borrow()) else { break batch.len() };
            let _ = timeout(pause, ended(ending)).await;
        };
        Tally::add(&tally.failed, lost);
    }
}

/// Whether the same may be taken another time, as OTLP says: of answers 429, 502, 503 and 504.
const fn is_worth_a_try(delivery: &Delivery) -> bool {
    matches!(delivery, Delivery::Failed(_) | Delivery::Answered { status: 429 | 502..=504, .. })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nanoseconds since 1970 (UTC).
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_of_brains_that_are_never_driven_are_forgotten_for_new_ones() {
        let whose = |n: u64| {
            let [_, _, _, bits @ ..] = n.to_be_bytes();
            (TenantName::parse("acme").unwrap(), BrainId::from_random(bits))
        };
        let parent = |n: u64| Parent { trace: [1; 16], span: n.to_be_bytes(), is_remote: true };
        let mut parents = Parents::default();
        for n in 0..3 * MAX_PARENTS as u64 {
            parents.insert(whose(n), parent(n));
            assert!(parents.young.len() + parents.old.len() <= MAX_PARENTS);
        }
        assert_eq!(parents.remove(&whose(0)), None, "the oldest");
        let last = 3 * MAX_PARENTS as u64 - 1;
        for kept in [last, last - MAX_PARENTS as u64 / 2] {
            parents.insert(whose(kept), parent(7));
            assert_eq!(parents.remove(&whose(kept)), Some(parent(7)), "the last one that was said counts");
            assert_eq!(parents.remove(&whose(kept)), None, "once");
        }
    }
}
