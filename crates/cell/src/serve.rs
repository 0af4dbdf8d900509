//! The loop: one frame in, one frame out.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use autoshare_core::outcome::{Ending, FileState, Happened, Outcome, Plan, Refusal};
use autoshare_core::tool::Action;
use autoshare_core::wire::{FromCell, MAX_FILE, Probe, ToCell};
use autoshare_workspace::{Quota, Tag, WorkspaceError};

use crate::roots::{CellRoot, Roots};
use crate::tools::{self, Change, Job, Shown};
use crate::{CellError, frames};

/// Serves `socket` (a connected stream) until the host hangs up: says [`FromCell::Ready`] with `probes`, then answers
/// every [`ToCell`] frame in order.
///
/// # Errors
/// The stream failed, or carried what is no message. Tools that fail are answered, and are no error here.
pub fn serve(socket: OwnedFd, roots: Vec<CellRoot>, quota: Quota, probes: Vec<Probe>) -> Result<(), CellError> {
    let mut stream = UnixStream::from(socket);
    let roots = Roots::new(roots, quota);
    frames::send(&mut stream, &FromCell::Ready { probes })?;
    while let Some(message) = frames::receive(&mut stream)? {
        let reply = match message {
            ToCell::Hand { job, action } => match hand(&roots, &action) {
                Ok(bytes) => {
                    frames::send(&mut stream, &FromCell::Handed { job, bytes: bytes.len() as u64 })?;
                    stream.write_all(&bytes)?;
                    continue;
                }
                Err(refusal) => FromCell::Performed { job, outcome: refused(refusal) },
            },
            ToCell::Plan { job, action } => FromCell::Planned { job, plan: plan(&roots, &action) },
            ToCell::Perform { job, action, plan, max_text, spill_to } => {
                let room = Room { max_text: max_text.min(MAX_FILE), spill_to: &spill_to };
                FromCell::Performed { job, outcome: perform(&roots, &action, &plan, &room) }
            }
            ToCell::Query { job, action, plan } => {
                let (happened, outcome) = query(&roots, &action, &plan);
                FromCell::Answered { job, happened, outcome }
            }
        };
        frames::send(&mut stream, &reply)?;
    }
    Ok(())
}

fn hand(roots: &Roots, action: &Action) -> Result<Vec<u8>, Refusal> {
    match tools::job(roots, action)? {
        Job::Look(look) => look.hand(),
        Job::Change(_) => Err(tools::failed("no document is named".to_owned())),
    }
}

/// How much text a result may be, and where the rest goes.
struct Room<'a> {
    max_text: u64,
    spill_to: &'a str,
}

fn plan(roots: &Roots, action: &Action) -> Plan {
    let planned = tools::job(roots, action).and_then(|job| match job {
        Job::Look(look) => look.check().map(|path| Plan { path: Some(path), ..Plan::default() }),
        Job::Change(change) => {
            change.check()?;
            let after = Some(change.after());
            Ok(Plan { path: Some(change.target.path), before: change.target.before, after, refusal: None })
        }
    });
    planned.unwrap_or_else(|refusal| Plan { refusal: Some(refusal), ..Plan::default() })
}

fn perform(roots: &Roots, action: &Action, plan: &Plan, room: &Room<'_>) -> Outcome {
    if let Some(refusal) = &plan.refusal {
        return refused(refusal.clone());
    }
    let done = tools::job(roots, action).and_then(|job| match job {
        Job::Look(look) => look.perform(room.max_text).map(|shown| match look.is_windowed() {
            true => Outcome { bytes: shown.bytes, ..outcome(Ending::Done, shown.text) },
            false => fit(roots, action, shown, room),
        }),
        Job::Change(change) => make(&change, action, plan),
    });
    done.unwrap_or_else(refused)
}

/// Makes a change, if it is the one that was planned.
fn make(change: &Change<'_>, action: &Action, plan: &Plan) -> Result<Outcome, Refusal> {
    change.check()?;
    if change.target.before != plan.before || Some(change.after()) != plan.after {
        return Err(WorkspaceError::Changed { path: change.target.path.clone() }.refusal());
    }
    let (path, before) = (&change.target.path, change.target.before.as_ref());
    let after = change.workspace.write(path, &change.content, before, tag(action)).map_err(|e| e.refusal())?;
    Ok(wrote(action, plan, &change.shown, &after))
}

fn query(roots: &Roots, action: &Action, plan: &Plan) -> (Happened, Outcome) {
    let unknown = |words: &str| (Happened::Unknown, outcome(Ending::Unknown, words.to_owned()));
    let Some(after) = &plan.after else {
        return (Happened::No, outcome(Ending::Failed, "it only reads; it may be done again".to_owned()));
    };
    let Some(spot) = action.text("path").and_then(|path| roots.find(path).ok()) else {
        return unknown("its path cannot be resolved, so nobody can tell whether it happened");
    };
    if spot.workspace.clear(&spot.path, tag(action)).is_err() {
        return unknown("what it may have left cannot be removed, so nobody can tell whether it happened");
    }
    match spot.workspace.target(&spot.path) {
        Ok(target) if target.before.as_ref() == Some(after) => {
            (Happened::Yes, wrote(action, plan, &format!("{}{}", spot.prefix, target.path), after))
        }
        Ok(target) if target.before == plan.before => {
            (Happened::No, outcome(Ending::Failed, format!("{} is as it was before", target.path)))
        }
        Ok(target) => unknown(&format!("{} is neither as it was before nor as it was to be", target.path)),
        Err(error) => unknown(&error.to_string()),
    }
}

/// The tag of an action's temporary file: the same after a restart.
fn tag(action: &Action) -> Tag {
    Tag(action.digest())
}

fn outcome(ending: Ending, text: String) -> Outcome {
    Outcome { ending, text, spilled: None, after: None, bytes: 0 }
}

fn refused(refusal: Refusal) -> Outcome {
    outcome(refusal.ending, refusal.words)
}

fn wrote(action: &Action, plan: &Plan, shown: &str, after: &FileState) -> Outcome {
    let text = tools::change::done(action, plan, shown, after);
    Outcome { after: Some(after.clone()), bytes: after.len, ..outcome(Ending::Done, text) }
}

/// Fits a text into the room there is: if it is too long, the whole goes to a file, and its head and tail stay.
fn fit(roots: &Roots, action: &Action, shown: Shown, room: &Room<'_>) -> Outcome {
    let max = usize::try_from(room.max_text).unwrap_or(usize::MAX);
    if shown.text.len() <= max {
        return Outcome { bytes: shown.bytes, ..outcome(Ending::Done, shown.text) };
    }
    let spilled = spill(roots, action, &shown.text, room.spill_to);
    let note = match &spilled {
        Ok(()) => format!("the whole result is in {}", room.spill_to),
        Err(words) => format!("the whole result could not be kept: {words}"),
    };
    let text = tools::text::head_and_tail(&shown.text, max, &note);
    let spilled = spilled.is_ok().then(|| room.spill_to.to_owned());
    Outcome { spilled, bytes: shown.bytes, ..outcome(Ending::Done, text) }
}

fn spill(roots: &Roots, action: &Action, text: &str, path: &str) -> Result<(), String> {
    let workspace = roots.first().ok_or_else(|| "there is no workspace".to_owned())?;
    let before = workspace.target(path).map_err(|e| e.to_string())?.before;
    workspace.write(path, text.as_bytes(), before.as_ref(), tag(action)).map(|_| ()).map_err(|e| e.to_string())
}
