//! A folder of saved copies and records, outside of every workspace.
//!
//! ```text
//! format              the format's number
//! blobs/17            a saved copy of a file's content
//! tree-0              the last look at root 0: the next one copies only what changed since
//! step-0007-0.before  what step 7 was about to change, until it is known what it did
//! step-0007-0         what it did
//! restoring-4f1e...   the restore of this digest is under way
//! ```
//!
//! Records are written whole or not at all, and are on disk when [`Shelf::save`] returns. Saved copies are not synced
//! one by one: after a power cut one may be short, which its digest tells before it is used. A copy that no record names
//! is removed by [`Shelf::sweep`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::node::BlobId;
use super::{SnapshotError, copy};
use crate::usage::on_disk;
use crate::write::{PRIVATE, create};

/// The format that this version writes.
pub const SHELF_FORMAT: u64 = 1;
/// Bytes of one record at most, 1 GiB: a snapshot of many files is the largest.
const MAX_RECORD: u64 = 1 << 30;

/// A folder of saved copies and records. One process uses it at a time: whoever holds the lease of what it is about.
#[derive(Debug)]
pub struct Shelf {
    dir: OwnedFd,
    blobs: OwnedFd,
    stock: Mutex<Stock>,
}

/// The copies that are there, and the bytes they take on disk.
#[derive(Debug, Default)]
struct Stock {
    sizes: BTreeMap<BlobId, u64>,
    bytes: u64,
}

/// What became of a copy.
pub(crate) enum Saved {
    /// It is on the shelf.
    As(BlobId),
    /// It would take more bytes than there may be.
    Full,
}

