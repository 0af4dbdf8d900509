//! A 256-bit key and what it is used with.

use std::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::VaultError;

pub(crate) const KEY: usize = 32;
pub(crate) const NONCE: usize = 24;
pub(crate) const TAG: usize = 16;

/// A key. On the heap, so that moving it leaves no copy behind; overwritten when dropped.
pub(crate) struct Key(Box<[u8; KEY]>);

impl Key {
    fn zero() -> Self {
        Self(Box::new([0; KEY]))
    }

    pub(crate) fn random() -> Result<Self, VaultError> {
        let mut key = Self::zero();
        getrandom::fill(&mut *key.0).map_err(VaultError::Random)?;
        Ok(key)
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Self::zero();
        if bytes.len() != KEY {
            return None;
        }
        key.0.copy_from_slice(bytes);
        Some(key)
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }

    /// Whether it is plainly not random: zeros, a pattern. Of 32 random bytes some 30 differ; that fewer than 16 do
    /// happens by chance to nobody.
    pub(crate) fn is_weak(&self) -> bool {
        let mut bytes = Zeroizing::new(*self.0);
        bytes.sort_unstable();
        bytes.chunk_by(|a, b| a == b).count() < KEY / 2
    }

    /// A key for another purpose (RFC 5869, no salt: the input is uniformly random).
    pub(crate) fn derive(&self, purpose: &[u8]) -> Result<Self, VaultError> {
        let mut derived = Self::zero();
        // Cannot fail for 32 bytes (the limit is 255 * 32), and a failure must never leave a zero key in use.
        Hkdf::<Sha256>::new(None, &*self.0)
            .expand(purpose, &mut *derived.0)
            .map_err(|_| VaultError::TooLong { len: KEY, max: 255 * KEY })?;
        Ok(derived)
    }

    /// Appends nonce, ciphertext and tag of `plaintext` to `out`.
    pub(crate) fn encrypt(&self, associated: &[u8], plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), VaultError> {
        let mut nonce = [0u8; NONCE];
        getrandom::fill(&mut nonce).map_err(VaultError::Random)?;
        let mut text = Zeroizing::new(plaintext.to_vec());
        let tag = self
            .cipher()
            .encrypt_inout_detached(&XNonce::from(nonce), associated, text.as_mut_slice().into())
            .map_err(|_| VaultError::TooLong { len: plaintext.len(), max: crate::MAX_SEALED })?;
        out.reserve_exact(NONCE + text.len() + TAG);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&text);
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// The plaintext of what [`Key::encrypt`] appended, or nothing.
    pub(crate) fn decrypt(&self, associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
        let (text, tag) = rest.split_last_chunk::<TAG>()?;
        let mut text = Zeroizing::new(text.to_vec());
        self.cipher()
            .decrypt_inout_detached(&XNonce::from(*nonce), associated, text.as_mut_slice().into(), &Tag::from(*tag))
            .ok()?;
        Some(text)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Random bytes from the system.
///
/// # Errors
/// [`VaultError::Random`].
pub fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(VaultError::Random)?;
    Ok(bytes)
}

/// The parts, each preceded by its length as 8 big-endian bytes: no two lists of parts share an encoding.
pub(crate) fn encode(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// The parts of what [`encode`] made of them.
pub(crate) fn decode(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<8>()?;
        let (part, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*len)).ok()?)?;
        parts.push(part);
        bytes = rest;
    }
    Some(parts)
}
