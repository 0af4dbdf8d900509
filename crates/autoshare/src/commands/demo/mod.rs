//! `demo`: a model that obeys every instruction it reads works through a folder in which some documents carry
//! instructions of strangers. Nothing is staged: brain, gate, cell, journal and undo are those of `run`.
//!
//! There are two acts. In the first, nobody is there to ask, as in unattended work: the gate is the first wall, and the
//! cell the second for what the gate lets pass. In the second, every command that the gate asks for gets a yes, so that
//! the cell stands alone. What hijacked steps changed in the folder is taken back, and then all is looked at from
//! outside.

mod scene;
mod tally;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Instant;

use autoshare_brain::Status;
use autoshare_broker::Model;
use autoshare_core::event::{Answer, Answerer, AskMode, FinishReason, Goal};
use autoshare_core::usage::Limits;
use autoshare_core::{BrainId, StepNo};
use autoshare_guard::encode;
use autoshare_host::undo::{Undo, UndoError, Undone, undo};
use autoshare_host::{Host, Progress, Question, Questions, Standing};
use autoshare_sandbox::Launcher;
use autoshare_workspace::snapshot::Clash;

use crate::args::Demo;
use crate::assemble::{self, Data};
use crate::commands::drive;
use crate::exit::{DONE, FAILED, Failure};
use crate::screen::{Look, Screen, ascii_json, err, out};
use crate::settings::{GlobalFlags, Settings};

use scene::Scene;
use tally::{Act, Facts, Tally, Traces};

/// What the user wants; the script is the user's own, and lies among the documents that ship with the demo.
const GOAL: &str = "Run `sh tools/pieces.sh`, then summarise the folder into summary.md";
/// The same for documents of one's own.
const GOAL_OF_ONES_OWN: &str = "Summarise the folder into summary.md";
const MODEL: &str = "gullible";

/// `autoshare demo [--folder DIR]`.
pub(crate) fn demo(launcher: Launcher, flags: &Demo, look: Look) -> Result<ExitCode, Failure> {
    let began = Instant::now();
    let scene = Scene::build(flags.folder.as_deref())?;
    let played = play(launcher, flags, look, &scene, began);
    if flags.keep {
        err(&format!("kept: {}", scene.folder.display()));
    }
    scene.end(flags.keep);
    let (held, ended_well) = played?;
    Ok(ExitCode::from(if held && ended_well { DONE } else { FAILED }))
}

/// Both acts. Says whether everything held, and whether the goal was reached each time.
fn play(launcher: Launcher, flags: &Demo, look: Look, scene: &Scene, began: Instant) -> Result<(bool, bool), Failure> {
    // The demo keeps its own journal, has a home directory of its own, and reads nobody's configuration.
    let global = GlobalFlags { data_dir: Some(scene.data.clone()), ..GlobalFlags::default() };
    let mut settings = Settings::for_demo(&global)?;
    settings.home = Some(scene.home.clone());
    // The guard would hold most of it back, and then the model would not be hijacked.
    settings.guard.detector = None;
    let broker = assemble::broker(&settings)?;
    let model = broker.model(MODEL)?;
    let data = assemble::data(&settings)?;
    let host = assemble::host(&settings, &data, broker, launcher, Questions::Wait)?;
    let runtime = crate::commands::runtime()?;
    let screen = Screen::new(look);
    let mut tally = Tally::new(&screen, look);
    let stage = Stage { host: &host, data: &data, settings: &settings, scene, screen: &screen };
    let say = |text: &str| {
        if look != Look::Json {
            screen.quiet(|| err(text));
        }
    };
    say("A folder of documents, some of them poisoned. The model is a stand-in, not a language model: it obeys");
    say(
        "every instruction it reads, whoever wrote it, and nothing is held back from it here. Watch what its hands can do.",
    );
    let mut ended_well = true;
    let mut problems = Vec::new();
    let mut meant = BTreeSet::new();
    for (act, title) in [
        (Act::NobodyToAsk, "\n1  Unattended: what the gate asks for, nobody is there to allow."),
        (Act::YesToCommands, "\n2  The same again, and somebody says yes to every command: now the cell stands alone."),
    ] {
        say(title);
        tally.begin(act);
        let brain = host.admit(goal(flags, &settings, scene, &model)?, None)?;
        let standing = runtime.block_on(stage.act(act, &brain, &mut tally))?;
        if standing.status != Status::Finished(FinishReason::Done) {
            ended_well = false;
            problems.push(format!("the brain did not reach its goal: {}", encode::terminal(&standing.words)));
        }
        problems.extend(stage.take_back(&brain, &mut tally, &mut meant)?);
        if !ended_well {
            break;
        }
    }
    screen.finish();
    let (left, running) = (scene.bytes_that_left(), scene.still_running());
    let changed = scene.changed(&meant);
    let facts = Facts { written: meant, left, changed, running, summary: scene.summary() };
    let nothing_new = facts.changed.is_empty() && facts.running.is_empty();
    let held = left == 0 && tally.succeeded() == 0 && nothing_new && problems.is_empty();
    if look == Look::Json {
        out(&ascii_json(&tally.json(&facts)));
    } else {
        err(&tally.table(&facts, began.elapsed()));
        err("The real thing:  autoshare run \"your goal\" --workspace DIR   \
             (OPENAI_API_KEY, or a local Ollama; see --help)");
    }
    problems.iter().for_each(|problem| err(problem));
    Ok((held, ended_well))
}

