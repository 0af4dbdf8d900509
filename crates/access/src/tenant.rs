//! Tenants: who is served on this machine, and what each may have of it.
//!
//! A tenant is a directory below `tenants/` with a marked record in it, which is looked at each time a token of it is
//! presented, so that one who is suspended by one process is turned away by every other at once. [`LOCAL`] needs no record.

use std::path::Path;
use std::sync::Arc;

use autoshare_core::budget::{Budget, ModelPattern};
use autoshare_core::{TenantName, TokenId};
use autoshare_vault::private::{Made, Others, PrivateDir};
use autoshare_vault::{TokenMarks, Vault};
use serde::{Deserialize, Serialize};

use crate::marked::{self, Kind, Recent};
use crate::token::now_ms;
use crate::{Access, AccessError, LOCAL, Tokens};

/// Tenants of one machine at most.
pub const MAX_TENANTS: usize = 100_000;
/// Patterns of models in one tenant's terms at most.
const MAX_MODELS: usize = 100;
/// Hexadecimal digits of an opaque id: among 10,000 tenants, two are alike once in six million machines.
const OPAQUE_DIGITS: usize = 12;
const LABEL: &[u8] = b"autoshare/tenant-record/1";
const FILE: &str = "tenant";
const NUMBER: &str = ".number";

/// The right over all tenants of a data directory: its owner's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    pub(crate) token: Option<TokenId>,
}

impl Operator {
    /// The owner of `data_dir`, at a terminal of this machine.
    ///
    /// # Errors
    /// As [`Access::local`].
    pub fn local(data_dir: &Path) -> Result<Self, AccessError> {
        Access::local(data_dir).map(|_| Self { token: None })
    }

    /// The token by which it was got; `None` at the terminal.
    #[must_use]
    pub const fn token(&self) -> Option<&TokenId> {
        self.token.as_ref()
    }
}

/// What a tenant may have of the machine. What a number leaves open, the settings of the machine say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Terms {
    /// Its share where tenants wait for the same thing, beside those of the others: 1 to 1,000; 100.
    pub weight: u32,
    /// Requests to the API a minute at most; those of the settings where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Brains that are awake at once at most; 16.
    pub awake: u32,
    /// Brains that it may have in all, those that ended included; 100,000.
    pub brains: u64,
    /// Bytes of all its workspaces at most; 10 GiB.
    pub disk_bytes: u64,
    /// The models that it may name. Empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelPattern>,
    /// The model of a brain for which none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it may use.
    #[serde(skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            weight: 100,
            requests_per_minute: None,
            awake: 16,
            brains: 100_000,
            disk_bytes: 10 << 30,
            models: Vec::new(),
            model: None,
            budget: Budget::NONE,
        }
    }
}

impl Terms {
    fn check(&self) -> Result<(), AccessError> {
        let wrong = |words: String| Err(AccessError::Terms(words));
        if !(1..=1_000).contains(&self.weight) {
            return wrong(format!("weight is {}: use 1 to 1000", self.weight));
        }
        if self.awake > 100_000 {
            return wrong(format!("awake is {}: use 0 to 100000", self.awake));
        }
        if self.models.len() > MAX_MODELS {
            return wrong(format!("a tenant's terms name {MAX_MODELS} patterns of models at most"));
        }
        if self.model.as_ref().is_some_and(|model| model.is_empty() || model.len() > ModelPattern::MAX) {
            return wrong(format!("a model's name has 1 to {} bytes", ModelPattern::MAX));
        }
        if self.requests_per_minute.is_some_and(|requests| !(1..=10_000_000).contains(&requests)) {
            return wrong("requests_per_minute: use 1 to 10000000".to_owned());
        }
        Ok(())
    }

    /// Whether a brain or a program of the tenant may name `model`.
    #[must_use]
    pub fn allows_model(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| pattern.matches(model))
    }
}

/// Whether a tenant is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantState {
    /// It is.
    Active,
    /// Its tokens are refused and its brains rest; nothing of it is lost.
    Suspended,
    /// It is being removed: as suspended, for good.
    Leaving,
}

/// A tenant as it is on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantRecord {
    /// Its name.
    pub name: TenantName,
    /// Its number, which no other tenant of this machine has or had: its cells run under a user id that is made of it.
    pub number: u32,
    /// When it was made: milliseconds since 1970 (UTC).
    pub created_ms: u64,
    /// Whether it is served.
    pub state: TenantState,
    /// What it may have.
    pub terms: Terms,
}

