//! Settings: flags over environment over `--env-file` over `autoshare.toml` over defaults. The environment is read here
//! and nowhere else; nothing is read from below a workspace.

mod activation;
mod budget;
mod fair;
mod file;
mod gate;
mod guard;
mod login;
mod mcp;
mod models;
mod network;
mod serve;
mod share;
mod shell;
mod telemetry;
mod words;

use std::path::{Path, PathBuf};
use std::time::Duration;

use autoshare_core::TenantName;
use autoshare_core::event::PolicyInForce;
use autoshare_core::usage::{Limits, MicroUsd, Quota};
use autoshare_gate::Commands;
use autoshare_sandbox::CellLimits;
use autoshare_store::ledger::Budgets;
use autoshare_workspace::snapshot::SnapshotLimits;

pub(crate) use activation::Activation;
pub(crate) use file::{ConfigFile, read_key, read_text};
pub(crate) use gate::{Gate, Rules, WarrantMode};
pub(crate) use guard::{ClassifierSettings, detector};
pub(crate) use models::ModelSettings;
pub(crate) use network::{Inject, Network};
pub(crate) use serve::{Confine, TlsSettings, parse_address};
pub(crate) use words::{list, yes_or_no};

/// A setting that cannot be used. The message names the setting, what is wrong, and what is accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{name} is {value:?}: use true (or 1, yes) or false (or 0, no)")]
    NotYesOrNo { name: String, value: String },
    #[error("{name} is {value:?}: {why}")]
    Wrong { name: String, value: String, why: String },
    #[error("{path}: {why}")]
    File { path: String, why: String },
    #[error("{path} lies below the workspace, where a brain can write: keep configuration elsewhere")]
    BelowWorkspace { path: String },
    #[error(
        "{path} is this program itself, and would lie where a brain or a program can reach it: install it elsewhere, such as \
         /usr/local/bin, or open another folder"
    )]
    OwnProgram { path: String },
    #[error("this brain would be judged otherwise than before: {why}")]
    PolicyChanged { why: String },
    #[error("there is no home directory (HOME is not set): say where to keep data with --data-dir")]
    NoHome,
}

/// Everything that was set, resolved.
pub(crate) struct Settings {
    pub(crate) data_dir: PathBuf,
    /// For whom; `None` for the owner of the data directory.
    pub(crate) tenant: Option<TenantName>,
    pub(crate) config_dir: Option<PathBuf>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) login: String,
    pub(crate) model: Option<String>,
    /// Who serves models, and with which keys.
    pub(crate) models: ModelSettings,
    pub(crate) prices: Option<String>,
    pub(crate) limits: Limits,
    /// What the tenant may use.
    pub(crate) budgets: Budgets,
    pub(crate) action_timeout: Duration,
    pub(crate) max_text: u64,
    pub(crate) quota: Quota,
    pub(crate) cell: CellLimits,
    pub(crate) program_cell: CellLimits,
    pub(crate) program_timeout: Duration,
    pub(crate) max_output: u64,
    pub(crate) background_jobs: usize,
    /// Connections through the proxy of one cell at once.
    pub(crate) connections: usize,
    /// What servers of tools may take.
    pub(crate) mcp: mcp::McpSettings,
    /// What programs in cells may reach.
    pub(crate) network: Network,
    /// How actions are judged.
    pub(crate) gate: Gate,
    pub(crate) guard: autoshare_host::Guard,
    pub(crate) classifier: Option<ClassifierSettings>,
    pub(crate) park_after: Duration,
    /// How tenants share calls of models and cells.
    pub(crate) fair: fair::Fair,
    /// How much tenants may share with one another.
    pub(crate) share: autoshare_host::shares::SharingSettings,
    /// Which commands may be called by name; `None` if no program is to be run at all.
    pub(crate) commands: Option<Commands>,
    /// How much is kept of what a brain changes.
    pub(crate) undo: SnapshotLimits,
    pub(crate) restrict: bool,
    pub(crate) speculate: bool,
    pub(crate) serve: serve::Serve,
    pub(crate) gateway: autoshare_broker::gateway::GatewaySettings,
    pub(crate) warnings: Vec<String>,
    /// Files that were read, which no workspace may hold.
    pub(crate) read_from: Vec<PathBuf>,
}

