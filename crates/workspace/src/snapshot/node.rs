//! What a name held when it was looked at.

use autoshare_core::Digest;
use rustix::fs::{FileType, Stat};
use serde::{Deserialize, Serialize};

use super::path::LinkTarget;

/// The set-user-id and set-group-id bits, which are recorded and never given back.
pub(crate) const SET_ID: u32 = 0o6000;

/// A saved copy on a [`Shelf`](super::Shelf), by its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobId(pub(crate) u64);

/// Whose something is: user and group by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Instant(pub(crate) i64, pub(crate) u32);

/// By what it can be told that a file is still the one that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) size: u64,
    pub(crate) mtime: Instant,
    pub(crate) ctime: Instant,
}

impl Stamp {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            dev: stat.st_dev,
            ino: stat.st_ino,
            size: len(stat),
            mtime: instant(stat.st_mtime, stat.st_mtime_nsec),
            ctime: instant(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

fn instant(seconds: i64, nanoseconds: u64) -> Instant {
    Instant(seconds, u32::try_from(nanoseconds).unwrap_or(0))
}

/// The length of a file in bytes.
pub(crate) fn len(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// Why the content of a file was not kept, or what a folder holds not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unkept {
    /// It has names (hard links) outside.
    HardLink,
    /// The kernel denies it to the user that this program runs as.
    Denied,
    /// It kept changing while it was copied.
    Busy,
    /// The shelf holds as many bytes as it may.
    ShelfFull,
    /// Its path is longer than the kernel takes (4095 bytes), or deeper than is looked.
    TooDeep,
}

impl Unkept {
    /// Why, in words that follow a path and a colon.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::HardLink => "it is also a file outside (hard link), which is neither kept nor put back",
            Self::Denied => "it could not be read; change its permissions",
            Self::Busy => "it kept changing while it was looked at",
            Self::ShelfFull => {
                "its content was not kept: undo holds as many bytes as it may (undo_bytes below [limits] raises it for \
                 later steps)"
            }
            Self::TooDeep => "it lies too deep to be looked into",
        }
    }
}

/// A file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A copy is on the shelf.
    Kept {
        /// Which.
        blob: BlobId,
        /// Its digest ([`super::copy`] says of what), once it was needed.
        digest: Option<Digest>,
    },
    /// There is none.
    Not(Unkept),
}

/// What a name held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Node {
    /// A folder.
    Folder {
        /// Permission bits.
        mode: u32,
        /// Whose it was.
        owner: Owner,
        /// Why what it holds was not seen, if so.
        shut: Option<Unkept>,
    },
    /// A regular file.
    File {
        /// Permission bits.
        mode: u32,
        /// Whose it was.
        owner: Owner,
        /// Bytes.
        len: u64,
        /// When it was last written.
        mtime: Instant,
        /// What it held.
        content: Content,
    },
    /// A symbolic link.
    Link {
        /// Whose it was.
        owner: Owner,
        /// What it holds, never followed.
        target: LinkTarget,
    },
    /// A FIFO, a socket or a device: never opened, never made again.
    Special {
        /// Which of them.
        what: Special,
    },
    /// Something in a folder that could not be looked into any more.
    Unseen {
        /// Why.
        why: Unkept,
    },
}

/// What is neither file, folder nor link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Special {
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
    /// A device.
    Device,
}

impl Node {
    /// What it is, in a word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "folder",
            Self::File { .. } => "file",
            Self::Link { .. } => "link",
            Self::Special { what: Special::Fifo } => "FIFO",
            Self::Special { what: Special::Socket } => "socket",
            Self::Special { what: Special::Device } => "device",
            Self::Unseen { .. } => "unseen",
        }
    }

    /// Its permission bits, of a file or folder.
    #[must_use]
    pub const fn mode(&self) -> Option<u32> {
        match self {
            Self::Folder { mode, .. } | Self::File { mode, .. } => Some(*mode),
            _ => None,
        }
    }

    /// The saved copy and its digest, of a file that was kept.
    #[must_use]
    pub const fn kept(&self) -> Option<(BlobId, Option<Digest>)> {
        match self {
            Self::File { content: Content::Kept { blob, digest }, .. } => Some((*blob, *digest)),
            _ => None,
        }
    }

    /// Whether both are of one kind.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Special { what }, Self::Special { what: other }) => what == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// What stat(2) says of something that is not a link, before its content is seen to.
    pub(crate) fn of(stat: &Stat) -> Self {
        let (mode, owner) = (stat.st_mode & 0o7777, Owner { uid: stat.st_uid, gid: stat.st_gid });
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Self::Folder { mode, owner, shut: None },
            FileType::RegularFile => {
                let content = Content::Not(Unkept::Busy);
                Self::File { mode, owner, len: len(stat), mtime: Stamp::of(stat).mtime, content }
            }
            FileType::Fifo => Self::Special { what: Special::Fifo },
            FileType::Socket => Self::Special { what: Special::Socket },
            FileType::Symlink | FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => {
                Self::Special { what: Special::Device }
            }
        }
    }
}
