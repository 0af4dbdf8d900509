//! Puts the parts together for one invocation.

pub(crate) mod serve;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoshare_access::{Access, AccessError, Operator, Tenants, Tokens};
use autoshare_broker::{Broker, Claims, Credentials};
use autoshare_core::event::{Root, RootMode};
use autoshare_core::fair::{Places, Share, Weight};
use autoshare_core::origin::Origin;
use autoshare_core::special;
use autoshare_core::tool::{Effect, ToolSpec};
use autoshare_guard::ensemble::Verifier;
use autoshare_host::mcp::{Mcp, Shelf};
use autoshare_host::shares::Sharing;
use autoshare_host::undo::UndoSettings;
use autoshare_host::{Guard, Host, Questions};
use autoshare_sandbox::{Launcher, Tier};
use autoshare_store::Store;
use autoshare_store::ledger::Ledger;
use autoshare_vault::secrets::{SecretName, Secrets};
use autoshare_vault::{Sensitive, Vault};

use crate::exit::{Failure, SETTINGS, UNKNOWN};
use crate::settings::{ClassifierSettings, Settings, check_program};

/// The store with the right to use it.
pub(crate) struct Data {
    pub(crate) access: Access,
    pub(crate) store: Arc<Store>,
}

/// The right to act for the tenant that the command line names, whose owner is at the terminal.
pub(crate) fn access(settings: &Settings) -> Result<Access, Failure> {
    match &settings.tenant {
        None => Ok(Access::local(&settings.data_dir)?),
        Some(name) => {
            let (operator, tenants) = tenants(settings)?;
            tenants.access(&operator, name).map_err(|error| match error {
                AccessError::NoTenant(_) => Failure::new(UNKNOWN, error.to_string()),
                other => other.into(),
            })
        }
    }
}

/// All tenants, with the right over them.
pub(crate) fn tenants(settings: &Settings) -> Result<(Operator, Tenants), Failure> {
    let operator = Operator::local(&settings.data_dir)?;
    Ok((operator, Tenants::open(&settings.data_dir, &Vault::open(&settings.data_dir)?)?))
}

/// The tokens, with the right to make them.
pub(crate) fn tokens(settings: &Settings) -> Result<(Access, Tokens), Failure> {
    let vault = Vault::open(&settings.data_dir)?;
    let policy = Arc::new(settings.serve.role_policy()?);
    Ok((access(settings)?, Tokens::with(&settings.data_dir, &vault, policy)?))
}

/// What tenants share with one another.
pub(crate) fn sharing(settings: &Settings) -> Result<Arc<Sharing>, Failure> {
    let homes = serve::homes(settings);
    Sharing::open(&settings.data_dir, homes, settings.share)
        .map(Arc::new)
        .map_err(|error| Failure::new(crate::exit::FAILED, error.to_string()))
}

/// The ledger over the settings' budgets.
pub(crate) fn ledger(settings: &Settings, access: &Access) -> Result<Arc<Ledger>, Failure> {
    Ok(Arc::new(Ledger::open(&settings.data_dir, access, settings.budgets.clone())?))
}

/// Opens the data directory, making it at first use.
pub(crate) fn data(settings: &Settings) -> Result<Data, Failure> {
    data_of(settings, access(settings)?)
}

fn data_of(settings: &Settings, access: Access) -> Result<Data, Failure> {
    let vault = Vault::open(&settings.data_dir)?;
    let store = Arc::new(Store::open(&settings.data_dir, &access, &vault)?);
    Ok(Data { access, store })
}

/// The tenant's credentials.
pub(crate) fn secrets(settings: &Settings) -> Result<Secrets, Failure> {
    secrets_of(settings, &access(settings)?)
}

fn secrets_of(settings: &Settings, access: &Access) -> Result<Secrets, Failure> {
    let vault = Vault::open(&settings.data_dir)?;
    Ok(Secrets::open(&settings.data_dir, &vault, access.tenant())?)
}

/// The tenant's credentials as keys of providers: each for the hosts it is bound to.
struct Kept {
    secrets: Secrets,
    /// By name and origin.
    found: Mutex<BTreeMap<(String, String), Found>>,
}

/// What was found, and when.
struct Found {
    key: Option<Arc<Sensitive>>,
    when: Instant,
}

/// For how long a credential is not read again.
const FRESH: Duration = Duration::from_secs(1);

