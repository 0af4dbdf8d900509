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

mod adaptive;
mod approvals;
mod contracts;
mod derived;
mod drafts;
mod issued;
mod labels;
mod policy;
mod policy_properties;
mod policy_table;
mod programs;
mod properties;
mod provenance;
mod secrets;
mod served_properties;
mod spellings;
mod table;
mod world;
