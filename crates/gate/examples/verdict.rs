//! How long the policy takes: `cargo run --release -p autoshare-gate --example verdict`.
//!
//! Prints the time of reading each profile, of a verdict on facts that were never seen, and of one on facts that were.

#![allow(clippy::print_stdout, reason = "a measurement for people")]

use std::time::{Duration, Instant};

use autoshare_gate::facts::{Facts, Standing, Trust, Values};
use autoshare_gate::policy::{Policy, PolicyError, Profile, read_facts};

/// Verdicts that are measured.
const ROUNDS: usize = 20_000;

fn main() -> Result<(), PolicyError> {
    println!("{:<10} {:>8} {:>16} {:>10} {:>10}", "profile", "reading", "facts", "p50", "p99");
    for profile in Profile::ALL {
        let started = Instant::now();
        let policy = Policy::builtin(profile)?;
        let reading = started.elapsed();
        let facts: Vec<Facts> = (0..ROUNDS).filter_map(facts).collect();
        for (name, shared) in [("never seen", false), ("seen before", true)] {
            let [p50, p99] = measure(&policy, &facts, shared);
            println!("{:<10} {reading:>8.1?} {name:>16} {p50:>10.1?} {p99:>10.1?}", profile.name());
        }
    }
    Ok(())
}

/// The median and the 99th percentile of a verdict's time.
fn measure(policy: &Policy, facts: &[Facts], shared: bool) -> [Duration; 2] {
    let mut times: Vec<Duration> = Vec::with_capacity(facts.len());
    for one in facts {
        // Bound anew, a policy has seen nothing.
        let fresh = policy.for_brain("local", "measured");
        let policy = if shared { policy } else { &fresh };
        let started = Instant::now();
        let verdict = policy.decide(one);
        times.push(started.elapsed());
        std::hint::black_box(verdict);
    }
    times.sort_unstable();
    [times.len() / 2, times.len() * 99 / 100].map(|place| times.get(place).copied().unwrap_or_default())
}

/// Facts of many kinds: what changes from one to the next is the effect, the warrant and where values stand.
fn facts(round: usize) -> Option<Facts> {
    const EFFECTS: [&str; 4] = ["effect=external", "effect=destructive", "effect=fetch", "effect=read server=mail"];
    const TRUSTS: [Trust; 5] = [Trust::Trusted, Trust::Issued, Trust::Model, Trust::Tainted, Trust::Content];
    let pick = |of: usize, every: usize| (round / every) % of;
    let mut facts = read_facts(EFFECTS.get(pick(4, 1))?).ok()?;
    let values = |every: usize| Values {
        trust: TRUSTS.get(pick(5, every)).copied().into_iter().collect(),
        words: "\"x@example.org\" (from file:a.md, which you did not write)".to_owned(),
    };
    (facts.targets, facts.contents, facts.address) = (values(4), values(20), values(100));
    facts.warrant = if pick(2, 500) == 0 { Standing::Inside } else { Standing::Outside };
    facts.tainted = true;
    Some(facts)
}
