//! Whose a local server is: one that has no cache salt may tell from its prompt cache what another tenant asked.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Which tenant uses which local server. One for all brokers of a process; a claim holds until the process ends, as a
/// server's cache outlasts those who filled it.
#[derive(Debug, Default)]
pub struct Claims {
    by_origin: Mutex<BTreeMap<String, String>>,
}

impl Claims {
    /// Takes a server for a tenant; false if it is another's.
    pub(crate) fn take(&self, origin: &str, tenant: &str) -> bool {
        let mut by_origin = self.by_origin.lock().unwrap_or_else(PoisonError::into_inner);
        by_origin.entry(origin.to_owned()).or_insert_with(|| tenant.to_owned()) == tenant
    }
}
