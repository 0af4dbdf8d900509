//! Why an operation beneath a handle did not happen.

use autoshare_core::outcome::{Ending, Refusal};
use rustix::io::Errno;

/// Why an operation did not happen. The text says what is wrong and what to do, for a person and a model alike.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message of each variant says what it is; the fields are named after their content")]
pub enum WorkspaceError {
    #[error("{path:?} is no path: {why}")]
    BadPath { path: String, why: &'static str },
    #[error("{path:?} leads out of the workspace: the kernel refuses it ({errno}). Name a path that stays below it")]
    Outside { path: String, errno: &'static str },
    #[error("{path:?} lies outside the workspace, and nothing there was opened. Name a path below the workspace")]
    OutsideExists { path: String },
    #[error(
        "{path:?} lies outside the workspace; asked all the same, the kernel answers {errno}. Name a path below the workspace"
    )]
    OutsideRefused { path: String, errno: &'static str },
    #[error(
        "{path:?} passes through a symbolic link, which is not followed here: the kernel refuses it ({errno}). Name the real path"
    )]
    Link { path: String, errno: &'static str },
    #[error("{path:?} is {kind}; only regular files and directories are opened")]
    Special { path: String, kind: &'static str },
    #[error(
        "{path:?} has {names} names (hard links), of which {found} are inside the workspace, so it is also a file outside. Copy it to have one of its own"
    )]
    HardLink { path: String, names: u64, found: u64 },
    #[error("{path:?} is a file that the machine runs or trusts, and is not written here. A person may change it")]
    Protected { path: String },
    #[error("{path:?} lies in a root that may be read only. Write below the workspace")]
    ReadOnlyRoot { path: String },
    #[error("the kernel denies {path:?} ({errno}). A person may change its permissions")]
    Denied { path: String, errno: &'static str },
    #[error("{path:?} would be {len} bytes; a file of {max} is allowed. Split it")]
    FileTooLarge { path: String, len: u64, max: u64 },
    #[error("{path:?} is {len} bytes; files of up to {max} are read. Search it, or have it split")]
    TooLargeToRead { path: String, len: u64, max: u64 },
    #[error("the workspace would hold {would} bytes; {max} are allowed. Remove something, or have the quota raised")]
    TooManyBytes { would: u64, max: u64 },
    #[error("the workspace would hold {would} files; {max} are allowed. Remove some, or have the quota raised")]
    TooManyFiles { would: u64, max: u64 },
    #[error("{path:?} is {depth} levels deep; {max} are allowed. Use a shorter path")]
    TooDeep { path: String, depth: usize, max: usize },
    #[error("there is no space left for {path:?} ({errno}); it is as it was before. Free some space")]
    DiskFull { path: String, errno: &'static str },
    #[error("there is no {path:?}")]
    NotFound { path: String },
    #[error("{path:?} exists already. Choose another name, or replace it")]
    Exists { path: String },
    #[error("{path:?} is a directory. Name a file")]
    IsDirectory { path: String },
    #[error("{path:?} is not a directory, or leads through something that is none")]
    NotADirectory { path: String },
    #[error("{path:?} is marked read-only. A person may change its permissions")]
    ReadOnlyFile { path: String },
    #[error("{path:?} changed since it was planned; nothing was written. Read it again")]
    Changed { path: String },
    #[error("{path:?} keeps changing while it is opened. Try again when nobody works on it")]
    Busy { path: String },
    #[error("{pattern:?} is no pattern that can be used: {why}")]
    BadPattern { pattern: String, why: String },
    #[error("{path:?}: the kernel answers {errno}. Try again; if it stays, the disk or its file system needs a look")]
    Io { path: String, errno: &'static str },
}

impl WorkspaceError {
    /// How an action that met this ends.
    #[must_use]
    pub const fn ending(&self) -> Ending {
        use WorkspaceError as E;
        match self {
            E::BadPath { .. }
            | E::Outside { .. }
            | E::OutsideExists { .. }
            | E::OutsideRefused { .. }
            | E::Link { .. }
            | E::Special { .. }
            | E::HardLink { .. }
            | E::Protected { .. }
            | E::ReadOnlyRoot { .. }
            | E::Denied { .. } => Ending::Refused,
            E::FileTooLarge { .. }
            | E::TooLargeToRead { .. }
            | E::TooManyBytes { .. }
            | E::TooManyFiles { .. }
            | E::TooDeep { .. }
            | E::DiskFull { .. } => Ending::OverQuota,
            E::NotFound { .. }
            | E::Exists { .. }
            | E::IsDirectory { .. }
            | E::NotADirectory { .. }
            | E::ReadOnlyFile { .. }
            | E::Changed { .. }
            | E::Busy { .. }
            | E::BadPattern { .. }
            | E::Io { .. } => Ending::Failed,
        }
    }

    /// Which layer answered: `kernel` when the kernel refused, `workspace` when this crate did, `quota`, or `tool` for
    /// an ordinary failure.
    #[must_use]
    pub const fn layer(&self) -> &'static str {
        use WorkspaceError as E;
        match self {
            E::Outside { .. }
            | E::OutsideRefused { .. }
            | E::Link { .. }
            | E::Denied { .. }
            | E::DiskFull { .. }
            | E::Io { .. } => "kernel",
            _ => match self.ending() {
                Ending::Refused => "workspace",
                Ending::OverQuota => "quota",
                _ => "tool",
            },
        }
    }

    /// The same as core says it.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        Refusal { ending: self.ending(), layer: self.layer().to_owned(), words: self.to_string() }
    }

    /// What the kernel's answer to an operation on `path` beneath the handle means.
    pub(crate) fn from_errno(path: &[u8], errno: Errno) -> Self {
        let path = crate::walk::shown(path);
        let name = errno_name(errno);
        match errno {
            Errno::NOENT => Self::NotFound { path },
            Errno::XDEV => Self::Outside { path, errno: name },
            Errno::LOOP => Self::Link { path, errno: name },
            Errno::NOTDIR => Self::NotADirectory { path },
            Errno::ISDIR => Self::IsDirectory { path },
            Errno::EXIST => Self::Exists { path },
            Errno::ACCESS | Errno::PERM | Errno::ROFS => Self::Denied { path, errno: name },
            Errno::NAMETOOLONG => Self::BadPath { path, why: "it, or a name in it, is too long" },
            Errno::NOSPC | Errno::DQUOT | Errno::FBIG => Self::DiskFull { path, errno: name },
            Errno::AGAIN => Self::Busy { path },
            _ => Self::Io { path, errno: name },
        }
    }
}

