//! The audit trail. F5: an enemy who can write to its files, and knows their format, but has no key.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use autoshare_access::Access;
use autoshare_core::audit::{Act, Actor, Entry};
use autoshare_core::verdict::Decision;
use autoshare_core::{Digest, Seq};
use autoshare_store::audit::{Audit, MAX_WAITING, SIGN_AFTER, SIGN_EVERY, Verified, verify_export};
use autoshare_store::{Durability, StoreError};
use autoshare_vault::Vault;
use rusqlite::Connection;

use crate::child::{Said, command};

/// A trail, and the access it is used with.
struct House {
    access: Access,
    audit: Audit,
}

impl House {
    fn try_open(dir: &Path) -> Result<Self, StoreError> {
        let access = Access::local(dir).unwrap();
        let audit = Audit::open(dir, &access, &Vault::open(dir)?)?;
        Ok(Self { access, audit })
    }

    fn open(dir: &Path) -> Self {
        Self::try_open(dir).unwrap()
    }

    fn append(&self, about: &str, durability: Durability) -> Result<Seq, StoreError> {
        self.audit.append(&self.access, &entry(about), durability)
    }

    fn verify(&self) -> Result<Verified, StoreError> {
        self.audit.verify(&self.access)
    }

    fn export(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.audit.export(&self.access, &mut out).unwrap();
        out
    }
}

fn entry(about: &str) -> Entry {
    let verdict = Act::Verdict { decision: Decision::Ask, tool: "run".into(), digest: Digest::of(about.as_bytes()) };
    Entry::new(Actor::Local { login: "ann".into() }, verdict, about)
}

/// Three entries and a signed head, and then the same again.
fn two_sessions(dir: &Path) {
    for session in 0..2 {
        let house = House::open(dir);
        (1..=3).for_each(|n| {
            house.append(&format!("entry {}", session * 3 + n), Durability::Synced).unwrap();
        });
    }
}

fn db(dir: &Path) -> PathBuf {
    dir.join("tenants/local/audit.db")
}

fn heads(dir: &Path) -> PathBuf {
    dir.join("audit/local.heads")
}

fn signed_lines(dir: &Path) -> usize {
    std::fs::read_to_string(heads(dir)).unwrap().lines().count()
}

/// Lets `attack` at the tables without their triggers, and puts these back.
fn attack(dir: &Path, sql: &str) {
    let connection = Connection::open(db(dir)).unwrap();
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
    let triggers: Vec<(String, String)> =
        statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(triggers.len(), 3);
    drop(statement);
    triggers.iter().for_each(|(name, _)| connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap());
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    triggers.iter().for_each(|(_, sql)| connection.execute_batch(sql).unwrap());
}

fn copy(from: &Path, to: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        let _ = std::fs::remove_file(name(to));
        if name(from).exists() {
            std::fs::copy(name(from), name(to)).unwrap();
        }
    }
}

