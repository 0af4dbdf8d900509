//! The sandbox attacked from inside, on the kernel it stands on.
//!
//! A runner of one thread: each test makes real cells, sends the code in them the name of an attack, and gets back what
//! the kernel answered. The same attack is then made outside of a cell, where it must succeed (its *control*), or the
//! line says why it cannot. Started by root, the tests run as root and again as a user without any privilege.

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
    clippy::undocumented_unsafe_blocks,
    unsafe_code,
    missing_docs,
    reason = "tests"
)]

mod attack;
mod bombs;
mod breakout;
mod confine;
mod life;
mod probes;
mod programs;
mod walls;
mod world;

use std::panic::AssertUnwindSafe;

use world::World;

type Test = (&'static str, fn(&mut World));

/// The variable whose value must not be found in any cell; see `breakout::b7_...`.
pub(crate) const CANARY_NAME: &str = "AUTOSHARE_TEST_CANARY";

/// Its value, which must stand nowhere in this program as it is.
pub(crate) fn canary() -> String {
    "5d1e-yranac-eht-si-siht".chars().rev().collect()
}

fn main() {
    // Asked without a copy, since a copy in this process's memory would be in every cell's.
    let name = std::ffi::CString::new(CANARY_NAME).unwrap();
    if unsafe { libc::getenv(name.as_ptr()) }.is_null() {
        use std::os::unix::process::CommandExt as _;
        let mut args = std::env::args_os();
        let program = args.next().unwrap();
        let error = std::process::Command::new(program).args(args).env(CANARY_NAME, canary()).exec();
        panic!("{error}");
    }
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let tests: Vec<Test> =
        [breakout::TESTS, confine::TESTS, walls::TESTS, life::TESTS, programs::TESTS, bombs::TESTS, probes::TESTS]
            .concat();
    std::panic::set_hook(Box::new(|info| println!("    {info}")));

    let root = unsafe { libc::geteuid() } == 0;
    let (mut passed, mut failed) = if root { run(&tests, "root", &filter) } else { (0, 0) };
    let (more_passed, more_failed) =
        if root { world::as_nobody(|| run(&tests, "rootless", &filter)) } else { run(&tests, "rootless", &filter) };
    if !root {
        println!("not applicable: the tests as root (started by a user)");
    }
    passed += more_passed;
    failed += more_failed;
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {verdict}. {passed} passed; {failed} failed");
    std::process::exit(i32::from(failed > 0));
}

fn run(tests: &[Test], who: &str, filter: &str) -> (usize, usize) {
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests {
        let name = format!("{who}::{name}");
        if !name.contains(filter) {
            continue;
        }
        println!("test {name} ...");
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| test(&mut World::new())));
        match outcome {
            Ok(()) => passed += 1,
            Err(_) => failed += 1,
        }
        println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
    }
    (passed, failed)
}
