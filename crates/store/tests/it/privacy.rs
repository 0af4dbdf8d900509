//! What stands on the disk, and who may touch it.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use autoshare_core::event::{AskMode, Attached, Event, Goal, Root, RootMode};
use autoshare_core::usage::Limits;
use autoshare_store::Durability;

use crate::{House, brain, child, journal_file, note};

pub(crate) fn write_private(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// Everything below a directory.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

fn files_with(dir: &Path, needle: &[u8]) -> Vec<PathBuf> {
    walk(dir)
        .into_iter()
        .filter(|path| path.is_file())
        .filter(|path| std::fs::read(path).unwrap().windows(needle.len()).any(|window| window == needle))
        .collect()
}

#[test]
fn c6_no_plaintext_is_in_any_file() {
    const CANARY: &str = "canary-4kJ9xQ2v";
    let dir = crate::tempdir();
    let house = House::open(dir.path());
    let lease = house.create(&brain(1));
    let goal = Event::Goal(Goal {
        text: format!("goal {CANARY}"),
        model: format!("model {CANARY}"),
        tools: Vec::new(),
        limits: Limits::default(),
        roots: vec![Root::new(format!("/{CANARY}"), RootMode::Write)],
        ask: AskMode::Default,
        trusted: vec![Attached { name: format!("trusted {CANARY}"), text: CANARY.to_owned() }],
        token: None,
        attached: vec![Attached { name: format!("attached {CANARY}"), text: CANARY.to_owned() }],
    });
    house.store.append(&house.access, &lease, &[goal, note(CANARY)], Durability::Synced).unwrap();
    assert!(journal_file(dir.path()).with_extension("db-wal").exists(), "the log is looked into as well");
    let nowhere: Vec<PathBuf> = Vec::new();
    for needle in [CANARY, "\"event\"", "feedback"] {
        assert_eq!(files_with(dir.path(), needle.as_bytes()), nowhere, "{needle}");
    }
    // The controls: what is meant to be there is found, in the log and after it was folded into the file.
    assert!(!files_with(dir.path(), brain(1).as_str().as_bytes()).is_empty());
    drop((lease, house));
    for needle in [CANARY, "\"event\"", "feedback"] {
        assert_eq!(files_with(dir.path(), needle.as_bytes()), nowhere, "{needle}");
    }
    assert_eq!(files_with(dir.path(), brain(1).as_str().as_bytes()), [journal_file(dir.path())]);
    let key = std::fs::read(dir.path().join("keys/machine.key")).unwrap();
    assert_eq!(files_with(dir.path(), &key[8..]), [dir.path().join("keys/machine.key")]);
}

#[test]
fn whatever_the_umask_directories_are_0700_and_files_0600() {
    for umask in ["000", "022", "077"] {
        let dir = crate::tempdir();
        let data = dir.path().join("a/data");
        let script = format!("umask {umask}; exec \"$@\"");
        let mut child = child::command(&["sh", "-c", &script, "sh"], "append", &data);
        // Killed in the middle, so that log and index stay behind.
        child::run(&["sh", "-c", &script, "sh"], "make", &data);
        let house = House::open(&data);
        (0..4).filter(|n| *n != 1).for_each(|n| drop(house.create(&brain(n))));
        let mut running = child.spawn().unwrap();
        assert_eq!(child::Said::of(&mut running).take(4).count(), 4);
        let found = walk(&dir.path().join("a"));
        running.kill().unwrap();
        running.wait().unwrap();
        assert!(found.iter().any(|path| path.ends_with("journal.db-wal")));
        assert!(found.iter().any(|path| path.ends_with("journal.db-shm")));
        assert!(found.iter().any(|path| path.ends_with(format!("leases/{}", brain(1)))));
        for path in found {
            let metadata = std::fs::metadata(&path).unwrap();
            let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(metadata.mode() & 0o7777, expected, "umask {umask}: {}", path.display());
        }
    }
}

#[test]
fn what_others_can_write_to_is_refused_by_name() {
    let cases = [
        ("", 0o770),
        ("tenants", 0o702),
        ("tenants/local", 0o720),
        ("tenants/local/leases", 0o777),
        ("tenants/local/journal.db", 0o620),
        ("tenants/local/journal.db", 0o602),
        ("tenants/local/journal.db-wal", 0o606),
        ("keys", 0o710),
        ("keys/tenants", 0o705),
        ("keys/machine.key", 0o640),
        ("keys/tenants/local.key", 0o604),
    ];
    for (name, mode) in cases {
        let dir = crate::tempdir();
        child::run(&[], "make", dir.path());
        let wal = journal_file(dir.path()).with_extension("db-wal");
        if !wal.exists() {
            write_private(&wal, b"");
        }
        House::open(dir.path());
        let path = dir.path().join(name);
        if !path.exists() {
            write_private(&path, b"");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let opened = autoshare_access::Access::local(dir.path())
            .map_err(|e| e.to_string())
            .and_then(|_| House::try_open(dir.path()).map_err(|e| e.to_string()));
        let error = opened.err().unwrap_or_else(|| panic!("{name} {mode:o}: opened"));
        assert!(error.contains(path.to_str().unwrap().trim_end_matches('/')), "{name} {mode:o}: {error}");
        assert!(error.contains("chmod"), "{name} {mode:o}: {error}");
    }
}

#[test]
fn a_link_in_the_place_of_the_journal_is_refused() {
    for name in ["tenants", "tenants/local", "tenants/local/journal.db", "keys", "keys/machine.key"] {
        let dir = crate::tempdir();
        child::run(&[], "make", dir.path());
        let path = dir.path().join(name);
        let moved = dir.path().join("elsewhere");
        std::fs::rename(&path, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &path).unwrap();
        let error = House::try_open(dir.path()).err().unwrap_or_else(|| panic!("{name}: opened")).to_string();
        assert!(error.contains("is not a"), "{name}: {error}");
    }
}

#[test]
fn a_data_directory_behind_a_link_of_the_operator_works() {
    let dir = crate::tempdir();
    std::fs::create_dir(dir.path().join("real")).unwrap();
    std::fs::set_permissions(dir.path().join("real"), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
    child::run(&[], "make", &dir.path().join("link"));
    assert_eq!(House::open(&dir.path().join("real")).texts(&brain(1)).unwrap(), ["before"]);
}
