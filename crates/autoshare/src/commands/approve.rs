//! `approve` and `stop`: words to a brain that another process drives.

use std::process::ExitCode;

use autoshare_core::BrainId;
use autoshare_core::event::Answer;
use autoshare_host::{Question, Stop};
use autoshare_server::control::{Ask, Line, Say};

use crate::args;
use crate::assemble::{self, Data};
use crate::exit::{FAILED, Failure};
use crate::question::Offered;
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::Settings;

fn not_driven(brain: &BrainId) -> Failure {
    Failure::new(FAILED, format!("nobody drives brain {brain} just now; `autoshare resume {brain}` goes on with it"))
}

fn refused(say: Say) -> Failure {
    match say {
        Say::Refused { why } => Failure::new(FAILED, why),
        other => Failure::new(FAILED, format!("the driving process answered {other:?}")),
    }
}

/// `autoshare stop BRAIN`.
pub(crate) fn stop(settings: &Settings, flags: &args::Stop, look: Look) -> Result<ExitCode, Failure> {
    let data = assemble::data(settings)?;
    let brain = data.store.find(&data.access, &flags.brain)?;
    let pid = data.store.driven_by(&data.access, &brain).ok_or_else(|| not_driven(&brain))?;
    let how = if flags.now { Stop::Now } else { Stop::AfterStep };
    super::runtime()?.block_on(async {
        let mut line = Line::connect(&settings.data_dir, pid).await?;
        match line.ask(&Ask::Stop { brain: brain.clone(), how }).await? {
            Say::Done {} => Ok(()),
            other => Err(refused(other)),
        }
    })?;
    if look != Look::Json {
        err(&format!("brain {brain} stops; go on with: autoshare resume {brain}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// `autoshare approve [BRAIN [DIGEST]]`.
pub(crate) fn approve(settings: &Settings, flags: &args::Approve, look: Look) -> Result<ExitCode, Failure> {
    let data = assemble::data(settings)?;
    let runtime = super::runtime()?;
    let waiting = runtime.block_on(waiting(settings, &data, flags.brain.as_deref()))?;
    let Some(digest) = &flags.digest else {
        list(&waiting, look)?;
        return Ok(ExitCode::SUCCESS);
    };
    let matching: Vec<_> =
        waiting.iter().filter(|(_, q)| digest.len() >= 6 && q.digest.to_string().starts_with(digest)).collect();
    let [(pid, question)] = matching.as_slice() else {
        let why = format!(
            "no question waits about action {digest:?} (give at least 6 digits); `autoshare approve` lists those that do"
        );
        return Err(Failure::new(FAILED, why));
    };
    if flags.run && !Offered::by(question).is_for_run() {
        let why =
            "this question lists no addresses that could be allowed together; say yes, or --always for this target";
        return Err(Failure::new(FAILED, why));
    }
    let answer = match &flags.feedback {
        Some(text) => Answer::Feedback { text: text.clone() },
        None if flags.deny => Answer::No,
        None if flags.always => Answer::Always,
        None if flags.run => Answer::Run,
        None => Answer::Yes,
    };
    let (brain, digest) = (question.brain.clone(), question.digest);
    let ask = Ask::Answer { brain, digest, answer, name: settings.login.clone() };
    runtime.block_on(async {
        match Line::connect(&settings.data_dir, *pid).await?.ask(&ask).await? {
            Say::Done {} => Ok(ExitCode::SUCCESS),
            other => Err(refused(other)),
        }
    })
}

/// The questions that wait, with the processes that put them.
async fn waiting(settings: &Settings, data: &Data, brain: Option<&str>) -> Result<Vec<(u32, Question)>, Failure> {
    let only = brain.map(|prefix| data.store.find(&data.access, prefix)).transpose()?;
    let mut pids: Vec<u32> = data
        .store
        .brains(&data.access)?
        .into_iter()
        .filter(|row| only.as_ref().is_none_or(|only| *only == row.id))
        .filter_map(|row| data.store.driven_by(&data.access, &row.id))
        .collect();
    pids.sort_unstable();
    pids.dedup();
    if let (Some(only), true) = (&only, pids.is_empty()) {
        return Err(not_driven(only));
    }
    let mut found = Vec::new();
    for pid in pids {
        // A process that ended a moment ago has no questions.
        let Ok(mut line) = Line::connect(&settings.data_dir, pid).await else { continue };
        match line.ask(&Ask::Questions {}).await? {
            Say::Questions { waiting } => found.extend(waiting.into_iter().map(|question| (pid, question))),
            other => return Err(refused(other)),
        }
    }
    found.retain(|(_, question)| only.as_ref().is_none_or(|only| *only == question.brain));
    Ok(found)
}

fn list(waiting: &[(u32, Question)], look: Look) -> Result<(), Failure> {
    for (_, question) in waiting {
        if look == Look::Json {
            out(&ascii_json(&serde_json::to_value(question)?));
        } else {
            out(&crate::question::words(question, &crate::screen::style_for_stdout()));
            out(&format!("  answer with: autoshare approve {} {}", question.brain, question.digest.short()));
        }
    }
    if waiting.is_empty() && look != Look::Json {
        err("no question waits");
    }
    Ok(())
}
