//! Recovery keys: what opens a bundle, as people keep it: `ark_<secret>_<checksum>`.
//!
//! Spelt like a token, and told from one by its prefix: 52 characters of Crockford's base 32 (lower case) for 256 random
//! bits, and the CRC-32 (as of zip and PNG) of what stands before its underscore as 8 hexadecimal digits. So whoever
//! mistypes one is told that, and not that the bundle is damaged.

use zeroize::Zeroizing;

use crate::key::{KEY, Key};
use crate::{Sensitive, VaultError};

const PREFIX: &str = "ark_";
/// Characters of 256 bits, 5 a character.
const SECRET: usize = 52;
const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// The polynomial of CRC-32, its bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// Spells a key.
pub(crate) fn spell(key: &Key) -> Sensitive {
    // As long as it will be, so that it grows nowhere and leaves no copy behind.
    let mut text = String::with_capacity(PREFIX.len() + SECRET + 9);
    text.push_str(PREFIX);
    let (mut held, mut count) = (0u32, 0);
    for byte in key.bytes().iter().chain(&[0]) {
        held = (held << 8) | u32::from(*byte);
        count += 8;
        while count >= 5 && text.len() < PREFIX.len() + SECRET {
            count -= 5;
            let digit = CROCKFORD.get((held >> count) as usize & 31).copied().unwrap_or(b'0');
            text.push(char::from(digit));
        }
    }
    let sum = crc32(text.as_bytes());
    text.push('_');
    text.extend((0..8).rev().filter_map(|place| char::from_digit(sum >> (place * 4) & 15, 16)));
    Sensitive::new(text)
}

/// The key that `text` spells.
pub(crate) fn parse(text: &str) -> Result<Key, VaultError> {
    read(text.trim()).ok_or(VaultError::Recovery)
}

fn read(text: &str) -> Option<Key> {
    let (body, sum) = text.rsplit_once('_')?;
    let secret = body.strip_prefix(PREFIX).filter(|secret| secret.len() == SECRET)?;
    let is_sum = sum.len() == 8 && sum.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_sum || u32::from_str_radix(sum, 16) != Ok(crc32(body.as_bytes())) {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY));
    let (mut held, mut count) = (0u32, 0);
    for character in secret.bytes() {
        let digit = CROCKFORD.iter().position(|one| *one == character)?;
        held = (held << 5) | u32::try_from(digit).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((held >> count & 255) as u8);
        }
    }
    Key::from_slice(&bytes)
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_as_it_was_spelt_and_a_mistyped_one_does_not() {
        let key = Key::random().unwrap();
        let text = spell(&key);
        assert!(text.expose().starts_with("ark_") && text.expose().len() == 65);
        assert_eq!(parse(&format!(" {}\n", text.expose())).unwrap().bytes(), key.bytes());
        for at in 0..65 {
            let mut bytes = text.expose().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
            assert!(matches!(parse(std::str::from_utf8(&bytes).unwrap()), Err(VaultError::Recovery)), "{at}");
        }
        // As of zip and PNG.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
