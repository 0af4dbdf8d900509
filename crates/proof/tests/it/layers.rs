//! Who may depend on whom, and who may use what. A change here is a change of the architecture: docs/ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};

use crate::house::{Crate, crates, read, rust_files};

/// From the ground up: a crate, and whom of ours it may depend on. An arrow points only to a row above.
#[rustfmt::skip]
const FLOORS: &[(&str, &[&str])] = &[
    // 0: words
    ("core",      &[]),
    // 1: pure, or one kernel facility each
    ("guard",     &["core"]),
    ("classifier", &["guard"]),
    ("brain",     &["core"]),
    ("gate",      &["core", "guard"]),
    ("workspace", &["core"]),
    ("mcp",       &["core", "guard"]),
    ("sandbox",   &["core"]),
    // 1a to 1d: what tenants own
    ("vault",     &["core"]),
    ("access",    &["core", "vault"]),
    ("store",     &["core", "vault", "access"]),
    ("broker",    &["core", "guard", "vault", "access", "store"]),
    // 2: what runs. A cell has neither keys nor a way out, so its code has neither in reach.
    ("cell",      &["core", "guard", "workspace", "sandbox"]),
    ("proof",     &["core", "guard", "gate", "workspace", "sandbox", "cell"]),
    ("host",      &["core", "guard", "brain", "gate", "workspace", "sandbox", "mcp", "vault", "access", "store", "broker"]),
    // 3: faces
    ("server",    &["core", "guard", "access", "broker", "host"]),
    ("autoshare", &["core", "guard", "brain", "gate", "workspace", "sandbox", "vault", "access", "store", "broker",
                    "classifier", "cell", "proof", "host", "server"]),
    // For tests of any of them; nothing that ships depends on it.
    ("testkit",   &["core"]),
];

/// Third-party crates that give a power, and which crates have it.
#[rustfmt::skip]
const POWERS: &[(&str, &[&str], &str)] = &[
    ("tokio",            &["broker", "host", "mcp", "server", "autoshare", "testkit"], "async only where many things wait"),
    ("reqwest",          &["broker"],                                           "the only opener of outbound sockets"),
    ("hyper",            &["broker", "server", "testkit"],                      "HTTP is spoken at the edges"),
    ("hyper-util",       &["broker", "server", "testkit"],                      "HTTP is spoken at the edges"),
    ("rustls",           &["broker"],                                           "the only opener of outbound sockets"),
    ("tokio-rustls",     &["broker", "server"],                                 "TLS is spoken at the edges"),
    ("openidconnect",    &["server"],                                           "who signed in is told in one place"),
    ("rustls-webpki",    &["server"],                                           "who a caller is by its certificate is told in one place"),
    ("rcgen",            &["broker", "testkit"],                                "one crate makes certificates"),
    ("rmcp",             &["mcp"],                                              "one crate speaks with servers of tools"),
    ("axum",             &["server"],                                           "HTTP is spoken at the edges"),
    ("rusqlite",         &["store"],                                            "one crate keeps records"),
    ("chacha20poly1305", &["vault"],                                            "one crate opens and seals"),
    ("hkdf",             &["vault"],                                            "one crate makes keys"),
    ("aws-lc-rs",        &["vault"],                                            "one crate signs"),
    ("landlock",         &["sandbox"],                                          "one crate confines"),
    ("seccompiler",      &["sandbox"],                                          "one crate confines"),
    ("cedar-policy",     &["gate", "access"],                                   "one crate judges actions, and one what people may"),
    ("mail-parser",      &["cell"],                                             "documents of strangers are parsed in cells"),
    ("quick-xml",        &["cell"],                                             "documents of strangers are parsed in cells"),
    ("flate2",           &["cell"],                                             "documents of strangers are parsed in cells"),
    ("hayro-syntax",     &["cell"],                                             "documents of strangers are parsed in cells"),
    ("zip",              &["cell"],                                             "documents of strangers are parsed in cells"),
    ("ort",              &["classifier"],                                       "one crate runs models of the operator's"),
    ("tokenizers",       &["classifier"],                                       "one crate runs models of the operator's"),
    ("libc",             &["sandbox"],                                          "only unsafe code needs it"),
    ("clap",             &["autoshare", "testkit"],                             "only programs read a command line"),
    ("console",          &["autoshare"],                                        "only the terminal face knows a terminal"),
    ("indicatif",        &["autoshare"],                                        "only the terminal face knows a terminal"),
];

