//! People: who may sign in to a tenant, and as what.
//!
//! A person is an account at a provider of identities: its issuer and the subject there, which stay the same for good. An
//! e-mail address is none, since it may be given to somebody else; the provider's word on one is taken once, for an
//! invitation. A person's record is a small file that is looked at each time a token of theirs is presented, so that
//! whoever loses a role in one process has lost it in all.

use std::path::Path;
use std::sync::Arc;

use autoshare_core::{PersonId, TenantName};
use autoshare_vault::private::{Made, Others, PrivateDir};
use autoshare_vault::{TokenMarks, Vault};
use serde::{Deserialize, Serialize};

use crate::marked::{self, Kind, Recent};
use crate::token::{now_ms, random};
use crate::{Access, AccessError, RoleName, RolePolicy, Scope};

/// People of one tenant at most, those invited included.
pub const MAX_PEOPLE: usize = 10_000;
/// Roles of one person at most.
pub const MAX_ROLES: usize = 16;
/// Groups of one person that are kept at most; further ones count for nothing.
pub const MAX_GROUPS: usize = 200;
/// How long an invitation may be taken up: 30 days, in milliseconds.
pub const INVITATION_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Characters of a person's name at most.
const MAX_NAME: usize = 64;
/// Bytes of a text of the provider's at most. A subject has 255 (OpenID Connect Core 1.0, 2), an e-mail address 254.
const MAX_TEXT: usize = 255;
const LABEL: &[u8] = b"autoshare/person-record/1";
const ENDING: &str = ".person";

/// Whom a record is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Identity {
    /// An account: what `iss` and `sub` of its ID tokens say.
    Account {
        /// The provider.
        issuer: String,
        /// The account there.
        subject: String,
    },
    /// Whoever first signs in with this address, which the provider must have verified. Becomes an account then.
    Invited {
        /// The address, in lower case.
        email: String,
    },
}

/// A person as they are on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Their id.
    pub id: PersonId,
    /// The tenant that they may sign in to with it.
    pub tenant: TenantName,
    /// For people; 1 to 64 characters.
    pub name: String,
    /// Who signs in.
    pub identity: Identity,
    /// What the tenant lets them be.
    pub roles: Vec<RoleName>,
    /// The groups that the provider told of when they signed in last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// When they were added: milliseconds since 1970 (UTC).
    pub created_ms: u64,
    /// When they signed in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_ms: Option<u64>,
}

impl Person {
    /// What an audit trail tells of a person: their id and what they are.
    #[must_use]
    pub fn in_trail(&self) -> String {
        let roles: Vec<_> = self.roles.iter().map(RoleName::as_str).collect();
        format!("{}: {}", self.id, roles.join(", "))
    }
}

/// Somebody to be added.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// For people; 1 to 64 characters.
    pub name: String,
    /// Who signs in.
    pub identity: Identity,
    /// What they are.
    pub roles: Vec<RoleName>,
}

/// Whom a provider says somebody is, once that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The provider.
    pub issuer: String,
    /// The account there.
    pub subject: String,
    /// The address, if the provider says that it has verified it.
    pub verified_email: Option<String>,
    /// Their groups there.
    pub groups: Vec<String>,
}

/// A person, and what their roles and groups come to.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) person: Person,
    pub(crate) scopes: Vec<Scope>,
}

/// All people below a data directory. May be shared between threads.
#[derive(Debug)]
pub struct People {
    data: PrivateDir,
    marks: TokenMarks,
    policy: Arc<RolePolicy>,
    read: Recent<(TenantName, PersonId), Known>,
}

impl People {
    /// The people below `data_dir`. Reads none yet.
    ///
    /// # Errors
    /// [`AccessError::DataDir`] for a directory that others may touch.
    pub(crate) fn open(data_dir: &Path, vault: &Vault, policy: Arc<RolePolicy>) -> Result<Self, AccessError> {
        let data = PrivateDir::open(data_dir, Others::MayRead)?;
        Ok(Self { data, marks: vault.token_marks(), policy, read: Recent::default() })
    }

