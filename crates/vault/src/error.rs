//! What can go wrong with keys and private files.

use std::io;
use std::path::PathBuf;

use autoshare_core::TenantName;

/// Why a key, a private file or a sealed text cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The system refused.
    #[error("cannot {what} {}: {source}: {}", path.display(), advice(source))]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Others may touch it.
    #[error(
        "{} has mode {mode:04o}, so others on this machine may touch it: if nobody else has, run `chmod {wanted:o} {}`",
        path.display(), path.display()
    )]
    Exposed {
        /// What.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The bits it should have.
        wanted: u32,
    },
    /// It belongs to somebody else.
    #[error(
        "{} belongs to uid {owner} and this process runs as uid {me}: run as its owner, or name another data directory",
        path.display()
    )]
    Owner {
        /// What.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who asks.
        me: u32,
    },
    /// It is a link, a device, or a file where a directory should be.
    #[error("{} is not {wanted}: move it away or name another data directory", path.display())]
    Kind {
        /// What.
        path: PathBuf,
        /// What it should be.
        wanted: &'static str,
    },
    /// A key file holds something else.
    #[error("{} is not a key file ({why}): restore it from a backup; without it nothing it sealed can be read", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// A key file of a later version.
    #[error("{} has format {found} and this version knows {known}: use the newer autoshare", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u8,
        /// The newest known.
        known: u8,
    },
    /// Tenant keys without the key that wraps them.
    #[error(
        "{} is missing while tenant keys are there: restore it from a backup; a new one could not open them",
        path.display()
    )]
    MachineKeyMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A tenant's key does not unwrap.
    #[error(
        "{} does not unwrap with this machine's key: it was damaged, or belongs to another tenant or machine; \
         restore the whole keys directory from one backup",
        path.display()
    )]
    Unwrap {
        /// The file.
        path: PathBuf,
    },
    /// A tenant's key is not there any more.
    #[error(
        "{} is gone: the key was destroyed, and what it sealed cannot be read again; if it was not meant to be, \
         restore it from a bundle (autoshare key restore)", path.display()
    )]
    Gone {
        /// Where it was.
        path: PathBuf,
    },
    /// A tenant that has no key.
    #[error("tenant {tenant} has no key: check the name")]
    NoKey {
        /// Which.
        tenant: TenantName,
    },
    /// A tenant's key was renewed too often.
    #[error("the key of tenant {tenant} has {max} generations, which is the most: move it to a new tenant")]
    Generations {
        /// Whose.
        tenant: TenantName,
        /// How many there may be.
        max: u32,
    },
    /// A bundle of keys that cannot be made or restored.
    #[error("this bundle of keys cannot be used: {why}")]
    Bundle {
        /// What is wrong.
        why: &'static str,
    },
    /// A bundle of keys that is not restored any more.
    #[error("this bundle of keys expired on {day}, and what it holds is not restored any more: use a newer one")]
    Expired {
        /// When.
        day: String,
    },
    /// Not a recovery key.
    #[error("this is no recovery key: it begins with `ark_`, has 65 characters, and the last 8 show a mistyped one")]
    Recovery,
    /// A sealed text does not authenticate in its place.
    #[error("the sealed text does not open here: it was changed, moved, or sealed with another key; restore a backup")]
    Open,
    /// A sealed text of a later version.
    #[error("the sealed text has format {found} and this version knows {known}: use the newer autoshare")]
    NewerSeal {
        /// Its format.
        found: u8,
        /// The newest known.
        known: u8,
    },
    /// A credential's file does not authenticate under its name.
    #[error(
        "{} does not open: it was damaged, or belongs to another name, tenant or machine; set the secret again \
         (autoshare secret set), or remove it",
        path.display()
    )]
    Secret {
        /// The file.
        path: PathBuf,
    },
    /// Too much for one sealed text.
    #[error("{len} bytes are too many to seal at once ({max} are allowed): split them")]
    TooLong {
        /// How many.
        len: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A tenant's key was asked to work for another.
    #[error("the key of tenant {key} was asked to work for tenant {asked}: report this, it is a fault of autoshare")]
    Tenant {
        /// Whose key.
        key: TenantName,
        /// For whom.
        asked: TenantName,
    },
    /// The system has no randomness.
    #[error("the system gives no random bytes ({0}): check getrandom(2) and /dev/urandom")]
    Random(getrandom::Error),
}

impl VaultError {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(rustix::io::Errno) -> Self {
        let path = path.into();
        move |errno| Self::Io { what, path, source: errno.into() }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room there",
        io::ErrorKind::ReadOnlyFilesystem => "make the disk writable, or name another data directory",
        io::ErrorKind::PermissionDenied => "check who owns it and what leads there, or name another data directory",
        io::ErrorKind::NotADirectory => "a file stands where a directory should be; name another data directory",
        _ => "check the disk, or name another data directory",
    }
}
