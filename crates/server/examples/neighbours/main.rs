//! What one tenant's flood does to another: `cargo run --release -p autoshare-server --example neighbours -- PROGRAM [ONLY]`,
//! where PROGRAM is a release build of `autoshare`. ONLY is a part of a line's name, or `refusal` (what a refused request
//! costs) or `jain` (how evenly sixteen tenants are served that want more than there is).
//!
//! It starts the program with two tenants over a stand-in model. The victim asks at a steady rate (an open loop: each
//! latency counts from the moment at which the request was to be sent); beside it the aggressor, a process that gives way to
//! all others, does one kind of harm after another. Before each, the victim is measured alone, so that what else the machine
//! does falls on both alike. What the harm takes from the machine, whoever serves, is measured too: for a flood, the victim's
//! latency while the same flood is at another server, which only refuses; for what is done in cells, the latency of a victim who
//! asks that other server at the same time. Printed are the victim's p99 alone, that floor, and beside the aggressor, with its errors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    missing_docs,
    reason = "a measurement"
)]

mod bare;
mod harm;
#[path = "../gateway/process.rs"]
#[allow(dead_code, reason = "the other example takes more of it")]
mod process;
#[path = "../served/mod.rs"]
mod served;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::bare::Bare;
use self::harm::{AtWork, Harm, Job};
use self::process::cpu_ms;
use self::served::Served;

/// Requests a second that a tenant may make; the victim makes a fifth of them.
pub(crate) const CAPACITY: u32 = 200;
const RATE: u32 = CAPACITY / 5;
/// How long each measurement is.
const BLOCK: Duration = Duration::from_secs(8);
/// How long the aggressor has been at it before the victim is measured.
const LEAD: Duration = Duration::from_secs(2);
const PORT: u16 = 7993;
const BARE: u16 = 7995;
/// Tokens that a tenant may have, less the one that makes them.
const MOST_TOKENS: usize = 9_999;

struct Bench {
    served: Served,
    _bare: Bare,
    victim: String,
    aggressor: String,
    /// A brain of the victim's, which it asks about.
    brain: String,
    /// Further tokens of the aggressor's.
    tokens: Vec<String>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--harm"] => return harm::run(),
        ["--bare", port] => return bare::serve(port.parse().unwrap()),
        _ => {}
    }
    let (program, only) = (args.first().expect("name a release build of autoshare"), args.get(1).copied());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match only {
            Some("refusal") => refusal(program).await,
            Some("jain") => evenly(program).await,
            _ => neighbours(program, only).await,
        }
    });
}

/// A tenant, and a token of it.
fn tenant(served: &Served, name: &str) -> String {
    served.operator(&["tenant", "new", name, "--model", "gullible"]);
    let scopes = ["read", "brains", "approve", "tokens"].into_iter().flat_map(|scope| ["--scope", scope]);
    let args: Vec<_> = ["--tenant", name, "token", "new", "load"].into_iter().chain(scopes).collect();
    served.operator(&args)
}

fn capped(a_minute: u32, more: &str) -> String {
    format!("{more}\n[fair]\nrequests_per_minute = {a_minute}\nrequests_at_once = {CAPACITY}\n")
}

const HARMS: [(&str, Harm); 11] = [
    ("requests, all it may make", Harm::Requests(CAPACITY)),
    ("requests, 10 times as many", Harm::Requests(10 * CAPACITY)),
    ("requests, 100 times as many", Harm::Requests(100 * CAPACITY)),
    ("bodies of 4 MiB, 4 at a time", Harm::HugeBodies),
    ("100 streams that nobody reads", Harm::SlowReaders),
    ("brains begun, 8 at a time", Harm::Brains),
    ("16 brains whose programs spin", Harm::Spinning),
    ("16 brains whose programs fork", Harm::Forking),
    ("16 brains whose programs take memory", Harm::Memory),
    ("16 brains whose programs write", Harm::Disk),
    ("100 times as many, by 9,999 idle tokens", Harm::Tokens),
];

