//! What a cell shall be, as a value. The launcher makes cells from this and from nothing else.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use autoshare_core::event::RootMode;
use autoshare_core::usage::Quota;
use autoshare_core::wire::Probe;
use serde::{Deserialize, Serialize};

use crate::{Programs, SandboxError, parcel};

/// How much holds a cell. Ordered: more is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Landlock (ABI 6 or later), seccomp, limits; the host's file names stay visible, their contents do not.
    Narrow,
    /// Namespaces and a root of its own as well.
    Full,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Narrow => "narrow",
            Self::Full => "full",
        })
    }
}

/// What a cell is for, which decides what its code may ask of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// The built-in tools: nothing is executed, no process is started, no socket is made.
    #[default]
    Tools,
    /// Programs that anybody may have chosen: its first process starts them by [`Programs`](crate::Programs).
    Programs,
}

/// A directory that the cell may touch, at the same absolute path inside as outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootSpec {
    /// Absolute, without `.` and `..`. Links on the way are followed; `id` says whether they led to the right place.
    pub path: PathBuf,
    /// What may be done below it.
    pub mode: RootMode,
    /// `st_dev` and `st_ino` of the directory that was meant; anything else found at `path` is refused.
    pub id: (u64, u64),
    /// Of the directory, nothing but this file.
    #[serde(default)]
    pub only: Option<Only>,
}

/// The one file of a directory that is meant. To be read, it must be there, and be no link; to be written, the directory
/// takes new names too, since writing is replacing, but what else is in it is covered (a narrow cell cannot cover, and is
/// refused for writing).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Only {
    /// Its name in the directory.
    pub name: String,
    /// The name under which a write to it that was cut off may have left something. It is not covered either: what is
    /// covered is not removed.
    pub leftover: Option<String>,
}

impl Only {
    /// The file of this name, of which nothing was left.
    #[must_use]
    pub fn file(name: &str) -> Self {
        Self { name: name.to_owned(), leftover: None }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.leftover).map(String::as_str)
    }
}

/// A cell to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellSpec {
    /// What it is for.
    pub work: Work,
    /// The workspace first, then extra roots. A root may lie below another one. None makes a reader cell: whatever takes
    /// apart a document of a stranger's there has that document, by its connection, and nothing else; a program there has
    /// what the system brings, and a /tmp.
    pub roots: Vec<RootSpec>,
    /// Files and directories below a root that the cell must not see into: covered by something empty and unreadable.
    /// What lies below no root is passed over. What does not exist cannot be made: the directory it would lie in takes
    /// no new names, and of what is in it only directories can be worked in.
    pub hide: Vec<PathBuf>,
    /// Files and directories below a root that the cell may read but not change, nor move by a directory above them.
    /// What does not exist is as for `hide`.
    pub freeze: Vec<PathBuf>,
    /// How much it may take.
    pub limits: CellLimits,
    /// How much its roots may hold: handed to what runs in it, which keeps it; nothing here enforces it.
    pub quota: Quota,
    /// Below this tier there is no cell, but a refusal.
    pub least: Tier,
    /// Whether the processor may guess at indirect branches for it, as far as the kernel lets others: some loads are faster
    /// so, and code in it may learn what neighbours hold.
    #[serde(default)]
    pub speculate: bool,
    /// Whether whoever made the cell is told each call that its filter refuses ([`Cell::refusals`](crate::Cell::refusals)),
    /// and has to answer for it.
    #[serde(default)]
    pub explain: bool,
    /// A port of the cell's own loopback on which whoever made the cell listens ([`Cell::listener`](crate::Cell::listener)):
    /// the one way by which programs reach somebody. For programs in full cells only.
    #[serde(default)]
    pub listen: Option<u16>,
}

/// How much a cell may take. Where there are cgroups, memory, processes and processor time hold for all of its processes
/// together; rlimits, which the cell cannot raise, hold for each; `/tmp` has a size.
/// [`Cell::limits`](crate::Cell::limits) says which is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellLimits {
    /// Bytes of memory, `/tmp` and the kernel's share included; no swap. Without cgroups, bytes of private memory a
    /// process (`RLIMIT_DATA`), and a watch over the sum.
    pub memory: u64,
    /// Processes and threads (`RLIMIT_NPROC` in the cell's user namespace; a narrow cell for tools starts none).
    pub processes: u64,
    /// Hundredths of one processor's time that all of it together may take at any moment (cgroups only).
    pub cpu_percent: u64,
    /// Its part of a processor that others want too, where a process outside of cells has 100: 1 to 100. With cgroups all of
    /// it together has that part; each of its processes gives way by as much in any case (`nice`).
    pub cpu_weight: u64,
    /// Open descriptors a process.
    pub open_files: u64,
    /// Bytes of one file; writing further answers `EFBIG`.
    pub file_size: u64,
    /// Seconds of processor time a process.
    pub cpu_seconds: u64,
    /// Bytes of `/tmp` (full tier; the narrow tier has none).
    pub tmp_bytes: u64,
    /// Files in `/tmp`.
    pub tmp_files: u64,
}

impl Default for CellLimits {
    fn default() -> Self {
        Self {
            memory: 1 << 30,
            processes: 64,
            cpu_percent: 400,
            cpu_weight: 100,
            open_files: 256,
            file_size: 1 << 30,
            cpu_seconds: 3600,
            tmp_bytes: 256 << 20,
            tmp_files: 16_384,
        }
    }
}