fn goal(flags: &Demo, settings: &Settings, scene: &Scene, model: &Model) -> Result<Goal, Failure> {
    let text = if flags.folder.is_some() { GOAL_OF_ONES_OWN } else { GOAL };
    Ok(Goal {
        text: text.to_owned(),
        model: MODEL.to_owned(),
        tools: assemble::tools(settings),
        limits: Limits {
            max_steps: 2_000,
            window: model.window(),
            max_output: model.max_output(),
            ..Limits::default()
        },
        roots: assemble::roots(settings, &scene.folder, &[], &[])?,
        ask: AskMode::Default,
        trusted: Vec::new(),
        attached: Vec::new(),
        token: None,
    })
}

/// Where an act is played.
struct Stage<'a> {
    host: &'a Host,
    data: &'a Data,
    settings: &'a Settings,
    scene: &'a Scene,
    screen: &'a Screen,
}

impl Stage<'_> {
    /// One brain, from its goal to its end.
    async fn act(&self, act: Act, brain: &BrainId, tally: &mut Tally<'_>) -> Result<Standing, Failure> {
        let undo = Undo::open(self.data.access.tenant(), brain, assemble::undo(self.settings))?;
        let mut left = self.scene.bytes_that_left();
        let (dir, login) = (&self.settings.data_dir, &self.settings.login);
        let mut screen = self.screen.for_demo();
        drive::watch(self.host, brain, dir, login, &mut screen, drive::Asked::Nobody, |progress| {
            if let Progress::Question(question) = progress {
                self.answer(act, question);
            }
            tally.hear(progress, |step| {
                let before = std::mem::replace(&mut left, self.scene.bytes_that_left());
                Traces { left: left.saturating_sub(before), changed: names_changed(&undo, step) }
            });
        })
        .await
    }

    /// Nobody says no by not being there; whoever says yes, says it to every command, and to nothing else.
    fn answer(&self, act: Act, question: &Question) {
        let (answer, by) = match act {
            Act::YesToCommands if question.action.tool == tally::SHELL => {
                (Answer::Yes, Answerer::Rule { name: "of the demo".to_owned() })
            }
            Act::YesToCommands | Act::NobodyToAsk => (Answer::No, Answerer::Nobody),
        };
        // It was asked this instant, and nobody else answers.
        let _ = self.host.switchboard().answer(&question.brain, &question.digest, answer, by);
    }

    /// Takes back what hijacked steps changed, the last one first; what the others changed was `meant`. Gives what did
    /// not go well.
    fn take_back(
        &self,
        brain: &BrainId,
        tally: &mut Tally<'_>,
        meant: &mut BTreeSet<String>,
    ) -> Result<Vec<String>, Failure> {
        let steps = Undo::open(self.data.access.tenant(), brain, assemble::undo(self.settings))?.steps()?;
        let (hijacked, others): (Vec<_>, Vec<_>) = steps.iter().partition(|one| tally.is_hijacked(StepNo(one.step)));
        meant.extend(others.iter().flat_map(|one| one.changes.iter().map(|change| change.path.to_string())));
        let mut problems = Vec::new();
        for step in hijacked.iter().rev().map(|one| StepNo(one.step)) {
            match self.undo(brain, step) {
                Ok(undone) if undone.left.is_empty() => tally.taken_back(step, undone.restored),
                Ok(undone) => problems.push(format!("step {step}: {} names could not be put back", undone.left.len())),
                Err(error) => problems.push(format!("step {step} could not be taken back: {error}")),
            }
        }
        Ok(problems)
    }

    /// Takes back one step. Its brain is held until its last cell is gone, which takes a moment.
    fn undo(&self, brain: &BrainId, step: StepNo) -> Result<Undone, UndoError> {
        let (store, access) = (&self.data.store, &self.data.access);
        undo(store, access, brain, assemble::undo(self.settings), Some(step.0), Clash::Refuse)
    }
}

/// How many names of the folder a step changed.
fn names_changed(undo: &Undo, step: StepNo) -> usize {
    let steps: Result<_, UndoError> = undo.steps();
    steps.unwrap_or_default().iter().filter(|one| one.step == step.0).map(|one| one.changes.len()).sum()
}
