//! F5: an enemy who can write to the database, and knows its format, but has no key.

use std::path::Path;

use autoshare_core::{Digest, Seq};
use autoshare_store::StoreError;
use rusqlite::Connection;

use crate::{House, brain, raw};

const RECORDS: u64 = 6;

/// Two brains of six records each, written by processes that have ended.
fn house(dir: &Path) {
    let house = House::open(dir);
    for n in [1, 2] {
        let lease = house.create(&brain(n));
        for i in 1..=RECORDS {
            house.append(&lease, &format!("brain {n}, record {i}")).unwrap();
        }
    }
}

/// Lets `attack` at the tables without their triggers, and puts these back, so that nothing is seen from the schema.
fn attack(dir: &Path, attack: impl FnOnce(&Connection)) {
    let connection = raw(dir);
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
    let triggers = statement
        .query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .unwrap()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    assert_eq!(triggers.len(), 3);
    drop(statement);
    triggers.iter().for_each(|(name, _)| connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap());
    attack(&connection);
    triggers.iter().for_each(|(_, sql)| connection.execute_batch(sql).unwrap());
}

/// Computes all hashes of a brain anew, as the format is public.
fn chain_anew(connection: &Connection, tenant: &str, brain: &str) {
    let mut previous = Digest::of_parts(&[b"autoshare/journal/1", tenant.as_bytes(), brain.as_bytes()]);
    let mut statement =
        connection.prepare("SELECT seq, at_ms, kind, epoch, sealed FROM record WHERE brain = ?1 ORDER BY seq").unwrap();
    let rows = statement
        .query_map([brain], |r| {
            Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?, r.get::<_, i64>(2)?, r.get::<_, i64>(3)?, r.get(4)?))
        })
        .unwrap()
        .collect::<Result<Vec<(_, _, _, _, Vec<u8>)>, _>>()
        .unwrap();
    for (seq, at_ms, kind, epoch, sealed) in rows {
        previous = Digest::of_parts(&[
            b"autoshare/chain/1",
            previous.as_bytes(),
            tenant.as_bytes(),
            brain.as_bytes(),
            &seq.to_be_bytes(),
            &[u8::try_from(kind).unwrap_or(u8::MAX)],
            &at_ms.to_be_bytes(),
            &epoch.to_be_bytes(),
            &sealed,
        ]);
        let row = (brain, seq, previous.as_bytes());
        connection.execute("UPDATE record SET hash = ?3 WHERE brain = ?1 AND seq = ?2", row).unwrap();
    }
    let row = (brain, previous.as_bytes());
    connection.execute("UPDATE brain SET head = ?2 WHERE id = ?1", row).unwrap();
}