async fn neighbours(program: &str, only: Option<&str>) {
    let served = Served::new(program, PORT, &capped(CAPACITY * 60, "connections_each = 500"));
    let [victim, aggressor] = ["victim", "aggressor"].map(|name| tenant(&served, name));
    let bare = Bare::begin(BARE);
    let mut bench = Bench { served, _bare: bare, victim, aggressor, brain: String::new(), tokens: Vec::new() };
    bench.served.start().await;
    bench.brain = bench.served.begin(&bench.victim, "read nothing", true).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut bench = Arc::new(bench);
    println!(
        "{:<40} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7}",
        "aggressor", "alone", "floor", "beside", "of alone", "of floor", "errors"
    );
    for (name, harm) in HARMS.iter().filter(|(name, _)| only.is_none_or(|only| name.contains(only))) {
        if matches!(harm, Harm::Tokens) {
            Arc::get_mut(&mut bench).unwrap().make_tokens().await;
        }
        let alone = victim_for(&bench, None).await;
        let is_flood = matches!(harm, Harm::Requests(_) | Harm::Tokens | Harm::HugeBodies);
        let other = format!("http://127.0.0.1:{BARE}");
        let floor = match is_flood {
            true => Some(beside(&bench, *harm, &other).await),
            false => None,
        };
        let at_work = bench.begin(*harm, &bench.served.base);
        tokio::time::sleep(LEAD).await;
        let (beside, floor) = match floor {
            Some(floor) => (victim_for(&bench, None).await, floor),
            None => tokio::join!(victim_for(&bench, None), victim_for(&bench, Some(&other))),
        };
        let done = at_work.end();
        let times = |than: &Measured| format!("{:.2}", beside.p99.as_secs_f64() / than.p99.as_secs_f64());
        let shown = |of: &Measured| format!("{:.1} ms", of.p99.as_secs_f64() * 1e3);
        let errors = alone.errors + beside.errors;
        println!(
            "{name:<40} {:>9} {:>9} {:>9} {:>9} {:>9} {errors:>7}   ({done})",
            shown(&alone),
            shown(&floor),
            shown(&beside),
            times(&alone),
            times(&floor)
        );
        bench.rest().await;
    }
}

struct Measured {
    p99: Duration,
    errors: u64,
}

/// The victim's, while harm is done at `base`.
async fn beside(bench: &Arc<Bench>, harm: Harm, base: &str) -> Measured {
    let at_work = bench.begin(harm, base);
    tokio::time::sleep(LEAD).await;
    let measured = victim_for(bench, None).await;
    at_work.end();
    measured
}

/// The victim looks at its brain at a steady rate; or asks the other server, whatever that says.
async fn victim_for(bench: &Arc<Bench>, other: Option<&str>) -> Measured {
    let (errors, begun, count) = (Arc::new(AtomicU64::new(0)), Instant::now(), RATE * BLOCK.as_secs() as u32);
    let (base, wanted) = other.map_or((bench.served.base.as_str(), 200), |other| (other, 429));
    let path = format!("{base}/api/v1/brains/{}", bench.brain);
    let mut asked = JoinSet::new();
    for n in 0..count {
        let due = begun + Duration::from_secs(1) / RATE * n;
        tokio::time::sleep_until(due.into()).await;
        let (request, errors) = (bench.served.client.get(&path).bearer_auth(&bench.victim), Arc::clone(&errors));
        asked.spawn(async move {
            let is_good = match request.send().await {
                Ok(answer) => answer.status() == wanted && answer.bytes().await.is_ok(),
                Err(_) => false,
            };
            errors.fetch_add(u64::from(!is_good), Ordering::Relaxed);
            due.elapsed()
        });
    }
    let mut all: Vec<Duration> = asked.join_all().await;
    all.sort();
    Measured { p99: all[all.len() * 99 / 100], errors: errors.load(Ordering::Relaxed) }
}

impl Bench {
    fn begin(&self, harm: Harm, base: &str) -> AtWork {
        let (token, tokens) = (self.aggressor.clone(), self.tokens.clone());
        AtWork::begin(&Job { harm, base: base.to_owned(), token, tokens })
    }

    /// Makes tokens of the aggressor's, as fast as they are taken.
    async fn make_tokens(&mut self) {
        let mut lanes = JoinSet::new();
        for lane in 0..16 {
            let asked =
                self.served.post("/api/v1/tokens", &self.aggressor, &json!({"name": "idle", "scopes": ["read"]}));
            lanes.spawn(async move {
                let mut made = Vec::new();
                while made.len() < (MOST_TOKENS + lane) / 16 {
                    let answer = asked.try_clone().unwrap().send().await.unwrap();
                    match answer.status().as_u16() {
                        201 => made.push(answer.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()),
                        429 => tokio::time::sleep(Duration::from_millis(20)).await,
                        other => panic!("{other}: {}", answer.text().await.unwrap()),
                    }
                }
                made
            });
        }
        self.tokens = lanes.join_all().await.into_iter().flatten().collect();
    }

