//! Shares between tenants: a copy that one offers, and that brains of another read once it was accepted.
//!
//! What is offered is copied when it is offered, so that what was accepted is what is read, whatever its owner does to the
//! files later; the copy lies among the owner's workspaces and takes of the owner's disk. Whether it may be shown is asked
//! of its record ([`autoshare_access::Shares`]) before each cell is made, and while one is there. A share that ends is off
//! the record first; then the cells that show it end; then its copy is removed; then it is forgotten. Whatever is killed in
//! between is finished by [`Sharing::mend`].
//!
//! Both tenants' trails tell what is done. A trail that may lack something is told it again when this is mended.

mod driving;
mod snapshots;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use autoshare_access::{
    Access, AccessError, End, Offer, Operator, ShareBounds, ShareRecord, ShareState, Shares, TenantState, Tenants,
};
use autoshare_core::audit::{Act, Actor, Entry};
use autoshare_core::event::{Root, RootMode, Shared};
use autoshare_core::{BrainId, Digest, ShareId, TenantName};
use autoshare_store::Durability;
use autoshare_store::audit::Audit;
use autoshare_vault::Vault;
use autoshare_workspace::Workspace;
pub use autoshare_workspace::{CopyBounds, CopyError, FileEntry as SharedFile};

pub(crate) use self::snapshots::Hold;
use self::snapshots::Snapshots;
use crate::HostError;
use crate::resident::Homes;

/// Shares with which one brain may be begun.
pub const MAX_OF_BRAIN: usize = 16;

/// What whoever accepts a share is told first.
pub const RISK: &str = "These are somebody else's files, and nobody has checked them. They may hold orders for your brain: what \
it reads there is treated as untrusted, whatever it says, and it cannot write there. Once a brain has read them, what it does \
that matters is asked about. A brain that can send may pass on what it knows to whoever wrote them: begin none with them that \
holds secrets. What you accept is what this digest stands for, and does not change. You can end it at any time, and so can \
whoever offers it.";

/// Why something was not done with a share.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// What the record says.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// What is to be shared cannot be.
    #[error("it cannot be shared: {0}")]
    Copy(#[from] CopyError),
    /// The machine.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// How much may be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharingSettings {
    /// How many shares.
    pub bounds: ShareBounds,
    /// Of one share: 1,000 files and folders, 64 MiB.
    pub copy: CopyBounds,
}

impl Default for SharingSettings {
    fn default() -> Self {
        Self { bounds: ShareBounds::default(), copy: CopyBounds { files: 1_000, bytes: 64 << 20 } }
    }
}

/// What somebody offers.
#[derive(Debug, Clone)]
pub struct Offered<'a> {
    /// To whom.
    pub to: &'a TenantName,
    /// What it is called.
    pub name: &'a str,
    /// What is said of it.
    pub note: &'a str,
    /// The workspace that it is in.
    pub workspace: &'a str,
    /// The file or folder there.
    pub path: &'a str,
}

/// The shares of all tenants below one data directory.
pub struct Sharing {
    data_dir: PathBuf,
    vault: Vault,
    operator: Operator,
    tenants: Tenants,
    shares: Shares,
    homes: Homes,
    snapshots: Snapshots,
    settings: SharingSettings,
}

/// Whether somebody else's trail is told yet; it may be waited for, and need not be.
#[derive(Debug)]
pub struct Telling(Option<JoinHandle<()>>);

impl Telling {
    /// Waits until it is.
    pub fn wait(self) {
        let _ = self.0.map(JoinHandle::join);
    }
}

impl Sharing {
    /// The shares below `data_dir`, whose files lie among the workspaces in `homes`.
    ///
    /// # Errors
    /// Those of the data directory.
    pub fn open(data_dir: &Path, homes: Homes, settings: SharingSettings) -> Result<Self, ShareError> {
        let vault = Vault::open(data_dir).map_err(AccessError::from)?;
        Ok(Self {
            data_dir: data_dir.to_owned(),
            operator: Operator::local(data_dir)?,
            tenants: Tenants::open(data_dir, &vault)?,
            shares: Shares::open(data_dir, &vault, settings.bounds)?,
            snapshots: Snapshots::new(homes.clone()),
            homes,
            vault,
            settings,
        })
    }

