//! What this process takes, as proc(5) has it.

use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{Resource, getrlimit};

/// Bytes of a file of `/proc` that are read.
const MAX_FILE: usize = 4_096;

/// What this process takes. What the kernel does not tell is left out.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// Bytes of memory that are its.
    pub(super) memory: Option<u64>,
    /// Descriptors that are open.
    pub(super) descriptors: Option<u64>,
    /// Descriptors that may be.
    pub(super) most_descriptors: Option<u64>,
    /// Time on processors, in microseconds.
    pub(super) cpu_us: Option<u64>,
}

impl Process {
    /// As it is now.
    pub(super) fn read() -> Self {
        Self {
            memory: memory(),
            descriptors: descriptors(),
            most_descriptors: getrlimit(Resource::Nofile).current,
            cpu_us: cpu_us(),
        }
    }
}

fn memory() -> Option<u64> {
    let pages: u64 = read("/proc/self/statm")?.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

fn cpu_us() -> Option<u64> {
    let stat = read("/proc/self/stat")?;
    // The name, in parentheses, may hold anything; after it comes the third field.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11).take(2);
    let ticks: u64 = times.next()?.parse::<u64>().ok()?.checked_add(times.next()?.parse().ok()?)?;
    ticks.checked_mul(1_000_000)?.checked_div(rustix::param::clock_ticks_per_second())
}

fn descriptors() -> Option<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(CWD, "/proc/self/fd", flags, Mode::empty()).ok()?;
    let entries = rustix::fs::Dir::read_from(&dir).ok()?.filter_map(Result::ok);
    let open = entries.filter(|entry| !entry.file_name().to_bytes().starts_with(b".")).count() as u64;
    // Two were opened to look.
    Some(open.saturating_sub(2))
}

fn read(path: &str) -> Option<String> {
    let file = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut bytes = [0u8; MAX_FILE];
    let length = rustix::io::read(&file, &mut bytes).ok()?;
    std::str::from_utf8(bytes.get(..length)?).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_takes_is_what_the_kernel_says() {
        let before = Process::read();
        let (more, held) = (vec![1u8; 64 << 20], [std::io::pipe().unwrap(), std::io::pipe().unwrap()]);
        std::hint::black_box(&more);
        let after = Process::read();
        assert!(after.memory.unwrap() >= before.memory.unwrap() + (48 << 20), "{before:?} {after:?}");
        // Other tests of this process may open and close some meanwhile.
        assert!(after.descriptors.unwrap() >= 4 && after.descriptors < after.most_descriptors, "{after:?}");
        assert!(after.cpu_us >= before.cpu_us && before.cpu_us.is_some());
        drop(held);
    }
}
