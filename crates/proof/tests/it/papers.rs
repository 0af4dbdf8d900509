//! The papers say what is so.

use std::collections::BTreeMap;

use crate::house::{crates, metadata, read};

/// Every direct dependency stands in docs/dependencies.md with the licence that its package declares, and no other.
#[test]
fn every_dependency_is_accounted_for() {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata = metadata(&["--filter-platform", &target]);
    let licences: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["name"].as_str().unwrap(), package["license"].as_str().unwrap_or("none")))
        .collect();
    let used: BTreeMap<String, String> = crates()
        .into_iter()
        .flat_map(|one| one.dependencies)
        .filter(|dependency| !dependency.ours)
        .map(|dependency| {
            let licence = licences[dependency.name.as_str()].to_owned();
            (dependency.name, licence)
        })
        .collect();
    let page = read("docs/dependencies.md");
    let mut listed = BTreeMap::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("| `")) {
        let mut cells = line.trim_end_matches('|').split('|').map(str::trim);
        let name = cells.next().unwrap().trim_end_matches('`').to_owned();
        let licence = cells.next().unwrap().to_owned();
        assert!(cells.next().is_some_and(|reason| reason.len() > 10), "{name}: no reason");
        assert!(listed.insert(name.clone(), licence).is_none(), "{name} stands there twice");
    }
    assert_eq!(listed, used, "left: docs/dependencies.md; right: cargo metadata");
}

/// What the root manifest offers is used by somebody.
#[test]
fn no_dependency_is_offered_in_vain() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let crates = crates();
    for name in manifest["workspace"]["dependencies"].as_table().unwrap().keys() {
        let name = name.strip_prefix("autoshare-").unwrap_or(name);
        let used = crates.iter().flat_map(|one| &one.dependencies).any(|dependency| dependency.name == name);
        assert!(used, "{name} stands in [workspace.dependencies], and no crate uses it");
    }
}

/// The licence files that Cargo.toml promises, and the papers a reader looks for.
#[test]
fn the_papers_are_there() {
    let rows = [
        ("LICENSE-MIT", "Permission is hereby granted, free of charge"),
        ("LICENSE-APACHE", "Apache License"),
        ("README.md", "cargo run --release -- demo"),
        ("README.md", "./test"),
        ("SECURITY.md", "90 days"),
        ("CHANGELOG.md", "Unreleased"),
        ("deny.toml", "ring"),
    ];
    for (file, text) in rows {
        assert!(read(file).contains(text), "{file} does not say {text:?}");
    }
}
