//! What cells cost, beside peers in the same run: `cargo run --release -p autoshare-host --example cells [PART...]`.
//!
//! - `turns`: `true` in a cell. Every line is the median of many rounds in which the candidates take turns, since machines
//!   are noisy. Peers that are not installed are left out, and said to be.
//! - `rate`: cells a second, each with its record in the journal.
//! - `idle`: memory of cells that wait.
//! - `work`: programs inside beside the same ones outside.
//!
//! As an ordinary user it shows what rootless cells cost. `AUTOSHARE` is the binary whose `exec` takes part in `turns`,
//! `PEERS` names others there (`NAME=COMMAND ARGUMENT...`, one a line), and `ROUNDS` says how many rounds.
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
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use autoshare_access::Access;
use autoshare_core::BrainId;
use autoshare_core::event::{Event, NoteKind, RootMode};
use autoshare_core::wire::{FromInit, Program, ToInit, Window};
use autoshare_sandbox::{Cell, CellLimits, CellSpec, Inside, Launcher, RootSpec, Work, parcel};
use autoshare_store::{Durability, Store};
use autoshare_vault::Vault;

const ROUNDS: usize = 200;
const PAUSE: Duration = Duration::from_millis(20);

fn entry(inside: Inside) -> i32 {
    match inside.programs {
        Some(programs) => i32::from(autoshare_cell::serve_programs(inside.socket, programs).is_err()),
        // A cell for tools waits until it is let go.
        None => i32::from(rustix::io::read(&inside.socket, &mut [0; 1]).is_err()),
    }
}

fn root(path: &Path, mode: RootMode) -> RootSpec {
    let meta = path.metadata().unwrap();
    RootSpec { path: path.to_owned(), mode, id: (meta.dev(), meta.ino()), only: None }
}

fn spec(folder: &Path, work: Work) -> CellSpec {
    CellSpec { limits: CellLimits::for_programs(), ..CellSpec::new(work, vec![root(folder, RootMode::Write)]) }
}

