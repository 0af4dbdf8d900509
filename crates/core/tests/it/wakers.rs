//! Places between threads, and wakers of which nothing is known.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use autoshare_core::fair::{Counts, Flow, Places, Room};

use crate::places::{ROOM, share};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(what: impl Future<Output = T>) -> T {
    let mut what = pin!(what);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match what.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park_timeout(Duration::from_secs(20)),
        }
    }
}

#[test]
fn threads_that_come_go_and_change_their_minds_leave_nothing() {
    let places = Places::new(Room { places: 3, each: 2, queue: 40, queue_each: 10, ..ROOM });
    let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for number in 0..8 {
            let (places, inside, most) = (&places, &inside, &most);
            scope.spawn(move || {
                let share = share(places, number % 4, 100);
                for round in 0..500 {
                    if (round + number) % 5 == 0 {
                        // One look, and it goes away, whatever was said.
                        let entering = pin!(share.enter(Flow::Tenant));
                        let _ = entering.poll(&mut Context::from_waker(Waker::noop()));
                        continue;
                    }
                    let place = block_on(share.enter(Flow::Tenant)).unwrap();
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    place.charge(round as u64);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert!((2..=3).contains(&most.into_inner()), "three places, and more than one of them was used");
    assert_eq!(places.counts(), Counts::default());
}

/// A waker that looks at the places whenever anything is done with it.
struct Nosy(Arc<Places>, AtomicUsize);

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::SeqCst);
        let _ = self.0.counts();
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        let _ = self.0.counts();
    }
}

#[test]
fn no_lock_is_held_while_a_waker_is_woken_or_dropped() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let places = Places::new(Room { queue: 2, queue_each: 2, ..ROOM });
        let [one, two, three] = [0, 1, 2].map(|number| share(&places, number, 100));
        let nosy = || Arc::new(Nosy(Arc::clone(&places), AtomicUsize::new(0)));
        let look = |entering: &mut autoshare_core::fair::Entering, by: Arc<Nosy>| {
            let waker = Waker::from(by);
            std::pin::Pin::new(entering).poll(&mut Context::from_waker(&waker))
        };
        let mut first = one.enter(Flow::Tenant);
        let Poll::Ready(Ok(place)) = look(&mut first, nosy()) else { panic!("it is free") };
        let mut waiting = [one.enter(Flow::Tenant), one.enter(Flow::Tenant)];
        let told = nosy();
        // Looked at twice: the waker that was kept is replaced by the new one, and dropped.
        for _ in 0..2 {
            assert!(waiting.iter_mut().all(|one| look(one, nosy()).is_pending()));
        }
        assert!(waiting.iter_mut().all(|one| look(one, Arc::clone(&told)).is_pending()));
        // Shed, given a place, refused, and left.
        let mut other = two.enter(Flow::Tenant);
        assert!(look(&mut other, nosy()).is_pending());
        assert_eq!(told.1.load(Ordering::SeqCst), 1, "the one that was shed has been told");
        assert!(matches!(look(&mut three.enter(Flow::Tenant), nosy()), Poll::Ready(Err(_))));
        drop(place);
        drop(other);
        drop(waiting);
        assert_eq!(places.counts(), Counts::default());
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(20)).expect("a lock was held, or it failed: see above");
}
