//! What an action may change, and keeping it while the action is performed.

use std::sync::Arc;

use autoshare_core::event::Root;
use autoshare_core::outcome::Plan;
use autoshare_core::place::{Place as Lies, place};
use autoshare_core::tool::{Action, Effect, ToolSpec};
use autoshare_core::{BrainId, StepNo, TenantName};
use autoshare_gate as gate;
use autoshare_workspace::snapshot::RelPath;

use super::{Looked, Place, Undo, UndoError, UndoSettings};
use crate::spill_path;

/// How much of the roots a tool can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The file that its plan names, and the file of its result.
    OnePath,
    /// Everything that may be written: it runs programs.
    WholeRoots,
}

/// How much of the roots a tool can change.
#[must_use]
pub fn reach(spec: &ToolSpec) -> Reach {
    if spec.effect == Effect::RunInside { Reach::WholeRoots } else { Reach::OnePath }
}

/// Where an action may change something: with the file of a long result, which reading leaves too.
fn places(roots: &[Root], step: StepNo, action: &Action, spec: &ToolSpec, plan: &Plan) -> Vec<Place> {
    if reach(spec) == Reach::WholeRoots {
        return Place::whole(roots);
    }
    let Some(workspace) = roots.first() else { return Vec::new() };
    let result = RelPath::parse(spill_path(step).as_bytes()).ok();
    let mut places = vec![Place { root: workspace.path.clone(), paths: Some(result.into_iter().collect()) }];
    if let Some((root, path)) = changed(roots, action, spec, plan) {
        match places.iter_mut().find(|place| place.root == root) {
            Some(Place { paths: Some(paths), .. }) => paths.push(path),
            _ => places.push(Place { root, paths: Some(vec![path]) }),
        }
    }
    places
}

/// The file that an action changes: the root it lies below, and where. The cell's plan says how it is spelt; which root
/// that is, the action itself does.
fn changed(roots: &[Root], action: &Action, spec: &ToolSpec, plan: &Plan) -> Option<(String, RelPath)> {
    if spec.effect == Effect::Read {
        return None;
    }
    let planned = RelPath::parse(plan.path.as_deref()?.as_bytes()).ok()?;
    if let Some(escape) = gate::escape(action, spec, roots) {
        let (folder, only) = crate::cells::holder(&escape.path);
        let path = only.and_then(|name| RelPath::parse(name.as_bytes()).ok()).unwrap_or(planned);
        return Some((folder, path));
    }
    match place(roots, action.text("path")?) {
        Lies::Inside { root, .. } => roots.get(root).map(|root| (root.path.clone(), planned)),
        Lies::Outside { .. } | Lies::Nowhere { .. } => None,
    }
}

/// Keeps what the actions of one brain change, while it is driven.
pub(crate) struct Keeping {
    tenant: TenantName,
    brain: BrainId,
    settings: UndoSettings,
    undo: Option<Arc<Undo>>,
    /// What was looked at before an action that only reads, and is kept only if it left a result.
    unkept: Vec<Looked>,
}

impl Keeping {
    pub(crate) fn new(tenant: &TenantName, brain: &BrainId, settings: &UndoSettings) -> Self {
        let (tenant, brain, settings) = (tenant.clone(), brain.clone(), settings.clone());
        Self { tenant, brain, settings, undo: None, unkept: Vec::new() }
    }

    /// Before an action is performed.
    pub(crate) async fn before(
        &mut self,
        roots: &[Root],
        step: StepNo,
        action: &Action,
        spec: &ToolSpec,
        plan: &Plan,
    ) -> Result<(), UndoError> {
        self.unkept.clear();
        let places = places(roots, step, action, spec, plan);
        let only_reads = spec.effect == Effect::Read && reach(spec) == Reach::OnePath;
        let looked = self
            .with(move |undo| {
                let looked = undo.look(places)?;
                if only_reads {
                    return Ok(looked);
                }
                undo.begin(step.0, &looked)?;
                Ok(Vec::new())
            })
            .await?;
        self.unkept = looked;
        Ok(())
    }

    /// After it. `has_result`: it left a file with its whole result.
    pub(crate) async fn after(&mut self, step: StepNo, has_result: bool) -> Result<(), UndoError> {
        let looked = std::mem::take(&mut self.unkept);
        self.with(move |undo| {
            if has_result && !looked.is_empty() {
                undo.begin(step.0, &looked)?;
            }
            undo.finish(step.0).map(drop)
        })
        .await
    }

    /// Does something with the brain's undo, off the async thread; it is opened when it is first needed.
    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Undo) -> Result<T, UndoError> + Send + 'static,
    ) -> Result<T, UndoError> {
        let (known, tenant, brain, settings) =
            (self.undo.clone(), self.tenant.clone(), self.brain.clone(), self.settings.clone());
        let (undo, done) = tokio::task::spawn_blocking(move || {
            let undo = match known {
                Some(undo) => undo,
                None => Arc::new(Undo::open(&tenant, &brain, settings)?),
            };
            let done = work(&undo);
            Ok::<_, UndoError>((undo, done))
        })
        .await
        .map_err(|e| UndoError::Task(e.to_string()))??;
        self.undo = Some(undo);
        done
    }
}
