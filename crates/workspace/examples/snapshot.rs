//! What keeping for undo costs, against copying the same folder file by file.
//!
//! `cargo run --release -p autoshare-workspace --example snapshot [DIR]`
//!
//! A folder of 5,000 files of 1 to 40 KiB. The peer is what `cp -r` does: read and write every file, nothing else. Then
//! one large file, against `std::fs::copy`, which is a clone only if the file system makes one of its own accord.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program that prints figures")]

use std::error::Error;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use autoshare_core::event::RootMode;
use autoshare_workspace::snapshot::{Clash, RelPath, Scope, Shelf, SnapshotLimits, changes};
use autoshare_workspace::{Quota, Workspace};

const FOLDERS: usize = 50;
const FILES: usize = 100;
const LARGE: usize = 256 << 20;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let dir = match std::env::args_os().nth(1) {
        Some(parent) => tempfile::tempdir_in(parent)?,
        None => tempfile::tempdir()?,
    };
    let (work, shelf, peer) = (dir.path().join("work"), dir.path().join("shelf"), dir.path().join("peer"));
    for folder in 0..FOLDERS {
        fs::create_dir_all(work.join(format!("d{folder}")))?;
        for file in 0..FILES {
            let len = 1024 * (1 + (folder * FILES + file) % 40);
            fs::write(work.join(format!("d{folder}/f{file}")), vec![b'x'; len])?;
        }
    }
    fs::create_dir(&shelf)?;
    std::thread::sleep(Duration::from_millis(200));
    let workspace = Workspace::open(OwnedFd::from(File::open(&work)?), RootMode::Write, Quota::default());
    let shelf = Shelf::open(OwnedFd::from(File::open(&shelf)?))?;
    let limits = SnapshotLimits::default();
    let all = Scope::Whole { leave_out: Vec::new() };

    let (copied, ()) = timed(|| copy(&work, &peer))?;
    let (first, before) = timed(|| Ok(workspace.snapshot(&all, &shelf, None, limits)?))?;
    fs::write(work.join("d7/f7"), "changed")?;
    let (next, after) = timed(|| Ok(workspace.snapshot(&all, &shelf, Some(&before), limits)?))?;
    let (compared, changed) = timed(|| Ok(changes(&before, &after, &shelf)?))?;
    let (saved, ()) = timed(|| Ok(shelf.save("tree-0", &after)?))?;
    let (restored, _) = timed(|| Ok(workspace.restore(&shelf, &changed, Clash::Refuse)?))?;

    let point = Scope::Paths(vec![RelPath::parse(b"d3/f3")?]);
    let (one, ()) = timed(|| {
        let before = workspace.snapshot(&point, &shelf, None, limits)?;
        shelf.save("step-1.before", &before)?;
        let after = workspace.snapshot(&point, &shelf, None, limits)?;
        shelf.save("step-1", &changes(&before, &after, &shelf)?)?;
        Ok(shelf.remove("step-1.before")?)
    })?;

    fs::write(work.join("large"), vec![b'x'; LARGE])?;
    let (large_copied, _) = timed(|| Ok(fs::copy(work.join("large"), dir.path().join("large"))?))?;
    File::open(work.join("large"))?.sync_all()?;
    let large = Scope::Paths(vec![RelPath::parse(b"large")?]);
    let (large_kept, _) = timed(|| Ok(workspace.snapshot(&large, &shelf, None, limits)?))?;

    let ratio = |time: Duration| time.as_secs_f64() / copied.as_secs_f64();
    let row = |name: &str, time: Duration| println!("{name:<44} {time:>12.2?}  {:.2} of the peer", ratio(time));
    println!("{} files, {} bytes kept", FOLDERS * FILES, shelf.bytes());
    row("peer: copy of every file", copied);
    row("first look, every file kept", first);
    row("next look, one file changed", next);
    row("comparing the two", compared);
    row("writing a snapshot down (synced)", saved);
    row("putting the one file back (synced)", restored);
    row("a step of a file tool, whole (4 syncs)", one);
    let share = large_kept.as_secs_f64() / large_copied.as_secs_f64();
    println!("one file of {} MiB: kept in {large_kept:.2?}, {share:.3} of fs::copy", LARGE >> 20);
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Outcome<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, target) = (entry?.path(), to.join("x"));
        let target = target.with_file_name(entry.file_name().unwrap_or_default());
        if entry.is_dir() {
            copy(&entry, &target)?;
        } else {
            fs::write(&target, fs::read(&entry)?)?;
        }
    }
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<(Duration, T)> {
    let begun = Instant::now();
    let result = work()?;
    Ok((begun.elapsed(), result))
}