#[test]
fn arrows_point_down() {
    let mut above = BTreeSet::new();
    for (name, may) in FLOORS {
        for below in *may {
            assert!(above.contains(below), "the table lets {name} depend on {below}, which is not above it");
        }
        above.insert(*name);
    }
}

#[test]
fn nobody_depends_on_whom_it_may_not() {
    let floors: BTreeMap<_, _> = FLOORS.iter().copied().collect();
    let crates = crates();
    for Crate { name, dependencies, .. } in &crates {
        let may = floors.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no row in FLOORS: give it its place"));
        for dependency in dependencies.iter().filter(|dependency| dependency.ours && !dependency.dev) {
            assert!(may.contains(&dependency.name.as_str()), "{name} may not depend on {}", dependency.name);
        }
    }
    let there: BTreeSet<_> = crates.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(there, floors.keys().copied().collect(), "FLOORS names a crate that is not there");
}

#[test]
fn a_power_is_used_only_by_those_who_have_it() {
    for Crate { name, dependencies, .. } in crates() {
        for dependency in dependencies.iter().filter(|dependency| !dependency.dev) {
            if let Some((power, have, why)) = POWERS.iter().find(|(power, ..)| *power == dependency.name) {
                assert!(have.contains(&name.as_str()), "{name} may not use {power}: {why}");
            }
        }
    }
}

/// `unsafe` is forbidden by the workspace's lints, which every crate but `sandbox` takes as they are; `sandbox` has the
/// same ones, but allows it in one file.
#[test]
fn only_sandbox_may_have_unsafe_code() {
    let toml = |path: &str| read(path).parse::<toml::Table>().unwrap();
    let house = toml("Cargo.toml")["workspace"]["lints"].clone();
    assert_eq!(house["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for Crate { name, folder, .. } in crates() {
        let manifest = toml(&format!("crates/{}/Cargo.toml", folder.file_name().unwrap().display()));
        let own = &manifest["lints"];
        if name == "sandbox" {
            for (lint, level) in house["clippy"].as_table().unwrap() {
                assert_eq!(own["clippy"].get(lint), Some(level), "sandbox: clippy::{lint}");
            }
            assert_eq!(own["rust"]["unsafe_code"].as_str(), Some("deny"));
            for file in rust_files(&folder.join("src")) {
                let allows = std::fs::read_to_string(&file).unwrap().contains("allow(unsafe_code");
                assert_eq!(allows, file.ends_with("sys.rs"), "{}: unsafe code stands in sys.rs alone", file.display());
            }
            assert_eq!(own["clippy"]["undocumented_unsafe_blocks"].as_str(), Some("deny"));
        } else {
            assert_eq!(own.get("workspace").and_then(toml::Value::as_bool), Some(true), "{name}: lints");
        }
    }
}

/// What clippy.toml bans (files, processes, the environment, sockets) may be used by a crate that says so; who does, and
/// for what, stands in docs/ARCHITECTURE.md.
#[test]
fn whoever_crosses_a_boundary_of_clippy_is_listed() {
    let crossing: BTreeSet<String> = crates()
        .into_iter()
        .filter(|one| {
            rust_files(&one.folder.join("src")).iter().any(|file| {
                let text: String = std::fs::read_to_string(file).unwrap().split_whitespace().collect();
                ["allow(", "expect("].iter().any(|level| {
                    text.split(level).skip(1).any(|rest| {
                        rest.split("reason=")
                            .next()
                            .unwrap_or(rest)
                            .split(")]")
                            .next()
                            .unwrap()
                            .contains("clippy::disallowed_")
                    })
                })
            })
        })
        .map(|one| one.name)
        .collect();
    let page = read("docs/ARCHITECTURE.md");
    let section = page.split("## Who crosses a boundary of clippy.toml").nth(1).expect("the section is there");
    let section = section.split("\n## ").next().unwrap();
    let listed: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(listed, crossing, "left: docs/ARCHITECTURE.md; right: the source");
}
