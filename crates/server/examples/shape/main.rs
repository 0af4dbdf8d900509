//! What the sizes and times of a streamed answer tell someone who sees nothing but its ciphertext, as streams come and
//! with `stream_shape = "padded"`; and what that costs.
//!
//! `AUTOSHARE=target/release/autoshare cargo run --release -p autoshare-server --example shape`
//!
//! A real `autoshare serve` speaks TLS. Between it and each caller stands a tap that writes down when each TLS record
//! passed and how long it was: no more than anybody on the way can. A classifier (logistic regression on plain
//! features) learns on one half of the streams which of two kinds an answer was, and is tried on the other half, and the
//! other way round. Told is the area under the curve: 1 is always right, 0.5 is a guess.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    reason = "a measurement for people"
)]

mod classify;
mod stage;

use std::sync::Arc;
use std::time::Duration;

use self::stage::{Answer, Seen, Stage};

/// Streams of each kind.
const STREAMS: usize = 150;
/// Streams at once.
const AT_ONCE: usize = 30;

/// Numbers that are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, from: u64, to: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        from + (mixed ^ (mixed >> 31)) % (to - from + 1)
    }
}

/// Words and parts of words, as tokens of a model are: up to six characters, with the space before them.
fn tokens(text: &str) -> Vec<String> {
    let words = text.split_whitespace().flat_map(|word| {
        let word: Vec<char> = format!(" {word}").chars().collect();
        word.chunks(7).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>()
    });
    words.collect()
}

/// A stretch of a text, at a model's speed.
fn answer(dice: &mut Dice, text: &[String], count: (u64, u64), micros: (u64, u64)) -> Answer {
    let count = dice.roll(count.0, count.1) as usize;
    let from = dice.roll(0, (text.len() - count) as u64) as usize;
    text[from..from + count].iter().map(|t| (Duration::from_micros(dice.roll(micros.0, micros.1)), t.clone())).collect()
}

fn main() {
    let prose = tokens(include_str!("../../../../docs/ARCHITECTURE.md"));
    let code = tokens(include_str!("../../src/http.rs"));
    type Kind<'a> = (&'a [String], (u64, u64), (u64, u64));
    let usual = (110, 130);
    let speed = (6_000, 10_000);
    let questions: [(&str, [Kind<'_>; 2]); 3] = [
        ("prose, or code of the same length and speed", [(&prose, usual, speed), (&code, usual, speed)]),
        ("prose of 110 to 130 tokens, or of 140 to 160", [(&prose, usual, speed), (&prose, (140, 160), speed)]),
        ("prose at 8 ms a token, or at 10 ms", [(&prose, usual, speed), (&prose, usual, (8_000, 12_000))]),
    ];
    println!("| which of two was it: {STREAMS} streams of each | as it comes | padded |\n|---|---|---|");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut costs = Vec::new();
    let mut rows: Vec<String> = questions.iter().map(|(what, _)| format!("| {what} |")).collect();
    for shape in ["off", "padded"] {
        let mut cost = Vec::new();
        let mut dice = Dice(1);
        for ((_, kinds), row) in questions.iter().zip(&mut rows) {
            // The kinds take turns, so that what else the machine does falls on both alike.
            let answers = (0..2 * STREAMS).map(|n| {
                let (text, count, micros) = kinds[n % 2];
                answer(&mut dice, text, count, micros)
            });
            let seen = runtime.block_on(watch(shape, answers.collect()));
            let features: Vec<Vec<f64>> = seen.iter().map(classify::features).collect();
            row.push_str(&format!(" {:.2} |", classify::area(&features)));
            cost.extend(seen);
        }
        costs.push(cost);
    }
    rows.iter().for_each(|row| println!("{row}"));
    println!("\n| cost of a stream | as it comes | padded |\n|---|---|---|");
    let both =
        |what: &str, of: &dyn Fn(&[Seen]) -> String| println!("| {what} | {} | {} |", of(&costs[0]), of(&costs[1]));
    let mean = |seen: &[Seen], of: &dyn Fn(&Seen) -> f64| seen.iter().map(of).sum::<f64>() / seen.len() as f64;
    both("bytes on the way", &|seen| format!("{:.0}", mean(seen, &Seen::bytes)));
    both("TLS records", &|seen| format!("{:.0}", mean(seen, &|seen| seen.records.len() as f64)));
    both("from its first byte to its last", &|seen| format!("{:.2} s", mean(seen, &Seen::seconds)));
    for (what, place) in [("delay of a token, median", 0.5), ("delay of a token, 99th of 100", 0.99)] {
        both(what, &|seen| {
            let mut delays: Vec<f64> = seen.iter().flat_map(|seen| seen.delays_ms.iter().copied()).collect();
            delays.sort_unstable_by(f64::total_cmp);
            format!("{:.1} ms", delays[(delays.len() as f64 * place) as usize])
        });
    }
}

/// Streams these answers through a gateway, and says what the tap saw of each.
async fn watch(shape: &str, answers: Vec<Answer>) -> Vec<Seen> {
    let count = answers.len();
    let stage = Arc::new(Stage::start(shape, answers).await);
    let turns = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let streams = (0..count).map(|n| {
        let (stage, turns) = (Arc::clone(&stage), Arc::clone(&turns));
        tokio::spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            stage.stream(n).await
        })
    });
    let mut seen = Vec::new();
    for stream in streams.collect::<Vec<_>>() {
        seen.push(stream.await.unwrap());
    }
    seen
}
