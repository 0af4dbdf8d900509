//! What it costs to be fair, on one thread: refusing a request, letting one through, taking a place and giving it back.
//! `cargo run --release -p autoshare-core --example refusal`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measurement for people"
)]

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use autoshare_core::TenantName;
use autoshare_core::fair::{Entering, Flow, Key, Place, Places, Rate, Rates, Refused, Room, Weight};

const TIMES: u32 = 200_000;
const ROUNDS: usize = 9;

fn main() {
    println!("| what | ns, median of {ROUNDS} rounds of {TIMES} |\n|---|---:|");
    rates();
    places();
}

/// The median of some rounds, in nanoseconds each.
fn measure(what: &str, mut once: impl FnMut(u64)) {
    let mut rounds = [0u128; ROUNDS];
    for round in &mut rounds {
        let began = Instant::now();
        (0..TIMES).for_each(|number| once(u64::from(number)));
        *round = began.elapsed().as_nanos() / u128::from(TIMES);
    }
    rounds.sort_unstable();
    println!("| {what} | {} |", rounds.get(ROUNDS / 2).unwrap());
}

fn rates() {
    let rates = Rates::default();
    let (wide, narrow) = (Rate::a_minute(6_000_000_000, 1_000_000_000), Rate::a_minute(1, 1));
    let names: Vec<String> = (0..100_000).map(|number| format!("token-{number}")).collect();
    // A hundred thousand others are in the table.
    names.iter().for_each(|name| rates.check(0, 1, &[(Key::Token(name), narrow)]).unwrap());
    let levels = |token| {
        [
            (Key::Tenant("acme"), wide),
            (Key::Group("acme", "lab"), wide),
            (Key::Token("as_7f2k9mqd"), token),
            (Key::Brain("acme", "7f2k9mqd"), wide),
        ]
    };
    rates.check(0, 1, &levels(narrow)).unwrap();
    measure("a request of one rate is refused", |_| {
        assert!(black_box(rates.check(1, 1, &[(Key::Token("as_7f2k9mqd"), narrow)])).is_err());
    });
    measure("a request of four rates is refused", |_| {
        assert!(black_box(rates.check(1, 1, &levels(narrow))).is_err());
    });
    measure("and put into words", |_| {
        assert!(!black_box(rates.check(1, 1, &levels(narrow)).unwrap_err().to_string()).is_empty());
    });
    measure("a request of four rates is let through", |number| {
        assert!(black_box(rates.check(1 + number * 20, 1, &levels(wide))).is_ok());
    });
}

fn look(entering: &mut Entering) -> Poll<Result<Place, Refused>> {
    Pin::new(entering).poll(&mut Context::from_waker(Waker::noop()))
}

fn places() {
    let room = Room { places: 4, each: 4, queue: 100_000, queue_each: 10_000, unit: 1, turn: Duration::from_secs(1) };
    let places = Places::new(room);
    let tenant = |number: usize| places.share(TenantName::parse(&format!("t{number}")).unwrap(), Weight::default());
    let alone = tenant(0);
    measure("a free place is taken and given back", |_| {
        assert!(look(&mut alone.enter(Flow::Tenant)).is_ready());
    });
    let held: Vec<_> = (0..4).map(|_| look(&mut alone.enter(Flow::Tenant))).collect();
    let wait = |share: &autoshare_core::fair::Share, count: usize| -> Vec<Entering> {
        let mut waiting: Vec<Entering> = (0..count).map(|_| share.enter(Flow::Tenant)).collect();
        assert!(waiting.iter_mut().all(|one| look(one).is_pending()));
        waiting
    };
    let _others: Vec<_> = (1..1_001).map(|number| wait(&tenant(number), 3)).collect();
    let flooder = tenant(2_000);
    let _flood = wait(&flooder, 10_000);
    measure("a flooder is refused, beside 1,000 tenants that wait", |_| {
        assert!(matches!(look(&mut flooder.enter(Flow::Tenant)), Poll::Ready(Err(_))));
    });
    measure("one joins the queue and leaves it", |_| {
        assert!(look(&mut alone.enter(Flow::Tenant)).is_pending());
    });
    drop(held);
}