#[test]
fn what_is_written_is_read_back_in_order_by_whoever_opens_the_trail() {
    let dir = crate::tempdir();
    two_sessions(dir.path());
    let house = House::open(dir.path());
    let all = house.audit.read(&house.access, Seq(0), 100).unwrap();
    assert_eq!(all.iter().map(|one| one.seq.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        all.iter().map(|one| one.entry.clone()).collect::<Vec<_>>(),
        (1..=6).map(|n| entry(&format!("entry {n}"))).collect::<Vec<_>>()
    );
    assert!(all.is_sorted_by_key(|one| one.at_ms));
    for (from, limit, expected) in [(1, 2, 0..2), (3, 2, 2..4), (5, 9, 4..6), (6, 1, 5..6), (7, 9, 6..6), (99, 9, 6..6)]
    {
        assert_eq!(house.audit.read(&house.access, Seq(from), limit).unwrap(), all[expected], "{from} {limit}");
    }
    let verified = house.verify().unwrap();
    assert_eq!((verified.entries, verified.signed, verified.head), (6, 6, all[5].hash));
    assert_eq!(signed_lines(dir.path()), 2);
    // An empty one holds too.
    let empty = crate::tempdir();
    let verified = House::open(empty.path()).verify().unwrap();
    assert_eq!((verified.entries, verified.signed, verified.signed_ms), (0, 0, None));
}

#[test]
fn f5_any_edit_of_any_byte_of_the_trail_is_found() {
    let dir = crate::tempdir();
    two_sessions(dir.path());
    let good = dir.path().join("good.db");
    copy(&db(dir.path()), &good);
    let blob = |table: &str, column: &str| -> Vec<u8> {
        let sql = format!(
            "SELECT {column} FROM {table} ORDER BY rowid LIMIT 1 OFFSET {}",
            if table == "entry" { 2 } else { 0 }
        );
        Connection::open(&good).unwrap().query_row(&sql, (), |row| row.get(0)).unwrap()
    };
    let mut edits: Vec<String> = Vec::new();
    for (table, column) in [("entry", "hash"), ("entry", "sealed"), ("head", "hash"), ("head", "seal")] {
        let blob = blob(table, column);
        let row = if table == "entry" { "seq = 3" } else { "id = 1" };
        for at in 0..blob.len() {
            let mut bad = blob.clone();
            bad[at] ^= 1;
            let digits: String = bad.iter().map(|byte| format!("{byte:02x}")).collect();
            edits.push(format!("UPDATE {table} SET {column} = x'{digits}' WHERE {row}"));
        }
    }
    for column in ["seq", "at_ms", "act"] {
        for change in ["+ 1", "- 1", "* -1", "* 0", "+ 256"] {
            edits.push(format!("UPDATE OR REPLACE entry SET {column} = {column} {change} WHERE seq = 3"));
        }
    }
    for column in ["entries", "at_ms", "signed"] {
        for change in ["+ 1", "- 1", "* -1", "* 0"] {
            edits.push(format!("UPDATE head SET {column} = {column} {change}"));
        }
    }
    edits.push("UPDATE entry SET hash = x'' WHERE seq = 3".to_owned());
    edits.push("UPDATE entry SET sealed = x'' WHERE seq = 3".to_owned());
    edits.push("DELETE FROM head".to_owned());
    assert!(edits.len() > 200);
    for edit in &edits {
        copy(&good, &db(dir.path()));
        let rows = || {
            let connection = Connection::open(db(dir.path())).unwrap();
            let mut all = Vec::new();
            for table in ["entry", "head"] {
                let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
                let columns = statement.column_count();
                let row =
                    |row: &rusqlite::Row<'_>| (0..columns).map(|at| row.get::<_, rusqlite::types::Value>(at)).collect();
                all.extend(statement.query_map((), row).unwrap().collect::<Result<Vec<Vec<_>>, _>>().unwrap());
            }
            all
        };
        let before = rows();
        attack(dir.path(), edit);
        assert!(rows() != before, "{edit}: changed nothing");
        let error = House::try_open(dir.path()).and_then(|house| house.verify()).expect_err(edit);
        assert!(matches!(error, StoreError::Trail { .. }), "{edit}: {error}");
    }
    copy(&good, &db(dir.path()));
    assert_eq!(House::open(dir.path()).verify().unwrap().entries, 6, "the control");
}

#[test]
fn f5_an_entry_cut_out_swapped_doubled_or_brought_from_elsewhere_is_found() {
    let dir = crate::tempdir();
    two_sessions(dir.path());
    // Another trail under the same keys.
    let other = crate::tempdir();
    std::process::Command::new("cp").arg("-a").arg(dir.path().join("keys")).arg(other.path()).status().unwrap();
    two_sessions(other.path());
    let good = dir.path().join("good.db");
    copy(&db(dir.path()), &good);
    let from_other = |to: &str| format!("ATTACH '{}' AS other; {to}; DETACH other", db(other.path()).display());
    let cases = [
        ("the first", "DELETE FROM entry WHERE seq = 1".to_owned()),
        ("one in the middle", "DELETE FROM entry WHERE seq = 3".to_owned()),
        ("one, and the gap closed", "DELETE FROM entry WHERE seq = 3; UPDATE entry SET seq = -seq WHERE seq > 3; UPDATE entry SET seq = -seq - 1 WHERE seq < 0".to_owned()),
        ("the last", "DELETE FROM entry WHERE seq = 6".to_owned()),
        ("the last, and the end moved", "DELETE FROM entry WHERE seq = 6; UPDATE head SET entries = 5, hash = (SELECT hash FROM entry WHERE seq = 5)".to_owned()),
        ("all", "DELETE FROM entry".to_owned()),
        ("all, and the end", "DELETE FROM entry; DELETE FROM head".to_owned()),
        ("two swapped", "UPDATE entry SET seq = 99 WHERE seq = 3; UPDATE entry SET seq = 3 WHERE seq = 4; UPDATE entry SET seq = 4 WHERE seq = 99".to_owned()),
        ("one twice", "UPDATE entry SET (at_ms, act, hash, sealed) = (SELECT at_ms, act, hash, sealed FROM entry WHERE seq = 2) WHERE seq = 5".to_owned()),
        ("one again as the next", "INSERT INTO entry SELECT 7, at_ms, act, hash, sealed FROM entry WHERE seq = 6".to_owned()),
        ("one before the first", "INSERT INTO entry SELECT 0, at_ms, act, hash, sealed FROM entry WHERE seq = 6".to_owned()),
        ("one of another trail", from_other("UPDATE entry SET (at_ms, act, hash, sealed) = (SELECT at_ms, act, hash, sealed FROM other.entry WHERE seq = 3) WHERE seq = 3")),
        ("the last of another trail, with its end", from_other("DELETE FROM entry; INSERT INTO entry SELECT * FROM other.entry; DELETE FROM head; INSERT INTO head SELECT * FROM other.head")),
    ];
    for (name, sql) in cases {
        copy(&good, &db(dir.path()));
        attack(dir.path(), &sql);
        let error = House::try_open(dir.path()).and_then(|house| house.verify()).expect_err(name);
        assert!(matches!(error, StoreError::Trail { .. }), "{name}: {error}");
        assert!(error.to_string().contains("edited, cut or set back"), "{name}: {error}");
    }
    copy(&good, &db(dir.path()));
    let house = House::open(dir.path());
    assert_eq!(house.append("goes on", Durability::Synced).unwrap(), Seq(7), "the control");
    assert_eq!(house.verify().unwrap().entries, 7);
}

#[test]
fn f5_nothing_is_appended_behind_an_end_that_was_changed() {
    let dir = crate::tempdir();
    two_sessions(dir.path());
    let house = House::open(dir.path());
    attack(
        dir.path(),
        "DELETE FROM entry WHERE seq = 6; UPDATE head SET entries = 5, hash = (SELECT hash FROM entry WHERE seq = 5)",
    );
    let error = house.append("x", Durability::Synced).unwrap_err();
    assert!(matches!(error, StoreError::Trail { .. }), "{error}");
}

#[test]
fn f5_a_whole_trail_set_back_to_an_earlier_state_of_itself_is_found() {
    let dir = crate::tempdir();
    let (early, early_heads) = (dir.path().join("early.db"), dir.path().join("early.heads"));
    House::open(dir.path()).append("1", Durability::Synced).unwrap();
    copy(&db(dir.path()), &early);
    copy(&heads(dir.path()), &early_heads);
    for n in 2..5 {
        House::open(dir.path()).append(&n.to_string(), Durability::Synced).unwrap();
    }
    let (late, late_heads) = (dir.path().join("late.db"), dir.path().join("late.heads"));
    copy(&db(dir.path()), &late);
    copy(&heads(dir.path()), &late_heads);
    let lines = std::fs::read_to_string(&late_heads).unwrap();
    assert_eq!(lines.lines().count(), 4);

    copy(&early, &db(dir.path()));
    let error = House::try_open(dir.path()).err().unwrap();
    assert!(matches!(error, StoreError::Trail { seq: Seq(4), .. }), "{error}");
    assert!(error.to_string().contains("is missing, and a head of it was signed"), "{error}");
    // The file gone altogether.
    copy(Path::new("/nonexistent"), &db(dir.path()));
    let error = House::try_open(dir.path()).err().unwrap();
    assert!(matches!(error, StoreError::Trail { seq: Seq(4), .. }), "{error}");
    // Its heads set back instead.
    copy(&late, &db(dir.path()));
    copy(&early_heads, &heads(dir.path()));
    let error = House::open(dir.path()).verify().unwrap_err();
    assert!(matches!(error, StoreError::Heads { line: 2, .. }), "{error}");
    // The limit of what can be told here: both set back together. A copy of the heads elsewhere tells.
    copy(&early, &db(dir.path()));
    assert_eq!(House::open(dir.path()).verify().unwrap().entries, 1);
    // The control.
    copy(&late, &db(dir.path()));
    copy(&late_heads, &heads(dir.path()));
    assert_eq!(House::open(dir.path()).verify().unwrap().entries, 4);
}

#[test]
fn f5_any_edit_or_cut_of_the_heads_is_found() {
    let dir = crate::tempdir();
    for n in 1..4 {
        House::open(dir.path()).append(&n.to_string(), Durability::Synced).unwrap();
    }
    let good = std::fs::read(heads(dir.path())).unwrap();
    let lines: Vec<&[u8]> = good.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 3);
    let other = crate::tempdir();
    House::open(other.path()).append("1", Durability::Synced).unwrap();
    let foreign = std::fs::read(heads(other.path())).unwrap();
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("empty".into(), Vec::new()),
        ("first cut".into(), [lines[1], lines[2]].concat()),
        ("middle cut".into(), [lines[0], lines[2]].concat()),
        ("last cut".into(), [lines[0], lines[1]].concat()),
        ("swapped".into(), [lines[1], lines[0], lines[2]].concat()),
        ("doubled".into(), [lines[0], lines[1], lines[1], lines[2]].concat()),
        ("another machine's".into(), [&foreign, lines[1], lines[2]].concat()),
        ("another machine's added".into(), [&good, foreign.as_slice()].concat()),
        ("a line of noise".into(), [lines[0], b"noise\n", lines[1], lines[2]].concat()),
        ("a long line".into(), [lines[0], lines[1], &vec![b'x'; 3000], b"\n", lines[2]].concat()),
    ];
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        cases.push((format!("byte {at}"), bad));
    }
    for len in (1..good.len()).step_by(7) {
        cases.push((format!("cut to {len}"), good[..len].to_vec()));
    }
    for (name, bad) in cases {
        std::fs::write(heads(dir.path()), bad).unwrap();
        let error = House::try_open(dir.path()).and_then(|house| house.verify()).expect_err(&name);
        assert!(matches!(error, StoreError::Heads { .. } | StoreError::Trail { .. }), "{name}: {error}");
    }
    std::fs::write(heads(dir.path()), &good).unwrap();
    assert_eq!(House::open(dir.path()).verify().unwrap().signed, 3, "the control");
    // What a power cut leaves of a head that was being written is no head, and in nobody's way.
    std::fs::write(heads(dir.path()), [&good, &lines[0][..50]].concat()).unwrap();
    let house = House::open(dir.path());
    assert_eq!(house.verify().unwrap().signed, 3);
    house.append("4", Durability::Synced).unwrap();
    drop(house);
    assert_eq!(House::open(dir.path()).verify().unwrap().signed, 4);
}

