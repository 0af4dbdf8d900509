//! `audit`, `key`, `backup`, `restore`.

use std::io::Write as _;
use std::process::Stdio;

use crate::desk::{Desk, Ran};

fn with_input(desk: &Desk, args: &[&str], input: &str) -> Ran {
    let mut command = desk.command(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Ran::of(child.wait_with_output().unwrap())
}

#[test]
fn keys_are_renewed_and_the_trail_of_it_is_checked_by_whoever_has_the_public_key() {
    let desk = Desk::new();
    for args in [["key", "rotate", "--machine"].as_slice(), &["key", "rotate", "--tenant", "local"]] {
        let ran = desk.autoshare(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
    }
    for args in [["key", "rotate"].as_slice(), &["key", "rotate", "--machine", "--tenant", "local"]] {
        assert_eq!(desk.autoshare(args).code, Some(2), "{args:?}");
    }
    let ran = desk.autoshare(["audit", "verify", "--json"]);
    let verified = &ran.json_lines()[0];
    assert_eq!((verified["entries"].as_u64(), verified["signed"].as_u64()), (Some(2), Some(2)), "{ran:?}");
    let stranger = desk.autoshare(["audit", "verify", "--tenant", "bolt"]);
    assert!(stranger.code == Some(6) && stranger.err.contains("no tenant bolt"), "{stranger:?}");

    let export = desk.autoshare(["audit", "export"]);
    assert!(export.out.contains("key.rotated") && export.out.lines().count() == 5, "{export:?}");
    let (good, bad) = (desk.home.join("good.jsonl"), desk.home.join("bad.jsonl"));
    std::fs::write(&good, &export.out).unwrap();
    std::fs::write(&bad, export.out.replace("generation 2", "generation 3")).unwrap();
    let key = desk.autoshare(["audit", "key"]).out.trim().to_owned();
    // On a machine that has never seen the tenant's keys.
    let other = Desk::new();
    let check = |file: &std::path::Path| other.autoshare(["audit", "verify", file.to_str().unwrap(), "--key", &key]);
    let ran = check(&good);
    assert!(ran.code == Some(0) && ran.out.contains("tenant local: 2 entries"), "{ran:?}");
    let ran = check(&bad);
    assert!(ran.code == Some(1) && ran.err.contains("does not match its hash"), "{ran:?}");
    assert_eq!(other.autoshare(["audit", "verify", good.to_str().unwrap()]).code, Some(2), "a key is needed");
}

#[test]
fn data_and_keys_are_backed_up_apart_and_together_they_go_on() {
    let desk = Desk::new();
    assert_eq!(desk.autoshare(["key", "rotate", "--machine"]).code, Some(0));
    let [bundle, backup] = ["keys.bundle", "backup"].map(|name| desk.home.join(name).to_str().unwrap().to_owned());
    let made = desk.autoshare(["key", "backup", &bundle, "--expires", "90d"]);
    let recovery = made.out.trim();
    assert!(made.code == Some(0) && recovery.starts_with("ark_") && !made.err.contains(recovery), "{made:?}");
    let again = desk.autoshare(["key", "backup", &bundle, "--expires", "90d"]);
    assert!(again.code == Some(1) && again.out.is_empty() && again.err.contains("cannot make"), "{again:?}");
    assert_eq!(desk.autoshare(["key", "backup", "x", "--expires", "soon"]).code, Some(2));
    let listed = desk.autoshare(["key", "bundles", "--tenant", "local", "--json"]).json_lines();
    assert!(listed[0]["tenants"] == serde_json::json!(["local"]), "{listed:?}");
    let ran = desk.autoshare(["backup", &backup]);
    assert!(ran.code == Some(0) && ran.err.contains("left out: keys"), "{ran:?}");

    let other = Desk::new();
    let ran = other.autoshare(["restore", &backup]);
    assert!(ran.code == Some(0) && ran.err.contains("autoshare key restore"), "{ran:?}");
    let wrong = with_input(&other, &["key", "restore", &bundle], "ark_0\n");
    assert!(wrong.code == Some(1) && wrong.err.contains("no recovery key"), "{wrong:?}");
    let right = with_input(&other, &["key", "restore", &bundle], &format!("{recovery}\n"));
    assert!(right.code == Some(0) && right.err.contains("restored: keys of local"), "{right:?}");
    let verified = other.autoshare(["audit", "verify", "--json"]).json_lines();
    assert!(verified[0]["entries"].as_u64() >= Some(3), "{verified:?}");
    assert_eq!(desk.autoshare(["audit", "key"]).out, other.autoshare(["audit", "key"]).out);
}
