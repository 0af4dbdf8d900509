//! What a process has used, by /proc.

use std::fs::{File, read_to_string};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Starts a program, waits until it answers, and leaves it running.
#[expect(clippy::zombie_processes, reason = "it is to go on when this process has ended")]
pub(crate) fn launch(url: &str, log: &str, command: &[&str]) {
    let (at, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let (out, begun) = (File::create(log).unwrap(), Instant::now());
    let mut child = Command::new(command[0]);
    child.args(&command[1..]).stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
    let mut child = child.spawn().unwrap();
    while !answers(at, path) {
        assert!(begun.elapsed() < Duration::from_secs(120), "{url} was not answered: see {log}");
        assert!(child.try_wait().unwrap().is_none(), "it ended: see {log}");
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("{} {:.1}", child.id(), begun.elapsed().as_secs_f64() * 1e3);
}

fn answers(at: &str, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(at) else { return false };
    let mut said = [0; 12];
    let asked = format!("GET /{path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
    stream.write_all(asked.as_bytes()).is_ok() && stream.read_exact(&mut said).is_ok() && said.ends_with(b" 200")
}

/// Processor time of a process and those it started, all threads, in milliseconds; the kernel tells tens of them.
pub(crate) fn cpu_ms(pid: u32) -> u64 {
    let Ok(stat) = read_to_string(format!("/proc/{pid}/stat")) else { return 0 };
    // After the name, which may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks * 10 + children(pid).into_iter().map(cpu_ms).sum::<u64>()
}

/// What of its memory is resident, those it started included, in KiB.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let Ok(status) = read_to_string(format!("/proc/{pid}/status")) else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let own: u64 = line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap());
    own + children(pid).into_iter().map(resident_kib).sum::<u64>()
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
}
