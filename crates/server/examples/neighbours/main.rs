//! What one tenant's flood does to another: `cargo run --release -p autoshare-server --example neighbours -- PROGRAM`,
//! where PROGRAM is a release build of `autoshare`. A further word chooses what
//! is done by it.
//!
//! It starts the program with two tenants over a stand-in model. The victim asks at a steady rate (an open loop: each
//! latency counts from the moment at which the request was to be sent); beside it the aggressor does one kind of harm after
//! another. Before each, the victim is measured alone, so that what else the machine does falls on both alike. What is
//! printed is the victim's p99 beside the aggressor as a multiple of that alone, and its errors.
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
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::served::Served;

/// Requests a second that a tenant may make; the victim makes a fifth of them.
const CAPACITY: u32 = 200;
const RATE: u32 = CAPACITY / 5;
/// How long each measurement is.
const BLOCK: Duration = Duration::from_secs(8);
/// How long the aggressor has been at it before the victim is measured.
const LEAD: Duration = Duration::from_secs(2);
const PORT: u16 = 7993;
/// Tokens that a tenant may have, less the one that makes them.
const MOST_TOKENS: usize = 9_999;

struct Bench {
    served: Served,
    victim: String,
    aggressor: String,
    /// A brain of the victim's, which it asks about.
    brain: String,
    /// Further tokens of the aggressor's.
    tokens: Vec<String>,
}

fn main() {
    let program = std::env::args().nth(1).expect("name a release build of autoshare");
    let settings = format!("[fair]\nrequests_per_minute = {}\nrequests_at_once = {CAPACITY}\n", CAPACITY * 60);
    let served = Served::new(&program, PORT, &settings);
    let [victim, aggressor] = ["victim", "aggressor"].map(|name| tenant(&served, name));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(Bench { served, victim, aggressor, brain: String::new(), tokens: Vec::new() }));
}

fn tenant(served: &Served, name: &str) -> String {
    served.operator(&["tenant", "new", name, "--model", "gullible"]);
    let scopes = ["read", "brains", "approve", "tokens"].into_iter().flat_map(|scope| ["--scope", scope]);
    let args: Vec<_> = ["--tenant", name, "token", "new", "load"].into_iter().chain(scopes).collect();
    served.operator(&args)
}

/// What the aggressor does.
#[derive(Clone, Copy)]
enum Harm {
    /// So many requests a second.
    Requests(u32),
    /// The same with 10,000 tokens by turns, each of which is idle in between.
    Tokens,
    /// Bodies as large as they may be, that are no goal.
    HugeBodies,
    /// Streams of events that nobody reads.
    SlowReaders,
    /// Brains begun as fast as they are taken, each with a journal, a workspace and a cell.
    Brains,
    /// Programs in cells that spin, all that it may have awake.
    Spinning,
    /// Programs in cells that fork without end.
    Forking,
    /// Programs in cells that take memory without end.
    Memory,
    /// Programs in cells that fill the disk.
    Disk,
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

async fn measure(mut bench: Bench) {
    bench.served.start().await;
    bench.brain = bench.begin(&bench.victim, "read nothing").await["id"].as_str().unwrap().to_owned();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut bench = Arc::new(bench);
    println!("{:<42} {:>9} {:>9} {:>6} {:>7}", "aggressor", "p99 alone", "beside", "times", "errors");
    let only = std::env::args().nth(2);
    for (name, harm) in HARMS.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| name.contains(only))) {
        if matches!(harm, Harm::Tokens) {
            Arc::get_mut(&mut bench).unwrap().make_tokens().await;
        }
        let alone = victim_for(&bench).await;
        let stop = Arc::new(AtomicBool::new(false));
        let at_work = tokio::spawn(harms(Arc::clone(&bench), *harm, Arc::clone(&stop)));
        tokio::time::sleep(LEAD).await;
        let beside = victim_for(&bench).await;
        stop.store(true, Ordering::Relaxed);
        let done = at_work.await.unwrap();
        let times = beside.p99.as_secs_f64() / alone.p99.as_secs_f64();
        let [quiet, loud] = [alone.p99, beside.p99].map(|p99| p99.as_secs_f64() * 1e3);
        let errors = alone.errors + beside.errors;
        println!("{name:<42} {quiet:>6.1} ms {loud:>6.1} ms {times:>6.2} {errors:>7}   ({done})");
        bench.rest().await;
    }
}

struct Measured {
    p99: Duration,
    errors: u64,
}

