//! What is known of a token.

use autoshare_core::budget::{Account, Budget, Limit, ModelPattern, Rate};
use autoshare_core::{TenantName, TokenId};
use serde::{Deserialize, Serialize};

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Calls of models through the gateway.
    Gateway,
    /// Minting, listing and revoking tokens below itself.
    Tokens,
}

/// What somebody wants a new token to be.
#[derive(Debug, Clone)]
pub struct Grant {
    /// For people; 1 to 64 characters.
    pub name: String,
    /// When it ends: milliseconds since 1970 (UTC). `None`: when its issuer does, or never.
    pub expires_ms: Option<u64>,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// The models it may name. Empty: those of its issuer, or all.
    pub models: Vec<ModelPattern>,
    /// What it may use.
    pub budget: Budget,
    /// How fast.
    pub rate: Rate,
}

impl Grant {
    /// A token for the gateway without limits of its own.
    #[must_use]
    pub fn gateway(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            expires_ms: None,
            scopes: vec![Scope::Gateway],
            models: Vec::new(),
            budget: Budget::NONE,
            rate: Rate::NONE,
        }
    }
}

/// A token as it is on record. It does not hold the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRecord {
    /// Its id.
    pub id: TokenId,
    /// For people.
    pub name: String,
    /// For which tenant its bearer acts.
    pub tenant: TenantName,
    /// The token that minted it; its limits hold too, and what this one uses is charged to it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<TokenId>,
    /// When it was made: milliseconds since 1970 (UTC).
    pub created_ms: u64,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<u64>,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// The models it may name. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelPattern>,
    /// What it may use.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// How fast.
    #[serde(default, skip_serializing_if = "Rate::is_none")]
    pub rate: Rate,
}

impl TokenRecord {
    /// Whether the list of models of this token (not of those above it) has `model`.
    #[must_use]
    pub fn allows_model(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| pattern.matches(model))
    }

    /// What holds for this token (not for those above it), for the ledger.
    #[must_use]
    pub fn limit(&self) -> Limit {
        Limit { account: Account::Token(self.id.clone()), budget: self.budget, rate: self.rate }
    }
}
