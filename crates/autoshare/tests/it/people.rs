//! People and certificates as an operator meets them: added and bound at the terminal, looked at by a real `autoshare serve`.

use autoshare_testkit::{Certified, CertifiedClient};
use serde_json::{Value, json};

use crate::desk::{Desk, Ran};
use crate::serve::{Server, curl};

const ISSUER: [&str; 2] = ["--issuer", "https://id.example"];

fn acme(desk: &Desk, args: &[&str]) -> Ran {
    desk.autoshare(["--tenant", "acme"].into_iter().chain(args.iter().copied()))
}

fn file(desk: &Desk, name: &str, text: &str) -> String {
    let folder = desk.home.join("etc");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path.display().to_string()
}

#[test]
fn people_are_added_listed_given_roles_and_removed_and_the_trail_tells_it() {
    let desk = Desk::new();
    assert_eq!(desk.autoshare(["tenant", "new", "acme"]).code, Some(0));
    let add = |args: &[&str]| acme(&desk, &[&["person", "add"], args].concat());
    let ann = add(
        &[&["Ann", "--role", "viewer", "--role", "approver", "--subject", "ann-1", "--json"], &ISSUER[..]].concat()
    );
    let ann = &ann.json_lines()[0];
    assert_eq!((&ann["roles"], &ann["tenant"]), (&json!(["approver", "viewer"]), &json!("acme")));
    let id = ann["id"].as_str().unwrap();
    let bob = add(&["Bob \u{1b}[2J", "--email", "Bob@Example.org"]);
    assert!(bob.code == Some(2) && bob.err.contains("no control characters"), "{bob:?}");
    let bob = add(&["Bob", "--email", "Bob@Example.org"]);
    assert!(bob.code == Some(0) && bob.err.contains("is added: none"), "{bob:?}");
    for (args, words) in [
        (&["x", "--subject", "ann-1", ISSUER[0], ISSUER[1]][..], "that is "),
        (&["x", "--email", "bob@example.org"], "change their roles"),
        (&["x"], "--email"),
        (&["x", "--subject", "1"], "--issuer"),
        (&["x", "--email", "a@b.example", "--subject", "1", ISSUER[0], ISSUER[1]], "cannot be used with"),
        (&["x", "--email", "a@b.example", "--role", "king"], "there is no role king: use some of approver, auditor"),
        (&["x", "--email", "a@b.example", "--role", "Owner"], "no role's name"),
    ] {
        let ran = add(args);
        assert!(ran.code == Some(2) && ran.err.contains(words), "{args:?}: {ran:?}");
    }

    let listed = acme(&desk, &["person", "list"]);
    assert!(listed.out.contains("ann-1 at https://id.example") && listed.out.contains("invited: bob@example.org"));
    assert_eq!(desk.autoshare(["person", "list", "--json"]).out, "", "of another tenant");
    let elsewhere = desk.autoshare(["person", "role", id, "owner"]);
    assert!(elsewhere.code == Some(6) && elsewhere.err.contains("there is no person"), "{elsewhere:?}");
    let changed = acme(&desk, &["person", "role", id, "owner"]);
    assert!(changed.code == Some(0) && changed.err.contains("has these roles now: owner"), "{changed:?}");
    assert_eq!(acme(&desk, &["person", "remove", id]).code, Some(0));
    assert_eq!(acme(&desk, &["person", "remove", id]).code, Some(6));
    assert_eq!(acme(&desk, &["person", "list", "--json"]).json_lines().len(), 1);

    let trail = acme(&desk, &["audit", "export"]);
    for act in ["person.added", "person.changed", "person.removed"] {
        assert!(trail.out.contains(act) && trail.out.contains(id), "{act}: {trail:?}");
    }
}

