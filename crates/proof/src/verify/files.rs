//! Attacks on the file tools: the same path given to the workspace, and opened as it stands.

#![allow(
    clippy::disallowed_methods,
    reason = "the controls open paths as a careless program would, below a throwaway folder"
)]

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use autoshare_core::event::RootMode;
use autoshare_sandbox::probe::{Answer, Terrain};
use autoshare_workspace::{Quota, Workspace};
use serde::{Deserialize, Serialize};

/// A path that leads out of the workspace, or to what is trusted in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileAttempt {
    /// `..`
    DotDot,
    /// `..` after a folder that is a link.
    DotDotLater,
    /// By the file system's own root, as `/proc` shows it.
    MagicLink,
    /// By a link to a folder.
    LinkedFolder,
    /// By a link to a file.
    LinkedFile,
    /// By a second name of a file outside.
    HardLink,
    /// Writes what the machine runs: a hook of git.
    Hook,
}

impl FileAttempt {
    const fn path(self) -> &'static str {
        match self {
            Self::DotDot => "../neighbour/secret",
            Self::DotDotLater => "way-out/../neighbour/secret",
            Self::MagicLink => "/proc/self/root/etc/passwd",
            Self::LinkedFolder => "way-out/secret",
            Self::LinkedFile => "secret-link",
            Self::HardLink => "hard-link",
            Self::Hook => ".git/hooks/post-commit",
        }
    }

    /// As the tools do it: beneath a handle on the workspace.
    pub(super) fn by_handle(self, dir: OwnedFd, quota: Quota) -> Answer {
        let workspace = Workspace::open(dir, RootMode::Write, quota);
        let done = match self {
            Self::Hook => workspace.target(self.path()).map(drop),
            _ => workspace.read(self.path()).map(drop),
        };
        match done {
            Ok(()) => Answer::Through,
            Err(error) => Answer::Refused(format!("by {}", error.refusal().layer)),
        }
    }

    /// The same in this process, which nothing confines.
    pub(super) fn by_own_handle(self, on: &Terrain) -> Answer {
        match std::fs::File::open(on.workspace()) {
            Ok(dir) => self.by_handle(dir.into(), Quota::default()),
            Err(error) => Answer::Refused(error.to_string()),
        }
    }

    /// As a program does it that trusts a path: its text is put after the workspace's, and opened.
    pub(super) fn by_path(self, on: &Terrain) -> Answer {
        let path: PathBuf = on.workspace().join(self.path());
        let done = match self {
            Self::Hook => path
                .parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| std::fs::write(&path, "#!/bin/sh\n"))
                .and_then(|()| std::fs::remove_file(&path)),
            _ => std::fs::read(path).map(drop),
        };
        done.map_or_else(|error| Answer::Refused(error.to_string()), |()| Answer::Through)
    }
}
