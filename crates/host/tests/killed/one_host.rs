//! A whole host in a process of its own, of one tenant or of several: it admits each one's goal if there is no brain yet,
//! drives the brain to its end, and answers its questions as a person would.

use std::path::PathBuf;
use std::sync::Arc;

use autoshare_access::Access;
use autoshare_brain::Status;
use autoshare_broker::Broker;
use autoshare_core::event::{Answer, Answerer, AskMode, FinishReason, Goal, Root, RootMode};
use autoshare_core::usage::Limits;
use autoshare_host::{Host, HostError, Progress};
use autoshare_sandbox::{Inside, Launcher};
use autoshare_store::ledger::{Budgets, Ledger};
use autoshare_store::{KillPoint, Store, When};
use autoshare_testkit::ERRAND_GOAL;
use autoshare_vault::Vault;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// The variable that makes this program a host, with a [`Job`] as JSON.
pub(crate) const JOB: &str = "AUTOSHARE_HOST_TEST_JOB";

#[derive(Serialize, Deserialize)]
pub(crate) struct Job {
    /// One tenant's each, all driven at the same time.
    pub(crate) homes: Vec<Home>,
    pub(crate) dies_at: Option<Death>,
}

/// What is a tenant's own.
#[derive(Serialize, Deserialize)]
pub(crate) struct Home {
    pub(crate) data: PathBuf,
    pub(crate) workspace: PathBuf,
    pub(crate) base_url: String,
}

/// The host dies at this append to the journal of this tenant, counted from the start of its process.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Death {
    pub(crate) tenant: usize,
    pub(crate) append: u64,
    /// Once it is done; or else before.
    pub(crate) after: bool,
}

fn entry(inside: Inside) -> i32 {
    let roots = inside.roots.into_iter();
    let roots =
        roots.map(|root| autoshare_cell::CellRoot { path: root.path, dir: root.dir, mode: root.mode }).collect();
    i32::from(
        autoshare_cell::serve(inside.socket, roots, autoshare_workspace::Quota::default(), inside.probes).is_err(),
    )
}

pub(crate) fn run(job: &str) {
    let launcher = Arc::new(Launcher::start(entry).unwrap());
    let job: Job = serde_json::from_str(job).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let death = |tenant| job.dies_at.filter(|death| death.tenant == tenant);
    let lives = job.homes.iter().enumerate().map(|(tenant, home)| live(home, death(tenant), Arc::clone(&launcher)));
    runtime.block_on(futures_util::future::join_all(lives));
}

/// Drives the tenant's brain to its end.
async fn live(home: &Home, death: Option<Death>, launcher: Arc<Launcher>) {
    let vault = Vault::open(&home.data).unwrap();
    let access = Access::local(&home.data).unwrap();
    let store = Arc::new(Store::open(&home.data, &access, &vault).unwrap());
    store.set_kill_point(
        death.map(|Death { append, after, .. }| KillPoint {
            append,
            when: if after { When::After } else { When::Before },
        }),
    );
    let broker =
        autoshare_broker::Settings { base_url: Some(home.base_url.clone()), ..autoshare_broker::Settings::default() };
    let broker = Arc::new(Broker::new(broker).unwrap());
    let settings = crate::support::settings(&home.data);
    let ledger = Arc::new(Ledger::open(&home.data, &access, Budgets::default()).unwrap());
    let host = Host::new(access.clone(), Arc::clone(&store), ledger, launcher, broker, settings);
    // A brain whose admission was cut short has no record, and its goal is given again.
    let begun = store.brains(&access).unwrap().into_iter().find(|row| row.records > 0);
    let brain = begun.map_or_else(|| host.admit(goal(&home.workspace), None).unwrap(), |row| row.id);
    let (feed, mut progress) = mpsc::unbounded_channel();
    let switchboard = host.switchboard();
    let person = tokio::spawn(async move {
        while let Some(heard) = progress.recv().await {
            let Progress::Question(question) = heard else { continue };
            let answer = if question.action.tool == "read_file" { Answer::No } else { Answer::Yes };
            let by = Answerer::Person { name: "tester".into() };
            switchboard.answer(&question.brain, &question.digest, answer, by).unwrap();
        }
    });
    let status = match host.drive(&brain, feed).await {
        Ok(standing) => standing.status,
        // With the others' brains it was not over.
        Err(HostError::Ended(_)) => Status::Finished(FinishReason::Done),
        Err(error) => panic!("{error}"),
    };
    person.await.unwrap();
    assert_eq!(status, Status::Finished(FinishReason::Done));
}

fn goal(workspace: &std::path::Path) -> Goal {
    Goal {
        text: ERRAND_GOAL.into(),
        model: "scripted".into(),
        tools: autoshare_gate::builtin_tools(),
        limits: Limits { window: 64_000, max_output: 2_000, ..Limits::default() },
        roots: vec![Root::new(workspace.display().to_string(), RootMode::Write)],
        ask: AskMode::Default,
        trusted: Vec::new(),
        attached: Vec::new(),
        token: None,
    }
}