    /// What roles come to.
    #[must_use]
    pub fn policy(&self) -> &RolePolicy {
        &self.policy
    }

    /// Adds a person to the tenant of `access`, or invites one.
    ///
    /// # Errors
    /// [`AccessError::Person`] for what is malformed or there already; [`AccessError::Beyond`] if `access` came from a token
    /// that may not, or that has less than the person would.
    pub fn add(&self, access: &Access, new: NewPerson) -> Result<Person, AccessError> {
        let tenant = access.tenant();
        let NewPerson { name, identity, roles } = new;
        let (name, identity) = (checked_name(&name)?, checked(identity)?);
        let dir = self.made(tenant)?;
        let _alone = marked::lock(&dir)?;
        let all = self.all(tenant, &dir)?;
        if all.len() >= MAX_PEOPLE {
            return Err(AccessError::Person(format!("a tenant has {MAX_PEOPLE} people at most: remove some")));
        }
        if let Some(known) = all.iter().find(|known| known.person.identity == identity) {
            return Err(AccessError::Person(format!("that is {} already: change their roles", known.person.id)));
        }
        loop {
            let id = PersonId::from_random(random()?);
            let roles = self.may_be_given(access, &id, roles.clone(), &[])?;
            let (tenant, name, identity) = (tenant.clone(), name.clone(), identity.clone());
            let person =
                Person { id, tenant, name, identity, roles, groups: Vec::new(), created_ms: now_ms(), seen_ms: None };
            if kind(&person.tenant).create(&self.marks, &dir, &file(&person.id), &person)? == Made::Now {
                return Ok(person);
            }
        }
    }

    /// The people of the tenant, those who came first first.
    ///
    /// # Errors
    /// [`AccessError::Beyond`] if `access` came from a token that may not; those of the disk.
    pub fn list(&self, access: &Access) -> Result<Vec<Person>, AccessError> {
        may(access, &[])?;
        let Some(dir) = self.existing(access.tenant())? else { return Ok(Vec::new()) };
        let mut all: Vec<_> = self.all(access.tenant(), &dir)?.iter().map(|known| known.person.clone()).collect();
        all.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        Ok(all)
    }

    /// One person of the tenant.
    ///
    /// # Errors
    /// [`AccessError::NoPerson`]; [`AccessError::Beyond`] if `access` came from a token that may not.
    pub fn get(&self, access: &Access, id: &PersonId) -> Result<Person, AccessError> {
        let none = || AccessError::NoPerson(id.clone());
        may(access, &[])?;
        let dir = self.existing(access.tenant())?.ok_or_else(none)?;
        self.load(access.tenant(), &dir, id)?.map(|known| known.person.clone()).ok_or_else(none)
    }

    /// Gives a person other roles. What they lose, they lose at once: tokens of theirs that have more are refused.
    ///
    /// # Errors
    /// [`AccessError::NoPerson`]; [`AccessError::Person`] for a role that there is not; [`AccessError::Beyond`] if `access`
    /// came from a token that may not, or that has less than the person has or would; [`AccessError::LastPerson`] if it came
    /// from a token and nobody would be left who has signed in and may add people.
    pub fn set_roles(&self, access: &Access, id: &PersonId, roles: Vec<RoleName>) -> Result<Person, AccessError> {
        self.change(access, id, |person| {
            let roles = self.may_be_given(access, id, roles, &person.groups)?;
            Ok(Person { roles, ..person })
        })
    }

    /// Removes a person, and with that ends what they hold.
    ///
    /// # Errors
    /// As [`People::set_roles`].
    pub fn remove(&self, access: &Access, id: &PersonId) -> Result<(), AccessError> {
        let (dir, _alone, known) = self.to_change(access, id)?;
        self.leave_one(access, &dir, &known, &[])?;
        dir.remove(&file(id))?;
        Ok(())
    }

