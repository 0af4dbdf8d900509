//! Copies of everything while it is in use, and the way back.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use autoshare_access::{Access, Grant, Tokens};
use autoshare_core::Seq;
use autoshare_core::audit::{Act, Actor, Entry};
use autoshare_core::origin::Origin;
use autoshare_store::audit::Audit;
use autoshare_store::backup::{LEFT_OUT, Manifest, back_up, restore};
use autoshare_store::{Durability, StoreError};
use autoshare_vault::secrets::{About, Form, Secret, SecretName, Secrets};
use autoshare_vault::{Sensitive, Vault, bundle};

use crate::ledger::{cents, open as open_ledger, payer};
use crate::{House, brain, note};

fn access(dir: &Path) -> Access {
    Access::local(dir).unwrap()
}

fn audit(dir: &Path) -> Audit {
    Audit::open(dir, &access(dir), &Vault::open(dir).unwrap()).unwrap()
}

fn entry(about: &str) -> Entry {
    Entry::new(Actor::Host, Act::LimitHit, about)
}

fn name() -> SecretName {
    SecretName::parse("KEY").unwrap()
}

fn secrets(dir: &Path) -> Secrets {
    Secrets::open(dir, &Vault::open(dir).unwrap(), access(dir).tenant()).unwrap()
}

/// A data directory with something of everything. Returns a token.
fn furnish(dir: &Path) -> String {
    let house = House::open(dir);
    let lease = house.create(&brain(1));
    (0..5).for_each(|n| {
        house.append(&lease, &n.to_string()).unwrap();
    });
    let trail = audit(dir);
    (0..5).for_each(|n| {
        trail.append(&access(dir), &entry(&n.to_string()), Durability::Synced).unwrap();
    });
    let hosts = vec![Origin::parse("api.example.org").unwrap()];
    let about = About { name: name(), hosts, form: Form::Bearer };
    secrets(dir).set(&Secret::new(about, Sensitive::new("sk-12345678".into())).unwrap()).unwrap();
    let ledger = open_ledger(dir, autoshare_store::ledger::Budgets::default());
    ledger.reserve(&payer("m"), &[], cents(1)).unwrap().settle(cents(1), autoshare_store::ledger::Settled::Done);
    std::fs::create_dir(dir.join("undo")).unwrap();
    std::fs::write(dir.join("undo/copy"), "x").unwrap();
    let tokens = Tokens::open(dir, &Vault::open(dir).unwrap()).unwrap();
    tokens.mint(&access(dir), Grant::gateway("x")).unwrap().token.expose().to_owned()
}

fn copy_keys(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("-a").arg(from.join("keys")).arg(to).status().unwrap().success());
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A backup of a furnished data directory: the directory, the backup, a token.
fn backed_up() -> (tempfile::TempDir, PathBuf, String) {
    let dir = crate::tempdir();
    let data = dir.path().join("data");
    let access = access(&data);
    let token = furnish(&data);
    let to = dir.path().join("backup");
    back_up(&data, &access, &to).unwrap();
    (dir, to, token)
}

#[test]
fn what_was_backed_up_while_others_wrote_goes_on_after_it_was_restored_with_its_keys() {
    let dir = crate::tempdir();
    let data = dir.path().join("data");
    let local = access(&data);
    let token = furnish(&data);
    let (stop, journaled, logged) = (AtomicBool::new(false), AtomicU64::new(5), AtomicU64::new(5));
    let (least, manifest) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let house = House::open(&data);
            let lease = house.lease(&brain(1));
            while !stop.load(Ordering::Relaxed) {
                let seqs =
                    house.store.append(&house.access, &lease, &[note(&"x".repeat(3000))], Durability::Lazy).unwrap();
                journaled.store(seqs[0].0, Ordering::SeqCst);
            }
        });
        scope.spawn(|| {
            let trail = audit(&data);
            while !stop.load(Ordering::Relaxed) {
                let seq = trail.append(&access(&data), &entry("x"), Durability::Lazy).unwrap();
                logged.store(seq.0, Ordering::SeqCst);
            }
        });
        while logged.load(Ordering::SeqCst) < 300 || journaled.load(Ordering::SeqCst) < 100 {
            std::thread::yield_now();
        }
        let least = (journaled.load(Ordering::SeqCst), logged.load(Ordering::SeqCst));
        let manifest = back_up(&data, &local, &dir.path().join("backup"));
        stop.store(true, Ordering::Relaxed);
        (least, manifest.unwrap())
    });
    assert_eq!(manifest.tenants(), ["local"]);
    assert!(LEFT_OUT.iter().all(|out| !dir.path().join("backup").join(out).exists()), "no key, and no copies of undo");

    let back = dir.path().join("back");
    let local = access(&back);
    assert_eq!(restore(&dir.path().join("backup"), &back, &local).unwrap(), manifest);
    // Without keys it is noise, and no fresh key is made for it.
    let error = House::try_open(&back).err().unwrap();
    assert!(matches!(error, StoreError::KeyMissing { .. }), "{error}");
    std::fs::remove_dir_all(back.join("keys")).unwrap();
    copy_keys(&data, &back);
    let house = House::open(&back);
    let there = house.store.read(&house.access, &brain(1), Seq(1)).unwrap().len() as u64;
    assert!(there >= least.0, "{there} records, and {} were acknowledged before", least.0);
    house.append(&house.lease(&brain(1)), "goes on").unwrap();
    let trail = audit(&back);
    let verified = trail.verify(&local).unwrap();
    assert!(verified.entries >= least.1, "{verified:?}, {}", least.1);
    trail.append(&local, &entry("goes on"), Durability::Synced).unwrap();
    assert_eq!(trail.verify(&local).unwrap().entries, verified.entries + 1);
    assert!(secrets(&back).get(&name()).unwrap().is_some());
    Tokens::open(&back, &Vault::open(&back).unwrap()).unwrap().authenticate(&token).unwrap();
    let ledger = open_ledger(&back, autoshare_store::ledger::Budgets::default());
    assert_eq!(ledger.usage(&local, autoshare_core::day::Day(0)).unwrap().len(), 1);
}

