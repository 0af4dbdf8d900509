//! What people may do: Cedar policies over their roles and groups.
//!
//! A policy is checked against `policies/people.cedarschema` when it is read. Its actions are [`Scope`]s, without
//! [`Scope::Operator`]: no policy can name that one. One that cannot be evaluated gives nothing.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use autoshare_core::{PersonId, TenantName};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, ParseErrors, PolicyId,
    PolicySet, Request, Schema, ValidationMode, Validator,
};
use miette::Diagnostic;
use serde::{Deserialize, Serialize};

use crate::{AccessError, Scope};

const SCHEMA: &str = include_str!("../policies/people.cedarschema");
const BUILTIN: &str = include_str!("../policies/people.cedar");
/// Bytes of a policy's text at most.
const MAX_TEXT: usize = 256 * 1024;
/// Characters of a role's name at most.
const MAX_ROLE: usize = 32;

/// The name of a role: 1 to 32 of `a-z`, `0-9`, `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleName(String);

impl RoleName {
    /// Parses a name. Whether any policy gives it something, [`RolePolicy::check`] tells.
    ///
    /// # Errors
    /// In words, for any other text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=MAX_ROLE).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{text:?} is no role's name: use 1 to {MAX_ROLE} of a-z, 0-9 and '-'"))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RoleName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<RoleName> for String {
    fn from(role: RoleName) -> Self {
        role.0
    }
}

impl std::str::FromStr for RoleName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

/// What the roles and groups of a person come to.
#[derive(Debug, Clone)]
pub struct RolePolicy {
    set: PolicySet,
    schema: Schema,
    types: Types,
    roles: BTreeSet<RoleName>,
    /// The groups that some policy names.
    groups: BTreeSet<String>,
}

/// The names of the schema.
#[derive(Debug, Clone)]
struct Types {
    person: EntityTypeName,
    role: EntityTypeName,
    group: EntityTypeName,
    tenant: EntityTypeName,
    action: EntityTypeName,
}

