//! The tenants whose files are open: a bounded number of all that there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use autoshare_access::{Access, AccessError, Operator, TenantRecord, TenantState, Tenants};
use autoshare_core::{BrainId, Seq, TenantName};
use autoshare_store::ledger::Spent;
use tokio::sync::{Mutex, OnceCell};

use super::{AwakeIndex, BrainView, Phase, Resident, ResidentError, held};
use crate::HostError;

/// How a tenant is opened: everything that it is served with, from its own files alone. Waits for the disk.
pub type Open = Box<dyn Fn(&Access, Arc<TenantRecord>) -> Result<Resident, HostError> + Send + Sync>;

/// How many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResidentsSettings {
    /// Tenants that are open at once at most, beside those that are busy when it is reached: 256.
    pub most: usize,
    /// Tenants that are open at once in any case: 4,096. A further one is told to come later.
    pub limit: usize,
}

impl Default for ResidentsSettings {
    fn default() -> Self {
        Self { most: 256, limit: 4_096 }
    }
}

/// The tenants that are open.
pub struct Residents {
    open: Arc<Open>,
    tenants: Arc<Tenants>,
    index: Arc<AwakeIndex>,
    settings: ResidentsSettings,
    slots: Mutex<BTreeMap<TenantName, Slot>>,
    /// What those used that are closed.
    past: Past,
}

/// What those used that are closed: what it was when they were taken from the slots, and then what came after. Written to by
/// whoever takes one from the slots while these are locked, so that a sum of both lacks nothing.
type Past = Arc<std::sync::Mutex<Spent>>;

#[derive(Clone)]
struct Slot {
    resident: Arc<OnceCell<Arc<Resident>>>,
    used: Instant,
}

impl Residents {
    /// None is open yet.
    #[must_use]
    pub fn new(open: Open, tenants: Arc<Tenants>, index: Arc<AwakeIndex>, settings: ResidentsSettings) -> Self {
        Self { open: Arc::new(open), tenants, index, settings, slots: Mutex::default(), past: Arc::default() }
    }

    /// The tenant of `access`, opened if it is not. One whose terms have changed since is opened anew once it is idle.
    ///
    /// # Errors
    /// [`ResidentError::Full`], and those of opening.
    pub async fn of(&self, access: &Access) -> Result<Arc<Resident>, ResidentError> {
        let record = self.tenants.of(access).map_err(refused)?;
        let name = access.tenant().clone();
        let mut slots = self.slots.lock().await;
        let is_stale = |slot: &mut Slot| {
            let is_other = slot.resident.get().is_some_and(|resident| *resident.record() != *record);
            is_other && is_idle(slot)
        };
        if slots.get_mut(&name).is_some_and(is_stale) {
            self.close_one(slots.remove(&name));
        }
        if !slots.contains_key(&name) && slots.len() >= self.settings.most {
            let idle = slots.iter_mut().filter_map(|(name, slot)| is_idle(slot).then(|| (slot.used, name.clone())));
            match idle.min() {
                Some((_, longest)) => self.close_one(slots.remove(&longest)),
                None if slots.len() >= self.settings.limit => return Err(ResidentError::Full(self.settings.limit)),
                None => {}
            }
        }
        let new = || Slot { resident: Arc::default(), used: Instant::now() };
        let slot = slots.entry(name.clone()).or_insert_with(new);
        slot.used = Instant::now();
        let resident = Arc::clone(&slot.resident);
        drop(slots);
        let opened = resident.get_or_try_init(|| async {
            let (open, access) = (Arc::clone(&self.open), access.clone());
            let opened = tokio::task::spawn_blocking(move || open(&access, record)).await;
            opened.map_err(|error| HostError::Task(error.to_string()))?.map(Arc::new)
        });
        let opened = opened.await.cloned();
        if opened.is_err() {
            // Nothing is kept of one that could not be opened.
            let mut slots = self.slots.lock().await;
            if slots.get(&name).is_some_and(|slot| slot.resident.get().is_none()) {
                slots.remove(&name);
            }
        }
        let opened = opened?;
        // It may have been suspended while it was opened, and then nobody closes this one.
        if self.tenants.of(access).map_err(refused)?.state != TenantState::Active {
            return Err(ResidentError::State("the tenant is not served".to_owned()));
        }
        Ok(opened)
    }

    /// Those that are open now.
    pub async fn open_now(&self) -> Vec<Arc<Resident>> {
        self.slots.lock().await.values().filter_map(|slot| slot.resident.get().cloned()).collect()
    }

    /// Wakes the brains that were awake when the host ended, each from where its journal ends, and gives those that could not
    /// be woken, with the reason.
    ///
    /// # Errors
    /// Those of the index and of the list of tenants.
    pub async fn wake_all(&self, operator: &Operator) -> Result<Vec<(TenantName, BrainId, String)>, ResidentError> {
        let disk = |error| HostError::Store(autoshare_store::StoreError::Vault(error));
        let mut awake: BTreeMap<TenantName, Vec<BrainId>> = BTreeMap::new();
        for (tenant, brain) in self.index.all().map_err(disk)? {
            awake.entry(tenant).or_default().push(brain);
        }
        let is_in_doubt = self.index.is_in_doubt().map_err(disk)?;
        if is_in_doubt {
            for record in self.tenants.list(operator).map_err(refused)? {
                awake.entry(record.name.clone()).or_default();
            }
        }
        let mut left = Vec::new();
        for (tenant, mut brains) in awake {
            let mut fail = |brain: &BrainId, why: String| left.push((tenant.clone(), brain.clone(), why));
            let opened = match self.for_waking(operator, &tenant).await {
                Ok(Some(resident)) => resident,
                // What is suspended rests, and is woken when it is served again.
                Ok(None) => continue,
                Err(error) => {
                    brains.iter().for_each(|brain| fail(brain, error.to_string()));
                    continue;
                }
            };
            if is_in_doubt {
                let resident = Arc::clone(&opened);
                let known = brains.clone();
                let unfinished = tokio::task::spawn_blocking(move || unfinished(&resident, &known)).await;
                brains.extend(unfinished.map_err(|error| HostError::Task(error.to_string()))??);
            }
            for brain in brains {
                match opened.wake(&brain) {
                    Ok(()) => {}
                    Err(error) => fail(&brain, error.to_string()),
                }
            }
        }
        self.index.vouch().map_err(disk)?;
        Ok(left)
    }

