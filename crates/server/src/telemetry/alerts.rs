//! Alerts: what an operator wants to be woken for, and no flood of it.
//!
//! Whatever a tenant does, it causes one alert of a kind, and one more each hour that says how often it happened since.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use autoshare_core::{BrainId, TenantName};
use serde_json::json;

use super::receiver::Receiver;
use crate::api::words::time;

/// Subjects that are told of one by one at most. The alerts of further ones are summed up without saying whose they are.
const MAX_SUBJECTS: usize = 10_000;
/// Between two alerts about readiness, at least.
const SETTLED: Duration = Duration::from_secs(60);
/// Of a hundred places of a queue, those that what tenants cause may take: there is always room for the rest.
const SHARE: usize = 75;

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// Nothing is heard of a brain that is awake.
    Silent,
    /// The loop guard ended a brain.
    Looped,
    /// Something secret stood in what a brain said.
    Leaked,
    /// A brain got no cell.
    CellFailed,
    /// A limit kept a tenant from something.
    Limited,
    /// The audit trail could not be written.
    AuditFailed,
    /// A provider is left alone, as its calls failed.
    ProviderResting,
    /// The server is not ready.
    NotReady,
    /// It is again.
    Ready,
}

impl AlertKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Silent,
        Self::Looped,
        Self::Leaked,
        Self::CellFailed,
        Self::Limited,
        Self::AuditFailed,
        Self::ProviderResting,
        Self::NotReady,
        Self::Ready,
    ];

    /// Its name for programs: the type of the message.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silent => "brain.silent",
            Self::Looped => "brain.looped",
            Self::Leaked => "brain.leaked",
            Self::CellFailed => "cell.failed",
            Self::Limited => "tenant.limited",
            Self::AuditFailed => "audit.failed",
            Self::ProviderResting => "provider.resting",
            Self::NotReady => "server.not_ready",
            Self::Ready => "server.ready",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Silent => "nothing is heard of a brain that is awake",
            Self::Looped => "the loop guard ended a brain that went round",
            Self::Leaked => "something secret stood in what a brain said, and was held back",
            Self::CellFailed => "a brain got no cell",
            Self::Limited => "a limit kept a tenant from something",
            Self::AuditFailed => "the audit trail could not be written",
            Self::ProviderResting => {
                "calls of a provider's model failed one after another, and it is left alone for a while"
            }
            Self::NotReady => "the server is not ready",
            Self::Ready => "the server is ready again",
        }
    }
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Alert {
    kind: AlertKind,
    about: About,
    /// Milliseconds since 1970 (UTC).
    at_ms: u64,
    /// How often it happened since the alert before.
    count: u64,
}

/// What it is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct About {
    pub(super) tenant: Option<TenantName>,
    pub(super) brain: Option<BrainId>,
    pub(super) provider: Option<String>,
    pub(super) parts: Vec<&'static str>,
}

impl About {
    pub(super) fn of(tenant: &TenantName, brain: &BrainId) -> Self {
        Self { tenant: Some(tenant.clone()), brain: Some(brain.clone()), ..Self::default() }
    }

    /// What alerts of one kind are summed up by.
    fn subject(&self) -> Option<String> {
        self.tenant.as_ref().map(ToString::to_string).or_else(|| self.provider.clone())
    }
}

/// Alerts that are not sent one by one.
#[derive(Debug, Default)]
struct Gathered(BTreeMap<(AlertKind, Option<String>), Heap>);

#[derive(Debug)]
struct Heap {
    since: Instant,
    /// The last that was not sent, which counts all of them.
    last: Option<Alert>,
}

impl Gathered {
    /// Takes one, and gives it back if it is to be sent at once.
    fn take(&mut self, mut alert: Alert, now: Instant) -> Option<Alert> {
        let mut key = (alert.kind, alert.about.subject());
        if !self.0.contains_key(&key) && self.0.len() >= MAX_SUBJECTS {
            key.1 = None;
            (alert.about.tenant, alert.about.brain, alert.about.provider) = (None, None, None);
        }
        match self.0.get_mut(&key) {
            Some(heap) => {
                alert.count += heap.last.as_ref().map_or(0, |last| last.count);
                heap.last = Some(alert);
                None
            }
            None => {
                self.0.insert(key, Heap { since: now, last: None });
                Some(alert)
            }
        }
    }

    /// What was gathered for so long.
    fn due(&mut self, now: Instant, apart: Duration) -> Vec<Alert> {
        let mut due = Vec::new();
        self.0.retain(|_, heap| {
            if now.saturating_duration_since(heap.since) < apart {
                return true;
            }
            heap.since = now;
            let told = heap.last.take();
            let is_going_on = told.is_some();
            due.extend(told);
            is_going_on
        });
        due
    }
}

/// Whether the server was ready, as it was told.
#[derive(Debug, Default)]
struct Readiness {
    told: Vec<&'static str>,
    at: Option<Instant>,
}

impl Readiness {
    /// What is to be told of it, if there is anything new.
    fn change(&mut self, unwell: Vec<&'static str>, now: Instant) -> Option<(AlertKind, Vec<&'static str>)> {
        let is_settled = self.at.is_none_or(|at| now.saturating_duration_since(at) >= SETTLED);
        if unwell == self.told || !is_settled {
            return None;
        }
        self.at = Some(now);
        self.told.clone_from(&unwell);
        let kind = if unwell.is_empty() { AlertKind::Ready } else { AlertKind::NotReady };
        Some((kind, unwell))
    }
}

/// What gathers alerts and hands them to receivers.
pub(super) struct Alerts {
    apart: Duration,
    gathered: Mutex<Gathered>,
    readiness: Mutex<Readiness>,
    pub(super) receivers: Vec<Arc<Receiver>>,
}

