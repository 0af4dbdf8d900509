//! Directories and files that only their owner may touch.
//!
//! A [`PrivateDir`] is a handle: what is below it is reached through it, one name at a time and never through a link,
//! so nobody can swap a directory between a check and a use. The path of the data directory itself may hold links: it
//! is the operator's own.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::VaultError;

const DIR_MODE: Mode = Mode::RWXU;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// What group and others may do with something at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Read it, if the owner made it so: it is sealed.
    MayRead,
    /// Nothing at all.
    Nothing,
}

/// Whether a file was made, or was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It was made.
    Now,
    /// It was there, and is untouched.
    Before,
}

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A link, a socket, a device.
    Other,
}

/// What a file was when it was looked at. One that was replaced or written to since has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    dev: u64,
    ino: u64,
    size: i64,
    changed: i64,
    changed_ns: u64,
}

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "holds the lock by being open")] OwnedFd);

/// A directory that belongs to this process's user and that nobody else may write to.
#[derive(Debug)]
pub struct PrivateDir {
    fd: OwnedFd,
    path: PathBuf,
}

impl PrivateDir {
    /// Opens the directory at `path`; makes it and what leads there (0700) if there is none.
    ///
    /// # Errors
    /// [`VaultError::Exposed`], [`VaultError::Owner`], [`VaultError::Kind`], or the system's.
    pub fn open(path: &Path, others: Others) -> Result<Self, VaultError> {
        make(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| not_a_dir(errno, path))?;
        Self::checked(fd, path.to_owned(), others)
    }

    /// Opens the directory `name` in this one; makes it (0700) if there is none.
    ///
    /// # Errors
    /// As [`PrivateDir::open`]; a link is refused.
    pub fn sub(&self, name: &str, others: Others) -> Result<Self, VaultError> {
        let path = self.path.join(name);
        match rustix::fs::mkdirat(&self.fd, name, DIR_MODE) {
            Ok(()) => self.sync()?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(VaultError::io("make directory", path)(errno)),
        }
        self.open_dir(name, others)
    }

    fn checked(fd: OwnedFd, path: PathBuf, others: Others) -> Result<Self, VaultError> {
        let stat = rustix::fs::fstat(&fd).map_err(VaultError::io("examine", &path))?;
        check(&stat, &path, FileType::Directory, others)?;
        Ok(Self { fd, path })
    }