    /// Who signs in to `tenant` as this account; of an invitation that fits, the account is its person from now on.
    /// `None`: nobody who may.
    pub(crate) fn sign_in(&self, tenant: &TenantName, who: &SignedIn) -> Result<Option<Arc<Known>>, AccessError> {
        let Some(dir) = self.existing(tenant)? else { return Ok(None) };
        let _alone = marked::lock(&dir)?;
        let (issuer, subject) = (who.issuer.clone(), who.subject.clone());
        let Ok(account) = checked(Identity::Account { issuer, subject }) else { return Ok(None) };
        let email = who.verified_email.clone().and_then(|email| checked(Identity::Invited { email }).ok());
        let all = self.all(tenant, &dir)?;
        let now_ms = now_ms();
        let is_invited = |person: &Person| {
            email.as_ref() == Some(&person.identity) && now_ms < person.created_ms.saturating_add(INVITATION_MS)
        };
        let found = all.iter().find(|known| known.person.identity == account);
        let Some(found) = found.or_else(|| all.iter().find(|known| is_invited(&known.person))) else { return Ok(None) };
        let mut groups: Vec<String> = who.groups.iter().filter(|group| is_text(group)).cloned().collect();
        groups.sort();
        groups.dedup();
        groups.truncate(MAX_GROUPS);
        let person = Person { identity: account, groups, seen_ms: Some(now_ms), ..found.person.clone() };
        kind(tenant).replace(&self.marks, &dir, &file(&person.id), &person)?;
        self.load(tenant, &dir, &person.id)
    }

    /// Whether a person is there, and may have all of `scopes` now.
    pub(crate) fn covers(&self, tenant: &TenantName, id: &PersonId, scopes: &[Scope]) -> Result<bool, AccessError> {
        let Some(dir) = self.existing(tenant)? else { return Ok(false) };
        let known = self.load(tenant, &dir, id)?;
        Ok(known.is_some_and(|known| scopes.iter().all(|scope| known.scopes.contains(scope))))
    }

    /// Roles as they are kept, if whoever has `access` may give them.
    fn may_be_given(
        &self,
        access: &Access,
        id: &PersonId,
        mut roles: Vec<RoleName>,
        groups: &[String],
    ) -> Result<Vec<RoleName>, AccessError> {
        roles.sort();
        roles.dedup();
        if roles.len() > MAX_ROLES {
            return Err(AccessError::Person(format!("a person has {MAX_ROLES} roles at most")));
        }
        roles.iter().try_for_each(|role| self.policy.check(role))?;
        may(access, &self.policy.scopes(access.tenant(), id, &roles, groups))?;
        may(access, &self.policy.added(access.tenant(), id, &roles))?;
        Ok(roles)
    }

    /// A person whom whoever has `access` may change, where they are kept, and what keeps everybody else from changing them.
    fn to_change(
        &self,
        access: &Access,
        id: &PersonId,
    ) -> Result<(PrivateDir, std::fs::File, Arc<Known>), AccessError> {
        let none = || AccessError::NoPerson(id.clone());
        may(access, &[])?;
        let dir = self.existing(access.tenant())?.ok_or_else(none)?;
        let alone = marked::lock(&dir)?;
        let known = self.load(access.tenant(), &dir, id)?.ok_or_else(none)?;
        may(access, &known.scopes)?;
        Ok((dir, alone, known))
    }

    fn change(
        &self,
        access: &Access,
        id: &PersonId,
        change: impl FnOnce(Person) -> Result<Person, AccessError>,
    ) -> Result<Person, AccessError> {
        let (dir, _alone, known) = self.to_change(access, id)?;
        let person = change(known.person.clone())?;
        let scopes = self.policy.scopes(access.tenant(), id, &person.roles, &person.groups);
        self.leave_one(access, &dir, &known, &scopes)?;
        kind(access.tenant()).replace(&self.marks, &dir, &file(id), &person)?;
        Ok(person)
    }

