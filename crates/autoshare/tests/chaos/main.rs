//! Twenty tenants at a real `autoshare serve` that is treated badly, and what must hold all the same.
//!
//! For a minute (`AUTOSHARE_CHAOS_S` seconds; `./test --long` takes ten minutes) brains are begun, asked about, stopped and
//! woken while the server is killed and held still, cells are killed, models fail in every way, the disk fills up, tenants are
//! suspended and keys are renewed. Then all is let be, and what must hold is read from the journals, the trails and the
//! workspaces alone:
//!
//! - *isolation*: each tenant's goals, files, models and keys hold a canary of its own, and nothing of another's does;
//! - *money*: each reply that a model gave was reserved in a journal before, and no tenant's cap was passed;
//! - *effects*: an action that is told as done happened once, no other more than once;
//! - every brain reached its goal, or says why not; the same key began one brain, however often it was sent;
//! - the audit trails are whole, and tell of each brain.
//!
//! It has a `main` of its own, since it runs itself once more where it may mount a small disk. `AUTOSHARE_CHAOS_SEED` has the
//! same choices made again, as far as the machine is as fast.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod chance;
mod faults;
mod load;
mod oaths;
mod town;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chance::Chance;
use town::Town;

const NAME: &str = "twenty_tenants_come_to_no_harm";
/// Says that a disk of this process's own may be mounted.
const INSIDE: &str = "AUTOSHARE_CHAOS_INSIDE";

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    if !NAME.contains(&filter) {
        return println!("test result: ok. 0 passed; 0 failed");
    }
    let is_inside = std::env::var_os(INSIDE).is_some();
    if rustix::process::geteuid().is_root() && !is_inside {
        let mut again = Command::new("unshare");
        again.args(["--mount", "--"]).arg(std::env::current_exe().unwrap()).env(INSIDE, "1");
        let ended = again.status().expect("unshare(1) is needed: Debian has it in util-linux");
        std::process::exit(ended.code().unwrap_or(1));
    }
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect(name));
    let length = Duration::from_secs(number("AUTOSHARE_CHAOS_S").unwrap_or(60));
    let seed = number("AUTOSHARE_CHAOS_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("test {NAME}: {} s, seed {seed}", length.as_secs());
    run(length, seed, is_inside);
    println!("test result: ok. 1 passed; 0 failed");
}

fn run(length: Duration, seed: u64, may_mount: bool) {
    let mut chance = Chance::new(seed);
    let town = Arc::new(Town::new(&mut chance, may_mount));
    town.start();
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let people: Vec<_> = (0..town.tenants.len())
        .map(|n| runtime.spawn(load::live(Arc::clone(&town), n, chance.fork(), Arc::clone(&stop))))
        .collect();
    let done = faults::inflict(&town, &mut chance, Instant::now() + length);
    println!("{done}");
    town.is_let_be.store(true, Ordering::SeqCst);
    stop.store(true, Ordering::SeqCst);
    let lives: Vec<load::Life> =
        people.into_iter().map(|person| runtime.block_on(person).expect("a tenant's person failed")).collect();
    town.end();
    oaths::hold(&town, &lives);
}
