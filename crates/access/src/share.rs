//! Shares: what a tenant offers another, and whether that one has accepted it.
//!
//! A share is a marked record among its owner's, which is looked at each time. Who is offered what is found by an index, a
//! folder for each name that something was offered to; it is no authority, and whether there is a tenant of that name is
//! nowhere asked: an offer to nobody looks the same to whoever makes it as one that nobody answers.

use std::path::Path;

use autoshare_core::{Digest, ShareId, TenantName};
use autoshare_vault::private::{Made, Others, PrivateDir};
use autoshare_vault::{TokenMarks, Vault};
use serde::{Deserialize, Serialize};

use crate::marked::{self, Kind};
use crate::token::{now_ms, random};
use crate::{Access, AccessError, Tenants};

const LABEL: &[u8] = b"autoshare/share-record/1";
const ENDING: &str = ".share";
/// A tenant's own shares, in its directory; and the index, in the data directory.
const FOLDER: &str = "shares";
/// Characters of a share's name at most.
const MAX_NAME: usize = 64;
/// Characters of what its owner says of it at most.
const MAX_NOTE: usize = 1_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// How many shares there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareBounds {
    /// Of one owner, offered and accepted: 100.
    pub each: usize,
    /// Of one owner that wait for the answer of one tenant: 10.
    pub waiting: usize,
    /// That reach one tenant, offered and accepted: 200. What is offered beyond them does not reach it.
    pub reaching: usize,
    /// Days that an offer waits: 7.
    pub days: u64,
}

impl Default for ShareBounds {
    fn default() -> Self {
        Self { each: 100, waiting: 10, reaching: 200, days: 7 }
    }
}

/// How a share stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareState {
    /// Its receiver has not answered.
    Offered,
    /// Its receiver has accepted it, and may begin brains with it.
    Accepted,
    /// It is over, and what is left of it is being removed.
    Ending(End),
}

/// Why a share is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Its receiver declined it.
    Declined,
    /// Nobody answered in time.
    Lapsed,
    /// Its owner took it back.
    Revoked,
    /// Its receiver gave it back.
    Returned,
    /// One of both tenants was removed.
    Removed,
    /// What was shared is not there any more.
    Lost,
}

/// A share that somebody wants to offer.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Its id, which its digest covers: [`Shares::new_id`].
    pub id: ShareId,
    /// To whom.
    pub to: TenantName,
    /// What it is called: 1 to 64 characters.
    pub name: String,
    /// What its owner says of it: 1,000 characters at most.
    pub note: String,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What an acceptance must name.
    pub digest: Digest,
}

/// A share as it is on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareRecord {
    /// Its id.
    pub id: ShareId,
    /// Whose it is.
    pub from: TenantName,
    /// Whom it is offered to.
    pub to: TenantName,
    /// What it is called, in its owner's words.
    pub name: String,
    /// What its owner says of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of all that is shown before it is accepted, and of what the files hold.
    pub digest: Digest,
    /// When it was offered: milliseconds since 1970 (UTC).
    pub offered_ms: u64,
    /// How it stands.
    pub state: ShareState,
    /// Whether a trail may lack what was last done with it.
    #[serde(default)]
    pub untold: bool,
}

/// The shares below a data directory. May be shared between threads.
#[derive(Debug)]
pub struct Shares {
    data: PrivateDir,
    marks: TokenMarks,
    tenants: Tenants,
    bounds: ShareBounds,
}

/// The shares of one owner.
struct Shelf {
    owner: TenantName,
    dir: PrivateDir,
}

impl Shares {
    /// The shares below `data_dir`. Reads none yet.
    ///
    /// # Errors
    /// [`AccessError::DataDir`] for a directory that others may touch.
    pub fn open(data_dir: &Path, vault: &Vault, bounds: ShareBounds) -> Result<Self, AccessError> {
        let data = PrivateDir::open(data_dir, Others::MayRead)?;
        let tenants = Tenants::open(data_dir, vault)?;
        Ok(Self { data, marks: vault.token_marks(), tenants, bounds })
    }

