//! The files of tokens: one a token, in `tenants/<tenant>/tokens/`, and an index that says whose each is.

use std::fs::File;

use autoshare_core::{Digest, TenantName, TokenId};
use autoshare_vault::TokenMarks;
use autoshare_vault::private::{Made, Others, PrivateDir, Stamp};
use serde::{Deserialize, Serialize};

use super::TokenRecord;
use crate::AccessError;
use crate::marked::{self, Kind};

const LABEL: &[u8] = b"autoshare/token-record/1";
const ENDING: &str = ".token";
const INDEX: &str = "token-index";
const CERTIFICATES: &str = "certificate-index";
/// Says that the index holds all tokens that were made before there was one.
const WHOLE: &str = ".whole";

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// The mark of id and secret.
    pub(super) secret: String,
    pub(super) record: TokenRecord,
}

/// The tokens of one tenant.
#[derive(Debug)]
pub(super) struct Shelf {
    tenant: TenantName,
    dir: PrivateDir,
}

impl Shelf {
    /// The tokens of `tenant`; `None` if it never had any.
    pub(super) fn existing(data: &PrivateDir, tenant: &TenantName) -> Result<Option<Self>, AccessError> {
        let Some(tenants) = data.existing("tenants", Others::MayRead)? else { return Ok(None) };
        let Some(own) = tenants.existing(tenant.as_str(), Others::MayRead)? else { return Ok(None) };
        let dir = own.existing("tokens", Others::Nothing)?;
        Ok(dir.map(|dir| Self { tenant: tenant.clone(), dir }))
    }

    /// The tokens of `tenant`, with a place for them.
    pub(super) fn made(data: &PrivateDir, tenant: &TenantName) -> Result<Self, AccessError> {
        let dir = data
            .sub("tenants", Others::MayRead)?
            .sub(tenant.as_str(), Others::MayRead)?
            .sub("tokens", Others::Nothing)?;
        Ok(Self { tenant: tenant.clone(), dir })
    }

    pub(super) fn ids(&self) -> Result<Vec<TokenId>, AccessError> {
        let id = |name: &String| name.strip_suffix(ENDING).and_then(|id| TokenId::parse(id).ok());
        Ok(self.dir.names()?.iter().filter_map(id).collect())
    }

    /// What tells whether a token's file is another than it was.
    pub(super) fn stamp(&self, id: &TokenId) -> Result<Option<Stamp>, AccessError> {
        Ok(self.dir.stamp(&name(id), Others::Nothing)?)
    }

    pub(super) fn read(&self, marks: &TokenMarks, id: &TokenId) -> Result<Option<Kept>, AccessError> {
        let Some(kept) = self.kind().read::<Kept>(marks, &self.dir, &name(id))? else { return Ok(None) };
        // Under its own name, in its own tenant's directory.
        if kept.record.id == *id && kept.record.tenant == self.tenant {
            Ok(Some(kept))
        } else {
            Err(AccessError::Record { path: self.dir.path().join(name(id)), why: "its name" })
        }
    }

    /// Makes a token's file, unless the id is taken.
    pub(super) fn create(&self, marks: &TokenMarks, kept: &Kept) -> Result<Made, AccessError> {
        self.kind().create(marks, &self.dir, &name(&kept.record.id), kept)
    }

    /// Removes a token's file.
    pub(super) fn remove(&self, id: &TokenId) -> Result<(), AccessError> {
        self.dir.remove(&name(id))?;
        Ok(())
    }

    /// Replaces a token's file.
    pub(super) fn replace(&self, marks: &TokenMarks, kept: &Kept) -> Result<(), AccessError> {
        self.kind().replace(marks, &self.dir, &name(&kept.record.id), kept)
    }

    pub(super) fn lock(&self) -> Result<File, AccessError> {
        marked::lock(&self.dir)
    }

    fn kind(&self) -> Kind<'_> {
        Kind { label: LABEL, tenant: &self.tenant }
    }
}

