#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

mod bundle;
mod files;
mod rotate;
mod seal;
mod secrets;

use autoshare_core::TenantName;
use autoshare_vault::Sensitive;

/// A directory of this user's alone, whatever the umask.
pub(crate) fn tempdir() -> tempfile::TempDir {
    tempdir_in(&std::env::temp_dir())
}

pub(crate) fn tempdir_in(dir: &std::path::Path) -> tempfile::TempDir {
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    tempfile::Builder::new().permissions(private).tempdir_in(dir).unwrap()
}

pub(crate) fn tenant(name: &str) -> TenantName {
    TenantName::parse(name).unwrap()
}

#[test]
fn c6_a_secret_text_prints_as_stars() {
    let secret = Sensitive::new("sk-canary".to_owned());
    assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
    assert_eq!(secret.expose(), "sk-canary");
}