/// All tenants below a data directory. May be shared between threads.
#[derive(Debug)]
pub struct Tenants {
    data: PrivateDir,
    marks: TokenMarks,
    read: Recent<TenantName, TenantRecord>,
}

impl Tenants {
    /// The tenants below `data_dir`. Reads none yet.
    ///
    /// # Errors
    /// [`AccessError::DataDir`] for a directory that others may touch.
    pub fn open(data_dir: &Path, vault: &Vault) -> Result<Self, AccessError> {
        let data = PrivateDir::open(data_dir, Others::MayRead)?;
        Ok(Self { data, marks: vault.token_marks(), read: Recent::default() })
    }

    /// What stands for a tenant where its name is to stay unknown: in figures and logs. The same name has the same id on this
    /// machine, and without its key nobody can tell which name it is, nor try names.
    ///
    /// # Errors
    /// None that can happen: [`TokenMarks::mark`].
    pub fn opaque_id(&self, name: &TenantName) -> Result<String, AccessError> {
        let mut id = self.marks.mark(&[b"autoshare/opaque-tenant/1", name.as_str().as_bytes()])?;
        id.truncate(OPAQUE_DIGITS);
        Ok(id)
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// [`AccessError::TenantExists`], [`AccessError::Terms`], and those of the disk.
    pub fn create(&self, _: &Operator, name: &TenantName, terms: Terms) -> Result<Arc<TenantRecord>, AccessError> {
        terms.check()?;
        let all = self.data.sub("tenants", Others::MayRead)?;
        let _alone = marked::lock(&all)?;
        // One of that name that was removed has no directory left; one that has a directory, by whatever way, is there.
        if name.as_str() == LOCAL || all.existing(name.as_str(), Others::MayRead)?.is_some() {
            return Err(AccessError::TenantExists(name.clone()));
        }
        if all.names()?.len() > MAX_TENANTS {
            return Err(AccessError::Terms(format!("a machine has {MAX_TENANTS} tenants at most")));
        }
        let number = self.next_number(&all)?;
        let own = all.sub(name.as_str(), Others::MayRead)?;
        let (created_ms, state) = (now_ms(), TenantState::Active);
        let record = TenantRecord { name: name.clone(), number, created_ms, state, terms };
        match kind(name).create(&self.marks, &own, FILE, &record)? {
            Made::Now => Ok(Arc::new(record)),
            Made::Before => Err(AccessError::TenantExists(name.clone())),
        }
    }

    /// The numbers begin at 1; [`LOCAL`] has 0. One that was given is never given again.
    fn next_number(&self, all: &PrivateDir) -> Result<u32, AccessError> {
        let local = TenantName::parse(LOCAL)?;
        let last: u32 = kind(&local).read(&self.marks, all, NUMBER)?.unwrap_or(0);
        let number = last.checked_add(1).ok_or_else(|| AccessError::Terms("no number is left for a tenant".into()))?;
        kind(&local).replace(&self.marks, all, NUMBER, &number)?;
        Ok(number)
    }

    /// All tenants by name, [`LOCAL`] among them.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn list(&self, _: &Operator) -> Result<Vec<Arc<TenantRecord>>, AccessError> {
        let names = match self.data.existing("tenants", Others::MayRead)? {
            Some(all) => all.names()?,
            None => Vec::new(),
        };
        let mut names: Vec<_> = names.iter().filter_map(|name| TenantName::parse(name).ok()).collect();
        let local = TenantName::parse(LOCAL)?;
        names.retain(|name| *name != local);
        names.push(local);
        names.sort();
        let found = names.iter().map(|name| self.record(name));
        found.filter_map(Result::transpose).collect()
    }

    /// One tenant.
    ///
    /// # Errors
    /// [`AccessError::NoTenant`].
    pub fn get(&self, _: &Operator, name: &TenantName) -> Result<Arc<TenantRecord>, AccessError> {
        self.known(name)
    }

    /// What holds for the tenant of `access`.
    ///
    /// # Errors
    /// [`AccessError::NoTenant`] for one that was removed meanwhile.
    pub fn of(&self, access: &Access) -> Result<Arc<TenantRecord>, AccessError> {
        self.known(access.tenant())
    }

    /// Gives a tenant other terms.
    ///
    /// # Errors
    /// [`AccessError::NoTenant`], [`AccessError::Terms`].
    pub fn set_terms(&self, _: &Operator, name: &TenantName, terms: Terms) -> Result<Arc<TenantRecord>, AccessError> {
        terms.check()?;
        self.change(name, |record| TenantRecord { terms, ..record })
    }

