//! The other process of a test: this test binary again, running the one ignored test below in a role.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use autoshare_store::{Durability, KillPoint, StoreError, When};

use crate::{House, brain, ledger, note};

const ROLE: &str = "AUTOSHARE_STORE_TEST_ROLE";
const DIR: &str = "AUTOSHARE_STORE_TEST_DIR";

/// The command that runs `role` on `dir`, behind `prefix` (such as `sh -c SCRIPT name`).
pub(crate) fn command(prefix: &[&str], role: &str, dir: &Path) -> Command {
    let exe = std::env::current_exe().unwrap();
    let mut words = prefix.iter().map(PathBuf::from).collect::<Vec<_>>();
    words.push(exe);
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .args(["--exact", "child::in_another_process", "--ignored", "--nocapture"])
        .env(ROLE, role)
        .env(DIR, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// Runs a role to its end; fails if one of its assertions does.
pub(crate) fn run(prefix: &[&str], role: &str, dir: &Path) -> String {
    let output = command(prefix, role, dir).stderr(Stdio::piped()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{role}: {text}");
    text
}

/// Lines that a child says after `say`.
pub(crate) struct Said(BufReader<std::process::ChildStdout>);

impl Said {
    pub(crate) fn of(child: &mut Child) -> Self {
        Self(BufReader::new(child.stdout.take().unwrap()))
    }
}

impl Iterator for Said {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            // A line that a kill cut short was not said.
            if self.0.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
                return None;
            }
            if let Some((_, said)) = line.trim_end().split_once("say:") {
                return Some(said.to_owned());
            }
        }
    }
}

pub(crate) fn say(words: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("say:{words}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn wait_for_end_of_input() {
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
#[ignore = "not a test of its own: the other process of the tests here"]
fn in_another_process() {
    let role = std::env::var(ROLE).expect("is started by other tests only");
    let dir = PathBuf::from(std::env::var(DIR).unwrap());
    match role.split_once(' ').unwrap_or((&role, "")) {
        ("append", _) => append(&dir),
        ("hold", _) => hold(&dir),
        ("start", n) => start(&dir, n.parse().unwrap()),
        ("make", _) => make(&dir),
        ("kill", point) => kill(&dir, point),
        ("full", _) => full(&dir),
        ("readonly", _) => readonly(&dir),
        ("audit", _) => crate::audit::append(&dir, say),
        ("ledger-spend", _) => say(ledger::spend_all(&dir)),
        ("ledger-kill", at) => ledger::kill_at(&dir, at),
        ("ledger-full", _) => ledger::full(&dir),
        (other, _) => panic!("no role {other}"),
    }
}

/// Appends to four brains from four threads until killed, and says what was acknowledged.
fn append(dir: &Path) {
    let house = House::open(dir);
    std::thread::scope(|scope| {
        for n in 0..4u8 {
            let house = &house;
            scope.spawn(move || {
                let lease = house.lease(&brain(n));
                for i in 0u64.. {
                    let durability = if i % 3 == 0 { Durability::Synced } else { Durability::Lazy };
                    let events = vec![note(&format!("{n}:{i}:{}", "x".repeat(500))); 1 + (i % 3) as usize];
                    let seqs = house.store.append(&house.access, &lease, &events, durability).unwrap();
                    say(format_args!("{n} {}", seqs.last().unwrap()));
                }
            });
        }
    });
}

/// Holds the lease of brain 1.
fn hold(dir: &Path) {
    let house = House::open(dir);
    let lease = house.lease(&brain(1));
    say(format_args!("held {}", lease.epoch()));
    wait_for_end_of_input();
}

/// One of several that start at once.
fn start(dir: &Path, n: u8) {
    wait_for_end_of_input();
    let house = House::open(dir);
    let lease = house.create(&brain(n));
    for i in 0..5 {
        house.append(&lease, &format!("{n}:{i}")).unwrap();
    }
}

fn make(dir: &Path) {
    let house = House::open(dir);
    let lease = house.create(&brain(1));
    house.append(&lease, "before").unwrap();
}

fn kill(dir: &Path, point: &str) {
    let (append, when) = point.split_once(' ').unwrap();
    let when = if when == "before" { When::Before } else { When::After };
    let house = House::open(dir);
    let lease = house.create(&brain(1));
    house.append(&lease, "0").unwrap();
    house.store.set_kill_point(Some(KillPoint { append: append.parse().unwrap(), when }));
    for i in 1..=5 {
        house.append(&lease, &i.to_string()).unwrap();
        say(i);
    }
}

/// On a disk of 2 MiB.
fn full(dir: &Path) {
    std::fs::write(dir.join("ballast"), vec![0u8; 512 * 1024]).unwrap();
    let house = House::open(dir);
    let lease = house.create(&brain(1));
    let text = "y".repeat(20_000);
    let mut written = 0;
    let error = loop {
        match house.append(&lease, &text) {
            Ok(seqs) => written = seqs[0].0,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("make room"), "{error}");
    assert!(written > 10, "{written} fitted");
    assert_eq!(house.texts(&brain(1)).unwrap().len() as u64, written, "on a full disk, what was acknowledged is there");
    std::fs::remove_file(dir.join("ballast")).unwrap();
    let next = house.append(&lease, &text).expect("after room was made, the same store goes on");
    assert_eq!(next[0].0, written + 1);
    drop(lease);
    drop(house);
    assert_eq!(House::open(dir).texts(&brain(1)).unwrap().len() as u64, written + 1);
}

/// On a read-only disk that holds a journal.
fn readonly(dir: &Path) {
    let Err(error) = House::try_open(dir) else { panic!("a journal opened on a read-only disk") };
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains("read-only"), "{error}");
}
