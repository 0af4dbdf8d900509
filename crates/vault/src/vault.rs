//! The key files.

use std::path::Path;

use autoshare_core::TenantName;
use zeroize::Zeroizing;

use crate::key::{KEY, Key, NONCE, TAG, encode};
use crate::private::{Others, PrivateDir};
use crate::{TenantKey, TokenMarks, VaultError};

const MACHINE: &str = "machine.key";
/// A key file is this, a version byte, and the key: plain for the machine's, wrapped for a tenant's.
const MAGIC: &[u8; 7] = b"asharek";
const VERSION: u8 = 1;
const HEADER: usize = MAGIC.len() + 1;
const WRAPPED: usize = NONCE + KEY + TAG;

/// The keys of one data directory.
#[derive(Debug)]
pub struct Vault {
    tenants: PrivateDir,
    wrapping: Key,
    tokens: Key,
}

impl Vault {
    /// Opens the keys below `data_dir`; at first start makes the directories (0700) and a machine key (0600). Several
    /// processes may start at once: all get the same key.
    ///
    /// # Errors
    /// [`VaultError::Exposed`], [`VaultError::Owner`] or [`VaultError::Kind`] for a directory or key that others may
    /// touch, [`VaultError::Format`] or [`VaultError::Newer`] for something else in its place,
    /// [`VaultError::MachineKeyMissing`] if only tenant keys are there.
    pub fn open(data_dir: &Path) -> Result<Self, VaultError> {
        let keys = PrivateDir::open(data_dir, Others::MayRead)?.sub("keys", Others::Nothing)?;
        let tenants = keys.sub("tenants", Others::Nothing)?;
        // In this order: a machine key is there before any tenant key is.
        let orphans = tenants.names()?.iter().any(|name| name.ends_with(".key") && !name.starts_with('.'));
        let machine = match read(&keys, MACHINE, KEY)? {
            Some(bytes) => bytes,
            None if orphans => return Err(VaultError::MachineKeyMissing { path: keys.path().join(MACHINE) }),
            None => made(&keys, MACHINE, Key::random()?.bytes())?,
        };
        let machine = Key::from_slice(&machine)
            .ok_or_else(|| VaultError::Format { path: keys.path().join(MACHINE), why: "wrong length" })?;
        if machine.is_weak() {
            let why = "its bytes repeat, so that it can be guessed";
            return Err(VaultError::Format { path: keys.path().join(MACHINE), why });
        }
        Ok(Self {
            tenants,
            wrapping: machine.derive(b"autoshare/wrapping-key/1")?,
            tokens: machine.derive(b"autoshare/token-key/1")?,
        })
    }

    /// What makes and checks the marks of tokens on this machine.
    #[must_use]
    pub fn token_marks(&self) -> TokenMarks {
        TokenMarks::new(&self.tokens)
    }

    /// Whether `tenant` has a key.
    ///
    /// # Errors
    /// As [`Vault::tenant`].
    pub fn holds(&self, tenant: &TenantName) -> Result<bool, VaultError> {
        Ok(read(&self.tenants, &file_name(tenant), WRAPPED)?.is_some())
    }

    /// The key of `tenant`, made at its first use. Several processes may ask at once: all get the same key.
    ///
    /// # Errors
    /// [`VaultError::Unwrap`] for a key of another tenant or machine, and those of [`Vault::open`].
    pub fn tenant(&self, tenant: &TenantName) -> Result<TenantKey, VaultError> {
        let name = file_name(tenant);
        let associated = encode(&[b"autoshare/wrapped-key/1", tenant.as_str().as_bytes()]);
        let wrapped = match read(&self.tenants, &name, WRAPPED)? {
            Some(wrapped) => wrapped,
            None => {
                let mut wrapped = Vec::with_capacity(WRAPPED);
                self.wrapping.encrypt(&associated, Key::random()?.bytes(), &mut wrapped)?;
                made(&self.tenants, &name, &wrapped)?
            }
        };
        self.wrapping
            .decrypt(&associated, &wrapped)
            .and_then(|key| Key::from_slice(&key))
            .map(|key| TenantKey::new(tenant.clone(), key))
            .ok_or_else(|| VaultError::Unwrap { path: self.tenants.path().join(&name) })
    }
}

fn file_name(tenant: &TenantName) -> String {
    format!("{tenant}.key")
}

/// Writes a key file unless there is one by now, and returns what stands there: the first writer wins.
fn made(dir: &PrivateDir, name: &str, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let mut file = Zeroizing::new(Vec::with_capacity(HEADER + body.len()));
    file.extend_from_slice(MAGIC);
    file.push(VERSION);
    file.extend_from_slice(body);
    dir.create(name, &file)?;
    read(dir, name, body.len())?
        .ok_or_else(|| VaultError::Format { path: dir.path().join(name), why: "gone right after it was made" })
}

/// The body of a key file of `len` bytes, if there is one.
fn read(dir: &PrivateDir, name: &str, len: usize) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    let Some(file) = dir.read(name, Others::Nothing, HEADER + len)? else { return Ok(None) };
    let wrong = |why| VaultError::Format { path: dir.path().join(name), why };
    let body = file.strip_prefix(MAGIC).ok_or_else(|| wrong("it does not begin like one"))?;
    match body.split_first() {
        Some((&VERSION, key)) if key.len() == len => Ok(Some(Zeroizing::new(key.to_vec()))),
        Some((&found, _)) if found > VERSION => {
            Err(VaultError::Newer { path: dir.path().join(name), found, known: VERSION })
        }
        _ => Err(wrong("wrong length")),
    }
}
