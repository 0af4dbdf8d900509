//! Whose turn it is: start-time fair queueing (Goyal, Vin, Cheng 1996) with costs that are known afterwards, as in the
//! virtual token counters of Sheng et al. (2024).

use std::collections::{BTreeMap, BTreeSet};

/// Parts of one virtual unit, so that a division by a weight loses nothing that matters.
const SCALE: u128 = 1 << 32;

/// How many of those that rest are remembered. Beyond that, whoever is ahead least is forgiven: where each that comes is a
/// new one, the others never catch up.
const MOST_RESTING: usize = 4_096;

/// A counter for each of those who take turns: what they used, divided by their weight. Whoever is ready and has the least
/// is next.
#[derive(Debug)]
pub(super) struct Turns<K> {
    /// The counter of whoever was served last: who comes back starts from there, however little it used before.
    now: u128,
    counters: BTreeMap<K, u128>,
    ready: BTreeSet<(u128, K)>,
    /// Those that want nothing at the moment and are ahead: forgotten as soon as the others have caught up.
    resting: BTreeSet<(u128, K)>,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self { now: 0, counters: BTreeMap::new(), ready: BTreeSet::new(), resting: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Turns<K> {
    /// It wants a turn and may have one. The counter of one that is new, or was away, is lifted to those of the others.
    pub(super) fn make_ready(&mut self, key: &K) {
        let counter = self.counters.entry(key.clone()).or_default();
        let before = (*counter, key.clone());
        if self.ready.contains(&before) {
            return;
        }
        self.resting.remove(&before);
        *counter = self.now.max(*counter);
        self.ready.insert((*counter, key.clone()));
    }

    /// It wants none, or may not have one for now.
    pub(super) fn make_unready(&mut self, key: &K) {
        if let Some(counter) = self.counters.get(key) {
            self.ready.remove(&(*counter, key.clone()));
        }
    }

    /// It wants nothing and holds nothing: it is forgotten, at once or when the others have caught up.
    pub(super) fn rest(&mut self, key: &K) {
        self.make_unready(key);
        match self.counters.get(key) {
            Some(counter) if *counter > self.now => {
                self.resting.insert((*counter, key.clone()));
                if self.resting.len() > MOST_RESTING {
                    self.forgive();
                }
            }
            _ => drop(self.counters.remove(key)),
        }
    }

    /// Who is next.
    pub(super) fn next(&self) -> Option<&K> {
        self.ready.first().map(|(_, key)| key)
    }

    /// It has its turn.
    pub(super) fn serve(&mut self, key: &K) {
        self.now = self.now.max(self.counters.get(key).copied().unwrap_or_default());
        while self.resting.first().is_some_and(|(counter, _)| *counter <= self.now) {
            self.forgive();
        }
    }

    /// Forgets whoever rests and is ahead least.
    fn forgive(&mut self) {
        if let Some((_, key)) = self.resting.pop_first() {
            self.counters.remove(&key);
        }
    }

    /// It used so much.
    pub(super) fn charge(&mut self, key: &K, cost: u64, weight: u32) {
        let Some(counter) = self.counters.get_mut(key) else { return };
        let before = (*counter, key.clone());
        *counter = counter.saturating_add(u128::from(cost) * SCALE / u128::from(weight.max(1)));
        let after = (*counter, key.clone());
        for set in [&mut self.ready, &mut self.resting] {
            if set.remove(&before) {
                set.insert(after.clone());
            }
        }
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.counters.len()
    }
}
