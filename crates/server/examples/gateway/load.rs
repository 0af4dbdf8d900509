//! Requests at a rate that no answer slows down (an open loop): the latency of each counts from the moment at which it
//! was to be sent. Targets take turns in short blocks, so that what else the machine does falls on all of them alike.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::mock::{connect, now_ns};
use crate::process;

/// What is to be measured.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Whether answers are asked for in events.
    stream: bool,
    /// Each target's turns; the first is not counted.
    rounds: u32,
    /// How long a turn is.
    block_ms: u64,
    /// The first is the one that others are compared with.
    targets: Vec<Target>,
}

/// Who is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    name: String,
    /// Whose processor time counts.
    pid: u32,
    at: SocketAddr,
    path: String,
    /// Requests a second.
    rate: u32,
    /// Keys, which take turns.
    keys: Vec<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

struct Sample {
    is_good: bool,
    first: Duration,
    last: Duration,
    /// From the sending of each piece until it was there.
    pieces: Vec<Duration>,
}

struct Lane {
    target: Target,
    free: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    samples: Mutex<Vec<Sample>>,
}

pub(crate) fn load(plan: Plan) {
    let lane = |target| Arc::new(Lane { target, free: Mutex::default(), samples: Mutex::default() });
    let lanes: Vec<Arc<Lane>> = plan.targets.into_iter().map(lane).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let body = Bytes::from(body(plan.stream));
    let mut before = Vec::new();
    for round in 0..=plan.rounds {
        if round == 1 {
            before = lanes.iter().map(|lane| process::cpu_ms(lane.target.pid)).collect();
            lanes.iter().for_each(|lane| lane.samples.lock().unwrap().clear());
        }
        for lane in &lanes {
            runtime.block_on(block(lane, Duration::from_millis(plan.block_ms), body.clone()));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let mut base = None;
    for (lane, before) in lanes.iter().zip(before) {
        let cpu = process::cpu_ms(lane.target.pid) - before;
        let samples = lane.samples.lock().unwrap();
        let sorted = |of: &dyn Fn(&Sample) -> Vec<Duration>| {
            let mut all: Vec<Duration> = samples.iter().filter(|sample| sample.is_good).flat_map(of).collect();
            all.sort_unstable();
            all
        };
        let told = if plan.stream {
            vec![sorted(&|sample| vec![sample.first]), sorted(&|sample| sample.pieces.clone())]
        } else {
            vec![sorted(&|sample| vec![sample.last])]
        };
        let figures: Vec<f64> = told.iter().flat_map(|all| [at(all, 0.5), at(all, 0.99)]).collect();
        let base = base.get_or_insert_with(|| figures.clone());
        let figures: Vec<String> =
            figures.iter().zip(base).map(|(own, base)| format!("{own:.2} ({:+.2})", own - *base)).collect();
        let (count, bad) = (samples.len(), samples.iter().filter(|sample| !sample.is_good).count());
        println!(
            "| {} | {}/s | {count} | {bad} | {:.3} | {} | {:.1} |",
            lane.target.name,
            lane.target.rate,
            cpu as f64 / count as f64,
            figures.join(" | "),
            process::resident_kib(lane.target.pid) as f64 / 1024.0
        );
    }
}

/// Milliseconds, at a place in a sorted list.
fn at(sorted: &[Duration], place: f64) -> f64 {
    let index = ((sorted.len() as f64 * place) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(f64::NAN, |duration| duration.as_secs_f64() * 1e3)
}

fn body(stream: bool) -> String {
    let system =
        "You are a helper. Answer in few words, say what you do not know, and ask when it is unclear. ".repeat(5);
    let user = "What does the quick brown fox do, and over whom? ".repeat(5);
    let messages = serde_json::json!([{"role": "system", "content": system}, {"role": "user", "content": user}]);
    let body = serde_json::json!({"model": "gpt-4.1-mini", "messages": messages, "max_tokens": 200, "stream": stream});
    body.to_string()
}

/// One turn of a target. Returns when all is answered.
async fn block(lane: &Arc<Lane>, length: Duration, body: Bytes) {
    let gap = Duration::from_secs(1) / lane.target.rate;
    let (to, mut from) = mpsc::unbounded_channel();
    // A thread of its own: the runtime's timer counts in milliseconds.
    let clock = std::thread::spawn(move || {
        let begun = Instant::now() + Duration::from_millis(1);
        for n in 0..u32::try_from(length.as_nanos() / gap.as_nanos()).unwrap() {
            let due = begun + gap * n;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            to.send((n, due)).unwrap();
        }
    });
    let mut calls = JoinSet::new();
    while let Some((n, due)) = from.recv().await {
        calls.spawn(call(Arc::clone(lane), n as usize, due, body.clone()));
    }
    while calls.join_next().await.is_some() {}
    clock.join().unwrap();
}

async fn call(lane: Arc<Lane>, n: usize, due: Instant, body: Bytes) {
    let mut sample = Sample { is_good: false, first: Duration::ZERO, last: Duration::ZERO, pieces: Vec::new() };
    // Bound before, so that the lock is not held while it connects.
    let kept = lane.free.lock().unwrap().pop();
    let mut connection = match kept {
        Some(connection) if connection.is_ready() => connection,
        _ => connect(lane.target.at).await,
    };
    if let Ok(response) = connection.send_request(lane.request(n, body)).await {
        sample.is_good = response.status() == hyper::StatusCode::OK;
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let Ok(Ok(data)) = frame.map(hyper::body::Frame::into_data) else {
                sample.is_good = false;
                break;
            };
            if sample.first.is_zero() {
                sample.first = due.elapsed();
            }
            pieces(&data, &mut sample.pieces);
        }
        sample.last = due.elapsed();
        lane.free.lock().unwrap().push(connection);
    }
    lane.samples.lock().unwrap().push(sample);
}

/// What the upstream's pieces say of when they were sent.
fn pieces(data: &[u8], into: &mut Vec<Duration>) {
    let now = now_ns();
    for at in memchr::memmem::find_iter(data, b"\"at=") {
        let digits = data[at + 4..].iter().take_while(|byte| byte.is_ascii_digit());
        let sent = digits.fold(0u64, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        into.push(Duration::from_nanos(now.saturating_sub(sent)));
    }
}

impl Lane {
    fn request(&self, n: usize, body: Bytes) -> Request<Full<Bytes>> {
        let Target { at, path, keys, headers, .. } = &self.target;
        let mut request = Request::builder().method(Method::POST).uri(path).header(HOST, at.to_string());
        request = request.header(CONTENT_TYPE, "application/json");
        request = request.header(AUTHORIZATION, format!("Bearer {}", keys[n % keys.len()]));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(Full::new(body)).unwrap()
    }
}
