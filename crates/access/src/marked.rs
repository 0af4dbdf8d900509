//! Small records in files of their own: the mark of the record in hexadecimal, a line break, and the record as JSON.
//!
//! The mark binds a record to its kind and its tenant, so one that was edited, or moved to another tenant, is none.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use autoshare_core::TenantName;
use autoshare_vault::TokenMarks;
use autoshare_vault::private::{Made, Others, PrivateDir, Stamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::AccessError;

/// Bytes of a record's file at most.
const MAX_FILE: usize = 64 * 1024;
/// Records of one kind that are kept in memory at most. When there are as many, all are read anew as they are asked for: nobody
/// has so many in use.
const MAX_RECENT: usize = 1 << 16;

/// A kind of record of one tenant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind<'a> {
    /// What it is, with its version.
    pub(crate) label: &'static [u8],
    /// Whose.
    pub(crate) tenant: &'a TenantName,
}

impl Kind<'_> {
    /// The record in the file `name`, if there is one.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        marks: &TokenMarks,
        dir: &PrivateDir,
        name: &str,
    ) -> Result<Option<T>, AccessError> {
        let Some(bytes) = dir.read(name, Others::Nothing, MAX_FILE)? else { return Ok(None) };
        let wrong = |why| AccessError::Record { path: dir.path().join(name), why };
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is no text"))?;
        let (mark, json) = text.split_once('\n').ok_or_else(|| wrong("it is cut off"))?;
        if !marks.is_mark(mark, &self.parts(json))? {
            return Err(wrong("its mark does not fit"));
        }
        serde_json::from_str(json).map(Some).map_err(|_| wrong("a newer autoshare wrote it"))
    }

    /// Makes a file with a record, unless there is one.
    pub(crate) fn create(
        &self,
        marks: &TokenMarks,
        dir: &PrivateDir,
        name: &str,
        record: &impl Serialize,
    ) -> Result<Made, AccessError> {
        Ok(dir.create(name, self.text(marks, record)?.as_bytes())?)
    }

    /// Replaces the record in a file.
    pub(crate) fn replace(
        &self,
        marks: &TokenMarks,
        dir: &PrivateDir,
        name: &str,
        record: &impl Serialize,
    ) -> Result<(), AccessError> {
        Ok(dir.replace(name, self.text(marks, record)?.as_bytes())?)
    }

    fn text(&self, marks: &TokenMarks, record: &impl Serialize) -> Result<String, AccessError> {
        let json = serde_json::to_string(record).map_err(|error| AccessError::Grant(error.to_string()))?;
        Ok(format!("{}\n{json}", marks.mark(&self.parts(&json))?))
    }

    fn parts<'a>(&'a self, json: &'a str) -> [&'a [u8]; 3] {
        [self.label, self.tenant.as_str().as_bytes(), json.as_bytes()]
    }
}

/// What was read of records, each for as long as its file's stamp is the same.
#[derive(Debug)]
pub(crate) struct Recent<K, T>(RwLock<HashMap<K, (Stamp, Arc<T>)>>);

impl<K, T> Default for Recent<K, T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Hash + Eq + Clone, T> Recent<K, T> {
    /// What was read last, whatever the file says now.
    pub(crate) fn last(&self, key: &K) -> Option<Arc<T>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(key).map(|(_, known)| Arc::clone(known))
    }

    /// What was read of the file with this stamp.
    pub(crate) fn known(&self, key: &K, stamp: Stamp) -> Option<Arc<T>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(known, _)| *known == stamp).map(|(_, known)| Arc::clone(known))
    }

    /// What the file with this stamp says; `None` without a file. The stamp was taken before it is read: of a file that is
    /// replaced meanwhile, the next look sees another.
    pub(crate) fn get(
        &self,
        key: &K,
        stamp: Option<Stamp>,
        read: impl FnOnce() -> Result<Option<T>, AccessError>,
    ) -> Result<Option<Arc<T>>, AccessError> {
        let Some(stamp) = stamp else {
            self.0.write().unwrap_or_else(PoisonError::into_inner).remove(key);
            return Ok(None);
        };
        if let Some(known) = self.known(key, stamp) {
            return Ok(Some(known));
        }
        let Some(read) = read()?.map(Arc::new) else { return Ok(None) };
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_RECENT && !kept.contains_key(key) {
            kept.clear();
        }
        kept.insert(key.clone(), (stamp, Arc::clone(&read)));
        Ok(Some(read))
    }
}

/// Keeps everybody else from changing the records in `dir` until it is dropped: a change is read, change, write.
pub(crate) fn lock(dir: &PrivateDir) -> Result<std::fs::File, AccessError> {
    const LOCK: &str = ".lock";
    let file = dir.open_or_create(LOCK, Others::Nothing)?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|errno| AccessError::Lock { path: dir.path().join(LOCK), source: errno.into() })?;
    Ok(file)
}
