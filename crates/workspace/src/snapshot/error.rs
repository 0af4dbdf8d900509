//! Why something could not be saved, compared or put back.

use rustix::io::Errno;

use super::restore::Conflict;
use crate::WorkspaceError;

/// Why something could not be saved, compared or put back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The workspace.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The shelf's disk.
    #[error("saved copies: cannot {what} {name}: {errno}")]
    Shelf {
        /// What was being done.
        what: &'static str,
        /// The file on the shelf.
        name: String,
        /// What the kernel answered.
        errno: Errno,
    },
    /// A later version wrote the shelf.
    #[error(
        "the saved copies are of format {found}, and this version knows {known}: use the autoshare that wrote them, or \
         a later one"
    )]
    Newer {
        /// The format on disk.
        found: u64,
        /// The latest that is known.
        known: u64,
    },
    /// A saved copy or record is not as it was written.
    #[error("saved copies: {name} is damaged ({why}); it cannot be used")]
    Damaged {
        /// The file on the shelf.
        name: String,
        /// How that is known.
        why: String,
    },
    /// Nothing was changed, since something is not as the step left it, or cannot be put back.
    #[error("nothing was changed: {}", list(.0))]
    Conflicts(Vec<Conflict>),
    /// A path could not be put back; what was put back before it stays, and the restore can be run again.
    #[error("{path}: {why}; run it again when that is seen to, what was put back stays so")]
    CutOff {
        /// The path.
        path: String,
        /// What went wrong.
        why: String,
    },
}

impl SnapshotError {
    pub(crate) fn shelf(what: &'static str, name: impl Into<String>) -> impl FnOnce(Errno) -> Self {
        let name = name.into();
        move |errno| Self::Shelf { what, name, errno }
    }

    pub(crate) fn io(what: &'static str, name: &str) -> impl FnOnce(std::io::Error) -> Self {
        let name = name.to_owned();
        move |error| Self::Shelf { what, name, errno: Errno::from_io_error(&error).unwrap_or(Errno::IO) }
    }
}

/// Conflicts that are listed in one message; all of them are in the value.
const SHOWN: usize = 20;

fn list(conflicts: &[Conflict]) -> String {
    let mut lines: Vec<String> =
        conflicts.iter().take(SHOWN).map(|one| format!("\n  {}: {}", one.path, one.why)).collect();
    if conflicts.len() > SHOWN {
        lines.push(format!("\n  and {} more", conflicts.len() - SHOWN));
    }
    lines.concat()
}
