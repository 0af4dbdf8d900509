//! Sixteen tenants, and one that takes what it can: a simulation in which time is a number.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::task::Poll;
use std::time::Duration;

use autoshare_core::fair::{Counts, Entering, Flow, Place, Places, Room, Share};

use crate::places::{look, share};

/// Numbers that look random and are the same every time (Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What came of each tenant's requests.
#[derive(Default, Clone)]
struct Seen {
    /// Until each was done, from when it was asked for, in microseconds.
    took: Vec<f64>,
    /// Time that places were held.
    used: f64,
    refused: usize,
}

enum Event {
    Asked { who: usize },
    Done { who: usize, asked: u64, took: f64, place: Place },
}

/// Events by time. A number parts those of the same moment.
#[derive(Default)]
struct Agenda {
    order: BinaryHeap<Reverse<(u64, usize)>>,
    events: HashMap<usize, Event>,
    number: usize,
}

impl Agenda {
    fn add(&mut self, at: f64, event: Event) {
        self.order.push(Reverse((at as u64, self.number)));
        self.events.insert(self.number, event);
        self.number += 1;
    }

    fn next(&mut self) -> (u64, Event) {
        let Reverse((at, number)) = self.order.pop().unwrap();
        (at, self.events.remove(&number).unwrap())
    }
}

/// What comes in so many seconds of tenants that ask for a place each so often, on average (microseconds): a turn takes half
/// a second to one and a half. What is refused does not come back.
fn simulate(room: Room, apart: &[f64], seconds: u64) -> Vec<Seen> {
    let places = Places::new(room);
    let shares: Vec<Share> = (0..apart.len()).map(|number| share(&places, number, 100)).collect();
    let (mut numbers, mut agenda, mut seen) = (Numbers(7), Agenda::default(), vec![Seen::default(); apart.len()]);
    (0..apart.len()).for_each(|who| agenda.add(numbers.next() * 1e6, Event::Asked { who }));
    let mut waiting: Vec<(usize, u64, Entering)> = Vec::new();
    loop {
        let (now, event) = agenda.next();
        if now > seconds * 1_000_000 {
            break;
        }
        // Whoever has just come need be looked at, or everybody when a place was given back.
        let unchanged = match event {
            Event::Asked { who } => {
                agenda.add(now as f64 - apart[who] * (1.0 - numbers.next()).ln(), Event::Asked { who });
                waiting.push((who, now, shares[who].enter(Flow::Tenant)));
                waiting.len() - 1
            }
            Event::Done { who, asked, took, place } => {
                place.charge((took / 1e3) as u64);
                seen[who].used += took;
                seen[who].took.push((now - asked) as f64);
                0
            }
        };
        for (who, asked, mut entering) in waiting.split_off(unchanged) {
            match look(&mut entering) {
                Poll::Pending => waiting.push((who, asked, entering)),
                Poll::Ready(Err(_)) => seen[who].refused += 1,
                Poll::Ready(Ok(place)) => {
                    let took = 5e5 + numbers.next() * 1e6;
                    agenda.add(now as f64 + took, Event::Done { who, asked, took, place });
                }
            }
        }
    }
    drop((waiting, agenda));
    assert_eq!(places.counts(), Counts::default());
    seen
}

fn p99(took: &[f64]) -> f64 {
    let mut took = took.to_vec();
    took.sort_by(f64::total_cmp);
    took[took.len() * 99 / 100]
}

fn jain(used: &[f64]) -> f64 {
    let (sum, squares) = used.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    sum * sum / (used.len() as f64 * squares)
}

const ROOM: Room = Room { places: 16, each: 12, queue: 200, queue_each: 100, unit: 10, turn: Duration::from_secs(1) };

#[test]
fn sixteen_backlogged_tenants_have_a_jain_index_of_98_hundredths_at_least() {
    let room = Room { each: 16, queue: 64, queue_each: 4, ..ROOM };
    // Fifty requests a second, of a tenant that can have one a second.
    let seen = simulate(room, &[2e4; 16], 120);
    let used: Vec<f64> = seen.iter().map(|seen| seen.used).collect();
    let index = jain(&used);
    println!("Jain index of 16 backlogged tenants in 120 s: {index:.4}");
    assert!(index >= 0.98, "{index}: {used:?}");
    assert!(used.iter().sum::<f64>() >= 16.0 * 117e6, "all places are at work: {used:?}");
}

/// A tenant that wants a fifth of what there is, beside one that wants as much as there is, ten times, a hundred times that.
#[test]
fn a_neighbours_flood_is_hardly_noticed() {
    let victim = 1e6 / 3.2;
    let quiet = p99(&simulate(ROOM, &[victim], 200)[0].took);
    for times in [1.0, 10.0, 100.0] {
        let seen = simulate(ROOM, &[victim, 1e6 / (16.0 * times)], 200);
        let ratio = p99(&seen[0].took) / quiet;
        println!("p99 beside {times} times the capacity: {ratio:.3} of the quiet one; {} refused", seen[1].refused);
        assert!(ratio <= 1.5, "{times}: {ratio}");
        assert_eq!(seen[0].refused, 0, "nothing of the victim's is refused");
        assert!(times < 10.0 || seen[1].refused > 0, "it is a flood");
    }
}
