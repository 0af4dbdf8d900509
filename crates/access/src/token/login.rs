//! Tokens that people get by signing in.

use std::sync::Arc;
use std::time::Duration;

use autoshare_core::budget::{Budget, Rate};
use autoshare_core::{PersonId, TenantName, TokenId};

use super::record::Maker;
use super::shelf::Shelf;
use super::{Grant, Minted, Scope, Tokens, now_ms};
use crate::{AccessError, LoginRefusal, SignedIn};

/// Tokens that one person holds at once at most. Who signs in once more loses the oldest.
pub const MAX_SESSIONS: usize = 16;

/// What a person gets by signing in.
#[derive(Debug)]
pub struct Session {
    /// The token, as it is presented. This is the only time that it can be seen.
    pub minted: Minted,
    /// Who signed in.
    pub person: PersonId,
    /// What they are called.
    pub name: String,
    /// What the token may be used for.
    pub scopes: Vec<Scope>,
    /// When it ends: milliseconds since 1970 (UTC).
    pub expires_ms: u64,
}

impl Tokens {
    /// Lets whom a provider vouches for in to `tenant`: makes a token that ends after `length`, with what the person's roles
    /// and groups come to. It is refused as soon as they come to less. Tokens of theirs that have ended are removed.
    ///
    /// # Errors
    /// [`AccessError::Login`], which says the same whether there is no such tenant, no such person, or nothing that they may
    /// do; [`AccessError::for_the_log`] says more. Any other is this machine's trouble.
    pub fn log_in(&self, tenant: &TenantName, who: &SignedIn, length: Duration) -> Result<Session, AccessError> {
        let refused = |why| AccessError::Login { why };
        if !self.tenants.is_served(tenant)? {
            return Err(refused(LoginRefusal::Tenant));
        }
        let known = self.people.sign_in(tenant, who)?.ok_or_else(|| refused(LoginRefusal::Person))?;
        let (person, name) = (known.person.id.clone(), known.person.name.clone());
        let scopes = Some(known.scopes.clone()).filter(|scopes| !scopes.is_empty());
        let scopes = scopes.ok_or_else(|| refused(LoginRefusal::Nothing))?;
        let now_ms = now_ms();
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1);
        let expires_ms = now_ms.saturating_add(length);
        let grant = Grant {
            name: name.clone(),
            expires_ms: Some(expires_ms),
            scopes: scopes.clone(),
            models: Vec::new(),
            budget: Budget::NONE,
            rate: Rate::NONE,
            certificate: None,
        };
        grant.check(tenant, now_ms)?;
        let shelf = Shelf::made(&self.data, tenant)?;
        let _alone = shelf.lock()?;
        self.make_room(&shelf, tenant, &person, now_ms)?;
        let minted = self.create(&shelf, tenant, &grant, &Maker::Login(person.clone()), now_ms)?;
        Ok(Session { minted, person, name, scopes, expires_ms })
    }

    /// Removes what a person's tokens that have ended leave, and of the others the oldest if there are too many; with each
    /// those below it, which end with it.
    fn make_room(&self, shelf: &Shelf, tenant: &TenantName, person: &PersonId, now_ms: u64) -> Result<(), AccessError> {
        let mut all = Vec::new();
        for id in shelf.ids()? {
            all.extend(self.load(tenant, &id)?.map(|read| Arc::clone(&read.record)));
        }
        let own = all.iter().filter(|record| record.person.as_ref() == Some(person));
        let (ended, mut standing): (Vec<_>, Vec<_>) = own.partition(|record| record.ended(now_ms).is_some());
        standing.sort_by_key(|record| record.created_ms);
        let surplus = (standing.len() + 1).saturating_sub(MAX_SESSIONS);
        let gone = ended.into_iter().chain(standing.into_iter().take(surplus));
        let mut gone: Vec<TokenId> = gone.map(|record| record.id.clone()).collect();
        while let Some(id) = gone.pop() {
            let below = all.iter().filter(|record| record.issuer.as_ref() == Some(&id));
            gone.extend(below.map(|record| record.id.clone()));
            self.drop_entries(tenant, &id)?;
            shelf.remove(&id)?;
        }
        Ok(())
    }
}
