//! Keys, sealing, secrets.
//!
//! Entry points: [`Vault::open`], which finds or makes the machine key of a data directory; [`TenantKey`], got from
//! [`Vault::tenant`], which seals and opens what is written down; and [`secrets::Secrets`], a tenant's credentials.
//! [`Sensitive`] holds a secret text so that it cannot be printed by accident; [`private`] makes and checks files that
//! only their owner may touch; [`sign`] makes signatures that others check; [`bundle`] backs keys up apart from data and
//! restores them; [`close_to_onlookers`] keeps this process's memory from others of the same user.
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
//! keys/machine.key  each 32 random bytes, made at first start
//!   ├─ token key ─ marks of tokens (never stored otherwise)
//!   ├─ signing key ─ signs the heads of audit trails
//!   └─ wrapping key ─ wraps ─▶ keys/tenants/<name>.key  each generation 32 random bytes
//!                                ├─ HKDF (tenant, brain) ─ brain key ─ seals records
//!                                ├─ HKDF (tenant) ─ audit key ─ seals the audit trail, and so keys its chain
//!                                └─ HKDF (tenant) ─ secrets key ─ seals credentials
//! ```
//!
//! Tenant keys are random, not derived from the machine's: destroying one wrapped file destroys everything that the
//! tenant ever wrote, and a new wrapping key needs only the small files wrapped anew. A tenant's key has *generations*
//! ([`Vault::rotate_tenant`]): the newest seals, each opens what it sealed. Key files are changed under a lock and by
//! rename alone, and each state between two renames opens everything. Derivation is HKDF-SHA-256 (RFC
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
//! the place it was sealed for and nowhere else. Sealed format: version (1 byte, now 2), generation of the key (4, big-endian),
//! nonce (24), ciphertext, tag (16). Version 1 has no generation: it is the first. A length is not hidden. Poly1305 does not commit to a key; keys here are never chosen by an attacker, and the
//! journal's hash chain commits to the sealed bytes, the audit trail's to what they say.
//!
//! Not protected against: whoever can read this process's memory or the machine key file; what was stored being
//! set back to an earlier state, which is consistent in itself and can only be told by a witness elsewhere.
#![allow(clippy::disallowed_methods, reason = "this crate is the one loader of the key files")]

pub mod bundle;
mod error;
mod fault;
mod files;
mod key;
mod mac;
mod mark;
mod onlookers;
pub mod private;
mod recovery;
mod ring;
mod rotate;
mod seal;
pub mod secrets;
mod sensitive;
pub mod sign;
mod vault;

pub use error::VaultError;
#[cfg(feature = "fault")]
pub use fault::set_kill_point;
pub use files::MAX_GENERATIONS;
pub use key::random;
pub use mac::SharedKey;
pub use mark::{TokenMarks, is_same};
pub use onlookers::close_to_onlookers;
pub use seal::{AuditPlace, MAX_SEALED, OVERHEAD, Place, REFRESH, TenantKey};
pub use sensitive::Sensitive;
pub use vault::Vault;
pub use zeroize::Zeroizing;
