//! What leaves by itself: traces for the operator's collector, and alerts for whoever is to be woken.
//!
//! **Invariants**
//! - Nothing that leaves is content: no goal, prompt, answer, argument, result or name of a file. A tenant goes by its opaque
//!   id; a brain, a model, a tool and a provider by their names.
//! - Nobody who serves or drives waits for whoever receives: what does not fit into a bounded queue is dropped and counted.
//! - No tenant fills a queue with its alerts.

mod alerts;
mod genai;
mod otlp;
mod outbox;
mod parent;
mod receiver;
mod spans;
mod traces;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use autoshare_access::Tenants;
use autoshare_broker::{Outbound, Webhook};
use autoshare_core::event::{Event, FaultKind, FinishReason, NoteKind};
use autoshare_core::{BrainId, TenantName};
use autoshare_host::Progress;
use autoshare_host::resident::Onlooker;
use hyper::header::HeaderMap;
use tokio::sync::watch as state;
use tokio::task::JoinSet;

pub use self::alerts::AlertKind;
use self::alerts::{About, Alerts};
pub(crate) use self::outbox::Sent;
use self::receiver::Receiver;
pub use self::receiver::ReceiverSettings;
use self::spans::Identity;
use self::traces::Tracer;
pub use self::traces::{TracesSettings, WHOLE_SHARE};
use self::watch::Seen;

/// What telemetry is made of. Without a collector and without receivers nothing leaves.
pub struct TelemetryParts {
    /// Who knows the opaque ids.
    pub tenants: Arc<Tenants>,
    /// The collector of traces, and what it is sent.
    pub traces: Option<(Outbound, TracesSettings)>,
    /// The receivers of alerts, and what each is sent.
    pub receivers: Vec<(Webhook, ReceiverSettings)>,
    /// Between two alerts of one kind about one tenant: an hour.
    pub apart: Duration,
}

/// [`TelemetryParts::apart`], unless it is said otherwise.
pub const ALERTS_APART: Duration = Duration::from_secs(3_600);

/// What sends traces and alerts.
pub struct Telemetry {
    tenants: Arc<Tenants>,
    tracer: Option<Arc<Tracer>>,
    alerts: Option<Alerts>,
    seen: Mutex<Seen>,
    ending: state::Sender<bool>,
    workers: Mutex<JoinSet<()>>,
}

impl Telemetry {
    /// Of its parts. Nothing is sent before [`Telemetry::begin`].
    #[must_use]
    pub fn new(parts: TelemetryParts) -> Self {
        let receivers = parts.receivers.into_iter().map(|(webhook, settings)| Receiver::new(webhook, settings));
        let receivers: Vec<_> = receivers.map(Arc::new).collect();
        Self {
            tenants: parts.tenants,
            tracer: parts.traces.map(|(collector, settings)| Arc::new(Tracer::new(collector, settings))),
            alerts: (!receivers.is_empty()).then(|| Alerts::new(parts.apart, receivers)),
            seen: Mutex::default(),
            ending: state::channel(false).0,
            workers: Mutex::default(),
        }
    }

    /// Begins to send. Within a runtime.
    pub(crate) fn begin(&self) {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tracer) = self.tracer.clone() {
            let ending = self.ending.subscribe();
            workers.spawn(async move { tracer.work(ending).await });
        }
        for receiver in self.alerts.iter().flat_map(|alerts| &alerts.receivers) {
            let (receiver, ending) = (Arc::clone(receiver), self.ending.subscribe());
            workers.spawn(async move { receiver.work(ending).await });
        }
    }

    /// Sends what waits, once, as far as that goes within this time; what is left then is lost, and logged.
    pub async fn end(&self, within: Duration) {
        let mut workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        self.ending.send_replace(true);
        let all = async { while workers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(within, all).await;
        workers.shutdown().await;
        let (spans, alerts) = (self.spans().waiting, self.alerts().waiting);
        if spans + alerts > 0 {
            tracing::warn!(spans, alerts, "spans and alerts that nobody took in time are lost");
        }
    }

    pub(crate) fn spans(&self) -> Sent {
        self.tracer.as_ref().map(|tracer| tracer.sent()).unwrap_or_default()
    }

    pub(crate) fn alerts(&self) -> Sent {
        let mut all = Sent::default();
        self.alerts.iter().flat_map(|alerts| &alerts.receivers).for_each(|receiver| all += receiver.sent());
        all
    }

    /// The next time that this brain is driven belongs to whoever asked for it, if their request says a trace.
    pub(crate) fn is_asked_by(&self, tenant: &TenantName, brain: &BrainId, headers: &HeaderMap) {
        if let Some(tracer) = &self.tracer
            && let Some(parent) = parent::parent(headers)
        {
            tracer.is_child_of(tenant, brain, parent);
        }
    }

    /// A limit kept a tenant from something.
    pub(crate) fn limited(&self, tenant: &TenantName) {
        // It is called for each request that is turned away, which is to cost nothing where nobody is told.
        if self.alerts.is_some() {
            self.raise(AlertKind::Limited, About { tenant: Some(tenant.clone()), ..About::default() });
        }
    }

    fn raise(&self, kind: AlertKind, about: About) {
        if let Some(alerts) = &self.alerts {
            alerts.raise(kind, about, &|tenant| self.opaque(tenant));
        }
    }

    fn opaque(&self, tenant: &TenantName) -> String {
        self.tenants.opaque_id(tenant).unwrap_or_default()
    }
}

impl Onlooker for Telemetry {
    fn hears(&self, tenant: &TenantName, brain: &BrainId, progress: &Progress) {
        match (&self.tracer, progress) {
            (Some(tracer), Progress::Began { model, provider }) if tracer.is_told(tenant, brain) => {
                let (model, provider) = (model.clone(), provider.clone());
                let who = Identity { tenant: self.opaque(tenant), brain: brain.clone(), model, provider };
                tracer.begins(who, tenant);
            }
            (Some(tracer), _) => tracer.hears(tenant, brain, progress),
            (None, _) => {}
        }
        if let Some(kind) = alarming(progress) {
            self.raise(kind, About::of(tenant, brain));
        }
    }

    fn rests(&self, tenant: &TenantName, brain: &BrainId, is_well: bool) {
        if let Some(tracer) = &self.tracer {
            tracer.rests(tenant, brain, is_well);
        }
    }
}

/// What is told of a brain at once.
fn alarming(progress: &Progress) -> Option<AlertKind> {
    match progress {
        Progress::Limited => Some(AlertKind::Limited),
        Progress::Recorded { event, .. } => match **event {
            Event::Finish { reason: FinishReason::Loop, .. } => Some(AlertKind::Looped),
            Event::Fault { kind: FaultKind::Cell, .. } => Some(AlertKind::CellFailed),
            Event::Note { kind: NoteKind::Struck, .. } => Some(AlertKind::Leaked),
            _ => None,
        },
        _ => None,
    }
}

/// Waits until it is to end.
async fn ended(ending: &mut state::Receiver<bool>) {
    // Who sends lives as long as whoever waits.
    let _ = ending.wait_for(|is_ending| *is_ending).await;
}