/// The name of the errors that file operations meet (`errno(3)`).
pub(crate) fn errno_name(errno: Errno) -> &'static str {
    const NAMES: &[(Errno, &str)] = &[
        (Errno::NOENT, "ENOENT"),
        (Errno::XDEV, "EXDEV"),
        (Errno::LOOP, "ELOOP"),
        (Errno::NOTDIR, "ENOTDIR"),
        (Errno::ISDIR, "EISDIR"),
        (Errno::EXIST, "EEXIST"),
        (Errno::ACCESS, "EACCES"),
        (Errno::PERM, "EPERM"),
        (Errno::ROFS, "EROFS"),
        (Errno::NAMETOOLONG, "ENAMETOOLONG"),
        (Errno::NOSPC, "ENOSPC"),
        (Errno::DQUOT, "EDQUOT"),
        (Errno::FBIG, "EFBIG"),
        (Errno::AGAIN, "EAGAIN"),
        (Errno::INVAL, "EINVAL"),
        (Errno::NXIO, "ENXIO"),
        (Errno::NODEV, "ENODEV"),
        (Errno::MFILE, "EMFILE"),
        (Errno::NFILE, "ENFILE"),
        (Errno::NOMEM, "ENOMEM"),
        (Errno::IO, "EIO"),
        (Errno::STALE, "ESTALE"),
        (Errno::NOTEMPTY, "ENOTEMPTY"),
        (Errno::NOSYS, "ENOSYS: openat2 needs Linux 5.6 or later"),
    ];
    NAMES.iter().find(|(known, _)| *known == errno).map_or("another error", |(_, name)| name)
}
