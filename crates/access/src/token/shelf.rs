//! The files of tokens: one a token, in `tenants/<tenant>/tokens/`.
//!
//! A file is the mark of the record in hexadecimal, a line break, and the record as JSON. The mark binds the record to
//! its tenant, so one that was edited, or moved to another tenant, is no token.

use std::fs::File;

use autoshare_core::{TenantName, TokenId};
use autoshare_vault::TokenMarks;
use autoshare_vault::private::{Made, Others, PrivateDir, Stamp};
use serde::{Deserialize, Serialize};

use super::TokenRecord;
use crate::AccessError;

/// Bytes of a token's file at most.
const MAX_FILE: usize = 64 * 1024;
const LABEL: &[u8] = b"autoshare/token-record/1";
const LOCK: &str = ".lock";
const ENDING: &str = ".token";

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

    /// All tenants that have a directory.
    pub(super) fn tenants(data: &PrivateDir) -> Result<Vec<TenantName>, AccessError> {
        let Some(tenants) = data.existing("tenants", Others::MayRead)? else { return Ok(Vec::new()) };
        Ok(tenants.names()?.iter().filter_map(|name| TenantName::parse(name).ok()).collect())
    }

    /// Whether both are the same tenant's.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.tenant == other.tenant
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
        let Some(bytes) = self.dir.read(&name(id), Others::Nothing, MAX_FILE)? else { return Ok(None) };
        let wrong = |why| AccessError::Record { path: self.dir.path().join(name(id)), why };
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is no text"))?;
        let (mark, json) = text.split_once('\n').ok_or_else(|| wrong("it is cut off"))?;
        if !marks.is_mark(mark, &self.parts(json))? {
            return Err(wrong("its mark does not fit"));
        }
        let kept: Kept = serde_json::from_str(json).map_err(|_| wrong("a newer autoshare wrote it"))?;
        // Under its own name, in its own tenant's directory.
        if kept.record.id == *id && kept.record.tenant == self.tenant { Ok(Some(kept)) } else { Err(wrong("its name")) }
    }

    /// Makes a token's file, unless the id is taken.
    pub(super) fn create(&self, marks: &TokenMarks, kept: &Kept) -> Result<Made, AccessError> {
        Ok(self.dir.create(&name(&kept.record.id), self.text(marks, kept)?.as_bytes())?)
    }

    /// Replaces a token's file.
    pub(super) fn replace(&self, marks: &TokenMarks, kept: &Kept) -> Result<(), AccessError> {
        Ok(self.dir.replace(&name(&kept.record.id), self.text(marks, kept)?.as_bytes())?)
    }

    /// Keeps everybody else from changing tokens here until it is dropped: a change is read, change, write.
    pub(super) fn lock(&self) -> Result<File, AccessError> {
        let file = self.dir.open_or_create(LOCK, Others::Nothing)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|errno| AccessError::Lock { path: self.dir.path().join(LOCK), source: errno.into() })?;
        Ok(file)
    }

    fn text(&self, marks: &TokenMarks, kept: &Kept) -> Result<String, AccessError> {
        let json = serde_json::to_string(kept).map_err(|error| AccessError::Grant(error.to_string()))?;
        Ok(format!("{}\n{json}", marks.mark(&self.parts(&json))?))
    }

    fn parts<'a>(&'a self, json: &'a str) -> [&'a [u8]; 3] {
        [LABEL, self.tenant.as_str().as_bytes(), json.as_bytes()]
    }
}

fn name(id: &TokenId) -> String {
    format!("{id}{ENDING}")
}
