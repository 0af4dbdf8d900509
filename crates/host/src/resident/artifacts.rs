//! The files of a brain's workspace, for people.

use std::sync::Arc;

use autoshare_core::event::{Event, Goal, NoteKind};
use autoshare_core::{BrainId, Digest, Seq};
use autoshare_store::{Durability, StoreError};
use autoshare_workspace::{FileEntry, Tag, WorkspaceError};

use super::{Resident, ResidentError};
use crate::HostError;
use crate::switchboard::Told;

/// A file of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its id: of this path, in this brain.
    pub id: String,
    /// The file.
    pub file: FileEntry,
    /// Whether a person put it there.
    pub is_uploaded: bool,
}

impl Resident {
    /// The files of a brain's workspace, and whether those are all.
    ///
    /// # Errors
    /// [`ResidentError::NoBrain`], and those of the disk.
    pub fn artifacts(&self, brain: &BrainId) -> Result<(Vec<Artifact>, bool), ResidentError> {
        let records = self.records(brain, Seq(1))?;
        let goal = goal_of(records.iter().map(|record| &record.event));
        let goal = goal.ok_or_else(|| ResidentError::NoBrain(brain.clone()))?;
        let uploads: Vec<&str> = records
            .iter()
            .filter_map(|record| match &record.event {
                Event::Note { kind: NoteKind::Uploaded, text } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let (files, whole) = self.touch(goal, |workspace| Ok(workspace.files()))?.map_err(wrong)?;
        let artifact = |file: FileEntry| Artifact {
            id: id(brain, &file.path),
            is_uploaded: uploads.contains(&file.path.as_str()),
            file,
        };
        Ok((files.into_iter().map(artifact).collect(), whole))
    }

    /// One of them by its id.
    ///
    /// # Errors
    /// [`ResidentError::NoArtifact`].
    pub fn artifact(&self, brain: &BrainId, id: &str) -> Result<Artifact, ResidentError> {
        let found = self.artifacts(brain)?.0.into_iter().find(|artifact| artifact.id == id);
        found.ok_or(ResidentError::NoArtifact)
    }

    /// What a file holds.
    ///
    /// # Errors
    /// [`ResidentError::NoArtifact`] if it is none that may be read.
    pub fn read_artifact(&self, brain: &BrainId, path: &str) -> Result<Vec<u8>, ResidentError> {
        let records = self.records(brain, Seq(1))?;
        let goal = goal_of(records.iter().map(|record| &record.event));
        let goal = goal.ok_or_else(|| ResidentError::NoBrain(brain.clone()))?;
        self.touch(goal, |workspace| Ok(workspace.read(path)))?.map_err(|error| match error {
            WorkspaceError::NotFound { .. } => ResidentError::NoArtifact,
            other => wrong(other),
        })
    }

    /// Puts a file into the workspace, in place of one that is there.
    ///
    /// # Errors
    /// [`ResidentError::Wrong`] where it cannot be put there, with the reason.
    pub async fn upload(
        self: &Arc<Self>,
        brain: &BrainId,
        path: &str,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<Artifact, ResidentError> {
        let (this, of, named) = (Arc::clone(self), brain.clone(), path.to_owned());
        let path = away(move || this.put(&of, &named, bytes.as_ref())).await?;
        if !self.tell_awake(brain, Told::File(path.clone()))? {
            let note = Event::Note { kind: NoteKind::Uploaded, text: path.clone() };
            match self.parts.host.journal(brain).await {
                Ok((journal, _)) => {
                    let seqs = journal.append(&[note], Durability::Synced).await?;
                    seqs.into_iter().for_each(|seq| self.tell_grown(brain, seq));
                }
                // It was woken meanwhile.
                Err(HostError::Store(StoreError::Driven { .. })) => {
                    self.tell_awake(brain, Told::File(path.clone()))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let (this, of) = (Arc::clone(self), brain.clone());
        let mut artifact = away(move || this.artifact(&of, &id(&of, &path))).await?;
        artifact.is_uploaded = true;
        Ok(artifact)
    }

    /// Puts a file into the workspace, and gives its path as it is listed.
    fn put(&self, brain: &BrainId, path: &str, bytes: &[u8]) -> Result<String, ResidentError> {
        self.has_room()?;
        if path.contains(char::is_control) {
            return Err(ResidentError::Wrong("a path has no control characters".to_owned()));
        }
        let records = self.records(brain, Seq(1))?;
        let goal = goal_of(records.iter().map(|record| &record.event));
        let goal = goal.ok_or_else(|| ResidentError::NoBrain(brain.clone()))?;
        let written = self.touch(goal, |workspace| {
            Ok((|| {
                let target = workspace.target(path)?;
                workspace.write(path, bytes, target.before.as_ref(), Tag(Digest::of(bytes)))?;
                Ok(target.path)
            })())
        })?;
        written.map_err(wrong)
    }

    fn touch<T>(
        &self,
        goal: &Goal,
        what: impl FnOnce(&autoshare_workspace::Workspace) -> Result<T, HostError>,
    ) -> Result<T, ResidentError> {
        let root = goal.roots.first().ok_or_else(|| ResidentError::State("the brain has no workspace".to_owned()))?;
        Ok(self.parts.homes.touch(&root.path, what)?)
    }
}

/// Waits for the disk away from the threads that serve: a workspace is as large and as deep as its tenant makes it.
async fn away<T: Send + 'static>(
    what: impl FnOnce() -> Result<T, ResidentError> + Send + 'static,
) -> Result<T, ResidentError> {
    tokio::task::spawn_blocking(what).await.map_err(|error| HostError::Task(error.to_string()))?
}

fn goal_of<'e>(mut events: impl Iterator<Item = &'e Event>) -> Option<&'e Goal> {
    events.find_map(|event| match event {
        Event::Goal(goal) => Some(goal),
        _ => None,
    })
}

fn wrong(error: WorkspaceError) -> ResidentError {
    ResidentError::Wrong(error.to_string())
}

/// 128 bits: no two paths of a brain, nor of two brains, share one.
fn id(brain: &BrainId, path: &str) -> String {
    let digest = Digest::of_parts(&[b"autoshare/artifact/1", brain.as_str().as_bytes(), path.as_bytes()]);
    digest.as_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
