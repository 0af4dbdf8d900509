//! Tenants, for the operator.

use std::sync::Arc;
use std::time::Duration;

use autoshare_access::{Operator, TenantRecord, TenantState, Terms};
use autoshare_core::TenantName;
use autoshare_core::audit::Act;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ask::Ask;
use super::problem::Problem;
use super::route::Answered;
use super::tokens::NewTokenWords;
use super::words::{Page, time};
use super::{Done, Faces, blocking};

/// How long a tenant's brains may take to come to rest when it is suspended or removed.
const REST: Duration = Duration::from_secs(10);

/// A tenant.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TenantWords {
    /// Its name.
    name: String,
    /// What stands for it in `/metrics` and in the log.
    opaque_id: String,
    /// Its number, from which the user id of its cells is made.
    number: u32,
    /// When it was made.
    created_at: String,
    /// Whether it is served: `active`, `suspended`, `leaving`.
    #[schemars(with = "String")]
    state: TenantState,
    /// What it may have.
    #[schemars(with = "serde_json::Value")]
    terms: Terms,
}

impl TenantWords {
    fn of(faces: &Faces, record: &TenantRecord) -> Self {
        let TenantRecord { name, number, created_ms, state, terms } = record.clone();
        let opaque_id = faces.opaque(&name);
        Self { name: name.to_string(), opaque_id, number, created_at: time(created_ms), state, terms }
    }
}

/// A tenant to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenantWords {
    /// Its name: 1 to 63 of a-z, 0-9 and '-', beginning with a letter.
    name: String,
    /// What it may have; what is left out is as usual.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    terms: Terms,
}

/// What is to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeTenantWords {
    /// Its terms from now on, whole.
    #[schemars(with = "Option<serde_json::Value>")]
    terms: Option<Terms>,
    /// Whether it is not to be served for now.
    suspended: Option<bool>,
}

/// What a removal did.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RemovedWords {
    /// What was destroyed, and what is left of it elsewhere and until when.
    report: Vec<String>,
}

fn operator(ask: &Ask) -> Result<Operator, Problem> {
    ask.bearer.operator().ok_or_else(Problem::nothing)
}

pub(crate) async fn list(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (operator, limit) = (operator(&ask)?, ask.limit()?);
    let after = ask.parsed::<TenantName>("cursor", "what `next` of the page before says")?;
    let tenants = Arc::clone(&faces.tenants);
    let all = blocking(move || Ok(tenants.list(&operator)?)).await?;
    let mut rest = all.iter().filter(|record| after.as_ref().is_none_or(|after| record.name > *after));
    let items: Vec<TenantWords> = rest.by_ref().take(limit).map(|record| TenantWords::of(&faces, record)).collect();
    let next = rest.next().and(items.last()).map(|tenant| tenant.name.clone());
    Ok(Done::json(&Page { items, next }))
}

pub(crate) async fn create(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (operator, asked) = (operator(&ask)?, ask.json::<NewTenantWords>()?);
    let name = TenantName::parse(&asked.name).map_err(|error| Problem::bad(error.to_string()))?;
    let making = Arc::clone(&faces);
    let record = blocking(move || Ok(making.tenants.create(&operator, &name, asked.terms)?)).await?;
    note(&faces, &ask, Act::TenantCreated, &record.name).await?;
    Ok(Done::created(format!("/api/v1/tenants/{}", record.name), &TenantWords::of(&faces, &record)))
}

pub(crate) async fn show(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (operator, name) = (operator(&ask)?, ask.tenant()?);
    let tenants = Arc::clone(&faces.tenants);
    let record = blocking(move || Ok(tenants.get(&operator, &name)?)).await?;
    Ok(Done::json(&TenantWords::of(&faces, &record)))
}

pub(crate) async fn change(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (operator, name, asked) = (operator(&ask)?, ask.tenant()?, ask.json::<ChangeTenantWords>()?);
    if asked.suspended == Some(true) && name == *ask.bearer.access.tenant() {
        return Err(Problem::conflict("a tenant does not suspend itself: its tokens would be worth nothing"));
    }
    let (of, changing) = (name.clone(), Arc::clone(&faces));
    let record = blocking(move || {
        let mut record = changing.tenants.get(&operator, &of)?;
        if let Some(terms) = asked.terms {
            record = changing.tenants.set_terms(&operator, &of, terms)?;
        }
        if let Some(suspended) = asked.suspended {
            let state = if suspended { TenantState::Suspended } else { TenantState::Active };
            record = changing.tenants.set_state(&operator, &of, state)?;
        }
        Ok(record)
    });
    let record = record.await?;
    let act = match asked.suspended {
        Some(true) => Act::TenantSuspended,
        Some(false) => Act::TenantResumed,
        None => Act::TenantChanged,
    };
    note(&faces, &ask, act, &name).await?;
    match asked.suspended {
        Some(true) => faces.residents.evict(&name, REST).await,
        Some(false) => faces.residents.wake_tenant(&faces.operator, &name).await?,
        None => {}
    }
    Ok(Done::json(&TenantWords::of(&faces, &record)))
}

pub(crate) async fn remove(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (operator, name) = (operator(&ask)?, ask.tenant()?);
    if name == *ask.bearer.access.tenant() {
        return Err(Problem::conflict("the tenant of the operator's own tokens is not removed"));
    }
    let (of, leaving, by) = (name.clone(), Arc::clone(&faces), operator.clone());
    blocking(move || Ok(leaving.tenants.set_state(&by, &of, TenantState::Leaving)?)).await?;
    note(&faces, &ask, Act::TenantDeleted, &name).await?;
    faces.residents.evict(&name, REST).await;
    let report = blocking(move || {
        faces.sharing.end_all(&name)?;
        let record = faces.tenants.get(&operator, &name)?;
        faces.residents.forget(&name)?;
        faces.tenants.forget(&operator, &faces.tokens, &name)?;
        faces.homes.remove(&record)?;
        (faces.destroy)(&name).map_err(|why| Problem::trouble(&std::io::Error::other(why)))
    });
    Ok(Done::json(&RemovedWords { report: report.await? }))
}

pub(crate) async fn create_token(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (operator, name) = (operator(&ask)?, ask.tenant()?);
    let grant = ask.json::<NewTokenWords>()?.grant()?;
    let of = Arc::clone(&faces);
    let access = blocking(move || Ok(of.tenants.access(&operator, &name)?)).await?;
    super::tokens::mint(faces, &ask, access, grant).await
}

/// Writes down what the operator did, in the operator's own trail.
async fn note(faces: &Faces, ask: &Ask, act: Act, about: &TenantName) -> Result<(), Problem> {
    let own = faces.resident(ask).await?;
    faces.note(&own, ask.entry(act, about.as_str())).await
}