impl CellLimits {
    /// By how much its processes are nicer than whoever makes them: of two that want a processor, one that is nicer by one
    /// has 1.25 times less of it (sched(7)).
    pub(crate) fn nicer(&self) -> i32 {
        let weight = f64::from(u32::try_from(self.cpu_weight.clamp(1, 100)).unwrap_or(100));
        ((100.0 / weight).ln() / 1.25_f64.ln()).round().min(19.0) as i32
    }

    /// What programs get unless something else is set: compilers and package managers have room.
    #[must_use]
    pub const fn for_programs() -> Self {
        Self {
            memory: 4 << 30,
            processes: 1024,
            cpu_percent: 400,
            cpu_weight: 10,
            open_files: 4096,
            file_size: 8 << 30,
            cpu_seconds: 86_400,
            tmp_bytes: 1 << 30,
            tmp_files: 200_000,
        }
    }
}

/// A root as the finished cell holds it.
#[derive(Debug)]
pub struct InsideRoot {
    /// Its absolute path, the same inside as outside.
    pub path: String,
    /// A handle on it, opened in the finished cell.
    pub dir: OwnedFd,
    /// What may be done there.
    pub mode: RootMode,
    /// The one file of it that Landlock is to allow, where no mount leaves out the others.
    pub(crate) file: Option<OwnedFd>,
}

/// All that a cell's code is given.
#[derive(Debug)]
pub struct Inside {
    /// The connection to the host: the cell's identity. A stream for tools, sequenced packets for programs
    /// ([`crate::parcel`]).
    pub socket: OwnedFd,
    /// The roots, in the order of the specification.
    pub roots: Vec<InsideRoot>,
    /// How much its roots may hold.
    pub quota: Quota,
    /// What holds this cell.
    pub tier: Tier,
    /// What the cell tried against itself, all of it refused by the kernel.
    pub probes: Vec<Probe>,
    /// The right to start programs, in a cell that is for them.
    pub programs: Option<Programs>,
}

/// What runs inside a finished cell; what it returns is the exit status. A panic is status 101.
pub type Entry = fn(Inside) -> i32;

/// Directories that exist in every cell and mean something else there; no root may lie in them or be one of them.
const OWN: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Roots of one cell at most: each is handed over as a descriptor.
const MAX_ROOTS: usize = parcel::MAX_ORDER_FDS - 1;

impl CellSpec {
    /// A full cell with these roots, the workspace first: nothing of them hidden or frozen, the usual limits, nothing to
    /// listen on, nobody told of what is refused.
    #[must_use]
    pub fn new(work: Work, roots: Vec<RootSpec>) -> Self {
        let limits = match work {
            Work::Tools => CellLimits::default(),
            Work::Programs => CellLimits::for_programs(),
        };
        Self {
            work,
            roots,
            hide: Vec::new(),
            freeze: Vec::new(),
            limits,
            quota: Quota::default(),
            least: Tier::Full,
            speculate: false,
            explain: false,
            listen: None,
        }
    }

    /// Refuses what no machine could make a cell of, before anything is tried.
    pub(crate) fn check(&self) -> Result<(), SandboxError> {
        if self.roots.len() > MAX_ROOTS {
            let answer = format!("{} roots; {MAX_ROOTS} are allowed: name folders that hold several", self.roots.len());
            return Err(SandboxError::Step { step: "reading the specification".into(), answer });
        }
        for root in &self.roots {
            let refuse = |why: &str| SandboxError::Path { path: root.path.display().to_string(), why: why.into() };
            check_form(&root.path)?;
            if root.path.parent().is_none() {
                return Err(refuse("a cell has a root directory of its own; name the directories below / instead"));
            }
            if OWN.iter().any(|own| root.path.starts_with(own)) {
                return Err(refuse("a cell has /proc and /dev of its own and no /sys; name another directory"));
            }
            let is_plain = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('/');
            if root.only.as_ref().is_some_and(|only| !only.names().all(is_plain)) {
                return Err(refuse("the one file of it that is meant has no plain name"));
            }
            let below = |other: &&RootSpec| other.path != root.path && root.path.starts_with(&other.path);
            if root.only.is_some() && self.roots.iter().any(|other| below(&other)) {
                return Err(refuse("it lies below another root; what is to be opened of it is open already"));
            }
            if self.roots.iter().filter(|other| other.path == root.path).count() > 1 {
                return Err(refuse("named twice as a root; name it once"));
            }
        }
        if self.listen.is_some() && (self.work != Work::Programs || self.least != Tier::Full) {
            let answer = "only a full cell for programs has a network of its own to listen on".into();
            return Err(SandboxError::Step { step: "reading the specification".into(), answer });
        }
        self.hide.iter().chain(&self.freeze).try_for_each(|path| check_form(path))
    }

    /// Those of `paths` that lie below a root (or are one).
    pub(crate) fn below_roots<'a>(&'a self, paths: &'a [PathBuf]) -> impl Iterator<Item = &'a Path> {
        paths.iter().map(PathBuf::as_path).filter(|path| self.roots.iter().any(|root| path.starts_with(&root.path)))
    }
}

fn check_form(path: &Path) -> Result<(), SandboxError> {
    let refuse = |why: &str| Err(SandboxError::Path { path: path.display().to_string(), why: why.into() });
    if path.to_str().is_none() {
        return refuse("its name is not UTF-8; rename it");
    }
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    // `components` drops a `.` in the middle, so the text is compared too.
    if !path.is_absolute() || !plain || path.components().collect::<PathBuf>().as_os_str() != path.as_os_str() {
        return refuse("not an absolute path in normal form; resolve it first");
    }
    Ok(())
}