    /// Opens the directory `name` in this one, `None` if there is none.
    ///
    /// # Errors
    /// As [`PrivateDir::open`]; a link is refused.
    pub fn existing(&self, name: &str, others: Others) -> Result<Option<Self>, VaultError> {
        match self.open_dir(name, others) {
            Ok(dir) => Ok(Some(dir)),
            Err(VaultError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open_dir(&self, name: &str, others: Others) -> Result<Self, VaultError> {
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).map_err(|errno| not_a_dir(errno, &path))?;
        Self::checked(fd, path, others)
    }

    /// Its path, for messages and for libraries that take nothing else.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names in it.
    ///
    /// # Errors
    /// The system's.
    pub fn names(&self) -> Result<Vec<String>, VaultError> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(VaultError::io("list", &self.path))? {
            let entry = entry.map_err(VaultError::io("list", &self.path))?;
            match entry.file_name().to_string_lossy().into_owned() {
                name if name == "." || name == ".." => {}
                name => names.push(name),
            }
        }
        Ok(names)
    }

    /// The names in it in order, and what stands under each. What goes away meanwhile is left out.
    ///
    /// # Errors
    /// The system's.
    pub fn entries(&self) -> Result<Vec<(String, Kind)>, VaultError> {
        let mut names = self.names()?;
        names.sort();
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            let kind = match rustix::fs::statat(&self.fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                    FileType::RegularFile => Kind::File,
                    FileType::Directory => Kind::Dir,
                    _ => Kind::Other,
                },
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(VaultError::io("examine", self.path.join(name))(errno)),
            };
            entries.push((name, kind));
        }
        Ok(entries)
    }

    /// Moves what stands under `name` to the same name in `to`, durably, unless that is taken.
    ///
    /// # Errors
    /// The system's.
    pub fn move_to(&self, name: &str, to: &Self) -> Result<(), VaultError> {
        rustix::fs::renameat_with(&self.fd, name, &to.fd, name, RenameFlags::NOREPLACE)
            .map_err(VaultError::io("move", self.path.join(name)))?;
        to.sync()?;
        self.sync()
    }

    /// Removes everything in it.
    ///
    /// # Errors
    /// The system's.
    pub fn clear(&self) -> Result<(), VaultError> {
        for (name, kind) in self.entries()? {
            if kind == Kind::Dir {
                self.open_dir(&name, Others::MayRead)?.clear()?;
                self.remove_dir(&name)?;
            } else {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Checks the file `name` without opening it; `false` if there is none. For files of SQLite, whose locks a process
    /// loses when it closes any descriptor of the same file (fcntl(2), advisory record locking).
    ///
    /// # Errors
    /// [`VaultError::Exposed`], [`VaultError::Owner`], [`VaultError::Kind`], or the system's.
    pub fn check(&self, name: &str, others: Others) -> Result<bool, VaultError> {
        let path = self.path.join(name);
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => check(&stat, &path, FileType::RegularFile, others).map(|()| true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(VaultError::io("examine", path)(errno)),
        }
    }

    /// What the file `name` holds, `None` if there is none. Of a file longer than `max` the first `max + 1` bytes.
    ///
    /// # Errors
    /// As [`PrivateDir::check`].
    pub fn read(&self, name: &str, others: Others, max: usize) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let Some(file) = self.open_file(name, OFlags::RDONLY, others)? else { return Ok(None) };
        // As large as can be needed from the start: a buffer that grows leaves copies of keys behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(max + 2));
        file.take(max as u64 + 1).read_to_end(&mut bytes).map_err(|source| VaultError::Io {
            what: "read",
            path: self.path.join(name),
            source,
        })?;
        Ok(Some(bytes))
    }

    /// Makes the file `name` (0600) with `contents`, durably and as a whole: others see it complete or not at all.
    ///
    /// # Errors
    /// The system's.
    pub fn create(&self, name: &str, contents: &[u8]) -> Result<Made, VaultError> {
        let temporary = self.temporary(name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, &temporary, flags, FILE_MODE)
            .map_err(VaultError::io("make", self.path.join(&temporary)))?;
        let written = File::from(fd).write_all(contents);
        if let Err(source) = written {
            self.discard(&temporary);
            return Err(VaultError::Io { what: "write", path: self.path.join(name), source });
        }
        self.publish(&temporary, name)
    }

    /// Replaces what the file `name` holds, durably and as a whole; makes it (0600) if there is none.
    ///
    /// # Errors
    /// The system's.
    pub fn replace(&self, name: &str, contents: &[u8]) -> Result<(), VaultError> {
        let temporary = self.temporary(name)?;
        // Made durably under a name of its own first.
        self.create(&temporary, contents)?;
        crate::fault::point();
        let renamed = rustix::fs::renameat(&self.fd, &temporary, &self.fd, name);
        crate::fault::point();
        match renamed {
            Ok(()) => self.sync(),
            Err(errno) => {
                self.discard(&temporary);
                Err(VaultError::io("replace", self.path.join(name))(errno))
            }
        }
    }

    /// What tells whether the file `name` is another than it was; `None` if there is none. One system call.
    ///
    /// # Errors
    /// As [`PrivateDir::check`].
    pub fn stamp(&self, name: &str, others: Others) -> Result<Option<Stamp>, VaultError> {
        let path = || self.path.join(name);
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                check(&stat, &path(), FileType::RegularFile, others)?;
                let Stat { st_dev: dev, st_ino: ino, st_size: size, st_ctime: changed, .. } = stat;
                Ok(Some(Stamp { dev, ino, size, changed, changed_ns: stat.st_ctime_nsec }))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(VaultError::io("examine", path())(errno)),
        }
    }

    /// Waits for the directory's lock (flock(2)), of which there is one among all threads and processes. It hinders nobody
    /// who does not ask for it.
    ///
    /// # Errors
    /// The system's.
    pub fn lock(&self) -> Result<Held, VaultError> {
        // A description of its own: one that is shared would not keep threads apart.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, ".", flags, Mode::empty()).map_err(VaultError::io("open", &self.path))?;
        loop {
            match rustix::fs::flock(&fd, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Held(fd)),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(VaultError::io("lock", &self.path)(errno)),
            }
        }
    }

    /// Overwrites the file `name` with noise, durably, and removes it; whether there was one.
    ///
    /// # Errors
    /// As [`PrivateDir::check`].
    pub fn shred(&self, name: &str) -> Result<bool, VaultError> {
        let Some(mut file) = self.open_file(name, OFlags::RDWR, Others::Nothing)? else { return Ok(false) };
        let io = |source| VaultError::Io { what: "overwrite", path: self.path.join(name), source };
        let len = file.metadata().map_err(io)?.len();
        let mut noise = vec![0; usize::try_from(len).unwrap_or(0)];
        getrandom::fill(&mut noise).map_err(VaultError::Random)?;
        file.write_all(&noise).and_then(|()| file.sync_all()).map_err(io)?;
        self.remove(name)
    }

    /// Removes the file `name`, durably; whether there was one.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self, name: &str) -> Result<bool, VaultError> {
        crate::fault::point();
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => self.sync().map(|()| true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(VaultError::io("remove", self.path.join(name))(errno)),
        }
    }

    /// Removes the empty directory `name`.
    ///
    /// # Errors
    /// The system's.
    pub fn remove_dir(&self, name: &str) -> Result<(), VaultError> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR).map_err(VaultError::io("remove", self.path.join(name)))
    }

    /// A name for a file that is not yet `name`. What a killed process leaves under it is never used.
    ///
    /// # Errors
    /// [`VaultError::Random`].
    pub fn temporary(&self, name: &str) -> Result<String, VaultError> {
        let random = getrandom::u64().map_err(VaultError::Random)?;
        Ok(format!(".{name}.{random:016x}.new"))
    }

    /// Gives a finished file its name, durably, unless the name is taken; then the file is removed.
    ///
    /// # Errors
    /// The system's.
    pub fn publish(&self, temporary: &str, name: &str) -> Result<Made, VaultError> {
        let synced = rustix::fs::openat(&self.fd, temporary, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .and_then(rustix::fs::fsync);
        crate::fault::point();
        // Not link(2) and unlink(2): a kill between them would leave a second name, which outlives a deleted key.
        let named = synced
            .and_then(|()| rustix::fs::renameat_with(&self.fd, temporary, &self.fd, name, RenameFlags::NOREPLACE));
        match named {
            Ok(()) => self.sync().map(|()| Made::Now),
            Err(errno) => {
                self.discard(temporary);
                if errno == Errno::EXIST {
                    return Ok(Made::Before);
                }
                Err(VaultError::io("make", self.path.join(name))(errno))
            }
        }
    }

    /// Opens the file `name` for reading, `None` if there is none.
    ///
    /// # Errors
    /// As [`PrivateDir::check`].
    pub fn open_to_read(&self, name: &str, others: Others) -> Result<Option<File>, VaultError> {
        self.open_file(name, OFlags::RDONLY, others)
    }

    /// Opens the file `name` for reading and writing; makes an empty one (0600) if there is none.
    ///
    /// # Errors
    /// As [`PrivateDir::check`].
    pub fn open_or_create(&self, name: &str, others: Others) -> Result<File, VaultError> {
        let flags = OFlags::RDWR | OFlags::CREATE;
        self.open_file(name, flags, others)?.ok_or_else(|| VaultError::io("make", self.path.join(name))(Errno::NOENT))
    }

    /// Opens the file `name` with `flags`, `None` if there is none. A link is refused, a FIFO is not waited for.
    fn open_file(&self, name: &str, flags: OFlags, others: Others) -> Result<Option<File>, VaultError> {
        let path = self.path.join(name);
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&self.fd, name, flags, FILE_MODE) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => return Err(VaultError::Kind { path, wanted: A_FILE }),
            Err(errno) => return Err(VaultError::io("open", path)(errno)),
        };
        let stat = rustix::fs::fstat(&fd).map_err(VaultError::io("examine", &path))?;
        check(&stat, &path, FileType::RegularFile, others)?;
        Ok(Some(File::from(fd)))
    }

    /// Removes a file that never got its name. An error leaves a file that nobody will look at.
    pub fn discard(&self, temporary: &str) {
        let _ = rustix::fs::unlinkat(&self.fd, temporary, AtFlags::empty());
    }

    /// Has its names reach the disk.
    ///
    /// # Errors
    /// The system's.
    pub fn sync(&self) -> Result<(), VaultError> {
        rustix::fs::fsync(&self.fd).map_err(VaultError::io("sync", &self.path))
    }
}

