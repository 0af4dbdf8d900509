//! So many at once, given out in turn.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use super::entering::Entering;
use super::turns::Turns;
use super::{Flow, Weight};
use crate::TenantName;

/// Bounds of what a refusal says of when to come back.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(60);

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Places at once.
    pub places: usize,
    /// Places of one tenant at once. Where that is fewer than all, some are left for whoever comes next, even when those that
    /// are taken are held for long; where nobody comes, those stay empty.
    pub each: usize,
    /// How many may wait, of all tenants together.
    pub queue: usize,
    /// How many of one tenant may wait.
    pub queue_each: usize,
    /// What a turn costs by itself, in the unit in which use is charged ([`Place::charge`]): by that, turns are shared before
    /// anything is known of their use.
    pub unit: u64,
    /// How long a place is held, about: refusals say by that when to come back.
    pub turn: Duration,
}

impl Room {
    /// For calls of models, unless something else is set; used in tokens.
    pub const MODEL_CALLS: Self =
        Self { places: 1_000, each: 750, queue: 20_000, queue_each: 2_000, unit: 1_000, turn: Duration::from_secs(10) };
    /// For brains that have cells, unless something else is set; used in milliseconds.
    pub const CELLS: Self =
        Self { places: 128, each: 96, queue: 20_000, queue_each: 2_000, unit: 100, turn: Duration::from_secs(5) };
    /// For what is read of journals and workspaces, where there are few processors, unless something else is set; used in
    /// microseconds.
    pub const READS: Self =
        Self { places: 4, each: 3, queue: 20_000, queue_each: 2_000, unit: 100, turn: Duration::from_millis(5) };
}

/// Why there is no place, and not even one in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The tenant has all waiting that it may have.
    #[error("{waiting} of this tenant are waiting already, which is all it may have; try again in {} s", after.as_secs())]
    Own {
        /// How many wait.
        waiting: usize,
        /// When to come back.
        after: Duration,
    },
    /// The queue is full, and of all who wait, this tenant has the most waiting.
    #[error(
        "{waiting} are waiting, which is all there is room for, and none has more than this tenant; try again in {} s",
        after.as_secs()
    )]
    All {
        /// How many wait, of all tenants.
        waiting: usize,
        /// When to come back.
        after: Duration,
    },
}

impl Refused {
    /// When to come back: whole seconds, as `Retry-After` has them.
    #[must_use]
    pub const fn after(&self) -> Duration {
        match self {
            Self::Own { after, .. } | Self::All { after, .. } => *after,
        }
    }
}

/// How many there are at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Places that are taken.
    pub taken: usize,
    /// Who wait.
    pub waiting: usize,
    /// Tenants of whom anything is kept in memory.
    pub tenants: usize,
}

/// So many places. They are entered through a tenant's [`Share`].
pub struct Places {
    room: Room,
    state: Mutex<State>,
}

/// A tenant's share in places.
#[derive(Debug, Clone)]
pub struct Share {
    places: Arc<Places>,
    tenant: TenantName,
    weight: Weight,
}

/// A place that is taken, until it is dropped.
pub struct Place {
    places: Arc<Places>,
    tenant: TenantName,
    flow: Flow,
}

#[derive(Default)]
struct State {
    taken: usize,
    waiting: usize,
    last_ticket: u64,
    turns: Turns<TenantName>,
    tenants: BTreeMap<TenantName, Line>,
    /// Tenants by how many of theirs wait.
    longest: BTreeSet<(usize, TenantName)>,
    waiters: HashMap<u64, Waiter>,
}

/// Those of one tenant.
#[derive(Default)]
struct Line {
    weight: Weight,
    taken: usize,
    waiting: usize,
    turns: Turns<Flow>,
    queues: BTreeMap<Flow, Queue>,
    longest: BTreeSet<(usize, Flow)>,
}

/// Those of one flow.
#[derive(Default)]
struct Queue {
    taken: usize,
    /// Tickets are given in order: the first is the oldest.
    waiting: BTreeSet<u64>,
}

/// Who waits, or has been told and has not looked yet.
struct Waiter {
    tenant: TenantName,
    flow: Flow,
    told: Option<Result<(), Refused>>,
    waker: Option<Waker>,
}