impl Credentials for Kept {
    fn find(&self, name: &str, origin: &str) -> Option<Arc<Sensitive>> {
        let place = (name.to_owned(), origin.to_owned());
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = found.get(&place).filter(|known| known.when.elapsed() < FRESH) {
            return known.key.clone();
        }
        let (name, at) = (SecretName::parse(name).ok()?, Origin::of_url(origin)?);
        let key = self.secrets.value_for(&name, &at).ok()?.map(Arc::new);
        found.insert(place, Found { key: key.clone(), when: Instant::now() });
        key
    }
}

/// The broker over the settings. A provider's key is the one of the environment or of a file, else the secret of that name,
/// if it is for the endpoint.
pub(crate) fn broker(settings: &Settings) -> Result<Arc<Broker>, Failure> {
    broker_of(settings, &access(settings)?, Arc::default(), First::Settings)
}

/// Whose key is used where both have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// Who started the program.
    Settings,
    /// The tenant.
    Tenant,
}

fn broker_of(settings: &Settings, access: &Access, claims: Arc<Claims>, first: First) -> Result<Arc<Broker>, Failure> {
    let models = &settings.models;
    let mut keys: Vec<Box<dyn Credentials>> = vec![Box::new(models.credentials.clone())];
    // Nothing is made on disk for somebody who keeps no secrets.
    if settings.data_dir.join("secrets").exists() {
        let kept = Kept { secrets: secrets_of(settings, access)?, found: Mutex::default() };
        keys.insert(if first == First::Tenant { 0 } else { 1 }, Box::new(kept));
    }
    let mut parts = autoshare_broker::Settings {
        providers: models.providers.clone(),
        default_provider: models.default_provider.clone(),
        base_url: models.base_url.clone(),
        api_key: models.api_key.as_ref().map(|key| Sensitive::new(key.expose().to_owned())),
        credentials: Box::new(keys),
        fallbacks: models.fallbacks.clone(),
        breaker: models.breaker,
        tenant: access.tenant().to_string(),
        claims,
        ..autoshare_broker::Settings::default()
    };
    // The same in every process, so that a server's cache of this tenant's prompts is of use to the next one.
    if settings.data_dir.join("keys").exists() {
        let label = [b"autoshare/cache-salt/1", access.tenant().as_str().as_bytes()];
        parts.cache_salt = Some(Vault::open(&settings.data_dir)?.token_marks().mark(&label)?);
    }
    if let Some(text) = &settings.prices {
        parts.prices = autoshare_broker::Prices::parse(text)?;
    }
    Ok(Arc::new(Broker::new(parts)?))
}

/// The host over its parts.
pub(crate) fn host(
    settings: &Settings,
    data: &Data,
    broker: Arc<Broker>,
    launcher: Launcher,
    wait: Questions,
) -> Result<Host, Failure> {
    let parts = autoshare_host::Settings {
        policy: Some(settings.gate.policy()?),
        policy_in_force: Some(settings.gate.in_force()),
        guard: guard(settings)?,
        ..parts(settings, wait)
    };
    let share = |room| Places::new(room).share(data.access.tenant().clone(), Weight::default());
    let shares = [share(settings.fair.model_calls), share(settings.fair.cells)];
    let ledger = ledger(settings, &data.access)?;
    let host = host_of(settings, data, broker, Arc::new(launcher), ledger, shares, parts)?;
    Ok(host.with_sharing(sharing(settings)?))
}

fn host_of(
    settings: &Settings,
    data: &Data,
    broker: Arc<Broker>,
    launcher: Arc<Launcher>,
    ledger: Arc<Ledger>,
    [model_calls, cells]: [Share; 2],
    parts: autoshare_host::Settings,
) -> Result<Host, Failure> {
    let host = Host::new(data.access.clone(), Arc::clone(&data.store), ledger, launcher, broker, parts);
    let host = host.with_places(model_calls, cells);
    let host = match known_mcp_of(settings, &data.access)? {
        Some(mcp) => host.with_mcp(Arc::new(mcp)),
        None => host,
    };
    // Nothing is made on disk for somebody who keeps no secrets.
    let is_kept = settings.data_dir.join("secrets").exists();
    Ok(if is_kept { host.with_secrets(secrets_of(settings, &data.access)?.values()?) } else { host })
}

/// The guard with every verifier that the settings name. A classifier is read once.
pub(crate) fn guard(settings: &Settings) -> Result<Guard, Failure> {
    let mut guard = settings.guard.clone();
    if let (Some(named), true) = (&settings.classifier, guard.verifiers.is_empty()) {
        guard.verifiers.push(classifier(named)?);
    }
    Ok(guard)
}

