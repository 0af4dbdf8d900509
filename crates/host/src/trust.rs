//! What the programs of one cell trust, where TLS is ended for them on their way out: a folder that their cell alone is shown.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use autoshare_core::event::{Root, RootMode};
use autoshare_vault::VaultError;
use autoshare_vault::private::{Others, PrivateDir};
use rustix::fs::{FlockOperation, flock};

use crate::HostError;

/// By which programs find what to trust: OpenSSL and Go, Python's requests, Node, curl, git, cargo, pip, AWS, npm, Deno.
const VARIABLES: [&str; 10] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "npm_config_cafile",
    "DENO_CERT",
];
/// The file of what a cell trusts.
const ROOTS: &str = "roots.pem";

/// A folder with what the programs of one cell trust, which goes when it is dropped. What a killed process left goes when
/// the next one is made: a folder in use is locked (flock(2)).
#[derive(Debug)]
pub struct Trust {
    path: String,
    name: String,
    all: PrivateDir,
    _lock: OwnedFd,
}

impl Trust {
    /// Keeps these certificates, as PEM, in a folder of their own below `data_dir`.
    ///
    /// # Errors
    /// The system's; [`HostError::Randomness`].
    pub fn put(data_dir: &Path, pem: &str) -> Result<Self, HostError> {
        let mut bits = [0u8; 8];
        getrandom::fill(&mut bits).map_err(|error| HostError::Randomness(error.to_string()))?;
        let name = format!("{}-{:x}", std::process::id(), u64::from_ne_bytes(bits));
        let put = || -> Result<Self, VaultError> {
            let all = PrivateDir::open(data_dir, Others::MayRead)?.sub("trust", Others::Nothing)?;
            // Until the new folder is locked, nobody else looks for what is left over.
            let turn: OwnedFd = PrivateDir::open(all.path(), Others::Nothing)?.into();
            let _ = flock(&turn, FlockOperation::LockExclusive);
            for left in all.names()? {
                let dir = all.sub(&left, Others::Nothing)?;
                let lock: OwnedFd = all.sub(&left, Others::Nothing)?.into();
                if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
                    dir.remove(ROOTS)?;
                    all.remove_dir(&left)?;
                }
            }
            let dir = all.sub(&name, Others::Nothing)?;
            dir.create(ROOTS, pem.as_bytes())?;
            let lock: OwnedFd = dir.into();
            let _ = flock(&lock, FlockOperation::LockShared);
            // Cells are told of folders by where they really lie.
            let path = all.path().join(&name);
            let path: PathBuf = path.canonicalize().unwrap_or(path);
            Ok(Self { path: path.display().to_string(), name, all, _lock: lock })
        };
        put().map_err(|error| HostError::Cell(error.to_string()))
    }

    /// The folder, for the cell to be shown.
    #[must_use]
    pub fn root(&self) -> Root {
        Root::new(self.path.clone(), RootMode::Read)
    }

    /// By which the cell's programs find what to trust.
    pub fn environment(&self) -> impl Iterator<Item = (String, String)> {
        let file = format!("{}/{ROOTS}", self.path);
        VARIABLES.into_iter().map(move |name| (name.to_owned(), file.clone()))
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next.
        if let Ok(dir) = self.all.sub(&self.name, Others::Nothing) {
            let _ = dir.remove(ROOTS);
        }
        let _ = self.all.remove_dir(&self.name);
    }
}
