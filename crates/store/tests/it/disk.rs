//! G3: disks and files that are not as they should be.

use autoshare_core::Seq;
use autoshare_store::{FORMAT, StoreError};

use crate::{House, brain, child, journal_file, raw};

/// Runs what follows on a small disk of its own, in a mount namespace of its own, then perhaps does the rest.
pub(crate) const SMALL_DISK: &str =
    r#"mount -t tmpfs -o size=2m,mode=0700 none "$AUTOSHARE_STORE_TEST_DIR" && exec "$@""#;
const DISK_GONE_READ_ONLY: &str = r#"
    dir=$AUTOSHARE_STORE_TEST_DIR
    mount -t tmpfs -o size=2m,mode=0700 none "$dir" &&
    AUTOSHARE_STORE_TEST_ROLE=make "$@" &&
    mount -o remount,bind,ro "$dir" &&
    exec "$@""#;

pub(crate) fn unshared(script: &str) -> [&str; 6] {
    ["unshare", "-Urm", "sh", "-c", script, "sh"]
}

#[test]
fn g3_a_full_disk_loses_nothing_and_work_goes_on_when_there_is_room() {
    let dir = crate::tempdir();
    child::run(&unshared(SMALL_DISK), "full", dir.path());
}

#[test]
fn g3_a_read_only_disk_is_named() {
    let dir = crate::tempdir();
    child::run(&unshared(DISK_GONE_READ_ONLY), "readonly", dir.path());
}

#[test]
fn g3_a_damaged_file_gives_an_error_or_the_truth_never_something_else() {
    let dir = crate::tempdir();
    let truth = {
        let house = House::open(dir.path());
        let lease = house.create(&brain(1));
        for i in 0..40 {
            house.append(&lease, &format!("{i}: {}", "z".repeat(300))).unwrap();
        }
        house.texts(&brain(1)).unwrap()
    };
    let file = journal_file(dir.path());
    let good = std::fs::read(&file).unwrap();
    assert!(good.len() > 8 * 4096);
    let (mut told, mut harmless) = (0, 0);
    for round in 0..150usize {
        let mut bad = good.clone();
        match round % 3 {
            // One bit, one page of zeros, one page in another's place.
            0 => bad[(round * 7919) % good.len()] ^= 1 << (round % 8),
            1 => bad[(round / 3) % (good.len() / 4096) * 4096..][..4096].fill(0),
            _ => {
                let (from, to) = (round % (good.len() / 4096), (round / 3) % (good.len() / 4096));
                bad.copy_within(from * 4096..(from + 1) * 4096, to * 4096);
            }
        }
        std::fs::write(&file, &bad).unwrap();
        match House::try_open(dir.path()).and_then(|house| house.texts(&brain(1))) {
            Ok(texts) => {
                assert_eq!(texts, truth, "round {round}");
                harmless += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("journal.db") || error.to_string().contains("no brain"), "{error}");
                told += 1;
            }
        }
        let _ = std::fs::remove_file(file.with_extension("db-wal"));
        let _ = std::fs::remove_file(file.with_extension("db-shm"));
    }
    assert!(told > 50, "{told} damages told, {harmless} harmless");
    std::fs::write(&file, &good).unwrap();
    assert_eq!(House::open(dir.path()).texts(&brain(1)).unwrap(), truth, "the control: the undamaged file");
}

#[test]
fn g3_a_corrupt_page_says_so_and_what_to_do() {
    let dir = crate::tempdir();
    child::run(&[], "make", dir.path());
    let file = journal_file(dir.path());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[4096..].fill(0xff);
    std::fs::write(&file, &bytes).unwrap();
    let result = House::try_open(dir.path()).and_then(|house| house.texts(&brain(1)));
    let error = result.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
}

#[test]
fn what_is_not_a_journal_of_this_format_is_refused_and_left_alone() {
    type Damage = fn(&std::path::Path);
    let cases: [(&str, Damage, &str); 6] = [
        (
            "a newer format",
            |dir| {
                raw(dir).execute("UPDATE meta SET value = ?1", [FORMAT + 1]).unwrap();
            },
            "use the newer autoshare",
        ),
        ("not a database", |dir| std::fs::write(journal_file(dir), "x".repeat(5000)).unwrap(), "is damaged"),
        ("an empty file", |dir| std::fs::write(journal_file(dir), "").unwrap(), "not what autoshare keeps"),
        (
            "another program's",
            |dir| raw(dir).pragma_update(None, "application_id", 1).unwrap(),
            "belongs to another program",
        ),
        ("a trigger less", |dir| raw(dir).execute_batch("DROP TRIGGER record_kept").unwrap(), "tables were changed"),
        (
            "a trigger more",
            |dir| {
                raw(dir).execute_batch("CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM meta; END").unwrap();
            },
            "tables were changed",
        ),
    ];
    for (name, damage, words) in cases {
        let dir = crate::tempdir();
        child::run(&[], "make", dir.path());
        damage(dir.path());
        let before = std::fs::read(journal_file(dir.path())).unwrap();
        let error = House::try_open(dir.path()).err().unwrap_or_else(|| panic!("{name}: opened"));
        assert!(error.to_string().contains(words), "{name}: {error}");
        assert_eq!(std::fs::read(journal_file(dir.path())).unwrap(), before, "{name}: was changed");
    }
}

#[test]
fn a_lost_key_is_told_and_no_new_one_is_made_in_its_place() {
    for (key, words) in
        [("keys/tenants/local.key", "restore keys/tenants/local.key"), ("keys/machine.key", "restore it")]
    {
        let dir = crate::tempdir();
        child::run(&[], "make", dir.path());
        let kept = std::fs::read(dir.path().join(key)).unwrap();
        std::fs::remove_file(dir.path().join(key)).unwrap();
        for _ in 0..2 {
            let error = House::try_open(dir.path()).err().unwrap();
            assert!(error.to_string().contains(words), "{key}: {error}");
            assert!(!dir.path().join(key).exists());
        }
        crate::privacy::write_private(&dir.path().join(key), &kept);
        let house = House::open(dir.path());
        assert_eq!(house.texts(&brain(1)).unwrap(), ["before"]);
    }
}

#[test]
fn a_writer_that_is_kept_out_says_so() {
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    let lease = house.create(&brain(1));
    let mut other = raw(dir.path());
    let held = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let error = house.append(&lease, "x").unwrap_err();
    assert!(matches!(error, StoreError::Busy { seconds: 10, .. }), "{error}");
    assert_eq!(house.store.read(&house.access, &brain(1), Seq(1)).unwrap(), [], "reading goes on");
    drop(held);
    house.append(&lease, "y").unwrap();
    assert_eq!(house.texts(&brain(1)).unwrap(), ["y"]);
}