#[test]
fn heads_are_signed_after_so_many_entries_and_after_a_while_and_when_they_cannot_be_appending_ends() {
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    let signed = |least: u64, within: Duration| {
        let began = Instant::now();
        while house.verify().unwrap().signed < least {
            assert!(began.elapsed() < within, "{least} were not signed");
            std::thread::sleep(Duration::from_millis(20));
        }
        began.elapsed()
    };
    for n in 0..SIGN_EVERY {
        house.append(&n.to_string(), Durability::Lazy).unwrap();
    }
    signed(SIGN_EVERY, SIGN_AFTER / 2);
    house.append("late", Durability::Lazy).unwrap();
    assert_eq!(house.verify().unwrap().signed, SIGN_EVERY, "not at once");
    signed(SIGN_EVERY + 1, SIGN_AFTER * 2);

    let (file, away) = (heads(dir.path()), dir.path().join("away"));
    std::fs::rename(&file, &away).unwrap();
    std::fs::create_dir(&file).unwrap();
    let mut taken = 0;
    let error = loop {
        match house.append("x", Durability::Lazy) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(taken, MAX_WAITING);
    assert!(matches!(error, StoreError::Unsigned { waiting: MAX_WAITING, .. }), "{error}");
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&away, &file).unwrap();
    drop(house);
    let house = House::open(dir.path());
    house.append("x", Durability::Synced).unwrap();
    assert_eq!(house.verify().unwrap().entries, SIGN_EVERY + 1 + MAX_WAITING + 1);
}

