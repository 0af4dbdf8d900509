//! The stand-ins, through their public face: a simulated tool loop over documents that nobody prepared.
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
    missing_docs,
    reason = "tests"
)]

mod demo;
mod grammar;
mod planted;
mod replay;
mod run;
mod shell;
mod world;
