//! Who may act for whom.
//!
//! The entry point is [`Access`]: the proof that its holder may act for one tenant. Everything that touches a tenant's
//! data takes one first, so "whose is this?" is answered before "what is it?", and cannot be forgotten.
//!
//! **Invariant:** this crate is the only maker of an [`Access`]; it has no public field, no `Default` and cannot be
//! deserialized. A tenant's *name* is a claim that anybody can write; an `Access` is the right.
//!
//! There are three ways to get one. [`Access::local`], for the tenant of `autoshare run`: its proof is that the data
//! directory belongs to the user of this process. [`Tokens::authenticate`], for whoever presents a token: its proof is
//! that the token's mark is on record. Such an `Access` knows its [token](Access::token) and reaches no further than it.
//! [`Tenants::access`], for an [`Operator`], who answers for all tenants.
//!
//! Whoever comes by another way ends with a token. A person who signs in ([`Tokens::log_in`]) gets one with what the
//! [`RolePolicy`] makes of their roles, and it is good for as long as they have these. A certificate is what a token may be
//! bound to ([`Tokens::authenticate_over`]): it says who asks, and the token what they may.
//!
//! No other way compiles:
//!
//! ```compile_fail,E0451
//! # use autoshare_core::TenantName;
//! let access = autoshare_access::Access { tenant: TenantName::parse("acme").unwrap(), token: None, shown: None };
//! ```
//! ```compile_fail,E0277
//! let access: autoshare_access::Access = serde_json::from_str(r#"{"tenant":"acme"}"#).unwrap();
//! ```
//! ```compile_fail,E0277
//! fn made<T: Default>() -> T { T::default() }
//! let access: autoshare_access::Access = made();
//! ```
//! ```compile_fail,E0451
//! let operator = autoshare_access::Operator { token: None };
//! ```
//!
//! This crate does not know what a tenant's data are, but what it may have of the machine ([`Terms`]).

mod marked;
mod person;
mod roles;
mod share;
mod tenant;
mod token;

use std::path::Path;
use std::sync::Arc;

use autoshare_core::{Digest, PersonId, ShareId, TenantName, TokenId};
use autoshare_vault::VaultError;
use autoshare_vault::private::{Others, PrivateDir};

pub use person::{INVITATION_MS, Identity, MAX_GROUPS, MAX_PEOPLE, MAX_ROLES, NewPerson, People, Person, SignedIn};
pub use roles::{RoleName, RolePolicy};
pub use share::{End, Offer, ShareBounds, ShareRecord, ShareState, Shares};
pub use tenant::{MAX_TENANTS, Operator, TenantRecord, TenantState, Tenants, Terms};
pub use token::{Bearer, Grant, MAX_DEPTH, MAX_SESSIONS, MAX_TOKENS, Minted, Scope, Session, TokenRecord, Tokens};

/// The one tenant of `autoshare run`.
pub const LOCAL: &str = "local";