/// What the command line says about settings.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct GlobalFlags {
    /// Where journals and keys are kept [default: $XDG_DATA_HOME/autoshare, else ~/.local/share/autoshare]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Configuration file [default: $XDG_CONFIG_HOME/autoshare/autoshare.toml, else ~/.config/autoshare/autoshare.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A .env file as AutoGPT's, read only when named here
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// The tenant to act for [default: your own, `local`]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) tenant: Option<TenantName>,
}

/// The variables of AutoGPT and of other programs that are understood.
const VARIABLES: &[&str] = &[
    "AUTOSHARE_DATA_DIR",
    "AUTOSHARE_DETECTOR",
    "AUTOSHARE_MODEL",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_API_BASE",
    "OPENAI_API_BASE_URL",
    "ANTHROPIC_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_API_VERSION",
    "AZURE_OPENAI_ENDPOINT",
    "DEEPSEEK_API_KEY",
    "FIREWORKS_API_KEY",
    "GEMINI_API_KEY",
    "GROQ_API_KEY",
    "LLAMA_API_KEY",
    "MISTRAL_API_KEY",
    "OPENROUTER_API_KEY",
    "TOGETHER_API_KEY",
    "VLLM_API_KEY",
    "XAI_API_KEY",
    "SMART_LLM",
    "RESTRICT_TO_WORKSPACE",
    "EXECUTE_LOCAL_COMMANDS",
    "SHELL_COMMAND_CONTROL",
    "SHELL_ALLOWLIST",
    "SHELL_DENYLIST",
];

/// Variables of AutoGPT's `.env` that have no effect here yet; they are named in a warning and not refused.
const NOT_YET: &[&str] = &[
    "FAST_LLM",
    "TEMPERATURE",
    "EMBEDDING_MODEL",
    "DISABLED_COMMANDS",
    "GITHUB_API_KEY",
    "GITHUB_USERNAME",
    "GOOGLE_API_KEY",
    "GOOGLE_CUSTOM_SEARCH_ENGINE_ID",
    "HUGGINGFACE_API_TOKEN",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "USER_AGENT",
];

