//! What is kept for a short time, for whoever shows a secret: once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoshare_core::Digest;

/// Things by the digest of a secret. There are so many at most; where there is no room, the oldest is gone, so that nobody
/// keeps others out by leaving things here.
#[derive(Debug)]
pub(super) struct Kept<T> {
    most: usize,
    life: Duration,
    held: Mutex<Held<T>>,
}

#[derive(Debug)]
struct Held<T> {
    things: HashMap<Digest, (Instant, T)>,
    /// In the order in which they came; what was taken may still stand here.
    order: VecDeque<(Instant, Digest)>,
}

impl<T> Kept<T> {
    pub(super) fn new(most: usize, life: Duration) -> Self {
        let held = Held { things: HashMap::new(), order: VecDeque::new() };
        Self { most, life, held: Mutex::new(held) }
    }

    /// Keeps a thing, and says whether another had to go for it.
    pub(super) fn put(&self, secret: &str, thing: T) -> bool {
        let (now, key) = (Instant::now(), Digest::of(secret.as_bytes()));
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Held { things, order } = &mut *held;
        let mut had_to_go = false;
        while let Some((at, oldest)) = order.front() {
            let is_old = now.duration_since(*at) >= self.life;
            if !is_old && order.len() < self.most {
                break;
            }
            had_to_go |= things.remove(oldest).is_some() && !is_old;
            order.pop_front();
        }
        order.push_back((now, key));
        things.insert(key, (now, thing));
        had_to_go
    }

    /// Takes the thing of a secret, if `is_it` says that it is the one that is meant: what is not, stays.
    pub(super) fn take(&self, secret: &str, is_it: impl FnOnce(&T) -> bool) -> Option<T> {
        let key = Digest::of(secret.as_bytes());
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant = |(at, thing): &(Instant, T)| at.elapsed() < self.life && is_it(thing);
        let found = held.things.get(&key).is_some_and(is_meant);
        found.then(|| held.things.remove(&key).map(|(_, thing)| thing)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_taken_once_by_its_secret_and_in_time() {
        let kept = Kept::new(8, Duration::from_secs(60));
        kept.put("a", 1);
        assert_eq!(kept.take("b", |_| true), None);
        assert_eq!(kept.take("a", |_| false), None, "it is not the one that is meant");
        assert_eq!((kept.take("a", |_| true), kept.take("a", |_| true)), (Some(1), None));
        let late = Kept::new(8, Duration::ZERO);
        late.put("a", 1);
        assert_eq!(late.take("a", |_| true), None);
    }

    #[test]
    fn there_are_so_many_and_the_oldest_goes() {
        let kept = Kept::new(2, Duration::from_secs(60));
        assert_eq!([kept.put("a", 1), kept.put("b", 2), kept.put("c", 3)], [false, false, true]);
        let there = ["a", "b", "c"].map(|name| kept.take(name, |_| true));
        assert_eq!(there, [None, Some(2), Some(3)]);
        for n in 0..100 {
            kept.put(&n.to_string(), n);
        }
        let held = kept.held.lock().unwrap();
        assert_eq!((held.things.len(), held.order.len()), (2, 2));
    }
}
