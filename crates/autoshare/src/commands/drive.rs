//! Drives a brain while somebody watches: shows progress, puts questions, hears Ctrl-C.

use std::path::Path;
use std::process::ExitCode;

use autoshare_brain::Status;
use autoshare_core::BrainId;
use autoshare_core::event::{Answerer, FinishReason};
use autoshare_guard::encode;
use autoshare_host::{Host, Progress, Questions, Standing, Stop};
use autoshare_server::control::Control;
use tokio::sync::{broadcast, mpsc};

use crate::exit::{DONE, Failure, RESUMABLE, UNFINISHED};
use crate::screen::{Look, Screen, err, out};

/// Records that a slow follower may lag behind before it is told to catch up.
const FOLLOW_QUEUE: usize = 256;

/// Whether questions can be answered in this invocation.
pub(crate) fn questions(wait: bool) -> Questions {
    if wait || crate::prompt::somebody_is_there() { Questions::Wait } else { Questions::Deny }
}

/// Drives `brain` to its end or a stop, shows it, and gives the exit code.
pub(crate) fn drive(
    host: &Host,
    brain: &BrainId,
    data_dir: &Path,
    login: &str,
    look: Look,
) -> Result<ExitCode, Failure> {
    let runtime = super::runtime()?;
    let mut screen = Screen::new(look);
    let result = runtime.block_on(watch(host, brain, data_dir, login, &mut screen, Asked::People, |_| {}));
    screen.finish();
    // A prompt that still waits for a line must not keep the process.
    runtime.shutdown_background();
    Ok(ExitCode::from(conclude(brain, &result?, look)))
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Whoever is at the terminal, or at the control socket.
    People,
    /// Nobody: the caller answers.
    Nobody,
}

/// Drives `brain` and shows what happens; `also` hears everything too.
pub(crate) async fn watch(
    host: &Host,
    brain: &BrainId,
    data_dir: &Path,
    login: &str,
    screen: &mut Screen,
    asked: Asked,
    mut also: impl FnMut(&Progress),
) -> Result<Standing, Failure> {
    let (grown, _) = broadcast::channel(FOLLOW_QUEUE);
    let _control = Control::listen(data_dir, host.switchboard(), grown.clone())?;
    let (feed, mut progress) = mpsc::unbounded_channel();
    let drive = host.drive(brain, feed);
    tokio::pin!(drive);
    let mut standing = None;
    let mut interrupts = 0u32;
    loop {
        tokio::select! {
            biased;
            heard = progress.recv() => match heard {
                Some(heard) => {
                    also(&heard);
                    screen.show(&heard);
                    match heard {
                        Progress::Recorded { brain, seq, .. } => drop(grown.send((brain, seq))),
                        Progress::Question(question) if asked == Asked::People => put(host, *question, login, screen),
                        _ => {}
                    }
                }
                None => break,
            },
            done = &mut drive, if standing.is_none() => standing = Some(done),
            pressed = tokio::signal::ctrl_c() => {
                pressed?;
                interrupts += 1;
                let (how, words) = if interrupts == 1 {
                    (Stop::AfterStep, "stopping after this step (Ctrl-C again: at once)")
                } else {
                    (Stop::Now, "stopping at once")
                };
                screen.say(words);
                host.switchboard().stop(brain, how);
            }
        }
        if standing.is_some() && progress.is_empty() {
            break;
        }
    }
    match standing {
        Some(standing) => Ok(standing?),
        None => Ok(drive.await?),
    }
}

/// Puts a question at the terminal, if there is one; otherwise says how it can be answered.
fn put(host: &Host, question: autoshare_host::Question, login: &str, screen: &Screen) {
    if !crate::prompt::somebody_is_there() {
        let (brain, digest) = (&question.brain, question.digest.short());
        screen.say(&format!("a question waits: autoshare approve {brain} {digest}"));
        return;
    }
    let switchboard = host.switchboard();
    let login = login.to_owned();
    let spinner = screen.pause();
    tokio::task::spawn_blocking(move || {
        let answer =
            spinner.map_or_else(|| crate::prompt::ask(&question), |bar| bar.suspend(|| crate::prompt::ask(&question)));
        // Somebody may have answered through the control socket in the meantime: the first answer holds.
        let _ = switchboard.answer(&question.brain, &question.digest, answer, Answerer::Person { name: login });
    });
}

/// Prints how it ended and gives the exit code.
pub(crate) fn conclude(brain: &BrainId, standing: &Standing, look: Look) -> u8 {
    let (code, word) = match &standing.status {
        Status::Finished(FinishReason::Done) => (DONE, "done"),
        Status::Finished(FinishReason::Budget) => (UNFINISHED, "budget used up"),
        Status::Finished(FinishReason::Loop) => (UNFINISHED, "no progress"),
        Status::Finished(FinishReason::Malformed) => (UNFINISHED, "malformed replies"),
        _ => (RESUMABLE, "stopped"),
    };
    if look == Look::Json {
        if code == DONE {
            out(&crate::grounds::json_line(brain, &standing.grounds));
        }
        let value = serde_json::json!({
            "brain": brain, "ended": word, "words": standing.words, "steps": standing.steps, "used": standing.used,
        });
        out(&crate::screen::ascii_json(&value));
        return code;
    }
    if code == DONE {
        out(&encode::terminal(&standing.words));
        crate::grounds::lines(&standing.grounds, &crate::screen::style_for_stderr()).iter().for_each(|line| err(line));
    } else if !standing.words.is_empty() {
        err(&format!("{word}: {}", encode::terminal(&standing.words)));
    }
    let used = &standing.used;
    let mut last = format!("brain {brain}: {word}, {} steps, {} tokens, {}", standing.steps, used.tokens(), used.cost);
    if code == RESUMABLE {
        last.push_str(&format!("; go on with: autoshare resume {brain}"));
    }
    err(&last);
    code
}
