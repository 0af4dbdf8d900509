//! Attacks with chosen walls left out, so that it shows which wall stops what.
//!
//! That an attack fails in a cell says nothing by itself: it may fail everywhere on this machine. Its *control* is the
//! same attack where the walls are absent, made by an unconfined process of the same user. Such a process exists for
//! nothing but this: a [`ProbeConfinement`] runs one [`Attempt`], which is a name and no code, against one [`Ground`],
//! which makes its throwaway folder itself. There is no way to have anything else run in it.

mod attempt;
mod bench;
mod ground;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use attempt::Attempt;
pub(crate) use bench::{probe, victim};
pub use ground::Ground;

use crate::spec::{CellLimits, CellSpec, Tier, Work};

/// What a cell is held by, beside the user that it runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wall {
    /// Namespaces and a root of its own, with nothing mounted but what it may see.
    Namespaces,
    /// The Landlock domain.
    Landlock,
    /// The list of system calls.
    Seccomp,
    /// rlimits, and its cgroup.
    Limits,
}

impl Wall {
    /// Every wall.
    pub const ALL: [Self; 4] = [Self::Namespaces, Self::Landlock, Self::Seccomp, Self::Limits];
}

/// A confinement for one attempt, of which walls are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeConfinement {
    walls: BTreeSet<Wall>,
    work: Work,
    tier: Tier,
}

impl ProbeConfinement {
    /// No wall at all: the control.
    #[must_use]
    pub const fn none(work: Work, tier: Tier) -> Self {
        Self { walls: BTreeSet::new(), work, tier }
    }

    /// One wall alone, as a cell of this tier for this work has it.
    #[must_use]
    pub fn only(wall: Wall, work: Work, tier: Tier) -> Self {
        Self { walls: [wall].into(), work, tier }
    }
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "came", content = "answer")]
pub enum Answer {
    /// It succeeded.
    Through,
    /// It was refused, with this answer.
    Refused(String),
    /// Whoever made it was ended for it.
    Ended(String),
}

/// What an attempt must know of its ground.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terrain {
    folder: PathBuf,
    victim: i32,
    port: u16,
    name: String,
}

impl Terrain {
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder that a cell on this ground works in.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.at("workspace")
    }

    /// What stands in the files that no cell on this ground may read.
    pub const SECRET: &str = "what only the neighbour may know";
}

/// How much may be taken on a ground: little, so that little is needed to try it.
const LIMITS: CellLimits = CellLimits {
    memory: 128 << 20,
    processes: 32,
    cpu_percent: 200,
    cpu_weight: 100,
    open_files: 256,
    file_size: 8 << 20,
    cpu_seconds: 20,
    tmp_bytes: 8 << 20,
    tmp_files: 256,
};

/// A cell, or a part of one, on a ground: the workspace, and a folder to read.
fn spec(folder: &Path, ids: [(u64, u64); 2], work: Work, least: Tier) -> CellSpec {
    use autoshare_core::event::RootMode;
    let root = |name: &str, mode, id| crate::RootSpec { path: folder.join(name), mode, id, only: None };
    let [workspace, shown] = ids;
    let roots = vec![root("workspace", RootMode::Write, workspace), root("shown", RootMode::Read, shown)];
    CellSpec { limits: LIMITS, least, ..CellSpec::new(work, roots) }
}
