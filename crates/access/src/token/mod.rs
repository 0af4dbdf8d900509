//! Tokens: what somebody elsewhere shows to act for a tenant, such as a virtual key of the gateway.
//!
//! A token is never stored, only a mark of it under a key of this machine. Its record is a small file that is looked at
//! each time a token is presented, so that what one process revokes is gone in every other at once. A token may be minted
//! by another; then everything that holds for that one holds for it too, for as long as it lives.

mod login;
mod record;
mod shelf;
mod text;

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use autoshare_core::budget::Limit;
use autoshare_core::{Digest, TenantName, TokenId};
use autoshare_vault::private::{Made, Others, PrivateDir};
use autoshare_vault::{Sensitive, TokenMarks, Vault};

use crate::marked::Recent;
use crate::{Access, AccessError, Operator, People, Refusal, RolePolicy, TenantRecord, Tenants};
pub use login::{MAX_SESSIONS, Session};
use record::Maker;
pub use record::{Grant, Scope, TokenRecord};
use shelf::{Certificates, Index, Kept, Shelf};

/// Tokens of one tenant at most, revoked and expired ones included.
pub const MAX_TOKENS: usize = 10_000;
/// Tokens that stand above one another at most.
pub const MAX_DEPTH: usize = 8;
const SECRET: &[u8] = b"autoshare/token-secret/1";

/// All tokens below a data directory. May be shared between threads.
#[derive(Debug)]
pub struct Tokens {
    data: PrivateDir,
    marks: TokenMarks,
    index: Index,
    certificates: Certificates,
    tenants: Tenants,
    people: People,
    /// No directory is held open for them: a tenant may have ten thousand.
    read: Recent<TokenId, Read>,
}

#[derive(Debug)]
struct Read {
    secret: String,
    record: Arc<TokenRecord>,
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
    /// The tenant, as it was when the token was looked at.
    pub tenant: Arc<TenantRecord>,
    /// The token's record.
    pub token: Arc<TokenRecord>,
    /// What holds for a call: the limits of the token and of every token above it. For `Ledger::reserve`.
    pub limits: Arc<[Limit]>,
    /// The tokens above it, the nearest first.
    above: Vec<Arc<TokenRecord>>,
}

impl Bearer {
    /// Whether the token, and every token above it, may name `model`.
    #[must_use]
    pub fn allows_model(&self, model: &str) -> bool {
        self.token.allows_model(model) && self.above.iter().all(|record| record.allows_model(model))
    }

    /// The right over all tenants, if the token has it.
    #[must_use]
    pub fn operator(&self) -> Option<Operator> {
        let is_owner = self.access.tenant().as_str() == crate::LOCAL;
        (is_owner && self.has(Scope::Operator)).then(|| Operator { token: Some(self.token.id.clone()) })
    }

    /// Whether the token may be used for `scope`.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.token.scopes.contains(&scope)
    }
}

impl Tokens {
    /// The tokens below `data_dir`, where people's roles come to what [`RolePolicy::builtin`] says. Reads none yet.
    ///
    /// # Errors
    /// [`AccessError::DataDir`] for a directory that others may touch.
    pub fn open(data_dir: &Path, vault: &Vault) -> Result<Self, AccessError> {
        Self::with(data_dir, vault, Arc::new(RolePolicy::builtin()?))
    }

    /// The same, where people's roles come to what `policy` says.
    ///
    /// # Errors
    /// As [`Tokens::open`].
    pub fn with(data_dir: &Path, vault: &Vault, policy: Arc<RolePolicy>) -> Result<Self, AccessError> {
        let data = PrivateDir::open(data_dir, Others::MayRead)?;
        let (index, certificates) = (Index::open(&data)?, Certificates::open(&data)?);
        let tenants = Tenants::open(data_dir, vault)?;
        let people = People::open(data_dir, vault, policy)?;
        let (marks, read) = (vault.token_marks(), Recent::default());
        Ok(Self { data, marks, index, certificates, tenants, people, read })
    }

    /// Who may sign in.
    #[must_use]
    pub const fn people(&self) -> &People {
        &self.people
    }

