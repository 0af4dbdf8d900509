//! A program that a person runs in a cell: one action, recorded like those of a brain, so that it is listed, shown, and
//! taken back in the same way. Nobody judges what the program does inside; the cell holds.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use autoshare_access::Access;
use autoshare_core::chat::RawCall;
use autoshare_core::event::{AskMode, Event, FinishReason, Goal, Root, Thought};
use autoshare_core::outcome::{Ending, Outcome, Plan};
use autoshare_core::screening::Screening;
use autoshare_core::tool::{Action, Effect, Kind, Label, Param, Redo, Role, ToolSpec};
use autoshare_core::usage::{Limits, Usage};
use autoshare_core::verdict::{Decision, Origin, Provenance, Reason, Verdict};
use autoshare_core::wire::{Program, Stroke, Window};
use autoshare_core::{BrainId, StepNo, TurnNo};
use autoshare_sandbox::{Launcher, Tier, Work};
use autoshare_store::{Durability, Lease, Store};
use autoshare_workspace::snapshot::StepChanges;
use tokio::task::JoinHandle;

use crate::cells::cell_spec;
use crate::programs::{Job, ProgramCell, StartError};
use crate::undo::{Place, Undo, UndoError};
use crate::{HostError, Settings};

/// What stands where a brain's model does.
pub const EXEC: &str = "exec";
const STEP: StepNo = StepNo(1);
/// Bytes of a command line that are recorded.
const MAX_RECORDED: usize = 32 * 1024;

/// How a program is run.
#[derive(Debug, Clone)]
pub struct How {
    /// The roots in which what changes is kept, so that it can be shown and taken back.
    pub kept: Vec<Root>,
    /// A port of the cell's own loopback that is this process's ([`ProgramCell::listener`]); the cell is a full one then,
    /// or none.
    pub listen: Option<u16>,
    /// Whether each call that the cell's filter refuses is told ([`ProgramCell::refusals`]).
    pub explain: bool,
}

/// One run of a program, from its record to its record.
pub struct Session {
    /// By which it is listed, shown and undone.
    pub brain: BrainId,
    /// The cell.
    pub cell: ProgramCell,
    program: Program,
    access: Access,
    store: Arc<Store>,
    lease: Arc<Lease>,
    undo: Option<Arc<Undo>>,
    /// Why what it changes cannot be taken back.
    pub unkept: Option<UndoError>,
}

impl Session {
    /// Makes the cell, and meanwhile records the intent and keeps what there is. Nothing runs yet.
    ///
    /// # Errors
    /// Those of the disk, and of making a cell. What cannot be kept is none: [`Session::unkept`] says it.
    pub async fn open(
        access: &Access,
        store: &Arc<Store>,
        launcher: &Arc<Launcher>,
        settings: &Settings,
        roots: Vec<Root>,
        program: Program,
        how: How,
    ) -> Result<Self, HostError> {
        let How { kept, listen, explain } = how;
        let mut bits = [0u8; 5];
        getrandom::fill(&mut bits).map_err(|e| HostError::Randomness(e.to_string()))?;
        let brain = BrainId::from_random(bits);
        let mut spec = cell_spec(Work::Programs, &roots, None, settings)?;
        spec.explain = explain;
        if listen.is_some() {
            (spec.listen, spec.least) = (listen, Tier::Full);
        }
        let keeping: JoinHandle<Result<Option<Arc<Undo>>, UndoError>> = {
            let (tenant, brain, undo, places) =
                (access.tenant().clone(), brain.clone(), settings.undo.clone(), Place::whole(&kept));
            tokio::task::spawn_blocking(move || {
                if places.is_empty() {
                    return Ok(None);
                }
                let undo = Undo::open(&tenant, &brain, undo)?;
                undo.begin(STEP.0, &undo.look(places)?)?;
                Ok(Some(Arc::new(undo)))
            })
        };
        let recording: JoinHandle<Result<Arc<Lease>, HostError>> = {
            let (access, store, brain, intent) =
                (access.clone(), Arc::clone(store), brain.clone(), intent(&program, roots));
            tokio::task::spawn_blocking(move || {
                store.create(&access, &brain)?;
                let lease = store.lease(&access, &brain)?;
                store.append(&access, &lease, &intent, Durability::Synced)?;
                Ok(Arc::new(lease))
            })
        };
        let cell = ProgramCell::open(launcher, None, spec).await;
        let lease = joined(recording.await)?;
        let cell = match cell {
            Ok(cell) => cell,
            Err(error) => {
                store.append(access, &lease, &result(Ending::Failed, error.to_string()), Durability::Synced)?;
                return Err(error);
            }
        };
        let kept = keeping.await.unwrap_or_else(|e| Err(UndoError::Task(e.to_string())));
        let (undo, unkept) = match kept {
            Ok(undo) => (undo, None),
            Err(error) => (None, Some(error)),
        };
        let (access, store) = (access.clone(), Arc::clone(store));
        Ok(Self { brain, cell, program, access, store, lease, undo, unkept })
    }

