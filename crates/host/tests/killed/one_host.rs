//! A whole host in a process of its own: it admits the goal if there is no brain yet, drives the brain to its end, and
//! answers its questions as a person would.

use std::path::PathBuf;
use std::sync::Arc;

use autoshare_access::Access;
use autoshare_brain::Status;
use autoshare_broker::Broker;
use autoshare_core::event::{Answer, Answerer, AskMode, FinishReason, Goal, Root, RootMode};
use autoshare_core::usage::Limits;
use autoshare_host::{Host, Progress};
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
    pub(crate) data: PathBuf,
    pub(crate) workspace: PathBuf,
    pub(crate) base_url: String,
    /// Dies at this append, counted from the start of this process, after it or before.
    pub(crate) dies_at: Option<(u64, bool)>,
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
    let launcher = Launcher::start(entry).unwrap();
    let job: Job = serde_json::from_str(job).unwrap();
    let vault = Vault::open(&job.data).unwrap();
    let access = Access::local(&job.data).unwrap();
    let store = Arc::new(Store::open(&job.data, &access, &vault).unwrap());
    store.set_kill_point(
        job.dies_at.map(|(append, after)| KillPoint { append, when: if after { When::After } else { When::Before } }),
    );
    let broker = autoshare_broker::Settings { base_url: Some(job.base_url), ..autoshare_broker::Settings::default() };
    let broker = Arc::new(Broker::new(broker).unwrap());
    let settings = crate::support::settings(&job.data);
    let ledger = Arc::new(Ledger::open(&job.data, &access, Budgets::default()).unwrap());
    let host = Host::new(access.clone(), Arc::clone(&store), ledger, Arc::new(launcher), broker, settings);
    // A brain whose admission was cut short has no record, and its goal is given again.
    let begun = store.brains(&access).unwrap().into_iter().find(|row| row.records > 0);
    let brain = begun.map_or_else(|| host.admit(goal(&job.workspace), None).unwrap(), |row| row.id);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let standing = runtime.block_on(async {
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
        let standing = host.drive(&brain, feed).await.unwrap();
        person.await.unwrap();
        standing
    });
    assert_eq!(standing.status, Status::Finished(FinishReason::Done), "{}", standing.words);
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