    /// Offers a copy of what `offered` names, as it is now. Whether there is a tenant of that name makes no difference here;
    /// if there is, its trail is told beside.
    ///
    /// # Errors
    /// [`ShareError`]; then nothing is offered, and nothing is left of the copy.
    pub fn offer(
        self: &Arc<Self>,
        access: &Access,
        by: &Actor,
        offered: &Offered<'_>,
    ) -> Result<(ShareRecord, Telling), ShareError> {
        self.tidy(access)?;
        self.shares.check(access, offered.to, offered.name, offered.note)?;
        let (id, owner) = (self.shares.new_id()?, access.tenant());
        let alone = self.snapshots.make(owner, &id)?;
        let record = self.copied(access, &id, &alone, offered);
        let record = record.inspect_err(|_| {
            // What is left is removed when this is mended.
            let _ = crate::resident::remove_folder(&parent(&self.snapshots.path(owner, &id)), id.as_str());
        })?;
        drop(alone);
        if let Err(error) = self.tell(owner, by, &record, Act::ShareOffered) {
            // What its owner's trail does not tell is not offered.
            let _ = self.end_as(&record, End::Lost);
            return Err(error);
        }
        let (this, told) = (Arc::clone(self), record.clone());
        let telling = std::thread::Builder::new().name("sharing".to_owned()).spawn(move || {
            // Where it fails, it is told when this is mended.
            if this.tell(&told.to, &Actor::Host, &told, Act::ShareOffered).is_ok() {
                let _ = this.shares.told(&told);
            }
        });
        Ok((record, Telling(telling.ok())))
    }

    fn copied(
        &self,
        access: &Access,
        id: &ShareId,
        to: &std::os::fd::OwnedFd,
        offered: &Offered<'_>,
    ) -> Result<ShareRecord, ShareError> {
        let Offered { to: receiver, name, note, workspace, path } = *offered;
        let copy = |workspace: &Workspace| Ok(workspace.copy_to(path, to, self.settings.copy));
        let copied = self.homes.touch(workspace, copy)??;
        let (from, files, bytes) = (access.tenant(), copied.files, copied.bytes);
        let shown = [id.as_str(), from.as_str(), receiver.as_str(), name, note].map(str::as_bytes);
        let parts: Vec<&[u8]> = [&b"autoshare/share/1"[..]].into_iter().chain(shown).collect();
        let digest = Digest::of_parts(&[Digest::of_parts(&parts).as_bytes(), copied.digest.as_bytes()]);
        let offer = Offer {
            id: id.clone(),
            to: receiver.clone(),
            name: name.to_owned(),
            note: note.to_owned(),
            files,
            bytes,
            digest,
        };
        Ok(self.shares.offer(access, offer)?)
    }