impl Settings {
    /// Reads files and environment.
    pub(crate) fn load(flags: &GlobalFlags) -> Result<Self, SettingsError> {
        let environment = Environment::read(flags.env_file.as_deref())?;
        let get = |name: &str| environment.get(name);
        let home = os("HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let under_home = |below: &str| home.as_ref().map(|home| home.join(below));
        let config_dir = absolute("XDG_CONFIG_HOME").or_else(|| under_home(".config")).map(|d| d.join("autoshare"));
        let named = flags.config.clone();
        let path = named.clone().or_else(|| config_dir.as_ref().map(|dir| dir.join("autoshare.toml")));
        let (file, file_path) = ConfigFile::load(path.as_deref(), named.is_some())?;
        let data_dir = flags
            .data_dir
            .clone()
            .or_else(|| get("AUTOSHARE_DATA_DIR").map(PathBuf::from))
            .or_else(|| file.data_dir.clone())
            .or_else(|| absolute("XDG_DATA_HOME").or_else(|| under_home(".local/share")).map(|d| d.join("autoshare")))
            .ok_or(SettingsError::NoHome)?;
        let data_dir = std::path::absolute(&data_dir)
            .map_err(|e| SettingsError::File { path: data_dir.display().to_string(), why: e.to_string() })?;

        let mut limits = Limits::default();
        let max_cost = file.limits.max_cost.as_deref().map(parse_cost).transpose()?;
        limits.max_cost = max_cost.unwrap_or(limits.max_cost);
        limits.max_steps = file.limits.max_steps.unwrap_or(limits.max_steps);
        limits.max_tokens = file.limits.max_tokens.unwrap_or(limits.max_tokens);

        let mut models = ModelSettings::load(&file, &get)?;
        let model = get("AUTOSHARE_MODEL").or_else(|| file.model.name.clone()).or_else(|| get("SMART_LLM"));
        let prices = file.model.prices.as_deref().map(file::read_text).transpose()?;
        let restrict = match get("RESTRICT_TO_WORKSPACE") {
            Some(text) => yes_or_no("RESTRICT_TO_WORKSPACE", &text)?,
            None => file.workspace.restrict.unwrap_or(true),
        };
        let mut warnings = environment.warnings.clone();
        warnings.extend(models.warnings.iter().cloned());
        if !restrict {
            warnings.push(
                "RESTRICT_TO_WORKSPACE is off: the brain may read and write your whole home directory, except keys, \
                 configuration and what your machine executes. Consider --read PATH and --write PATH instead."
                    .to_owned(),
            );
        }
        let section = &file.limits;
        let seconds = bounded("action_timeout_s", section.action_timeout_s, 60, 1..=86_400)?;
        let max_text = bounded("max_text", section.max_text, 32 * 1024, 1_000..=1024 * 1024)?;
        let (quota, undo) = (quota(section)?, undo_limits(section)?);
        let (cell, program_cell) = (cell_limits(section)?, program_limits(section)?);
        let program_seconds = bounded("program_timeout_s", section.program_timeout_s, 120, 1..=86_400)?;
        let max_output = bounded("max_output_bytes", section.max_output_bytes, 64 << 20, 4_096..=1 << 40)?;
        let background_jobs = bounded("background_jobs", section.background_jobs, 16, 1..=10_000)?;
        let connections = bounded("proxy_connections", section.proxy_connections, 256, 1..=100_000)?;
        let park_seconds = bounded("park_after_s", section.park_after_s, 30, 1..=86_400)?;
        let commands = shell::commands(&get, &file.shell)?;
        let budgets = budget::budgets(&file.budget)?;
        let network = Network::of(&file.network)?;
        let more = [file.model.api_key_file.clone(), file.model.prices.clone(), file.network.ca_file.clone()];
        let named = [file_path, flags.env_file.clone()].into_iter().chain(more);
        let named = named
            .flatten()
            .chain(file.serve.files())
            .chain(file.gate.policy.clone())
            .chain(std::mem::take(&mut models.read_from));
        let read_from = named.map(|path| std::path::absolute(&path).unwrap_or(path)).collect();
        let (guard, classifier) = file.guard.read(get("AUTOSHARE_DETECTOR").as_deref())?;
        let gateway_detector = guard.detector;
        Ok(Self {
            data_dir,
            tenant: flags.tenant.clone(),
            config_dir,
            home,
            login: os("LOGNAME").or_else(|| os("USER")).unwrap_or_else(|| "somebody".to_owned()),
            model,
            models,
            prices,
            limits,
            budgets,
            action_timeout: Duration::from_secs(seconds),
            max_text,
            quota,
            cell,
            program_cell,
            program_timeout: Duration::from_secs(program_seconds),
            max_output,
            background_jobs: usize::try_from(background_jobs).unwrap_or(usize::MAX),
            connections: usize::try_from(connections).unwrap_or(usize::MAX),
            mcp: file.mcp.read()?,
            network,
            gate: file.gate.read()?,
            guard,
            classifier,
            park_after: Duration::from_secs(park_seconds),
            fair: file.fair.read()?,
            share: file.share.read()?,
            commands,
            undo,
            restrict,
            speculate: file.cell.speculate.unwrap_or(false),
            serve: file.serve.read()?,
            gateway: file.gateway.read(gateway_detector)?,
            warnings,
            read_from,
        })
    }

    /// The settings of the demo: its own data directory, nobody's configuration, no key.
    pub(crate) fn for_demo(flags: &GlobalFlags) -> Result<Self, SettingsError> {
        let mut settings = Self::load(&GlobalFlags { config: Some(PathBuf::from("/dev/null")), ..flags.clone() })?;
        (settings.models, settings.restrict) = (ModelSettings::none(), true);
        settings.limits = Limits::default();
        // What commands may be called is nothing that the demo stands on, and it is to have them.
        settings.commands = Some(Commands::Any);
        settings.read_from.clear();
        Ok(settings)
    }

    /// Takes what the command line says of how actions are judged.
    pub(crate) fn judge_by(&mut self, flags: &crate::args::Judging) -> Result<WarrantMode, SettingsError> {
        let how = self.gate.choose(flags)?;
        self.read_from.extend(self.gate.rules.file().map(Path::to_owned));
        Ok(how)
    }

    /// Judges on as a brain was judged before, with what the command line says now in place of it.
    pub(crate) fn judge_again(
        &mut self,
        was: Option<&PolicyInForce>,
        flags: &crate::args::PolicyFlags,
    ) -> Result<(), SettingsError> {
        let rules = &self.gate.rules;
        self.gate.rules = was.map_or_else(|| rules.with(flags), |was| rules.again(was, flags))?;
        self.read_from.extend(self.gate.rules.file().map(Path::to_owned));
        Ok(())
    }

    /// Where the workspaces of tenants lie: not in the data directory, which no brain may touch.
    pub(crate) fn workspaces(&self) -> PathBuf {
        self.serve.workspaces.clone().unwrap_or_else(|| {
            let mut name = self.data_dir.file_name().unwrap_or_default().to_owned();
            name.push("-workspaces");
            self.data_dir.with_file_name(name)
        })
    }

    /// Refuses a workspace that holds a file settings were read from, or our own data.
    pub(crate) fn check_workspace(&self, workspace: &Path) -> Result<(), SettingsError> {
        for path in self.read_from.iter().chain([&self.data_dir]) {
            let real = crate::assemble::real(path);
            if real.starts_with(workspace) {
                return Err(SettingsError::BelowWorkspace { path: real.display().to_string() });
            }
        }
        Ok(())
    }
}

/// Refuses a root that holds this program, which what works there could replace, or change while it runs.
pub(crate) fn check_program(root: &Path) -> Result<(), SettingsError> {
    match std::env::current_exe() {
        Ok(path) if path.starts_with(root) => Err(SettingsError::OwnProgram { path: path.display().to_string() }),
        _ => Ok(()),
    }
}

/// What a workspace may hold.
fn quota(set: &file::LimitsSection) -> Result<Quota, SettingsError> {
    let usual = Quota::default();
    Ok(Quota {
        bytes: bounded("max_workspace_bytes", set.max_workspace_bytes, usual.bytes, 4_096..=1 << 60)?,
        files: bounded("max_workspace_files", set.max_workspace_files, usual.files, 1..=100_000_000)?,
        file: bounded("max_file_bytes", set.max_file_bytes, usual.file, 1..=Quota::MAX_FILE)?,
        depth: usual.depth,
    })
}

/// What a cell may take.
fn cell_limits(set: &file::LimitsSection) -> Result<CellLimits, SettingsError> {
    let usual = CellLimits::default();
    Ok(CellLimits {
        memory: bounded("cell_memory_bytes", set.cell_memory_bytes, usual.memory, 256 << 20..=1 << 40)?,
        cpu_seconds: bounded("cell_cpu_s", set.cell_cpu_s, usual.cpu_seconds, 1..=86_400)?,
        open_files: bounded("cell_open_files", set.cell_open_files, usual.open_files, 64..=65_536)?,
        ..usual
    })
}

/// What a cell for programs may take.
fn program_limits(set: &file::LimitsSection) -> Result<CellLimits, SettingsError> {
    let usual = CellLimits::for_programs();
    Ok(CellLimits {
        memory: bounded("program_memory_bytes", set.program_memory_bytes, usual.memory, 64 << 20..=1 << 44)?,
        processes: bounded("program_processes", set.program_processes, usual.processes, 4..=1 << 20)?,
        cpu_percent: bounded("program_cpu_percent", set.program_cpu_percent, usual.cpu_percent, 1..=100_000)?,
        cpu_weight: bounded("program_cpu_weight", set.program_cpu_weight, usual.cpu_weight, 1..=100)?,
        cpu_seconds: bounded("program_cpu_s", set.program_cpu_s, usual.cpu_seconds, 1..=31_536_000)?,
        open_files: bounded("program_open_files", set.program_open_files, usual.open_files, 64..=1 << 20)?,
        file_size: bounded("program_file_bytes", set.program_file_bytes, usual.file_size, 4_096..=1 << 50)?,
        tmp_bytes: bounded("program_tmp_bytes", set.program_tmp_bytes, usual.tmp_bytes, 65_536..=1 << 44)?,
        tmp_files: bounded("program_tmp_files", set.program_tmp_files, usual.tmp_files, 16..=100_000_000)?,
    })
}

/// How much is kept for taking back.
fn undo_limits(set: &file::LimitsSection) -> Result<SnapshotLimits, SettingsError> {
    let usual = SnapshotLimits::default();
    Ok(SnapshotLimits {
        bytes: bounded("undo_bytes", set.undo_bytes, usual.bytes, 0..=1 << 50)?,
        files: bounded("undo_files", set.undo_files, usual.files, 1..=10_000_000)?,
    })
}

/// A number below `[limits]`, or its default.
fn bounded(
    name: &str,
    set: Option<u64>,
    usual: u64,
    accepted: std::ops::RangeInclusive<u64>,
) -> Result<u64, SettingsError> {
    bounded_in("limits", name, set, usual, accepted)
}

/// A number below `[section]`, or its default.
fn bounded_in(
    section: &str,
    name: &str,
    set: Option<u64>,
    usual: u64,
    accepted: std::ops::RangeInclusive<u64>,
) -> Result<u64, SettingsError> {
    let number = set.unwrap_or(usual);
    if accepted.contains(&number) {
        return Ok(number);
    }
    let why = format!("use {} to {}", accepted.start(), accepted.end());
    Err(SettingsError::Wrong { name: format!("{section}.{name}"), value: number.to_string(), why })
}

/// A number of dollars from the command line or a file.
pub(crate) fn parse_cost(text: &str) -> Result<MicroUsd, SettingsError> {
    MicroUsd::parse_usd(text).map_err(|why| SettingsError::Wrong {
        name: "max_cost".to_owned(),
        value: text.to_owned(),
        why,
    })
}

struct Environment {
    from_file: Vec<(String, String)>,
    warnings: Vec<String>,
}

impl Environment {
    fn read(env_file: Option<&Path>) -> Result<Self, SettingsError> {
        let mut found = Self { from_file: Vec::new(), warnings: Vec::new() };
        let Some(path) = env_file else { return Ok(found) };
        let wrong = |why: String| SettingsError::File { path: path.display().to_string(), why };
        for (name, value) in words::env_lines(&file::read_text(path)?).map_err(wrong)? {
            if VARIABLES.contains(&name.as_str()) {
                found.from_file.push((name, value));
            } else if NOT_YET.contains(&name.as_str()) {
                found.warnings.push(format!("{name} has no effect yet"));
            } else {
                return Err(wrong(format!("{name} is not a setting; known are: {}", list(VARIABLES))));
            }
        }
        Ok(found)
    }

    /// The process's own environment goes before the file.
    fn get(&self, name: &str) -> Option<String> {
        os(name).or_else(|| self.from_file.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.clone()))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
fn os(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A variable of this process, for a program that is to find it.
pub(crate) fn variable(name: &str) -> Option<String> {
    os(name)
}

fn absolute(name: &str) -> Option<PathBuf> {
    os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Whether output should be without colour (no-color.org).
pub(crate) fn no_color() -> bool {
    os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
