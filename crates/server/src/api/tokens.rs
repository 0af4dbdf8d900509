//! Tokens: made below one another, never wider than who makes them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use autoshare_access::{Access, Grant, Minted, Scope, TokenRecord};
use autoshare_core::Digest;
use autoshare_core::audit::Act;
use autoshare_core::budget::{Budget, ModelPattern, Rate};
use hyper::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ask::Ask;
use super::problem::Problem;
use super::route::Answered;
use super::words::{Page, time};
use super::{Done, Faces, blocking, reading};

/// A token, without its secret.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TokenWords {
    /// Its id.
    pub(crate) id: String,
    /// What it is for.
    pub(crate) name: String,
    /// The token that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<String>,
    /// When it was made.
    pub(crate) created_at: String,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<String>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revoked_at: Option<String>,
    /// The person who got it by signing in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) person: Option<String>,
    /// The client certificate that it is bound to: the SHA-256 of its DER form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<String>,
    /// What it may be used for.
    pub(crate) scopes: Vec<&'static str>,
    /// Patterns of the models that it may name; none: all.
    pub(crate) models: Vec<String>,
}

impl From<&TokenRecord> for TokenWords {
    fn from(record: &TokenRecord) -> Self {
        Self {
            id: record.id.to_string(),
            name: record.name.clone(),
            issuer: record.issuer.as_ref().map(ToString::to_string),
            created_at: time(record.created_ms),
            expires_at: record.expires_ms.map(time),
            revoked_at: record.revoked_ms.map(time),
            person: record.person.as_ref().map(ToString::to_string),
            certificate: record.certificate.as_ref().map(ToString::to_string),
            scopes: record.scopes.iter().map(|scope| scope.name()).collect(),
            models: record.models.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A token to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTokenWords {
    /// What it is for: 1 to 64 characters.
    name: String,
    /// What it may be used for: gateway, tokens, read, brains, approve, empty_steps, shares, audit, people, operator.
    scopes: Vec<String>,
    /// Seconds until it ends; missing: when its issuer does, or never.
    expires_in_s: Option<u64>,
    /// Patterns of the models that it may name, `*` for any text; none: those of its issuer.
    #[serde(default)]
    models: Vec<String>,
    /// What it may use, as caps of a call, a run, a day and a month.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    budget: Budget,
    /// How fast, a minute.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    rate: Rate,
    /// The client certificate that it is bound to: the SHA-256 of its DER form, in hexadecimal. It must be the one that is
    /// shown with this request, unless the operator asks.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    certificate: Option<Digest>,
}

/// A token that was just made.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MintedWords {
    /// Its id.
    id: String,
    /// The token, which is shown this once.
    token: String,
}

impl NewTokenWords {
    pub(crate) fn grant(self) -> Result<Grant, Problem> {
        let scopes = self.scopes.iter().map(|name| Scope::parse(name)).collect::<Result<Vec<_>, _>>();
        let models = self.models.iter().map(|text| ModelPattern::parse(text)).collect::<Result<Vec<_>, _>>();
        Ok(Grant {
            name: self.name,
            expires_ms: self.expires_in_s.map(|seconds| now_ms().saturating_add(seconds.saturating_mul(1_000))),
            scopes: scopes.map_err(Problem::bad)?,
            models: models.map_err(Problem::bad)?,
            budget: self.budget,
            rate: self.rate,
            certificate: self.certificate,
        })
    }
}

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn shown(minted: &Minted) -> MintedWords {
    MintedWords { id: minted.id.to_string(), token: minted.token.expose().to_owned() }
}

/// Makes a token for whom `access` is for.
pub(crate) async fn mint(faces: Arc<Faces>, ask: &Ask, access: Access, grant: Grant) -> Answered {
    let resident = faces.residents.of(&access).await?;
    let minting = Arc::clone(&faces);
    let minted = blocking(move || Ok(minting.tokens.mint(&access, grant)?)).await?;
    faces.note(&resident, ask.entry(Act::TokenMinted, minted.id.as_str())).await?;
    Ok(Done { status: StatusCode::CREATED, ..Done::json(&shown(&minted)).secret() })
}

pub(crate) async fn list(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (its, access) = (Arc::clone(&faces), ask.bearer.access.clone());
    let found = reading(&faces, &ask.bearer, move || Ok(its.tokens.list(&access)?)).await?;
    let items = found.iter().map(|record| TokenWords::from(&**record)).collect();
    Ok(Done::json(&Page { items, next: None }))
}

pub(crate) async fn create(faces: Arc<Faces>, ask: Ask) -> Answered {
    let grant = ask.json::<NewTokenWords>()?.grant()?;
    mint(faces, &ask, ask.bearer.access.clone(), grant).await
}

pub(crate) async fn revoke(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (id, resident) = (ask.token()?, faces.resident(&ask).await?);
    let (revoking, access) = (Arc::clone(&faces), ask.bearer.access.clone());
    let of = id.clone();
    blocking(move || Ok(revoking.tokens.revoke(&access, &of)?)).await?;
    faces.note(&resident, ask.entry(Act::TokenRevoked, id.as_str())).await?;
    Ok(Done::status(StatusCode::NO_CONTENT))
}

/// Ends the token by which it is asked.
pub(crate) async fn sign_out(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (id, resident) = (ask.bearer.token.id.clone(), faces.resident(&ask).await?);
    let (ending, access) = (Arc::clone(&faces), ask.bearer.access.clone());
    blocking(move || Ok(ending.tokens.sign_out(&access)?)).await?;
    faces.note(&resident, ask.entry(Act::TokenRevoked, id.as_str())).await?;
    Ok(Done::status(StatusCode::NO_CONTENT))
}

pub(crate) async fn rotate(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (id, resident) = (ask.token()?, faces.resident(&ask).await?);
    let (rotating, access) = (Arc::clone(&faces), ask.bearer.access.clone());
    let of = id.clone();
    let minted = blocking(move || Ok(rotating.tokens.rotate(&access, &of)?)).await?;
    faces.note(&resident, ask.entry(Act::TokenRotated, id.as_str())).await?;
    Ok(Done::json(&shown(&minted)).secret())
}
