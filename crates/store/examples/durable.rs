//! How many durable steps a second the journals of 1, 4 and 16 tenants take, against bare SQLite doing the same fsyncs.
//!
//! `cargo run --release -p autoshare-store --example durable [DIR]`
//!
//! A step is what a brain's step appends: three lazy records and two synced ones, of 1 KiB of text each. Each tenant has a
//! file of its own, and a thread that appends to it. Bare SQLite inserts rows of the same size into a table with an integer
//! key, in as many transactions at the same `synchronous` levels, in as many files and threads: no sealing, no chain, no
//! head, no thread in between. Both take turns, in the same directory. One tenant with four brains is measured too: their
//! appends share fsyncs. What sealing takes of a step's processor time is measured by itself.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a program that prints figures"
)]

use std::error::Error;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use autoshare_access::Access;
use autoshare_core::event::{Event, NoteKind};
use autoshare_core::{BrainId, Digest, Seq};
use autoshare_store::{Durability, Lease, Store};
use autoshare_vault::{Place, TenantKey, Vault};
use rusqlite::Connection;

const TENANTS: [usize; 3] = [1, 4, 16];
const BRAINS: u8 = 4;
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
    println!("{STEPS} steps of {} appends, median of {ROUNDS} rounds", STEP.len());
    println!("{:<22} {:>12} {:>12} {:>7}", "", "bare SQLite", "the journal", "ratio");
    let most = TENANTS.iter().copied().max().unwrap_or(1);
    let tenants = (0..most).map(|n| Tenant::new(&dir.path().join(n.to_string()))).collect::<Outcome<Vec<_>>>()?;
    for count in TENANTS {
        let of_them = tenants.get(..count).unwrap_or(&tenants);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            theirs.push(timed(|| at_once(of_them, |tenant| bare_steps(&tenant.bare)))?);
            ours.push(timed(|| at_once(of_them, |tenant| steps(tenant, &tenant.leases[0])))?);
        }
        tell(&format!("{count} tenants"), count, theirs, ours);
    }
    let Some(first) = tenants.first() else { return Err("no tenant".into()) };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(timed(|| (0..first.leases.len()).try_for_each(|_| bare_steps(&first.bare)))?);
        ours.push(timed(|| at_once(&first.leases, |lease| steps(first, lease)))?);
    }
    tell(&format!("1 tenant, {} brains", first.leases.len()), first.leases.len(), theirs, ours);
    sealing(first)
}

/// One tenant's journal, and bare SQLite beside it.
struct Tenant {
    access: Access,
    store: Store,
    leases: Vec<Lease>,
    key: TenantKey,
    bare: Mutex<Connection>,
}

impl Tenant {
    fn new(dir: &Path) -> Outcome<Self> {
        let data = dir.join("data");
        let access = Access::local(&data)?;
        let vault = Vault::open(&data)?;
        let store = Store::open(&data, &access, &vault)?;
        let leases = (0..BRAINS).map(|n| brain(&store, &access, n)).collect::<Outcome<Vec<_>>>()?;
        let key = vault.tenant(access.tenant())?;
        Ok(Self { access, store, leases, key, bare: Mutex::new(bare(&dir.join("bare.db"))?) })
    }
}

/// Does the same for each, in a thread of its own.
fn at_once<T: Sync>(all: &[T], work: impl Fn(&T) -> Outcome<()> + Sync) -> Outcome<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = all.iter().map(|one| scope.spawn(|| work(one))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}

fn tell(what: &str, count: usize, theirs: Vec<Duration>, ours: Vec<Duration>) {
    let (ours, theirs) = (median(ours) * count as f64, median(theirs) * count as f64);
    println!("{what:<22} {theirs:>8.0} /s  {ours:>8.0} /s  {:>6.2}", ours / theirs);
}

/// What sealing takes of a step: each append seals its record and the head, and opens the head that was.
fn sealing(tenant: &Tenant) -> Outcome<()> {
    let event = Event::Note { kind: NoteKind::Feedback, text: "x".repeat(TEXT) };
    let (json, brain, previous) = (serde_json::to_vec(&event)?, BrainId::from_random([0; 5]), Digest::of(b""));
    let place = Place { tenant: tenant.access.tenant(), brain: &brain, seq: Seq(1), kind: 1, previous: &previous };
    let head = tenant.key.seal(&place, &[0; 16])?;
    let times = STEPS * 10;
    let sealed = timed(|| {
        for _ in 0..times {
            for _ in STEP {
                tenant.key.seal(&place, &json)?;
                tenant.key.seal(&place, &[0; 16])?;
                tenant.key.open(&place, &head)?;
            }
        }
        Ok(())
    })?;
    let step = timed(|| steps(tenant, &tenant.leases[0]))?;
    let (sealed, step) = (sealed / times, step / STEPS);
    println!(
        "sealing takes {sealed:.1?} of a step's {step:.1?}: {:.1} %",
        sealed.as_secs_f64() / step.as_secs_f64() * 100.0
    );
    Ok(())
}

fn brain(store: &Store, access: &Access, n: u8) -> Outcome<Lease> {
    let id = BrainId::from_random([0, 0, 0, 0, n]);
    store.create(access, &id)?;
    Ok(store.lease(access, &id)?)
}

fn steps(tenant: &Tenant, lease: &Lease) -> Outcome<()> {
    let event = Event::Note { kind: NoteKind::Feedback, text: "x".repeat(TEXT) };
    for _ in 0..STEPS {
        for durability in STEP {
            tenant.store.append(&tenant.access, lease, std::slice::from_ref(&event), durability)?;
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

fn bare_steps(connection: &Mutex<Connection>) -> Outcome<()> {
    let connection = connection.lock().map_err(|_| "a thread panicked")?;
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
