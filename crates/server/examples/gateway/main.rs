//! What the gateway costs, beside bare servers and other gateways. `benches/gateway.sh` starts all that takes part.
//!
//! - `mock`: an upstream that answers chat completions at once, whole or in events. Prints its base URL.
//! - `proxy HOST:PORT`: the least that stands between a caller and that upstream. Prints its base URL.
//! - `tokens DATA_DIR COUNT`: mints tokens with a list of models, rates and budgets. Prints one a line.
//! - `launch URL LOG COMMAND...`: starts a program, and prints its process id and the milliseconds until URL was answered.
//! - `load`: reads a plan (JSON, [`load::Plan`]) from standard input, sends, and prints rows of a table.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    clippy::zombie_processes,
    reason = "a measurement for people"
)]

mod load;
mod mock;
mod process;

use std::path::Path;

use autoshare_access::{Access, Grant, Tokens};
use autoshare_core::budget::{Budget, Cap, Caps, ModelPattern, Rate};
use autoshare_core::usage::MicroUsd;
use autoshare_vault::Vault;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["mock"] => on_one_thread(mock::mock()),
        ["proxy", upstream] => on_one_thread(mock::proxy(upstream.parse().unwrap())),
        ["tokens", data, count] => tokens(Path::new(data), count.parse().unwrap()),
        ["launch", url, log, command @ ..] => process::launch(url, log, command),
        ["load"] => load::load(serde_json::from_reader(std::io::stdin()).unwrap()),
        _ => panic!("what it takes is said at the top of crates/server/examples/gateway/main.rs"),
    }
}

fn on_one_thread(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

/// Tokens that have everything a token can have, none of it ever reached: each call reserves, settles and is held
/// against a rate.
fn tokens(data: &Path, count: usize) {
    let vault = Vault::open(data).unwrap();
    let access = Access::local(data).unwrap();
    let tokens = Tokens::open(data, &vault).unwrap();
    let much = Cap { tokens: Some(1 << 50), cost: Some(MicroUsd(1 << 50)), ..Cap::NONE };
    let caps = Caps { call: much, run: Cap::NONE, day: much, month: much };
    for n in 0..count {
        let grant = Grant {
            models: ["gpt-4.1*", "gpt-5*"].map(|pattern| ModelPattern::parse(pattern).unwrap()).into(),
            budget: Budget { hard: caps, soft: Caps::NONE },
            rate: Rate { requests: Some(1 << 40), tokens: Some(1 << 50) },
            ..Grant::gateway(&format!("load-{n}"))
        };
        println!("{}", tokens.mint(&access, grant).unwrap().token.expose());
    }
}