/// Runs a program in a cell and waits for its end.
fn run(cell: &Cell, program: Program) {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
    let start = ToInit::Start { job: 1, program, given: [true; 3], window: Window { rows: 24, columns: 80 } };
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

fn program(argv: &[&str], dir: &str, env: &[(&str, &str)]) -> Program {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let env: BTreeMap<String, String> = [("PATH".to_owned(), PATH.to_owned())].into_iter().chain(env).collect();
    Program { argv: argv.iter().map(|&arg| arg.to_owned()).collect(), env, dir: dir.to_owned() }
}

const PATH: &str = "/usr/bin:/bin";

fn run_true(cell: &Cell) {
    run(cell, program(&["/bin/true"], "/tmp", &[]));
}

/// A program outside of every cell.
fn outside(program: &Program) {
    assert!(works(program), "{program:?}");
}

fn works(program: &Program) -> bool {
    let mut command = Command::new(&program.argv[0]);
    command.args(&program.argv[1..]).env_clear().envs(&program.env).current_dir(&program.dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

struct Candidate<'a> {
    name: String,
    /// What is not timed.
    before: Box<dyn FnMut() + 'a>,
    once: Box<dyn FnMut() + 'a>,
    times: Vec<Duration>,
}

impl<'a> Candidate<'a> {
    fn new(name: &str, once: impl FnMut() + 'a) -> Self {
        Self { name: name.to_owned(), before: Box::new(|| {}), once: Box::new(once), times: Vec::new() }
    }

    fn median(&self) -> f64 {
        let mut times = self.times.clone();
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e3
    }
}

fn take_turns(candidates: &mut [Candidate<'_>], rounds: usize) {
    for _ in 0..rounds {
        for candidate in &mut *candidates {
            (candidate.before)();
            let start = Instant::now();
            (candidate.once)();
            candidate.times.push(start.elapsed());
            // What is cleared away, or made ready, behind one's back is not to be the next one's burden.
            std::thread::sleep(PAUSE);
        }
    }
}

fn turns(launcher: &Launcher, folder: &Path) {
    let path = folder.to_str().unwrap();
    let (programs, tools) = (spec(folder, Work::Programs), spec(folder, Work::Tools));
    let warm = launcher.launch(&programs).unwrap();
    let fresh = || {
        let cell = launcher.launch(&programs).unwrap();
        run_true(&cell);
    };
    #[rustfmt::skip]
    let bwrap = [
        "/usr/bin/bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib",
        "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev",
        "--tmpfs", "/tmp", "--bind", path, path, "--chdir", path, "/bin/true",
    ];
    let firejail = ["/usr/bin/firejail", "--quiet", "--noprofile", "--private", "--net=none", "/bin/true"];
    let binary = std::env::var("AUTOSHARE").unwrap_or_default();
    let data = tempfile::tempdir().unwrap();
    let exec = [&binary, "--data-dir", data.path().to_str().unwrap(), "exec", "--workspace", path, "--", "/bin/true"];
    let mut candidates = vec![
        Candidate::new("posix_spawn", || outside(&program(&["/bin/true"], "/", &[]))),
        Candidate::new("warm cell", || run_true(&warm)),
        Candidate::new("fresh full cell", fresh),
        Candidate {
            // Whatever waited is used up.
            before: Box::new(|| drop((launcher.launch(&programs).unwrap(), launcher.launch(&programs).unwrap()))),
            ..Candidate::new("fresh full cell, no spare waiting", fresh)
        },
        Candidate::new("fresh full cell, until all of it is gone", || {
            let mut cell = launcher.launch(&programs).unwrap();
            run_true(&cell);
            cell.kill();
            cell.wait();
        }),
        Candidate::new("fresh cell for tools, ready", || drop(launcher.launch(&tools).unwrap())),
    ];
    let named = std::env::var("PEERS").unwrap_or_default();
    let named = named.lines().filter_map(|line| line.split_once('='));
    let named: Vec<(&str, Vec<&str>)> =
        named.map(|(name, command)| (name.trim(), command.split_whitespace().collect())).collect();
    let known = [("autoshare exec", &exec[..]), ("bubblewrap", &bwrap), ("firejail", &firejail)];
    for (name, argv) in known.into_iter().chain(named.iter().map(|(name, argv)| (*name, argv.as_slice()))) {
        let peer = program(argv, path, &[("HOME", "/nonexistent")]);
        if works(&peer) {
            candidates.push(Candidate::new(name, move || outside(&peer)));
        } else {
            println!("{name} is not there, or does not work for this user: left out");
        }
    }
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    take_turns(&mut candidates, rounds);
    let peer = candidates.iter().find(|one| one.name == "bubblewrap").map(Candidate::median);
    for candidate in &candidates {
        let ratio = peer.map_or_else(String::new, |peer| format!(", {:.2} x bubblewrap", candidate.median() / peer));
        println!("{:<42} {:>7.2} ms{ratio}", candidate.name, candidate.median());
    }
    let mut battery: Vec<u64> = (0..50).map(|_| launcher.launch(&programs).unwrap().confinement().battery_us).collect();
    battery.sort_unstable();
    println!("of every fresh cell, the battery: {:.2} ms", battery[battery.len() / 2] as f64 / 1e3);
}

/// Cells that are made at once, by as many threads as keep the processors busy.
fn rate(launcher: &Launcher, folder: &Path) {
    const CELLS: usize = 800;
    const THREADS: usize = 4;
    let data = folder.join("data");
    let access = Access::local(&data).unwrap();
    let store = Store::open(&data, &access, &Vault::open(&data).unwrap()).unwrap();
    for (name, work) in [("tools", Work::Tools), ("programs", Work::Programs)] {
        let spec = spec(&folder.join("work"), work);
        let start = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (access, store, spec) = (&access, &store, &spec);
                scope.spawn(move || {
                    let brain = BrainId::from_random([work as u8, thread as u8, 7, 7, 7]);
                    store.create(access, &brain).unwrap();
                    let lease = store.lease(access, &brain).unwrap();
                    for _ in 0..CELLS / THREADS {
                        let cell = launcher.launch(spec).unwrap();
                        let text = format!("{:?}", cell.confinement());
                        let record = [Event::Note { kind: NoteKind::Cell, text }];
                        store.append(access, &lease, &record, Durability::Synced).unwrap();
                    }
                });
            }
        });
        println!(
            "full cells for {name}, each with its record: {:.0} a second",
            CELLS as f64 / start.elapsed().as_secs_f64()
        );
    }
}

/// Private memory of cells that wait, as of `smaps_rollup`.
fn idle(launcher: &Launcher, folder: &Path) {
    const CELLS: usize = 1000;
    for (name, work) in [("tools", Work::Tools), ("programs", Work::Programs)] {
        let spec = spec(folder, work);
        let cells: Vec<Cell> = (0..CELLS).map(|_| launcher.launch(&spec).unwrap()).collect();
        let private = |cell: &Cell| -> u64 {
            let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", cell.pid())).unwrap();
            let fields = text.lines().filter(|line| line.starts_with("Private_"));
            fields.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
        };
        let mut each: Vec<u64> = cells.iter().map(private).collect();
        each.sort_unstable();
        println!(
            "{CELLS} idle cells for {name}: {} KiB of private memory each (the most: {} KiB)",
            each[CELLS / 2],
            each[CELLS - 1]
        );
    }
}