#[test]
fn f5_the_control_an_enemy_who_changes_nothing_is_not_noticed() {
    let dir = crate::tempdir();
    house(dir.path());
    let heads = |dir: &Path| -> Vec<Vec<u8>> {
        let connection = raw(dir);
        let mut statement = connection.prepare("SELECT hash FROM record ORDER BY brain, seq").unwrap();
        statement.query_map((), |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let before = heads(dir.path());
    attack(dir.path(), |connection| chain_anew(connection, "local", brain(1).as_str()));
    assert_eq!(heads(dir.path()), before, "the test computes hashes as the store does");
    let house = House::open(dir.path());
    assert_eq!(house.texts(&brain(1)).unwrap().len() as u64, RECORDS);
    house.append(&house.lease(&brain(1)), "goes on").unwrap();
}

#[test]
fn f5_any_edit_move_swap_cut_or_return_of_a_record_is_found() {
    let (a, b) = (brain(1), brain(2));
    let (a, b) = (a.as_str(), b.as_str());
    // What is done; the record at which reading stops; whether the end is concerned, so that appending is refused too.
    let cases: [(&str, String, u64, bool); 23] = [
        ("when it was made", format!("UPDATE brain SET created_ms = 1 WHERE id = '{a}'"), 6, true),
        ("when it grew last", format!("UPDATE brain SET updated_ms = updated_ms + 1 WHERE id = '{a}'"), 6, true),
        ("a bit of a sealed text", flip("sealed", 3), 3, false),
        ("the last record's sealed text", flip("sealed", 6), 6, false),
        ("a hash", flip("hash", 3), 3, false),
        ("the last hash", flip("hash", 6), 6, false),
        ("a time", format!("UPDATE record SET at_ms = at_ms + 1 WHERE brain = '{a}' AND seq = 2"), 2, false),
        ("a negative time", format!("UPDATE record SET at_ms = -1 WHERE brain = '{a}' AND seq = 2"), 2, false),
        ("an epoch", format!("UPDATE record SET epoch = 7 WHERE brain = '{a}' AND seq = 2"), 2, false),
        ("a kind", format!("UPDATE record SET kind = 9 WHERE brain = '{a}' AND seq = 4"), 4, false),
        ("a kind that is none", format!("UPDATE record SET kind = 999 WHERE brain = '{a}' AND seq = 4"), 4, false),
        ("another brain's record", copy(b, 3, a, 3), 3, false),
        ("another brain's last record", copy(b, 6, a, 6), 6, false),
        ("an old record again", copy(a, 2, a, 5), 5, false),
        (
            "an old record as the next",
            format!(
                "INSERT INTO record SELECT brain, 7, at_ms, kind, epoch, hash, sealed FROM record WHERE brain = '{a}' AND seq = 6"
            ),
            7,
            false,
        ),
        (
            "two records swapped",
            format!(
                "UPDATE record SET seq = 99 WHERE brain = '{a}' AND seq = 3; \
                 UPDATE record SET seq = 3 WHERE brain = '{a}' AND seq = 4; \
                 UPDATE record SET seq = 4 WHERE brain = '{a}' AND seq = 99"
            ),
            3,
            false,
        ),
        ("the first cut out", format!("DELETE FROM record WHERE brain = '{a}' AND seq = 1"), 1, false),
        ("one cut out", format!("DELETE FROM record WHERE brain = '{a}' AND seq = 3"), 3, false),
        (
            "one cut out and the gap closed",
            format!(
                "DELETE FROM record WHERE brain = '{a}' AND seq = 3; \
                 UPDATE record SET seq = seq - 1 WHERE brain = '{a}' AND seq > 3; \
                 UPDATE brain SET records = 5 WHERE id = '{a}'"
            ),
            5,
            true,
        ),
        ("the last cut off", format!("DELETE FROM record WHERE brain = '{a}' AND seq = 6"), 6, false),
        ("all cut off", format!("DELETE FROM record WHERE brain = '{a}'"), 1, false),
        (
            "the last cut off and the head made to fit",
            format!(
                "DELETE FROM record WHERE brain = '{a}' AND seq = 6; UPDATE brain SET records = 5, \
                 head = (SELECT hash FROM record WHERE brain = '{a}' AND seq = 5) WHERE id = '{a}'"
            ),
            5,
            true,
        ),
        (
            "another brain's head",
            format!(
                "UPDATE brain SET (records, head, seal) = (SELECT records, head, seal FROM brain WHERE id = '{b}') \
                 WHERE id = '{a}'"
            ),
            6,
            true,
        ),
    ];
    for (name, sql, seq, at_end) in cases {
        // As it stands, and with all hashes computed anew, which undoes an attack on a hash alone.
        let chains: &[bool] = if name.ends_with("hash") { &[false] } else { &[false, true] };
        for &anew in chains {
            let dir = crate::tempdir();
            house(dir.path());
            attack(dir.path(), |connection| {
                connection.execute_batch(&sql).unwrap_or_else(|e| panic!("{name}: {e}"));
                if anew {
                    chain_anew(connection, "local", a);
                }
            });
            let house = House::open(dir.path());
            let error = house.texts(&brain(1)).err().unwrap_or_else(|| panic!("{name}, anew {anew}: read"));
            let StoreError::Broken { seq: found, .. } = &error else { panic!("{name}, anew {anew}: {error:?}") };
            if !anew {
                assert_eq!(found.0, seq, "{name}: {error}");
            }
            assert!(error.to_string().contains("restore"), "{name}: {error}");
            assert_eq!(house.texts(&brain(2)).unwrap().len() as u64, RECORDS, "{name}: the other brain is unharmed");
            if at_end {
                let refused = house.store.lease(&house.access, &brain(1));
                assert!(matches!(refused, Err(StoreError::Broken { .. })), "{name}: {refused:?}");
            }
        }
    }
}

#[test]
fn f5_nothing_is_appended_behind_an_end_that_was_changed_under_a_lease() {
    let dir = crate::tempdir();
    house(dir.path());
    let house = House::open(dir.path());
    let lease = house.lease(&brain(1));
    attack(dir.path(), |connection| {
        let sql = format!(
            "DELETE FROM record WHERE brain = '{0}' AND seq = 6; UPDATE brain SET records = 5, \
             head = (SELECT hash FROM record WHERE brain = '{0}' AND seq = 5) WHERE id = '{0}'",
            brain(1)
        );
        connection.execute_batch(&sql).unwrap();
    });
    let error = house.append(&lease, "x").unwrap_err();
    assert!(matches!(error, StoreError::Broken { seq: Seq(5), .. }), "{error}");
}

#[test]
fn f5_a_whole_journal_under_another_brains_name_does_not_open() {
    let dir = crate::tempdir();
    house(dir.path());
    attack(dir.path(), |connection| {
        let sql = format!(
            "UPDATE record SET brain = 'new' || brain; UPDATE brain SET id = 'new' || id; \
             UPDATE record SET brain = '{0}' WHERE brain = 'new{1}'; UPDATE brain SET id = '{0}' WHERE id = 'new{1}'; \
             UPDATE record SET brain = '{1}' WHERE brain = 'new{0}'; UPDATE brain SET id = '{1}' WHERE id = 'new{0}'",
            brain(1),
            brain(2)
        );
        connection.execute_batch(&sql).unwrap();
        chain_anew(connection, "local", brain(1).as_str());
        chain_anew(connection, "local", brain(2).as_str());
    });
    let house = House::open(dir.path());
    for n in [1, 2] {
        let error = house.texts(&brain(n)).unwrap_err();
        assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    }
}

#[test]
fn f5_another_tenants_records_and_another_tenants_file_do_not_open() {
    let (one, two) = (crate::tempdir(), crate::tempdir());
    house(one.path());
    house(two.path());
    // One record.
    attack(one.path(), |connection| {
        connection.execute("ATTACH ?1 AS two", [crate::journal_file(two.path()).to_str().unwrap()]).unwrap();
        let sql = format!(
            "UPDATE record SET (at_ms, kind, epoch, hash, sealed) = (SELECT at_ms, kind, epoch, hash, sealed \
             FROM two.record t WHERE t.brain = '{0}' AND t.seq = 2) WHERE brain = '{0}' AND seq = 2; DETACH two",
            brain(1)
        );
        connection.execute_batch(&sql).unwrap();
        chain_anew(connection, "local", brain(1).as_str());
    });
    let error = House::open(one.path()).texts(&brain(1)).unwrap_err();
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    // The whole file, with head and seals.
    std::fs::copy(crate::journal_file(two.path()), crate::journal_file(one.path())).unwrap();
    let error = House::open(one.path()).texts(&brain(1)).unwrap_err();
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
}

#[test]
fn f5_the_file_itself_refuses_a_change_by_mistake() {
    let dir = crate::tempdir();
    house(dir.path());
    for sql in ["UPDATE record SET at_ms = 0", "DELETE FROM record", "DELETE FROM brain"] {
        let error = raw(dir.path()).execute_batch(sql).unwrap_err().to_string();
        assert!(error.contains("never"), "{sql}: {error}");
    }
}

#[test]
fn f5_reading_from_later_trusts_no_stored_hash() {
    let dir = crate::tempdir();
    house(dir.path());
    attack(dir.path(), |connection| connection.execute_batch(&flip("hash", 3)).unwrap());
    let house = House::open(dir.path());
    let read = |from| house.store.read(&house.access, &brain(1), Seq(from));
    assert!(matches!(read(4), Err(StoreError::Broken { seq: Seq(4), .. })), "sealed to the true hash of 3");
    assert_eq!(read(5).unwrap().len(), 2);
}

/// Changes one bit in the middle of a column of brain 1.
fn flip(column: &str, seq: u64) -> String {
    format!(
        "UPDATE record SET {column} = CAST(substr({column}, 1, 20) || \
         CASE substr({column}, 21, 1) WHEN x'00' THEN x'01' ELSE x'00' END || substr({column}, 22) AS BLOB) \
         WHERE brain = '{}' AND seq = {seq}",
        brain(1)
    )
}

fn copy(from: &str, from_seq: u64, to: &str, to_seq: u64) -> String {
    format!(
        "UPDATE record SET (at_ms, kind, epoch, hash, sealed) = (SELECT at_ms, kind, epoch, hash, sealed \
         FROM record r WHERE r.brain = '{from}' AND r.seq = {from_seq}) WHERE brain = '{to}' AND seq = {to_seq}"
    )
}