/// The victim looks at its brain, at a steady rate.
async fn victim_for(bench: &Arc<Bench>) -> Measured {
    let (errors, begun, count) = (Arc::new(AtomicU64::new(0)), Instant::now(), RATE * BLOCK.as_secs() as u32);
    let mut asked = JoinSet::new();
    for n in 0..count {
        let due = begun + Duration::from_secs(1) / RATE * n;
        tokio::time::sleep_until(due.into()).await;
        let (bench, errors) = (Arc::clone(bench), Arc::clone(&errors));
        asked.spawn(async move {
            let path = format!("{}/api/v1/brains/{}", bench.served.base, bench.brain);
            let answered = bench.served.client.get(path).bearer_auth(&bench.victim).send().await;
            let is_good = match answered {
                Ok(answer) => answer.status() == 200 && answer.bytes().await.is_ok(),
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

/// Does harm until it is stopped; says what came of it.
async fn harms(bench: Arc<Bench>, harm: Harm, stop: Arc<AtomicBool>) -> String {
    let goes_on = || !stop.load(Ordering::Relaxed);
    let command = match harm {
        Harm::Requests(rate) => return bench.requests(rate, std::slice::from_ref(&bench.aggressor), &stop).await,
        Harm::Tokens => return bench.requests(100 * CAPACITY, &bench.tokens, &stop).await,
        Harm::HugeBodies => {
            return bench
                .at_a_time(4, &stop, |bench| async move {
                    let body = vec![b' '; 4 << 20];
                    let path = format!("{}/api/v1/brains", bench.served.base);
                    let asked = bench
                        .served
                        .client
                        .post(path)
                        .bearer_auth(&bench.aggressor)
                        .header("content-type", "application/json");
                    asked.body(body).send().await.map_or(0, |answer| answer.status().as_u16())
                })
                .await;
        }
        Harm::SlowReaders => {
            let brain = bench.begin(&bench.aggressor, "run `sleep 20`").await["id"].as_str().unwrap().to_owned();
            let path = format!("{}/api/v1/brains/{brain}/stream", bench.served.base);
            let mut open = Vec::new();
            for _ in 0..100 {
                open.extend(bench.served.client.get(&path).bearer_auth(&bench.aggressor).send().await.ok());
            }
            while goes_on() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            return format!("{} streams", open.len());
        }
        Harm::Brains => {
            return bench
                .at_a_time(8, &stop, |bench| async move {
                    let brain = bench.begin(&bench.aggressor, "write hello to a.txt").await;
                    if brain["id"].is_string() {
                        201
                    } else {
                        u16::try_from(brain["status"].as_u64().unwrap_or(0)).unwrap_or(0)
                    }
                })
                .await;
        }
        Harm::Spinning => "run `sh -c 'while :; do :; done'`",
        Harm::Forking => "run `sh -c 'while :; do sleep 30 & done'`",
        Harm::Memory => "run `python3 -c 'a=[]\nwhile 1: a.append(bytearray(1<<20))'`",
        Harm::Disk => "run `sh -c 'while :; do head -c 1000000 /dev/zero >> big; done'`",
    };
    let mut begun = 0;
    for n in 0..16 {
        let brain = bench.begin(&bench.aggressor, &format!("{command} #{n}")).await;
        begun += u32::from(brain["id"].is_string());
    }
    while goes_on() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    format!("{begun} brains")
}

impl Bench {
    async fn begin(&self, token: &str, goal: &str) -> Value {
        let asked = self.served.client.post(format!("{}/api/v1/brains", self.served.base)).bearer_auth(token);
        match asked.json(&json!({"goal": goal})).send().await {
            Ok(answer) => answer.json().await.unwrap_or_default(),
            Err(_) => Value::Null,
        }
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

    async fn requests(self: &Arc<Self>, rate: u32, tokens: &[String], stop: &AtomicBool) -> String {
        let (begun, mut asked, mut n) = (Instant::now(), JoinSet::new(), 0u32);
        let (good, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep_until((begun + Duration::from_secs(1) / rate * n).into()).await;
            n += 1;
            while asked.try_join_next().is_some() {}
            if asked.len() > 2_000 {
                continue;
            }
            let (bench, good, refused) = (Arc::clone(self), Arc::clone(&good), Arc::clone(&refused));
            let token = tokens[n as usize % tokens.len()].clone();
            asked.spawn(async move {
                let path = format!("{}/api/v1/brains", bench.served.base);
                if let Ok(answer) = bench.served.client.get(path).bearer_auth(token).send().await {
                    let count = if answer.status() == 200 { good } else { refused };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        asked.shutdown().await;
        format!("{} answered, {} refused", good.load(Ordering::Relaxed), refused.load(Ordering::Relaxed))
    }

    /// Asks again and again, so many at a time.
    async fn at_a_time<F: Future<Output = u16> + Send + 'static>(
        self: &Arc<Self>,
        width: usize,
        stop: &Arc<AtomicBool>,
        what: impl Fn(Arc<Self>) -> F + Copy + Send + 'static,
    ) -> String {
        let mut lanes = JoinSet::new();
        for _ in 0..width {
            let (bench, stop) = (Arc::clone(self), Arc::clone(stop));
            lanes.spawn(async move {
                let mut statuses = std::collections::BTreeMap::<u16, u32>::new();
                while !stop.load(Ordering::Relaxed) {
                    *statuses.entry(what(Arc::clone(&bench)).await).or_default() += 1;
                }
                statuses
            });
        }
        let mut all = std::collections::BTreeMap::<u16, u32>::new();
        for statuses in lanes.join_all().await {
            statuses.into_iter().for_each(|(status, count)| *all.entry(status).or_default() += count);
        }
        format!("{all:?}")
    }

    /// Stops the aggressor's brains.
    async fn rest(&self) {
        let path = format!("{}/api/v1/brains?limit=100", self.served.base);
        let Ok(answer) = self.served.client.get(path).bearer_auth(&self.aggressor).send().await else { return };
        let listed: Value = answer.json().await.unwrap_or_default();
        for brain in listed["items"].as_array().into_iter().flatten() {
            if matches!(brain["state"].as_str(), Some("awake" | "waiting" | "asking")) {
                let path =
                    format!("{}/api/v1/brains/{}/stop", self.served.base, brain["id"].as_str().unwrap_or_default());
                let _ =
                    self.served.client.post(path).bearer_auth(&self.aggressor).json(&json!({"now": true})).send().await;
            }
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}
