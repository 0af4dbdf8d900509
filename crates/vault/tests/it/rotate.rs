//! New keys for old, and the end of a key.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use autoshare_core::{BrainId, Digest, Seq, TenantName};
use autoshare_vault::private::{Others, PrivateDir};
use autoshare_vault::{AuditPlace, Place, REFRESH, TenantKey, Vault, VaultError, set_kill_point};

use crate::tenant;

fn with_place<T>(tenant: &TenantName, then: impl FnOnce(&Place<'_>) -> T) -> T {
    let (brain, previous) = (BrainId::from_random([7; 5]), Digest::of(b""));
    then(&Place { tenant, brain: &brain, seq: Seq(1), kind: 1, previous: &previous })
}

pub(crate) fn seal(key: &TenantKey, text: &str) -> Vec<u8> {
    with_place(key.tenant(), |place| key.seal(place, text.as_bytes()).unwrap())
}

pub(crate) fn open(key: &TenantKey, sealed: &[u8]) -> Result<String, VaultError> {
    with_place(key.tenant(), |place| key.open(place, sealed)).map(|text| String::from_utf8(text.to_vec()).unwrap())
}

/// The generation that a sealed text names.
fn generation(sealed: &[u8]) -> u32 {
    u32::from_be_bytes(sealed[1..5].try_into().unwrap())
}

/// Until a key that is in use looks at its file again.
fn wait() {
    std::thread::sleep(REFRESH + REFRESH / 10);
}

fn leftovers(dir: &Path) -> Vec<PathBuf> {
    let below = |dir: PathBuf| std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let all = below(dir.join("keys")).chain(below(dir.join("keys/tenants")));
    all.filter(|path| path.to_string_lossy().ends_with(".new")).collect()
}

#[test]
fn a_new_generation_seals_and_the_old_ones_still_open_wherever_the_key_is_in_use() {
    let dir = crate::tempdir();
    let (vault, elsewhere) = (Vault::open(dir.path()).unwrap(), Vault::open(dir.path()).unwrap());
    let (here, there) = (vault.tenant(&tenant("acme")).unwrap(), elsewhere.tenant(&tenant("acme")).unwrap());
    let first = seal(&here, "first");
    assert_eq!(vault.rotate_tenant(&tenant("acme")).unwrap(), 2);
    let fresh = vault.tenant(&tenant("acme")).unwrap();
    let second = seal(&fresh, "second");
    assert_eq!((generation(&first), generation(&second)), (1, 2));
    // One that is in use opens the new at once, and seals under it soon.
    for key in [&here, &there, &fresh] {
        assert_eq!((open(key, &first).unwrap(), open(key, &second).unwrap()), ("first".into(), "second".into()));
    }
    wait();
    assert_eq!([&here, &there].map(|key| generation(&seal(key, "x"))), [2, 2]);
    // No key of one generation opens what another sealed, whatever is claimed.
    for (sealed, claimed) in [(&first, 2u32), (&second, 1), (&second, 3), (&second, 0), (&second, u32::MAX)] {
        let mut moved = sealed.clone();
        moved[1..5].copy_from_slice(&claimed.to_be_bytes());
        assert!(matches!(open(&fresh, &moved), Err(VaultError::Open)), "{claimed}");
    }
    assert!(matches!(vault.rotate_tenant(&tenant("bolt")), Err(VaultError::NoKey { .. })));
}

#[test]
fn what_was_sealed_before_there_were_generations_still_opens() {
    let dir = crate::tempdir();
    let vault = Vault::open(dir.path()).unwrap();
    let key = vault.tenant(&tenant("acme")).unwrap();
    let sealed = seal(&key, "old");
    let old = [&[1], &sealed[5..]].concat();
    vault.rotate_tenant(&tenant("acme")).unwrap();
    assert_eq!(open(&vault.tenant(&tenant("acme")).unwrap(), &old).unwrap(), "old");
    // And so do key files of that time.
    let file = dir.path().join("keys/tenants/bolt.key");
    let sealed = seal(&vault.tenant(&tenant("bolt")).unwrap(), "old");
    let mut bytes = std::fs::read(&file).unwrap();
    assert_eq!(bytes[7], 2);
    bytes[7] = 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(open(&vault.tenant(&tenant("bolt")).unwrap(), &sealed).unwrap(), "old");
}

#[test]
fn a_machine_key_of_one_root_is_understood_and_gives_way_to_a_new_one() {
    let dir = crate::tempdir();
    let keys = PrivateDir::open(dir.path(), Others::Nothing).unwrap().sub("keys", Others::Nothing).unwrap();
    let root: Vec<u8> = (1..=32).collect();
    keys.create("machine.key", &[b"asharek\x01".as_slice(), &root].concat()).unwrap();
    let vault = Vault::open(dir.path()).unwrap();
    let mark = vault.token_marks().mark(&[b"t"]).unwrap();
    let public = vault.signing_key().unwrap().public();
    let sealed = seal(&vault.tenant(&tenant("acme")).unwrap(), "x");
    vault.rotate_machine().unwrap();
    let after = Vault::open(dir.path()).unwrap();
    assert_eq!(after.token_marks().mark(&[b"t"]).unwrap(), mark, "tokens stay good");
    assert_eq!(after.signing_key().unwrap().public(), public, "signatures stay good");
    assert_eq!(open(&after.tenant(&tenant("acme")).unwrap(), &sealed).unwrap(), "x");
    assert!(!std::fs::read(dir.path().join("keys/machine.key")).unwrap().windows(32).any(|part| part == root));
}

#[test]
fn a_new_machine_key_opens_what_the_old_one_wrapped_and_the_old_one_opens_nothing_any_more() {
    let dir = crate::tempdir();
    let (vault, elsewhere) = (Vault::open(dir.path()).unwrap(), Vault::open(dir.path()).unwrap());
    let file = dir.path().join("keys/machine.key");
    let names = ["acme", "bolt", "cobb"].map(tenant);
    let sealed = names.clone().map(|name| seal(&vault.tenant(&name).unwrap(), name.as_str()));
    let old = std::fs::read(&file).unwrap();
    assert_eq!(vault.rotate_machine().unwrap(), 3);
    assert_ne!(std::fs::read(&file).unwrap(), old);
    assert_eq!(std::fs::read(&file).unwrap().len(), old.len(), "of the wrapping keys one is left");
    for (name, sealed) in names.iter().zip(&sealed) {
        for vault in [&vault, &elsewhere, &Vault::open(dir.path()).unwrap()] {
            assert_eq!(open(&vault.tenant(name).unwrap(), sealed).unwrap(), name.as_str());
        }
    }
    // A process that began before makes keys that one which begins now opens.
    let late = elsewhere.tenant(&tenant("late")).unwrap();
    let sealed = seal(&late, "late");
    assert_eq!(open(&Vault::open(dir.path()).unwrap().tenant(&tenant("late")).unwrap(), &sealed).unwrap(), "late");
    // The control of a rotation: the key of before.
    std::fs::write(&file, old).unwrap();
    let error = Vault::open(dir.path()).unwrap().tenant(&names[0]).unwrap_err();
    assert!(matches!(error, VaultError::Unwrap { .. }), "{error}");
}

#[test]
fn keys_are_renewed_while_others_seal_open_and_make_keys() {
    const ROUNDS: u32 = 30;
    let dir = crate::tempdir();
    let vault = Vault::open(dir.path()).unwrap();
    vault.tenant(&tenant("acme")).unwrap();
    let working = AtomicU32::new(3);
    std::thread::scope(|scope| {
        for worker in 0..3u32 {
            let (working, dir) = (&working, dir.path());
            scope.spawn(move || {
                let vault = Vault::open(dir).unwrap();
                let key = vault.tenant(&tenant("acme")).unwrap();
                let mut kept = Vec::new();
                for round in 0..ROUNDS {
                    kept.push(seal(&key, "x"));
                    kept.push(seal(&Vault::open(dir).unwrap().tenant(&tenant("acme")).unwrap(), "y"));
                    vault.tenant(&tenant(&format!("w{worker}-{round}"))).unwrap();
                    kept.iter().rev().take(5).for_each(|sealed| drop(open(&key, sealed).unwrap()));
                }
                working.fetch_sub(1, Ordering::Relaxed);
                let key = Vault::open(dir).unwrap().tenant(&tenant("acme")).unwrap();
                kept.iter().for_each(|sealed| drop(open(&key, sealed).unwrap()));
            });
        }
        let began = Instant::now();
        let mut rotations = 0;
        while working.load(Ordering::Relaxed) > 0 && began.elapsed() < Duration::from_secs(30) {
            vault.rotate_machine().unwrap();
            vault.rotate_tenant(&tenant("acme")).unwrap();
            rotations += 1;
        }
        assert!(rotations > 1);
    });
    let last = Vault::open(dir.path()).unwrap();
    let names = last.tenants().unwrap();
    assert_eq!(names.len() as u32, 1 + 3 * ROUNDS);
    names.iter().for_each(|name| drop(last.tenant(name).unwrap()));
}

#[test]
fn a_destroyed_key_is_gone_from_the_disk_and_from_whoever_had_it_in_use() {
    let dir = crate::tempdir();
    let vault = Vault::open(dir.path()).unwrap();
    let key = vault.tenant(&tenant("acme")).unwrap();
    let sealed = seal(&key, "x");
    let file = dir.path().join("keys/tenants/acme.key");
    // What a killed process left holds the key too; another name on the same file shows what became of the bytes.
    std::fs::copy(&file, dir.path().join("keys/tenants/.acme.key.0011.new")).unwrap();
    let (bytes, seen) = (std::fs::read(&file).unwrap(), dir.path().join("seen"));
    std::fs::hard_link(&file, &seen).unwrap();
    assert!(vault.destroy(&tenant("acme")).unwrap());
    assert!(!file.exists() && leftovers(dir.path()).is_empty());
    let noise = std::fs::read(&seen).unwrap();
    assert_eq!(noise.len(), bytes.len());
    assert!(!noise.windows(16).any(|part| bytes.windows(16).any(|old| old == part)), "it was overwritten");
    assert!(!vault.holds(&tenant("acme")).unwrap());
    wait();
    for _ in 0..2 {
        let error = open(&key, &sealed).unwrap_err();
        assert!(matches!(error, VaultError::Gone { .. }), "{error}");
    }
    let sealing = with_place(&tenant("acme"), |place| key.seal(place, b"y")).unwrap_err();
    assert!(matches!(sealing, VaultError::Gone { .. }), "{sealing}");
    assert!(!vault.destroy(&tenant("acme")).unwrap());
    // A tenant of the same name is another: nothing of the old one opens.
    let other = vault.tenant(&tenant("acme")).unwrap();
    assert!(matches!(open(&other, &sealed), Err(VaultError::Open)));
}

#[test]
fn f5_an_audit_entry_opens_in_its_place_alone() {
    let dir = crate::tempdir();
    let vault = Vault::open(dir.path()).unwrap();
    let (acme, bolt) = (vault.tenant(&tenant("acme")).unwrap(), vault.tenant(&tenant("bolt")).unwrap());
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    let at = AuditPlace { tenant: acme.tenant(), seq: Seq(3), act: 30, at_ms: 7, previous: &one };
    let sealed = acme.seal_audit(&at, b"x").unwrap();
    assert_eq!(&**acme.open_audit(&at, &sealed).unwrap(), b"x");
    let others = [
        AuditPlace { seq: Seq(4), ..at },
        AuditPlace { act: 31, ..at },
        AuditPlace { at_ms: 8, ..at },
        AuditPlace { previous: &two, ..at },
    ];
    for other in others {
        assert!(matches!(acme.open_audit(&other, &sealed), Err(VaultError::Open)), "{other:?}");
    }
    let moved = AuditPlace { tenant: bolt.tenant(), ..at };
    assert!(matches!(bolt.open_audit(&moved, &sealed), Err(VaultError::Open)), "moved to another tenant");
    assert!(matches!(bolt.open_audit(&at, &sealed), Err(VaultError::Tenant { .. })));
}

const DIR: &str = "AUTOSHARE_VAULT_TEST_DIR";
const ROLE: &str = "AUTOSHARE_VAULT_TEST_ROLE";

#[test]
#[ignore = "not a test of its own: the process that the next test kills"]
fn in_another_process() {
    let dir = PathBuf::from(std::env::var(DIR).unwrap());
    let role = std::env::var(ROLE).unwrap();
    let (what, point) = role.split_once(' ').unwrap();
    let vault = Vault::open(&dir).unwrap();
    set_kill_point(point.parse().unwrap());
    match what {
        "machine" => drop(vault.rotate_machine().unwrap()),
        "tenant" => drop(vault.rotate_tenant(&tenant("acme")).unwrap()),
        _ => drop(vault.destroy(&tenant("acme")).unwrap()),
    }
}

/// Runs `role` and kills it at a point; whether the point was reached.
fn killed(dir: &Path, role: &str, point: u32) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "rotate::in_another_process", "--ignored"]);
    let output = command.env(DIR, dir).env(ROLE, format!("{role} {point}")).output().unwrap();
    let killed = output.status.signal() == Some(9);
    assert!(killed || output.status.success(), "{role} {point}: {output:?}");
    killed
}

