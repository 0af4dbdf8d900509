//! What is known of a token.

use autoshare_core::budget::{Account, Budget, Caps, Limit, ModelPattern, Rate, Window};
use autoshare_core::{Digest, PersonId, TenantName, TokenId};
use serde::{Deserialize, Serialize};

use crate::{AccessError, LOCAL, Refusal};

/// Characters of a token's name at most.
const MAX_NAME: usize = 64;
/// Patterns of models in one token at most.
const MAX_MODELS: usize = 100;

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Calls of models through the gateway.
    Gateway,
    /// Minting, listing and revoking tokens below itself.
    Tokens,
    /// Seeing brains, what they did and left, and what was used.
    Read,
    /// Starting brains, speaking to them and ending them; bringing files.
    Brains,
    /// Answering the questions of brains.
    Approve,
    /// Having a step of the Agent Protocol done by a request without a body.
    EmptySteps,
    /// Offering files to other tenants, accepting and ending what is shared.
    Shares,
    /// Reading the audit trail.
    Audit,
    /// Adding people to the tenant, and giving them roles.
    People,
    /// Making, changing and removing tenants. Of tokens that the owner of the data directory made, and no other.
    Operator,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Gateway,
        Self::Tokens,
        Self::Read,
        Self::Brains,
        Self::Approve,
        Self::EmptySteps,
        Self::Shares,
        Self::Audit,
        Self::People,
        Self::Operator,
    ];

    /// Its name, as it is written in requests and at the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Tokens => "tokens",
            Self::Read => "read",
            Self::Brains => "brains",
            Self::Approve => "approve",
            Self::EmptySteps => "empty_steps",
            Self::Shares => "shares",
            Self::Audit => "audit",
            Self::People => "people",
            Self::Operator => "operator",
        }
    }

    /// The scope of a name.
    ///
    /// # Errors
    /// In words, with the names that there are.
    pub fn parse(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|scope| scope.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no scope {name:?}: use some of {names}")
        })
    }
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
    /// The certificate that its bearer must show too, or instead (RFC 8705): the digest of its DER form.
    pub certificate: Option<Digest>,
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
            certificate: None,
        }
    }

    pub(super) fn check(&self, tenant: &TenantName, now_ms: u64) -> Result<(), AccessError> {
        let wrong = |words: String| Err(AccessError::Grant(words));
        let length = self.name.chars().count();
        if !(1..=MAX_NAME).contains(&length) || self.name.chars().any(char::is_control) {
            return wrong(format!("a token's name has 1 to {MAX_NAME} characters, and no control characters"));
        }
        if self.models.len() > MAX_MODELS {
            return wrong(format!("a token names {MAX_MODELS} patterns of models at most"));
        }
        if self.scopes.is_empty() {
            return wrong("a token needs something that it may be used for".to_owned());
        }
        if self.scopes.contains(&Scope::Operator) && tenant.as_str() != LOCAL {
            return wrong(format!("the scope operator is of tokens of the tenant {LOCAL} alone"));
        }
        if self.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
            return wrong("the token would have ended already: give a time to come".to_owned());
        }
        Ok(())
    }

    /// What `issuer` may give of this, with its own limits where nothing is said.
    pub(super) fn below(self, issuer: &TokenRecord) -> Result<Self, AccessError> {
        let beyond = |words: String| AccessError::Beyond(format!("{words}: ask for less, or whoever made the token"));
        if !issuer.scopes.contains(&Scope::Tokens) {
            return Err(beyond(format!("token {} may not make tokens", issuer.id)));
        }
        if let Some(scope) = self.scopes.iter().find(|scope| !issuer.scopes.contains(scope)) {
            return Err(beyond(format!("token {} has not the scope {scope:?} itself", issuer.id)));
        }
        let covered = |pattern: &&ModelPattern| issuer.models.iter().any(|own| own.covers(pattern));
        let models =
            if issuer.models.is_empty() || !self.models.is_empty() { self.models } else { issuer.models.clone() };
        if let Some(pattern) = models.iter().find(|pattern| !issuer.models.is_empty() && !covered(pattern)) {
            return Err(beyond(format!("token {} may not name all models of {pattern} itself", issuer.id)));
        }
        let expires_ms = match (self.expires_ms, issuer.expires_ms) {
            (Some(asked), Some(own)) if asked > own => {
                return Err(beyond(format!("token {} ends before that itself", issuer.id)));
            }
            (asked, own) => asked.or(own),
        };
        let cap = |window: Window| {
            self.budget.hard.of(window).below(*issuer.budget.hard.of(window)).map_err(|(measure, asked, has)| {
                let [asked, has] = [asked, has].map(|amount| measure.words(amount));
                beyond(format!("{asked} a {window} is more than the {has} of token {}", issuer.id))
            })
        };
        let hard = Caps {
            call: cap(Window::Call)?,
            run: cap(Window::Run)?,
            day: cap(Window::Day)?,
            month: cap(Window::Month)?,
        };
        let speed = |asked: Option<u64>, own: Option<u64>, what: &str| match (asked, own) {
            (Some(asked), Some(own)) if asked > own => {
                Err(beyond(format!("{asked} {what} a minute is more than the {own} of token {}", issuer.id)))
            }
            (asked, own) => Ok(asked.or(own)),
        };
        let rate = Rate {
            requests: speed(self.rate.requests, issuer.rate.requests, "requests")?,
            tokens: speed(self.rate.tokens, issuer.rate.tokens, "tokens")?,
        };
        if self.certificate.is_some() && issuer.certificate.is_some() {
            return Err(beyond(format!(
                "token {} is bound to a certificate, and so are those that it makes",
                issuer.id
            )));
        }
        Ok(Self { models, expires_ms, budget: Budget { hard, soft: self.budget.soft }, rate, ..self })
    }

    pub(super) fn record(&self, id: TokenId, tenant: TenantName, maker: Maker, created_ms: u64) -> TokenRecord {
        let Self { name, expires_ms, scopes, models, budget, rate, certificate } = self.clone();
        let (issuer, person) = match maker {
            Maker::Owner => (None, None),
            Maker::Token(id) => (Some(id), None),
            Maker::Login(id) => (None, Some(id)),
        };
        TokenRecord {
            id,
            name,
            tenant,
            issuer,
            person,
            certificate,
            created_ms,
            expires_ms,
            revoked_ms: None,
            scopes,
            models,
            budget,
            rate,
        }
    }
}

/// Who makes a token.
#[derive(Debug, Clone)]
pub(super) enum Maker {
    /// The tenant's owner, or the operator.
    Owner,
    /// Another token, above it.
    Token(TokenId),
    /// A person, by signing in.
    Login(PersonId),
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
    /// Who got it by signing in. It is good for as long as they may have all of its scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
    /// The certificate that its bearer must show too, or instead: the digest of its DER form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Digest>,
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

    /// Why it is good for nothing any more, if it is.
    pub(super) fn ended(&self, now_ms: u64) -> Option<Refusal> {
        if self.revoked_ms.is_some() {
            Some(Refusal::Revoked)
        } else {
            self.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms).then_some(Refusal::Expired)
        }
    }

    /// What holds for this token (not for those above it), for the ledger.
    #[must_use]
    pub fn limit(&self) -> Limit {
        Limit { account: Account::Token(self.id.clone()), budget: self.budget, rate: self.rate }
    }
}
