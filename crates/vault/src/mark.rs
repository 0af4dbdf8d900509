//! Marks of tokens: what is stored instead of a token, and what tells a record that was edited.

use std::fmt;
use std::hint::black_box;

use hkdf::Hkdf;
use sha2::Sha256;

use crate::VaultError;
use crate::key::{KEY, Key, encode};

/// Makes and checks marks under a key of this machine. A mark is HKDF-Expand (RFC 5869, one block: HMAC-SHA-256) of what
/// is marked: without the key nobody can make one, nor try guesses against one that was read from a disk or a backup.
pub struct TokenMarks(Hkdf<Sha256>);

impl TokenMarks {
    pub(crate) fn new(key: &Key) -> Self {
        // The key is as long as a pseudorandom key must be at least, so this cannot fail; were it to, the extraction
        // with the same key is as good.
        Self(Hkdf::from_prk(key.bytes()).unwrap_or_else(|_| Hkdf::new(None, key.bytes())))
    }

    /// The mark of `parts`: 64 hexadecimal digits.
    ///
    /// # Errors
    /// None that can happen: 32 bytes are fewer than the 8160 that can be had.
    pub fn mark(&self, parts: &[&[u8]]) -> Result<String, VaultError> {
        let mut mark = [0; KEY];
        self.0.expand(&encode(parts), &mut mark).map_err(|_| VaultError::TooLong { len: KEY, max: 255 * KEY })?;
        let digits = mark.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        Ok(digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect())
    }

    /// Whether `mark` is that of `parts`. Takes as long for a wrong one as for the right one.
    ///
    /// # Errors
    /// As [`TokenMarks::mark`].
    pub fn is_mark(&self, mark: &str, parts: &[&[u8]]) -> Result<bool, VaultError> {
        Ok(is_same(&self.mark(parts)?, mark))
    }
}

/// Whether two marks are the same. How long it takes says nothing about where they differ.
#[must_use]
pub fn is_same(a: &str, b: &str) -> bool {
    let differing = a.bytes().zip(b.bytes()).fold(0, |differing, (a, b)| black_box(differing | (a ^ b)));
    differing == 0 && a.len() == b.len()
}

impl fmt::Debug for TokenMarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
