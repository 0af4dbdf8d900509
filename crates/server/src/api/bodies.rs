//! Room for bodies of requests that are still to come: so much in all, and so much for each tenant, so that one of them who
//! sends slowly leaves room for the others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use autoshare_core::TenantName;
use hyper::StatusCode;

use super::problem::Problem;

/// The room.
#[derive(Debug)]
pub(crate) struct Bodies {
    all: usize,
    each: usize,
    held: Mutex<HashMap<TenantName, usize>>,
}

/// Room that is held, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held<'b> {
    bodies: &'b Bodies,
    tenant: TenantName,
    bytes: usize,
}

impl Bodies {
    /// Bytes in all, and of one tenant.
    pub(crate) fn new(all: usize, each: usize) -> Self {
        Self { all, each, held: Mutex::default() }
    }

    /// Holds room for a body, if there is so much left of the tenant's own and of all.
    pub(crate) fn hold(&self, tenant: &TenantName, bytes: usize) -> Result<Held<'_>, Problem> {
        let busy = |status, words| Err(Problem::new(status, "busy", words).later(1));
        let mut held = self.held();
        let own = held.get(tenant).copied().unwrap_or_default();
        if own.saturating_add(bytes) > self.each {
            let words = "so much of this tenant is being sent just now that no more is taken ([serve] api_bodies_each)";
            return busy(StatusCode::TOO_MANY_REQUESTS, words);
        }
        if held.values().sum::<usize>().saturating_add(bytes) > self.all {
            let words = "too much is being sent to this server just now ([serve] api_bodies)";
            return busy(StatusCode::SERVICE_UNAVAILABLE, words);
        }
        held.insert(tenant.clone(), own + bytes);
        Ok(Held { bodies: self, tenant: tenant.clone(), bytes })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TenantName, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self.bodies.held();
        match held.get_mut(&self.tenant) {
            Some(own) if *own > self.bytes => *own -= self.bytes,
            _ => {
                held.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_one_tenant_that_sends_slowly_leaves_room_for_the_others() {
        let bodies = Bodies::new(100, 40);
        let [acme, bolt, core] = ["acme", "bolt", "core"].map(|name| TenantName::parse(name).unwrap());
        let first = bodies.hold(&acme, 30).unwrap();
        let second = bodies.hold(&acme, 10).unwrap();
        assert_eq!(bodies.hold(&acme, 1).unwrap_err().status, StatusCode::TOO_MANY_REQUESTS, "all of its own");
        let other = bodies.hold(&bolt, 40).unwrap();
        assert_eq!(bodies.hold(&core, 21).unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE, "all that there is");
        drop((first, second));
        bodies.hold(&acme, 40).unwrap();
        drop(other);
        assert!(bodies.held().is_empty(), "nothing is kept of those that send nothing");
    }
}
