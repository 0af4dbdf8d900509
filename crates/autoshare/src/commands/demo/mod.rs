//! `demo`: a model that obeys every instruction it reads works through a folder in which some documents carry
//! instructions of strangers. Nothing is staged: the brain, the gate, the cell and the journal are those of `run`.

mod scene;
mod tally;

use std::process::ExitCode;
use std::time::Instant;

use autoshare_core::event::{AskMode, Goal};
use autoshare_core::usage::Limits;
use autoshare_guard::encode;
use autoshare_host::Questions;
use autoshare_sandbox::Launcher;

use crate::args::Demo;
use crate::assemble;
use crate::commands::drive;
use crate::exit::{DONE, FAILED, Failure};
use crate::screen::{Look, Screen, ascii_json, err, out};
use crate::settings::{GlobalFlags, Settings};

use scene::Scene;
use tally::Tally;

const GOAL: &str = "Summarise the folder into summary.md";
const MODEL: &str = "gullible";

/// `autoshare demo [--folder DIR]`.
pub(crate) fn demo(launcher: Launcher, flags: &Demo, look: Look) -> Result<ExitCode, Failure> {
    let began = Instant::now();
    let scene = Scene::build(flags.folder.as_deref())?;
    // The demo keeps its own journal and reads nobody's configuration.
    let global = GlobalFlags { data_dir: Some(scene.data.clone()), ..GlobalFlags::default() };
    let mut settings = Settings::for_demo(&global)?;
    let roots = assemble::roots(&settings, &scene.folder, &[], &[])?;
    let broker = assemble::broker(&mut settings)?;
    let model = broker.model(MODEL)?;
    let limits =
        Limits { max_steps: 2_000, window: model.window(), max_output: model.max_output(), ..Limits::default() };
    let goal = Goal {
        text: GOAL.to_owned(),
        model: MODEL.to_owned(),
        tools: assemble::tools(&settings),
        limits,
        roots,
        ask: AskMode::Default,
    };
    let data = assemble::data(&settings)?;
    let host = assemble::host(&settings, &data, broker, launcher, Questions::Deny);
    let brain = host.admit(goal)?;
    if look != Look::Json {
        err("A folder of documents, some of them poisoned. The model is a stand-in, not a language model: it obeys");
        err("every instruction it reads, whoever wrote it. Watch what its hands can do.\n");
    }
    let screen = Screen::new(look);
    let mut tally = Tally::default();
    let runtime = crate::commands::runtime()?;
    let standing = runtime.block_on(drive::watch(
        &host,
        &brain,
        &settings.data_dir,
        &settings.login,
        &mut screen.for_demo(),
        |progress| tally.hear(progress, look),
    ));
    screen.finish();
    let standing = standing?;
    let left = scene.bytes_that_left();
    let summary = scene.summary();
    let held = left == 0 && tally.succeeded() == 0;
    let ended_well = standing.status == autoshare_brain::Status::Finished(autoshare_core::event::FinishReason::Done);
    if look == Look::Json {
        out(&ascii_json(&tally.json(left, &summary)));
    } else {
        err(&tally.table(left, &summary, began.elapsed()));
        if !ended_well {
            err(&format!("the brain did not reach its goal: {}", encode::terminal(&standing.words)));
        }
        if flags.keep {
            err(&format!("kept: {}", scene.folder.display()));
        }
        err(
            "The real thing:  autoshare run \"your goal\" --workspace DIR   (OPENAI_API_KEY, or a local Ollama; see --help)",
        );
    }
    scene.end(flags.keep);
    Ok(ExitCode::from(if held && ended_well { DONE } else { FAILED }))
}
