//! The tools: an action becomes something to look at, or a change of one file.

pub(crate) mod change;
mod look;
pub(crate) mod text;

use autoshare_core::Digest;
use autoshare_core::outcome::{Ending, FileState, Refusal};
use autoshare_core::tool::Action;
use autoshare_workspace::{Target, Workspace, WorkspaceError};

use crate::roots::Roots;
pub(crate) use look::{Look, Shown};

/// What an action comes to.
pub(crate) enum Job<'a> {
    /// It only looks.
    Look(Look<'a>),
    /// It changes a file.
    Change(Change<'a>),
}

/// A change of one file, worked out and not yet made.
pub(crate) struct Change<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) target: Target,
    /// The file's bytes afterwards.
    pub(crate) content: Vec<u8>,
    /// The path as the model is told it.
    pub(crate) shown: String,
}

impl Change<'_> {
    pub(crate) fn after(&self) -> FileState {
        FileState { digest: Digest::of(&self.content), len: self.content.len() as u64 }
    }

    /// Whether the bytes fit.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        self.workspace.check(&self.target, self.content.len() as u64).map_err(|error| error.refusal())
    }
}

/// Works out what an action comes to. Arguments were checked against the tool's schema by the host; what the schema
/// would not let through is answered, not trusted.
pub(crate) fn job<'a>(roots: &'a Roots, action: &'a Action) -> Result<Job<'a>, Refusal> {
    let path = |default| roots.find(action.text("path").unwrap_or(default));
    Ok(match action.tool.as_str() {
        "read_file" => Job::Look(Look::read(path("")?, action)?),
        "read_document" => Job::Look(Look::document(path("")?)),
        "list_folder" => Job::Look(Look::list(path(".")?, action)),
        "find" => Job::Look(Look::find(path(".")?, action)?),
        "search" => Job::Look(Look::search(path(".")?, action)?),
        "write_file" => Job::Change(change::write(path("")?, action)?),
        "edit_file" => Job::Change(change::edit(path("")?, action)?),
        other => return Err(failed(format!("this cell has no tool named {other:?}"))),
    })
}

/// An ordinary failure.
pub(crate) fn failed(words: String) -> Refusal {
    Refusal { ending: Ending::Failed, layer: "tool".to_owned(), words }
}

/// A text argument that must be there.
fn need<'a>(action: &'a Action, name: &str) -> Result<&'a str, Refusal> {
    action.text(name).ok_or_else(|| failed(format!("{} needs the text {name:?}", action.tool)))
}

fn refusal(error: WorkspaceError) -> Refusal {
    error.refusal()
}
