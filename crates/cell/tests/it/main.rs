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
    unreachable_pub,
    reason = "tests"
)]
//! A cell's hands, spoken to over a real socket on real folders, as the host does.

mod boundary;
mod changes;
mod fuzz;
mod host;
mod looks;
mod readers;
mod wire;