fn name(id: &TokenId) -> String {
    format!("{id}{ENDING}")
}

/// What [`Shelf::stamp`] says of a token of `tenant`, without opening the way to it.
pub(super) fn stamp_of(data: &PrivateDir, tenant: &TenantName, id: &TokenId) -> Option<Stamp> {
    data.stamp(&format!("tenants/{tenant}/tokens/{}", name(id)), Others::Nothing).ok().flatten()
}

/// Which tenant a token belongs to: a file for each id, which holds the tenant's name. It is no authority: the token's own
/// record is. It spares a search through all tenants, and keeps an id from being given twice.
#[derive(Debug)]
pub(super) struct Index(PrivateDir);

impl Index {
    /// The index; made of the tokens that there are, where there is none that is whole.
    pub(super) fn open(data: &PrivateDir) -> Result<Self, AccessError> {
        let index = Self(data.sub(INDEX, Others::Nothing)?);
        if index.0.check(WHOLE, Others::Nothing)? {
            return Ok(index);
        }
        for tenant in tenants(data)? {
            for id in Shelf::existing(data, &tenant)?.map(|shelf| shelf.ids()).transpose()?.unwrap_or_default() {
                index.enter(&id, &tenant)?;
            }
        }
        index.0.create(WHOLE, b"")?;
        Ok(index)
    }

    /// Enters an id, unless it is taken.
    pub(super) fn enter(&self, id: &TokenId, tenant: &TenantName) -> Result<Made, AccessError> {
        Ok(self.0.create(id.as_str(), tenant.as_str().as_bytes())?)
    }

    /// Whose a token is said to be.
    pub(super) fn tenant(&self, id: &TokenId) -> Result<Option<TenantName>, AccessError> {
        let Some(bytes) = self.0.read(id.as_str(), Others::Nothing, 64)? else { return Ok(None) };
        Ok(std::str::from_utf8(&bytes).ok().and_then(|name| TenantName::parse(name).ok()))
    }

    /// Forgets an id.
    pub(super) fn forget(&self, id: &TokenId) -> Result<(), AccessError> {
        self.0.remove(id.as_str())?;
        Ok(())
    }
}

/// Which token a certificate is bound to: a file for each certificate's digest, which holds the token's id. It is no
/// authority: the token's own record is.
#[derive(Debug)]
pub(super) struct Certificates(PrivateDir);

impl Certificates {
    pub(super) fn open(data: &PrivateDir) -> Result<Self, AccessError> {
        Ok(Self(data.sub(CERTIFICATES, Others::Nothing)?))
    }

    /// Keeps all others from entering one.
    pub(super) fn lock(&self) -> Result<File, AccessError> {
        marked::lock(&self.0)
    }

    /// Enters a certificate, in place of what was said of it.
    pub(super) fn enter(&self, certificate: &Digest, id: &TokenId) -> Result<(), AccessError> {
        Ok(self.0.replace(&certificate.to_string(), id.as_str().as_bytes())?)
    }

    /// The token that a certificate is said to be bound to.
    pub(super) fn token(&self, certificate: &Digest) -> Result<Option<TokenId>, AccessError> {
        let Some(bytes) = self.0.read(&certificate.to_string(), Others::Nothing, 64)? else { return Ok(None) };
        Ok(std::str::from_utf8(&bytes).ok().and_then(|id| TokenId::parse(id).ok()))
    }

    /// Forgets a certificate.
    pub(super) fn forget(&self, certificate: &Digest) -> Result<(), AccessError> {
        self.0.remove(&certificate.to_string())?;
        Ok(())
    }
}

/// All tenants that have a directory.
fn tenants(data: &PrivateDir) -> Result<Vec<TenantName>, AccessError> {
    let Some(tenants) = data.existing("tenants", Others::MayRead)? else { return Ok(Vec::new()) };
    Ok(tenants.names()?.iter().filter_map(|name| TenantName::parse(name).ok()).collect())
}