/// What is left to do when the lock is no longer held: wakers run what nobody here knows.
#[derive(Default)]
pub(super) struct Later {
    wake: Vec<Waker>,
    forget: Vec<Waker>,
}

impl Later {
    pub(super) fn run(self) {
        drop(self.forget);
        self.wake.into_iter().for_each(Waker::wake);
    }
}

impl Places {
    /// Places, one at least, and a queue for one at least.
    #[must_use]
    pub fn new(room: Room) -> Arc<Self> {
        let places = room.places.max(1);
        let (queue, queue_each) = (room.queue.max(1), room.queue_each.max(1));
        let room = Room { places, each: room.each.clamp(1, places), queue, queue_each, ..room };
        Arc::new(Self { room, state: Mutex::default() })
    }

    /// A tenant's share.
    #[must_use]
    pub fn share(self: &Arc<Self>, tenant: TenantName, weight: Weight) -> Share {
        Share { places: Arc::clone(self), tenant, weight }
    }

    /// How many there are at the moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.with(|state, _| Counts { taken: state.taken, waiting: state.waiting, tenants: state.turns.len() })
    }

    /// Whether somebody waits who would get a place if one were given back.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.with(|state, _| state.turns.next().is_some())
    }

    /// Looks at the state, or changes it, and does afterwards what has to be done without the lock.
    fn with<T>(&self, what: impl FnOnce(&mut State, &mut Later) -> T) -> T {
        let mut later = Later::default();
        let done = what(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), &mut later);
        later.run();
        done
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("room", &self.room).field("counts", &self.counts()).finish()
    }
}

impl Share {
    /// Waits for a place. What is returned does nothing until it is polled; dropped, it leaves the queue.
    pub fn enter(&self, flow: Flow) -> Entering {
        Entering::new(self.clone(), flow)
    }

    /// The places.
    #[must_use]
    pub const fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// Joins the queue, and gets a place if one is free: `Ok(Ok)`. `Ok(Err)` is a ticket.
    pub(super) fn join(&self, flow: &Flow, waker: Waker) -> Result<Result<Place, u64>, Refused> {
        let room = self.places.room;
        self.places.with(|state, later| {
            if let Err(refused) = state.make_room(&room, &self.tenant, flow, later) {
                later.forget.push(waker);
                return Err(refused);
            }
            let ticket = state.queue(&room, self, flow, waker);
            state.give_out(&room, later);
            Ok(match state.told(ticket, later) {
                Some(Ok(())) => Ok(self.place(flow)),
                // Nobody sheds whoever has just come.
                Some(Err(refused)) => return Err(refused),
                None => Err(ticket),
            })
        })
    }

    /// Looks whether a ticket's turn has come.
    pub(super) fn look(&self, ticket: u64, flow: &Flow, waker: Waker) -> Option<Result<Place, Refused>> {
        self.places.with(|state, later| match state.told(ticket, later) {
            Some(told) => {
                later.forget.push(waker);
                Some(told.map(|()| self.place(flow)))
            }
            None => {
                let old = match state.waiters.get_mut(&ticket) {
                    Some(waiter) => waiter.waker.replace(waker),
                    None => Some(waker),
                };
                later.forget.extend(old);
                None
            }
        })
    }

    /// Leaves the queue. A place that was given meanwhile goes to the next.
    pub(super) fn leave(&self, ticket: u64) {
        self.places.with(|state, later| {
            let Some(waiter) = state.waiters.remove(&ticket) else { return };
            later.forget.extend(waiter.waker);
            match waiter.told {
                None => state.unqueue(&waiter.tenant, &waiter.flow, ticket),
                Some(Ok(())) => state.give_back(&self.places.room, &waiter.tenant, &waiter.flow, later),
                Some(Err(_)) => {}
            }
        });
    }

    fn place(&self, flow: &Flow) -> Place {
        Place { places: Arc::clone(&self.places), tenant: self.tenant.clone(), flow: flow.clone() }
    }
}

