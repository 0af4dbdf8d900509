//! How long cells take, beside peers in the same run: `cargo run --release -p autoshare-cell --example cells`.
//!
//! Every line is the median of many rounds in which the candidates take turns, since machines are noisy. Peers that are
//! not installed are left out, and said to be.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a measurement for people"
)]

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use autoshare_core::event::RootMode;
use autoshare_core::usage::Quota;
use autoshare_core::wire::{FromInit, Program, ToInit, Window};
use autoshare_sandbox::{Cell, CellLimits, CellSpec, Inside, Launcher, RootSpec, Tier, Work, parcel};

const ROUNDS: usize = 200;
const PAUSE: Duration = Duration::from_millis(20);

fn entry(inside: Inside) -> i32 {
    match inside.programs {
        Some(programs) => i32::from(autoshare_cell::serve_programs(inside.socket, programs).is_err()),
        None => 0,
    }
}

fn spec(folder: &Path, work: Work) -> CellSpec {
    let meta = folder.metadata().unwrap();
    let root = RootSpec { path: folder.to_owned(), mode: RootMode::Write, id: (meta.dev(), meta.ino()), only: None };
    let limits = CellLimits::for_programs();
    CellSpec {
        work,
        roots: vec![root],
        hide: vec![],
        freeze: vec![],
        limits,
        quota: Quota::default(),
        least: Tier::Full,
        speculate: false,
        explain: false,
        listen: None,
    }
}

/// Runs `true` in a cell and waits for its end.
fn run_true(cell: &Cell, job: u64, null: &std::fs::File) {
    let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
    let program = Program { argv: vec!["/bin/true".into()], env, dir: "/tmp".into() };
    let start = ToInit::Start { job, program, given: [true; 3], window: Window { rows: 24, columns: 80 } };
    let null = null.as_fd();
    parcel::send(&cell.socket, &start, &[null, null, null]).unwrap();
    loop {
        match parcel::receive::<FromInit>(&cell.socket).unwrap().unwrap().0 {
            FromInit::Started { .. } => {}
            FromInit::Ended { exit, .. } => return assert_eq!(exit.status(), 0),
            other => panic!("{other:?}"),
        }
    }
}

struct Candidate<'a> {
    name: &'a str,
    once: Box<dyn FnMut() + 'a>,
    times: Vec<Duration>,
}

fn main() {
    let launcher = Launcher::start(entry).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let null = std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
    let path = folder.path().to_str().unwrap();
    let programs = spec(folder.path(), Work::Programs);
    let tools = spec(folder.path(), Work::Tools);
    let warm = launcher.launch(&programs).unwrap();
    let mut job = 0;
    #[rustfmt::skip]
    let bwrap = [
        "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib",
        "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev",
        "--tmpfs", "/tmp", "--bind", path, path, "--chdir", path, "/bin/true",
    ];
    let outside = |program: &'static str, args: Vec<String>| {
        move || {
            let mut command = Command::new(program);
            command.args(&args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            assert!(command.status().unwrap().success(), "{program}");
        }
    };
    let mut candidates: Vec<Candidate<'_>> = vec![
        ("posix_spawn", Box::new(outside("/bin/true", vec![])) as Box<dyn FnMut()>),
        (
            "warm cell",
            Box::new(|| {
                job += 1;
                run_true(&warm, job, &null);
            }),
        ),
        (
            "fresh full cell",
            Box::new(|| {
                let mut cell = launcher.launch(&programs).unwrap();
                run_true(&cell, 1, &null);
                cell.kill();
                cell.wait();
            }),
        ),
        (
            "fresh full cell, end not waited for",
            Box::new(|| {
                let cell = launcher.launch(&programs).unwrap();
                run_true(&cell, 1, &null);
            }),
        ),
        ("fresh cell for tools, ready", Box::new(|| drop(launcher.launch(&tools).unwrap()))),
    ]
    .into_iter()
    .map(|(name, once)| Candidate { name, once, times: Vec::new() })
    .collect();
    for (name, program, args) in [
        ("bubblewrap", "/usr/bin/bwrap", bwrap.map(str::to_owned).to_vec()),
        (
            "firejail",
            "/usr/bin/firejail",
            ["--quiet", "--noprofile", "--private", "--net=none", "/bin/true"].map(str::to_owned).to_vec(),
        ),
    ] {
        if Path::new(program).exists() {
            candidates.push(Candidate { name, once: Box::new(outside(program, args)), times: Vec::new() });
        } else {
            println!("{name} is not installed: left out");
        }
    }
    // A candidate alone, for a profiler to look at.
    if let Some(only) = std::env::args().nth(1) {
        candidates.retain(|one| one.name == only);
    }
    for _ in 0..ROUNDS {
        for candidate in &mut candidates {
            let start = Instant::now();
            (candidate.once)();
            candidate.times.push(start.elapsed());
            // What is cleared away, or made ready, behind one's back is not to be the next one's burden.
            std::thread::sleep(PAUSE);
        }
    }
    let median = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort();
        times[times.len() / 2]
    };
    let peer = candidates.iter().find(|one| one.name == "bubblewrap").map(|one| median(&one.times));
    for Candidate { name, times, .. } in &candidates {
        let median = median(times);
        let ratio = peer.map_or_else(String::new, |peer| {
            format!(", {:.2} x bubblewrap", median.as_secs_f64() / peer.as_secs_f64())
        });
        println!("{name:<38} {:>7.2} ms{ratio}", median.as_secs_f64() * 1e3);
    }
}