    /// Wakes the brains of a tenant that were awake when it was suspended.
    ///
    /// # Errors
    /// Those of opening it, and of the index.
    pub async fn wake_tenant(&self, operator: &Operator, tenant: &TenantName) -> Result<(), ResidentError> {
        let all = self.index.all().map_err(|error| HostError::Store(autoshare_store::StoreError::Vault(error)))?;
        let own = all.into_iter().filter(|(of, _)| of == tenant);
        let Some(resident) = self.for_waking(operator, tenant).await? else { return Ok(()) };
        for (_, brain) in own {
            resident.wake(&brain)?;
        }
        Ok(())
    }

    async fn for_waking(
        &self,
        operator: &Operator,
        tenant: &TenantName,
    ) -> Result<Option<Arc<Resident>>, ResidentError> {
        let record = match self.tenants.get(operator, tenant) {
            Err(AccessError::NoTenant(_)) => return Ok(None),
            other => other.map_err(refused)?,
        };
        if record.state != TenantState::Active {
            return Ok(None);
        }
        let access = self.tenants.access(operator, tenant).map_err(refused)?;
        self.of(&access).await.map(Some)
    }

    /// Has a tenant's brains rest, and closes it.
    pub async fn evict(&self, tenant: &TenantName, within: Duration) {
        let mut slots = self.slots.lock().await;
        let leaving = self.leaving(slots.remove(tenant));
        drop(slots);
        if let Some(leaving) = leaving {
            leaving.resident.rest(within).await;
            leaving.end().await;
        }
    }

    /// What all tenants used since this process began, those that are closed by now among them.
    pub async fn spent(&self) -> Spent {
        let slots = self.slots.lock().await;
        let mut spent = *held(&self.past);
        slots.values().filter_map(|slot| slot.resident.get()).for_each(|open| spent += open.ledger().spent());
        spent
    }

    fn close_one(&self, slot: Option<Slot>) {
        if let Some(leaving) = self.leaving(slot) {
            tokio::spawn(leaving.end());
        }
    }

    /// Takes the brains of a tenant that is removed out of the index of those to wake.
    ///
    /// # Errors
    /// Those of the index.
    pub fn forget(&self, tenant: &TenantName) -> Result<(), ResidentError> {
        let all = self.index.all().map_err(|error| HostError::Store(autoshare_store::StoreError::Vault(error)))?;
        all.iter().filter(|(of, _)| of == tenant).for_each(|(of, brain)| self.index.leave(of, brain));
        Ok(())
    }

    /// One that was taken from the slots, which are locked still.
    fn leaving(&self, slot: Option<Slot>) -> Option<Leaving> {
        let resident = slot?.resident.get().cloned()?;
        let counted = resident.ledger().spent();
        *held(&self.past) += counted;
        Some(Leaving { resident, counted, past: Arc::clone(&self.past) })
    }

    /// Has all brains rest, and closes all tenants.
    pub async fn close(&self, within: Duration) {
        let mut slots = self.slots.lock().await;
        let all: Vec<_> =
            std::mem::take(&mut *slots).into_values().filter_map(|slot| self.leaving(Some(slot))).collect();
        drop(slots);
        let mut resting = tokio::task::JoinSet::new();
        for leaving in all {
            resting.spawn(async move {
                leaving.resident.rest(within).await;
                leaving.end().await;
            });
        }
        while resting.join_next().await.is_some() {}
    }
}

/// Brains of which a journal says that they were interrupted.
fn unfinished(resident: &Resident, known: &[BrainId]) -> Result<Vec<BrainId>, ResidentError> {
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let rows = resident.brains(before.as_ref(), 1_000)?;
        for row in rows.iter().filter(|row| row.records > 0 && !known.contains(&row.id)) {
            let records = resident.records(&row.id, Seq(1))?;
            let view = BrainView::of(&row.id, &records);
            if view.is_some_and(|view| matches!(view.phase, Phase::Open | Phase::Asking)) {
                found.push(row.id.clone());
            }
        }
        match rows.last() {
            Some(row) => before = Some(row.id.clone()),
            None => return Ok(found),
        }
    }
}

/// Whether nobody needs it: no brain is awake, and nobody but its slot holds it.
fn is_idle(slot: &Slot) -> bool {
    let Some(resident) = slot.resident.get() else { return false };
    Arc::strong_count(&slot.resident) == 1 && Arc::strong_count(resident) == 1 && resident.awake() == 0
}

/// A tenant that is being closed.
struct Leaving {
    resident: Arc<Resident>,
    /// What it had used when it was taken from the slots.
    counted: Spent,
    past: Past,
}

impl Leaving {
    /// Closes it when nobody holds it any more.
    async fn end(self) {
        let mut resident = self.resident;
        for _ in 0..100 {
            match Arc::try_unwrap(resident) {
                Ok(own) => {
                    *held(&self.past) += own.ledger().spent().since(&self.counted);
                    return own.close().await;
                }
                Err(shared) => resident = shared,
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn refused(error: AccessError) -> ResidentError {
    ResidentError::State(error.to_string())
}
