//! The guard as a specification: what passes, what is taken out, what cannot be forged.
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

mod clean;
mod encode;
mod ensemble;
mod filter;
mod languages;
mod linear;
mod nasty;
mod prompt;
mod records;
mod rules;
mod screen;
mod verify;