#[test]
fn g1_a_rotation_that_is_killed_anywhere_leaves_everything_open_and_the_next_one_ends_it() {
    for role in ["machine", "tenant", "destroy"] {
        let mut point = 1;
        loop {
            let dir = crate::tempdir();
            let vault = Vault::open(dir.path()).unwrap();
            let names = ["acme", "bolt"].map(tenant);
            let sealed = names.clone().map(|name| seal(&vault.tenant(&name).unwrap(), "x"));
            let old = std::fs::read(dir.path().join("keys/machine.key")).unwrap();
            let struck = killed(dir.path(), role, point);
            // After it, and again after a kill in the attempt to go on.
            for again in [0, 3] {
                if again > 0 && struck {
                    killed(dir.path(), role, again);
                }
                let vault = Vault::open(dir.path()).unwrap();
                for (name, sealed) in names.iter().zip(&sealed) {
                    if role == "destroy" && *name == names[0] && !vault.holds(name).unwrap() {
                        continue;
                    }
                    match vault.tenant(name) {
                        Ok(key) => assert_eq!(open(&key, sealed).unwrap(), "x", "{role} {point}"),
                        // Noise by now, not yet removed.
                        Err(VaultError::Format { .. }) if role == "destroy" && *name == names[0] => {}
                        Err(error) => panic!("{role} {point}: {error}"),
                    }
                }
            }
            let vault = Vault::open(dir.path()).unwrap();
            match role {
                "machine" => drop(vault.rotate_machine().unwrap()),
                "tenant" => drop(vault.rotate_tenant(&names[0]).unwrap()),
                _ => {
                    vault.destroy(&names[0]).unwrap();
                    assert!(!vault.holds(&names[0]).unwrap());
                }
            }
            assert!(leftovers(dir.path()).is_empty(), "{role} {point}: {:?}", leftovers(dir.path()));
            assert_eq!(open(&vault.tenant(&names[1]).unwrap(), &sealed[1]).unwrap(), "x");
            if role == "machine" {
                let now = std::fs::read(dir.path().join("keys/machine.key")).unwrap();
                assert!(now.len() == old.len() && now != old, "{role} {point}: one wrapping key is left, and another");
            }
            if !struck {
                break;
            }
            point += 1;
        }
        assert!(point > if role == "destroy" { 1 } else { 3 }, "{role} has {point} points");
    }
}
