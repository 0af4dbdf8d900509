//! How long a verdict takes: `cargo run --release -p autoshare-gate --example verdict`.
//!
//! Prints the time of reading each profile, of a verdict by the policy on facts that were never seen, and of one on facts
//! that were; then of whole verdicts after 1, 10 and 100 MB were read, with the time and memory that reading takes. Times are processor time.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement for people")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use autoshare_core::Digest;
use autoshare_core::event::AskMode;
use autoshare_core::outcome::Plan;
use autoshare_core::tool::{Action, ToolSpec};
use autoshare_core::warrant::Warrant;
use autoshare_gate::contract::{ContractError, Description, Hints, derive};
use autoshare_gate::facts::{Facts, Standing, Trust, Values};
use autoshare_gate::policy::{Policy, PolicyError, Profile, read_facts};
use autoshare_gate::{Case, Commands, History, decide, draft};
use rustix::time::{ClockId, Timespec, clock_gettime};
use serde_json::json;

/// Verdicts that are measured.
const ROUNDS: usize = 20_000;
/// Bytes of one text that is read.
const TEXT: usize = 10_000;

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Contract(#[from] ContractError),
}

fn main() -> Result<(), Failed> {
    policies()?;
    println!();
    whole()
}

/// Whole verdicts over histories of three sizes.
fn whole() -> Result<(), Failed> {
    let spec = mail()?;
    let policy = Policy::builtin(Profile::Default)?.for_brain("local", "measured");
    let warrant = draft("Send an email to ann-7@example.org.", std::slice::from_ref(&spec));
    println!("{:<10} {:>10} {:>12} {:>10} {:>10} {:>10}", "read", "reading", "memory", "p50", "p99", "p99.9");
    for megabytes in [1, 10, 100] {
        let before = memory();
        let started = now();
        let history = history(megabytes * 1_000_000);
        let reading = since(started);
        let grown = memory().saturating_sub(before) / 1_000_000;
        let mut times: Vec<Duration> =
            (0..ROUNDS).map(|round| judged(&action(round), &spec, &history, &warrant, &policy)).collect();
        times.sort_unstable();
        let at = |part: usize| times.get(times.len() * part / 1_000).copied().unwrap_or_default();
        let [p50, p99, most] = [500, 990, 999].map(at);
        println!("{:>7} MB {reading:>10.1?} {grown:>9} MB {p50:>10.1?} {p99:>10.1?} {most:>10.1?}", megabytes);
    }
    Ok(())
}

/// The time of one verdict.
fn judged(action: &Action, spec: &ToolSpec, history: &History, warrant: &Warrant, policy: &Policy) -> Duration {
    let (plan, commands, own_files) = (Plan::default(), Commands::Any, BTreeSet::new());
    let case = Case {
        action,
        spec,
        plan: &plan,
        roots: &[],
        protected: &[],
        ask: AskMode::Default,
        history,
        grants: &[],
        commands: &commands,
        warrant: Some(warrant),
        policy,
        allowed_hosts: &[],
        own_files: &own_files,
    };
    let started = now();
    std::hint::black_box(decide(&case));
    since(started)
}

/// A tool of mail, with the contract that is derived for it.
fn mail() -> Result<ToolSpec, ContractError> {
    let text = json!({"type": "string"});
    derive(&Description {
        server: "mail".to_owned(),
        tool: "send_email".to_owned(),
        name: "mail__send_email".to_owned(),
        description: String::new(),
        input_schema: json!({"type": "object", "properties": {"to": {"type": "array", "items": text}, "subject": text,
            "body": text}}),
        hints: Hints::default(),
        digest: Digest::of(b"mail"),
    })
}

/// A mail to somebody who was read of, or was not; it cites a line that was read, and has lines of its own.
fn action(round: usize) -> Action {
    let args = json!({
        "to": [format!("ann-{}@example.org", round % 5_000), format!("nobody-{round}@example.org")],
        "subject": "the figures of the week",
        "body": format!("Dear all, {} See https://docs.example.com/{round} for the rest. Yours, the model", line(round)),
    });
    Action { tool: "mail__send_email".to_owned(), args: serde_json::from_value(args).unwrap_or_default() }
}

/// A line that could stand in any report: common words, numbers, an address.
fn line(number: usize) -> String {
    let person = number.wrapping_mul(2_654_435_761) % 5_000;
    format!(
        "On {} the office of ann-{person}@example.org counted {} items and wrote that the order of item-{number} is late.\n",
        1 + number % 28,
        number % 977
    )
}

/// A brain that was told one line and has read so many bytes.
fn history(bytes: usize) -> History {
    let mut history = History::new();
    history.trust("Send an email to ann-7@example.org.");
    let (mut read, mut number) = (0, 0);
    while read < bytes {
        let mut text = String::with_capacity(TEXT + 200);
        while text.len() < TEXT {
            let _ = write!(text, "{}", line(number));
            number += 1;
        }
        read += text.len();
        history.add_content(&format!("file:{number}.md"), &text);
    }
    history
}

/// The processor time of this thread: other work on the machine counts for nothing.
fn now() -> Timespec {
    clock_gettime(ClockId::ThreadCPUTime)
}

fn since(started: Timespec) -> Duration {
    Duration::try_from(now() - started).unwrap_or_default()
}

/// Bytes of memory that this process has; 0 where the system does not say.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * 4096)
}

fn policies() -> Result<(), PolicyError> {
    println!("{:<10} {:>8} {:>16} {:>10} {:>10}", "profile", "reading", "facts", "p50", "p99");
    for profile in Profile::ALL {
        let started = now();
        let policy = Policy::builtin(profile)?;
        let reading = since(started);
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
        let started = now();
        let verdict = policy.decide(one);
        times.push(since(started));
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