    /// Waits until the aggressor's brains have ended, and stops those that do not end by themselves.
    async fn rest(&self) {
        tokio::time::sleep(Duration::from_secs(2)).await;
        loop {
            let mut busy = 0;
            let mut next = Value::Null;
            loop {
                let more = next.as_str().map(|next| format!("&cursor={next}")).unwrap_or_default();
                let listed =
                    served::told(self.served.get(&format!("/api/v1/brains?limit=100{more}"), &self.aggressor)).await;
                for brain in listed["items"].as_array().unwrap_or_else(|| panic!("{listed}")) {
                    if matches!(brain["state"].as_str(), Some("awake" | "waiting" | "asking")) {
                        busy += 1;
                        let path = format!("/api/v1/brains/{}/stop", brain["id"].as_str().unwrap());
                        let _ = self.served.post(&path, &self.aggressor, &json!({"now": true})).send().await;
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
                next = listed["next"].clone();
                if next.is_null() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if busy == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// What a refused request costs the server's processors, against one that does nothing else; by turns.
async fn refusal(program: &str) {
    let mut served = Served::new(program, PORT, &capped(60, "refused_pause_ms = 0"));
    let (token, bare) = (tenant(&served, "flood"), Bare::begin(BARE));
    served.start().await;
    let (pid, other) = (served.pid(), format!("http://127.0.0.1:{BARE}"));
    println!("{:>22} {:>22} {:>9}", "AutoSHARE", "a bare server", "more");
    for _ in 0..5 {
        let costs = [(pid, &served.base), (bare.pid(), &other)].map(|(pid, base)| {
            let (harm, token) = (Harm::Lanes(32), token.clone());
            let before = cpu_ms(pid);
            let at_work = AtWork::begin(&Job { harm, base: base.clone(), token, tokens: Vec::new() });
            std::thread::sleep(BLOCK);
            let answered: Value = serde_json::from_str(&at_work.end()).unwrap();
            let refused = answered["429"].as_u64().unwrap();
            ((cpu_ms(pid) - before) as f64 * 1e3 / refused as f64, refused)
        });
        let shown = costs.map(|(cost, refused)| format!("{cost:.1} us of {refused}"));
        println!("{:>22} {:>22} {:>6.1} us", shown[0], shown[1], costs[0].0 - costs[1].0);
    }
}

/// Tenants that want more than there is, half of them much more.
const TENANTS: usize = 16;

/// How evenly model calls are made of tenants that all have more brains to drive than are driven.
async fn evenly(program: &str) {
    // Few places, held for a while: none runs out of brains meanwhile.
    let mut served = Served::new(program, PORT, &(capped(1_000_000, "") + "cells = 8\n"));
    let tokens: Vec<String> = (0..TENANTS).map(|n| tenant(&served, &format!("tenant-{n}"))).collect();
    served.start().await;
    let served = Arc::new(served);
    let mut lanes = JoinSet::new();
    for (n, token) in tokens.iter().enumerate() {
        let (served, token) = (Arc::clone(&served), token.clone());
        lanes.spawn(async move {
            for _ in 0..if n % 2 == 0 { 100 } else { 300 } {
                served.begin(&token, "run `sleep 0.3`", true).await;
            }
        });
    }
    let calls = async || {
        let mut calls = Vec::new();
        for token in &tokens {
            let told = served::told(served.get("/api/v1/usage", token)).await;
            let items = told["items"].as_array().unwrap_or_else(|| panic!("{told}"));
            calls.push(items.iter().map(|item| item["requests"].as_u64().unwrap()).sum::<u64>());
        }
        calls
    };
    lanes.join_all().await;
    let before = calls().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let after = calls().await;
    for token in &tokens {
        let told = served::told(served.get("/api/v1/brains?limit=100", token)).await;
        let waits = told["items"].as_array().unwrap().iter().any(|brain| brain["state"] == "waiting");
        assert!(waits, "a tenant has none left to drive");
    }
    let used: Vec<f64> = before.iter().zip(&after).map(|(before, after)| (after - before) as f64).collect();
    let (sum, squares) = (used.iter().sum::<f64>(), used.iter().map(|used| used * used).sum::<f64>());
    println!("model calls of each in 20 s: {used:?}");
    println!("Jain index of {TENANTS} backlogged tenants: {:.4}", sum * sum / (TENANTS as f64 * squares));
}
