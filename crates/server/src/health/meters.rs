//! What is counted of requests: of all, and of each tenant.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoshare_core::TenantName;
use autoshare_core::histogram::{Durations, Histogram};
use hyper::StatusCode;

use super::Health;
use crate::api::Faces;

/// Tenants whose requests are counted one by one. When there are more, the half of which the fewest came is summed up.
const MAX_TENANTS: usize = 4_096;

/// What a request spoke to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Api,
    AgentProtocol,
    Gateway,
    Login,
    Health,
    /// Nothing that there is.
    None,
}

impl Face {
    pub(super) const ALL: [Self; 6] =
        [Self::Api, Self::AgentProtocol, Self::Gateway, Self::Login, Self::Health, Self::None];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::AgentProtocol => "agent_protocol",
            Self::Gateway => "gateway",
            Self::Login => "login",
            Self::Health => "health",
            Self::None => "none",
        }
    }
}

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// 1xx to 3xx.
    Done,
    /// 429.
    TooMany,
    /// The other 4xx.
    Refused,
    /// 5xx.
    Failed,
    /// Whoever asked went away before.
    Gone,
}

impl Class {
    pub(super) const ALL: [Self; 5] = [Self::Done, Self::TooMany, Self::Refused, Self::Failed, Self::Gone];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Done => "2xx",
            Self::TooMany => "429",
            Self::Refused => "4xx",
            Self::Failed => "5xx",
            Self::Gone => "gone",
        }
    }

    fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::TOO_MANY_REQUESTS => Self::TooMany,
            status if status.is_client_error() => Self::Refused,
            status if status.is_server_error() => Self::Failed,
            _ => Self::Done,
        }
    }
}

/// How many requests were answered how: as [`Class::ALL`].
pub(crate) type Counts = [u64; Class::ALL.len()];

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    requests: [[AtomicU64; Class::ALL.len()]; Face::ALL.len()],
    took: [Histogram; Face::ALL.len()],
    tenants: Mutex<Tenants>,
}

#[derive(Debug, Default)]
struct Tenants {
    each: BTreeMap<TenantName, Counts>,
    rest: Counts,
}

impl Meters {
    fn note(&self, face: Face, class: Class, took: Duration, tenant: Option<&TenantName>) {
        if let Some(counter) = self.requests.get(face as usize).and_then(|classes| classes.get(class as usize)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(histogram) = self.took.get(face as usize) {
            histogram.observe(took);
        }
        let Some(tenant) = tenant else { return };
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = match tenants.each.get_mut(tenant) {
            Some(counts) => counts,
            None => {
                tenants.make_room();
                tenants.each.entry(tenant.clone()).or_default()
            }
        };
        if let Some(count) = counts.get_mut(class as usize) {
            *count += 1;
        }
    }

    /// Requests by what they spoke to and how they were answered.
    pub(super) fn requests(&self) -> impl Iterator<Item = (Face, Class, u64)> {
        Face::ALL.into_iter().zip(&self.requests).flat_map(|(face, counts)| {
            let counts = Class::ALL.into_iter().zip(counts);
            counts.map(move |(class, count)| (face, class, count.load(Ordering::Relaxed)))
        })
    }

    /// How long they took, until the answer began.
    pub(super) fn took(&self) -> impl Iterator<Item = (Face, Durations)> {
        Face::ALL.into_iter().zip(&self.took).map(|(face, histogram)| (face, histogram.read()))
    }

    /// Those of each tenant, and those of the tenants that are not counted one by one.
    pub(super) fn tenants(&self) -> (BTreeMap<TenantName, Counts>, Counts) {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        (tenants.each.clone(), tenants.rest)
    }

    pub(super) fn of(&self, tenant: &TenantName) -> Counts {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.each.get(tenant).copied().unwrap_or_default()
    }
}

impl Tenants {
    fn make_room(&mut self) {
        if self.each.len() < MAX_TENANTS {
            return;
        }
        let mut totals: Vec<u64> = self.each.values().map(|counts| counts.iter().sum()).collect();
        let (_, median, _) = totals.select_nth_unstable(MAX_TENANTS / 2);
        let median = *median;
        let rest = &mut self.rest;
        self.each.retain(|_, counts| {
            let is_kept = counts.iter().sum::<u64>() > median;
            if !is_kept {
                add(rest, counts);
            }
            is_kept
        });
    }
}

pub(super) fn add(to: &mut Counts, other: &Counts) {
    to.iter_mut().zip(other).for_each(|(sum, count)| *sum += count);
}

/// A request that is being answered. It is counted, and logged, once: when it was answered, or when nobody waits any more.
pub(crate) struct Noting {
    faces: Arc<Faces>,
    face: Face,
    method: hyper::Method,
    begun: Instant,
    is_noted: bool,
}

impl Noting {
    pub(crate) fn begin(faces: &Arc<Faces>, face: Face, method: &hyper::Method) -> Self {
        let method = method.clone();
        Self { faces: Arc::clone(faces), face, method, begun: Instant::now(), is_noted: false }
    }

    /// It was answered; `route` is the pattern of its path.
    pub(crate) fn end(mut self, status: StatusCode, route: &'static str, tenant: Option<&TenantName>) {
        self.note(Class::of(status), status.as_u16(), route, tenant);
    }

    fn note(&mut self, class: Class, status: u16, route: &'static str, tenant: Option<&TenantName>) {
        self.is_noted = true;
        let took = self.begun.elapsed();
        let health: &Health = &self.faces.health;
        health.meters.note(self.face, class, took, tenant);
        if let (Class::TooMany, Some(tenant)) = (class, tenant) {
            self.faces.telemetry.limited(tenant);
        }
        // A flood that is refused would fill the log, and be work for nothing.
        let is_told = class != Class::TooMany || tenant.is_none_or(|tenant| health.refused.is_new(tenant.clone()));
        if is_told && tracing::enabled!(tracing::Level::INFO) {
            let tenant = tenant.map(|tenant| self.faces.opaque(tenant)).unwrap_or_default();
            let (method, ms) = (known(&self.method), u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
            tracing::info!(face = self.face.name(), method, route, status, ms, tenant, "request");
        }
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        if !self.is_noted {
            self.note(Class::Gone, 0, "", None);
        }
    }
}

/// A method as it is logged: one that is ours to know, since any word may be sent.
fn known(method: &hyper::Method) -> &'static str {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    known.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_tenants_than_are_counted_one_by_one_are_summed_up_and_none_is_lost() {
        let meters = Meters::default();
        let name = |n: usize| TenantName::parse(&format!("t{n}")).unwrap();
        (0..10).for_each(|_| meters.note(Face::Api, Class::Done, Duration::ZERO, Some(&name(0))));
        for n in 0..3 * MAX_TENANTS {
            meters.note(Face::Api, Class::Done, Duration::ZERO, Some(&name(n)));
        }
        let (each, rest) = meters.tenants();
        assert!(each.len() <= MAX_TENANTS);
        assert_eq!(each.get(&name(0)).map(|counts| counts[0]), Some(11), "the busiest is not summed up");
        let total: u64 = each.values().chain([&rest]).flatten().sum();
        assert_eq!(total, 3 * MAX_TENANTS as u64 + 10);
    }
}