    /// An id for a share.
    ///
    /// # Errors
    /// [`AccessError::Random`].
    pub fn new_id(&self) -> Result<ShareId, AccessError> {
        random().map(ShareId::from_random)
    }

    /// Whether the tenant of `access` may offer one more to this one. What is wrong is told before anything is copied.
    ///
    /// # Errors
    /// [`AccessError::TooManyShares`], [`AccessError::Share`] for words that are too long, and an offer to oneself.
    pub fn check(&self, access: &Access, to: &TenantName, name: &str, note: &str) -> Result<(), AccessError> {
        let wrong = |words: String| Err(AccessError::Share(words));
        let lines = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
        if !(1..=MAX_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return wrong(format!("a share's name has 1 to {MAX_NAME} characters, and no control characters"));
        }
        if note.chars().count() > MAX_NOTE || lines(note) {
            return wrong(format!("a share's note has {MAX_NOTE} characters at most, and no control characters"));
        }
        if to == access.tenant() {
            return wrong("a share is for another tenant: name one".to_owned());
        }
        let mine: Vec<ShareRecord> = self.sent(access)?.into_iter().filter(|share| !self.is_over(share)).collect();
        if mine.len() >= self.bounds.each {
            return Err(AccessError::TooManyShares(format!(
                "{} shares are all that a tenant may have ([share] each): end one",
                self.bounds.each
            )));
        }
        let waiting = mine.iter().filter(|share| share.to == *to && share.state == ShareState::Offered).count();
        if waiting >= self.bounds.waiting {
            return Err(AccessError::TooManyShares(format!(
                "{waiting} offers to {to} wait for an answer ([share] waiting): wait for one, or end one"
            )));
        }
        Ok(())
    }

    /// Puts an offer on record.
    ///
    /// # Errors
    /// As [`Shares::check`].
    pub fn offer(&self, access: &Access, offer: Offer) -> Result<ShareRecord, AccessError> {
        let shelf = self.made(access.tenant())?;
        let _alone = marked::lock(&shelf.dir)?;
        self.check(access, &offer.to, &offer.name, &offer.note)?;
        let Offer { id, to, name, note, files, bytes, digest } = offer;
        let (from, offered_ms, state) = (shelf.owner.clone(), now_ms(), ShareState::Offered);
        let record = ShareRecord { id, from, to, name, note, files, bytes, digest, offered_ms, state, untold: true };
        match kind(&shelf.owner).create(&self.marks, &shelf.dir, &file(&record.id), &record)? {
            Made::Now => self.enter(&record).map(|()| record),
            Made::Before => Err(AccessError::Share("this share was offered before".to_owned())),
        }
    }