/// A tenant's opaque id.
pub(super) type Opaque<'o> = &'o dyn Fn(&TenantName) -> String;

impl Alerts {
    pub(super) fn new(apart: Duration, receivers: Vec<Arc<Receiver>>) -> Self {
        Self { apart, gathered: Mutex::default(), readiness: Mutex::default(), receivers }
    }

    /// Something happened.
    pub(super) fn raise(&self, kind: AlertKind, about: About, opaque: Opaque<'_>) {
        let alert = Alert { kind, about, at_ms: now_ms(), count: 1 };
        let now = locked(&self.gathered).take(alert, Instant::now());
        now.iter().for_each(|alert| self.send(alert, opaque));
    }

    /// How the server is now.
    pub(super) fn readiness(&self, unwell: Vec<&'static str>, opaque: Opaque<'_>) {
        let change = locked(&self.readiness).change(unwell, Instant::now());
        if let Some((kind, parts)) = change {
            let about = About { parts, ..About::default() };
            self.send(&Alert { kind, about, at_ms: now_ms(), count: 1 }, opaque);
        }
    }

    /// Sends what was gathered for long enough.
    pub(super) fn settle(&self, opaque: Opaque<'_>) {
        let due = locked(&self.gathered).due(Instant::now(), self.apart);
        due.iter().for_each(|alert| self.send(alert, opaque));
    }

    fn send(&self, alert: &Alert, opaque: Opaque<'_>) {
        let share = if alert.about.tenant.is_some() { SHARE } else { 100 };
        let body = alert.body(opaque);
        for receiver in self.receivers.iter().filter(|receiver| receiver.wants(alert.kind)) {
            receiver.take(&body, share);
        }
    }
}

impl Alert {
    /// The message: nothing in it is content.
    fn body(&self, opaque: Opaque<'_>) -> String {
        let About { tenant, brain, provider, parts } = &self.about;
        let mut data = json!({"words": self.kind.words(), "count": self.count});
        if let Some(map) = data.as_object_mut() {
            let told = [
                ("tenant", tenant.as_ref().map(|tenant| json!(opaque(tenant)))),
                ("brain", brain.as_ref().map(|brain| json!(brain))),
                ("provider", provider.as_ref().map(|provider| json!(provider))),
                ("parts", (!parts.is_empty()).then(|| json!(parts))),
            ];
            map.extend(told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        }
        json!({"type": self.kind.name(), "timestamp": time(self.at_ms), "data": data}).to_string()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn alert(kind: AlertKind, tenant: &str) -> Alert {
        let about = About { tenant: Some(TenantName::parse(tenant).unwrap()), ..About::default() };
        Alert { kind, about, at_ms: 0, count: 1 }
    }

    #[test]
    fn e7_a_tenant_causes_one_alert_of_a_kind_and_one_sum_an_hour() {
        let (mut gathered, start) = (Gathered::default(), Instant::now());
        let mut sent = 0;
        for _ in 0..10_000 {
            sent += usize::from(gathered.take(alert(AlertKind::Looped, "flood"), start).is_some());
        }
        assert_eq!(sent, 1);
        assert!(gathered.take(alert(AlertKind::Limited, "flood"), start).is_some(), "another kind");
        assert!(gathered.take(alert(AlertKind::Looped, "victim"), start).is_some(), "another tenant");
        assert_eq!(gathered.due(start + HOUR / 2, HOUR), []);
        let due = gathered.due(start + HOUR, HOUR);
        assert_eq!(due.iter().map(|alert| alert.count).collect::<Vec<_>>(), [9_999]);
        assert_eq!(gathered.0.len(), 1, "what goes on is gathered on, the rest is forgotten");
        assert!(gathered.take(alert(AlertKind::Looped, "flood"), start + HOUR).is_none());
        assert!(gathered.take(alert(AlertKind::Looped, "victim"), start + HOUR).is_some(), "it was quiet for an hour");
    }

    #[test]
    fn more_subjects_than_are_told_of_are_summed_up_and_none_is_lost() {
        let (mut gathered, now) = (Gathered::default(), Instant::now());
        let many = MAX_SUBJECTS + 100;
        let mut count = 0;
        for n in 0..many {
            count += gathered.take(alert(AlertKind::Limited, &format!("t{n}")), now).map_or(0, |alert| alert.count);
        }
        assert!(gathered.0.len() <= MAX_SUBJECTS + 1);
        let rest = gathered.due(now + HOUR, HOUR);
        assert!(rest.iter().all(|alert| alert.about.tenant.is_none()));
        assert_eq!(count + rest.iter().map(|alert| alert.count).sum::<u64>(), many as u64);
    }

    #[test]
    fn a_server_that_is_ready_by_turns_is_told_of_once_a_minute() {
        let (mut readiness, start) = (Readiness::default(), Instant::now());
        let told: Vec<_> = (0..60)
            .filter_map(|n| {
                let unwell = if n % 2 == 0 { vec!["disk"] } else { vec![] };
                readiness.change(unwell, start + n * Duration::from_secs(10))
            })
            .collect();
        assert!((2..=10).contains(&told.len()), "{told:?}");
        assert_eq!(told[0], (AlertKind::NotReady, vec!["disk"]));
        let late = start + HOUR;
        let last = readiness.change(vec![], late).into_iter().chain(readiness.change(vec![], late + HOUR)).count();
        assert!(last <= 1, "what was told is not told again");
        assert!(readiness.told.is_empty());
    }

    #[test]
    fn names_are_each_given_once() {
        let names: std::collections::BTreeSet<_> = AlertKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), AlertKind::ALL.len());
    }
}
