//! How long it takes to make a cell: `cargo run --release -p autoshare-sandbox --example launch`.
//!
//! Prints the median of 200 full cells from the call of `launch` until the cell's first byte is there, battery included.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement for people")]

use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use autoshare_core::event::RootMode;
use autoshare_core::usage::Quota;
use autoshare_sandbox::{CellLimits, CellSpec, Inside, Launcher, RootSpec, Tier, Work};

fn entry(inside: Inside) -> i32 {
    i32::from(UnixStream::from(inside.socket).write_all(b"r").is_err())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let launcher = Launcher::start(entry)?;
    let folder = tempfile::tempdir()?;
    let meta = folder.path().metadata()?;
    let root =
        RootSpec { path: folder.path().to_owned(), mode: RootMode::Write, id: (meta.dev(), meta.ino()), only: None };
    let limits = CellLimits::default();
    let spec = CellSpec {
        work: Work::Tools,
        roots: vec![root],
        hide: vec![],
        freeze: vec![],
        limits,
        quota: Quota::default(),
        least: Tier::Full,
        listen: None,
    };
    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        let mut cell = launcher.launch(&spec)?;
        let mut ready = [0];
        cell.socket.read_exact(&mut ready)?;
        times.push(start.elapsed());
        cell.wait();
    }
    times.sort();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    println!("200 full cells until ready: median {:?}, p10 {:?}, p90 {:?}", at(50), at(10), at(90));
    Ok(())
}