#[test]
fn a_backup_does_not_open_after_the_key_was_destroyed_but_with_a_bundle_of_keys() {
    let (dir, backup, _) = backed_up();
    let data = dir.path().join("data");
    let vault = Vault::open(&data).unwrap();
    let now = 1_800_000_000_000;
    let (_, file, recovery) = vault.bundle(now, now + 1000).unwrap();
    assert!(vault.destroy(access(&data).tenant()).unwrap());
    let back = dir.path().join("back");
    copy_keys(&data, {
        std::fs::create_dir(&back).unwrap();
        std::fs::set_permissions(&back, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        &back
    });
    restore(&backup, &back, &access(&back)).unwrap();
    let error = House::try_open(&back).err().unwrap();
    assert!(matches!(error, StoreError::KeyMissing { .. }), "{error}");
    assert!(bundle::restore(&back, &file, recovery.expose(), now + 1000).is_err(), "the bundle has expired");
    assert!(House::try_open(&back).is_err());
    bundle::restore(&back, &file, recovery.expose(), now).unwrap();
    assert_eq!(House::open(&back).texts(&brain(1)).unwrap().len(), 5);
    assert_eq!(audit(&back).verify(&access(&back)).unwrap().entries, 5);
}

#[test]
fn a_damaged_backup_is_not_restored_not_even_in_part() {
    type Damage = fn(&Path, &mut Manifest);
    let cases: [(&str, Damage); 11] = [
        ("a bit of the journal", |backup, _| {
            let file = backup.join("tenants/local/journal.db");
            let mut bytes = std::fs::read(&file).unwrap();
            bytes[5000] ^= 1;
            std::fs::write(&file, bytes).unwrap();
        }),
        ("a longer file", |backup, _| {
            let file = backup.join("audit/local.heads");
            std::fs::write(&file, [std::fs::read(&file).unwrap(), vec![b'\n']].concat()).unwrap();
        }),
        ("a file less", |backup, _| std::fs::remove_file(backup.join("tenants/local/ledger.db")).unwrap()),
        ("no manifest", |backup, _| std::fs::remove_file(backup.join("manifest.json")).unwrap()),
        ("a later version", |backup, _| {
            let text = std::fs::read_to_string(backup.join("manifest.json")).unwrap();
            std::fs::write(
                backup.join("manifest.json"),
                text.replace("\"autoshare_backup\": 1", "\"autoshare_backup\": 2"),
            )
            .unwrap();
        }),
        ("a link", |backup, _| {
            let file = backup.join("tenants/local/ledger.db");
            std::fs::rename(&file, backup.join("moved")).unwrap();
            std::os::unix::fs::symlink(backup.join("moved"), &file).unwrap();
        }),
        ("a path upwards", |_, manifest| manifest.files[0].path = "../up".to_owned()),
        ("a path from the root", |_, manifest| manifest.files[0].path = "/etc/passwd".to_owned()),
        ("a path upwards inside", |_, manifest| manifest.files[0].path = "tenants/../../up".to_owned()),
        ("a key", |_, manifest| manifest.files[0].path = "keys/machine.key".to_owned()),
        ("a hidden one", |_, manifest| manifest.files[0].path = "tenants/.x".to_owned()),
    ];
    for (what, damage) in cases {
        let (dir, backup, _) = backed_up();
        let file = backup.join("manifest.json");
        let text = std::fs::read(&file).unwrap();
        let mut manifest: Manifest = serde_json::from_slice(&text).unwrap();
        let before = manifest.clone();
        damage(&backup, &mut manifest);
        if manifest != before {
            std::fs::write(&file, serde_json::to_vec(&manifest).unwrap()).unwrap();
        }
        let back = dir.path().join("back");
        let local = access(&back);
        restore(&backup, &back, &local).expect_err(what);
        assert_eq!(names(&back), [""; 0], "{what}");
        assert!(!dir.path().join("up").exists(), "{what}");
    }
    let (dir, backup, _) = backed_up();
    let back = dir.path().join("back");
    restore(&backup, &back, &access(&back)).expect("the control");
}

#[test]
fn a_backup_is_whole_or_not_there_and_takes_no_place_that_is_taken() {
    let (dir, backup, _) = backed_up();
    let data = dir.path().join("data");
    let error = back_up(&data, &access(&data), &backup).unwrap_err();
    assert!(matches!(error, StoreError::Taken { .. }), "{error}");
    // A journal that cannot be read ends it.
    std::fs::write(data.join("tenants/local/journal.db"), "x".repeat(5000)).unwrap();
    back_up(&data, &access(&data), &dir.path().join("second")).expect_err("a damaged journal");
    assert_eq!(names(dir.path()), ["backup", "data"], "nothing is left of it");
    let error = restore(&backup, &data, &access(&data)).unwrap_err();
    assert!(matches!(error, StoreError::NotEmpty { .. }), "{error}");
    // Whoever has a token has access to less than all.
    let (dir, _, token) = backed_up();
    let data = dir.path().join("data");
    let tokens = Tokens::open(&data, &Vault::open(&data).unwrap()).unwrap();
    let bearer = tokens.authenticate(&token).unwrap();
    let error = back_up(&data, &bearer.access, &dir.path().join("third")).unwrap_err();
    assert!(matches!(error, StoreError::NotOwner), "{error}");
}
