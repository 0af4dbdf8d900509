//! A throwaway folder with a workspace and, beside it, what must not be reached.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use autoshare_core::Digest;
use autoshare_core::event::RootMode;
use autoshare_workspace::{Quota, Tag, Workspace, WorkspaceError};

pub const SECRET: &str = "SECRET";

pub struct Setting {
    _base: tempfile::TempDir,
    pub inside: PathBuf,
    pub outside: PathBuf,
}

impl Setting {
    pub fn new() -> Self {
        Self::within(tempfile::tempdir().unwrap())
    }

    /// Where syncing costs nothing, for tests that write very often.
    pub fn in_memory() -> Self {
        let shm = Path::new("/dev/shm");
        Self::within(if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap())
    }

    fn within(base: tempfile::TempDir) -> Self {
        let (inside, outside) = (base.path().join("inside"), base.path().join("outside"));
        fs::create_dir(&inside).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(inside.join("note.txt"), "a note\n").unwrap();
        fs::create_dir(inside.join("folder")).unwrap();
        fs::write(inside.join("folder/deep.txt"), "deep\n").unwrap();
        fs::write(outside.join("secret.txt"), SECRET).unwrap();
        Self { _base: base, inside, outside }
    }

    pub fn workspace(&self) -> Workspace {
        self.with_quota(Quota::default())
    }

    pub fn with_quota(&self, quota: Quota) -> Workspace {
        Workspace::open(handle(&self.inside), RootMode::Write, quota)
    }

    pub fn secret(&self) -> PathBuf {
        self.outside.join("secret.txt")
    }

    /// Nothing outside was changed, added or taken away.
    pub fn outside_is_untouched(&self) {
        assert_eq!(names(&self.outside), ["secret.txt"]);
        assert_eq!(fs::read_to_string(self.secret()).unwrap(), SECRET);
    }
}

pub fn handle(path: &Path) -> OwnedFd {
    OwnedFd::from(fs::File::open(path).unwrap())
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub fn tag(word: &str) -> Tag {
    Tag(Digest::of(word.as_bytes()))
}

/// Writes whatever stands there, as a tool does that has just planned.
pub fn put(workspace: &Workspace, path: &str, content: &str) -> Result<(), WorkspaceError> {
    let before = workspace.target(path)?.before;
    workspace.write(path, content.as_bytes(), before.as_ref(), tag(path)).map(|_| ())
}
