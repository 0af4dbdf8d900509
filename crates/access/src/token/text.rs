//! How a token is spelt: `as_<id>_<secret>_<checksum>`.
//!
//! The id is 8 and the secret 52 characters of Crockford's base 32 (lower case), the checksum 8 hexadecimal digits: the
//! CRC-32 (as of zip and PNG) of what stands before its underscore. So a scanner for leaked keys, and whoever mistypes
//! one, can tell without asking anybody.

use autoshare_core::TokenId;
use autoshare_vault::Sensitive;

const PREFIX: &str = "as_";
/// Characters of 256 bits, 5 a character.
const SECRET: usize = 52;
const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// The polynomial of CRC-32, its bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// Spells 256 random bits.
pub(super) fn secret(bits: &[u8; 32]) -> Sensitive {
    // As long as it will be, so that it grows nowhere and leaves no copy behind.
    let mut text = String::with_capacity(SECRET);
    let (mut held, mut count) = (0u32, 0);
    for byte in bits.iter().chain(&[0]) {
        held = (held << 8) | u32::from(*byte);
        count += 8;
        while count >= 5 && text.len() < SECRET {
            count -= 5;
            let digit = CROCKFORD.get((held >> count) as usize & 31).copied().unwrap_or(b'0');
            text.push(char::from(digit));
        }
    }
    Sensitive::new(text)
}

/// The whole token.
pub(super) fn spell(id: &TokenId, secret: &Sensitive) -> Sensitive {
    let mut text = String::with_capacity(PREFIX.len() + 8 + 1 + SECRET + 1 + 8);
    text.extend([PREFIX, id.as_str(), "_", secret.expose()]);
    let sum = crc32(text.as_bytes());
    text.push('_');
    text.extend((0..8).rev().filter_map(|place| char::from_digit(sum >> (place * 4) & 15, 16)));
    Sensitive::new(text)
}

/// The id and the secret in a token; `None` for what is none.
pub(super) fn parse(presented: &str) -> Option<(TokenId, &str)> {
    let (body, sum) = presented.rsplit_once('_')?;
    let sum = u32::from_str_radix(sum, 16).ok().filter(|_| sum.len() == 8 && sum.bytes().all(is_hex))?;
    let (id, secret) = body.strip_prefix(PREFIX)?.split_once('_')?;
    let is_secret = secret.len() == SECRET && secret.bytes().all(|byte| CROCKFORD.contains(&byte));
    let id = TokenId::parse(id).ok()?;
    (is_secret && crc32(body.as_bytes()) == sum).then_some((id, secret))
}

const fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
