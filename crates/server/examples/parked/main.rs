//! Many tenants, and brains that rest: `cargo run --release -p autoshare-server --example parked -- PROGRAM [TENANTS [EACH]]`,
//! where PROGRAM is a release build of `autoshare`; 10,000 tenants with 10 brains each unless it is said.
//!
//! All are made over HTTP by a server, which is then ended and started again. Measured: its memory, how long it takes until it
//! is ready, how long one of the brains takes from being woken to its first new record (a tenant that nobody asked about since
//! the start, so its files are opened too), and what a thousand brains do that are awake at once, against one after another.
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

#[path = "../served/mod.rs"]
mod served;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use self::served::{Served, told};

const PORT: u16 = 7994;
/// Who makes tenants and brains at the same time.
const LANES: usize = 16;
/// Tenants of which one brain each is woken, one after another.
const WOKEN: usize = 50;
/// Brains that are awake at once, of how many tenants.
const AWAKE: (usize, usize) = (1_000, 100);
/// Brains that are driven one after another.
const ALONE: usize = 100;
const GOAL: &str = "write hello to a.txt";

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("name a release build of autoshare");
    let mut number = |usual| args.next().map_or(usual, |text| text.parse().expect("a number"));
    let (tenants, each): (usize, usize) = (number(10_000), number(10));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(&program, tenants, each));
}

async fn measure(program: &str, tenants: usize, each: usize) {
    let settings = "[fair]\nrequests_per_minute = 10000000\nrequests_at_once = 10000000\n";
    let mut server = Served::new(program, PORT, settings);
    let boss = server.operator(&["token", "new", "boss", "--scope", "operator"]);
    let first = server.start().await;
    let (mut shared, begun) = (Arc::new(server), Instant::now());
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let (server, boss) = (Arc::clone(&shared), boss.clone());
        lanes.spawn(async move {
            let mut made = Vec::new();
            for n in (lane..tenants).step_by(LANES) {
                made.push((n, tenant(&server, &boss, n, each).await));
            }
            made
        });
    }
    let mut made: Vec<_> = lanes.join_all().await.into_iter().flatten().collect();
    made.sort_by_key(|(n, _)| *n);
    let made: Vec<Tenant> = made.into_iter().map(|(_, tenant)| tenant).collect();
    let took = begun.elapsed();
    println!("{tenants} tenants with {each} brains each, made in {:.0} s", took.as_secs_f64());
    println!("memory while they were made     {:>8.1} MiB", mib(shared.memory()));
    let server = Arc::get_mut(&mut shared).unwrap();
    server.end();
    let restart = server.start().await;
    println!("start with nobody               {:>8.3} s until it is ready", first.as_secs_f64());
    println!("start with all of them          {:>8.3} s until it is ready", restart.as_secs_f64());
    println!("memory after that               {:>8.1} MiB", mib(shared.memory()));
    wake(&shared, &made).await;
    awake(&shared, &made, each).await;
    println!("memory in the end               {:>8.1} MiB", mib(shared.memory()));
}

struct Tenant {
    token: String,
    brains: Vec<String>,
}

async fn tenant(server: &Served, boss: &str, n: usize, each: usize) -> Tenant {
    let name = format!("t{n}");
    let made = server.post("/api/v1/tenants", boss, &json!({"name": name, "model": "gullible"}));
    let made = made.send().await.unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    let scopes = json!({"name": "load", "scopes": ["read", "brains", "approve"]});
    let token = told(server.post(&format!("/api/v1/tenants/{name}/tokens"), boss, &scopes)).await;
    let token = token["token"].as_str().unwrap_or_else(|| panic!("{token}")).to_owned();
    let mut brains = Vec::new();
    for _ in 0..each {
        brains.push(server.begin(&token, GOAL, false).await);
    }
    Tenant { token, brains }
}

/// Wakes brains of tenants that are far apart, one after another.
async fn wake(server: &Served, made: &[Tenant]) {
    let mut took = Vec::new();
    for tenant in made.iter().step_by((made.len() / WOKEN).max(1)).take(WOKEN) {
        let begun = Instant::now();
        let brain = &tenant.brains[0];
        let woken =
            server.post(&format!("/api/v1/brains/{brain}/wake"), &tenant.token, &json!({})).send().await.unwrap();
        assert!(woken.status().is_success(), "{}", woken.text().await.unwrap());
        // Of a brain that rests there are two records: its goal, and that it rests.
        loop {
            let events = told(server.get(&format!("/api/v1/brains/{brain}/events?after=2"), &tenant.token)).await;
            if events["items"].as_array().is_some_and(|items| !items.is_empty()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(begun.elapsed());
    }
    took.sort();
    let [half, most] = [took[took.len() / 2], took[took.len() - 1]].map(|took| took.as_secs_f64() * 1e3);
    println!("one is woken in                 {half:>8.1} ms (median of {}; the slowest {most:.1} ms)", took.len());
}

/// Drives brains to their ends, all at once or one after another.
async fn awake(server: &Arc<Served>, made: &[Tenant], each: usize) {
    let (brains, tenants) = AWAKE;
    let from_each = (brains / tenants).min(each - 1);
    let last: Vec<&Tenant> = made.iter().rev().take(tenants).collect();
    let all: Vec<(String, String)> = last
        .iter()
        .flat_map(|tenant| {
            tenant.brains.iter().skip(1).take(from_each).map(|brain| (tenant.token.clone(), brain.clone()))
        })
        .collect();
    let before: Vec<&Tenant> = made.iter().rev().skip(tenants).take(ALONE).collect();
    let (mut alone, begun) = (Vec::new(), Instant::now());
    for tenant in &before {
        alone.push(to_its_end(server, &tenant.token, &tenant.brains[1]).await);
    }
    tell("one after another", alone, begun.elapsed());
    let begun = Instant::now();
    let mut driven = JoinSet::new();
    for (token, brain) in all {
        let server = Arc::clone(server);
        driven.spawn(async move { to_its_end(&server, &token, &brain).await });
    }
    let together = driven.join_all().await;
    tell("all awake at once", together, begun.elapsed());
}

/// How long a brain takes to its end, and how many actions it does.
async fn to_its_end(server: &Served, token: &str, brain: &str) -> (Duration, u64) {
    let begun = Instant::now();
    let woken = server.post(&format!("/api/v1/brains/{brain}/wake"), token, &json!({})).send().await.unwrap();
    assert!(woken.status().is_success(), "{}", woken.text().await.unwrap());
    loop {
        let view = told(server.get(&format!("/api/v1/brains/{brain}"), token)).await;
        match view["state"].as_str() {
            Some("done") => return (begun.elapsed(), view["steps"].as_u64().unwrap_or_else(|| panic!("{view}"))),
            Some("awake" | "waiting") => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => panic!("{view}"),
        }
    }
}

fn tell(how: &str, mut all: Vec<(Duration, u64)>, took: Duration) {
    let steps: u64 = all.iter().map(|(_, steps)| steps).sum();
    all.sort();
    let [half, slowest] = [all.len() / 2, all.len() * 99 / 100].map(|at| all[at].0.as_secs_f64() * 1e3);
    let rate = steps as f64 / took.as_secs_f64();
    println!("{:>5} brains, {how}: {rate:.0} steps/s, to the end in {half:.0} ms, p99 {slowest:.0} ms", all.len());
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