    /// The shares that a tenant offers, and those that reach it.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn list(&self, access: &Access) -> Result<Vec<ShareRecord>, ShareError> {
        self.tidy(access)?;
        let all = self.shares.sent(access)?.into_iter().chain(self.shares.received(access)?);
        Ok(all.filter(|share| !self.shares.is_over(share)).collect())
    }

    /// One of them, and its files.
    ///
    /// # Errors
    /// [`AccessError::NoShare`].
    pub fn show(&self, access: &Access, id: &ShareId) -> Result<(ShareRecord, Vec<SharedFile>), ShareError> {
        let share = self.shares.get(access, id)?;
        let files = self.snapshots.files(&share.from, id)?;
        Ok((share, files))
    }

    /// Accepts what was shown.
    ///
    /// # Errors
    /// As [`Shares::accept`].
    pub fn accept(
        &self,
        access: &Access,
        by: &Actor,
        id: &ShareId,
        digest: &Digest,
    ) -> Result<ShareRecord, ShareError> {
        let share = self.shares.get(access, id)?;
        let reader = self.tenants.of(access)?;
        if share.to == reader.name {
            self.snapshots.open_to(&share.from, id, &reader)?;
        }
        let share = self.shares.accept(access, id, digest)?;
        self.tell(&share.to, by, &share, Act::ShareAccepted)?;
        self.tell(&share.from, &Actor::Host, &share, Act::ShareAccepted)?;
        self.shares.told(&share)?;
        Ok(share)
    }

    /// Ends a share, from either side. When this returns, no cell shows it any more, and its copy is gone.
    ///
    /// # Errors
    /// [`AccessError::NoShare`]; [`ShareError::Host`] where it is in force no more and something of it is left, which is
    /// removed when this is mended.
    pub fn end(&self, access: &Access, by: &Actor, id: &ShareId) -> Result<(), ShareError> {
        let share = self.shares.end(access, id)?;
        self.tell(access.tenant(), by, &share, act(&share))?;
        let other = if share.from == *access.tenant() { &share.to } else { &share.from };
        self.tell(other, &Actor::Host, &share, act(&share))?;
        self.finish(&share)
    }

    /// Ends all shares of a tenant that is removed, those that reach it too.
    ///
    /// # Errors
    /// As [`Sharing::end`].
    pub fn end_all(&self, tenant: &TenantName) -> Result<(), ShareError> {
        let access = self.tenants.access(&self.operator, tenant)?;
        let all = self.shares.sent(&access)?.into_iter().chain(self.shares.received(&access)?);
        all.into_iter().try_for_each(|share| self.end_as(&share, End::Removed))
    }

    /// Finishes what was interrupted: removes what is left of shares that are over, of copies that were never offered, and
    /// tells trails what they may lack.
    ///
    /// # Errors
    /// The first of those of single shares; the others are looked after all the same.
    pub fn mend(&self) -> Result<(), ShareError> {
        let mut worst = Ok(());
        for tenant in self.tenants.list(&self.operator)? {
            let mended = self.tenants.access(&self.operator, &tenant.name).map_err(ShareError::from);
            let mended = mended.and_then(|access| self.mend_one(&access));
            worst = worst.and(mended);
        }
        worst
    }

    fn mend_one(&self, owner: &Access) -> Result<(), ShareError> {
        let shares = self.shares.sent(owner)?;
        for share in &shares {
            if !self.snapshots.is_there(&share.from, &share.id) && !self.shares.is_over(share) {
                self.end_as(share, End::Lost)?;
            } else if !self.shares.is_over(share) {
                self.shares.enter(share)?;
                self.tell_again(share)?;
            }
        }
        self.tidy(owner)?;
        for id in self.snapshots.unused(owner.tenant()) {
            if shares.iter().all(|share| share.id != id) {
                self.snapshots.remove(owner.tenant(), &id)?;
            }
        }
        Ok(())
    }

    /// Finishes those shares of a tenant, on either side, that are over.
    fn tidy(&self, access: &Access) -> Result<(), ShareError> {
        let all = self.shares.sent(access)?.into_iter().chain(self.shares.received(access)?);
        for share in all.filter(|share| self.shares.is_over(share)) {
            self.end_as(&share, End::Lapsed)?;
        }
        Ok(())
    }

    /// Ends a share for this reason, unless it has another already.
    fn end_as(&self, share: &ShareRecord, why: End) -> Result<(), ShareError> {
        match self.shares.end_as(share, why) {
            Ok(share) => {
                self.tell_again(&share)?;
                self.finish(&share)
            }
            // Somebody else was faster.
            Err(AccessError::NoShare(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What is left to do of a share that is off the record and told.
    fn finish(&self, share: &ShareRecord) -> Result<(), ShareError> {
        self.snapshots.remove(&share.from, &share.id)?;
        Ok(self.shares.forget(share)?)
    }

    fn tell_again(&self, share: &ShareRecord) -> Result<(), ShareError> {
        if !share.untold {
            return Ok(());
        }
        for tenant in [&share.from, &share.to] {
            self.tell(tenant, &Actor::Host, share, act(share))?;
        }
        Ok(self.shares.told(share)?)
    }

    /// Writes down in the trail of a tenant what was done with a share; of one that there is not, nowhere.
    fn tell(&self, tenant: &TenantName, by: &Actor, share: &ShareRecord, act: Act) -> Result<(), ShareError> {
        let with = if *tenant == share.from { format!("to {}", share.to) } else { format!("from {}", share.from) };
        let why = match share.state {
            ShareState::Ending(why) => format!(": {why:?}").to_lowercase(),
            ShareState::Offered | ShareState::Accepted => String::new(),
        };
        self.note(tenant, &Entry::new(by.clone(), act, &format!("{} {with}{why}", share.id)))
    }

    fn note(&self, tenant: &TenantName, entry: &Entry) -> Result<(), ShareError> {
        match self.tenants.get(&self.operator, tenant) {
            Ok(record) if record.state != TenantState::Leaving => {}
            // What a tenant had is being destroyed, its trail too.
            Ok(_) | Err(AccessError::NoTenant(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let access = self.tenants.access(&self.operator, tenant)?;
        let audit = Audit::open(&self.data_dir, &access, &self.vault).map_err(HostError::from)?;
        audit.append(&access, entry, Durability::Synced).map_err(HostError::from)?;
        Ok(())
    }

    /// A root for a brain of the tenant of `access` that is begun with a share.
    ///
    /// # Errors
    /// [`AccessError::NoShare`] for one that is not in force for this tenant.
    pub fn root(&self, access: &Access, id: &ShareId) -> Result<Root, ShareError> {
        let share = self.shares.get(access, id)?;
        if share.to != *access.tenant() || !self.shares.is_in_force(access, id, &share.from)? {
            return Err(AccessError::NoShare(id.clone()).into());
        }
        let path = self.snapshots.path(&share.from, id);
        let real = std::fs::canonicalize(&path).ok().and_then(|real| real.to_str().map(str::to_owned));
        let path = real.ok_or_else(|| HostError::Root {
            path: path.display().to_string(),
            why: "what was shared is not there".to_owned(),
        })?;
        Ok(Root { path, mode: RootMode::Read, shared: Some(Shared { id: id.clone(), by: share.from }) })
    }

    /// Writes down on both sides that a brain is begun with a share. The owner learns no more of the brain than that.
    ///
    /// # Errors
    /// Those of the trails.
    pub fn note_use(&self, access: &Access, brain: &BrainId, shared: &Shared) -> Result<(), ShareError> {
        let (own, entry) = (Actor::Brain { id: brain.clone() }, |by, with: &str| {
            Entry::new(by, Act::ShareRead, &format!("{} {with}", shared.id))
        });
        self.note(access.tenant(), &entry(own, &format!("from {}", shared.by)).of_brain(brain))?;
        self.note(&shared.by, &entry(Actor::Host, &format!("to {}", access.tenant())))
    }

    /// Whether a path lies among copies of what tenants share: whoever names it, its words are somebody else's.
    #[must_use]
    pub fn holds(&self, path: &Path) -> bool {
        self.snapshots.holds(path)
    }

    /// Whether a cell of the tenant of `access` may show it. Where that cannot be told, it may not.
    pub(crate) fn is_in_force(&self, access: &Access, shared: &Shared) -> bool {
        self.shares.is_in_force(access, &shared.id, &shared.by).unwrap_or(false)
    }

    /// The right to show it to a cell, if it is in force: asked once it is held, so that whoever ends it either is seen
    /// here, or waits for the cell.
    pub(crate) fn hold(&self, access: &Access, shared: &Shared) -> Option<Hold> {
        self.snapshots.hold(&shared.by, &shared.id).filter(|_| self.is_in_force(access, shared))
    }
}

const fn act(share: &ShareRecord) -> Act {
    match share.state {
        ShareState::Offered => Act::ShareOffered,
        ShareState::Accepted => Act::ShareAccepted,
        ShareState::Ending(End::Revoked) => Act::ShareRevoked,
        ShareState::Ending(End::Declined | End::Lapsed) => Act::ShareDeclined,
        ShareState::Ending(End::Returned | End::Removed | End::Lost) => Act::ShareEnded,
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}
