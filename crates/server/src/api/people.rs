//! People of a tenant: who may sign in, and as what.

use std::sync::Arc;

use autoshare_access::{Identity, NewPerson, Person, RoleName};
use autoshare_core::audit::Act;
use autoshare_guard::encode::terminal_line;
use hyper::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ask::Ask;
use super::problem::Problem;
use super::route::Answered;
use super::words::{Page, time};
use super::{Done, Faces, blocking, reading};

/// Columns of a text that is shown at most: none is longer.
const SHOWN: usize = 1_024;

/// Somebody to be added: an account, or an address that is invited.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPersonWords {
    /// What they are called: 1 to 64 characters.
    name: String,
    /// What they are: viewer, member, approver, auditor, owner, or a role of this machine's own policy.
    roles: Vec<String>,
    /// The provider of their account, with `subject`.
    issuer: Option<String>,
    /// Their account there.
    subject: Option<String>,
    /// Instead of an account: the address of whoever is invited, which their provider must have verified.
    email: Option<String>,
}

/// Other roles.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RolesWords {
    /// All that they are from now on.
    roles: Vec<String>,
}

/// A person. Texts that came from elsewhere are shown with what would act on a terminal escaped.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PersonWords {
    /// Their id.
    id: String,
    /// What they are called.
    name: String,
    /// What they are.
    roles: Vec<String>,
    /// The provider of their account.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// Their account there.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// The address that is invited and did not come yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// Their groups at the provider, when they signed in last.
    groups: Vec<String>,
    /// When they were added.
    created_at: String,
    /// When they signed in last.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_at: Option<String>,
}

impl From<&Person> for PersonWords {
    fn from(person: &Person) -> Self {
        let shown = |text: &String| terminal_line(text, SHOWN);
        let (issuer, subject, email) = match &person.identity {
            Identity::Account { issuer, subject } => (Some(shown(issuer)), Some(shown(subject)), None),
            Identity::Invited { email } => (None, None, Some(shown(email))),
        };
        Self {
            id: person.id.to_string(),
            name: shown(&person.name),
            roles: person.roles.iter().map(ToString::to_string).collect(),
            issuer,
            subject,
            email,
            groups: person.groups.iter().map(shown).collect(),
            created_at: time(person.created_ms),
            seen_at: person.seen_ms.map(time),
        }
    }
}

fn roles(names: &[String]) -> Result<Vec<RoleName>, Problem> {
    names.iter().map(|name| RoleName::parse(name)).collect::<Result<_, _>>().map_err(Problem::bad)
}

impl NewPersonWords {
    fn person(self) -> Result<NewPerson, Problem> {
        let identity = match (self.issuer, self.subject, self.email) {
            (Some(issuer), Some(subject), None) => Identity::Account { issuer, subject },
            (None, None, Some(email)) => Identity::Invited { email },
            _ => return Err(Problem::bad("say who it is: issuer and subject, or email, and not both")),
        };
        Ok(NewPerson { name: self.name, identity, roles: roles(&self.roles)? })
    }
}

pub(crate) async fn list(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (its, access) = (Arc::clone(&faces), ask.bearer.access.clone());
    let found = reading(&faces, &ask.bearer, move || Ok(its.tokens.people().list(&access)?)).await?;
    Ok(Done::json(&Page::<PersonWords> { items: found.iter().map(Into::into).collect(), next: None }))
}

pub(crate) async fn show(faces: Arc<Faces>, ask: Ask) -> Answered {
    let id = ask.person()?;
    let found = blocking(move || Ok(faces.tokens.people().get(&ask.bearer.access, &id)?)).await?;
    Ok(Done::json(&PersonWords::from(&found)))
}

pub(crate) async fn add(faces: Arc<Faces>, ask: Ask) -> Answered {
    let new = ask.json::<NewPersonWords>()?.person()?;
    let (resident, access) = (faces.resident(&ask).await?, ask.bearer.access.clone());
    let adding = Arc::clone(&faces);
    let person = blocking(move || Ok(adding.tokens.people().add(&access, new)?)).await?;
    faces.note(&resident, ask.entry(Act::PersonAdded, &person.in_trail())).await?;
    Ok(Done::created(format!("/api/v1/people/{}", person.id), &PersonWords::from(&person)))
}

pub(crate) async fn change(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (id, roles) = (ask.person()?, roles(&ask.json::<RolesWords>()?.roles)?);
    let (resident, access) = (faces.resident(&ask).await?, ask.bearer.access.clone());
    let changing = Arc::clone(&faces);
    let person = blocking(move || Ok(changing.tokens.people().set_roles(&access, &id, roles)?)).await?;
    faces.note(&resident, ask.entry(Act::PersonChanged, &person.in_trail())).await?;
    Ok(Done::json(&PersonWords::from(&person)))
}

pub(crate) async fn remove(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (id, resident) = (ask.person()?, faces.resident(&ask).await?);
    let (removing, access, of) = (Arc::clone(&faces), ask.bearer.access.clone(), id.clone());
    blocking(move || Ok(removing.tokens.people().remove(&access, &of)?)).await?;
    faces.note(&resident, ask.entry(Act::PersonRemoved, id.as_str())).await?;
    Ok(Done::status(StatusCode::NO_CONTENT))
}
