//! What the aggressor does, in a process of its own that gives way to every other (nice(1)): whoever floods a server does it
//! from another machine, whose processors are not the server's.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::CAPACITY;

/// One kind of it.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Harm {
    /// So many requests a second.
    Requests(u32),
    /// As many as are answered, so many at a time.
    Lanes(usize),
    /// A hundred times what may be asked, by 9,999 tokens by turns, each of which is idle in between.
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

/// Of whom and to whom it is done.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) harm: Harm,
    pub(crate) base: String,
    pub(crate) token: String,
    /// Further tokens.
    pub(crate) tokens: Vec<String>,
}

/// The process that does it.
pub(crate) struct AtWork(Child);

impl AtWork {
    pub(crate) fn begin(job: &Job) -> Self {
        let own = std::env::current_exe().unwrap();
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(own).arg("--harm").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut told = serde_json::to_vec(job).unwrap();
        told.push(b'\n');
        child.stdin.as_mut().unwrap().write_all(&told).unwrap();
        Self(child)
    }

    /// Ends it. What came of it.
    pub(crate) fn end(mut self) -> String {
        drop(self.0.stdin.take());
        let mut said = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        self.0.wait().unwrap();
        said.trim().to_owned()
    }
}

/// Does a job that stands on the standard input, until that is closed.
pub(crate) fn run() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let job: Job = serde_json::from_str(&line).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&stop);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ends.store(true, Ordering::Relaxed);
    });
    // From an address of its own, as on a machine of its own.
    let client = Client::builder().no_proxy().pool_max_idle_per_host(2_000).local_address("127.0.0.2".parse().ok());
    let aggressor = Arc::new(Aggressor { client: client.build().unwrap(), job, stop });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("{}", runtime.block_on(aggressor.work()));
    runtime.shutdown_background();
}

struct Aggressor {
    job: Job,
    client: Client,
    stop: Arc<AtomicBool>,
}

impl Aggressor {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    async fn until_stopped(&self) {
        while self.goes_on() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn work(self: Arc<Self>) -> String {
        let own = std::slice::from_ref(&self.job.token);
        let command = match self.job.harm {
            Harm::Requests(rate) => return self.requests(rate, own).await,
            Harm::Tokens => return self.requests(100 * CAPACITY, &self.job.tokens).await,
            Harm::Lanes(lanes) => {
                return self.at_a_time(lanes, |own| async move { status(own.list(&own.job.token)).await }).await;
            }
            Harm::HugeBodies => {
                return self
                    .at_a_time(4, |own| async move {
                        let asked = own.post("/api/v1/brains").header("content-type", "application/json");
                        status(asked.body(vec![b' '; 4 << 20])).await
                    })
                    .await;
            }
            Harm::SlowReaders => {
                let brain = self.begin("run `sleep 20`").await["id"].as_str().unwrap().to_owned();
                let path = format!("{}/api/v1/brains/{brain}/stream", self.job.base);
                let mut open = Vec::new();
                for _ in 0..100 {
                    open.extend(self.client.get(&path).bearer_auth(&self.job.token).send().await.ok());
                }
                self.until_stopped().await;
                return format!("{} streams", open.len());
            }
            Harm::Brains => {
                return self
                    .at_a_time(8, |own| async move {
                        let asked = own.post("/api/v1/brains");
                        status(asked.json(&json!({"goal": "write hello to a.txt"}))).await
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
            let brain = self.begin(&format!("{command} #{n}")).await;
            begun += u32::from(brain["id"].is_string());
        }
        self.until_stopped().await;
        format!("{begun} brains")
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.job.base)).bearer_auth(&self.job.token)
    }

    fn list(&self, token: &str) -> RequestBuilder {
        self.client.get(format!("{}/api/v1/brains", self.job.base)).bearer_auth(token)
    }

    async fn begin(&self, goal: &str) -> Value {
        match self.post("/api/v1/brains").json(&json!({"goal": goal})).send().await {
            Ok(answer) => answer.json().await.unwrap_or_default(),
            Err(_) => Value::Null,
        }
    }

    /// An open loop; those that are not answered wait, up to 2,000.
    async fn requests(self: &Arc<Self>, rate: u32, tokens: &[String]) -> String {
        let (begun, mut asked, mut n) = (Instant::now(), JoinSet::new(), 0u32);
        let counts = Arc::new([const { AtomicU64::new(0) }; 3]);
        while self.goes_on() {
            tokio::time::sleep_until((begun + Duration::from_secs(1) / rate * n).into()).await;
            n += 1;
            while asked.try_join_next().is_some() {}
            if asked.len() > 2_000 {
                continue;
            }
            let (own, counts) = (Arc::clone(self), Arc::clone(&counts));
            let token = tokens[n as usize % tokens.len()].clone();
            asked.spawn(async move {
                let which = match status(own.list(&token)).await {
                    200 => 0,
                    429 => 1,
                    _ => 2,
                };
                counts[which].fetch_add(1, Ordering::Relaxed);
            });
        }
        let seconds = begun.elapsed().as_secs_f64();
        asked.shutdown().await;
        let [good, refused, lost] = [0, 1, 2].map(|which| counts[which].load(Ordering::Relaxed) as f64 / seconds);
        format!("a second: {good:.0} answered, {refused:.0} refused, {lost:.0} without an answer")
    }

    /// Asks again and again, so many at a time.
    async fn at_a_time<F: Future<Output = u16> + Send + 'static>(
        self: &Arc<Self>,
        width: usize,
        what: impl Fn(Arc<Self>) -> F + Copy + Send + 'static,
    ) -> String {
        let mut lanes = JoinSet::new();
        for _ in 0..width {
            let own = Arc::clone(self);
            lanes.spawn(async move {
                let mut statuses = BTreeMap::<u16, u32>::new();
                while own.goes_on() {
                    *statuses.entry(what(Arc::clone(&own)).await).or_default() += 1;
                }
                statuses
            });
        }
        let mut all = BTreeMap::<u16, u32>::new();
        for statuses in lanes.join_all().await {
            statuses.into_iter().for_each(|(status, count)| *all.entry(status).or_default() += count);
        }
        serde_json::to_string(&all).unwrap()
    }
}

/// 0 where nothing was answered.
async fn status(asked: RequestBuilder) -> u16 {
    match asked.send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            let _ = answer.bytes().await;
            status
        }
        Err(_) => 0,
    }
}
