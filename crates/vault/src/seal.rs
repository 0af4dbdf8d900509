//! Sealing to a place.

use autoshare_core::{BrainId, Digest, Seq, TenantName};
use zeroize::Zeroizing;

use crate::VaultError;
use crate::key::{Key, NONCE, TAG, encode};

/// The version byte of what is sealed now.
const VERSION: u8 = 1;
/// Bytes that sealing adds.
pub const OVERHEAD: usize = 1 + NONCE + TAG;
/// Bytes of plaintext in one sealed text at most: 64 MiB, so that a mistake is an error and not a memory shortage.
pub const MAX_SEALED: usize = 64 * 1024 * 1024;

/// Where a sealed text belongs. It opens there and nowhere else.
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

impl Place<'_> {
    fn associated(&self) -> Vec<u8> {
        encode(&[
            b"autoshare/record/1",
            self.tenant.as_str().as_bytes(),
            self.brain.as_str().as_bytes(),
            &self.seq.0.to_be_bytes(),
            &[self.kind],
            self.previous.as_bytes(),
        ])
    }
}

/// A tenant's data key. Got from [`Vault::tenant`](crate::Vault::tenant).
#[derive(Debug)]
pub struct TenantKey {
    tenant: TenantName,
    key: Key,
}

impl TenantKey {
    pub(crate) const fn new(tenant: TenantName, key: Key) -> Self {
        Self { tenant, key }
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
    /// another tenant.
    pub fn seal(&self, place: &Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        if plaintext.len() > MAX_SEALED {
            return Err(VaultError::TooLong { len: plaintext.len(), max: MAX_SEALED });
        }
        let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD);
        sealed.push(VERSION);
        self.brain_key(place)?.encrypt(&place.associated(), plaintext, &mut sealed)?;
        Ok(sealed)
    }

    /// What was sealed for `place`.
    ///
    /// # Errors
    /// [`VaultError::Open`] if it was changed, or sealed for another place or with another key;
    /// [`VaultError::NewerSeal`]; [`VaultError::Tenant`] for the place of another tenant.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        match sealed.split_first() {
            Some((&VERSION, rest)) => self.brain_key(place)?.decrypt(&place.associated(), rest).ok_or(VaultError::Open),
            Some((&found, _)) if found > VERSION => Err(VaultError::NewerSeal { found, known: VERSION }),
            _ => Err(VaultError::Open),
        }
    }

    /// The key that seals this tenant's credentials, and nothing else.
    pub(crate) fn secrets_key(&self) -> Result<Key, VaultError> {
        self.key.derive(&encode(&[b"autoshare/secrets-key/1", self.tenant.as_str().as_bytes()]))
    }

    fn brain_key(&self, place: &Place<'_>) -> Result<Key, VaultError> {
        if *place.tenant != self.tenant {
            return Err(VaultError::Tenant { key: self.tenant.clone(), asked: place.tenant.clone() });
        }
        self.key.derive(&encode(&[
            b"autoshare/brain-key/1",
            place.tenant.as_str().as_bytes(),
            place.brain.as_str().as_bytes(),
        ]))
    }
}