impl From<PrivateDir> for OwnedFd {
    /// The handle, for a crate that works beneath one.
    fn from(dir: PrivateDir) -> Self {
        dir.fd
    }
}

const A_FILE: &str = "a regular file";
const A_DIR: &str = "a directory";

/// Makes a directory and what leads there, each durably.
fn make(path: &Path) -> Result<(), VaultError> {
    match rustix::fs::mkdirat(CWD, path, DIR_MODE) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(errno) => {
            let parent = path.parent().filter(|parent| errno == Errno::NOENT && !parent.as_os_str().is_empty());
            make(parent.ok_or_else(|| VaultError::io("make directory", path)(errno))?)?;
            match rustix::fs::mkdirat(CWD, path, DIR_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(VaultError::io("make directory", path)(errno)),
            }
        }
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    rustix::fs::open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .and_then(rustix::fs::fsync)
        .map_err(VaultError::io("sync", parent))
}

fn not_a_dir(errno: Errno, path: &Path) -> VaultError {
    match errno {
        Errno::NOTDIR | Errno::LOOP => VaultError::Kind { path: path.to_owned(), wanted: A_DIR },
        errno => VaultError::io("open", path)(errno),
    }
}

fn check(stat: &Stat, path: &Path, wanted: FileType, others: Others) -> Result<(), VaultError> {
    let is_dir = wanted == FileType::Directory;
    if FileType::from_raw_mode(stat.st_mode) != wanted {
        return Err(VaultError::Kind { path: path.to_owned(), wanted: if is_dir { A_DIR } else { A_FILE } });
    }
    let me = rustix::process::geteuid().as_raw();
    if stat.st_uid != me {
        return Err(VaultError::Owner { path: path.to_owned(), owner: stat.st_uid, me });
    }
    let mode = stat.st_mode & 0o7777;
    let forbidden = match others {
        Others::MayRead => 0o022,
        Others::Nothing => 0o077,
    };
    if mode & forbidden != 0 {
        let wanted = if is_dir { DIR_MODE } else { FILE_MODE }.bits();
        return Err(VaultError::Exposed { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}
