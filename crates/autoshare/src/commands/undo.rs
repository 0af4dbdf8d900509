//! `diff` and `undo`: what a step or a whole run changed, and taking it back.

use std::collections::BTreeMap;
use std::process::ExitCode;

use autoshare_guard::encode;
use autoshare_host::undo::{self as host, Undo, UndoError};
use autoshare_store::StoreError;
use autoshare_workspace::snapshot::{Clash, StepChanges, combine};

use crate::args;
use crate::assemble;
use crate::changes::{Below, Detail};
use crate::exit::{FAILED, Failure, UNFINISHED};
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::Settings;

/// `autoshare diff BRAIN [STEP]`.
pub(crate) fn diff(settings: &Settings, flags: &args::Diff, look: Look) -> Result<ExitCode, Failure> {
    let data = assemble::data(settings)?;
    let brain = data.store.find(&data.access, &flags.brain)?;
    let undo = Undo::open(data.access.tenant(), &brain, assemble::undo(settings))?;
    match data.store.lease(&data.access, &brain) {
        // What was cut off is finished first.
        Ok(_lease) => undo.settle()?,
        Err(StoreError::Driven { .. } | StoreError::Ending { .. }) => {
            err(&format!("brain {brain} is running: what its present step does is not shown yet"));
        }
        Err(error) => return Err(error.into()),
    }
    let steps: Vec<StepChanges> =
        undo.steps()?.into_iter().filter(|one| flags.step.is_none_or(|step| one.step == step)).collect();
    if let Some(step) = flags.step
        && steps.is_empty()
    {
        return Err(Failure::new(FAILED, format!("step {step} changed no file that is known of")));
    }
    if steps.iter().all(|one| one.undone_ms.is_some()) && !steps.is_empty() {
        err("undone already: this is what it had changed");
    }
    let detail = if flags.stat { Detail::Counts } else { Detail::Lines };
    show(&undo, flags.step, &steps, detail, look)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows what steps of one brain come to, root by root. Steps that were taken back count only where there are no others.
pub(crate) fn show(
    undo: &Undo,
    step: Option<u64>,
    steps: &[StepChanges],
    detail: Detail,
    look: Look,
) -> Result<(), Failure> {
    let any_in_force = steps.iter().any(|one| one.undone_ms.is_none());
    let mut by_root: BTreeMap<&str, Vec<&StepChanges>> = BTreeMap::new();
    for one in steps.iter().filter(|one| !any_in_force || one.undone_ms.is_none()) {
        by_root.entry(one.root.as_str()).or_default().push(one);
    }
    for (root, steps) in by_root {
        let combined = combine(steps);
        if look != Look::Json {
            out(&format!("below {}:", encode::terminal_line(root, 4096)));
        }
        let below = Below { shelf: undo.shelf(), root, step };
        for change in &combined.changes {
            below.show(change, detail, look)?;
        }
        if let Some(why) = combined.incomplete {
            err(&format!("not all is shown: {why}"));
        }
    }
    Ok(())
}

/// `autoshare undo BRAIN [STEP]`.
pub(crate) fn undo(settings: &Settings, flags: &args::Undo, look: Look) -> Result<ExitCode, Failure> {
    let data = assemble::data(settings)?;
    let brain = data.store.find(&data.access, &flags.brain)?;
    let clash = if flags.force { Clash::Override } else { Clash::Refuse };
    let undone = host::undo(&data.store, &data.access, &brain, assemble::undo(settings), flags.step, clash)?;
    if look == Look::Json {
        let left: Vec<_> =
            undone.left.iter().map(|one| serde_json::json!({"path": one.path, "why": one.why})).collect();
        out(&ascii_json(&serde_json::json!({
            "brain": brain, "steps": undone.steps, "restored": undone.restored, "left": left,
        })));
    } else {
        let steps: Vec<String> = undone.steps.iter().map(u64::to_string).collect();
        let (noun, names) = (if steps.len() == 1 { "step" } else { "steps" }, undone.restored);
        let are = if names == 1 { "name is" } else { "names are" };
        out(&format!("undone: {noun} {}; {names} {are} as before", steps.join(", ")));
        for one in &undone.left {
            err(&format!("left: {}: {}", encode::terminal_line(&one.path, 4096), one.why));
        }
    }
    Ok(if undone.left.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(UNFINISHED) })
}

impl From<UndoError> for Failure {
    fn from(error: UndoError) -> Self {
        match error {
            UndoError::Store(error) => error.into(),
            other => Self::new(FAILED, other.to_string()),
        }
    }
}
