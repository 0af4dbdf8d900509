//! G1: death at any instant.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use autoshare_core::Seq;
use autoshare_core::event::Event;

use crate::child::{Said, command};
use crate::{House, brain};

#[test]
fn g1_whatever_was_acknowledged_before_a_kill_is_there_afterwards() {
    const ROUNDS: u64 = 12;
    let dir = crate::tempdir();
    {
        let house = House::open(dir.path());
        (0..4).for_each(|n| drop(house.create(&brain(n))));
    }
    let mut total = 0;
    for round in 0..ROUNDS {
        let mut child = command(&[], "append", dir.path()).spawn().unwrap();
        let mut said = Said::of(&mut child);
        let mut acknowledged = BTreeMap::new();
        let mut note = |line: String| {
            let (n, seq) = line.split_once(' ').unwrap();
            acknowledged.insert(n.parse::<u8>().unwrap(), seq.parse::<u64>().unwrap());
        };
        said.by_ref().take(20).for_each(&mut note);
        // At another point of its loop each time, also within the fsync.
        std::thread::sleep(Duration::from_micros(700 * round));
        child.kill().unwrap();
        said.for_each(&mut note);
        child.wait().unwrap();
        let house = House::open(dir.path());
        for (n, seq) in acknowledged {
            let read = house.store.read(&house.access, &brain(n), Seq(1)).unwrap();
            assert!(read.len() as u64 >= seq, "round {round}, brain {n}: {seq} acknowledged, {} there", read.len());
            total += seq;
            // An append is of 1 to 3 equal events, and never there in part.
            let last = read.last().unwrap();
            let Event::Note { text, .. } = &last.event else { panic!("{last:?}") };
            let i = text.split(':').nth(1).unwrap().parse::<usize>().unwrap();
            let same = read.iter().rev().take_while(|record| record.event == last.event).count();
            assert_eq!(same, 1 + i % 3, "round {round}, brain {n}: an append in part");
        }
    }
    assert!(total > ROUNDS * 20);
}

#[test]
fn g1_a_kill_point_strikes_before_or_after_the_chosen_append() {
    // (append, side) => what was said before death, what is in the journal
    let cases = [
        (1, "before", vec![], vec!["0"]),
        (1, "after", vec![], vec!["0", "1"]),
        (3, "before", vec!["1", "2"], vec!["0", "1", "2"]),
        (3, "after", vec!["1", "2"], vec!["0", "1", "2", "3"]),
    ];
    for (append, when, said, there) in cases {
        let dir = crate::tempdir();
        let mut child = command(&[], &format!("kill {append} {when}"), dir.path()).spawn().unwrap();
        let heard = Said::of(&mut child).collect::<Vec<_>>();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "{append} {when}");
        assert_eq!(heard, said, "{append} {when}");
        assert_eq!(House::open(dir.path()).texts(&brain(1)).unwrap(), there, "{append} {when}");
    }
    let dir = crate::tempdir();
    let mut child = command(&[], "kill 6 before", dir.path()).spawn().unwrap();
    assert_eq!(Said::of(&mut child).count(), 5, "a point that is not reached kills nobody");
    assert!(child.wait().unwrap().success());
}