#[test]
fn threads_share_transactions_and_processes_one_chain_and_a_kill_loses_nothing() {
    let dir = crate::tempdir();
    let mut children: Vec<_> = (0..2).map(|_| command(&[], "audit", dir.path()).spawn().unwrap()).collect();
    let house = House::open(dir.path());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let house = &house;
            scope.spawn(move || {
                for n in 0..25 {
                    let durability = if n % 5 == 0 { Durability::Synced } else { Durability::Lazy };
                    house.append(&format!("here {thread} {n}"), durability).unwrap();
                }
            });
        }
    });
    let mut acknowledged = 100;
    for child in &mut children {
        let mut said = Said::of(child);
        acknowledged += said.by_ref().take(30).count();
        child.kill().unwrap();
        acknowledged += said.count();
        child.wait().unwrap();
    }
    drop(house);
    let house = House::open(dir.path());
    let verified = house.verify().unwrap();
    assert!(verified.entries >= acknowledged as u64 && acknowledged >= 160, "{acknowledged}: {verified:?}");
    let here = house.audit.read(&house.access, Seq(1), usize::MAX).unwrap();
    assert_eq!(here.iter().filter(|one| one.entry.about.as_str().starts_with("here")).count(), 100);
}

/// Appends from two threads until killed, and says what was acknowledged.
pub(crate) fn append(dir: &Path, say: fn(Seq)) {
    let house = House::open(dir);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let house = &house;
            scope.spawn(move || {
                for n in 0u64.. {
                    say(house.append(&format!("child {thread} {n}"), Durability::Lazy).unwrap());
                }
            });
        }
    });
}