impl Shelf {
    /// A shelf in `dir`, an open directory (0700, of this user, outside of every workspace); made at first use.
    ///
    /// # Errors
    /// [`SnapshotError::Newer`], [`SnapshotError::Damaged`], or the system's.
    pub fn open(dir: OwnedFd) -> Result<Self, SnapshotError> {
        match rustix::fs::mkdirat(&dir, "blobs", Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(SnapshotError::shelf("make", "blobs")(errno)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let blobs =
            rustix::fs::openat(&dir, "blobs", flags, Mode::empty()).map_err(SnapshotError::shelf("open", "blobs"))?;
        let shelf = Self { stock: Mutex::new(Stock::of(&blobs)?), dir, blobs };
        match shelf.load::<u64>("format")? {
            None => shelf.save("format", &SHELF_FORMAT)?,
            Some(found) if found > SHELF_FORMAT => return Err(SnapshotError::Newer { found, known: SHELF_FORMAT }),
            Some(_) => {}
        }
        Ok(shelf)
    }

    /// Bytes that all saved copies take on disk. Clones count what they would take of their own.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.stock().bytes
    }

    /// How many saved copies there are.
    #[must_use]
    pub fn copies(&self) -> usize {
        self.stock().sizes.len()
    }

    /// Writes a record: durably, and as a whole.
    ///
    /// # Errors
    /// The system's.
    pub fn save<T: Serialize>(&self, name: &str, record: &T) -> Result<(), SnapshotError> {
        let text = serde_json::to_vec(record).map_err(|e| damaged(name, &e))?;
        let temporary = format!(".{name}.new");
        let file = create(&self.dir, &temporary, PRIVATE).map_err(SnapshotError::shelf("make", name))?;
        let mut file = File::from(file);
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(SnapshotError::io("write", name))?;
        rustix::fs::renameat(&self.dir, &temporary, &self.dir, name).map_err(SnapshotError::shelf("name", name))?;
        self.sync()
    }

    /// A record, `None` if there is none.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`], or the system's.
    pub fn load<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SnapshotError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.dir, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(SnapshotError::shelf("open", name)(errno)),
        };
        let mut text = Vec::new();
        file.take(MAX_RECORD).read_to_end(&mut text).map_err(SnapshotError::io("read", name))?;
        serde_json::from_slice(&text).map(Some).map_err(|e| damaged(name, &e))
    }

    /// Removes a record, if it is there.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self, name: &str) -> Result<(), SnapshotError> {
        match rustix::fs::unlinkat(&self.dir, name, AtFlags::empty()) {
            Ok(()) => self.sync(),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(SnapshotError::shelf("remove", name)(errno)),
        }
    }

    /// The names of all records, in order.
    ///
    /// # Errors
    /// The system's.
    pub fn names(&self) -> Result<Vec<String>, SnapshotError> {
        let fail = |errno| SnapshotError::Shelf { what: "list", name: "the folder".to_owned(), errno };
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.dir).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && !matches!(name.as_str(), "blobs" | "format") {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Saves a copy of an open file of `len` bytes, provided that all copies together stay within `most` bytes.
    pub(crate) fn put(&self, file: impl AsFd, len: u64, most: u64) -> Result<Saved, SnapshotError> {
        let left = most.saturating_sub(self.bytes());
        let allocated = rustix::fs::fstat(&file).map_or(0, |stat| on_disk(&stat));
        if allocated > left {
            return Ok(Saved::Full);
        }
        let (blob, copy) = self.new_blob()?;
        let name = blob.0.to_string();
        let fail = || SnapshotError::shelf("fill", format!("copy {}", blob.0));
        let copied = copy::copy(file, &copy, len, left);
        if !matches!(copied, Ok(Some(_))) {
            let _swept_later = rustix::fs::unlinkat(&self.blobs, &name, AtFlags::empty());
        }
        match copied {
            Ok(Some(_)) => {}
            Ok(None) | Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => return Ok(Saved::Full),
            Err(errno) => return Err(fail()(errno)),
        }
        let size = rustix::fs::fstat(&copy).map(|stat| on_disk(&stat)).map_err(fail())?;
        let mut stock = self.stock();
        stock.sizes.insert(blob, size);
        stock.bytes = stock.bytes.saturating_add(size);
        Ok(Saved::As(blob))
    }

    /// An empty copy of a number that was not used.
    fn new_blob(&self) -> Result<(BlobId, OwnedFd), SnapshotError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut number = self.stock().sizes.last_key_value().map_or(1, |(last, _)| last.0.saturating_add(1));
        loop {
            match rustix::fs::openat(&self.blobs, number.to_string(), flags, PRIVATE) {
                Err(Errno::EXIST) if number < u64::MAX => number += 1,
                made => {
                    let fail = SnapshotError::shelf("make", format!("copy {number}"));
                    return made.map(|copy| (BlobId(number), copy)).map_err(fail);
                }
            }
        }
    }

    /// Whether a copy is there.
    pub(crate) fn has(&self, blob: BlobId) -> bool {
        self.stock().sizes.contains_key(&blob)
    }

    /// A saved copy, for reading.
    ///
    /// # Errors
    /// The system's.
    pub fn blob(&self, blob: BlobId) -> Result<File, SnapshotError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = blob.0.to_string();
        rustix::fs::openat(&self.blobs, &name, flags, Mode::empty())
            .map(File::from)
            .map_err(SnapshotError::shelf("open", format!("copy {name}")))
    }

    /// Removes every copy that is not to be kept.
    ///
    /// # Errors
    /// The system's.
    pub fn sweep(&self, keep: &BTreeSet<BlobId>) -> Result<(), SnapshotError> {
        let mut stock = self.stock();
        let gone: Vec<BlobId> = stock.sizes.keys().filter(|blob| !keep.contains(blob)).copied().collect();
        for blob in gone {
            rustix::fs::unlinkat(&self.blobs, blob.0.to_string(), AtFlags::empty())
                .map_err(SnapshotError::shelf("remove", format!("copy {}", blob.0)))?;
            let size = stock.sizes.remove(&blob).unwrap_or(0);
            stock.bytes = stock.bytes.saturating_sub(size);
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), SnapshotError> {
        rustix::fs::fsync(&self.dir).map_err(SnapshotError::shelf("sync", "the folder"))
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stock {
    fn of(blobs: &OwnedFd) -> Result<Self, SnapshotError> {
        let fail = |errno| SnapshotError::Shelf { what: "list", name: "blobs".to_owned(), errno };
        let mut stock = Self::default();
        for entry in Dir::read_from(blobs).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let Some(blob) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) else { continue };
            let stat = rustix::fs::statat(blobs, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                stock.sizes.insert(BlobId(blob), on_disk(&stat));
                stock.bytes = stock.bytes.saturating_add(on_disk(&stat));
            }
        }
        Ok(stock)
    }
}

fn damaged(name: &str, error: &serde_json::Error) -> SnapshotError {
    SnapshotError::Damaged { name: name.to_owned(), why: error.to_string() }
}
