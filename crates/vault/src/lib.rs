//! Keys, sealing, secrets.
//!
//! Entry points: [`Vault::open`], which finds or makes the machine key of a data directory; [`TenantKey`], got from
//! [`Vault::tenant`], which seals and opens what is written down; and [`secrets::Secrets`], a tenant's credentials.
//! [`Sensitive`] holds a secret text so that it cannot be printed by accident; [`private`] makes and checks files that
//! only their owner may touch; [`close_to_onlookers`] keeps this process's memory from others of the same user.
//!
//! **Invariant:** a key's bytes never leave this crate. No type here that holds one is `Clone` or serializable, none
//! shows it in `Debug` or `Display`, and each is overwritten when dropped.
//! **Invariant:** what does not authenticate is not returned, not even in part.
//!
//! This crate does not know what is sealed, nor where it is stored.
//!
//! # Keys
//!
//! ```text
//! machine key  32 random bytes, keys/machine.key, made at first start
//!   ├─ HKDF ─ token key ─ marks of tokens (never stored otherwise)
//!   └─ HKDF ─ wrapping key ─ wraps ─▶ tenant key  32 random bytes, keys/tenants/<name>.key
//!                                       ├─ HKDF (tenant, brain) ─ brain key ─ seals records
//!                                       └─ HKDF (tenant) ─ secrets key ─ seals credentials
//! ```
//!
//! Tenant keys are random, not derived from the machine key: destroying one wrapped file destroys everything that the
//! tenant ever wrote, and a new machine key needs only the small files wrapped anew. Derivation is HKDF-SHA-256 (RFC
//! 5869) over uniformly random 32-byte keys, with distinct labels, so a key has one purpose. The wrapping is
//! authenticated with the tenant's name: one tenant's file under another's name does not open.
//!
//! # Sealing
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) under the brain's key, with a fresh random nonce of 192 bits. Why
//! random nonces are safe: the nonce is too long to collide (2^48 records of one brain meet with probability about
//! 2^-97), and nothing is remembered, so neither a crash, nor a restored backup, nor a second process can lead to a
//! nonce being used twice. A counter, such as the record's sequence number, would repeat in each of these cases.
//! Why not a nonce-misuse-resistant mode: with no nonce to misuse it would buy nothing, and this cipher is fast and
//! constant-time without hardware help.
//!
//! The associated data is an encoding of the [`Place`]: format label, tenant, brain, sequence number, kind, hash of
//! the record before; each part preceded by its length, so that no two places share an encoding. A sealed text opens in
//! the place it was sealed for and nowhere else. Sealed format: version (1 byte, now 1), nonce (24), ciphertext, tag
//! (16). A length is not hidden. Poly1305 does not commit to a key; keys here are never chosen by an attacker, and the
//! journal's hash chain commits to the sealed bytes.
//!
//! Not protected against: whoever can read this process's memory or the machine key file; what was stored being
//! set back to an earlier state, which is consistent in itself and can only be told by a witness elsewhere.
#![allow(clippy::disallowed_methods, reason = "this crate is the one loader of the key files")]

mod error;
mod key;
mod mark;
mod onlookers;
pub mod private;
mod seal;
pub mod secrets;
mod sensitive;
mod vault;

pub use error::VaultError;
pub use mark::{TokenMarks, is_same};
pub use onlookers::close_to_onlookers;
pub use seal::{MAX_SEALED, OVERHEAD, Place, TenantKey};
pub use sensitive::Sensitive;
pub use vault::Vault;
pub use zeroize::Zeroizing;
