//! Several keys for one purpose: the generations of a key that is renewed.

use zeroize::Zeroizing;

use crate::VaultError;
use crate::key::{KEY, Key};

/// Keys in the order in which they were made. What is new is sealed under the newest; older ones open what they sealed.
#[derive(Debug)]
pub(crate) struct Ring(Vec<Key>);

impl Ring {
    pub(crate) fn random() -> Result<Self, VaultError> {
        Ok(Self(vec![Key::random()?]))
    }

    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    /// Keys that stand one behind the other.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        let keys = bytes.chunks(KEY).map(Key::from_slice).collect::<Option<Vec<_>>>()?;
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The keys one behind the other.
    pub(crate) fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.0.len() * KEY));
        self.0.iter().for_each(|key| bytes.extend_from_slice(key.bytes()));
        bytes
    }

    /// How many there are, which is the number of the newest.
    pub(crate) fn generation(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// The key of a generation; the first is 1.
    pub(crate) fn get(&self, generation: u32) -> Option<&Key> {
        self.0.get(usize::try_from(generation).ok()?.checked_sub(1)?)
    }

    pub(crate) fn newest(&self) -> Option<&Key> {
        self.0.last()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    pub(crate) fn push(&mut self, key: Key) {
        self.0.push(key);
    }

    /// Forgets all but the newest.
    pub(crate) fn keep_newest(&mut self) {
        self.0.drain(..self.0.len().saturating_sub(1));
    }
}