#[test]
fn an_export_is_checked_with_the_public_key_alone_and_any_edit_of_it_is_found() {
    let dir = crate::tempdir();
    two_sessions(dir.path());
    let house = House::open(dir.path());
    house.append("last", Durability::Lazy).unwrap();
    let key = *house.audit.public_key();
    let good = house.export();
    let check = |bytes: &[u8]| verify_export(&mut &*bytes, &key);
    let verified = check(&good).unwrap();
    assert_eq!(verified, house.verify().unwrap(), "what was exported is what is there");
    assert_eq!((verified.entries, verified.signed), (7, 7), "a head is signed for it");
    let text = String::from_utf8(good.clone()).unwrap();
    assert!(text.contains("\"about\":\"entry 3\"") && text.contains(&format!("{key}")));

    let lines: Vec<&[u8]> = good.split_inclusive(|byte| *byte == b'\n').collect();
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat().concat();
    let last_signed = lines.len() - 1;
    for at in 0..last_signed {
        // A head alone may be left out of the middle only if the next one does not name it, and each does.
        check(&without(at)).expect_err(&format!("line {at} left out"));
    }
    for at in 0..last_signed {
        let mut swapped = lines.clone();
        swapped.swap(at, at + 1);
        check(&swapped.concat()).expect_err(&format!("lines {at} and the next swapped"));
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        check(&bad).expect_err(&format!("byte {at}"));
    }
    // What was cut behind a head is not vouched for, and that is said.
    assert_eq!(check(&without(last_signed)).map(|cut| (cut.entries, cut.signed)).unwrap(), (7, 6));
    let other = House::open(crate::tempdir().path()).audit.public_key().to_owned();
    let error = verify_export(&mut good.as_slice(), &other).unwrap_err();
    assert!(matches!(error, StoreError::Export { line: 1, .. }), "{error}");
    let renamed = text.replace("\"local\"", "\"bolt\"");
    check(renamed.as_bytes()).expect_err("as another tenant's");
}

#[test]
fn the_trail_goes_on_under_new_keys_and_says_so_when_its_key_was_destroyed() {
    let dir = crate::tempdir();
    two_sessions(dir.path());
    let vault = Vault::open(dir.path()).unwrap();
    let house = House::open(dir.path());
    vault.rotate_machine().unwrap();
    vault.rotate_tenant(house.access.tenant()).unwrap();
    std::thread::sleep(autoshare_vault::REFRESH + Duration::from_millis(50));
    house.append("under the new key", Durability::Synced).unwrap();
    assert_eq!(house.verify().unwrap().entries, 7);
    drop(house);
    vault.destroy(Access::local(dir.path()).unwrap().tenant()).unwrap();
    for _ in 0..2 {
        let error = House::try_open(dir.path()).err().unwrap();
        assert!(matches!(error, StoreError::KeyMissing { .. }), "{error}");
    }
}

#[test]
fn c6_no_plaintext_of_an_entry_is_on_the_disk() {
    const CANARY: &str = "canary-Q7w2ZpL1";
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    house.append(CANARY, Durability::Synced).unwrap();
    let holds = |needle: &str| {
        let files = ["tenants/local/audit.db", "tenants/local/audit.db-wal", "audit/local.heads"];
        files.iter().any(|file| {
            std::fs::read(dir.path().join(file))
                .is_ok_and(|bytes| bytes.windows(needle.len()).any(|part| part == needle.as_bytes()))
        })
    };
    assert!(!holds(CANARY) && !holds("verdict") && !holds("\"ann\""));
    // The digest of what it says, which could be guessed at, neither: it is salted.
    let json = serde_json::to_vec(&entry(CANARY)).unwrap();
    assert!(!holds(&Digest::of(&json).to_string()));
    assert!(holds("CREATE TABLE entry"), "the control");
}
