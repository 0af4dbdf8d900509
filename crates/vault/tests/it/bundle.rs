//! Backups of keys.

use autoshare_vault::bundle::{MAX_LIFE_MS, MachineKeys, restore};
use autoshare_vault::{Vault, VaultError};

use crate::rotate::{open, seal};
use crate::tenant;

const NOW: u64 = 1_800_000_000_000;
const DAY: u64 = 24 * 60 * 60 * 1000;

#[test]
fn all_keys_come_back_into_an_empty_directory_and_everything_opens() {
    let dir = crate::tempdir();
    let vault = Vault::open(dir.path()).unwrap();
    let names = ["acme", "bolt"].map(tenant);
    let first = names.clone().map(|name| seal(&vault.tenant(&name).unwrap(), "first"));
    vault.rotate_tenant(&names[0]).unwrap();
    let second = seal(&vault.tenant(&names[0]).unwrap(), "second");
    let (bundle, file, recovery) = vault.bundle(NOW, NOW + DAY).unwrap();
    assert_eq!(bundle.tenants, names);
    // Neither keys nor names stand open in it.
    let machine = std::fs::read(dir.path().join("keys/machine.key")).unwrap();
    let holds = |needle: &[u8]| file.windows(needle.len()).any(|part| part == needle);
    assert!(!holds(b"acme") && !holds(&machine[8..40]) && holds(b"autoshare-keys 1"));

    let other = crate::tempdir();
    let restored = restore(other.path(), &file, recovery.expose(), NOW).unwrap();
    assert_eq!((restored.machine, restored.tenants.len(), restored.kept.len()), (MachineKeys::Restored, 2, 0));
    let back = Vault::open(other.path()).unwrap();
    for (name, sealed) in names.iter().zip(&first) {
        assert_eq!(open(&back.tenant(name).unwrap(), sealed).unwrap(), "first");
    }
    assert_eq!(open(&back.tenant(&names[0]).unwrap(), &second).unwrap(), "second");
    assert_eq!(back.token_marks().mark(&[b"t"]).unwrap(), vault.token_marks().mark(&[b"t"]).unwrap());
    assert_eq!(back.bundles(NOW).unwrap(), [bundle], "and the list of bundles is there again");
    // Once more: all is kept.
    let again = restore(other.path(), &file, recovery.expose(), NOW).unwrap();
    assert_eq!((again.machine, again.tenants.len(), again.kept.len()), (MachineKeys::Same, 0, 2));
}

#[test]
fn a_destroyed_or_damaged_key_comes_back_beside_others_that_stay() {
    let dir = crate::tempdir();
    let vault = Vault::open(dir.path()).unwrap();
    let names = ["acme", "bolt", "cobb"].map(tenant);
    let sealed = names.clone().map(|name| seal(&vault.tenant(&name).unwrap(), "x"));
    let (_, file, recovery) = vault.bundle(NOW, NOW + DAY).unwrap();
    vault.destroy(&names[0]).unwrap();
    std::fs::write(dir.path().join("keys/tenants/bolt.key"), b"noise").unwrap();
    // A new machine key in between changes nothing.
    let cobb = seal(&vault.tenant(&names[2]).unwrap(), "x");
    vault.rotate_tenant(&names[2]).unwrap();
    let restored = restore(dir.path(), &file, recovery.expose(), NOW).unwrap();
    assert_eq!((restored.tenants, restored.kept), (names[..2].to_vec(), names[2..].to_vec()));
    vault.rotate_machine().unwrap();
    for (name, sealed) in names.iter().zip(&sealed) {
        assert_eq!(open(&vault.tenant(name).unwrap(), sealed).unwrap(), "x");
    }
    assert_eq!(open(&vault.tenant(&names[2]).unwrap(), &cobb).unwrap(), "x");
    // Into another machine's directory: wrapped for that.
    let other = crate::tempdir();
    Vault::open(other.path()).unwrap().tenant(&tenant("dent")).unwrap();
    let restored = restore(other.path(), &file, recovery.expose(), NOW).unwrap();
    assert_eq!((restored.machine, restored.tenants.len()), (MachineKeys::Other, 3));
    assert_eq!(open(&Vault::open(other.path()).unwrap().tenant(&names[0]).unwrap(), &sealed[0]).unwrap(), "x");
}