/// The same program inside and outside, and inside where the processor may guess.
fn work(launcher: &Launcher, folder: &Path) {
    const FILES: usize = 20_000;
    const WORK_ROUNDS: usize = 15;
    let tree = folder.join("tree");
    for number in 0..FILES {
        let dir = tree.join(format!("{:03}", number / 100));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(number.to_string()), number.to_string()).unwrap();
    }
    let crate_dir = folder.join("small");
    std::fs::create_dir_all(crate_dir.join("src")).unwrap();
    std::fs::write(
        crate_dir.join("Cargo.toml"),
        "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    )
    .unwrap();
    let body: String =
        (0..400).map(|n| format!("pub fn f{n}(x: u64) -> u64 {{ x.wrapping_mul({n}).rotate_left(3) }}\n")).collect();
    std::fs::write(crate_dir.join("src/lib.rs"), body).unwrap();
    let git = |args: &[&str]| {
        let argv =
            [&["/usr/bin/git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "safe.directory=*"], args]
                .concat();
        outside(&program(&argv, tree.to_str().unwrap(), &[("HOME", "/nonexistent")]));
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "all"]);
    let mut roots = vec![root(folder, RootMode::Write)];
    let variable = |name: &str, below_home: &str| {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        std::env::var_os(name).map_or_else(|| home.join(below_home), PathBuf::from)
    };
    let rustup = variable("RUSTUP_HOME", ".rustup");
    let toolchain = std::fs::read_dir(rustup.join("toolchains")).into_iter().flatten().flatten().next();
    let toolchain = toolchain.map(|found| found.path().canonicalize().unwrap());
    roots.extend(toolchain.iter().map(|path| root(path, RootMode::Read)));
    let cargo = toolchain.map(|path| path.join("bin/cargo").display().to_string()).unwrap_or_default();
    let path = format!("{}:{PATH}", cargo.trim_end_matches("/cargo"));
    let (tree, crate_dir) = (tree.display().to_string(), crate_dir.display().to_string());
    let home = folder.display().to_string();
    let env = [("HOME", home.as_str()), ("PATH", path.as_str())];
    let check = format!("touch src/lib.rs; exec {cargo} check -q --offline");
    let jobs = [
        (
            "git status, 20,000 files",
            program(
                &[
                    "/usr/bin/git",
                    "-c",
                    "safe.directory=*",
                    "-c",
                    "core.checkStat=minimal",
                    "-c",
                    "core.trustctime=false",
                    "status",
                    "--porcelain",
                ],
                &tree,
                &env,
            ),
        ),
        ("cargo check of a small crate", program(&["/bin/sh", "-c", &check], &crate_dir, &env)),
        ("python3 -c pass", program(&["/usr/bin/python3", "-c", "pass"], &home, &env)),
        (
            "python3, a second of loops",
            program(&["/usr/bin/python3", "-c", "s = 0\nfor i in range(8_000_000): s += i"], &home, &env),
        ),
    ];
    let cell = |speculate: bool| {
        launcher.launch(&CellSpec { roots: roots.clone(), speculate, ..spec(folder, Work::Programs) }).unwrap()
    };
    let (restricted, free) = (cell(false), cell(true));
    for (name, job) in &jobs {
        if !Path::new(&job.argv[0]).exists() || (name.starts_with("cargo") && cargo.is_empty()) {
            println!("{name}: not there, left out");
            continue;
        }
        let mut candidates = [
            Candidate::new("outside", || outside(job)),
            Candidate::new("inside", || run(&restricted, job.clone())),
            Candidate::new("inside, speculation as the kernel has it", || run(&free, job.clone())),
        ];
        take_turns(&mut candidates, WORK_ROUNDS);
        let [outside, inside, free] = candidates.each_ref().map(Candidate::median);
        println!(
            "{name:<32} outside {outside:8.1} ms, inside {:.3} x, of it speculation controls {:+.3}",
            inside / outside,
            (inside - free) / outside
        );
    }
}

fn main() {
    // Three descriptors a cell.
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let limit = rustix::process::Rlimit { current: most, maximum: most };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let launcher = Launcher::start(entry).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let below = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|one| one == part);
    if wanted("turns") {
        turns(&launcher, &below("turns"));
    }
    if wanted("rate") {
        below("rate/work");
        rate(&launcher, &below("rate"));
    }
    if wanted("idle") {
        idle(&launcher, &below("idle"));
    }
    if wanted("work") {
        work(&launcher, &below("work"));
    }
}