    /// Starts the program. Streams that are `None` lead to a terminal of the cell's own.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(&mut self, streams: [Option<BorrowedFd<'_>>; 3], window: Window) -> Result<Job, StartError> {
        self.cell.start(self.program.clone(), streams, window).await
    }

    /// Sends a signal to the program.
    pub async fn signal(&self, job: &Job, stroke: Stroke) {
        self.cell.signal(job.number, stroke).await;
    }

    /// Records what happens meanwhile: what was reached, what a person said.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn record(&self, events: Vec<Event>) -> Result<(), HostError> {
        if events.is_empty() {
            return Ok(());
        }
        let (access, store, lease) = (self.access.clone(), Arc::clone(&self.store), Arc::clone(&self.lease));
        let append =
            move || store.append(&access, &lease, &events, Durability::Synced).map(drop).map_err(HostError::from);
        joined(tokio::task::spawn_blocking(append).await)
    }

    /// Ends the cell with everything in it, and records how it went; gives what was changed, and the copies by which it
    /// can be shown.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn finish(
        self,
        ending: Ending,
        words: String,
    ) -> Result<(Option<Arc<Undo>>, Vec<StepChanges>), HostError> {
        let Self { cell, access, store, lease, undo, .. } = self;
        cell.end().await;
        // Side by side, as each waits for the disk, and both under the lease.
        let held = Arc::clone(&lease);
        let looking = tokio::task::spawn_blocking(move || {
            let _held = held;
            let changes = undo.as_ref().map(|undo| undo.finish(STEP.0)).transpose();
            let changes = changes.map_err(|e| HostError::Cell(e.to_string()))?.unwrap_or_default();
            Ok((undo, changes))
        });
        let recording = tokio::task::spawn_blocking(move || {
            Ok(store.append(&access, &lease, &result(ending, words), Durability::Synced)?)
        });
        let looked = looking.await;
        joined(recording.await)?;
        joined(looked)
    }
}

fn joined<T>(done: Result<Result<T, HostError>, tokio::task::JoinError>) -> Result<T, HostError> {
    done.map_err(|e| HostError::Task(e.to_string()))?
}

/// A command line as text, for people.
fn shown(program: &Program) -> String {
    let line = program.argv.join(" ");
    line.get(..line.floor_char_boundary(MAX_RECORDED)).unwrap_or_default().to_owned()
}

fn intent(program: &Program, roots: Vec<Root>) -> Vec<Event> {
    let command = shown(program);
    let param = Param {
        name: "command".to_owned(),
        description: "The command line.".to_owned(),
        role: Role::Target,
        kind: Kind::Text { max: MAX_RECORDED as u64 },
        required: true,
    };
    let words = "A program that a person ran in a cell.";
    let spec = ToolSpec::new(EXEC, words, Effect::RunInside, Redo::Write, vec![param]);
    let action = Action {
        tool: EXEC.to_owned(),
        args: [("command".to_owned(), serde_json::Value::from(command.clone()))].into(),
    };
    let call_id = "exec_1".to_owned();
    let arguments = serde_json::json!({"command": command}).to_string();
    let call = RawCall { id: call_id.clone(), name: EXEC.to_owned(), arguments };
    let verdict = Verdict {
        decision: Decision::Allow,
        reasons: vec![Reason {
            rule: "person".to_owned(),
            words: "a person ran it; the cell holds it, and nobody judges what it does inside".to_owned(),
        }],
        origins: vec![Origin::plain("command", Provenance::User)],
        digest: action.digest(),
        outside: false,
        alike: Vec::new(),
    };
    vec![
        Event::Goal(Goal {
            text: command,
            model: EXEC.to_owned(),
            tools: vec![spec],
            limits: Limits::default(),
            roots,
            ask: AskMode::Default,
            trusted: Vec::new(),
            attached: Vec::new(),
            token: None,
        }),
        Event::Thought(thought(1, String::new(), vec![call])),
        Event::Proposal { step: STEP, call_id, action },
        Event::Verdict { step: STEP, verdict, plan: None },
        Event::Started { step: STEP, plan: Plan::default() },
    ]
}

fn result(ending: Ending, words: String) -> Vec<Event> {
    let outcome = Outcome { ending, text: words.clone(), spilled: None, after: None, bytes: 0 };
    vec![
        Event::Observation {
            step: STEP,
            source: format!("program:{EXEC}"),
            outcome,
            structured: None,
            label: Label::default(),
            screening: Screening::default(),
        },
        Event::Thought(thought(2, words.clone(), Vec::new())),
        Event::Answer { text: words },
        Event::Finish { reason: FinishReason::Done, text: "the program ended".to_owned() },
    ]
}

fn thought(turn: u64, text: String, calls: Vec<RawCall>) -> Thought {
    Thought { turn: TurnNo(turn), text, calls, usage: Usage::default(), truncated: false }
}

#[cfg(test)]
mod tests {
    use autoshare_brain::{Brain, Status};
    use autoshare_core::event::{NoteKind, Reach};

    use super::*;

    #[test]
    fn its_record_is_one_of_a_brain_that_reached_its_goal() {
        let program = Program { argv: vec!["make".into(), "all".into()], env: Default::default(), dir: "/w".into() };
        let reach = Reach {
            target: "example.org:443".into(),
            connections: 1,
            refused: 0,
            sent: 10,
            received: 20,
            credential: None,
        };
        let meanwhile =
            vec![Event::Reach(reach), Event::Note { kind: NoteKind::Host, text: "somebody said yes".into() }];
        let ended = result(Ending::Done, "exit status 0".into());
        let events = [intent(&program, Vec::new()), meanwhile, ended].concat();
        let brain = Brain::fold(&events);
        assert_eq!((brain.ignored(), brain.steps()), (0, 1));
        assert_eq!(brain.status(), Status::Finished(FinishReason::Done));
        assert_eq!(brain.answer(), Some("exit status 0"));
        // One that was interrupted has begun, and what came of it is unknown.
        assert_eq!(Brain::fold(&intent(&program, Vec::new())).status(), Status::Performing);
    }
}
