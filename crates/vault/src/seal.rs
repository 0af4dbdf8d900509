//! Sealing to a place.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use autoshare_core::{BrainId, Digest, Seq, TenantName};
use zeroize::Zeroizing;

use crate::VaultError;
use crate::files::{Files, file_name};
use crate::key::{Key, NONCE, TAG, encode};
use crate::private::{Others, Stamp};
use crate::ring::Ring;

/// The version byte of what is sealed now. What has version 1 names no generation: it is the first.
const VERSION: u8 = 2;
/// Bytes of the generation's number.
const GENERATION: usize = 4;
/// Bytes that sealing adds.
pub const OVERHEAD: usize = 1 + GENERATION + NONCE + TAG;
/// Bytes of plaintext in one sealed text at most: 64 MiB, so that a mistake is an error and not a memory shortage.
pub const MAX_SEALED: usize = 64 * 1024 * 1024;
/// For how long a key in use is not compared with its file: after that a new generation is taken up, and a key that was
/// destroyed is forgotten.
pub const REFRESH: Duration = Duration::from_secs(1);

/// Where a record of a journal belongs. It opens there and nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Whose it is.
    pub tenant: &'a TenantName,
    /// Which brain's.
    pub brain: &'a BrainId,
    /// Its number in the brain's journal.
    pub seq: Seq,
    /// What it is: an [`EventKind`](autoshare_core::event::EventKind) code; 0 is kept for the head of a journal.
    pub kind: u8,
    /// The hash of the record before.
    pub previous: &'a Digest,
}

/// Where an entry of an audit trail belongs. It opens there and nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct AuditPlace<'a> {
    /// Whose it is.
    pub tenant: &'a TenantName,
    /// Its number in the trail.
    pub seq: Seq,
    /// What it is: the number of an [`Act`](autoshare_core::audit::Act); 0 is kept for the head of a trail.
    pub act: u16,
    /// When it was written: milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// The hash of the entry before.
    pub previous: &'a Digest,
}

/// What a sealed text is bound to: whose it is, the key it is sealed with, and the rest.
pub(crate) struct Bound<'a> {
    tenant: &'a TenantName,
    /// The key's purpose, from which it is derived.
    purpose: Vec<u8>,
    associated: Vec<u8>,
}

impl<'a> From<&Place<'a>> for Bound<'a> {
    fn from(place: &Place<'a>) -> Self {
        let (tenant, brain) = (place.tenant.as_str().as_bytes(), place.brain.as_str().as_bytes());
        Self {
            tenant: place.tenant,
            purpose: encode(&[b"autoshare/brain-key/1", tenant, brain]),
            associated: encode(&[
                b"autoshare/record/1",
                tenant,
                brain,
                &place.seq.0.to_be_bytes(),
                &[place.kind],
                place.previous.as_bytes(),
            ]),
        }
    }
}

impl<'a> From<&AuditPlace<'a>> for Bound<'a> {
    fn from(place: &AuditPlace<'a>) -> Self {
        let tenant = place.tenant.as_str().as_bytes();
        Self {
            tenant: place.tenant,
            purpose: encode(&[b"autoshare/audit-key/1", tenant]),
            associated: encode(&[
                b"autoshare/audit-entry/1",
                tenant,
                &place.seq.0.to_be_bytes(),
                &place.act.to_be_bytes(),
                &place.at_ms.to_be_bytes(),
                place.previous.as_bytes(),
            ]),
        }
    }
}

impl<'a> Bound<'a> {
    /// A credential's, by its name.
    pub(crate) fn secret(tenant: &'a TenantName, name: &str) -> Self {
        let text = tenant.as_str().as_bytes();
        Self {
            tenant,
            purpose: encode(&[b"autoshare/secrets-key/1", text]),
            associated: encode(&[b"autoshare/secret/1", text, name.as_bytes()]),
        }
    }
}

/// A tenant's data key, in all its generations. Got from [`Vault::tenant`](crate::Vault::tenant). It follows its file: a
/// new generation is used, and a key that was destroyed is not, [`REFRESH`] later at most.
#[derive(Debug)]
pub struct TenantKey {
    tenant: TenantName,
    files: Arc<Files>,
    held: RwLock<Held>,
}

/// The generations as they stood in the file when it was last looked at.
#[derive(Debug)]
struct Held {
    ring: Ring,
    stamp: Stamp,
    looked: Instant,
}

