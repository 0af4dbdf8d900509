//! New keys in place of old ones, and the end of a key. All of it while other processes serve.
//!
//! Each change is one rename, and what stands between two changes opens everything: a process that is killed anywhere
//! leaves a state that works, and the same command goes on from there. Who changes keys holds a lock.

use autoshare_core::TenantName;

use crate::files::{MACHINE, MAX_GENERATIONS, file_name};
use crate::key::Key;
use crate::private::PrivateDir;
use crate::{Vault, VaultError};

impl Vault {
    /// Gives `tenant` a new data key and returns its generation. What is sealed from now on is sealed under it; what was
    /// sealed before still opens. A [`TenantKey`](crate::TenantKey) that is in use takes it up within
    /// [`REFRESH`](crate::REFRESH).
    ///
    /// # Errors
    /// [`VaultError::NoKey`] if it has none, [`VaultError::Generations`] if it had too many, and the system's.
    pub fn rotate_tenant(&self, tenant: &TenantName) -> Result<u32, VaultError> {
        let _held = self.files.lock()?;
        let name = file_name(tenant);
        remove_unfinished(&self.files.tenants, &name)?;
        self.files.reload()?;
        let (mut ring, _) = self.files.ring(tenant)?.ok_or_else(|| VaultError::NoKey { tenant: tenant.clone() })?;
        if ring.generation() >= MAX_GENERATIONS {
            return Err(VaultError::Generations { tenant: tenant.clone(), max: MAX_GENERATIONS });
        }
        ring.push(Key::random()?);
        let wrapped = self.files.machine().wrap(tenant, &ring)?;
        self.files.tenants.replace(&name, &wrapped)?;
        Ok(ring.generation())
    }

    /// Wraps all tenants' keys anew under a new machine key, and returns how many. The keys that make marks of tokens and
    /// that sign stay: tokens and signatures remain good.
    ///
    /// # Errors
    /// [`VaultError::Unwrap`] for a key that does not open, and the system's. After any error the machine keeps both keys,
    /// everything opens, and another call goes on.
    pub fn rotate_machine(&self) -> Result<usize, VaultError> {
        let _held = self.files.lock()?;
        remove_unfinished(&self.files.dir, MACHINE)?;
        self.files.reload()?;
        // Two keys: an earlier call was cut off, and the newer one is the one to go on with.
        if self.files.machine().wrapping.generation() < 2 {
            self.files.change_machine(|machine| {
                machine.wrapping.push(Key::random()?);
                Ok(())
            })?;
        }
        let tenants = self.files.names()?;
        for tenant in &tenants {
            let name = file_name(tenant);
            remove_unfinished(&self.files.tenants, &name)?;
            let Some((ring, _)) = self.files.ring(tenant)? else { continue };
            let wrapped = self.files.machine().wrap(tenant, &ring)?;
            self.files.tenants.replace(&name, &wrapped)?;
        }
        self.files.change_machine(|machine| {
            machine.wrapping.keep_newest();
            Ok(())
        })?;
        Ok(tenants.len())
    }

    /// Destroys the key of `tenant`, and with it all that the tenant ever sealed; whether there was one. The file is
    /// overwritten, removed, and the directory synced. A [`TenantKey`](crate::TenantKey) that is in use forgets it within
    /// [`REFRESH`](crate::REFRESH).
    ///
    /// Overwriting reaches the bytes themselves on file systems that write in place (ext4, XFS without reflinks). On those
    /// that copy on write (btrfs, ZFS, bcachefs), below snapshots, and inside most SSDs, old bytes may stay until they are
    /// reused. They are wrapped: a later [`Vault::rotate_machine`] leaves nothing that opens them but an equally old copy
    /// of `machine.key`. Bundles made before hold the key until they expire ([`Vault::bundles_with`]).
    ///
    /// # Errors
    /// The system's.
    pub fn destroy(&self, tenant: &TenantName) -> Result<bool, VaultError> {
        let _held = self.files.lock()?;
        let name = file_name(tenant);
        let there = self.files.tenants.shred(&name)?;
        remove_unfinished(&self.files.tenants, &name)?;
        Ok(there)
    }
}

/// Removes what killed processes left of `name`: it holds keys as well. To be called under the lock.
fn remove_unfinished(dir: &PrivateDir, name: &str) -> Result<(), VaultError> {
    let prefix = format!("{name}.");
    // One dot, or two where it was to replace another.
    let is_left = |left: &String| {
        left.starts_with('.') && left.trim_start_matches('.').starts_with(&prefix) && left.ends_with(".new")
    };
    let mut left = dir.names()?.into_iter().filter(is_left);
    left.try_for_each(|left| dir.shred(&left).map(drop))
}
