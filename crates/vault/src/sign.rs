//! Signatures: what others can check without any of our secrets.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::VaultError;
use crate::key::{KEY, Key, encode};

/// Bytes of a signature.
pub const SIGNATURE: usize = 64;
const PREFIX: &str = "ed25519:";

/// Signs with Ed25519 (RFC 8032) under a key of this machine. Got from [`Vault::signing_key`](crate::Vault::signing_key).
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    pub(crate) fn new(seed: &Key) -> Result<Self, VaultError> {
        Ed25519KeyPair::from_seed_unchecked(seed.bytes()).map(Self).map_err(|_| VaultError::Open)
    }

    /// The signature of `parts`, as lower-case hexadecimal digits.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> String {
        spell(self.0.sign(&encode(parts)).as_ref())
    }

    /// What checks its signatures.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; KEY];
        bytes.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        PublicKey(bytes)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The public half of a [`SigningKey`]; as text `ed25519:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; KEY]);

impl PublicKey {
    /// Whether `signature` is one of `parts` by this key.
    #[must_use]
    pub fn verify(&self, parts: &[&[u8]], signature: &str) -> bool {
        let Some(signature) = parse::<SIGNATURE>(signature) else { return false };
        UnparsedPublicKey::new(&ED25519, self.0).verify(&encode(parts), &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", spell(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for PublicKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix(PREFIX)
            .and_then(parse)
            .map(Self)
            .ok_or("a public key is `ed25519:` and 64 hexadecimal digits, as `autoshare audit key` prints it")
    }
}

fn spell(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn parse<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f').then(|| char::from(byte).to_digit(16)).flatten();
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let [high, low] = pair else { return None };
        *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
    }
    Some(bytes)
}
