//! Places: who is next, what a flood does to others, and what is left when all have gone.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use autoshare_core::fair::{Counts, Entering, Flow, Place, Places, Refused, Room, Share, Weight};
use autoshare_core::{BrainId, TenantName};
use proptest::prelude::*;

pub(crate) const ROOM: Room =
    Room { places: 1, each: 1, queue: 100_000, queue_each: 20_000, unit: 1, turn: Duration::from_secs(1) };

pub(crate) fn tenant(number: usize) -> TenantName {
    TenantName::parse(&format!("tenant-{number}")).unwrap()
}

pub(crate) fn share(places: &Arc<Places>, number: usize, weight: u32) -> Share {
    places.share(tenant(number), Weight::new(weight).unwrap())
}

pub(crate) fn look(entering: &mut Entering) -> Poll<Result<Place, Refused>> {
    Pin::new(entering).poll(&mut Context::from_waker(Waker::noop()))
}

fn brain(number: u8) -> Flow {
    Flow::Brain(BrainId::from_random([number; 5]))
}

/// Somebody who has joined the queue.
fn waiting(share: &Share, flow: Flow) -> Entering {
    let mut entering = share.enter(flow);
    assert!(look(&mut entering).is_pending());
    entering
}

fn at_once(share: &Share) -> Place {
    match look(&mut share.enter(Flow::Tenant)) {
        Poll::Ready(Ok(place)) => place,
        other => panic!("there is a free place: {other:?}"),
    }
}

/// Tenants each of which always has three waiting, and one place. `turn` ends the turn that is, and says whose is next.
pub(crate) struct Backlog {
    places: Arc<Places>,
    shares: Vec<Share>,
    waiting: Vec<Vec<Entering>>,
    held: Option<Place>,
    pub(crate) turns: Vec<u64>,
}

impl Backlog {
    fn new(weights: &[u32]) -> Self {
        let places = Places::new(ROOM);
        let shares: Vec<Share> = weights.iter().enumerate().map(|(n, weight)| share(&places, n, *weight)).collect();
        let held = Some(at_once(&share(&places, 999, 100)));
        let waiting = shares.iter().map(|share| (0..3).map(|_| waiting(share, Flow::Tenant)).collect()).collect();
        Self { places, turns: vec![0; shares.len()], shares, waiting, held }
    }