#[cfg(feature = "onnx")]
fn classifier(named: &ClassifierSettings) -> Result<Arc<dyn Verifier>, Failure> {
    let ClassifierSettings { folder, runtime, threshold, timeout } = named.clone();
    let settings = autoshare_classifier::Settings { folder, runtime, threshold, timeout };
    let classifier = autoshare_classifier::Classifier::open(&settings);
    Ok(Arc::new(classifier.map_err(|error| Failure::new(SETTINGS, format!("guard.classifier: {error}")))?))
}

#[cfg(not(feature = "onnx"))]
fn classifier(named: &ClassifierSettings) -> Result<Arc<dyn Verifier>, Failure> {
    let words = format!(
        "guard.classifier: this program was built without ONNX, so {} is not judged by, and nothing is read without what \
         you asked for; build it with `cargo install --features onnx`, or take [guard.classifier] out of the settings",
        named.folder.display()
    );
    Err(Failure::new(SETTINGS, words))
}

/// The servers of tools, and what they are reached with.
pub(crate) fn mcp(settings: &Settings) -> Result<Mcp, Failure> {
    mcp_of(settings, &access(settings)?)
}

fn mcp_of(settings: &Settings, access: &Access) -> Result<Mcp, Failure> {
    let kept = settings.data_dir.join("secrets").exists();
    Ok(Mcp {
        shelf: Shelf::open(&settings.data_dir, access.tenant())?,
        secrets: kept.then(|| secrets_of(settings, access)).transpose()?,
        ca: settings.network.ca.clone(),
        timeouts: autoshare_broker::Timeouts::default(),
        data_dir: settings.data_dir.clone(),
        connections: settings.connections,
        running: settings.mcp.servers,
        limits: settings.mcp.limits,
    })
}

/// The same, where a server was ever added: nothing is made on disk for somebody who has none.
pub(crate) fn known_mcp(settings: &Settings) -> Result<Option<Mcp>, Failure> {
    known_mcp_of(settings, &access(settings)?)
}

fn known_mcp_of(settings: &Settings, access: &Access) -> Result<Option<Mcp>, Failure> {
    settings.data_dir.join("mcp").exists().then(|| mcp_of(settings, access)).transpose()
}

/// What the host needs to know.
pub(crate) fn parts(settings: &Settings, wait: Questions) -> autoshare_host::Settings {
    let (hidden, frozen) = (hidden(settings), frozen(settings));
    autoshare_host::Settings {
        protected: protected(settings, &hidden),
        undo: kept(settings, &hidden, &frozen),
        hidden,
        frozen,
        cell: settings.cell,
        program_cell: settings.program_cell,
        program_timeout: settings.program_timeout,
        max_output: settings.max_output,
        background_jobs: settings.background_jobs,
        commands: settings.commands.clone().unwrap_or_default(),
        policy: None,
        policy_in_force: None,
        allowed_hosts: settings.gate.allowed_hosts.clone(),
        warrant: settings.gate.warrant.drawing(),
        pause_after: settings.gate.pause_after,
        answer_within: settings.gate.answer_within,
        park_after: settings.park_after,
        quota: settings.quota,
        least_tier: Tier::Narrow,
        speculate: settings.speculate,
        guard: settings.guard.clone(),
        max_text: settings.max_text,
        action_timeout: settings.action_timeout,
        questions: wait,
    }
}

/// The tools that a new brain is offered.
pub(crate) fn tools(settings: &Settings) -> Vec<ToolSpec> {
    let mut tools = autoshare_gate::builtin_tools();
    tools.retain(|tool| tool.effect != Effect::RunInside || settings.commands.is_some());
    tools
}

/// Where what brains change is kept. What cells cannot change is left out, and so is what they must not see.
pub(crate) fn undo(settings: &Settings) -> UndoSettings {
    kept(settings, &hidden(settings), &frozen(settings))
}

fn kept(settings: &Settings, hidden: &[PathBuf], frozen: &[PathBuf]) -> UndoSettings {
    let leave_out = hidden.iter().chain(frozen).cloned().collect();
    UndoSettings { data_dir: settings.data_dir.clone(), limits: settings.undo, leave_out }
}

/// What no cell shows: the data directory, the configuration, every file that settings or keys were read from, and
/// keys and logins below the home directory.
fn hidden(settings: &Settings) -> Vec<PathBuf> {
    let mut resolver = Resolver::default();
    unwanted(settings).map(|path| resolver.real(&path)).collect()
}

fn unwanted(settings: &Settings) -> impl Iterator<Item = PathBuf> {
    let home = settings.home.iter().flat_map(|home| special::PRIVATE.iter().map(move |name| home.join(name)));
    let ours = [settings.data_dir.clone()].into_iter().chain(settings.config_dir.clone());
    ours.chain(settings.read_from.iter().cloned()).chain(home)
}

