//! A tenant with a host of its own, a data directory, and a workspace.

use std::path::PathBuf;
use std::sync::Arc;

use autoshare_access::Access;
use autoshare_broker::Broker;
use autoshare_core::event::{AskMode, Event, Goal, Root, RootMode};
use autoshare_core::fair::{Places, Weight};
use autoshare_core::usage::Limits;
use autoshare_core::{BrainId, Seq, TenantName};
use autoshare_host::{Host, Standing};
use autoshare_sandbox::Launcher;
use autoshare_store::Store;
use autoshare_store::ledger::{Budgets, Ledger};
use autoshare_testkit::ScriptedModel;
use autoshare_vault::Vault;
use tokio::sync::mpsc;

pub(crate) struct Tenant {
    pub(crate) host: Host,
    access: Access,
    store: Arc<Store>,
    ledger: Arc<Ledger>,
    work: PathBuf,
    _base: tempfile::TempDir,
}

impl Tenant {
    /// One whose brains have `model`, and who shares these places by this name.
    pub(crate) fn new(
        name: &str,
        launcher: &Arc<Launcher>,
        model: &ScriptedModel,
        calls: &Arc<Places>,
        cells: &Arc<Places>,
    ) -> Self {
        let base = tempfile::tempdir().unwrap();
        let (data, work) = (base.path().join("data"), base.path().join("work"));
        std::fs::create_dir(&work).unwrap();
        std::fs::write(work.join("notes.md"), "Notes.").unwrap();
        std::fs::write(work.join("page.html"), "<html><body><p>a page</p></body></html>").unwrap();
        let vault = Vault::open(&data).unwrap();
        let access = Access::local(&data).unwrap();
        let store = Arc::new(Store::open(&data, &access, &vault).unwrap());
        let ledger = Arc::new(Ledger::open(&data, &access, Budgets::default()).unwrap());
        let parts = autoshare_broker::Settings { base_url: Some(model.base_url()), ..Default::default() };
        let broker = Arc::new(Broker::new(parts).unwrap());
        let settings = crate::support::settings(&data);
        let share = |places: &Arc<Places>| places.share(TenantName::parse(name).unwrap(), Weight::default());
        let host =
            Host::new(access.clone(), Arc::clone(&store), Arc::clone(&ledger), Arc::clone(launcher), broker, settings)
                .with_places(share(calls), share(cells));
        Self { host, access, store, ledger, work, _base: base }
    }

    /// A new brain.
    pub(crate) fn admit(&self) -> BrainId {
        let goal = Goal {
            text: "Look at notes.md and page.html, and run echo hello.".into(),
            model: "scripted".into(),
            tools: autoshare_gate::builtin_tools(),
            limits: Limits { window: 64_000, max_output: 2_000, ..Limits::default() },
            roots: vec![Root::new(self.work.display().to_string(), RootMode::Write)],
            ask: AskMode::Default,
            trusted: Vec::new(),
            attached: Vec::new(),
            token: None,
        };
        self.host.admit(goal, None).unwrap()
    }

    /// What came of a brain's actions.
    pub(crate) fn observations(&self, brain: &BrainId) -> Vec<String> {
        let records = self.store.read(&self.access, brain, Seq(1)).unwrap();
        let told = records.into_iter().filter_map(|record| match record.event {
            Event::Observation { outcome, .. } => Some(outcome.text),
            _ => None,
        });
        told.collect()
    }

    /// Calls that its ledger says were made.
    pub(crate) fn calls_paid_for(&self) -> u64 {
        let rows = self.ledger.usage(&self.access, self.ledger.today().0).unwrap();
        rows.iter().map(|row| row.requests).sum()
    }
}

pub(crate) async fn drive(host: &Host, brain: &BrainId) -> Standing {
    let (feed, _progress) = mpsc::unbounded_channel();
    host.drive(brain, feed).await.unwrap()
}
