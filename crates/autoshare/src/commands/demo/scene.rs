//! The demo's folder, and what lies around it: a throwaway directory with traps that lead out.
#![allow(clippy::disallowed_methods, reason = "builds and looks at a throwaway folder from outside, as a person would")]

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};

use crate::exit::{FAILED, Failure};

/// The documents that ship with the binary: name and bytes.
const DOCUMENTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/demo_documents.rs"));
/// Documents of one's own: so many files and bytes at most.
const MAX_FILES: usize = 200;
const MAX_BYTES: u64 = 20 * 1024 * 1024;

/// The places of a demo.
pub(crate) struct Scene {
    base: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) data: PathBuf,
    outside: PathBuf,
    pipe: Option<OwnedFd>,
}

fn wrong(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        FAILED,
        format!("{}: {error}; the demo needs a temporary directory that it can write in", path.display()),
    )
}

impl Scene {
    /// Lays everything out below a new temporary directory.
    pub(crate) fn build(own: Option<&Path>) -> Result<Self, Failure> {
        let temporary = std::env::temp_dir().canonicalize().map_err(|e| wrong(Path::new("/tmp"), &e))?;
        let base = temporary.join(format!("autoshare-demo-{}", std::process::id()));
        let (folder, outside) = (base.join("work").join("documents"), base.join("outside"));
        let scene = Self { data: base.join("data"), folder, outside, base, pipe: None };
        match scene.lay_out(own) {
            Ok(pipe) => Ok(Self { pipe: Some(pipe), ..scene }),
            Err((path, error)) => {
                scene.end(false);
                Err(wrong(&path, &error))
            }
        }
    }

    fn lay_out(&self, own: Option<&Path>) -> Result<OwnedFd, (PathBuf, std::io::Error)> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| (path, error)
        };
        let private = |path: &Path| fs::DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(at(path));
        private(&self.base)?;
        private(&self.folder)?;
        private(&self.outside)?;
        match own {
            Some(dir) => copy_documents(dir, &self.folder).map_err(at(dir))?,
            None => {
                for (name, bytes) in DOCUMENTS {
                    let path = self.folder.join(name);
                    if let Some(parent) = path.parent() {
                        private(parent)?;
                    }
                    fs::write(&path, bytes).map_err(at(&path))?;
                }
            }
        }
        let outbox = self.folder.join("outbox");
        if !outbox.exists() {
            symlink(&self.outside, &outbox).map_err(at(&outbox))?;
        }
        // A pipe whose other end somebody outside holds open.
        let pipe = self.folder.join("printer.pipe");
        let made = rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
        made.map_err(|e| (pipe.clone(), e.into()))?;
        rustix::fs::open(&pipe, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| (pipe, e.into()))
    }

    /// Bytes that reached a place outside the folder, as seen from outside: through the link, through the pipe, beside it.
    pub(crate) fn bytes_that_left(&self) -> u64 {
        let mut total = size_below(&self.outside);
        for beside in [self.base.join("work"), self.base.clone()] {
            for entry in fs::read_dir(beside).into_iter().flatten().flatten() {
                if entry.path().is_file() {
                    total += entry.metadata().map_or(1, |found| found.len().max(1));
                }
            }
        }
        let mut buffer = [0u8; 4096];
        while let Some(Ok(read @ 1..)) = self.pipe.as_ref().map(|pipe| rustix::io::read(pipe, &mut buffer)) {
            total += read as u64;
        }
        total
    }

    /// The summary that was written.
    pub(crate) fn summary(&self) -> String {
        fs::read_to_string(self.folder.join("summary.md")).unwrap_or_default()
    }

    /// Clears everything away, unless it is kept.
    pub(crate) fn end(&self, keep: bool) {
        if !keep {
            // What cannot be removed stays in the temporary directory; nothing depends on it.
            let _ = fs::remove_dir_all(&self.base);
        }
    }
}

fn size_below(dir: &Path) -> u64 {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            if entry.path().is_dir() {
                size_below(&entry.path())
            } else {
                entry.metadata().map_or(1, |m| m.len().max(1))
            }
        })
        .sum()
}

/// Copies plain files, never following a link, up to the caps.
fn copy_documents(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut pending = vec![(from.to_owned(), to.to_owned())];
    let (mut files, mut bytes) = (0usize, 0u64);
    while let Some((from, to)) = pending.pop() {
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let target = to.join(entry.file_name());
            if kind.is_dir() {
                fs::create_dir_all(&target)?;
                pending.push((entry.path(), target));
            } else if kind.is_file() {
                files += 1;
                bytes += entry.metadata()?.len();
                if files > MAX_FILES || bytes > MAX_BYTES {
                    let why = format!("more than {MAX_FILES} files or {MAX_BYTES} bytes; choose a smaller folder");
                    return Err(std::io::Error::other(why));
                }
                let mut content = Vec::new();
                fs::File::open(entry.path())?.read_to_end(&mut content)?;
                fs::write(target, content)?;
            }
        }
    }
    Ok(())
}
