//! Cells: processes that hold whatever runs in them.
//!
//! A cell is where a brain's hands work, and its code is presumed hostile. [`Launcher::start`] forks a process of one
//! thread, the *launcher*, at the very top of `main`; [`Launcher::launch`] has it make a [`Cell`] from a [`CellSpec`]
//! and from nothing else. There is no other way to start a process in this project. The new process is a copy of the
//! launcher, without `exec`: it builds its walls, takes away its own rights in the order in which they can be taken
//! (`making`, `full`, `seal`), tries to break out (`battery`), and only then calls the [`Entry`] that the launcher was
//! started with.
//!
//! A *full* cell has user, mount, pid, network, ipc, uts and cgroup namespaces of its own, a tmpfs root with read-only
//! system directories and the roots at the paths they have outside, no capabilities, a Landlock domain that leaves
//! only the roots and `/tmp`, and a seccomp allow-list kept as data in `seccomp.toml` (`filter`). A *narrow* cell, for
//! machines without user namespaces, has Landlock and seccomp: what it lacks is said in [`Tier`] and by [`survey`].
//!
//! **Invariants**
//! - *Fails closed.* A layer that cannot be had, that is configured but not in force, or that an attempt from inside
//!   gets past, is a [`SandboxError`], and nothing ran in that cell. Only a control that the machine lacks leads to the
//!   next tier, and none below [`CellSpec::least`].
//! - *Never root.* A cell's ids on the host are not 0: they are the workspace owner's, or a stranger's whom an id-mapped
//!   mount lets work on root's files.
//! - *Nothing inherited.* Of the host a cell has the program's code and what memory held when the launcher was forked,
//!   less environment and command line, which are overwritten; one socket; handles on its roots. That is why the
//!   launcher starts before keys are read.
//! - *Nothing left.* A cell is the first process of its pid namespace: with it, with the launcher, or with the host,
//!   everything in it ends.
//! - All `unsafe` of the project stands in `sys`, each block with its reason.
//!
//! The host has walls as well: [`confine_host`] takes from it, once its launcher stands, what only the launcher needs.
//!
//! This crate does not know what runs in a cell, what is said over its socket, or whose it is. It believes nothing that
//! a cell says once foreign code runs in it: [`Cell::confinement`] and [`Cell::probes`] were taken before.
//!
//! Left to others: supplementary groups of a rootless user cannot be dropped (the kernel forbids it without privilege),
//! so a rootless cell may use what those groups may use *below its roots*.

mod battery;
mod bench;
mod cell;
mod cgroup;
mod confine;
mod error;
mod filter;
mod full;
mod hardware;
mod launcher;
mod limits;
mod making;
pub mod parcel;
pub mod probe;
mod proc;
mod programs;
mod refusals;
mod seal;
mod sockets;
mod spare;
mod spec;
mod survey;
mod sys;

pub use cell::{Cell, CellEnd, Confinement};
pub use cgroup::Strain;
pub use confine::{HostConfinement, HostSpec, confine_host, handed_over};
pub use error::SandboxError;
pub use filter::{Listed, Profile, call_name, is_known, listed, words};
pub use full::SYSTEM;
pub use launcher::{Launcher, Tally};
pub use limits::LimitInForce;
pub use programs::{Programs, Started, Streams};
pub use refusals::{Refusals, Refused};
pub use spec::{CellLimits, CellSpec, Entry, Inside, InsideRoot, Only, RootSpec, Tier, Work};
pub use survey::{Layer, Survey, survey};
