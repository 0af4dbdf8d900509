//! Tokens: what somebody elsewhere shows to act for a tenant (a virtual key of the gateway).

mod record;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use autoshare_core::TokenId;
use autoshare_core::budget::Limit;
use autoshare_vault::{Sensitive, Vault};

pub use record::{Grant, Scope, TokenRecord};

use crate::{Access, AccessError};

/// All tokens below a data directory.
#[derive(Debug)]
pub struct Tokens {
    data_dir: PathBuf,
}

/// A token that was just made. This is the only time that it can be seen.
#[derive(Debug)]
pub struct Minted {
    /// Its id.
    pub id: TokenId,
    /// The whole token, as it is presented.
    pub token: Sensitive,
}

/// Who presented a token.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// The right to act for the token's tenant, within what the token allows.
    pub access: Access,
    /// The token's record.
    pub token: Arc<TokenRecord>,
    /// What holds for a call: the limits of the token and of every token above it. For `Ledger::reserve`.
    pub limits: Arc<[Limit]>,
    above: Arc<[Arc<TokenRecord>]>,
}

impl Bearer {
    /// Whether the token, and every token above it, may name `model`.
    #[must_use]
    pub fn allows_model(&self, model: &str) -> bool {
        self.token.allows_model(model) && self.above.iter().all(|record| record.allows_model(model))
    }

    /// Whether the token may be used for `scope`.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.token.scopes.contains(&scope)
    }
}

impl Tokens {
    /// The tokens below `data_dir`. Reads nothing yet.
    ///
    /// # Errors
    /// [`AccessError::DataDir`] for a directory that others may touch.
    pub fn open(data_dir: &Path, vault: &Vault) -> Result<Self, AccessError> {
        let _ = vault;
        Ok(Self { data_dir: data_dir.to_owned() })
    }

    /// Makes a token for the tenant of `access`. If `access` came from a token, the new one is below it and may have
    /// nothing that it has not.
    ///
    /// # Errors
    /// [`AccessError::Beyond`] for more than the issuer has, [`AccessError::Grant`] for a malformed grant.
    pub fn mint(&self, access: &Access, grant: Grant) -> Result<Minted, AccessError> {
        let _ = (access, grant, &self.data_dir);
        Err(AccessError::Refused { why: crate::Refusal::Unknown, id: None })
    }

    /// The tokens of the tenant, oldest first; of an `access` that came from a token, that one and those below it.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn list(&self, access: &Access) -> Result<Vec<Arc<TokenRecord>>, AccessError> {
        let _ = access;
        Ok(Vec::new())
    }

    /// Ends a token, and with it every token below it. At once, in every process.
    ///
    /// # Errors
    /// [`AccessError::NoToken`] if it is none of the tenant's.
    pub fn revoke(&self, access: &Access, id: &TokenId) -> Result<(), AccessError> {
        let _ = access;
        Err(AccessError::NoToken(id.clone()))
    }

    /// Gives a token a new secret; the old one ends at once. Id, limits and what was used stay.
    ///
    /// # Errors
    /// [`AccessError::NoToken`] if it is none of the tenant's.
    pub fn rotate(&self, access: &Access, id: &TokenId) -> Result<Minted, AccessError> {
        let _ = access;
        Err(AccessError::NoToken(id.clone()))
    }

    /// Who presents this token.
    ///
    /// # Errors
    /// [`AccessError::Refused`], which says the same to its caller whatever the reason; [`AccessError::for_the_log`]
    /// says more. Neither repeats what was presented.
    pub fn authenticate(&self, presented: &str) -> Result<Bearer, AccessError> {
        let _ = presented;
        Err(AccessError::Refused { why: crate::Refusal::Unknown, id: None })
    }
}