impl Place {
    /// Adds what was used to what its tenant, and its flow within the tenant, have used: tokens, milliseconds. Later turns
    /// are given out by that.
    pub fn charge(&self, cost: u64) {
        self.places.with(|state, _| state.charge(&self.tenant, &self.flow, cost));
    }

    /// Whether somebody waits who would get this place if it were given back.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.places.is_wanted()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("tenant", &self.tenant).field("flow", &self.flow).finish_non_exhaustive()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let room = self.places.room;
        self.places.with(|state, later| state.give_back(&room, &self.tenant, &self.flow, later));
    }
}

impl State {
    /// Sees to it that one more may wait. Where there are too many, the newest goes of whoever has the most, first within the
    /// tenant, then among tenants; if that is whoever has come, it is refused.
    fn make_room(&mut self, room: &Room, tenant: &TenantName, flow: &Flow, later: &mut Later) -> Result<(), Refused> {
        let line = self.tenants.get(tenant);
        let (own, taken) = line.map_or((0, 0), |line| (line.waiting, line.taken));
        // It will not wait: others that do have all the places they may have.
        if own == 0 && taken < room.each && self.taken < room.places {
            return Ok(());
        }
        let (victim, refused) = if own >= room.queue_each {
            let of_flow = line.and_then(|line| line.queues.get(flow)).map_or(0, |queue| queue.waiting.len());
            let longest = line.and_then(|line| line.longest.last());
            let victim = longest.filter(|(most, _)| *most > of_flow + 1).map(|_| tenant.clone());
            (victim, Refused::Own { waiting: own, after: self.after(room, own) })
        } else if self.waiting >= room.queue {
            let victim = self.longest.last().filter(|(most, _)| *most > own + 1).map(|(_, tenant)| tenant.clone());
            let most = victim.as_ref().and_then(|tenant| self.tenants.get(tenant)).map_or(own, |line| line.waiting);
            (victim, Refused::All { waiting: self.waiting, after: self.after(room, most) })
        } else {
            return Ok(());
        };
        let Some(victim) = victim else { return Err(refused) };
        if let Some((flow, ticket)) = self.tenants.get(&victim).and_then(Line::newest) {
            self.unqueue(&victim, &flow, ticket);
            if let Some(waiter) = self.waiters.get_mut(&ticket) {
                waiter.told = Some(Err(refused));
                later.wake.extend(waiter.waker.take());
            }
        }
        Ok(())
    }

    /// When somebody of whom so many wait may come back: when those have had their turns, if the places are shared equally.
    fn after(&self, room: &Room, waiting: usize) -> Duration {
        let places = (room.places / self.longest.len().max(1)).max(1);
        let rounds = u32::try_from(waiting.div_ceil(places)).unwrap_or(u32::MAX);
        let seconds = room.turn.saturating_mul(rounds).as_secs_f64().ceil();
        Duration::try_from_secs_f64(seconds).unwrap_or(LATEST).clamp(SOONEST, LATEST)
    }

    fn queue(&mut self, room: &Room, share: &Share, flow: &Flow, waker: Waker) -> u64 {
        let ticket = self.last_ticket.wrapping_add(1);
        self.last_ticket = ticket;
        let tenant = &share.tenant;
        let line = self.tenants.entry(tenant.clone()).or_default();
        line.weight = share.weight;
        self.longest.remove(&(line.waiting, tenant.clone()));
        line.waiting += 1;
        self.longest.insert((line.waiting, tenant.clone()));
        self.waiting += 1;
        let queue = line.queues.entry(flow.clone()).or_default();
        line.longest.remove(&(queue.waiting.len(), flow.clone()));
        queue.waiting.insert(ticket);
        line.longest.insert((queue.waiting.len(), flow.clone()));
        line.turns.make_ready(flow);
        if line.taken < room.each {
            self.turns.make_ready(tenant);
        }
        let waiter = Waiter { tenant: tenant.clone(), flow: flow.clone(), told: None, waker: Some(waker) };
        self.waiters.insert(ticket, waiter);
        ticket
    }

