//! One server a data directory.

use std::fmt::Write as _;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock};

use crate::exit::{DRIVEN, Failure};

/// Beside the data; it is never removed, so that there is one lock and not one a file.
const NAME: &str = "serve.lock";

/// A lock (flock(2)) that ends with this process, however that ends. Other commands work beside a server: brains have
/// leases of their own.
pub(crate) struct Alone {
    _lock: OwnedFd,
}

impl Alone {
    /// Takes the data directory, which must be there.
    pub(crate) fn with(data_dir: &Path) -> Result<Self, Failure> {
        let path = data_dir.join(NAME);
        let failed = |error: rustix::io::Errno| {
            let error = io::Error::from(error);
            Failure::new(crate::exit::FAILED, format!("{}: {error}; see who owns the data directory", path.display()))
        };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let lock = rustix::fs::openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = [0; 16];
                let length = rustix::io::pread(&lock, &mut text, 0).unwrap_or(0);
                let pid = std::str::from_utf8(text.get(..length).unwrap_or_default()).unwrap_or_default().trim();
                let words = format!(
                    "{} is served already, by process {pid}: stop that one first, or name another folder with --data-dir",
                    data_dir.display()
                );
                return Err(Failure::new(DRIVEN, words));
            }
            Err(error) => return Err(failed(error)),
        }
        let mut pid = String::new();
        let _ = writeln!(pid, "{}", std::process::id());
        // For the words above alone; the lock is what counts.
        let signed = rustix::fs::ftruncate(&lock, 0).and_then(|()| rustix::io::pwrite(&lock, pid.as_bytes(), 0));
        signed.map_err(failed)?;
        Ok(Self { _lock: lock })
    }
}
