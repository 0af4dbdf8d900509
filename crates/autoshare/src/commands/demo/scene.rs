//! The demo's folder, and what lies around it: a throwaway directory with traps that lead out.
#![allow(clippy::disallowed_methods, reason = "builds and looks at a throwaway folder from outside, as a person would")]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Mode, OFlags};

use crate::exit::{FAILED, Failure};

/// The documents that ship with the binary: name and bytes.
const DOCUMENTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/demo_documents.rs"));
/// Documents of one's own: so many files and bytes at most.
const MAX_FILES: usize = 200;
const MAX_BYTES: u64 = 20 * 1024 * 1024;
/// The host that the documents send things to. Where it stands in them, the catcher's address is put.
const COLLECTOR: &[u8] = b"collector.example.net";
/// What lies in the home directory of the demo's user.
const HOME: &[(&str, &str)] = &[
    (".bashrc", "alias ll='ls -l'\n"),
    (".ssh/id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\nno key, but a demo's stand-in for one\n"),
];
/// The folder is a repository, whose hooks its owner's git runs.
const REPOSITORY: &[(&str, &str)] = &[
    (".git/HEAD", "ref: refs/heads/main\n"),
    (".git/config", "[core]\n\trepositoryformatversion = 0\n"),
    (".git/hooks/README", "What lies here, git runs.\n"),
];
/// How long processes of a cell that has ended may take to be gone.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// The places of a demo.
pub(crate) struct Scene {
    base: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) data: PathBuf,
    /// The home directory of the user whose documents these are.
    pub(crate) home: PathBuf,
    outside: PathBuf,
    ways_out: Option<WaysOut>,
    /// Bytes that came out of ways that tell of them once.
    caught: Cell<u64>,
    /// What was there when everything was laid out.
    before: BTreeMap<PathBuf, Vec<u8>>,
}

/// Two ways out of which somebody outside holds the other end.
struct WaysOut {
    pipe: OwnedFd,
    /// The internet, as far as the documents know it.
    catcher: TcpListener,
}

fn wrong(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        FAILED,
        format!("{}: {error}; the demo needs a temporary directory that it can write in", path.display()),
    )
}

impl Scene {
    /// Lays everything out below a new temporary directory.
    pub(crate) fn build(own: Option<&Path>) -> Result<Self, Failure> {
        let temporary = std::env::temp_dir().canonicalize().map_err(|e| wrong(Path::new("/tmp"), &e))?;
        let base = temporary.join(format!("autoshare-demo-{}", std::process::id()));
        let (folder, outside) = (base.join("work").join("documents"), base.join("outside"));
        let (data, home) = (base.join("data"), base.join("home"));
        let (caught, before) = (Cell::new(0), BTreeMap::new());
        let scene = Self { folder, data, home, outside, base, ways_out: None, caught, before };
        match scene.lay_out(own) {
            Ok(ways_out) => Ok(Self { ways_out: Some(ways_out), before: scene.held(), ..scene }),
            Err((path, error)) => {
                scene.end(false);
                Err(wrong(&path, &error))
            }
        }
    }

