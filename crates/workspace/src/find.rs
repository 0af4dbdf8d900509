//! Finding files by name.

use std::ops::ControlFlow;

use globset::{GlobBuilder, GlobMatcher};

use crate::beneath::normal;
use crate::limits::{MAX_PATTERN, MAX_RESULTS, MAX_VISITED};
use crate::walk::{Coverage, Kind, Order, Walk, shown};
use crate::{Workspace, WorkspaceError};

/// What was found by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The paths, below the workspace, in order; a directory's ends in `/`. [`MAX_RESULTS`] at most.
    pub paths: Vec<String>,
    /// How many more there are.
    pub more: u64,
    /// Whether everything was looked at. Not when there is more than [`MAX_VISITED`] to visit, deeper than the quota's
    /// depth, or barred.
    pub whole: bool,
}

/// A glob: `*` and `?` stop at `/`, `**` does not. One without `/` is compared with names, else with paths below the
/// directory that is looked through.
pub(crate) struct Names {
    matcher: GlobMatcher,
    whole_path: bool,
}

impl Names {
    pub(crate) fn new(pattern: &str) -> Result<Self, WorkspaceError> {
        let bad = |why: String| WorkspaceError::BadPattern { pattern: pattern.chars().take(200).collect(), why };
        if pattern.len() > MAX_PATTERN {
            return Err(bad(format!("it is longer than {MAX_PATTERN} bytes")));
        }
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
        let matcher = glob.map_err(|error| bad(error.kind().to_string()))?.compile_matcher();
        Ok(Self { matcher, whole_path: pattern.contains('/') })
    }

    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        let path = String::from_utf8_lossy(path);
        let name = path.rsplit('/').next().unwrap_or(&path);
        self.matcher.is_match(if self.whole_path { &path } else { name })
    }
}

impl Workspace {
    /// The files, directories and links below the directory `path` whose name or path matches a glob. Links are not
    /// followed, and what lies in a `.git` or among results is passed over.
    ///
    /// # Errors
    /// The directory cannot be opened, or the pattern is none.
    pub fn find(&self, pattern: &str, path: &str) -> Result<Found, WorkspaceError> {
        let names = Names::new(pattern)?;
        let start = self.folder(path)?;
        let prefix = prefix(path)?;
        let mut found = Found { paths: Vec::new(), more: 0, whole: true };
        let walk = Walk { order: Order::Sorted, levels: self.quota.depth, entries: MAX_VISITED, kept: false };
        let coverage = walk.run(&start, |met| {
            if names.matches(met.path) {
                if found.paths.len() < MAX_RESULTS {
                    let slash = if met.kind == Kind::Folder { "/" } else { "" };
                    found.paths.push(format!("{prefix}{}{slash}", shown(met.path)));
                } else {
                    found.more += 1;
                }
            }
            ControlFlow::Continue(())
        })?;
        found.paths.sort();
        found.whole = coverage == Coverage::Whole;
        Ok(found)
    }
}

/// What stands before a path that was found below `folder`.
pub(crate) fn prefix(folder: &str) -> Result<String, WorkspaceError> {
    let folder = normal(folder)?;
    Ok(if folder == "." { String::new() } else { format!("{folder}/") })
}