    /// Makes a token for the tenant of `access`. If `access` came from a token, the new one is below it and may have
    /// nothing that it has not; what is not said is taken over from it. It is bound to no certificate but the one that was
    /// shown with the issuer.
    ///
    /// # Errors
    /// [`AccessError::Beyond`] for more than the issuer has, [`AccessError::Grant`] for a malformed grant.
    pub fn mint(&self, access: &Access, grant: Grant) -> Result<Minted, AccessError> {
        let now_ms = now_ms();
        grant.check(access.tenant(), now_ms)?;
        let shelf = Shelf::made(&self.data, access.tenant())?;
        let (grant, maker) = match access.token() {
            None => (grant, Maker::Owner),
            Some(token) => {
                // As it is now: it may have been revoked since.
                let (issuer, above) = self.standing(self.known(&token.id)?, now_ms)?;
                if above.len() + 1 >= MAX_DEPTH {
                    let words = format!("no more than {MAX_DEPTH} tokens may stand above one another");
                    return Err(AccessError::Beyond(words));
                }
                // Else one tenant could have the certificate of another's machine lead to itself, for it is no secret.
                if grant.certificate.is_some() && grant.certificate != access.shown {
                    let words = "a token binds one to the certificate alone that is shown with it: connect with that \
                                 certificate, or ask the operator";
                    return Err(AccessError::Beyond(words.to_owned()));
                }
                (grant.below(&issuer.record)?, Maker::Token(token.id.clone()))
            }
        };
        let _alone = shelf.lock()?;
        self.create(&shelf, access.tenant(), &grant, &maker, now_ms)
    }

    /// Makes a token's file. Whoever calls holds the shelf's lock.
    fn create(
        &self,
        shelf: &Shelf,
        tenant: &TenantName,
        grant: &Grant,
        maker: &Maker,
        now_ms: u64,
    ) -> Result<Minted, AccessError> {
        if shelf.ids()?.len() >= MAX_TOKENS {
            let words = format!("a tenant has {MAX_TOKENS} tokens at most: remove files of revoked ones");
            return Err(AccessError::Grant(words));
        }
        let certificate = grant.certificate.as_ref();
        let _entering = certificate.map(|_| self.certificates.lock()).transpose()?;
        if let Some(certificate) = certificate
            && self.bound_to(certificate)?.is_some()
        {
            let words = "a token is bound to this certificate already: revoke it first, or make another certificate";
            return Err(AccessError::Grant(words.to_owned()));
        }
        loop {
            let id = TokenId::from_random(random()?);
            // An id names one token, whatever the tenant.
            if self.index.enter(&id, tenant)? == Made::Before {
                continue;
            }
            let (minted, secret) = self.secret(id.clone())?;
            let record = grant.record(id, tenant.clone(), maker.clone(), now_ms);
            if shelf.create(&self.marks, &Kept { secret, record })? == Made::Now {
                if let Some(certificate) = certificate {
                    self.certificates.enter(certificate, &minted.id)?;
                }
                return Ok(minted);
            }
        }
    }