#[test]
fn a_bundle_that_expired_was_edited_or_lacks_its_recovery_key_is_refused_and_nothing_is_made() {
    let dir = crate::tempdir();
    let vault = Vault::open(dir.path()).unwrap();
    vault.tenant(&tenant("acme")).unwrap();
    let (_, file, recovery) = vault.bundle(NOW, NOW + DAY).unwrap();
    let (_, _, another) = vault.bundle(NOW, NOW + DAY).unwrap();
    let empty = crate::tempdir();
    let refused = |file: &[u8], recovery: &str, now: u64| restore(empty.path(), file, recovery, now).unwrap_err();
    assert!(matches!(refused(&file, recovery.expose(), NOW + DAY), VaultError::Expired { .. }));
    assert!(matches!(refused(&file, another.expose(), NOW), VaultError::Bundle { .. }));
    for mistyped in ["", "ark_", &recovery.expose()[1..], &recovery.expose().replace('_', "-"), "as_00000000_0_0"] {
        assert!(matches!(refused(&file, mistyped, NOW), VaultError::Recovery), "{mistyped}");
    }
    for at in 0..file.len() {
        let mut bad = file.clone();
        bad[at] ^= 1;
        assert!(matches!(refused(&bad, recovery.expose(), NOW), VaultError::Bundle { .. }), "byte {at}");
    }
    for len in [0, 1, 40, file.len() - 1] {
        assert!(matches!(refused(&file[..len], recovery.expose(), NOW), VaultError::Bundle { .. }), "{len} bytes");
    }
    // A later date in its title does not make it younger.
    let end = file.iter().position(|byte| *byte == b'\n').unwrap();
    let title = std::str::from_utf8(&file[..end]).unwrap();
    let later = title.replace(&(NOW + DAY).to_string(), &(NOW + 9 * DAY).to_string());
    let bad = [later.as_bytes(), &file[end..]].concat();
    assert!(matches!(refused(&bad, recovery.expose(), NOW + 2 * DAY), VaultError::Bundle { .. }));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "nothing was made");
    restore(empty.path(), &file, recovery.expose(), NOW + DAY - 1).expect("the control");
    for expires in [NOW, NOW - 1, NOW + MAX_LIFE_MS + 1] {
        assert!(matches!(vault.bundle(NOW, expires), Err(VaultError::Bundle { .. })), "{expires}");
    }
}

#[test]
fn the_list_names_the_bundles_that_still_hold_a_destroyed_key_and_until_when() {
    let dir = crate::tempdir();
    let vault = Vault::open(dir.path()).unwrap();
    vault.tenant(&tenant("acme")).unwrap();
    let (one, ..) = vault.bundle(NOW, NOW + 10 * DAY).unwrap();
    vault.tenant(&tenant("bolt")).unwrap();
    let (two, ..) = vault.bundle(NOW + DAY, NOW + 5 * DAY).unwrap();
    vault.destroy(&tenant("acme")).unwrap();
    let (three, ..) = vault.bundle(NOW + 2 * DAY, NOW + 20 * DAY).unwrap();
    let with = |name: &str, now: u64| {
        let found = Vault::open(dir.path()).unwrap().bundles_with(&tenant(name), now).unwrap();
        found.into_iter().map(|one| one.name).collect::<Vec<_>>()
    };
    assert_eq!(with("acme", NOW + 3 * DAY), [one.name.clone(), two.name.clone()]);
    assert_eq!(with("bolt", NOW + 3 * DAY), [two.name.clone(), three.name.clone()]);
    assert_eq!(with("acme", NOW + 5 * DAY), [one.name], "one that expired counts no more");
    assert_eq!(with("acme", NOW + 10 * DAY), [""; 0]);
    assert_eq!(with("other", NOW), [""; 0]);
}
