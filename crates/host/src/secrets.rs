//! Whether a cell for programs holds files with keys or passwords. What programs there can read, they can print in any form:
//! from then on everything that leaves the brain may carry it.

use autoshare_core::event::{Event, NoteKind, Root, RootMode};
use autoshare_core::special::{is_secret, secret_glob};
use autoshare_core::tool::{Effect, ToolSpec};
use autoshare_core::usage::Quota;
use autoshare_store::Durability;
use autoshare_workspace::Workspace;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use crate::HostError;
use crate::drive::Driver;

impl Driver<'_> {
    /// Before a program runs: journals that it may read what is secret, if it may. Only where something could leave.
    pub(crate) async fn note_secrets(&mut self) -> Result<(), HostError> {
        if self.reading.history().secret_read().is_some() || !self.goal.tools.iter().any(leaves) {
            return Ok(());
        }
        let roots = self.goal.roots.clone();
        let found = tokio::task::spawn_blocking(move || roots.iter().find_map(first_secret))
            .await
            .map_err(|e| HostError::Task(e.to_string()))?;
        match found {
            Some(text) => self.record(vec![Event::Note { kind: NoteKind::Secret, text }], Durability::Lazy).await,
            None => Ok(()),
        }
    }
}

const fn leaves(tool: &ToolSpec) -> bool {
    tool.served.is_some() || matches!(tool.effect, Effect::Fetch | Effect::External | Effect::Destructive)
}

/// The first file below a root whose name says that it is secret. What cannot be looked through may hold one.
fn first_secret(root: &Root) -> Option<String> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat2(CWD, root.path.as_str(), flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).ok()?;
    let workspace = Workspace::open(dir, RootMode::Read, Quota::default());
    let found = workspace.find(&secret_glob(), ".").ok()?;
    let named = found.paths.into_iter().find(|path| is_secret(path));
    let unseen = || (!found.whole || found.more > 0).then(|| "more files than could be looked through".to_owned());
    named.or_else(unseen)
}