    fn turn(&mut self, cost: impl Fn(usize) -> u64) -> usize {
        self.held = None;
        for (number, queue) in self.waiting.iter_mut().enumerate() {
            for one in queue {
                if let Poll::Ready(place) = look(one) {
                    let place = place.unwrap();
                    place.charge(cost(number));
                    self.held = Some(place);
                    self.turns[number] += 1;
                    *one = waiting(&self.shares[number], Flow::Tenant);
                    return number;
                }
            }
        }
        panic!("a place is free and nobody has it, of {:?}", self.places.counts());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No two of them are ever further apart than one turn of the one that is ahead.
    #[test]
    fn backlogged_tenants_have_their_shares_within_one_turn(weights in prop::collection::vec(1u32..=20, 2..8)) {
        let mut backlog = Backlog::new(&weights);
        for _ in 0..300 {
            backlog.turn(|_| 0);
            for (i, wi) in weights.iter().enumerate() {
                for (j, wj) in weights.iter().enumerate() {
                    let (ni, nj) = (backlog.turns[i] * u64::from(*wj), backlog.turns[j] * u64::from(*wi));
                    prop_assert!(ni <= nj + u64::from(*wj), "{weights:?} had {:?}", backlog.turns);
                }
            }
        }
    }

    /// Where turns cost what is known only afterwards, it is the use that is shared: within one turn's cost of each of two.
    #[test]
    fn what_was_used_is_shared_and_not_the_turns(costs in prop::collection::vec(1u64..=50, 2..6)) {
        let mut backlog = Backlog::new(&vec![100; costs.len()]);
        (0..1_000).for_each(|_| _ = backlog.turn(|number| costs[number]));
        let used: Vec<u64> = backlog.turns.iter().zip(&costs).map(|(turns, cost)| turns * (cost + ROOM.unit)).collect();
        let apart = used.iter().max().unwrap() - used.iter().min().unwrap();
        prop_assert!(apart <= 2 * (costs.iter().max().unwrap() + ROOM.unit), "{used:?}");
    }

    /// Whatever comes and goes in whatever order: nobody waits while a place is free that they may have, nobody has more
    /// than they may have, and when all have gone nothing is left.
    #[test]
    fn it_works_on_and_nothing_is_left(
        places in 1usize..5,
        each in 1usize..5,
        queue in 1usize..12,
        steps in prop::collection::vec((0u8..6, 0usize..4, 0u8..3, any::<prop::sample::Index>()), 1..200),
    ) {
        let each = each.min(places);
        let all = Places::new(Room { places, each, queue, queue_each: 6, ..ROOM });
        let mut entering = Vec::<(usize, Entering)>::new();
        let mut held = Vec::<(usize, Place)>::new();
        for (what, who, flow, which) in steps {
            let at = |len: usize| which.index(len.max(1));
            match what {
                0 | 1 => entering.push((who, share(&all, who, 100).enter(brain(flow)))),
                2 if !entering.is_empty() => drop(entering.swap_remove(at(entering.len()))),
                3 if !held.is_empty() => drop(held.swap_remove(at(held.len()))),
                4 if !held.is_empty() => held[at(held.len())].1.charge(u64::from(flow) * 7),
                _ if !entering.is_empty() => {
                    let at = at(entering.len());
                    if let Poll::Ready(told) = look(&mut entering[at].1) {
                        let (who, _) = entering.swap_remove(at);
                        held.extend(told.ok().map(|place| (who, place)));
                    }
                }
                _ => {}
            }
            let counts = all.counts();
            prop_assert!(counts.taken <= places && counts.waiting <= queue, "{counts:?}");
            prop_assert!(!(counts.taken < places && all.is_wanted()), "a place is free, and wanted");
            prop_assert!(each < places || counts.waiting == 0 || counts.taken == places, "{counts:?}");
            let mut of = BTreeMap::<usize, usize>::new();
            held.iter().for_each(|(who, _)| *of.entry(*who).or_default() += 1);
            prop_assert!(of.values().all(|held| *held <= each));
        }
        drop(entering);
        drop(held);
        prop_assert_eq!(all.counts(), Counts::default());
    }
}

#[test]
fn one_that_was_away_waits_for_a_round_at_most_and_has_saved_nothing_up() {
    let mut backlog = Backlog::new(&[100; 8]);
    (0..8_000).for_each(|_| _ = backlog.turn(|_| 10));
    // A ninth, who has used nothing all the time.
    let (late, weight) = (8, 100);
    backlog.shares.push(share(&backlog.places, late, weight));
    backlog.waiting.push((0..3).map(|_| waiting(&backlog.shares[late], Flow::Tenant)).collect());
    backlog.turns.push(0);
    let first = (1..=20).find(|_| backlog.turn(|_| 10) == late).unwrap();
    assert!(first <= 9, "it waited for {first} turns");
    (0..90).for_each(|_| _ = backlog.turn(|_| 10));
    assert!((10..=12).contains(&backlog.turns[late]), "{:?}", backlog.turns);
}

/// Whoever joins the queue only when it has nothing running has no more by that than whoever is always in it.
#[test]
fn nobody_gets_rid_of_what_they_used_by_going_away() {
    let places = Places::new(ROOM);
    let [stays, goes] = [share(&places, 0, 100), share(&places, 1, 100)];
    let mut held = Some((0, at_once(&stays)));
    let mut queue: Vec<Entering> = (0..2).map(|_| waiting(&stays, Flow::Tenant)).collect();
    let (mut visitor, mut used) = (None, [0u64; 2]);
    for _ in 0..5_000 {
        if visitor.is_none() && held.as_ref().is_some_and(|(who, _)| *who == 0) {
            visitor = Some(waiting(&goes, Flow::Tenant));
        }
        drop(held.take());
        if let Some(mut one) = visitor.take() {
            match look(&mut one) {
                Poll::Ready(place) => held = Some((1, place.unwrap())),
                Poll::Pending => visitor = Some(one),
            }
        }
        for one in &mut queue {
            if let Poll::Ready(place) = look(one) {
                held = Some((0, place.unwrap()));
                *one = waiting(&stays, Flow::Tenant);
            }
        }
        let (who, place) = held.as_ref().expect("the place is free, and somebody wants it");
        let cost = [1, 50][*who];
        place.charge(cost);
        used[*who] += cost + ROOM.unit;
    }
    let apart = used[1].abs_diff(used[0]);
    assert!(used[0] > 1_000 && apart <= 2 * 51, "{used:?}");
}

#[test]
fn a_flood_of_ten_thousand_keeps_nobody_out_and_waiting() {
    let places = Places::new(Room { places: 4, each: 4, queue: 10_000, queue_each: 10_000, ..ROOM });
    let [flooder, victim] = [share(&places, 0, 100), share(&places, 1, 100)];
    let mut held: Vec<Place> = (0..4).map(|_| at_once(&flooder)).collect();
    let mut flood: Vec<Entering> = (0..10_000).map(|_| waiting(&flooder, Flow::Tenant)).collect();
    // The queue is full. Its own next one is refused, with words and a time.
    let Poll::Ready(Err(refused)) = look(&mut flooder.enter(Flow::Tenant)) else { panic!("no room") };
    assert_eq!(refused, Refused::Own { waiting: 10_000, after: Duration::from_secs(60) });
    assert!(refused.to_string().contains("10000 of this tenant are waiting"), "{refused}");
    // The victim's are not: those of the flooder that came last are shed for them.
    let mut few: Vec<Entering> = (0..3).map(|_| waiting(&victim, Flow::Tenant)).collect();
    assert_eq!(places.counts().waiting, 10_000);
    for one in flood.iter_mut().rev().take(3) {
        assert!(matches!(look(one), Poll::Ready(Err(Refused::All { .. }))));
    }
    assert!(look(&mut flood[9_996]).is_pending());
    // The next places that are given back are the victim's, until it has as much as the other.
    for one in &mut few {
        held.pop();
        assert!(matches!(look(one), Poll::Ready(Ok(_))));
    }
    drop((few, flood));
    drop(held);
    assert_eq!(places.counts(), Counts::default());
}

/// The same within a tenant: a brain, or a token, that floods does it to itself.
#[test]
fn a_flood_of_one_brain_leaves_the_tenants_others_their_turns() {
    let places = Places::new(Room { queue_each: 100, ..ROOM });
    let acme = share(&places, 0, 100);
    let mut place = Some(at_once(&acme));
    let mut flood: Vec<Entering> = (0..100).map(|_| waiting(&acme, brain(1))).collect();
    assert!(matches!(look(&mut acme.enter(brain(1))), Poll::Ready(Err(Refused::Own { .. }))));
    let mut other: Vec<Entering> = (0..2).map(|_| waiting(&acme, brain(2))).collect();
    assert!(flood.iter_mut().rev().take(2).all(|one| matches!(look(one), Poll::Ready(Err(_)))));
    let mut turns = [0, 0];
    for _ in 0..4 {
        drop(place.take());
        for (who, queue) in [&mut flood, &mut other].into_iter().enumerate() {
            let next = queue.iter_mut().find_map(|one| match look(one) {
                Poll::Ready(Ok(next)) => Some(next),
                _ => None,
            });
            if let Some(next) = next {
                turns[who] += 1;
                place = Some(next);
            }
        }
    }
    assert_eq!(turns, [2, 2]);
}

#[test]
fn e7_one_tenant_leaves_room_for_the_others() {
    let places = Places::new(Room { places: 5, each: 3, ..ROOM });
    let [greedy, other] = [share(&places, 0, 100), share(&places, 1, 100)];
    let mut held: Vec<Place> = (0..3).map(|_| at_once(&greedy)).collect();
    let mut more = waiting(&greedy, Flow::Tenant);
    assert!(!places.is_wanted(), "nobody waits who could have a place");
    let others = [at_once(&other), at_once(&other)];
    drop(others);
    assert!(look(&mut more).is_pending());
    held.pop();
    assert!(matches!(look(&mut more), Poll::Ready(Ok(_))));
    // Nor does it have more where several come free while several of its own wait.
    drop(held);
    let mut held = vec![at_once(&greedy), at_once(&greedy)];
    let others: Vec<Place> = (0..3).map(|_| at_once(&other)).collect();
    let mut queue = [waiting(&greedy, Flow::Tenant), waiting(&greedy, Flow::Tenant)];
    drop(others);
    held.extend(queue.iter_mut().filter_map(|one| match look(one) {
        Poll::Ready(place) => place.ok(),
        Poll::Pending => None,
    }));
    assert_eq!((held.len(), places.counts().taken, places.counts().waiting), (3, 3, 1));
}

/// Even where the queue is full of those who have all that they may have.
#[test]
fn whoever_need_not_wait_needs_no_room_in_the_queue() {
    let places = Places::new(Room { places: 3, each: 1, queue: 2, ..ROOM });
    let shares: Vec<Share> = (0..3).map(|number| share(&places, number, 100)).collect();
    let held = [at_once(&shares[0]), at_once(&shares[1])];
    let queue = [waiting(&shares[0], Flow::Tenant), waiting(&shares[1], Flow::Tenant)];
    let third = at_once(&shares[2]);
    assert!(matches!(look(&mut shares[2].enter(Flow::Tenant)), Poll::Ready(Err(Refused::All { waiting: 2, .. }))));
    drop((held, queue, third));
    assert_eq!(places.counts(), Counts::default());
}

#[test]
fn a_place_that_was_given_to_whoever_has_gone_goes_to_the_next() {
    let places = Places::new(ROOM);
    let share = share(&places, 0, 100);
    let place = at_once(&share);
    let (gone, mut next) = (waiting(&share, Flow::Tenant), waiting(&share, Flow::Tenant));
    drop(place);
    // It has been told, and has not looked.
    drop(gone);
    assert!(matches!(look(&mut next), Poll::Ready(Ok(_))));
    assert_eq!(places.counts(), Counts::default());
}

/// Brains come and go by the thousand in a tenant that is always busy; those that went are not remembered for ever.
#[test]
fn those_who_have_gone_are_forgotten_even_where_it_is_never_quiet() {
    let places = Places::new(Room { places: 2, each: 2, ..ROOM });
    let _busy = at_once(&share(&places, 99_999, 100));
    for number in 0..20_000 {
        drop(at_once(&share(&places, number, 100)));
    }
    assert!(places.counts().tenants <= 4_200, "{:?}", places.counts());
}
