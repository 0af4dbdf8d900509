//! The roots of a cell, and which of them a path belongs to.

use std::os::fd::OwnedFd;

use autoshare_core::event::{Root, RootMode};
use autoshare_core::outcome::{Ending, Refusal};
use autoshare_core::place::{Place, place};
use autoshare_workspace::{Quota, Workspace, ask_kernel};

/// A directory that the cell may touch. The first is the workspace.
#[derive(Debug)]
pub struct CellRoot {
    /// Its absolute path, as the person named it; for display and for telling which root a path means.
    pub path: String,
    /// Its handle: the authority.
    pub dir: OwnedFd,
    /// What may be done there.
    pub mode: RootMode,
}

/// A path that belongs to a root.
pub(crate) struct Spot<'a> {
    pub(crate) workspace: &'a Workspace,
    /// Below the root.
    pub(crate) path: String,
    /// What stands before a path below this root when it is shown: nothing for the workspace, else the root's path.
    pub(crate) prefix: String,
}

/// The roots of a cell.
pub(crate) struct Roots {
    words: Vec<Root>,
    handles: Vec<Workspace>,
}

impl Roots {
    pub(crate) fn new(roots: Vec<CellRoot>, quota: Quota) -> Self {
        let (mut words, mut handles) = (Vec::new(), Vec::new());
        for root in roots {
            words.push(Root::new(root.path, root.mode));
            handles.push(Workspace::open(root.dir, root.mode, quota));
        }
        Self { words, handles }
    }

    /// Where `path` is to be looked for. A path outside every root is tried against the kernel, and refused.
    pub(crate) fn find(&self, path: &str) -> Result<Spot<'_>, Refusal> {
        match place(&self.words, path) {
            Place::Inside { root, relative, .. } => match (self.handles.get(root), self.words.get(root)) {
                (Some(workspace), Some(words)) => {
                    let prefix =
                        if root == 0 { String::new() } else { format!("{}/", words.path.trim_end_matches('/')) };
                    Ok(Spot { workspace, path: relative, prefix })
                }
                _ => Err(nowhere(path, "there is no such root")),
            },
            Place::Outside { .. } => Err(ask_kernel(path_as_meant(&self.words, path).as_str()).refusal()),
            Place::Nowhere { why } => Err(nowhere(path, why)),
        }
    }

    /// The workspace itself.
    pub(crate) fn first(&self) -> Option<&Workspace> {
        self.handles.first()
    }
}

/// A relative path is meant from the workspace, wherever this process stands.
fn path_as_meant(roots: &[Root], path: &str) -> String {
    match roots.first() {
        Some(root) if !path.starts_with(['/', '~']) => format!("{}/{path}", root.path),
        _ => path.to_owned(),
    }
}

fn nowhere(path: &str, why: &str) -> Refusal {
    let path: String = path.chars().take(200).collect();
    Refusal { ending: Ending::Refused, layer: "workspace".to_owned(), words: format!("{path:?} is no path: {why}") }
}
