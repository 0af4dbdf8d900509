//! `run` and `resume`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use autoshare_broker::Broker;
use autoshare_core::event::{AskMode, Attached, Event, Goal, Shared};
use autoshare_core::{BrainId, Seq};
use autoshare_guard::encode;
use autoshare_guard::verify::Channel;
use autoshare_host::Guard;
use autoshare_sandbox::Launcher;

use crate::args::{Resume, Run};
use crate::assemble::{self, Data};
use crate::commands::{drive, mcp};
use crate::exit::{Failure, SETTINGS, UNFINISHED};
use crate::screen::{Look, err};
use crate::settings::{Settings, parse_cost, read_text};

/// Bytes of a goal at most.
const MAX_GOAL: usize = 100_000;

/// `autoshare run GOAL`.
pub(crate) fn run(mut settings: Settings, launcher: Launcher, flags: Run, look: Look) -> Result<ExitCode, Failure> {
    if flags.goal.trim().is_empty() || flags.goal.len() > MAX_GOAL {
        return Err(Failure::new(SETTINGS, format!("a goal has 1 to {MAX_GOAL} bytes; say what is to be reached")));
    }
    let how = settings.judge_by(&flags.judging)?;
    let mut roots = assemble::roots(&settings, &flags.workspace, &flags.read, &flags.write)?;
    let sharing = assemble::sharing(&settings)?;
    let own = assemble::access(&settings)?;
    for id in &flags.share {
        roots.push(sharing.root(&own, id).map_err(super::share::failure)?);
    }
    if let Some(path) = flags.judging.trust.iter().find(|path| sharing.holds(&assemble::real(path))) {
        let words = format!("{} was shared by somebody else: their words are not yours (--attach)", path.display());
        return Err(Failure::new(SETTINGS, words));
    }
    let mut limits = settings.limits;
    limits.max_steps = flags.max_steps.unwrap_or(limits.max_steps);
    limits.max_tokens = flags.max_tokens.unwrap_or(limits.max_tokens);
    if let Some(text) = &flags.max_cost {
        limits.max_cost = parse_cost(text)?;
    }
    let named = flags.model.clone().or_else(|| settings.model.clone());
    let name = match named {
        Some(name) => name,
        None => find_model(&mut settings, look)?,
    };
    let mut tools = assemble::tools(&settings);
    tools.extend(mcp::tools(&settings, &flags)?);
    let broker = assemble::broker(&settings)?;
    let model = broker.model(&name)?;
    if model.is_stand_in() && look != Look::Json {
        err(&format!(
            "{} is a stand-in, not a language model (docs/stand-in-models.md)",
            encode::terminal_line(&name, 80)
        ));
    }
    limits.window = model.window();
    limits.max_output = model.max_output();
    let ask = match (flags.ask, flags.yes) {
        (true, _) => AskMode::Always,
        (_, true) => AskMode::Yes,
        _ => AskMode::Default,
    };
    settings.guard = assemble::guard(&settings)?;
    let trusted = attached(&flags.judging.trust, &settings.guard, Channel::User)?;
    let attached = attached(&flags.judging.attach, &settings.guard, Channel::Content)?;
    let goal = Goal { text: flags.goal, model: name, tools, limits, roots, ask, trusted, attached, token: None };
    let Some(warrant) = super::warrant::given(&how, &goal, look)? else { return Ok(ExitCode::from(UNFINISHED)) };
    let data = assemble::data(&settings)?;
    let host = assemble::host(&settings, &data, broker, launcher, drive::questions(flags.watching.wait))?;
    let shared: Vec<Shared> = goal.roots.iter().filter_map(|root| root.shared.clone()).collect();
    let brain = host.admit(goal, warrant)?;
    for shared in &shared {
        sharing.note_use(&own, &brain, shared).map_err(super::share::failure)?;
    }
    if look != Look::Json {
        err(&format!("brain {brain}"));
    }
    drive::drive(&host, &brain, &settings.data_dir, &settings.login, look)
}

/// Texts that come with a goal, without what `guard` holds back.
fn attached(files: &[PathBuf], guard: &Guard, channel: Channel) -> Result<Vec<Attached>, Failure> {
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        let (attached, sifted, screening) = guard.attach(Attached { name, text: read_text(path)? }, channel);
        if let Some(words) = crate::screen::guarded(&screening, &sifted.text) {
            let name = encode::terminal_line(&attached.name, 200);
            err(&format!("{name}: {words} (`autoshare scan` shows what)"));
        }
        Ok(attached)
    };
    files.iter().map(read).collect()
}

/// A model server on this machine, when none was named.
fn find_model(settings: &mut Settings, look: Look) -> Result<String, Failure> {
    let help = "no model: set OPENAI_API_KEY and name one with --model, or start one on this machine (Ollama, \
                LM Studio, vLLM, llama.cpp), or try `autoshare demo`, which needs none";
    if settings.models.is_said() {
        return Err(Failure::new(
            SETTINGS,
            "no model is named: use --model NAME, or `name` below [model] in autoshare.toml (`autoshare model list`)",
        ));
    }
    let runtime = super::runtime()?;
    let found = runtime.block_on(autoshare_broker::discover()).into_iter().next();
    let Some(found) = found else { return Err(Failure::new(SETTINGS, help)) };
    if look != Look::Json {
        let (name, url) = (encode::terminal_line(&found.name, 80), encode::terminal_line(&found.base_url, 80));
        err(&format!("using {name}, found at {url}"));
    }
    settings.models.base_url = Some(found.base_url);
    Ok(found.name)
}

/// `autoshare resume BRAIN`.
pub(crate) fn resume(
    mut settings: Settings,
    launcher: Launcher,
    flags: &Resume,
    look: Look,
) -> Result<ExitCode, Failure> {
    if let Some(words) = &flags.say {
        check_words(words)?;
    }
    let data = assemble::data(&settings)?;
    let brain = data.store.find(&data.access, &flags.brain)?;
    judge_again(&mut settings, &data, &brain, flags)?;
    let broker: std::sync::Arc<Broker> = assemble::broker(&settings)?;
    let host = assemble::host(&settings, &data, broker, launcher, drive::questions(flags.watching.wait))?;
    if let Some(words) = &flags.say {
        let widened = super::runtime()?.block_on(host.say(&brain, words))?;
        if let (Some(warrant), true) = (widened, look != Look::Json) {
            err(&crate::question::warrant(&warrant));
        }
    }
    drive::drive(&host, &brain, &settings.data_dir, &settings.login, look)
}

/// Takes the rules by which the brain was judged, or those that the command line names. No folder of the brain may hold them.
fn judge_again(settings: &mut Settings, data: &Data, brain: &BrainId, flags: &Resume) -> Result<(), Failure> {
    let records = data.store.read(&data.access, brain, Seq(1))?;
    let was = records.iter().rev().find_map(|record| match &record.event {
        Event::Policy(policy) => Some(policy),
        _ => None,
    });
    settings.judge_again(was, &flags.rules)?;
    let goal = records.iter().find_map(|record| match &record.event {
        Event::Goal(goal) => Some(goal),
        _ => None,
    });
    for root in goal.iter().flat_map(|goal| &goal.roots) {
        settings.check_workspace(Path::new(&root.path))?;
    }
    Ok(())
}

/// What a person tells a brain.
fn check_words(words: &str) -> Result<(), Failure> {
    if words.trim().is_empty() || words.len() > MAX_GOAL {
        return Err(Failure::new(
            SETTINGS,
            format!("--say takes 1 to {MAX_GOAL} bytes; say what the brain is to know"),
        ));
    }
    Ok(())
}
