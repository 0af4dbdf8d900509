//! What a reservation and its settlement cost in memory, with the accounts of 100 tenants, beside the least that any
//! ledger must do: one update of a map under a lock.
//!
//! `cargo run --release -p autoshare-store --example ledger`
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Mutex;
use std::time::Instant;

use autoshare_access::Access;
use autoshare_core::TokenId;
use autoshare_core::budget::{Account, Budget, Cap, Caps, Limit, ModelPattern, Rate};
use autoshare_core::usage::{MicroUsd, Usage};
use autoshare_store::ledger::{Budgets, Ledger, Payer, Settled};

const TENANTS: usize = 100;
const TOKENS: usize = 10;
const ROUNDS: usize = 300_000;

fn main() {
    let cap = Cap { tokens: Some(u64::MAX / 4), cost: Some(MicroUsd(u64::MAX / 4)), ..Cap::NONE };
    let budget = Budget { hard: Caps { day: cap, month: cap, ..Caps::NONE }, soft: Caps::NONE };
    let rate = Rate { requests: Some(1_000_000_000), tokens: Some(1_000_000_000_000) };
    let used = Usage { input_tokens: 900, output_tokens: 100, cost: MicroUsd(500), ..Usage::ZERO };
    let wanted = Usage { output_tokens: 4_096, cost: MicroUsd(9_000), ..used };
    let tenants: Vec<_> = (0..TENANTS)
        .map(|_| {
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            let dir = tempfile::Builder::new().permissions(private).tempdir().unwrap();
            let access = Access::local(dir.path()).unwrap();
            let models = vec![(ModelPattern::parse("gpt-*").unwrap(), budget)];
            let ledger = Ledger::open(dir.path(), &access, Budgets { tenant: budget, models }).unwrap();
            let calls: Vec<_> = (0..TOKENS)
                .map(|n| {
                    let token = TokenId::from_random([0, 0, 0, 0, u8::try_from(n).unwrap()]);
                    let limit = Limit { account: Account::Token(token.clone()), budget, rate };
                    (Payer { token: Some(token), brain: None, model: "gpt-4.1-mini".to_owned() }, [limit])
                })
                .collect();
            (dir, ledger, calls)
        })
        .collect();
    // Every account has its slice.
    for (_, ledger, calls) in &tenants {
        for (payer, limits) in calls {
            ledger.reserve(payer, limits, wanted).unwrap().settle(used, Settled::Done);
        }
    }
    let bare: Mutex<HashMap<String, u64>> = Mutex::new((0..TENANTS).map(|n| (format!("tenant-{n}"), 0)).collect());
    let names: Vec<_> = (0..TENANTS).map(|n| format!("tenant-{n}")).collect();
    println!(
        "{TENANTS} tenants, {TOKENS} tokens each, 6 capped windows a call (tenant, token, model: day, month), rates on"
    );
    for _ in 0..5 {
        let begun = Instant::now();
        for n in 0..ROUNDS {
            let (_, ledger, calls) = tenants.get(n % TENANTS).unwrap();
            let (payer, limits) = calls.get(n / TENANTS % TOKENS).unwrap();
            black_box(ledger.reserve(payer, limits, wanted).unwrap()).settle(used, Settled::Done);
        }
        let ledger = begun.elapsed().as_nanos() as f64 / ROUNDS as f64;
        let begun = Instant::now();
        for n in 0..ROUNDS {
            *bare.lock().unwrap().get_mut(black_box(names.get(n % TENANTS).unwrap())).unwrap() += black_box(1);
        }
        let map = begun.elapsed().as_nanos() as f64 / ROUNDS as f64;
        println!("reserve + settle {ledger:7.0} ns   one map update {map:5.0} ns   ratio {:5.1}", ledger / map);
    }
}