impl RolePolicy {
    /// The policy that comes with this program: the roles `viewer`, `member`, `approver`, `auditor`, `owner`.
    ///
    /// # Errors
    /// [`AccessError::RolePolicy`], which would be a fault of this program.
    pub fn builtin() -> Result<Self, AccessError> {
        let fault =
            |why: String| AccessError::RolePolicy(format!("{why}: this is a fault in AutoSHARE, please report it"));
        let name = |text: &str| text.parse().map_err(|why| fault(format!("{text}: {why}")));
        let types = Types {
            person: name("Person")?,
            role: name("Role")?,
            group: name("Group")?,
            tenant: name("Tenant")?,
            action: name("Action")?,
        };
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|why| fault(why.to_string()))?;
        Self { set: PolicySet::new(), schema, types, roles: BTreeSet::new(), groups: BTreeSet::new() }
            .with("builtin", BUILTIN)
    }

    /// This policy with the rules of another text added. Each role that it names is a role from now on.
    ///
    /// # Errors
    /// [`AccessError::RolePolicy`] names the line and what is wrong: no Cedar, or what the schema does not have.
    pub fn with(&self, name: &str, text: &str) -> Result<Self, AccessError> {
        let wrong = |why: &dyn Diagnostic| AccessError::RolePolicy(in_words(text, why));
        if text.len() > MAX_TEXT {
            return Err(AccessError::RolePolicy(format!(
                "it has more than {MAX_TEXT} bytes: take out what is not needed"
            )));
        }
        let read: PolicySet = text.parse().map_err(|why: ParseErrors| wrong(&why))?;
        if read.templates().next().is_some() {
            let why = "it has a ?placeholder, which nothing fills: name whom or what it is about";
            return Err(AccessError::RolePolicy(why.to_owned()));
        }
        // What Cedar only warns of (a rule that never applies, characters that look like others) is wrong too.
        let found = Validator::new(self.schema.clone()).validate(&read, ValidationMode::Strict);
        if let Some(why) = found.validation_errors().next() {
            return Err(wrong(why));
        }
        if let Some(why) = found.validation_warnings().next() {
            return Err(wrong(why));
        }
        let mut all = self.clone();
        for policy in read.policies() {
            for named in policy.entity_literals() {
                let (kind, id) = (named.type_name(), named.id().unescaped());
                if *kind == self.types.role {
                    all.roles.insert(RoleName::parse(id).map_err(AccessError::RolePolicy)?);
                } else if *kind == self.types.group {
                    all.groups.insert(id.to_owned());
                }
            }
            let policy = policy.new_id(PolicyId::new(format!("{name}/{}", policy.id())));
            all.set.add(policy).map_err(|why| AccessError::RolePolicy(why.to_string()))?;
        }
        Ok(all)
    }

    /// The roles that there are.
    pub fn roles(&self) -> impl Iterator<Item = &RoleName> {
        self.roles.iter()
    }

    /// Refuses a role that no policy speaks of: it would give nothing.
    ///
    /// # Errors
    /// [`AccessError::Person`].
    pub fn check(&self, role: &RoleName) -> Result<(), AccessError> {
        if self.roles.contains(role) {
            return Ok(());
        }
        let known: Vec<_> = self.roles.iter().map(RoleName::as_str).collect();
        Err(AccessError::Person(format!("there is no role {role}: use some of {}", known.join(", "))))
    }

    /// What these roles add for a person of `tenant`, at least where no group is named, and at most where all are: what
    /// somebody gives who gives them, whatever groups the person turns out to have.
    pub(crate) fn added(&self, tenant: &TenantName, person: &PersonId, roles: &[RoleName]) -> Vec<Scope> {
        let every: Vec<_> = self.groups.iter().cloned().collect();
        let add = |groups: &[String]| {
            let without = self.scopes(tenant, person, &[], groups);
            self.scopes(tenant, person, roles, groups).into_iter().filter(move |scope| !without.contains(scope))
        };
        add(&[]).chain(add(&every)).collect()
    }

    /// What a person of `tenant` may have a token for.
    pub(crate) fn scopes(
        &self,
        tenant: &TenantName,
        person: &PersonId,
        roles: &[RoleName],
        groups: &[String],
    ) -> Vec<Scope> {
        let types = &self.types;
        let (person, tenant) = (entity(&types.person, person.as_str()), entity(&types.tenant, tenant.as_str()));
        let roles = roles.iter().map(|role| entity(&types.role, role.as_str()));
        let groups = groups.iter().map(|group| entity(&types.group, group));
        let parents: HashSet<EntityUid> = roles.chain(groups).chain([tenant.clone()]).collect();
        let mut all: Vec<_> = parents.iter().map(|uid| Entity::new_no_attrs(uid.clone(), HashSet::new())).collect();
        all.push(Entity::new_no_attrs(person.clone(), parents));
        let Ok(entities) = Entities::from_entities(all, Some(&self.schema)) else { return Vec::new() };
        let may = |scope: &Scope| {
            let action = entity(&types.action, scope.name());
            let (person, tenant) = (person.clone(), tenant.clone());
            // What is no action of the schema is no request: so `operator` is asked about in vain.
            let Ok(request) = Request::new(person, action, tenant, Context::empty(), Some(&self.schema)) else {
                return false;
            };
            let answer = Authorizer::new().is_authorized(&request, &self.set, &entities);
            answer.decision() == Decision::Allow && answer.diagnostics().errors().next().is_none()
        };
        Scope::ALL.into_iter().filter(|scope| *scope != Scope::Operator).filter(may).collect()
    }
}

fn entity(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// A finding, with its line and its advice where it has them.
fn in_words(text: &str, why: &dyn Diagnostic) -> String {
    let at = why.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
    let line = at.map(|at| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count());
    let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let advice = why.help().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{line}{why}{advice}")
}
