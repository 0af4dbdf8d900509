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
//! The boundary of a workspace, tried row by row as `ATTACKS.md` says it. Every row has a control: the same attack
//! through plain paths, which must succeed, or the row would prove nothing.

mod a1_paths;
mod a2_links;
mod a3_hard_links;
mod a4_folders_with_links;
mod a5_race;
mod a6_special;
mod a7_quota;
mod a9_protected;
mod copying;
mod looking;
mod setting;
mod undo;
mod undo_race;
mod writing;