    /// Takes a ticket out of the queue.
    fn unqueue(&mut self, tenant: &TenantName, flow: &Flow, ticket: u64) {
        let Some(line) = self.tenants.get_mut(tenant) else { return };
        let Some(queue) = line.queues.get_mut(flow) else { return };
        let before = queue.waiting.len();
        if !queue.waiting.remove(&ticket) {
            return;
        }
        line.longest.remove(&(before, flow.clone()));
        if queue.waiting.is_empty() {
            line.turns.make_unready(flow);
        } else {
            line.longest.insert((queue.waiting.len(), flow.clone()));
        }
        self.longest.remove(&(line.waiting, tenant.clone()));
        line.waiting -= 1;
        self.waiting -= 1;
        if line.waiting == 0 {
            self.turns.make_unready(tenant);
        } else {
            self.longest.insert((line.waiting, tenant.clone()));
        }
        self.forget_idle(tenant, flow);
    }

    /// Gives free places to those whose turn it is.
    fn give_out(&mut self, room: &Room, later: &mut Later) {
        while self.taken < room.places {
            let Some(tenant) = self.turns.next().cloned() else { return };
            let Some((flow, ticket)) = self.tenants.get(&tenant).and_then(Line::next) else { return };
            self.turns.serve(&tenant);
            self.taken += 1;
            if let Some(line) = self.tenants.get_mut(&tenant) {
                line.turns.serve(&flow);
                line.taken += 1;
                if line.taken >= room.each {
                    self.turns.make_unready(&tenant);
                }
                if let Some(queue) = line.queues.get_mut(&flow) {
                    queue.taken += 1;
                }
            }
            self.charge(&tenant, &flow, room.unit.max(1));
            self.unqueue(&tenant, &flow, ticket);
            if let Some(waiter) = self.waiters.get_mut(&ticket) {
                waiter.told = Some(Ok(()));
                later.wake.extend(waiter.waker.take());
            }
        }
    }

    fn give_back(&mut self, room: &Room, tenant: &TenantName, flow: &Flow, later: &mut Later) {
        self.taken -= 1;
        if let Some(line) = self.tenants.get_mut(tenant) {
            line.taken -= 1;
            if let Some(queue) = line.queues.get_mut(flow) {
                queue.taken -= 1;
            }
            if line.waiting > 0 {
                self.turns.make_ready(tenant);
            }
        }
        self.forget_idle(tenant, flow);
        self.give_out(room, later);
        if self.taken == 0 && self.waiting == 0 {
            // Nobody is there to whom anything would be owed.
            self.turns = Turns::default();
        }
    }

    fn charge(&mut self, tenant: &TenantName, flow: &Flow, cost: u64) {
        if let Some(line) = self.tenants.get_mut(tenant) {
            self.turns.charge(tenant, cost, line.weight.get());
            line.turns.charge(flow, cost, 1);
        }
    }

    /// Forgets a flow, and a tenant, that neither waits nor holds anything.
    fn forget_idle(&mut self, tenant: &TenantName, flow: &Flow) {
        let Some(line) = self.tenants.get_mut(tenant) else { return };
        if line.queues.get(flow).is_some_and(|queue| queue.taken == 0 && queue.waiting.is_empty()) {
            line.queues.remove(flow);
            line.turns.rest(flow);
        }
        if line.taken == 0 && line.waiting == 0 {
            self.tenants.remove(tenant);
            self.turns.rest(tenant);
        }
    }

    /// What a waiter has been told, which it is told once.
    fn told(&mut self, ticket: u64, later: &mut Later) -> Option<Result<(), Refused>> {
        let told = self.waiters.get(&ticket)?.told?;
        later.forget.extend(self.waiters.remove(&ticket).and_then(|waiter| waiter.waker));
        Some(told)
    }
}

impl Line {
    /// Whose turn it is within the tenant.
    fn next(&self) -> Option<(Flow, u64)> {
        let flow = self.turns.next()?;
        Some((flow.clone(), *self.queues.get(flow)?.waiting.first()?))
    }

    /// Who came last of the flow of which the most wait.
    fn newest(&self) -> Option<(Flow, u64)> {
        let (_, flow) = self.longest.last()?;
        Some((flow.clone(), *self.queues.get(flow)?.waiting.last()?))
    }
}