    /// The token of a certificate, if it is good for something.
    fn bound_to(&self, certificate: &Digest) -> Result<Option<Arc<Read>>, AccessError> {
        let Some(id) = self.certificates.token(certificate)? else { return Ok(None) };
        match self.known(&id).and_then(|read| self.standing(read, now_ms())) {
            Ok((read, _)) if read.record.certificate.as_ref() == Some(certificate) => Ok(Some(read)),
            Ok(_) | Err(AccessError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The tokens of the tenant, oldest first; of an `access` that came from a token, that one and those below it.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn list(&self, access: &Access) -> Result<Vec<Arc<TokenRecord>>, AccessError> {
        let tenant = access.tenant();
        let Some(shelf) = Shelf::existing(&self.data, tenant)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for id in shelf.ids()? {
            if let Some(read) = self.load(tenant, &id)?
                && self.may_see(access, &read.record)?
            {
                found.push(Arc::clone(&read.record));
            }
        }
        found.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        Ok(found)
    }

    /// Ends a token, and with it every token below it. At once, in every process.
    ///
    /// # Errors
    /// [`AccessError::NoToken`] if it is none of the tenant's.
    pub fn revoke(&self, access: &Access, id: &TokenId) -> Result<(), AccessError> {
        self.change(access, id, |mut kept| {
            kept.record.revoked_ms.get_or_insert(now_ms());
            Ok((kept, ()))
        })
    }

    /// Ends the token that `access` came from, and with it every token below it: whoever holds one may sign out with it,
    /// whatever its scopes. Without a token there is nothing to end.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn sign_out(&self, access: &Access) -> Result<(), AccessError> {
        let Some(token) = access.token() else { return Ok(()) };
        let gone = || AccessError::NoToken(token.id.clone());
        let shelf = Shelf::existing(&self.data, access.tenant())?.ok_or_else(gone)?;
        let _alone = shelf.lock()?;
        let mut kept = shelf.read(&self.marks, &token.id)?.ok_or_else(gone)?;
        kept.record.revoked_ms.get_or_insert(now_ms());
        shelf.replace(&self.marks, &kept)
    }

    /// Gives a token a new secret; the old one ends at once. Id, limits and what was used stay.
    ///
    /// # Errors
    /// [`AccessError::NoToken`] if it is none of the tenant's, [`AccessError::Grant`] if it has ended.
    pub fn rotate(&self, access: &Access, id: &TokenId) -> Result<Minted, AccessError> {
        self.change(access, id, |kept| {
            if kept.record.ended(now_ms()).is_some() {
                let words = format!("token {id} has ended: make a new one with `autoshare token new`");
                return Err(AccessError::Grant(words));
            }
            let (minted, secret) = self.secret(id.clone())?;
            Ok((Kept { secret, ..kept }, minted))
        })
    }

    /// Who presents this token, and no certificate.
    ///
    /// # Errors
    /// As [`Tokens::authenticate_over`].
    pub fn authenticate(&self, presented: &str) -> Result<Bearer, AccessError> {
        self.authenticate_over(Some(presented), None)
    }

    /// Who presents this token over a connection on which this certificate was shown and verified. Without a token, the
    /// certificate is the one that a token is bound to; with one, each token in its line that is bound must be bound to it
    /// (RFC 8705, 3).
    ///
    /// # Errors
    /// [`AccessError::Refused`], which says the same to its caller whatever the reason; [`AccessError::for_the_log`]
    /// says more. Neither repeats what was presented. Any other is this machine's trouble, not for the caller's eyes.
    pub fn authenticate_over(
        &self,
        presented: Option<&str>,
        certificate: Option<&Digest>,
    ) -> Result<Bearer, AccessError> {
        let refused = |why, id| AccessError::Refused { why, id };
        let read = match (presented, certificate) {
            (Some(presented), _) => self.named(presented)?,
            (None, Some(certificate)) => {
                self.bound_to(certificate)?.ok_or_else(|| refused(Refusal::Certificate, None))?
            }
            (None, None) => return Err(refused(Refusal::Malformed, None)),
        };
        let (read, above) = self.standing(read, now_ms())?;
        let (token, id) = (Arc::clone(&read.record), read.record.id.clone());
        let mut bound = std::iter::once(&token).chain(&above).filter_map(|record| record.certificate.as_ref());
        if bound.any(|bound| Some(bound) != certificate) {
            return Err(refused(Refusal::Certificate, Some(id)));
        }
        let tenant = self.tenants.served(&token.tenant)?.ok_or_else(|| refused(Refusal::Suspended, Some(id)))?;
        let limits = limits(&token, &above);
        let access =
            Access { tenant: token.tenant.clone(), token: Some(Arc::clone(&token)), shown: certificate.copied() };
        Ok(Bearer { access, tenant, token, limits, above })
    }

    /// The token whose secret is presented.
    fn named(&self, presented: &str) -> Result<Arc<Read>, AccessError> {
        let refused = |why, id| AccessError::Refused { why, id };
        let (id, secret) = text::parse(presented).ok_or_else(|| refused(Refusal::Malformed, None))?;
        // Before anything is looked up, so that an unknown token takes as long.
        let mark = self.marks.mark(&[SECRET, id.as_str().as_bytes(), secret.as_bytes()])?;
        let read = self.find(&id)?.ok_or_else(|| refused(Refusal::Unknown, Some(id.clone())))?;
        if autoshare_vault::is_same(&mark, &read.secret) { Ok(read) } else { Err(refused(Refusal::Wrong, Some(id))) }
    }

    /// What holds for calls that are charged to a token, as [`Bearer::limits`]; `None` if it has ended, or its tenant is not
    /// served.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn limits(&self, id: &TokenId) -> Result<Option<Arc<[Limit]>>, AccessError> {
        let (read, above) = match self.known(id).and_then(|read| self.standing(read, now_ms())) {
            Ok(standing) => standing,
            Err(AccessError::Refused { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_served = self.tenants.is_served(&read.record.tenant)?;
        Ok(is_served.then(|| limits(&read.record, &above)))
    }

    /// A token that there is.
    fn known(&self, id: &TokenId) -> Result<Arc<Read>, AccessError> {
        self.find(id)?.ok_or_else(|| AccessError::Refused { why: Refusal::Unknown, id: Some(id.clone()) })
    }

    /// A token that has not ended, and those above it, none of which has; of one that a person got, the person may have it
    /// still.
    fn standing(&self, read: Arc<Read>, now_ms: u64) -> Result<(Arc<Read>, Vec<Arc<TokenRecord>>), AccessError> {
        let refused = |why| AccessError::Refused { why, id: Some(read.record.id.clone()) };
        let mut above = Vec::new();
        let mut record = Arc::clone(&read.record);
        loop {
            if let Some(why) = record.ended(now_ms) {
                return Err(refused(why));
            }
            if let Some(person) = &record.person
                && !self.people.covers(&record.tenant, person, &record.scopes)?
            {
                return Err(refused(Refusal::Person));
            }
            let Some(issuer) = &record.issuer else { return Ok((read, above)) };
            let issuer = self.load(&record.tenant, issuer)?.filter(|_| above.len() < MAX_DEPTH);
            record = Arc::clone(&issuer.ok_or_else(|| refused(Refusal::Unknown))?.record);
            above.push(Arc::clone(&record));
        }
    }

    /// Whether `access` reaches a token: the owner's reaches all of the tenant, a token's itself and what is below it.
    fn may_see(&self, access: &Access, record: &TokenRecord) -> Result<bool, AccessError> {
        let Some(token) = access.token() else { return Ok(true) };
        let mut id = record.id.clone();
        for _ in 0..=MAX_DEPTH {
            if id == token.id {
                return Ok(true);
            }
            match self.find(&id)?.and_then(|read| read.record.issuer.clone()) {
                Some(issuer) => id = issuer,
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Forgets the tokens of a tenant that is removed; their files go with its directory.
    pub(crate) fn forget(&self, tenant: &TenantName) -> Result<(), AccessError> {
        let Some(shelf) = Shelf::existing(&self.data, tenant)? else { return Ok(()) };
        for id in shelf.ids()? {
            self.drop_entries(tenant, &id)?;
        }
        Ok(())
    }

    /// Forgets what the indices say of a token.
    fn drop_entries(&self, tenant: &TenantName, id: &TokenId) -> Result<(), AccessError> {
        if let Some(certificate) = self.load(tenant, id)?.and_then(|read| read.record.certificate)
            && self.certificates.token(&certificate)?.as_ref() == Some(id)
        {
            self.certificates.forget(&certificate)?;
        }
        self.index.forget(id)
    }

    fn change<T>(
        &self,
        access: &Access,
        id: &TokenId,
        change: impl FnOnce(Kept) -> Result<(Kept, T), AccessError>,
    ) -> Result<T, AccessError> {
        let none = || AccessError::NoToken(id.clone());
        let shelf = Shelf::existing(&self.data, access.tenant())?.ok_or_else(none)?;
        if let Some(token) = access.token() {
            let (read, _) = self.standing(self.known(&token.id)?, now_ms())?;
            if !read.record.scopes.contains(&Scope::Tokens) {
                return Err(AccessError::Beyond(format!("token {} may not change tokens", token.id)));
            }
        }
        let _alone = shelf.lock()?;
        let kept = shelf.read(&self.marks, id)?.ok_or_else(none)?;
        if !self.may_see(access, &kept.record)? {
            return Err(none());
        }
        let (kept, done) = change(kept)?;
        shelf.replace(&self.marks, &kept)?;
        Ok(done)
    }

    /// A token by its id, whatever the tenant.
    fn find(&self, id: &TokenId) -> Result<Option<Arc<Read>>, AccessError> {
        if let Some(known) = self.read.last(id)
            && let Some(read) = self.load(&known.record.tenant, id)?
        {
            return Ok(Some(read));
        }
        let Some(tenant) = self.index.tenant(id)? else { return Ok(None) };
        self.load(&tenant, id)
    }

    /// A token of one tenant, read anew if its file is another than it was.
    fn load(&self, tenant: &TenantName, id: &TokenId) -> Result<Option<Arc<Read>>, AccessError> {
        // Asked at each request: a file with the stamp of one that was read is that one, so the way to it needs no second look.
        let known = shelf::stamp_of(&self.data, tenant, id).and_then(|stamp| self.read.known(id, stamp));
        if let Some(known) = known.filter(|known| known.record.tenant == *tenant) {
            return Ok(Some(known));
        }
        let Some(shelf) = Shelf::existing(&self.data, tenant)? else { return Ok(None) };
        let read = self.read.get(id, shelf.stamp(id)?, || {
            let kept = shelf.read(&self.marks, id)?;
            Ok(kept.map(|Kept { secret, record }| Read { secret, record: Arc::new(record) }))
        })?;
        Ok(read.filter(|read| read.record.tenant == *tenant))
    }

    /// A new secret for a token: the token as it is presented, and the mark that is kept of it.
    fn secret(&self, id: TokenId) -> Result<(Minted, String), AccessError> {
        let secret = text::secret(&autoshare_vault::Zeroizing::new(random()?));
        let mark = self.marks.mark(&[SECRET, id.as_str().as_bytes(), secret.expose().as_bytes()])?;
        Ok((Minted { token: text::spell(&id, &secret), id }, mark))
    }
}

fn limits(token: &Arc<TokenRecord>, above: &[Arc<TokenRecord>]) -> Arc<[Limit]> {
    std::iter::once(token).chain(above).map(|record| record.limit()).collect()
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], AccessError> {
    let mut bits = [0; N];
    getrandom::fill(&mut bits).map_err(|error| AccessError::Random(error.to_string()))?;
    Ok(bits)
}

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
