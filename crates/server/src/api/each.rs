//! What is done at once, counted by tenant: so much of each, so that one of them leaves room for the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use autoshare_core::TenantName;
use hyper::StatusCode;

use super::problem::Problem;

type Open = Arc<Mutex<HashMap<TenantName, usize>>>;

/// So many of each tenant.
#[derive(Debug)]
pub(crate) struct Each {
    most: usize,
    /// What they are, and the setting that says how many.
    what: &'static str,
    setting: &'static str,
    open: Open,
}

/// One among them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    open: Open,
    tenant: TenantName,
}

fn held(open: &Open) -> MutexGuard<'_, HashMap<TenantName, usize>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Each {
    pub(crate) fn new(most: usize, what: &'static str, setting: &'static str) -> Self {
        Self { most, what, setting, open: Arc::default() }
    }

    /// One more of this tenant.
    pub(crate) fn enter(&self, tenant: &TenantName) -> Result<Place, Problem> {
        let mut open = held(&self.open);
        let own = open.get(tenant).copied().unwrap_or_default();
        if own >= self.most {
            let Self { what, setting, .. } = self;
            let words =
                format!("{own} {what} of this tenant are open, which is all it may have at once ([serve] {setting})");
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "limit", words).later(1));
        }
        open.insert(tenant.clone(), own + 1);
        Ok(Place { open: Arc::clone(&self.open), tenant: tenant.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = held(&self.open);
        match open.get_mut(&self.tenant) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                open.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_one_tenant_has_so_many_and_takes_none_of_the_others() {
        let each = Each::new(2, "requests", "requests_each");
        let [acme, bolt] = ["acme", "bolt"].map(|name| TenantName::parse(name).unwrap());
        let own = [each.enter(&acme).unwrap(), each.enter(&acme).unwrap()];
        assert_eq!(each.enter(&acme).unwrap_err().status, StatusCode::TOO_MANY_REQUESTS);
        each.enter(&bolt).unwrap();
        drop(own);
        assert!(held(&each.open).is_empty(), "nothing is kept of those who have none");
        each.enter(&acme).unwrap();
    }
}
