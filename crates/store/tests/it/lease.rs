//! One driver a brain.

use std::os::fd::AsFd as _;
use std::process::Child;

use autoshare_core::Seq;
use autoshare_store::StoreError;

use crate::child::{Said, command};
use crate::{House, brain};

fn holder(dir: &std::path::Path) -> (Child, String) {
    let mut child = command(&[], "hold", dir).spawn().unwrap();
    let said = Said::of(&mut child).next().expect("the child holds the lease");
    (child, said)
}

#[test]
fn a_brain_that_one_process_drives_is_refused_to_others_by_name() {
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    drop(house.create(&brain(1)));
    assert_eq!(house.store.driven_by(&house.access, &brain(1)), None);

    let (mut child, said) = holder(dir.path());
    assert_eq!(said, "held 2");
    assert_eq!(house.store.driven_by(&house.access, &brain(1)), Some(child.id()));
    let error = house.store.lease(&house.access, &brain(1)).unwrap_err();
    assert!(matches!(&error, StoreError::Driven { pid, .. } if *pid == child.id()), "{error}");
    assert!(error.to_string().contains(&format!("autoshare stop {}", brain(1))), "{error}");
    assert!(house.store.read(&house.access, &brain(1), Seq(1)).is_ok(), "reading needs no lease");

    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(house.store.driven_by(&house.access, &brain(1)), None);
    assert_eq!(house.lease(&brain(1)).epoch(), 3, "death releases a lease");
}

#[test]
fn a_lease_is_released_when_dropped_and_held_once_within_a_process_too() {
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    let lease = house.create(&brain(1));
    assert_eq!(lease.brain(), &brain(1));
    assert_eq!(house.store.driven_by(&house.access, &brain(1)), Some(std::process::id()));
    assert!(matches!(house.store.lease(&house.access, &brain(1)), Err(StoreError::Driven { .. })));
    let other = house.create(&brain(2));
    drop(lease);
    assert_eq!(house.store.driven_by(&house.access, &brain(1)), None);
    assert_eq!(house.lease(&brain(1)).epoch(), 2);
    drop(other);
}

#[test]
fn a_lease_that_was_let_go_is_waited_for_while_a_cell_holds_it() {
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    let lease = house.create(&brain(1));
    // What the launcher keeps until the cell is gone.
    let held = lease.as_fd().try_clone_to_owned().unwrap();
    drop(lease);
    let cell = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(400));
        drop(held);
    });
    assert_eq!(house.store.lease(&house.access, &brain(1)).map(|lease| lease.epoch()).unwrap(), 2);
    cell.join().unwrap();
}

#[test]
fn a_lease_that_was_overtaken_writes_nothing() {
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    let stale = house.create(&brain(1));
    house.append(&stale, "first").unwrap();
    // Somebody tidied the lock away: two processes now hold a lock each, and the epoch alone keeps them apart.
    std::fs::remove_file(dir.path().join("tenants/local/leases").join(brain(1).as_str())).unwrap();
    let second = House::open(dir.path());
    let fresh = second.lease(&brain(1));
    second.append(&fresh, "second").unwrap();
    let error = house.append(&stale, "from the grave").unwrap_err();
    assert!(matches!(error, StoreError::Fenced { .. }), "{error}");
    second.append(&fresh, "third").unwrap();
    assert_eq!(house.texts(&brain(1)).unwrap(), ["first", "second", "third"]);
}

#[test]
fn looking_who_drives_does_not_keep_anyone_from_driving() {
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    drop(house.create(&brain(1)));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                if let Some(pid) = house.store.driven_by(&house.access, &brain(1)) {
                    assert_eq!(pid, std::process::id());
                }
            }
        });
        let taken = (0..100).filter(|_| house.store.lease(&house.access, &brain(1)).is_ok()).count();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(taken, 100);
    });
}
