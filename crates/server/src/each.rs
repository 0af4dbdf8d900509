//! What is done at once, counted by whoever does it: so much of each, so that one of them leaves room for the others.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Open<K> = Arc<Mutex<HashMap<K, usize>>>;

/// So many of each.
#[derive(Debug)]
pub(crate) struct Each<K> {
    most: usize,
    open: Open<K>,
}

/// One among them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Hash + Eq> {
    open: Open<K>,
    of: K,
}

fn held<K>(open: &Open<K>) -> MutexGuard<'_, HashMap<K, usize>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Hash + Eq + Clone> Each<K> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// One more of this one; `None` if it has all that it may have.
    pub(crate) fn enter(&self, of: &K) -> Option<Place<K>> {
        let mut open = held(&self.open);
        let own = open.get(of).copied().unwrap_or_default();
        (own < self.most).then(|| {
            open.insert(of.clone(), own + 1);
            Place { open: Arc::clone(&self.open), of: of.clone() }
        })
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut open = held(&self.open);
        match open.get_mut(&self.of) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                open.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_one_has_so_many_and_takes_none_of_the_others() {
        let each = Each::new(2);
        let own = [each.enter(&"acme").unwrap(), each.enter(&"acme").unwrap()];
        assert!(each.enter(&"acme").is_none());
        each.enter(&"bolt").unwrap();
        drop(own);
        assert!(held(&each.open).is_empty(), "nothing is kept of those who have none");
        each.enter(&"acme").unwrap();
    }
}
