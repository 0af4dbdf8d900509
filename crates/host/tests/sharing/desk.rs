//! Tenants of one data directory that share files, the receiver with brains in real cells.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use autoshare_access::{Access, Operator, ShareRecord, Tenants, Terms};
use autoshare_broker::Broker;
use autoshare_broker::gateway::{Gateway, GatewaySettings};
use autoshare_core::audit::Actor;
use autoshare_core::event::{AskMode, Event};
use autoshare_core::usage::{Limits, Quota};
use autoshare_core::{BrainId, Seq, ShareId, TenantName};
use autoshare_host::calls::Calls;
use autoshare_host::resident::{AwakeIndex, Begin, Homes, NewBrain, Phase, Resident, ResidentError, ResidentParts};
use autoshare_host::shares::{Offered, ShareError, Sharing, SharingSettings};
use autoshare_host::{Auditor, Host};
use autoshare_sandbox::{Launcher, Tier};
use autoshare_store::Store;
use autoshare_store::audit::Audit;
use autoshare_store::ledger::{Budgets, Ledger};
use autoshare_testkit::ScriptedModel;
use autoshare_vault::Vault;

pub(crate) struct Desk {
    pub(crate) data: PathBuf,
    pub(crate) homes: Homes,
    pub(crate) sharing: Arc<Sharing>,
    operator: Operator,
    pub(crate) tenants: Tenants,
    base: tempfile::TempDir,
}

pub(crate) fn name(text: &str) -> TenantName {
    TenantName::parse(text).unwrap()
}

pub(crate) fn ann() -> Actor {
    Actor::Local { login: "ann".into() }
}

impl Desk {
    pub(crate) fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        // Cells of other users pass through it.
        std::fs::set_permissions(base.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
        let data = base.path().join("data");
        let vault = Vault::open(&data).unwrap();
        let tenants = Tenants::open(&data, &vault).unwrap();
        let operator = Operator::local(&data).unwrap();
        for tenant in ["acme", "bolt", "cube"] {
            tenants.create(&operator, &name(tenant), Terms::default()).unwrap();
        }
        let homes = Homes::new(base.path().join("homes"), Quota::default());
        let sharing = Arc::new(Sharing::open(&data, homes.clone(), SharingSettings::default()).unwrap());
        std::fs::create_dir_all(base.path().join("work/notes/inner")).unwrap();
        std::fs::write(base.path().join("work/notes/plan.md"), "the plan of acme").unwrap();
        std::fs::write(base.path().join("work/notes/inner/b.txt"), "bbb").unwrap();
        Self { data, homes, sharing, operator, tenants, base }
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.base.path().join(path)
    }

    pub(crate) fn operator(&self) -> &Operator {
        &self.operator
    }

    pub(crate) fn access(&self, tenant: &str) -> Access {
        self.tenants.access(&self.operator, &name(tenant)).unwrap()
    }

    pub(crate) fn offer_to(&self, to: &str, path: &str) -> Result<ShareRecord, ShareError> {
        let (to, workspace) = (name(to), self.at("work"));
        let offered = Offered { to: &to, name: "plans", note: "ours", workspace: workspace.to_str().unwrap(), path };
        let (share, telling) = self.sharing.offer(&self.access("acme"), &ann(), &offered)?;
        telling.wait();
        Ok(share)
    }

    /// What acme offers bolt, and bolt has accepted.
    pub(crate) fn accepted(&self, path: &str) -> ShareRecord {
        let share = self.offer_to("bolt", path).unwrap();
        self.sharing.accept(&self.access("bolt"), &ann(), &share.id, &share.digest).unwrap()
    }

    /// Where its files lie.
    pub(crate) fn copy(&self, share: &ShareRecord) -> PathBuf {
        self.at("homes").join(share.from.as_str()).join("shared").join(share.id.as_str())
    }

    /// What the trail of a tenant says of shares.
    pub(crate) fn trail(&self, tenant: &str) -> Vec<String> {
        let (access, vault) = (self.access(tenant), Vault::open(&self.data).unwrap());
        let audit = Audit::open(&self.data, &access, &vault).unwrap();
        let all = audit.read(&access, Seq(1), 1_000).unwrap();
        let told = all.iter().filter(|logged| logged.entry.act.name().starts_with("share."));
        told.map(|logged| format!("{} {}", logged.entry.act.name(), logged.entry.about)).collect()
    }

    /// The receiver, with a model.
    pub(crate) fn bolt(&self, launcher: &Arc<Launcher>, model: &ScriptedModel) -> Arc<Resident> {
        let (access, vault) = (self.access("bolt"), Vault::open(&self.data).unwrap());
        let store = Arc::new(Store::open(&self.data, &access, &vault).unwrap());
        let ledger = Arc::new(Ledger::open(&self.data, &access, Budgets::default()).unwrap());
        let parts = autoshare_broker::Settings { base_url: Some(model.base_url()), ..Default::default() };
        let broker = Arc::new(Broker::new(parts).unwrap());
        let settings = autoshare_host::Settings {
            protected: vec!["/".to_owned()],
            least_tier: Tier::Full,
            ..crate::support::settings(&self.data)
        };
        let host = Host::new(
            access.clone(),
            Arc::clone(&store),
            Arc::clone(&ledger),
            Arc::clone(launcher),
            Arc::clone(&broker),
            settings,
        );
        let audit = Audit::open(&self.data, &access, &vault).unwrap();
        let host = host
            .with_sharing(Arc::clone(&self.sharing))
            .with_auditor(Arc::new(Auditor::new(access.clone(), audit, Arc::default()).unwrap()));
        Arc::new(Resident::new(ResidentParts {
            record: self.tenants.of(&access).unwrap(),
            host,
            gateway: Gateway::new(broker, ledger, GatewaySettings::default()),
            calls: Calls::new(access, store),
            tools: autoshare_gate::builtin_tools(),
            homes: self.homes.clone(),
            index: Arc::new(AwakeIndex::open(&self.data).unwrap()),
            onlooker: Arc::new(()),
            drives: tokio::runtime::Handle::current(),
        }))
    }
}

/// A brain that is begun with these shares.
pub(crate) fn begin(resident: &Arc<Resident>, shares: &[ShareId]) -> Result<BrainId, ResidentError> {
    resident.admit(NewBrain {
        id: None,
        text: "Read the plan, run commands with echo, cat and sleep, and write report.md.".to_owned(),
        model: "scripted".to_owned(),
        tools: None,
        ask: AskMode::Default,
        limits: Limits::default(),
        trusted: Vec::new(),
        attached: Vec::new(),
        warrant: None,
        shares: shares.to_vec(),
        token: None,
        begin: Begin::Awake,
    })
}

pub(crate) fn events(resident: &Resident, brain: &BrainId) -> Vec<Event> {
    resident.records(brain, Seq(1)).unwrap().into_iter().map(|record| record.event).collect()
}

/// Where each result came from, and what it was.
pub(crate) fn results(resident: &Resident, brain: &BrainId) -> Vec<(String, String)> {
    let found = events(resident, brain).into_iter().filter_map(|event| match event {
        Event::Observation { source, outcome, .. } => Some((source, outcome.text)),
        _ => None,
    });
    found.collect()
}

pub(crate) async fn ended(resident: &Resident, brain: &BrainId) {
    until(
        || matches!(resident.view(brain).unwrap().phase, Phase::Finished(_)),
        || format!("it does not end: {:#?}", events(resident, brain)),
    )
    .await;
}

pub(crate) async fn until(is_so: impl Fn() -> bool, else_say: impl Fn() -> String) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(40), "{}", else_say());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The names below a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