/// Why there is no access.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The data directory is not this user's own.
    #[error(transparent)]
    DataDir(#[from] VaultError),
    /// A peer that is somebody else.
    #[error("the user with uid {0} is not who runs this process: use your own data directory (--data-dir)")]
    Stranger(u32),
    /// A name that is built in is malformed.
    #[error("{0}: report this, it is a fault of autoshare")]
    Name(#[from] autoshare_core::ids::IdError),
    /// A token that gives no access. Its words are the same whatever the reason.
    #[error("this token is not accepted: check it, or make one with `autoshare token new`")]
    Refused {
        /// Why, for the log.
        why: Refusal,
        /// Which token, where there is one.
        id: Option<TokenId>,
    },
    /// No such tenant.
    #[error("there is no tenant {0}: `autoshare tenant list` shows them")]
    NoTenant(TenantName),
    /// The name is taken.
    #[error("there is a tenant {0} already: choose another name")]
    TenantExists(TenantName),
    /// The tenant is not served.
    #[error("the tenant {0} is suspended: `autoshare tenant resume {0}` lets it be served again")]
    Suspended(TenantName),
    /// What a tenant should have is malformed.
    #[error("{0}")]
    Terms(String),
    /// No token of this tenant.
    #[error("there is no token {0}: `autoshare token list` shows them")]
    NoToken(TokenId),
    /// What a token asked for is more than it may give.
    #[error("{0}")]
    Beyond(String),
    /// What a new token should be is malformed.
    #[error("{0}")]
    Grant(String),
    /// No person of this tenant.
    #[error("there is no person {0}: `autoshare person list` shows them")]
    NoPerson(PersonId),
    /// Nobody would be left who may add people.
    #[error("{0} is the last who may add people here: let somebody else who has signed in be that first")]
    LastPerson(PersonId),
    /// What a person should be is malformed, or there already.
    #[error("{0}")]
    Person(String),
    /// A policy about people is not taken.
    #[error("{0}")]
    RolePolicy(String),
    /// Somebody signed in who may not. Its words are the same whatever the reason.
    #[error("you may not sign in here: ask whoever runs this tenant to add you, and check its name")]
    Login {
        /// Why, for the log.
        why: LoginRefusal,
    },
    /// No share that this tenant has to do with.
    #[error("there is no share {0}: `autoshare share list` shows them")]
    NoShare(ShareId),
    /// So many shares are all that there may be.
    #[error("{0}")]
    TooManyShares(String),
    /// What is shared is not what was looked at.
    #[error("share {0} is not what this digest stands for: look at it again, and accept what is shown then")]
    OtherShare(ShareId),
    /// It cannot be done with a share that stands as this one does.
    #[error("{0}")]
    Share(String),
    /// A token's file is not as it was written.
    #[error("{} was changed or belongs elsewhere ({why}): remove it and make it anew", path.display())]
    Record {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// The tokens cannot be locked.
    #[error("cannot lock {}: {source}: check the file system of the data directory", path.display())]
    Lock {
        /// The file.
        path: std::path::PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The system has no randomness.
    #[error("the system gives no random bytes ({0}): check getrandom(2) and /dev/urandom")]
    Random(String),
}

/// Why a token was refused. For logs, never for whoever presented it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It is not spelt like a token, or its checksum is wrong: mistyped, cut off.
    Malformed,
    /// There is no such token.
    Unknown,
    /// There is one with this id, with another secret: rotated, or guessed.
    Wrong,
    /// It has ended, or a token above it has.
    Expired,
    /// It was revoked, or a token above it was.
    Revoked,
    /// Its tenant was suspended or removed.
    Suspended,
    /// The person who got it was removed, or may not have all of its scopes any more.
    Person,
    /// It, or a token above it, is bound to a certificate that was not shown; or none is bound to the one that was.
    Certificate,
}

/// Why somebody was not let in. For logs, never for whoever signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginRefusal {
    /// There is no such tenant, or it is not served.
    Tenant,
    /// The account is no person of the tenant, and no invitation fits.
    Person,
    /// The person's roles and groups come to nothing.
    Nothing,
}

impl AccessError {
    /// What happened, for a log: of a refused token its id and the reason. What was presented is not in it.
    #[must_use]
    pub fn for_the_log(&self) -> String {
        match self {
            Self::Refused { why, id: Some(id) } => format!("token {id} refused: {why:?}"),
            Self::Refused { why, id: None } => format!("a token was refused: {why:?}"),
            Self::Login { why } => format!("a login was refused: {why:?}"),
            other => other.to_string(),
        }
    }
}

/// The right to act for one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    tenant: TenantName,
    token: Option<Arc<TokenRecord>>,
    /// The certificate that was shown with the token.
    shown: Option<Digest>,
}

impl Access {
    /// Access to the tenant [`LOCAL`], for whoever owns `data_dir`. Makes the directory (0700) if there is none.
    ///
    /// # Errors
    /// [`AccessError::DataDir`] if it belongs to somebody else, or others can write to it: whoever can write there can
    /// act as its owner, so ownership would prove nothing.
    pub fn local(data_dir: &Path) -> Result<Self, AccessError> {
        PrivateDir::open(data_dir, Others::MayRead)?;
        Ok(Self { tenant: TenantName::parse(LOCAL)?, token: None, shown: None })
    }

    /// Access for the peer of a local socket, which the kernel says runs under `uid` (`SO_PEERCRED`, unix(7)): the same as
    /// [`Access::local`], if `uid` is the user this process runs as.
    ///
    /// # Errors
    /// [`AccessError::Stranger`] for any other uid, root's included; and as [`Access::local`].
    pub fn of_peer(data_dir: &Path, uid: u32) -> Result<Self, AccessError> {
        if uid == rustix::process::geteuid().as_raw() { Self::local(data_dir) } else { Err(AccessError::Stranger(uid)) }
    }

    /// For whom its holder may act.
    #[must_use]
    pub const fn tenant(&self) -> &TenantName {
        &self.tenant
    }

    /// The token by which it was got; `None` if the tenant's owner has it.
    #[must_use]
    pub fn token(&self) -> Option<&TokenRecord> {
        self.token.as_deref()
    }
}