    /// Suspends a tenant, or has it served again. One that is leaving stays so.
    ///
    /// # Errors
    /// [`AccessError::NoTenant`].
    pub fn set_state(
        &self,
        _: &Operator,
        name: &TenantName,
        state: TenantState,
    ) -> Result<Arc<TenantRecord>, AccessError> {
        self.change(name, |record| {
            let state = if record.state == TenantState::Leaving { TenantState::Leaving } else { state };
            TenantRecord { state, ..record }
        })
    }

    /// The right to act for a tenant, whatever its state.
    ///
    /// # Errors
    /// [`AccessError::NoTenant`].
    pub fn access(&self, _: &Operator, name: &TenantName) -> Result<Access, AccessError> {
        self.known(name)?;
        Ok(Access { tenant: name.clone(), token: None, shown: None })
    }

    /// Forgets a tenant that is leaving: its tokens' ids are free, and what is left of its directory are files that its
    /// owner removes with it.
    ///
    /// # Errors
    /// [`AccessError::NoTenant`]; [`AccessError::Terms`] for one that is not leaving.
    pub fn forget(&self, _: &Operator, tokens: &Tokens, name: &TenantName) -> Result<(), AccessError> {
        if self.known(name)?.state != TenantState::Leaving {
            return Err(AccessError::Terms(format!("the tenant {name} is not leaving")));
        }
        tokens.forget(name)
    }

    /// A tenant whose tokens are taken.
    pub(crate) fn served(&self, name: &TenantName) -> Result<Option<Arc<TenantRecord>>, AccessError> {
        Ok(self.record(name)?.filter(|record| record.state == TenantState::Active))
    }

    /// Whether tokens of a tenant are taken.
    pub(crate) fn is_served(&self, name: &TenantName) -> Result<bool, AccessError> {
        Ok(self.served(name)?.is_some())
    }

    fn known(&self, name: &TenantName) -> Result<Arc<TenantRecord>, AccessError> {
        self.record(name)?.ok_or_else(|| AccessError::NoTenant(name.clone()))
    }

    fn change(
        &self,
        name: &TenantName,
        change: impl FnOnce(TenantRecord) -> TenantRecord,
    ) -> Result<Arc<TenantRecord>, AccessError> {
        let all = self.data.sub("tenants", Others::MayRead)?;
        let _alone = marked::lock(&all)?;
        let record = change(TenantRecord::clone(&*self.known(name)?));
        let own = all.sub(name.as_str(), Others::MayRead)?;
        kind(name).replace(&self.marks, &own, FILE, &record)?;
        Ok(Arc::new(record))
    }

    /// A tenant's record, read anew if its file is another than it was.
    fn record(&self, name: &TenantName) -> Result<Option<Arc<TenantRecord>>, AccessError> {
        // Asked at each request: a file with the stamp of one that was read is that one, so the way to it needs no second look.
        let stamp = self.data.stamp(&format!("tenants/{name}/{FILE}"), Others::Nothing).ok().flatten();
        if let Some(known) = stamp.and_then(|stamp| self.read.known(name, stamp)) {
            return Ok(Some(known));
        }
        let own = match self.data.existing("tenants", Others::MayRead)? {
            Some(all) => all.existing(name.as_str(), Others::MayRead)?,
            None => None,
        };
        let stamp = own.as_ref().map(|own| own.stamp(FILE, Others::Nothing)).transpose()?.flatten();
        let read = || {
            let Some(own) = &own else { return Ok(None) };
            let record = kind(name).read::<TenantRecord>(&self.marks, own, FILE)?;
            if record.as_ref().is_some_and(|record| record.name != *name) {
                return Err(AccessError::Record { path: own.path().join(FILE), why: "its name" });
            }
            Ok(record)
        };
        match self.read.get(name, stamp, read)? {
            None if stamp.is_none() && name.as_str() == LOCAL => Ok(Some(Arc::new(local(name.clone())))),
            found => Ok(found),
        }
    }
}

const fn kind(tenant: &TenantName) -> Kind<'_> {
    Kind { label: LABEL, tenant }
}

/// The tenant of whoever owns the data directory: nobody shares the machine with it unless there are others.
fn local(name: TenantName) -> TenantRecord {
    let terms = Terms { awake: 1_000, disk_bytes: u64::MAX, ..Terms::default() };
    TenantRecord { name, number: 0, created_ms: 0, state: TenantState::Active, terms }
}
