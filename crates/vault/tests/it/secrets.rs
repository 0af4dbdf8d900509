//! Named credentials: kept, found for their hosts alone, and never seen.

use std::path::Path;

use autoshare_core::origin::Origin;
use autoshare_vault::secrets::{About, Form, MAX_VALUE, Secret, SecretError, SecretName, Secrets};
use autoshare_vault::{Sensitive, Vault, VaultError};

use crate::tenant;

fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

fn secret(text: &str, hosts: &[&str], form: &str, value: &str) -> Result<Secret, SecretError> {
    let hosts = hosts.iter().map(|host| Origin::parse(host)).collect::<Result<_, _>>()?;
    Secret::new(About { name: SecretName::parse(text)?, hosts, form: Form::parse(form)? }, Sensitive::new(value.into()))
}

fn secrets(dir: &Path, whose: &str) -> Secrets {
    Secrets::open(dir, &Vault::open(dir).unwrap(), &tenant(whose)).unwrap()
}

#[test]
fn a_credential_is_kept_replaced_listed_and_removed() {
    let dir = crate::tempdir();
    let acme = secrets(dir.path(), "acme");
    assert!(acme.list().unwrap().is_empty() && acme.get(&name("KEY")).unwrap().is_none());
    acme.set(&secret("KEY", &["api.example.org", "http://127.0.0.1:80"], "bearer", "value-one").unwrap()).unwrap();
    acme.set(&secret("GIT", &["git.example.org:8443"], "basic:x-access-token", "value-two").unwrap()).unwrap();
    acme.set(&secret("KEY", &["api.example.org"], "header:X-Api-Key", "value-three").unwrap()).unwrap();
    let again = secrets(dir.path(), "acme");
    let listed: Vec<String> = again
        .list()
        .unwrap()
        .iter()
        .map(|one| format!("{} {} {}", one.name, one.form, one.hosts.iter().map(Origin::to_string).collect::<String>()))
        .collect();
    assert_eq!(listed, ["GIT basic:x-access-token git.example.org:8443", "KEY header:x-api-key api.example.org"]);
    assert!(again.remove(&name("GIT")).unwrap() && !again.remove(&name("GIT")).unwrap());
    assert_eq!(again.list().unwrap().len(), 1);
    assert_eq!(std::fs::read_dir(dir.path().join("secrets/acme")).unwrap().count(), 1, "no temporary file stays");
    let mode = std::fs::metadata(dir.path().join("secrets/acme/KEY")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&mode) & 0o777, 0o600);
}

#[test]
fn c6_a_credential_is_for_its_hosts_alone() {
    let dir = crate::tempdir();
    let acme = secrets(dir.path(), "acme");
    let hosts = ["api.example.org", "b.example.org:8443", "http://localhost:8000"];
    acme.set(&secret("KEY", &hosts, "bearer", "the value").unwrap()).unwrap();
    let at = |url: &str| {
        let value = acme.value_for(&name("KEY"), &Origin::of_url(url).unwrap()).unwrap();
        value.map(|value| value.expose().to_owned())
    };
    for url in [
        "https://api.example.org/v1",
        "https://API.example.org.:443",
        "https://b.example.org:8443",
        "http://localhost:8000/",
    ] {
        assert_eq!(at(url).as_deref(), Some("the value"), "{url}");
    }
    for url in [
        "http://api.example.org/",
        "https://api.example.org:8443/",
        "https://b.example.org/",
        "https://x.api.example.org/",
        "https://evilapi.example.org/",
        "https://localhost:8000/",
        "http://127.0.0.1:8000/",
    ] {
        assert_eq!(at(url), None, "{url}");
    }
}

#[test]
fn f5_a_file_moved_to_another_name_or_tenant_or_changed_does_not_open() {
    let dir = crate::tempdir();
    let (acme, bolt) = (secrets(dir.path(), "acme"), secrets(dir.path(), "bolt"));
    acme.set(&secret("KEY", &["a.org"], "bearer", "the value").unwrap()).unwrap();
    let file = dir.path().join("secrets/acme/KEY");
    let bytes = std::fs::read(&file).unwrap();
    let copy = |to: &str, bytes: &[u8]| {
        std::fs::write(dir.path().join(to), bytes).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(dir.path().join(to), private).unwrap();
    };
    copy("secrets/acme/OTHER", &bytes);
    copy("secrets/bolt/KEY", &bytes);
    assert!(matches!(acme.get(&name("OTHER")), Err(VaultError::Secret { .. })));
    assert!(matches!(bolt.get(&name("KEY")), Err(VaultError::Secret { .. })));
    assert!(acme.get(&name("KEY")).unwrap().is_some(), "the control: where it was sealed for, it opens");
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        copy("secrets/acme/KEY", &changed);
        assert!(acme.get(&name("KEY")).is_err(), "byte {at}");
    }
    for len in [0, 1, 40, bytes.len() - 1] {
        copy("secrets/acme/KEY", &bytes[..len]);
        assert!(acme.get(&name("KEY")).is_err(), "{len} bytes");
    }
    copy("secrets/acme/KEY", &[&[3], &bytes[1..]].concat());
    assert!(matches!(acme.get(&name("KEY")), Err(VaultError::NewerSeal { .. })));
}

#[test]
fn c6_no_file_and_no_text_shows_a_value() {
    let dir = crate::tempdir();
    let acme = secrets(dir.path(), "acme");
    let canary = "canary-0123456789abcdef";
    let one = secret("KEY", &["a.org"], "bearer", canary).unwrap();
    assert!(!format!("{one:?} {acme:?}").contains("canary"));
    acme.set(&one).unwrap();
    for entry in std::fs::read_dir(dir.path().join("secrets/acme")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"canary-" || window == b"a.org\0\0"));
    }
    for value in [format!("{canary}\n"), format!("{canary}\r\nX-Evil: 1"), format!("{canary}é"), canary[..7].to_owned()]
    {
        let error = secret("KEY", &["a.org"], "bearer", &value).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    let long = "x".repeat(MAX_VALUE + 1);
    let many = vec!["a.org"; 65];
    let cases: [(Result<Secret, SecretError>, &str); 14] = [
        (secret("", &["a.org"], "bearer", "12345678"), "letters, digits"),
        (secret("../KEY", &["a.org"], "bearer", "12345678"), "letters, digits"),
        (secret(".KEY", &["a.org"], "bearer", "12345678"), "beginning with a letter"),
        (secret("KEY", &[], "bearer", "12345678"), "--host"),
        (secret("KEY", &many, "bearer", "12345678"), "1 to 64 hosts"),
        (secret("KEY", &["http://a.org"], "bearer", "12345678"), "use https"),
        (secret("KEY", &["*.a.org"], "bearer", "12345678"), "names no host"),
        (secret("KEY", &["a.org/path"], "bearer", "12345678"), "names no host"),
        (secret("KEY", &["a.org"], "cookie:x", "12345678"), "header:NAME"),
        (secret("KEY", &["a.org"], "header:Host", "12345678"), "header:NAME"),
        (secret("KEY", &["a.org"], "basic:a:b", "12345678"), "basic:USER"),
        (secret("KEY", &["a.org"], "query:a&b", "12345678"), "query:NAME"),
        (secret("KEY", &["a.org"], "bearer", "1234567"), "8 to 16384 bytes"),
        (secret("KEY", &["a.org"], "bearer", &long), "8 to 16384 bytes"),
    ];
    for (result, words) in cases {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
