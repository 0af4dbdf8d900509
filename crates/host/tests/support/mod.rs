//! How the hosts of these tests are set up.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use autoshare_core::usage::Quota;
use autoshare_gate::policy::Profile;
use autoshare_gate::{Commands, Policy};
use autoshare_host::undo::UndoSettings;
use autoshare_host::warrant::Drawing;
use autoshare_host::{Guard, Questions, Settings};
use autoshare_sandbox::{CellLimits, Tier};
use autoshare_workspace::snapshot::SnapshotLimits;

/// Every bound as it is by default; the data directory is out of reach, and a question waits for its answer.
pub(crate) fn settings(data: &Path) -> Settings {
    Settings {
        guard: Guard::default(),
        protected: vec![data.display().to_string()],
        hidden: vec![data.to_owned()],
        frozen: Vec::new(),
        cell: CellLimits::default(),
        program_cell: CellLimits::for_programs(),
        program_timeout: Duration::from_secs(60),
        max_output: 1 << 20,
        background_jobs: 16,
        commands: Commands::Any,
        policy: Some(Arc::new(Policy::builtin(Profile::Default).unwrap())),
        policy_in_force: None,
        allowed_hosts: Vec::new(),
        warrant: Drawing::Draft,
        pause_after: 2,
        answer_within: Duration::from_secs(60),
        park_after: Duration::from_secs(30),
        quota: Quota::default(),
        least_tier: Tier::Narrow,
        speculate: false,
        max_text: 32 * 1024,
        action_timeout: Duration::from_secs(60),
        questions: Questions::Wait,
        undo: UndoSettings { data_dir: data.to_owned(), limits: SnapshotLimits::default(), leave_out: Vec::new() },
    }
}
