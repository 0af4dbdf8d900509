//! Which brains are awake, on disk: an empty file for each, so that a host that is started again knows whom to wake without
//! opening what 10,000 tenants have.
//!
//! The files are not synced. A kill loses none; a power cut may, so the index names the boot in which it was written, and
//! after another one it is in doubt, and made anew from the journals.

use std::path::Path;

use autoshare_core::{BrainId, TenantName};
use autoshare_vault::VaultError;
use autoshare_vault::private::{Others, PrivateDir};

const FOLDER: &str = "awake";
const BOOT: &str = ".boot";
/// The kernel's id of this boot (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The index of the brains that are awake.
#[derive(Debug)]
pub struct AwakeIndex {
    dir: PrivateDir,
    boot: String,
}

impl AwakeIndex {
    /// The index below `data_dir`.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn open(data_dir: &Path) -> Result<Self, VaultError> {
        let dir = PrivateDir::open(data_dir, Others::MayRead)?.sub(FOLDER, Others::Nothing)?;
        // Where there is no such file, each start is one after a power cut.
        let boot = rustix::fs::open(BOOT_ID, rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())
            .map(|file| {
                let mut text = [0u8; 64];
                let read = rustix::io::read(&file, &mut text).unwrap_or(0);
                String::from_utf8_lossy(text.get(..read).unwrap_or_default()).trim().to_owned()
            })
            .unwrap_or_default();
        Ok(Self { dir, boot })
    }

    /// Whether it may lack a brain.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn is_in_doubt(&self) -> Result<bool, VaultError> {
        let written = self.dir.read(BOOT, Others::Nothing, 64)?;
        Ok(self.boot.is_empty() || written.is_none_or(|boot| *boot != *self.boot.as_bytes()))
    }

    /// Says that it lacks none.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn vouch(&self) -> Result<(), VaultError> {
        self.dir.replace(BOOT, self.boot.as_bytes())
    }

    /// The brains that were awake.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn all(&self) -> Result<Vec<(TenantName, BrainId)>, VaultError> {
        let brain = |name: &String| {
            let (tenant, brain) = name.split_once('.')?;
            Some((TenantName::parse(tenant).ok()?, BrainId::parse(brain).ok()?))
        };
        Ok(self.dir.names()?.iter().filter_map(brain).collect())
    }

    /// Enters a brain.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn enter(&self, tenant: &TenantName, brain: &BrainId) -> Result<(), VaultError> {
        self.dir.open_or_create(&name(tenant, brain), Others::Nothing).map(|_| ())
    }

    /// Takes a brain out.
    pub fn leave(&self, tenant: &TenantName, brain: &BrainId) {
        self.dir.discard(&name(tenant, brain));
    }
}

fn name(tenant: &TenantName, brain: &BrainId) -> String {
    format!("{tenant}.{brain}")
}
