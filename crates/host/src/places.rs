//! Places that all tenants share: each call of a model takes one, and the cells of a brain take one together.
//!
//! No two brains can wait for each other. A brain that has a place for its cells waits for no other of that kind, as all its
//! cells have the same one; it may wait for a place among the calls of models; and whoever has one of those waits for
//! nothing but the model's answer, which comes or fails in its time.
//!
//! Nor does a brain keep its place for as long as it is at work: where another waits, its cells are let go between two
//! actions once they have had it for a slice of time.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use autoshare_broker::Unsent;
use autoshare_core::fair::{Flow, Place, Share};
use autoshare_store::ledger::Reservation;

/// How long a brain keeps its place, at least, where it is wanted: making cells anew has its price too.
const SLICE: Duration = Duration::from_secs(1);

/// A brain's place among those that have cells. It is held by each of its cells, and charged for the time.
#[derive(Debug)]
pub(crate) struct CellPlace {
    place: Place,
    since: Instant,
    /// Until when it has been charged for.
    charged: Mutex<Instant>,
}

impl CellPlace {
    /// Charges the milliseconds since it was last charged.
    fn charge(&self) {
        let mut charged = self.charged.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        self.place.charge(u64::try_from((now - *charged).as_millis()).unwrap_or(u64::MAX));
        *charged = now;
    }
}

impl Drop for CellPlace {
    fn drop(&mut self) {
        self.charge();
    }
}

/// Where one brain's cells get their place.
pub(crate) struct CellPlaces {
    share: Share,
    flow: Flow,
    /// That of the cells that there are.
    held: Weak<CellPlace>,
}

impl CellPlaces {
    pub(crate) const fn new(share: Share, flow: Flow) -> Self {
        Self { share, flow, held: Weak::new() }
    }

    /// The place of the brain's cells: the one that they have, or a new one, when its turn has come.
    pub(crate) async fn enter(&mut self) -> Arc<CellPlace> {
        if let Some(held) = self.held.upgrade() {
            held.charge();
            return held;
        }
        let place = enter(&self.share, &self.flow).await;
        let since = Instant::now();
        let held = Arc::new(CellPlace { place, since, charged: Mutex::new(since) });
        self.held = Arc::downgrade(&held);
        held
    }

    /// Whether the place of the brain's cells is to be given to another, and is given back when so many idle ones are let go:
    /// not if a program in the background or a server has it too.
    pub(crate) fn is_due(&self, idle: usize) -> bool {
        self.held.strong_count() == idle
            && self.held.upgrade().is_some_and(|held| held.since.elapsed() >= SLICE && held.place.is_wanted())
    }
}

/// Waits for a place. A brain is nobody who could be told to come back: it comes back by itself.
async fn enter(share: &Share, flow: &Flow) -> Place {
    loop {
        match share.enter(flow.clone()).await {
            Ok(place) => return place,
            Err(refused) => tokio::time::sleep(refused.after()).await,
        }
    }
}

/// Waits for a place for a call for which this was set aside; it is given back where nobody waits any more.
pub(crate) async fn enter_for_call(share: &Share, flow: Flow, aside: Reservation) -> (Place, Reservation) {
    let unsent = Unsent::new(aside);
    let place = enter(share, &flow).await;
    (place, unsent.send())
}
