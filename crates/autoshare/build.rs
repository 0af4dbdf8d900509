//! Embeds the demo's documents: writes a table of their names and contents.
#![allow(clippy::disallowed_methods, clippy::expect_used, reason = "a build script reads the source tree")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("demo");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    let mut table = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&root).expect("below the root").display().to_string();
        if name != "MANIFEST.toml" {
            writeln!(table, "    ({name:?}, include_bytes!({:?})),", file.display().to_string()).expect("to a string");
        }
    }
    table.push_str("]\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("set by cargo")).join("demo_documents.rs");
    std::fs::write(out, table).expect("the build directory can be written");
    println!("cargo::rerun-if-changed=demo");
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}
