//! What the Agent Protocol says, as data.

use autoshare_core::TurnNo;
use autoshare_core::event::FinishReason;
use autoshare_host::resident::{Artifact, BrainView, Phase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ADDITIONAL;
use crate::api::words::time;

/// A task to be made.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct TaskRequest {
    /// What is to be reached, in a person's words.
    pub(crate) input: Option<String>,
    /// What comes with it: content, whatever it says.
    pub(crate) additional_input: Option<Value>,
}

/// A step to be done.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct StepRequest {
    /// A person's words to the brain before it; `y`, and the task's own, say nothing new.
    pub(crate) input: Option<String>,
    /// Given back as it is.
    pub(crate) additional_input: Option<Value>,
}

/// What is said of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Pagination {
    /// Items in all.
    pub(crate) total_items: u64,
    /// Pages in all.
    pub(crate) total_pages: u64,
    /// This page, from 1.
    pub(crate) current_page: u64,
    /// Items of a page.
    pub(crate) page_size: u64,
}

/// A page of tasks.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Tasks {
    /// The tasks.
    pub(crate) tasks: Vec<Task>,
    /// What is said of all.
    pub(crate) pagination: Pagination,
}

/// A page of steps.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Steps {
    /// The steps.
    pub(crate) steps: Vec<Step>,
    /// What is said of all.
    pub(crate) pagination: Pagination,
}

/// A page of files.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Artifacts {
    /// The files.
    pub(crate) artifacts: Vec<ArtifactWords>,
    /// What is said of all.
    pub(crate) pagination: Pagination,
}

/// A task.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Task {
    task_id: String,
    input: String,
    additional_input: Value,
    artifacts: Vec<ArtifactWords>,
    created_at: String,
    modified_at: String,
}

impl Task {
    pub(crate) fn of(view: &BrainView, artifacts: Vec<ArtifactWords>) -> Self {
        let additional = view.attached.iter().find(|text| text.name == ADDITIONAL);
        Self {
            task_id: view.id.to_string(),
            input: view.goal.clone(),
            // What the guard held back of it is text no more that could be read.
            additional_input: additional.and_then(|text| serde_json::from_str(&text.text).ok()).unwrap_or(Value::Null),
            artifacts,
            created_at: time(view.created_ms),
            modified_at: time(view.updated_ms),
        }
    }
}

/// A file of a task.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ArtifactWords {
    artifact_id: String,
    /// Whether the agent made it.
    agent_created: bool,
    file_name: String,
    /// The folder that it lies in, below the workspace; empty for the workspace itself.
    relative_path: String,
    created_at: String,
    modified_at: String,
}

impl From<Artifact> for ArtifactWords {
    fn from(artifact: Artifact) -> Self {
        let path = artifact.file.path;
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let at = time(artifact.file.modified_ms);
        Self {
            artifact_id: artifact.id,
            agent_created: !artifact.is_uploaded,
            file_name: name.to_owned(),
            relative_path: folder.to_owned(),
            // No file system keeps when a file was first made through replacements of it.
            created_at: at.clone(),
            modified_at: at,
        }
    }
}

/// A step: one reply of the model, and what it had done.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Step {
    task_id: String,
    step_id: String,
    name: String,
    input: Option<String>,
    additional_input: Value,
    /// Always `completed`: a step is shown when it is done.
    status: &'static str,
    output: String,
    additional_output: Value,
    artifacts: Vec<ArtifactWords>,
    is_last: bool,
    created_at: String,
    modified_at: String,
}

impl Step {
    /// The step of a turn, if there was such a turn.
    pub(crate) fn of(view: &BrainView, turn: TurnNo, files: &[Artifact], additional: Option<Value>) -> Option<Self> {
        let found = view.turns.iter().find(|one| one.turn == turn)?;
        let actions: Vec<_> = view.steps.iter().filter(|step| step.turn == turn).collect();
        let name = actions.first().map_or_else(|| "answer".to_owned(), |step| step.tool.clone());
        let results =
            actions.iter().map(|step| format!("{}: {}", step.tool, step.result.as_deref().unwrap_or("no result")));
        let answer = view.answer.clone().filter(|_| found.is_last && view.phase == Phase::Finished(FinishReason::Done));
        let why = view.why.clone().filter(|_| found.is_last && answer.is_none());
        let words = answer.or_else(|| Some(found.text.clone()).filter(|text| !text.trim().is_empty()));
        let output: Vec<String> = words.into_iter().chain(results).chain(why).collect();
        let is_of_it = |file: &&Artifact| {
            !file.is_uploaded && (found.at_ms..=found.updated_ms.max(found.at_ms)).contains(&file.file.modified_ms)
        };
        Some(Self {
            task_id: view.id.to_string(),
            step_id: turn.to_string(),
            name,
            input: found.heard.clone(),
            additional_input: additional.unwrap_or(Value::Null),
            status: "completed",
            output: output.join("\n\n"),
            additional_output: json!({"actions": actions.iter().map(|step| step.step).collect::<Vec<_>>()}),
            artifacts: files.iter().filter(is_of_it).cloned().map(ArtifactWords::from).collect(),
            is_last: found.is_last,
            created_at: time(found.at_ms),
            modified_at: time(found.updated_ms),
        })
    }
}