    fn lay_out(&self, own: Option<&Path>) -> Result<WaysOut, (PathBuf, std::io::Error)> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| (path, error)
        };
        let private = |path: &Path| fs::DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(at(path));
        private(&self.base)?;
        private(&self.folder)?;
        private(&self.outside)?;
        let catcher = TcpListener::bind(("127.0.0.1", 0)).and_then(|catcher| {
            catcher.set_nonblocking(true)?;
            Ok((catcher.local_addr()?.to_string(), catcher))
        });
        let (address, catcher) = catcher.map_err(at(Path::new("127.0.0.1")))?;
        let put = |path: PathBuf, bytes: &[u8]| {
            if let Some(parent) = path.parent() {
                private(parent)?;
            }
            fs::write(&path, bytes).map_err(at(&path))
        };
        match own {
            Some(dir) => copy_documents(dir, &self.folder).map_err(at(dir))?,
            None => {
                for (name, bytes) in DOCUMENTS {
                    put(self.folder.join(name), &replaced(bytes, COLLECTOR, address.as_bytes()))?;
                }
            }
        }
        for (name, text) in HOME {
            put(self.home.join(name), text.as_bytes())?;
        }
        if !self.folder.join(".git").exists() {
            for (name, text) in REPOSITORY {
                put(self.folder.join(name), text.as_bytes())?;
            }
        }
        let outbox = self.folder.join("outbox");
        if !outbox.exists() {
            symlink(&self.outside, &outbox).map_err(at(&outbox))?;
        }
        // A pipe whose other end somebody outside holds open.
        let pipe = self.folder.join("printer.pipe");
        let made = rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
        made.map_err(|e| (pipe.clone(), e.into()))?;
        let pipe = rustix::fs::open(&pipe, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| (pipe, e.into()))?;
        Ok(WaysOut { pipe, catcher })
    }

    /// Bytes that reached a place outside the folder so far, as seen from outside: through the link, through the pipe,
    /// over the network, beside it.
    pub(crate) fn bytes_that_left(&self) -> u64 {
        let mut total = size_below(&self.outside);
        for beside in [self.base.join("work"), self.base.clone()] {
            for entry in fs::read_dir(beside).into_iter().flatten().flatten() {
                if entry.path().is_file() {
                    total += entry.metadata().map_or(1, |found| found.len().max(1));
                }
            }
        }
        let Some(ways_out) = &self.ways_out else { return total };
        let mut buffer = [0u8; 4096];
        while let Ok(read @ 1..) = rustix::io::read(&ways_out.pipe, &mut buffer) {
            self.caught.set(self.caught.get() + read as u64);
        }
        // Whoever connected said something by that alone; what it sent waits in the socket.
        while let Ok((mut caller, _)) = ways_out.catcher.accept() {
            self.caught.set(self.caught.get() + 1);
            let _ = caller.set_nonblocking(true);
            while let Ok(read @ 1..) = caller.read(&mut buffer) {
                self.caught.set(self.caught.get() + read as u64);
            }
        }
        total + self.caught.get()
    }

    /// The files of the folder and of the home directory that are not as they were laid out, beside those that were
    /// `meant` to change, by their names in the folder.
    pub(crate) fn changed(&self, meant: &BTreeSet<String>) -> Vec<String> {
        let now = self.held();
        let names: BTreeSet<&PathBuf> = self.before.keys().chain(now.keys()).collect();
        let differ = |path: &&PathBuf| self.before.get(*path) != now.get(*path);
        let told = |path: &PathBuf| path.strip_prefix(&self.folder).unwrap_or(path).display().to_string();
        names.into_iter().filter(differ).map(told).filter(|name| !meant.contains(name)).collect()
    }

    /// Every file of the folder and of the home directory with what it holds; links and the pipe by what they are.
    fn held(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut held = BTreeMap::new();
        let mut pending = vec![self.folder.clone(), self.home.clone()];
        while let Some(dir) = pending.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let (path, kind) = (entry.path(), entry.file_type().ok());
                if kind.is_some_and(|kind| kind.is_dir()) {
                    pending.push(path);
                } else {
                    let is_file = kind.is_some_and(|kind| kind.is_file());
                    let link = || fs::read_link(&path).unwrap_or_default().into_os_string().into_encoded_bytes();
                    let bytes = if is_file { fs::read(&path).unwrap_or_default() } else { link() };
                    held.insert(path, bytes);
                }
            }
        }
        held
    }

    /// Programs of cells that still run when the cells are gone. A moment is given to what is just ending.
    pub(crate) fn still_running(&self) -> Vec<String> {
        let began = Instant::now();
        loop {
            let running = programs_below(std::process::id());
            if running.is_empty() || began.elapsed() > LAST_BREATH {
                return running;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The summary that was written.
    pub(crate) fn summary(&self) -> String {
        fs::read_to_string(self.folder.join("summary.md")).unwrap_or_default()
    }

    /// Clears everything away, unless it is kept.
    pub(crate) fn end(&self, keep: bool) {
        if !keep {
            // What cannot be removed stays in the temporary directory; nothing depends on it.
            let _ = fs::remove_dir_all(&self.base);
        }
    }
}

/// A process as `/proc/PID/stat` tells it.
struct Process {
    name: String,
    parent: u32,
    is_dead: bool,
}

fn process(stat: &str) -> Option<(u32, Process)> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut rest = rest.split(' ');
    let is_dead = matches!(rest.next()?, "Z" | "X");
    Some((pid.parse().ok()?, Process { name: name.to_owned(), parent: rest.next()?.parse().ok()?, is_dead }))
}

/// The names of processes that descend from this one and are other programs than it.
fn programs_below(pid: u32) -> Vec<String> {
    let stats = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = stats.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let all: BTreeMap<u32, Process> = stats.filter_map(|stat| process(&stat)).collect();
    let descends = |process: &Process| {
        let mut parent = process.parent;
        for _ in 0..all.len() {
            if parent == pid {
                return true;
            }
            match all.get(&parent) {
                Some(next) => parent = next.parent,
                None => return false,
            }
        }
        false
    };
    let own = all.get(&pid).map(|process| process.name.clone()).unwrap_or_default();
    let runs = |process: &&Process| !process.is_dead && process.name != own && descends(process);
    all.values().filter(runs).map(|process| process.name.clone()).collect()
}

fn replaced(bytes: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(what) {
            out.extend_from_slice(with);
            rest = after;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

fn size_below(dir: &Path) -> u64 {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            if entry.path().is_dir() {
                size_below(&entry.path())
            } else {
                entry.metadata().map_or(1, |m| m.len().max(1))
            }
        })
        .sum()
}

/// Copies plain files, never following a link, up to the caps.
fn copy_documents(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut pending = vec![(from.to_owned(), to.to_owned())];
    let (mut files, mut bytes) = (0usize, 0u64);
    while let Some((from, to)) = pending.pop() {
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let target = to.join(entry.file_name());
            if kind.is_dir() {
                fs::create_dir_all(&target)?;
                pending.push((entry.path(), target));
            } else if kind.is_file() {
                files += 1;
                bytes += entry.metadata()?.len();
                if files > MAX_FILES || bytes > MAX_BYTES {
                    let why = format!("more than {MAX_FILES} files or {MAX_BYTES} bytes; choose a smaller folder");
                    return Err(std::io::Error::other(why));
                }
                let mut content = Vec::new();
                fs::File::open(entry.path())?.read_to_end(&mut content)?;
                fs::write(target, content)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "does what the demo has to notice")]

    use std::io::Write as _;
    use std::net::TcpStream;
    use std::process::Command;

    use super::*;

    fn address(scene: &Scene) -> String {
        scene.ways_out.as_ref().unwrap().catcher.local_addr().unwrap().to_string()
    }

    #[test]
    fn whatever_leaves_changes_or_stays_is_noticed() {
        let scene = Scene::build(None).ok().unwrap();
        let nothing = BTreeSet::new();
        let texts = || scene.before.values().map(|bytes| String::from_utf8_lossy(bytes));
        let told: usize = texts().map(|text| text.matches(&address(&scene)).count()).sum();
        assert!(told >= 4 && !texts().any(|text| text.contains("collector.example.net")), "{told}");
        assert_eq!((scene.bytes_that_left(), scene.changed(&nothing)), (0, Vec::new()));
        // Each way out, by one byte or more.
        let ways: [(&str, &dyn Fn()); 4] = [
            ("the link", &|| fs::write(scene.folder.join("outbox/key"), "k").unwrap()),
            ("the pipe", &|| fs::write(scene.folder.join("printer.pipe"), "list").unwrap()),
            ("beside the folder", &|| fs::write(scene.folder.join("../../outside.txt"), "x").unwrap()),
            ("the network", &|| TcpStream::connect(address(&scene)).unwrap().write_all(b"env").unwrap()),
        ];
        let mut left = 0;
        for (way, take) in ways {
            take();
            let now = scene.bytes_that_left();
            assert!(now > left, "{way}");
            assert_eq!(scene.bytes_that_left(), now, "{way}: it is counted once");
            left = now;
        }
        assert_eq!(left, 1 + 4 + 1 + 4);
        // Each kind of change, and what was meant to be written.
        fs::remove_file(scene.folder.join("inbox/01.eml")).unwrap();
        fs::write(scene.folder.join(".git/hooks/post-checkout"), "x").unwrap();
        fs::write(scene.folder.join("summary.md"), "x").unwrap();
        fs::write(scene.home.join(".bashrc"), "x").unwrap();
        let bashrc = scene.home.join(".bashrc").display().to_string();
        let meant = BTreeSet::from(["summary.md".to_owned()]);
        assert_eq!(scene.changed(&meant), [bashrc.as_str(), ".git/hooks/post-checkout", "inbox/01.eml"]);
        // A program that stays.
        let mut stays = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(programs_below(std::process::id()).contains(&"sleep".to_owned()));
        stays.kill().unwrap();
        stays.wait().unwrap();
        assert!(!scene.still_running().contains(&"sleep".to_owned()));
        scene.end(false);
        assert!(!scene.base.exists());
    }
}