    /// Refuses to have `known` come to `scopes` if that leaves nobody who may add people. The operator may.
    fn leave_one(&self, access: &Access, dir: &PrivateDir, known: &Known, scopes: &[Scope]) -> Result<(), AccessError> {
        let counts = |known: &Known| {
            known.scopes.contains(&Scope::People) && matches!(known.person.identity, Identity::Account { .. })
        };
        if access.token().is_none() || !counts(known) || scopes.contains(&Scope::People) {
            return Ok(());
        }
        let all = self.all(access.tenant(), dir)?;
        let is_left = all.iter().any(|other| other.person.id != known.person.id && counts(other));
        if is_left { Ok(()) } else { Err(AccessError::LastPerson(known.person.id.clone())) }
    }

    fn all(&self, tenant: &TenantName, dir: &PrivateDir) -> Result<Vec<Arc<Known>>, AccessError> {
        let id = |name: &String| name.strip_suffix(ENDING).and_then(|id| PersonId::parse(id).ok());
        let ids: Vec<PersonId> = dir.names()?.iter().filter_map(id).collect();
        let all = ids.iter().map(|id| self.load(tenant, dir, id));
        all.filter_map(Result::transpose).collect()
    }

    fn load(&self, tenant: &TenantName, dir: &PrivateDir, id: &PersonId) -> Result<Option<Arc<Known>>, AccessError> {
        let stamp = dir.stamp(&file(id), Others::Nothing)?;
        self.read.get(&(tenant.clone(), id.clone()), stamp, || {
            let Some(person) = kind(tenant).read::<Person>(&self.marks, dir, &file(id))? else { return Ok(None) };
            // Under their own name, in their own tenant's directory.
            if person.id != *id || person.tenant != *tenant {
                return Err(AccessError::Record { path: dir.path().join(file(id)), why: "its name" });
            }
            let scopes = self.policy.scopes(tenant, id, &person.roles, &person.groups);
            Ok(Some(Known { person, scopes }))
        })
    }

    fn existing(&self, tenant: &TenantName) -> Result<Option<PrivateDir>, AccessError> {
        let Some(tenants) = self.data.existing("tenants", Others::MayRead)? else { return Ok(None) };
        let Some(own) = tenants.existing(tenant.as_str(), Others::MayRead)? else { return Ok(None) };
        Ok(own.existing("people", Others::Nothing)?)
    }

    fn made(&self, tenant: &TenantName) -> Result<PrivateDir, AccessError> {
        let tenants = self.data.sub("tenants", Others::MayRead)?;
        Ok(tenants.sub(tenant.as_str(), Others::MayRead)?.sub("people", Others::Nothing)?)
    }
}

/// Refuses whoever has a token that may not change people, or that lacks one of `scopes` itself: nobody gives, or takes,
/// what they have not.
fn may(access: &Access, scopes: &[Scope]) -> Result<(), AccessError> {
    let Some(token) = access.token() else { return Ok(()) };
    match [Scope::People].iter().chain(scopes).find(|scope| !token.scopes.contains(scope)) {
        None => Ok(()),
        Some(scope) => Err(AccessError::Beyond(format!(
            "token {} has not the scope {} itself: ask whoever made it",
            token.id,
            scope.name()
        ))),
    }
}

fn checked_name(name: &str) -> Result<String, AccessError> {
    if (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    let words = format!("a person's name has 1 to {MAX_NAME} characters, and no control characters");
    Err(AccessError::Person(words))
}

fn checked(identity: Identity) -> Result<Identity, AccessError> {
    let wrong = |words: &str| Err(AccessError::Person(words.to_owned()));
    match identity {
        Identity::Account { issuer, subject } => {
            if !is_text(&issuer) || !is_text(&subject) {
                return wrong("issuer and subject have 1 to 255 bytes, and no control characters");
            }
            Ok(Identity::Account { issuer, subject })
        }
        Identity::Invited { email } => {
            let parts = email.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
            if !is_text(&email) || parts.is_none() || email.contains(char::is_whitespace) {
                return wrong("that is no e-mail address");
            }
            Ok(Identity::Invited { email: email.to_ascii_lowercase() })
        }
    }
}

fn is_text(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn file(id: &PersonId) -> String {
    format!("{id}{ENDING}")
}

const fn kind(tenant: &TenantName) -> Kind<'_> {
    Kind { label: LABEL, tenant }
}
