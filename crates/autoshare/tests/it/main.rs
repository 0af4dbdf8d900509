//! The program as its users meet it: the real binary, real files, real cells, a real server.
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

mod agents;
mod attacks;
mod bad_input;
mod budgets;
mod clients;
mod company;
mod demo;
mod desk;
mod exec;
mod gate;
mod guard;
mod gullible;
mod login;
mod mcp;
mod mcp_guard;
mod mcp_offers;
mod models;
mod network;
#[cfg(feature = "onnx")]
mod onnx;
mod packages;
mod people;
mod policy;
mod programs;
mod resume;
mod scripted;
mod secrets;
mod serve;
mod sharing;
mod telemetry;
mod tenants;
mod undo;
mod upkeep;
mod verifiers;
mod verify;
