#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests"
)]

mod certificates;
mod people;
mod roles;
mod tenants;
mod tokens;

use std::os::unix::fs::{PermissionsExt as _, symlink};

use autoshare_access::{Access, AccessError, LOCAL};
use autoshare_vault::VaultError;

#[test]
fn the_owner_of_the_data_directory_is_the_local_tenant() {
    let dir = tempfile::tempdir().unwrap();
    let access = Access::local(&dir.path().join("made/on/demand")).unwrap();
    assert_eq!(access.tenant().as_str(), LOCAL);
    let mode = std::fs::metadata(dir.path().join("made/on/demand")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
}

#[test]
fn a_data_directory_that_others_can_write_to_proves_nothing() {
    for (mode, proves) in [(0o700, true), (0o755, true), (0o750, true), (0o770, false), (0o707, false), (0o1777, false)]
    {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        match Access::local(dir.path()) {
            Ok(_) => assert!(proves, "{mode:o}"),
            Err(AccessError::DataDir(VaultError::Exposed { mode: found, .. })) => {
                assert!(!proves, "{mode:o}");
                assert_eq!(found, mode);
            }
            Err(other) => panic!("{mode:o}: {other}"),
        }
    }
}

#[test]
fn a_data_directory_of_somebody_else_is_refused() {
    // `/` belongs to root; where the tests run as root, a directory given away takes its place.
    let dir = tempfile::tempdir().unwrap();
    let given = std::os::unix::fs::chown(dir.path(), Some(12345), None).is_ok();
    let path = if given { dir.path() } else { std::path::Path::new("/") };
    let error = Access::local(path).unwrap_err();
    assert!(matches!(error, AccessError::DataDir(VaultError::Owner { .. })), "{error}");
    assert!(error.to_string().contains("run as its owner"), "{error}");
}

#[test]
fn what_is_no_directory_is_refused_and_a_link_to_one_is_the_operators_own_business() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let error = Access::local(&dir.path().join("file")).unwrap_err();
    assert!(matches!(error, AccessError::DataDir(VaultError::Kind { .. })), "{error}");

    std::fs::create_dir(dir.path().join("real")).unwrap();
    std::fs::set_permissions(dir.path().join("real"), std::fs::Permissions::from_mode(0o700)).unwrap();
    symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
    Access::local(&dir.path().join("link")).unwrap();
}
