//! What is done to the server and its tenants.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::chance::Chance;
use crate::town::{Town, token_of};

/// How often each was done.
#[derive(Default)]
pub struct Done(BTreeMap<&'static str, u32>);

impl Done {
    fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(|(what, times)| format!("{what}: {times}")).collect();
        f.write_str(&all.join("; "))
    }
}

/// Does one thing after another until `end`; each kind is done once at least, or it fails.
pub fn inflict(town: &Town, chance: &mut Chance, end: Instant) -> Done {
    let mut done = Done::default();
    let mut turn = chance.below(9);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(150 + chance.below(900)));
        // Kills are twice as frequent as each of the others.
        match turn % 9 {
            0 | 4 => {
                town.kill();
                done.note("the server killed");
                town.start();
            }
            1 => {
                town.signal(Signal::STOP);
                std::thread::sleep(Duration::from_millis(300 + chance.below(1_500)));
                town.signal(Signal::CONT);
                done.note("the server held still");
            }
            2 | 6 if kill_a_cell(town, chance) => done.note("a cell killed"),
            3 if town.is_small => {
                town.fill();
                std::thread::sleep(Duration::from_millis(500 + chance.below(1_500)));
                // Now and then it dies of it, and finds no room when it comes back.
                if chance.one_in(3) {
                    town.kill();
                    town.start();
                    done.note("killed while the disk was full");
                }
                town.empty();
                // What was refused for want of room has been answered by then.
                std::thread::sleep(Duration::from_millis(300));
                town.is_full.store(false, Ordering::SeqCst);
                done.note("the disk filled up");
            }
            5 => {
                let tenant = &town.tenants[usize::try_from(chance.below(town.tenants.len() as u64)).unwrap()];
                town.done(&["tenant", "suspend", &tenant.name]);
                std::thread::sleep(Duration::from_millis(chance.below(800)));
                town.done(&["tenant", "resume", &tenant.name]);
                done.note("a tenant suspended");
            }
            7 => {
                let tenant = &town.tenants[usize::try_from(chance.below(town.tenants.len() as u64)).unwrap()];
                town.done(&["key", "rotate", "--tenant", &tenant.name]);
                done.note("a tenant's key renewed");
                if chance.one_in(2) {
                    town.done(&["key", "rotate", "--machine"]);
                    done.note("the machine's key renewed");
                }
            }
            8 => {
                let backup = town.aside(&format!("backup-{}", chance.next()));
                town.done(&["backup", backup.to_str().unwrap()]);
                std::fs::remove_dir_all(&backup).unwrap();
                done.note("backed up");
                let tenant = &town.tenants[usize::try_from(chance.below(town.tenants.len() as u64)).unwrap()];
                let id = tenant.token().split('_').nth(1).unwrap().to_owned();
                *tenant.token.lock().unwrap() =
                    token_of(&town.done(&["--tenant", &tenant.name, "token", "rotate", &id, "--json"]));
                done.note("a token renewed");
            }
            _ => {}
        }
        turn += 1;
    }
    let wanted = if town.is_small { 10 } else { 9 };
    let kinds = done.0.keys().filter(|kind| **kind != "killed while the disk was full").count();
    assert!(kinds + 1 >= wanted, "too little was done in the time there is: {done}");
    done
}

/// Kills a process of a cell: one that is a child of the server's, however far, and has process ids of its own.
fn kill_a_cell(town: &Town, chance: &mut Chance) -> bool {
    let server = town.pid();
    let own = namespace(server);
    let cells: Vec<Pid> = children(server).into_iter().filter(|pid| namespace(*pid) != own).collect();
    let Some(count) = std::num::NonZeroU64::new(cells.len() as u64) else { return false };
    let chosen = cells[usize::try_from(chance.below(count.get())).unwrap()];
    kill_process(chosen, Signal::KILL).is_ok()
}

fn namespace(pid: Pid) -> Option<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{}/ns/pid", pid.as_raw_nonzero())).ok()
}

/// The processes below another, however far.
fn children(of: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    let mut pending = vec![of];
    while let Some(next) = pending.pop() {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", next.as_raw_nonzero()));
        for task in tasks.into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            let pids = text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
            let pids: Vec<Pid> = pids.collect();
            found.extend(&pids);
            pending.extend(pids);
        }
    }
    found
}
