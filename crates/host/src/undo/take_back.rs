//! Taking back a step or a whole run.

use std::collections::{BTreeMap, HashMap};

use autoshare_access::Access;
use autoshare_core::BrainId;
use autoshare_core::event::{Event, NoteKind};
use autoshare_store::{Durability, Store};
use autoshare_workspace::snapshot::{Clash, Combined, Conflict, RelPath, SnapshotError, StepChanges, combine};

use super::{Undo, UndoError, UndoSettings, open};

/// What was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Undone {
    /// Which steps, in order.
    pub steps: Vec<u64>,
    /// How many names are as they were before.
    pub restored: usize,
    /// What was left as it is, and why; paths are absolute.
    pub left: Vec<Conflict>,
}

/// Takes back one step of a brain, or (`None`) all that were not, and journals that for the model. Holds the brain's
/// lease meanwhile. Cut off at any instant, it can be done again.
///
/// # Errors
/// [`UndoError::Store`] if another process drives the brain; [`UndoError::Already`], [`UndoError::NothingChanged`],
/// [`UndoError::Later`]; [`SnapshotError::Conflicts`] if somebody changed what the steps left: then nothing has changed.
pub fn undo(
    store: &Store,
    access: &Access,
    brain: &BrainId,
    settings: UndoSettings,
    step: Option<u64>,
    clash: Clash,
) -> Result<Undone, UndoError> {
    let lease = store.lease(access, brain)?;
    let undo = Undo::open(access.tenant(), brain, settings)?;
    undo.settle()?;
    let steps = undo.steps()?;
    let chosen = choose(&steps, step, clash)?;
    let undone = undo.put_back(&chosen, clash)?;
    let note = Event::Note { kind: NoteKind::Undone, text: words(&undone.steps) };
    store.append(access, &lease, &[note], Durability::Synced)?;
    undo.mark(&undone.steps)?;
    Ok(undone)
}

/// The records of the steps that are to be taken back.
fn choose(steps: &[StepChanges], step: Option<u64>, clash: Clash) -> Result<Vec<&StepChanges>, UndoError> {
    let name = step.map_or_else(|| "the run".to_owned(), |step| format!("step {step}"));
    let meant: Vec<_> = steps.iter().filter(|one| step.is_none_or(|step| one.step == step)).collect();
    if meant.is_empty() {
        return Err(UndoError::NothingChanged(name));
    }
    let chosen: Vec<_> = meant.into_iter().filter(|one| one.undone_ms.is_none()).collect();
    if chosen.is_empty() {
        return Err(UndoError::Already(name));
    }
    if let (Some(step), Clash::Refuse) = (step, clash) {
        // By root and path, and whether taking it back removes it.
        let mine: HashMap<(&str, &RelPath), bool> = chosen
            .iter()
            .flat_map(|one| one.changes.iter().map(|it| ((one.root.as_str(), &it.path), it.before.is_none())))
            .collect();
        // The same name, or something in a folder that would go.
        let meets = |root: &str, path: &RelPath| {
            mine.contains_key(&(root, path)) || path.folders().any(|folder| mine.get(&(root, &folder)) == Some(&true))
        };
        for later in steps.iter().filter(|one| one.step > step && one.undone_ms.is_none()) {
            if let Some(change) = later.changes.iter().find(|change| meets(&later.root, &change.path)) {
                return Err(UndoError::Later { step, later: later.step, path: change.path.to_string() });
            }
        }
    }
    Ok(chosen)
}

/// What a resumed model is told. No name of a file is in it: a name is anybody's words.
fn words(steps: &[u64]) -> String {
    let numbers: Vec<String> = steps.iter().map(u64::to_string).collect();
    let (noun, it) = if steps.len() == 1 { ("step", "it") } else { ("steps", "them") };
    format!(
        "A person took back what you changed in {noun} {}: the files are as they were before {it}. Look at them again \
         before you rely on what they hold.",
        numbers.join(", ")
    )
}

impl Undo {
    /// Puts back what was there before these steps; nothing at all, if anything is in the way below any root.
    fn put_back(&self, chosen: &[&StepChanges], clash: Clash) -> Result<Undone, UndoError> {
        let mut by_root: BTreeMap<&str, Vec<&StepChanges>> = BTreeMap::new();
        for one in chosen {
            by_root.entry(one.root.as_str()).or_default().push(one);
        }
        let mut undone = Undone { steps: chosen.iter().map(|one| one.step).collect(), ..Undone::default() };
        undone.steps.dedup();
        let mut whole = Vec::new();
        let mut conflicts = Vec::new();
        for (root, steps) in by_root {
            let workspace = open(root)?;
            let combined = combine(steps);
            conflicts.extend(in_the_way(&combined));
            conflicts.extend(workspace.conflicts(&self.shelf, &combined.changes)?);
            whole.push((root, workspace, combined.changes));
        }
        if !conflicts.is_empty() && clash == Clash::Refuse {
            return Err(SnapshotError::Conflicts(conflicts).into());
        }
        for (root, workspace, changes) in whole {
            let restored = workspace.restore(&self.shelf, &changes, clash)?;
            undone.restored += restored.restored;
            let absolute = |one: Conflict| Conflict { path: format!("{root}/{}", one.path), why: one.why };
            undone.left.extend(restored.left.into_iter().map(absolute));
        }
        Ok(undone)
    }

    /// Marks steps as taken back.
    fn mark(&self, steps: &[u64]) -> Result<(), UndoError> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        for name in self.records()? {
            let Some(mut done) = self.shelf.load::<StepChanges>(&name)? else { continue };
            if steps.contains(&done.step) && done.undone_ms.is_none() {
                done.undone_ms = Some(now);
                self.shelf.save(&name, &done)?;
            }
        }
        Ok(())
    }
}

/// What is in the way of taking back several steps together, beside what the files themselves say.
fn in_the_way(combined: &Combined) -> impl Iterator<Item = Conflict> {
    let incomplete = combined.incomplete.map(|why| Conflict {
        path: "the workspace".to_owned(),
        why: format!("{why}; --force takes back what is known"),
    });
    let broken = combined.broken.iter().map(|path| Conflict {
        path: path.to_string(),
        why: "somebody else changed it between two steps; --force takes that back too".to_owned(),
    });
    incomplete.into_iter().chain(broken)
}
