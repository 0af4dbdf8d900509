//! The workspace as cargo and the file system show it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The answer of `cargo metadata`.
pub(crate) fn metadata(args: &[&str]) -> Value {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(args)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(out.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// One crate of the workspace and what its manifest asks for.
pub(crate) struct Crate {
    /// Its name without `autoshare-`.
    pub(crate) name: String,
    /// Dependencies, our own without `autoshare-` marked by [`Dependency::ours`].
    pub(crate) dependencies: Vec<Dependency>,
    /// Its folder below `crates`.
    pub(crate) folder: PathBuf,
}

pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) ours: bool,
    /// Only its tests use it.
    pub(crate) dev: bool,
}

pub(crate) fn crates() -> Vec<Crate> {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().unwrap();
    let short = |name: &str| name.strip_prefix("autoshare-").unwrap_or(name).to_owned();
    packages
        .iter()
        .map(|package| Crate {
            name: short(package["name"].as_str().unwrap()),
            dependencies: package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .map(|dependency| {
                    let name = dependency["name"].as_str().unwrap();
                    let ours = name == "autoshare" || name.starts_with("autoshare-");
                    Dependency { name: short(name), ours, dev: dependency["kind"] == "dev" }
                })
                .collect(),
            folder: Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned(),
        })
        .collect()
}

/// Every Rust file below a folder.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_library_opens_with_its_invariants() {
    for Crate { name, folder, .. } in crates().iter().filter(|one| one.name != "autoshare") {
        let text = std::fs::read_to_string(folder.join("src/lib.rs")).unwrap();
        let essay: Vec<_> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(essay.iter().any(|line| line.contains("Invariant")), "{name}: lib.rs opens without an invariant");
        assert!((5..=60).contains(&essay.len()), "{name}: the essay of lib.rs has {} lines", essay.len());
    }
}

#[test]
fn files_are_short_and_finished() {
    for Crate { folder, .. } in crates() {
        for file in rust_files(&folder.join("src")) {
            let text = std::fs::read_to_string(&file).unwrap();
            let lines = text.lines().count();
            assert!(lines <= 800, "{}: {lines} lines; 800 are allowed, 100 to 400 are usual", file.display());
            for unfinished in ["TODO", "FIXME", "todo!(", "unimplemented!("] {
                assert!(!text.contains(unfinished), "{}: {unfinished}", file.display());
            }
        }
    }
}
