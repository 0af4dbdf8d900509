//! `autoshare.toml`. Unknown keys refuse, with the place where they stand.
#![allow(clippy::disallowed_methods, reason = "the one place where configuration and key files are read")]

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use autoshare_broker::ProviderSpec;
use autoshare_vault::Sensitive;
use serde::Deserialize;

use super::SettingsError;
use super::serve::{GatewaySection, ServeSection};

/// Bytes of a configuration file at most.
const MAX_FILE: u64 = 1024 * 1024;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ConfigFile {
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) model: ModelSection,
    pub(crate) limits: LimitsSection,
    pub(crate) workspace: WorkspaceSection,
    pub(crate) shell: ShellSection,
    pub(crate) network: super::network::NetworkSection,
    pub(crate) mcp: super::mcp::McpSection,
    pub(crate) cell: CellSection,
    pub(crate) gate: super::gate::GateSection,
    pub(crate) guard: super::guard::GuardSection,
    pub(crate) serve: ServeSection,
    pub(crate) gateway: GatewaySection,
    pub(crate) budget: super::budget::BudgetSection,
    pub(crate) fair: super::fair::FairSection,
    pub(crate) share: super::share::ShareSection,
    pub(crate) provider: BTreeMap<String, ProviderSpec>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ModelSection {
    pub(crate) name: Option<String>,
    pub(crate) base_url: Option<String>,
    pub(crate) api_key_file: Option<PathBuf>,
    pub(crate) prices: Option<PathBuf>,
    pub(crate) provider: Option<String>,
    pub(crate) fallback: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsSection {
    pub(crate) max_steps: Option<u64>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) max_cost: Option<String>,
    pub(crate) max_text: Option<u64>,
    pub(crate) action_timeout_s: Option<u64>,
    pub(crate) max_workspace_bytes: Option<u64>,
    pub(crate) max_workspace_files: Option<u64>,
    pub(crate) max_file_bytes: Option<u64>,
    pub(crate) cell_memory_bytes: Option<u64>,
    pub(crate) cell_cpu_s: Option<u64>,
    pub(crate) cell_open_files: Option<u64>,
    pub(crate) program_timeout_s: Option<u64>,
    pub(crate) program_memory_bytes: Option<u64>,
    pub(crate) program_processes: Option<u64>,
    pub(crate) program_cpu_percent: Option<u64>,
    pub(crate) program_cpu_weight: Option<u64>,
    pub(crate) program_cpu_s: Option<u64>,
    pub(crate) program_open_files: Option<u64>,
    pub(crate) program_file_bytes: Option<u64>,
    pub(crate) program_tmp_bytes: Option<u64>,
    pub(crate) program_tmp_files: Option<u64>,
    pub(crate) max_output_bytes: Option<u64>,
    pub(crate) background_jobs: Option<u64>,
    pub(crate) proxy_connections: Option<u64>,
    pub(crate) park_after_s: Option<u64>,
    pub(crate) undo_bytes: Option<u64>,
    pub(crate) undo_files: Option<u64>,
    pub(crate) breaker_faults: Option<u64>,
    pub(crate) breaker_rest_s: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ShellSection {
    pub(crate) enabled: Option<bool>,
    pub(crate) control: Option<String>,
    pub(crate) allow: Option<Vec<String>>,
    pub(crate) deny: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WorkspaceSection {
    pub(crate) restrict: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CellSection {
    pub(crate) speculate: Option<bool>,
}

impl ConfigFile {
    /// The file at `path`; its absence is an error only if it was `named`.
    pub(crate) fn load(path: Option<&Path>, named: bool) -> Result<(Self, Option<PathBuf>), SettingsError> {
        let Some(path) = path else { return Ok((Self::default(), None)) };
        if !named && !path.exists() {
            return Ok((Self::default(), None));
        }
        let text = read_text(path)?;
        let file = toml::from_str(&text).map_err(|e| wrong(path, e.to_string().trim().to_owned()))?;
        Ok((file, Some(path.to_owned())))
    }
}

fn wrong(path: &Path, why: String) -> SettingsError {
    SettingsError::File { path: path.display().to_string(), why }
}

/// A small UTF-8 file that nobody else decides about.
pub(crate) fn read_text(path: &Path) -> Result<String, SettingsError> {
    // Looked at before it is opened: a FIFO would wait for ever.
    let found = path.metadata().map_err(|e| wrong(path, e.to_string()))?;
    if found.file_type().is_fifo() || found.file_type().is_socket() {
        return Err(wrong(path, "not a regular file".to_owned()));
    }
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me && found.uid() != 0 {
        let why = format!("it belongs to uid {}, who could change it; make it your own (chown)", found.uid());
        return Err(wrong(path, why));
    }
    if found.is_file() && found.mode() & 0o002 != 0 {
        return Err(wrong(path, "anybody may write to it; run chmod o-w on it".to_owned()));
    }
    let file = std::fs::File::open(path).map_err(|e| wrong(path, e.to_string()))?;
    let mut text = String::new();
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|e| wrong(path, e.to_string()))?;
    if read as u64 > MAX_FILE { Err(wrong(path, "larger than 1 MiB".to_owned())) } else { Ok(text) }
}

/// A key file, which nobody else may read.
pub(crate) fn read_key(path: &Path) -> Result<Sensitive, SettingsError> {
    let mode = path.metadata().map_err(|e| wrong(path, e.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(wrong(path, "a key that others may read; run chmod 600 on it".to_owned()));
    }
    let text = read_text(path)?;
    if text.trim().is_empty() {
        return Err(wrong(path, "the key file is empty".to_owned()));
    }
    Ok(Sensitive::new(text.trim().to_owned()))
}
