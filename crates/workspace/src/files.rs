//! What files there are, for whoever lists them to people.

use std::ops::ControlFlow;

use crate::beneath::{Follow, open_directory};
use crate::limits::{MAX_LISTED, MAX_VISITED};
use crate::walk::{Coverage, Kind, Order, Walk};
use crate::{Workspace, WorkspaceError};

/// A file in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Its path below the workspace.
    pub path: String,
    /// Bytes.
    pub len: u64,
    /// When it was last written to: milliseconds since 1970 (UTC).
    pub modified_ms: u64,
}

impl Workspace {
    /// The regular files below the workspace by path, [`MAX_LISTED`] at most, and whether those are all. What lies in a `.git`
    /// or among results is passed over, and so is a name that is not UTF-8 or holds control characters: no request can name
    /// it.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn files(&self) -> Result<(Vec<FileEntry>, bool), WorkspaceError> {
        self.listed(false)
    }

    /// The same with what is passed over there: all that a copy holds ([`Workspace::copy_to`]).
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn all_files(&self) -> Result<(Vec<FileEntry>, bool), WorkspaceError> {
        self.listed(true)
    }

    fn listed(&self, kept: bool) -> Result<(Vec<FileEntry>, bool), WorkspaceError> {
        let start = open_directory(&self.dir, b".", Follow::Nothing)?;
        let mut files = Vec::new();
        let walk = Walk { order: Order::Sorted, levels: self.quota.depth, entries: MAX_VISITED, kept };
        let coverage = walk.run(&start, |met| {
            let path = std::str::from_utf8(met.path).ok().filter(|path| !path.contains(char::is_control));
            if let (Kind::File, Some(path)) = (met.kind, path) {
                if files.len() == MAX_LISTED {
                    return ControlFlow::Break(());
                }
                let ms =
                    met.stat.st_mtime.saturating_mul(1_000).saturating_add(met.stat.st_mtime_nsec as i64 / 1_000_000);
                let modified_ms = u64::try_from(ms).unwrap_or(0);
                files.push(FileEntry {
                    path: path.to_owned(),
                    len: u64::try_from(met.stat.st_size).unwrap_or(0),
                    modified_ms,
                });
            }
            ControlFlow::Continue(())
        })?;
        let whole = coverage == Coverage::Whole && files.len() < MAX_LISTED;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((files, whole))
    }
}
