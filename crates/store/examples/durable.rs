//! How many durable steps a second the journal takes, against bare SQLite doing the same fsyncs.
//!
//! `cargo run --release -p autoshare-store --example durable [DIR]`
//!
//! A step is what a brain's step appends: three lazy records and two synced ones, of 1 KiB of text each. Bare SQLite
//! inserts rows of the same size into a table with an integer key, in as many transactions at the same `synchronous`
//! levels: no sealing, no chain, no head, no thread in between. Both take turns, in the same directory. A third figure
//! is four brains at once in one store, whose appends share fsyncs.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program that prints figures")]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use autoshare_access::Access;
use autoshare_core::BrainId;
use autoshare_core::event::{Event, NoteKind};
use autoshare_store::{Durability, Lease, Store};
use autoshare_vault::Vault;
use rusqlite::Connection;

const ROUNDS: usize = 10;
const STEPS: u32 = 40;
const TEXT: usize = 1024;
const STEP: [Durability; 5] =
    [Durability::Lazy, Durability::Lazy, Durability::Lazy, Durability::Synced, Durability::Synced];

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let dir = match std::env::args_os().nth(1) {
        Some(parent) => tempfile::tempdir_in(parent)?,
        None => tempfile::tempdir()?,
    };
    let data = dir.path().join("data");
    let access = Access::local(&data)?;
    let store = Store::open(&data, &access, &Vault::open(&data)?)?;
    let leases = (0..4).map(|n| brain(&store, &access, n)).collect::<Outcome<Vec<_>>>()?;
    let Some(first) = leases.first() else { return Err("no brain".into()) };
    let bare = bare(&dir.path().join("bare.db"))?;

    let (mut ours, mut theirs, mut four) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(timed(|| bare_steps(&bare))?);
        ours.push(timed(|| steps(&store, &access, first))?);
        four.push(timed(|| {
            std::thread::scope(|scope| {
                let threads = leases.iter().map(|lease| scope.spawn(|| steps(&store, &access, lease)));
                let threads = threads.collect::<Vec<_>>();
                threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
            })
        })?);
    }
    let (ours, theirs, four) = (median(ours), median(theirs), median(four));
    println!("{STEPS} steps of {} appends, median of {ROUNDS} rounds", STEP.len());
    println!("bare SQLite      {theirs:9.1} steps/s");
    println!("the journal      {ours:9.1} steps/s   {:.2} of bare SQLite", ours / theirs);
    println!("four brains      {:9.1} steps/s   {:.2} of bare SQLite", four * 4.0, four * 4.0 / theirs);
    Ok(())
}

fn brain(store: &Store, access: &Access, n: u8) -> Outcome<Lease> {
    let id = BrainId::from_random([0, 0, 0, 0, n]);
    store.create(access, &id)?;
    Ok(store.lease(access, &id)?)
}

fn steps(store: &Store, access: &Access, lease: &Lease) -> Outcome<()> {
    let event = Event::Note { kind: NoteKind::Feedback, text: "x".repeat(TEXT) };
    for _ in 0..STEPS {
        for durability in STEP {
            store.append(access, lease, std::slice::from_ref(&event), durability)?;
        }
    }
    Ok(())
}

fn bare(path: &Path) -> Outcome<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.execute("CREATE TABLE record (seq INTEGER PRIMARY KEY, text BLOB NOT NULL)", ())?;
    Ok(connection)
}

fn bare_steps(connection: &Connection) -> Outcome<()> {
    let event = Event::Note { kind: NoteKind::Feedback, text: "x".repeat(TEXT) };
    let row = serde_json::to_vec(&event)?;
    let mut level = None;
    for _ in 0..STEPS {
        for durability in STEP {
            if level != Some(durability) {
                let name = if durability == Durability::Synced { "FULL" } else { "NORMAL" };
                connection.pragma_update(None, "synchronous", name)?;
                level = Some(durability);
            }
            connection.prepare_cached("INSERT INTO record (text) VALUES (?1)")?.execute([&row])?;
        }
    }
    Ok(())
}

fn timed(work: impl FnOnce() -> Outcome<()>) -> Outcome<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// Steps a second in the median round.
fn median(mut rounds: Vec<Duration>) -> f64 {
    rounds.sort();
    let middle = rounds.get(rounds.len() / 2).copied().unwrap_or_default();
    f64::from(STEPS) / middle.as_secs_f64()
}
