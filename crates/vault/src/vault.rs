//! The keys of a data directory, as their users see them.

use std::path::Path;
use std::sync::Arc;

use autoshare_core::TenantName;

use crate::files::{Files, file_name};
use crate::private::{Others, PrivateDir};
use crate::sign::SigningKey;
use crate::{TenantKey, TokenMarks, VaultError};

/// The keys of one data directory.
#[derive(Debug)]
pub struct Vault {
    pub(crate) files: Arc<Files>,
}

impl Vault {
    /// Opens the keys below `data_dir`; at first start makes the directories (0700) and the machine's keys (0600). Several
    /// processes may start at once: all get the same keys.
    ///
    /// # Errors
    /// [`VaultError::Exposed`], [`VaultError::Owner`] or [`VaultError::Kind`] for a directory or key that others may
    /// touch, [`VaultError::Format`] or [`VaultError::Newer`] for something else in its place,
    /// [`VaultError::MachineKeyMissing`] if only tenant keys are there.
    pub fn open(data_dir: &Path) -> Result<Self, VaultError> {
        let keys = PrivateDir::open(data_dir, Others::MayRead)?.sub("keys", Others::Nothing)?;
        Ok(Self { files: Arc::new(Files::open(keys)?) })
    }

    /// What makes and checks the marks of tokens on this machine.
    #[must_use]
    pub fn token_marks(&self) -> TokenMarks {
        TokenMarks::new(&self.files.machine().tokens)
    }

    /// What signs the heads of audit trails on this machine.
    ///
    /// # Errors
    /// None that can happen: any 32 bytes are a seed of Ed25519.
    pub fn signing_key(&self) -> Result<SigningKey, VaultError> {
        SigningKey::new(&self.files.machine().signing)
    }

    /// Whether `tenant` has a key.
    ///
    /// # Errors
    /// As [`Vault::tenant`].
    pub fn holds(&self, tenant: &TenantName) -> Result<bool, VaultError> {
        self.files.tenants.check(&file_name(tenant), Others::Nothing)
    }

    /// The tenants that have a key, by name.
    ///
    /// # Errors
    /// The system's.
    pub fn tenants(&self) -> Result<Vec<TenantName>, VaultError> {
        self.files.names()
    }

    /// The key of `tenant`, made at its first use. Several processes may ask at once: all get the same key.
    ///
    /// # Errors
    /// [`VaultError::Unwrap`] for a key of another tenant or machine, and those of [`Vault::open`].
    pub fn tenant(&self, tenant: &TenantName) -> Result<TenantKey, VaultError> {
        if let Some(key) = TenantKey::existing(&self.files, tenant)? {
            return Ok(key);
        }
        self.files.make(tenant)?;
        TenantKey::existing(&self.files, tenant)?
            .ok_or_else(|| VaultError::Gone { path: self.files.tenants.path().join(file_name(tenant)) })
    }
}