impl TenantKey {
    /// The key of `tenant`, if there is one.
    pub(crate) fn existing(files: &Arc<Files>, tenant: &TenantName) -> Result<Option<Self>, VaultError> {
        let looked = Instant::now();
        let Some((ring, stamp)) = files.ring(tenant)? else { return Ok(None) };
        let held = RwLock::new(Held { ring, stamp, looked });
        Ok(Some(Self { tenant: tenant.clone(), files: Arc::clone(files), held }))
    }

    /// Whose key it is.
    #[must_use]
    pub const fn tenant(&self) -> &TenantName {
        &self.tenant
    }

    /// Seals `plaintext` for `place`; [`OVERHEAD`] bytes longer. Twice the same gives two different texts.
    ///
    /// # Errors
    /// [`VaultError::TooLong`] above [`MAX_SEALED`], [`VaultError::Random`], [`VaultError::Tenant`] for the place of
    /// another tenant, [`VaultError::Gone`] if the key was destroyed.
    pub fn seal(&self, place: &Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.seal_to(&place.into(), plaintext)
    }

    /// What was sealed for `place`.
    ///
    /// # Errors
    /// [`VaultError::Open`] if it was changed, or sealed for another place or with another key;
    /// [`VaultError::NewerSeal`]; [`VaultError::Tenant`] for the place of another tenant; [`VaultError::Gone`].
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.open_from(&place.into(), sealed)
    }

    /// Seals an entry of the audit trail, as [`TenantKey::seal`] does a record.
    ///
    /// # Errors
    /// As [`TenantKey::seal`].
    pub fn seal_audit(&self, place: &AuditPlace<'_>, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.seal_to(&place.into(), plaintext)
    }

    /// What was sealed for `place` in the audit trail.
    ///
    /// # Errors
    /// As [`TenantKey::open`].
    pub fn open_audit(&self, place: &AuditPlace<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.open_from(&place.into(), sealed)
    }

    pub(crate) fn seal_to(&self, bound: &Bound<'_>, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        if plaintext.len() > MAX_SEALED {
            return Err(VaultError::TooLong { len: plaintext.len(), max: MAX_SEALED });
        }
        let (generation, key) = self.derive(bound, None)?;
        let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD);
        sealed.push(VERSION);
        sealed.extend_from_slice(&generation.to_be_bytes());
        key.encrypt(&bound.associated, plaintext, &mut sealed)?;
        Ok(sealed)
    }

    pub(crate) fn open_from(&self, bound: &Bound<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (generation, rest) = match sealed.split_first() {
            Some((1, rest)) => (1, rest),
            Some((&VERSION, rest)) => {
                let (generation, rest) = rest.split_first_chunk::<GENERATION>().ok_or(VaultError::Open)?;
                (u32::from_be_bytes(*generation), rest)
            }
            Some((&found, _)) if found > VERSION => return Err(VaultError::NewerSeal { found, known: VERSION }),
            _ => return Err(VaultError::Open),
        };
        self.derive(bound, Some(generation))?.1.decrypt(&bound.associated, rest).ok_or(VaultError::Open)
    }

    /// The key for a purpose, of a generation or of the newest.
    fn derive(&self, bound: &Bound<'_>, generation: Option<u32>) -> Result<(u32, Key), VaultError> {
        if *bound.tenant != self.tenant {
            return Err(VaultError::Tenant { key: self.tenant.clone(), asked: bound.tenant.clone() });
        }
        let held = self.held(generation)?;
        let generation = generation.unwrap_or_else(|| held.ring.generation());
        let key = held.ring.get(generation).ok_or(VaultError::Open)?;
        Ok((generation, key.derive(&bound.purpose)?))
    }

    /// The generations, compared with the file unless that was done a moment ago and `wanted` is among them.
    fn held(&self, wanted: Option<u32>) -> Result<RwLockReadGuard<'_, Held>, VaultError> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        if held.looked.elapsed() < REFRESH && wanted.is_none_or(|wanted| wanted <= held.ring.generation()) {
            return Ok(held);
        }
        drop(held);
        let name = file_name(&self.tenant);
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let looked = Instant::now();
        match self.files.tenants.stamp(&name, Others::Nothing)? {
            Some(stamp) if stamp == held.stamp && held.ring.newest().is_some() => held.looked = looked,
            Some(_) => {
                if let Some((ring, stamp)) = self.files.ring(&self.tenant)? {
                    *held = Held { ring, stamp, looked };
                }
            }
            None => {
                held.ring = Ring::none();
                return Err(VaultError::Gone { path: self.files.tenants.path().join(name) });
            }
        }
        Ok(RwLockWriteGuard::downgrade(held))
    }
}