#[test]
fn a_file_of_roles_adds_to_those_that_are_built_in_or_is_told_apart_with_its_line() {
    let desk = Desk::new();
    let rules =
        file(&desk, "roles.cedar", r#"permit (principal in Role::"night-shift", action == Action::"read", resource);"#);
    let config = file(&desk, "autoshare.toml", &format!("[serve]\nroles = {rules:?}\n"));
    let add = |role: &str| {
        desk.autoshare([
            "person",
            "add",
            "Ann",
            "--email",
            &format!("{role}@b.example"),
            "--role",
            role,
            "--config",
            &config,
        ])
    };
    assert_eq!(add("night-shift").code, Some(0));
    assert!(add("day-shift").err.contains("use some of approver, auditor, member, night-shift, owner, viewer"));
    for (text, words) in [
        ("permit (", "line 1"),
        ("\npermit (principal, action == Action::\"operator\", resource);", "line 2"),
        ("permit (principal in Role::\"x\", action, resource) when { principal.age > 3 };", "age"),
    ] {
        std::fs::write(&rules, text).unwrap();
        for args in [&["person", "list"][..], &["token", "list"], &["serve", "--listen", "127.0.0.1:0"]] {
            let ran = desk.autoshare(args.iter().copied().chain(["--config", config.as_str()]));
            let told = ran.err.contains(&rules) && ran.err.contains(words);
            assert!(ran.code == Some(2) && told, "{args:?} {text}: {ran:?}");
        }
    }
    std::fs::remove_file(&rules).unwrap();
    let ran = desk.autoshare(["person", "list", "--config", &config]);
    assert!(ran.code == Some(2) && ran.err.contains(&rules) && ran.err.contains("No such file"), "{ran:?}");
    // Whoever may write the rules may do everything: no workspace holds them.
    let inside = desk.home.join("work");
    std::fs::create_dir_all(&inside).unwrap();
    std::fs::write(inside.join("roles.cedar"), "").unwrap();
    std::fs::write(&config, format!("[serve]\nroles = {:?}\n", inside.join("roles.cedar"))).unwrap();
    let workspace = inside.display().to_string();
    let ran = desk.autoshare(["run", "x", "--model", "gullible", "--workspace", &workspace, "--config", &config]);
    assert!(ran.code == Some(2) && ran.err.contains("lies below the workspace"), "{ran:?}");
}

#[test]
fn a_machine_is_known_by_its_certificate_behind_the_walls_and_no_longer_than_its_token() {
    let desk = Desk::new();
    assert_eq!(desk.autoshare(["tenant", "new", "acme"]).code, Some(0));
    let (server, machine) = (Certified::new(&["127.0.0.1"]), CertifiedClient::new("machine", &[]));
    let rules =
        file(&desk, "roles.cedar", r#"permit (principal in Role::"clerk", action == Action::"people", resource);"#);
    let [cert, key, clients, ca] = [
        ("cert.pem", &server.certificate),
        ("key.pem", &server.key),
        ("clients.pem", &machine.ca),
        ("ca.pem", &server.ca),
    ]
    .map(|(name, text)| file(&desk, name, text));
    let shown = file(&desk, "machine.pem", &format!("{}{}", machine.key, machine.certificate));
    let bound = ["token", "new", "machine", "--scope", "people", "--scope", "read", "--certificate", &shown, "--json"];

    let without = acme(&desk, &["token", "new", "x", "--certificate", "/missing.pem"]);
    assert!(without.code == Some(2) && without.err.contains("/missing.pem"), "{without:?}");
    let no_certificate = acme(&desk, &["token", "new", "x", "--certificate", &key]);
    assert!(no_certificate.code == Some(2) && no_certificate.err.contains("no certificate in PEM form"));

    let config = desk.home.join(".config/autoshare");
    std::fs::create_dir_all(&config).unwrap();
    let made = acme(&desk, &bound);
    assert!(made.err.contains("[serve] client_ca"), "nobody is asked for a certificate yet: {made:?}");
    let made = made.json_lines()[0].clone();
    let settings = format!(
        "[serve]\ntls_cert = {cert:?}\ntls_key = {key:?}\nclient_ca = {clients:?}\nclient_cert = \"optional\"\nroles = {rules:?}\n"
    );
    std::fs::write(config.join("autoshare.toml"), settings).unwrap();
    let again = acme(&desk, &bound);
    assert!(again.code == Some(2) && again.err.contains("bound to this certificate already"), "{again:?}");
    let listed = acme(&desk, &["token", "list"]);
    assert!(listed.out.contains("with the certificate"), "{listed:?}");

    let serving = Server::started(desk.command(["serve", "--listen", "127.0.0.1:0", "--json"]));
    let ask = |args: &[&str]| -> Value {
        let url = format!("{}/api/v1/people", serving.base);
        serde_json::from_str(&curl(&[&["--cacert", &ca], args, &[&url]].concat())).unwrap()
    };
    let bearer = format!("authorization: Bearer {}", made["token"].as_str().unwrap());
    let json = ["-H", "content-type: application/json", "-d"];
    let add = |role: &str| format!(r#"{{"name": "Ann", "roles": ["{role}"], "email": "{role}@b.example"}}"#);
    assert_eq!(ask(&["--cert", &shown])["items"], json!([]));
    assert_eq!(ask(&["-H", &bearer])["status"], 401, "the token without it");
    assert_eq!(ask(&[&["--cert", shown.as_str()], &json[..], &[&add("clerk")]].concat())["roles"], json!(["clerk"]));
    assert_eq!(ask(&[&["--cert", shown.as_str()], &json[..], &[&add("owner")]].concat())["status"], 403);
    assert_eq!(acme(&desk, &["token", "revoke", made["id"].as_str().unwrap()]).code, Some(0));
    assert_eq!(ask(&["--cert", &shown])["status"], 401);
    serving.end();
}
