//! Where a path that a tool names would lie, as far as words can tell.
//!
//! This decides only *what is asked of whom*: which root's handle resolves the path, or that it leaves them all and a
//! person must be asked. Whether a file is reached is decided by the kernel, beneath the handle, and never here.

use crate::event::{Root, RootMode};

/// Bytes of a path at most (`PATH_MAX` of Linux, less its NUL).
pub const MAX_PATH: usize = 4095;

/// Where a path would lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Below the root of this index, by this path relative to it (`.` is the root itself). May hold `..`.
    Inside {
        /// Index into the roots.
        root: usize,
        /// The rest of the path.
        relative: String,
        /// What may be done there.
        mode: RootMode,
    },
    /// Below no root; absolute, without `.` and `..`.
    Outside {
        /// The absolute path.
        path: String,
    },
    /// No path at all.
    Nowhere {
        /// Why, in words.
        why: &'static str,
    },
}

/// Where `path` would lie. A relative path is meant from the first root; an absolute one belongs to the longest root
/// that is a whole-component prefix of it.
#[must_use]
pub fn place(roots: &[Root], path: &str) -> Place {
    if path.is_empty() {
        return Place::Nowhere { why: "the path is empty" };
    }
    if path.len() > MAX_PATH {
        return Place::Nowhere { why: "the path is longer than 4095 bytes" };
    }
    if path.contains('\0') {
        return Place::Nowhere { why: "the path holds a NUL" };
    }
    if path == "~" || path.starts_with("~/") {
        return Place::Outside { path: path.to_owned() };
    }
    let absolute = if path.starts_with('/') {
        normal(path)
    } else {
        match roots.first() {
            Some(root) => normal(&format!("{}/{path}", root.path)),
            None => return Place::Nowhere { why: "there is no workspace" },
        }
    };
    let holder = roots
        .iter()
        .enumerate()
        .filter_map(|(index, root)| below(&normal(&root.path), &absolute).map(|rest| (index, root, rest)))
        .max_by_key(|(_, root, _)| normal(&root.path).len());
    match holder {
        Some((root, found, rest)) => {
            let as_written = !path.starts_with('/') && root == 0;
            let relative = if as_written { path.to_owned() } else { rest };
            Place::Inside { root, relative, mode: found.mode }
        }
        None => Place::Outside { path: absolute },
    }
}

/// What a brain calls the file of an action, so that one file has one name: relative to the workspace as the plan found
/// it (`planned`), and absolute in any other root or outside. `named` is the path as the action names it.
#[must_use]
pub fn known_as(roots: &[Root], named: &str, planned: &str) -> Option<String> {
    match place(roots, named) {
        Place::Inside { root: 0, .. } => Some(planned.to_owned()),
        Place::Inside { root, .. } => roots.get(root).map(|root| normal(&format!("{}/{planned}", root.path))),
        Place::Outside { path } => Some(path),
        Place::Nowhere { .. } => None,
    }
}

/// The path without empty components, `.` and `..`, beginning with `/`. Words only: links are not looked at.
#[must_use]
pub fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

fn below(root: &str, path: &str) -> Option<String> {
    if root == path {
        return Some(".".to_owned());
    }
    let prefix = if root == "/" { "/".to_owned() } else { format!("{root}/") };
    path.strip_prefix(&prefix).map(str::to_owned)
}

/// Whether `path` is `root` or lies below it, by whole components.
#[must_use]
pub fn is_below(root: &str, path: &str) -> bool {
    below(&normal(root), &normal(path)).is_some()
}
