//! The key files.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use autoshare_core::{BrainId, Digest, Seq};
use autoshare_vault::private::{Made, Others, PrivateDir};
use autoshare_vault::{Place, TenantKey, Vault, VaultError};

use crate::tenant;

/// Whether two keys are the same.
fn same(a: &TenantKey, b: &TenantKey) -> bool {
    let (brain, previous) = (BrainId::from_random([7; 5]), Digest::of(b""));
    let place = Place { tenant: a.tenant(), brain: &brain, seq: Seq(1), kind: 1, previous: &previous };
    b.open(&place, &a.seal(&place, b"x").unwrap()).is_ok()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A data directory with the keys of acme and bolt.
fn vault() -> (tempfile::TempDir, Vault) {
    let dir = crate::tempdir();
    let vault = Vault::open(dir.path()).unwrap();
    vault.tenant(&tenant("acme")).unwrap();
    vault.tenant(&tenant("bolt")).unwrap();
    (dir, vault)
}

#[test]
fn a_first_start_makes_keys_that_later_starts_find() {
    let dir = crate::tempdir();
    let data = dir.path().join("not/yet/there");
    let vault = Vault::open(&data).unwrap();
    assert!(!vault.holds(&tenant("acme")).unwrap());
    let key = vault.tenant(&tenant("acme")).unwrap();
    assert!(vault.holds(&tenant("acme")).unwrap());
    assert!(same(&key, &vault.tenant(&tenant("acme")).unwrap()));
    assert!(same(&key, &Vault::open(&data).unwrap().tenant(&tenant("acme")).unwrap()));
    for (name, expected) in [
        ("", 0o700),
        ("keys", 0o700),
        ("keys/machine.key", 0o600),
        ("keys/tenants", 0o700),
        ("keys/tenants/acme.key", 0o600),
    ] {
        assert_eq!(mode(&data.join(name)), expected, "{name}");
    }
    assert_eq!(std::fs::read_dir(data.join("keys")).unwrap().count(), 2, "no temporary file stays");
    assert_eq!(std::fs::read_dir(data.join("keys/tenants")).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn keys_differ_between_tenants_and_machines() {
    let (_one, a) = vault();
    let (_two, b) = vault();
    let (a_acme, b_acme) = (a.tenant(&tenant("acme")).unwrap(), b.tenant(&tenant("acme")).unwrap());
    assert!(same(&a_acme, &a_acme), "the control");
    assert!(!same(&a_acme, &b_acme));
}

#[test]
fn threads_that_start_at_once_get_the_same_keys() {
    for _ in 0..20 {
        let dir = crate::tempdir();
        let keys = std::thread::scope(|scope| {
            let starts =
                (0..8).map(|_| scope.spawn(|| Vault::open(dir.path()).unwrap().tenant(&tenant("acme")).unwrap()));
            let starts = starts.collect::<Vec<_>>();
            starts.into_iter().map(|start| start.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(keys.iter().all(|key| same(&keys[0], key)));
    }
}

#[test]
fn keys_that_others_may_touch_are_refused_and_the_message_says_what_to_do() {
    for (name, bad) in [
        ("", 0o720),
        ("", 0o777),
        ("keys", 0o750),
        ("keys", 0o701),
        ("keys/machine.key", 0o640),
        ("keys/machine.key", 0o604),
        ("keys/machine.key", 0o620),
        ("keys/tenants", 0o770),
        ("keys/tenants/acme.key", 0o644),
    ] {
        let (dir, _) = vault();
        chmod(&dir.path().join(name), bad);
        let error = Vault::open(dir.path()).and_then(|vault| vault.tenant(&tenant("acme"))).unwrap_err();
        assert!(matches!(error, VaultError::Exposed { mode, .. } if mode == bad), "{name} {bad:o}: {error}");
        let wanted = if name.ends_with(".key") { "chmod 600" } else { "chmod 700" };
        assert!(error.to_string().contains(wanted), "{name} {bad:o}: {error}");
        chmod(&dir.path().join(name), if name.ends_with(".key") { 0o600 } else { 0o700 });
        Vault::open(dir.path()).and_then(|vault| vault.tenant(&tenant("acme"))).expect("what the message says helps");
    }
}

#[test]
fn keys_of_another_user_are_refused() {
    // Only root can give a file away; others meet a directory that is root's.
    let (dir, _) = vault();
    let key = dir.path().join("keys/machine.key");
    let given = std::os::unix::fs::chown(&key, Some(12345), None).is_ok();
    let error = Vault::open(if given { dir.path() } else { Path::new("/") }).unwrap_err();
    assert!(matches!(error, VaultError::Owner { .. }), "{error}");
}

#[test]
fn something_else_in_a_keys_place_is_refused_and_left_alone() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage, &str); 9] = [
        ("empty", |key| std::fs::write(key, b"").unwrap(), "is not a key file"),
        ("short", |key| std::fs::write(key, &std::fs::read(key).unwrap()[..20]).unwrap(), "wrong length"),
        ("long", |key| std::fs::write(key, [std::fs::read(key).unwrap(), vec![0]].concat()).unwrap(), "wrong length"),
        ("huge", |key| std::fs::write(key, vec![b'x'; 1 << 20]).unwrap(), "is not a key file"),
        ("other text", |key| std::fs::write(key, b"-----BEGIN").unwrap(), "is not a key file"),
        (
            "a later version",
            |key| {
                let mut bytes = std::fs::read(key).unwrap();
                bytes[7] = 9;
                std::fs::write(key, bytes).unwrap();
            },
            "has format 9 and this version knows 2",
        ),
        (
            "a link",
            |key| {
                std::fs::rename(key, key.with_extension("moved")).unwrap();
                symlink(key.with_extension("moved"), key).unwrap();
            },
            "is not a regular file",
        ),
        (
            "a directory",
            |key| {
                std::fs::remove_file(key).unwrap();
                std::fs::create_dir(key).unwrap();
                chmod(key, 0o700);
            },
            "is not a regular file",
        ),
        (
            "a FIFO",
            |key| {
                std::fs::remove_file(key).unwrap();
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                rustix::fs::mknodat(rustix::fs::CWD, key, rustix::fs::FileType::Fifo, mode, 0).unwrap();
            },
            "is not a regular file",
        ),
    ];
    for file in ["keys/machine.key", "keys/tenants/acme.key"] {
        for (name, damage, words) in &cases {
            let (dir, _) = vault();
            let key = dir.path().join(file);
            damage(&key);
            let before = std::fs::symlink_metadata(&key).unwrap();
            let error = Vault::open(dir.path()).and_then(|vault| vault.tenant(&tenant("acme"))).unwrap_err();
            assert!(error.to_string().contains(words), "{file}, {name}: {error}");
            let after = std::fs::symlink_metadata(&key).unwrap();
            assert_eq!((before.ino(), before.len()), (after.ino(), after.len()), "{file}, {name}: was changed");
        }
    }
}

#[test]
fn a_changed_or_swapped_tenant_key_does_not_unwrap() {
    let (dir, vault) = vault();
    let [acme, bolt] = ["acme", "bolt"].map(|name| dir.path().join(format!("keys/tenants/{name}.key")));
    let (good, other) = (std::fs::read(&acme).unwrap(), std::fs::read(&bolt).unwrap());
    for position in 8..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 1;
        std::fs::write(&acme, bad).unwrap();
        let error = vault.tenant(&tenant("acme")).unwrap_err();
        assert!(matches!(error, VaultError::Unwrap { .. }), "byte {position}: {error}");
    }
    // Another tenant's file, whole and valid, of the same machine.
    std::fs::write(&acme, other).unwrap();
    assert!(matches!(vault.tenant(&tenant("acme")), Err(VaultError::Unwrap { .. })));
    std::fs::write(&acme, good).unwrap();
    vault.tenant(&tenant("acme")).expect("the control");
}

#[test]
fn a_lost_machine_key_is_not_replaced_while_tenant_keys_need_it() {
    let (dir, _) = vault();
    let key = dir.path().join("keys/machine.key");
    std::fs::remove_file(&key).unwrap();
    for _ in 0..2 {
        let error = Vault::open(dir.path()).unwrap_err();
        assert!(matches!(error, VaultError::MachineKeyMissing { .. }), "{error}");
        assert!(error.to_string().contains("restore it from a backup"), "{error}");
        assert!(!key.exists());
    }
    // What a killed process left behind is no key.
    let dir = crate::tempdir();
    Vault::open(dir.path()).unwrap();
    std::fs::remove_file(dir.path().join("keys/machine.key")).unwrap();
    std::fs::write(dir.path().join("keys/tenants/.acme.key.0000.new"), b"half").unwrap();
    Vault::open(dir.path()).unwrap();
}

#[test]
fn keys_are_not_seen_in_debug_and_wrapped_keys_not_in_files() {
    let (dir, vault) = vault();
    let machine = std::fs::read(dir.path().join("keys/machine.key")).unwrap();
    let shown = format!("{vault:?} {:?}", vault.tenant(&tenant("acme")).unwrap());
    assert!(shown.contains("***"), "{shown}");
    let listed = format!("{:?}", &machine[8..]);
    assert!(!shown.contains(listed.trim_matches(['[', ']'])), "{shown}");
    let wrapped = std::fs::read(dir.path().join("keys/tenants/acme.key")).unwrap();
    assert!(!wrapped.windows(8).any(|window| machine[8..].windows(8).any(|key| key == window)));
}

#[test]
fn a_private_file_appears_complete_once_and_durably_named() {
    let dir = crate::tempdir();
    let private = PrivateDir::open(dir.path(), Others::Nothing).unwrap();
    assert_eq!(private.create("x", b"first").unwrap(), Made::Now);
    assert_eq!(private.create("x", b"second").unwrap(), Made::Before);
    assert_eq!(&**private.read("x", Others::Nothing, 100).unwrap().unwrap(), b"first");
    assert_eq!(private.read("x", Others::Nothing, 2).unwrap().unwrap().len(), 3, "no more than asked for, and one");
    assert_eq!(private.names().unwrap(), ["x"]);
    assert!(private.read("y", Others::Nothing, 100).unwrap().is_none());
}

#[test]
fn what_the_system_refuses_is_told_with_what_to_do() {
    let dir = crate::tempdir();
    std::fs::write(dir.path().join("file"), b"").unwrap();
    let error = Vault::open(&dir.path().join("file/below")).unwrap_err().to_string();
    assert!(error.contains("a file stands where a directory should be"), "{error}");
    let error = Vault::open(Path::new("/proc/self/data")).unwrap_err().to_string();
    assert!(error.contains("/proc/self/data") && error.contains("name another data directory"), "{error}");
}
