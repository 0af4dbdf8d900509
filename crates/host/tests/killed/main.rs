//! ATTACKS row G1: a host that is killed at any point of a brain's life, and another that goes on with it.
//!
//! A host here is a process of its own with everything real: journal, cells, a model behind HTTP (scripted), a person
//! who answers. It kills itself (`SIGKILL`) at a chosen append, or is killed at any instant. This test has a `main` of
//! its own because a host forks its launcher while it has one thread, which the standard harness does not let it have.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

mod matrix;
mod one_host;
mod scene;
#[path = "../support/mod.rs"]
mod support;

fn main() {
    if let Some(job) = std::env::var_os(one_host::JOB) {
        return one_host::run(job.to_str().unwrap());
    }
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let mut ran = 0;
    for (name, test) in matrix::TESTS.iter().filter(|(name, _)| name.contains(&filter)) {
        print!("test {name} ... ");
        test();
        println!("ok");
        ran += 1;
    }
    println!("test result: ok. {ran} passed; 0 failed");
}
