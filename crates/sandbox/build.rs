//! Makes a table of the list of system calls, which stands in TOML for people to read: taking that apart would cost each
//! launcher more than a millisecond.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a build script reads the source tree, and speaks to cargo"
)]

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    call: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default = "host")]
    profile: String,
    #[serde(default = "allow")]
    answer: String,
    #[serde(default)]
    when: Vec<Test>,
    arch: Option<String>,
    why: String,
}

/// The list of the host names no profiles.
fn host() -> String {
    "host".to_owned()
}

fn allow() -> String {
    "allow".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    arg: u32,
    #[serde(default = "all_bits")]
    mask: u64,
    is: Vec<u32>,
}

fn all_bits() -> u64 {
    u64::MAX
}

fn main() {
    for list in ["seccomp", "host"] {
        tabulate(list);
    }
}

fn tabulate(list: &str) {
    let variable = |name: &str| PathBuf::from(std::env::var_os(name).expect("set by cargo"));
    let source = variable("CARGO_MANIFEST_DIR").join(format!("src/{list}.toml"));
    let text = std::fs::read_to_string(&source).expect("the list can be read");
    let calls: Table = toml::from_str(&text).expect("it is a list of calls");
    let mut table = String::from("&[\n");
    for Entry { name, profile, answer, when, arch, why } in calls.call {
        let (profile, answer) = (variant(&profile), variant(&answer));
        let tests: String = when
            .iter()
            .map(|Test { arg, mask, is }| format!("Test {{ arg: {arg}, mask: {mask:#x}, is: &{is:?} }}, "))
            .collect();
        writeln!(
            table,
            "    Entry {{ name: {name:?}, profile: Profile::{profile}, answer: Answer::{answer}, when: &[{tests}], \
             arch: {arch:?}, why: {why:?} }},"
        )
        .expect("to a string");
    }
    table.push_str("]\n");
    std::fs::write(variable("OUT_DIR").join(format!("{list}.rs")), table).expect("the build directory can be written");
    println!("cargo::rerun-if-changed=src/{list}.toml");
}

/// `tools_full` as `ToolsFull`; one that there is not, the compiler refuses.
fn variant(name: &str) -> String {
    let capital = |word: &str| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default();
    name.split('_').map(capital).collect()
}
