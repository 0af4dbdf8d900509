//! Message authentication codes for whoever shares a secret with this machine.

use std::fmt;

use aws_lc_rs::hmac;

/// Bytes of a code.
const TAG: usize = 32;

/// Makes HMAC-SHA-256 (RFC 2104) under a secret that somebody else has as well.
pub struct SharedKey(hmac::Key);

impl SharedKey {
    /// Under these bytes, of which as many should be random as the code has.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The code of `parts`, one after another with nothing between them.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; TAG] {
        let mut signing = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| signing.update(part));
        let mut tag = [0; TAG];
        tag.iter_mut().zip(signing.sign().as_ref()).for_each(|(to, from)| *to = *from);
        tag
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_that_of_rfc_4231() {
        // Test case 2.
        let tag = SharedKey::new(b"Jefe").tag(&[b"what do ya want ", b"for nothing?"]);
        let digits: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(format!("{:?}", SharedKey::new(b"Jefe")), "***");
    }
}
