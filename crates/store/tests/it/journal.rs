//! What a journal is, on a good day.

use std::time::{SystemTime, UNIX_EPOCH};

use autoshare_core::event::{Event, EventKind, FinishReason};
use autoshare_core::{BrainId, Digest, Seq};
use autoshare_store::{Durability, MAX_EVENTS, MAX_RECORD, StoreError};
use autoshare_vault::{Place, Vault};

use crate::{House, brain, child, note, raw};

#[test]
fn what_is_appended_is_read_back_in_order_by_this_and_the_next_process() {
    let dir = crate::tempdir();
    let events = [
        note("one"),
        Event::Answer { text: "two\u{202e}\0 ".to_owned() },
        Event::Finish { reason: FinishReason::Done, text: String::new() },
    ];
    let before = now_ms();
    {
        let house = House::open(dir.path());
        let lease = house.create(&brain(1));
        let first = house.store.append(&house.access, &lease, &events[..1], Durability::Lazy).unwrap();
        let rest = house.store.append(&house.access, &lease, &events[1..], Durability::Synced).unwrap();
        assert_eq!((first, rest), (vec![Seq(1)], vec![Seq(2), Seq(3)]));
        assert_eq!(house.store.read(&house.access, &brain(1), Seq(1)).unwrap().len(), 3);
    }
    let house = House::open(dir.path());
    let read = house.store.read(&house.access, &brain(1), Seq(1)).unwrap();
    assert_eq!(read.iter().map(|r| r.event.clone()).collect::<Vec<_>>(), events);
    assert_eq!(read.iter().map(|r| r.seq.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(
        read.iter().map(|r| r.kind).collect::<Vec<_>>(),
        [EventKind::Note, EventKind::Answer, EventKind::Finish]
    );
    assert!(read.iter().all(|r| (before..=now_ms()).contains(&r.at_ms)));
}

#[test]
fn reading_may_begin_anywhere() {
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    let lease = house.create(&brain(1));
    for from in 0..=1 {
        assert_eq!(house.store.read(&house.access, &brain(1), Seq(from)).unwrap(), []);
    }
    for i in 1..=5 {
        house.append(&lease, &i.to_string()).unwrap();
    }
    for (from, first) in [(0, 1), (1, 1), (3, 3), (5, 5), (6, 6), (u64::MAX, 6)] {
        let read = house.store.read(&house.access, &brain(1), Seq(from)).unwrap();
        assert_eq!(read.iter().map(|r| r.seq.0).collect::<Vec<_>>(), (first..6).collect::<Vec<_>>(), "from {from}");
    }
}

#[test]
fn g3_a_clock_that_goes_back_does_not_make_times_decrease() {
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    let lease = house.create(&brain(1));
    house.append(&lease, "before").unwrap();
    // As if the clock had shown next year when the last record was written.
    let next_year = now_ms() + 365 * 24 * 3600 * 1000;
    let connection = raw(dir.path());
    let (created_ms, head): (i64, Vec<u8>) =
        connection.query_row("SELECT created_ms, head FROM brain", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let key = Vault::open(dir.path()).unwrap().tenant(house.access.tenant()).unwrap();
    let previous = Digest::from_bytes(head.try_into().unwrap());
    let place = Place { tenant: house.access.tenant(), brain: &brain(1), seq: Seq(1), kind: 0, previous: &previous };
    let next_year_i = i64::try_from(next_year).unwrap();
    let seal = key.seal(&place, &[created_ms.to_be_bytes(), next_year_i.to_be_bytes()].concat()).unwrap();
    connection.execute("UPDATE brain SET updated_ms = ?1, seal = ?2", (next_year_i, seal)).unwrap();
    house.append(&lease, "then").unwrap();
    house.append(&lease, "now").unwrap();
    let read = house.store.read(&house.access, &brain(1), Seq(1)).unwrap();
    assert_eq!((read[1].at_ms, read[2].at_ms), (next_year, next_year));
    assert!(read[0].at_ms < next_year);
}

#[test]
fn brains_are_listed_and_found_by_the_beginning_of_their_id() {
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    let ids = ["7f2k9mqd", "7f3aaaaa", "9zzzzzzz"].map(|id| BrainId::parse(id).unwrap());
    for id in &ids {
        let lease = house.create(id);
        house.append(&lease, "x").unwrap();
    }
    let rows = house.store.brains(&house.access).unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row.records == 1 && row.created_ms <= row.updated_ms && row.created_ms > 0));

    let find = |prefix: &str| house.store.find(&house.access, prefix);
    for (prefix, id) in [("9", &ids[2]), ("7f2", &ids[0]), ("7F3A", &ids[1]), ("7f2k9mqd", &ids[0])] {
        assert_eq!(find(prefix).unwrap(), *id, "{prefix}");
    }
    for prefix in ["8", "7f2k9mqdd", "%", "7_2", "é", "' OR 1=1 --"] {
        let error = find(prefix).unwrap_err();
        assert!(matches!(&error, StoreError::Unknown { given } if given == prefix), "{prefix}: {error}");
        assert!(error.to_string().contains("autoshare ps"), "{error}");
    }
    for prefix in ["", "7", "7f"] {
        let error = find(prefix).unwrap_err();
        assert!(matches!(error, StoreError::Ambiguous { .. }), "{prefix}: {error}");
        assert!(error.to_string().contains("7f2k9mqd, 7f3aaaaa"), "{error}");
    }
}

#[test]
fn an_id_is_used_once_and_an_unknown_brain_is_refused_everywhere() {
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    house.store.create(&house.access, &brain(1)).unwrap();
    let again = house.store.create(&house.access, &brain(1)).unwrap_err();
    assert!(matches!(again, StoreError::Exists { .. }), "{again}");
    assert!(matches!(house.store.lease(&house.access, &brain(2)), Err(StoreError::Unknown { .. })));
    assert!(matches!(house.store.read(&house.access, &brain(2), Seq(1)), Err(StoreError::Unknown { .. })));
    assert_eq!(house.store.driven_by(&house.access, &brain(2)), None);
    assert!(!dir.path().join("tenants/local/leases").join(brain(2).as_str()).exists());
}

#[test]
fn every_limit_has_a_message() {
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    let lease = house.create(&brain(1));
    let frame = serde_json::to_vec(&note("")).unwrap().len();
    house.append(&lease, &"x".repeat(MAX_RECORD - frame)).unwrap();
    let large = house.append(&lease, &"x".repeat(MAX_RECORD - frame + 1)).unwrap_err();
    assert!(large.to_string().contains("16777216 are allowed"), "{large}");
    let many = vec![note("x"); MAX_EVENTS + 1];
    let many = house.store.append(&house.access, &lease, &many, Durability::Lazy).unwrap_err();
    assert!(many.to_string().contains("1024 are allowed"), "{many}");
    assert_eq!(house.texts(&brain(1)).unwrap().len(), 1);
}

#[test]
fn an_append_is_all_or_nothing() {
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    let lease = house.create(&brain(1));
    // The second event meets a record that already bears its number.
    raw(dir.path()).execute("INSERT INTO record VALUES (?1, 2, 0, 10, 1, x'00', x'00')", [brain(1).as_str()]).unwrap();
    let failed = house.store.append(&house.access, &lease, &[note("a"), note("b")], Durability::Lazy);
    assert!(failed.is_err());
    let records: i64 = raw(dir.path()).query_row("SELECT count(*) FROM record", (), |row| row.get(0)).unwrap();
    assert_eq!(records, 1);
}

#[test]
fn threads_append_side_by_side_and_one_that_fails_takes_no_other_down() {
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    // Brain 9 cannot be written: each of its appends fails in whatever batch it lands.
    let blocked = house.create(&brain(9));
    raw(dir.path()).execute("INSERT INTO record VALUES (?1, 1, 0, 10, 1, x'00', x'00')", [brain(9).as_str()]).unwrap();
    std::thread::scope(|scope| {
        for n in 0..6u8 {
            let house = &house;
            scope.spawn(move || {
                let lease = house.create(&brain(n));
                for i in 0..20 {
                    assert_eq!(house.append(&lease, &i.to_string()).unwrap(), [Seq(i + 1)]);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                house.append(&blocked, "x").unwrap_err();
            }
        });
    });
    for n in 0..6 {
        let expected = (0..20).map(|i| i.to_string()).collect::<Vec<_>>();
        assert_eq!(house.texts(&brain(n)).unwrap(), expected, "brain {n}");
    }
}

#[test]
fn processes_that_start_at_once_on_an_empty_directory_share_keys_and_journal() {
    let dir = crate::tempdir();
    let dir = dir.path().join("data");
    let children =
        (0..8).map(|n| child::command(&[], &format!("start {n}"), &dir).spawn().unwrap()).collect::<Vec<_>>();
    // Each waits for the end of its input.
    let outputs = children
        .into_iter()
        .map(|mut child| {
            drop(child.stdin.take());
            child
        })
        .collect::<Vec<_>>();
    for child in outputs {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let house = House::open(&dir);
    for n in 0..8 {
        let expected = (0..5).map(|i| format!("{n}:{i}")).collect::<Vec<_>>();
        assert_eq!(house.texts(&brain(n)).unwrap(), expected);
    }
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