    /// Enters a share among those that reach its receiver, where there is room.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn enter(&self, share: &ShareRecord) -> Result<(), AccessError> {
        let all = self.data.sub(FOLDER, Others::Nothing)?;
        let _alone = marked::lock(&all)?;
        let index = all.sub(share.to.as_str(), Others::Nothing)?;
        if index.names()?.len() < self.bounds.reaching {
            index.create(share.id.as_str(), share.from.as_str().as_bytes())?;
        }
        Ok(())
    }

    /// The shares that the tenant of `access` offers, oldest first.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn sent(&self, access: &Access) -> Result<Vec<ShareRecord>, AccessError> {
        let Some(shelf) = self.existing(access.tenant())? else { return Ok(Vec::new()) };
        let id = |name: &String| name.strip_suffix(ENDING).and_then(|id| ShareId::parse(id).ok());
        let mut found = Vec::new();
        for id in shelf.dir.names()?.iter().filter_map(id) {
            found.extend(self.read(&shelf, &id)?);
        }
        found.sort_by(|a, b| (a.offered_ms, &a.id).cmp(&(b.offered_ms, &b.id)));
        Ok(found)
    }

    /// The shares that reach the tenant of `access`, oldest first.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn received(&self, access: &Access) -> Result<Vec<ShareRecord>, AccessError> {
        let Some(index) = self.index(access.tenant())? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for id in index.names()?.iter().filter_map(|name| ShareId::parse(name).ok()) {
            found.extend(self.offered(access, &id)?);
        }
        found.sort_by(|a, b| (a.offered_ms, &a.id).cmp(&(b.offered_ms, &b.id)));
        Ok(found)
    }

    /// A share that the tenant of `access` offers, or that reaches it.
    ///
    /// # Errors
    /// [`AccessError::NoShare`], whether there is none or it is others'.
    pub fn get(&self, access: &Access, id: &ShareId) -> Result<ShareRecord, AccessError> {
        let own = self.existing(access.tenant())?.map(|shelf| self.read(&shelf, id)).transpose()?.flatten();
        let found = match own {
            Some(own) => Some(own),
            None => self.offered(access, id)?,
        };
        found.filter(|share| !self.is_over(share)).ok_or_else(|| AccessError::NoShare(id.clone()))
    }

    /// Accepts an offer, as it was shown.
    ///
    /// # Errors
    /// [`AccessError::NoShare`], [`AccessError::OtherShare`], [`AccessError::Share`] for one that does not wait.
    pub fn accept(&self, access: &Access, id: &ShareId, digest: &Digest) -> Result<ShareRecord, AccessError> {
        let share = self.get(access, id)?;
        self.change(&share.from, id, |now| {
            if now.to != *access.tenant() || self.is_over(&now) {
                return Err(AccessError::NoShare(id.clone()));
            }
            if now.digest != *digest {
                return Err(AccessError::OtherShare(id.clone()));
            }
            if now.state != ShareState::Offered {
                return Err(AccessError::Share(format!("share {id} is accepted already")));
            }
            if !self.tenants.is_served(&now.from)? {
                return Err(AccessError::Share(format!("share {id} cannot be accepted now: its owner is not served")));
            }
            Ok(ShareRecord { state: ShareState::Accepted, untold: true, ..now })
        })
    }

    /// Ends a share, from either side: an owner takes it back; a receiver declines it, or gives it back. From then on it is
    /// in force for nobody.
    ///
    /// # Errors
    /// [`AccessError::NoShare`].
    pub fn end(&self, access: &Access, id: &ShareId) -> Result<ShareRecord, AccessError> {
        let share = self.get(access, id)?;
        let why = match (share.from == *access.tenant(), share.state) {
            (true, _) => End::Revoked,
            (false, ShareState::Offered) => End::Declined,
            (false, _) => End::Returned,
        };
        self.end_as(&share, why)
    }

    /// Ends a share for this reason.
    ///
    /// # Errors
    /// [`AccessError::NoShare`] if it is gone.
    pub fn end_as(&self, share: &ShareRecord, why: End) -> Result<ShareRecord, AccessError> {
        self.change(&share.from, &share.id, |now| match now.state {
            ShareState::Ending(_) => Ok(now),
            _ => Ok(ShareRecord { state: ShareState::Ending(why), untold: true, ..now }),
        })
    }

    /// Notes that both trails have it.
    ///
    /// # Errors
    /// [`AccessError::NoShare`] if it is gone.
    pub fn told(&self, share: &ShareRecord) -> Result<(), AccessError> {
        let told = |now: ShareRecord| Ok(ShareRecord { untold: now.untold && now.state != share.state, ..now });
        self.change(&share.from, &share.id, told).map(|_| ())
    }

    /// Forgets a share that is over.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn forget(&self, share: &ShareRecord) -> Result<(), AccessError> {
        if let Some(all) = self.data.existing(FOLDER, Others::Nothing)? {
            let _alone = marked::lock(&all)?;
            if let Some(index) = all.existing(share.to.as_str(), Others::Nothing)? {
                index.remove(share.id.as_str())?;
                if index.names()?.is_empty() {
                    all.remove_dir(share.to.as_str())?;
                }
            }
        }
        if let Some(shelf) = self.existing(&share.from)? {
            shelf.dir.remove(&file(&share.id))?;
        }
        Ok(())
    }

    /// Whether a share that `by` owns is in force for the tenant of `access`: accepted, and its owner is served.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn is_in_force(&self, access: &Access, id: &ShareId, by: &TenantName) -> Result<bool, AccessError> {
        let Some(shelf) = self.existing(by)? else { return Ok(false) };
        let accepted = |share: ShareRecord| share.to == *access.tenant() && share.state == ShareState::Accepted;
        Ok(self.read(&shelf, id)?.is_some_and(accepted) && self.tenants.is_served(by)?)
    }

    /// Whether it is over, be it that nobody answered in time.
    #[must_use]
    pub fn is_over(&self, share: &ShareRecord) -> bool {
        matches!(share.state, ShareState::Ending(_)) || self.has_lapsed(share)
    }

    /// Whether it waited for an answer longer than an offer does.
    #[must_use]
    pub fn has_lapsed(&self, share: &ShareRecord) -> bool {
        let ends = share.offered_ms.saturating_add(self.bounds.days.saturating_mul(DAY_MS));
        share.state == ShareState::Offered && now_ms() >= ends
    }

    /// A share that was offered to the tenant of `access`, since it is there.
    fn offered(&self, access: &Access, id: &ShareId) -> Result<Option<ShareRecord>, AccessError> {
        let Some(index) = self.index(access.tenant())? else { return Ok(None) };
        let Some(bytes) = index.read(id.as_str(), Others::Nothing, 64)? else { return Ok(None) };
        let Some(owner) = std::str::from_utf8(&bytes).ok().and_then(|name| TenantName::parse(name).ok()) else {
            return Ok(None);
        };
        let Some(shelf) = self.existing(&owner)? else { return Ok(None) };
        let since = self.tenants.of(access)?.created_ms;
        let mine = |share: &ShareRecord| share.to == *access.tenant() && share.offered_ms >= since;
        Ok(self.read(&shelf, id)?.filter(mine))
    }

    fn change(
        &self,
        owner: &TenantName,
        id: &ShareId,
        change: impl FnOnce(ShareRecord) -> Result<ShareRecord, AccessError>,
    ) -> Result<ShareRecord, AccessError> {
        let none = || AccessError::NoShare(id.clone());
        let shelf = self.existing(owner)?.ok_or_else(none)?;
        let _alone = marked::lock(&shelf.dir)?;
        let before = self.read(&shelf, id)?.ok_or_else(none)?;
        let record = change(before.clone())?;
        if record != before {
            kind(owner).replace(&self.marks, &shelf.dir, &file(id), &record)?;
        }
        Ok(record)
    }

    fn read(&self, shelf: &Shelf, id: &ShareId) -> Result<Option<ShareRecord>, AccessError> {
        let Some(record) = kind(&shelf.owner).read::<ShareRecord>(&self.marks, &shelf.dir, &file(id))? else {
            return Ok(None);
        };
        // Under its own name, in its own owner's directory.
        if record.id == *id && record.from == shelf.owner {
            Ok(Some(record))
        } else {
            Err(AccessError::Record { path: shelf.dir.path().join(file(id)), why: "its name" })
        }
    }

    fn index(&self, to: &TenantName) -> Result<Option<PrivateDir>, AccessError> {
        let Some(all) = self.data.existing(FOLDER, Others::Nothing)? else { return Ok(None) };
        Ok(all.existing(to.as_str(), Others::Nothing)?)
    }

    fn existing(&self, owner: &TenantName) -> Result<Option<Shelf>, AccessError> {
        let Some(tenants) = self.data.existing("tenants", Others::MayRead)? else { return Ok(None) };
        let Some(own) = tenants.existing(owner.as_str(), Others::MayRead)? else { return Ok(None) };
        let dir = own.existing(FOLDER, Others::Nothing)?;
        Ok(dir.map(|dir| Shelf { owner: owner.clone(), dir }))
    }

    fn made(&self, owner: &TenantName) -> Result<Shelf, AccessError> {
        let own = self.data.sub("tenants", Others::MayRead)?.sub(owner.as_str(), Others::MayRead)?;
        Ok(Shelf { owner: owner.clone(), dir: own.sub(FOLDER, Others::Nothing)? })
    }
}

const fn kind(owner: &TenantName) -> Kind<'_> {
    Kind { label: LABEL, tenant: owner }
}

fn file(id: &ShareId) -> String {
    format!("{id}{ENDING}")
}