/// What cells may read at most.
fn frozen(settings: &Settings) -> Vec<PathBuf> {
    let mut resolver = Resolver::default();
    let home = settings.home.iter().flat_map(|home| special::executed_below_home().map(|name| home.join(name)));
    home.map(|path| resolver.real(&path)).collect()
}

/// The same as `hidden`, for the gate, which goes by words: as they are spelt and as they really lie.
fn protected(settings: &Settings, hidden: &[PathBuf]) -> Vec<String> {
    let mut paths: Vec<String> =
        unwanted(settings).chain(hidden.iter().cloned()).map(|path| path.display().to_string()).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Links that are followed one after another.
const MAX_LINKS: u32 = 40;

/// Where a path really lies, links on the way and at its end followed, as far as it exists: cells are told of
/// directories by where they really lie, and so must be told what to keep from them.
pub(crate) fn real(path: &Path) -> PathBuf {
    Resolver::default().real(path)
}

/// Resolves paths that have much of their way in common.
#[derive(Default)]
struct Resolver {
    known: BTreeMap<PathBuf, PathBuf>,
}

impl Resolver {
    fn real(&mut self, path: &Path) -> PathBuf {
        self.resolve(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()), MAX_LINKS)
    }

    fn resolve(&mut self, path: &Path, links: u32) -> PathBuf {
        if let Some(real) = self.known.get(path) {
            return real.clone();
        }
        let real = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => {
                let here = self.resolve(parent, links).join(name);
                match here.read_link() {
                    Ok(target) if links > 0 => self.resolve(&here.with_file_name("").join(target), links - 1),
                    _ => here,
                }
            }
            // The root, or a way back up, which goes from where a link leads.
            _ => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
        };
        if links > 0 {
            self.known.insert(path.to_owned(), real.clone());
        }
        real
    }
}

/// The roots of a new brain: its workspace, then the extra ones.
pub(crate) fn roots(
    settings: &Settings,
    workspace: &Path,
    read: &[PathBuf],
    write: &[PathBuf],
) -> Result<Vec<Root>, Failure> {
    let mut roots = vec![root(settings, workspace, RootMode::Write)?];
    for path in read {
        roots.push(root(settings, path, RootMode::Read)?);
    }
    for path in write {
        roots.push(root(settings, path, RootMode::Write)?);
    }
    if !settings.restrict {
        let home = settings.home.as_deref().ok_or_else(|| {
            Failure::new(SETTINGS, "RESTRICT_TO_WORKSPACE is off, but there is no home directory (HOME is not set)")
        })?;
        let home = real(home);
        check_program(&home)?;
        let home = text(&home)?;
        if roots.iter().all(|root| root.path != home) {
            roots.push(Root::new(home, RootMode::Write));
        }
    }
    Ok(roots)
}

pub(crate) fn root(settings: &Settings, path: &Path, mode: RootMode) -> Result<Root, Failure> {
    let wrong = |why: String| Failure::new(SETTINGS, format!("{}: {why}", path.display()));
    let real = path.canonicalize().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => wrong("there is no such folder; make it first, or name another".to_owned()),
        _ => wrong(format!("{e}; name a folder that you may enter")),
    })?;
    if !real.is_dir() {
        return Err(wrong("not a folder".to_owned()));
    }
    if real == Path::new("/") {
        return Err(wrong("the root of the file system is no workspace; name a folder in it".to_owned()));
    }
    let wanted = if mode == RootMode::Write {
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::READ_OK | rustix::fs::Access::EXEC_OK
    } else {
        rustix::fs::Access::READ_OK | rustix::fs::Access::EXEC_OK
    };
    rustix::fs::access(&real, wanted).map_err(|e| {
        let need = if mode == RootMode::Write { "write in" } else { "read" };
        wrong(format!("you may not {need} this folder ({e}); choose another, or change its permissions"))
    })?;
    settings.check_workspace(&real)?;
    check_program(&real)?;
    // The gate takes a root for opened by whoever answers for what it lies in; a person at a terminal does not.
    if let Some(path) = hidden(settings).iter().find(|path| real.starts_with(path)) {
        return Err(wrong(format!(
            "{} holds keys, settings or the state of brains; name a folder elsewhere",
            path.display()
        )));
    }
    Ok(Root::new(text(&real)?, mode))
}

fn text(path: &Path) -> Result<String, Failure> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(SETTINGS, format!("{}: a folder's path must be UTF-8; rename it", path.display())))
}
