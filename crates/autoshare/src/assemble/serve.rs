//! Puts the parts together for a server of many tenants.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use autoshare_access::{Access, Operator, TenantRecord, Tenants, Tokens};
use autoshare_broker::gateway::Gateway;
use autoshare_broker::{Claims, Credentials, Outbound, Timeouts, Webhook, named_headers};
use autoshare_core::TenantName;
use autoshare_core::budget::Budget;
use autoshare_core::day::Day;
use autoshare_core::fair::{Places, Weight};
use autoshare_core::histogram::Histogram;
use autoshare_host::calls::Calls;
use autoshare_host::resident::{AwakeIndex, Homes, Open, Resident, ResidentParts, Residents, remove_folder};
use autoshare_host::shares::Sharing;
use autoshare_host::{Auditor, Host, HostError, Questions};
use autoshare_sandbox::{Launcher, Tier};
use autoshare_server::api::{Faces, FacesParts};
use autoshare_server::health::{Disk, Health, HealthParts};
use autoshare_server::login::{Login, LoginSettings};
use autoshare_server::telemetry::{Telemetry, TelemetryParts};
use autoshare_store::Store;
use autoshare_store::audit::Audit;
use autoshare_store::ledger::{Budgets, Ledger};
use autoshare_vault::Vault;
use rustix::fs::Mode;
use tokio::runtime::Handle;

use super::{First, Kept, broker_of, guard, host_of, known_mcp_of, parts, secrets_of, tools};
use crate::commands::token::now_ms;
use crate::exit::{FAILED, Failure, SETTINGS};
use crate::settings::{Settings, read_key, read_text};

/// Makes the folder of workspaces. Others may pass through it to what is theirs, and list nothing.
pub(crate) fn make_workspaces(settings: &Settings) -> Result<(), Failure> {
    let path = settings.workspaces();
    match rustix::fs::mkdir(&path, Mode::from_raw_mode(0o711)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(errno) => {
            let words = format!("{}: {errno}; name another folder with [serve] workspaces", path.display());
            Err(Failure::new(FAILED, words))
        }
    }
}

/// What all tenants have in common.
struct Common {
    settings: Settings,
    vault: Vault,
    launcher: Arc<Launcher>,
    claims: Arc<Claims>,
    parts: autoshare_host::Settings,
    /// Calls of models, and brains that have cells.
    places: [Arc<Places>; 2],
    homes: Homes,
    sharing: Arc<Sharing>,
    index: Arc<AwakeIndex>,
    tokens: Tokens,
    /// How long appending to journals takes, of all tenants.
    appends: Arc<Histogram>,
    /// Entries of audit trails that could not be written, of all tenants.
    audit_failures: Arc<AtomicU64>,
    telemetry: Arc<Telemetry>,
    /// Where brains are driven.
    drives: Handle,
}

/// Where workspaces of tenants lie.
pub(super) fn homes(settings: &Settings) -> Homes {
    let quota = autoshare_core::usage::Quota { file: autoshare_core::usage::Quota::MAX_FILE, ..settings.quota };
    Homes::new(settings.workspaces(), quota)
}

/// The faces over the settings; brains are driven at `drives`. Nobody is served yet, and no tenant is open.
pub(crate) fn faces(settings: Settings, launcher: Arc<Launcher>, drives: Handle) -> Result<Faces, Failure> {
    let vault = Vault::open(&settings.data_dir)?;
    let operator = Operator::local(&settings.data_dir)?;
    let tenants = Arc::new(Tenants::open(&settings.data_dir, &vault)?);
    let policy = Arc::new(settings.serve.role_policy()?);
    let tokens = || Tokens::with(&settings.data_dir, &vault, Arc::clone(&policy));
    let index = Arc::new(AwakeIndex::open(&settings.data_dir)?);
    let (homes, sharing) = (homes(&settings), super::sharing(&settings)?);
    let parts = autoshare_host::Settings {
        policy: Some(settings.gate.policy()?),
        policy_in_force: Some(settings.gate.in_force()),
        guard: guard(&settings)?,
        // Nothing outside of a workspace is opened to a tenant's brain, whoever says yes.
        protected: vec!["/".to_owned()],
        least_tier: Tier::Full,
        ..parts(&settings, Questions::Wait)
    };
    let [model_calls, cells, reads] =
        [settings.fair.model_calls, settings.fair.cells, settings.fair.reads].map(Places::new);
    let appends: Arc<Histogram> = Arc::default();
    let made_by = Arc::clone(&launcher);
    let disk = |folder: &Path| {
        let told = |error| Failure::new(FAILED, format!("{}: {error}", folder.display()));
        Disk::of(folder).map_err(told)
    };
    let audit_failures: Arc<AtomicU64> = Arc::default();
    let telemetry = Arc::new(Telemetry::new(telemetry(&settings, &tenants)?));
    let health = HealthParts {
        settings: settings.serve.health,
        places: [("model_calls", &model_calls), ("cells", &cells), ("reads", &reads)]
            .map(|(name, places)| (name, Arc::clone(places)))
            .into(),
        cells: Box::new(move || {
            let tally = made_by.tally();
            (tally.made, tally.failed, tally.is_gone)
        }),
        appends: Arc::clone(&appends),
        audit_failures: Arc::clone(&audit_failures),
        disks: vec![("data", disk(&settings.data_dir)?), ("workspaces", disk(&settings.workspaces())?)],
    };
    let login = settings.serve.login.as_ref().map(|login| login_of(&settings, login)).transpose()?;
    let faces = FacesParts {
        login,
        health: Health::new(health),
        telemetry: Arc::clone(&telemetry),
        tokens: tokens()?,
        tenants: Arc::clone(&tenants),
        operator,
        homes: homes.clone(),
        limits: settings.limits,
        model: settings.model.clone(),
        requests: settings.fair.requests,
        reads,
        settings: settings.serve.api,
        destroy: destroy(&settings)?,
        sharing: Arc::clone(&sharing),
        residents: {
            let (most, tokens) = (settings.serve.residents, tokens()?);
            let common = Arc::new(Common {
                vault,
                launcher,
                claims: Arc::default(),
                parts,
                places: [model_calls, cells],
                homes,
                sharing,
                index: Arc::clone(&index),
                tokens,
                appends,
                audit_failures,
                telemetry,
                drives,
                settings,
            });
            let open: Open = Box::new(move |access, record| open(&common, access, record));
            Residents::new(open, tenants, index, most)
        },
    };
    Ok(Faces::new(faces))
}

/// The way in for people. The client's secret is one of the operator's.
fn login_of(settings: &Settings, login: &LoginSettings) -> Result<Login, Failure> {
    let own = Access::local(&settings.data_dir)?;
    let secrets: Box<dyn Credentials> = match &login.client_secret {
        Some(_) => Box::new(Kept { secrets: secrets_of(settings, &own)?, found: Mutex::default() }),
        None => Box::new(()),
    };
    Login::new(login, secrets).map_err(|error| Failure::new(SETTINGS, error.to_string()))
}

/// What is sent by itself, and with which secrets: their files are read here.
fn telemetry(settings: &Settings, tenants: &Arc<Tenants>) -> Result<TelemetryParts, Failure> {
    let serve = &settings.serve;
    let to = |section: &str, url: &str, ca: Option<&PathBuf>| {
        let ca = ca.map(|path| read_text(path)).transpose()?;
        let wrong = |error| Failure::new(SETTINGS, format!("[{section}] url: {error}"));
        Outbound::new(url, None, ca.as_deref(), &Timeouts::default()).map_err(wrong)
    };
    let traces = serve.traces.as_ref().map(|traces| {
        let mut collector = to("serve.traces", &traces.url, traces.ca_file.as_ref())?;
        if let Some(path) = &traces.headers_file {
            let wrong = |why| Failure::new(SETTINGS, format!("{}: {why}", path.display()));
            collector = collector.with_headers(named_headers(&read_key(path)?).map_err(wrong)?);
        }
        Ok::<_, Failure>((collector, traces.settings))
    });
    let receivers = serve.alerts.iter().map(|alerts| {
        let receiver = to("serve.alerts", &alerts.url, alerts.ca_file.as_ref())?;
        let secrets = alerts.secret_files.iter().map(|path| read_key(path)).collect::<Result<Vec<_>, _>>()?;
        let wrong = |error| Failure::new(SETTINGS, format!("[serve.alerts] secret_files: {error}"));
        Ok::<_, Failure>((Webhook::new(receiver, &secrets).map_err(wrong)?, alerts.settings.clone()))
    });
    Ok(TelemetryParts {
        tenants: Arc::clone(tenants),
        traces: traces.transpose()?,
        receivers: receivers.collect::<Result<_, _>>()?,
        apart: serve.alerts_apart,
    })
}

/// Opens a tenant from its own files alone.
fn open(common: &Arc<Common>, access: &Access, record: Arc<TenantRecord>) -> Result<Resident, HostError> {
    let settings = &common.settings;
    let wrong = |failure: Failure| HostError::Open(failure.into_words());
    let store = Arc::new(Store::open(&settings.data_dir, access, &common.vault)?);
    let tenant = Budget::strictest(settings.budgets.tenant, record.terms.budget);
    let budgets = Budgets { tenant, ..settings.budgets.clone() };
    let ledger = Arc::new(Ledger::open(&settings.data_dir, access, budgets)?);
    let broker = broker_of(settings, access, Arc::clone(&common.claims), First::Tenant).map_err(wrong)?;
    let weight = Weight::new(record.terms.weight).unwrap_or_default();
    let [model_calls, cells] = &common.places;
    let share = |places: &Arc<Places>| places.share(access.tenant().clone(), weight);
    let data = super::Data { access: access.clone(), store: Arc::clone(&store) };
    let shares = [share(model_calls), share(cells)];
    let host: Host = host_of(
        settings,
        &data,
        Arc::clone(&broker),
        Arc::clone(&common.launcher),
        Arc::clone(&ledger),
        shares,
        common.parts.clone(),
    )
    .map_err(wrong)?;
    let limits = Arc::clone(common);
    let audit = Audit::open(&settings.data_dir, access, &common.vault)?;
    let host = host
        .with_auditor(Arc::new(Auditor::new(access.clone(), audit, Arc::clone(&common.audit_failures))?))
        .with_appends(Arc::clone(&common.appends))
        .with_sharing(Arc::clone(&common.sharing))
        .with_limits_of(Box::new(move |token| limits.tokens.limits(token).ok().flatten()));
    let gateway = Gateway::new(broker, ledger, settings.gateway.clone()).with_places(share(model_calls));
    let mut offered = tools(settings);
    if let Some(mcp) = known_mcp_of(settings, access).map_err(wrong)? {
        let told = |error: autoshare_host::mcp::ServerError| HostError::Open(error.to_string());
        for name in mcp.shelf.names().map_err(told)? {
            offered.extend(
                autoshare_host::mcp::specs(&name, &mcp.shelf.get(&name).map_err(told)?)
                    .map_err(|error| HostError::Open(error.to_string()))?,
            );
        }
    }
    Ok(Resident::new(ResidentParts {
        record,
        host,
        gateway,
        calls: Calls::new(access.clone(), store),
        tools: offered,
        homes: common.homes.clone(),
        index: Arc::clone(&common.index),
        onlooker: Arc::clone(&common.telemetry) as _,
        drives: common.drives.clone(),
    }))
}

/// Destroys a tenant's key and files. What backups still hold of it is said.
fn destroy(settings: &Settings) -> Result<autoshare_server::api::Destroy, Failure> {
    let data_dir = settings.data_dir.clone();
    Ok(Box::new(move |tenant: &TenantName| {
        let told = |error: &dyn std::error::Error| error.to_string();
        let vault = Vault::open(&data_dir).map_err(|error| told(&error))?;
        let mut report = Vec::new();
        for bundle in vault.bundles_with(tenant, now_ms()).map_err(|error| told(&error))? {
            let until = Day::of_ms(bundle.expires_ms);
            report.push(format!("its key is in the key backup {} until that expires on {until}", bundle.name));
        }
        vault.destroy(tenant).map_err(|error| told(&error))?;
        report.push("its key is destroyed: what is left of its journals anywhere does not open".to_owned());
        let heads = data_dir.join("audit").join(format!("{tenant}.heads"));
        match rustix::fs::unlink(&heads) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(format!("{}: {errno}", heads.display())),
        }
        // Its record goes last: as long as it is there, whoever was interrupted can remove the rest, and its name is taken.
        for folder in ["secrets", "mcp", "undo", "tenants"] {
            remove_folder(&data_dir.join(folder), tenant.as_str()).map_err(|error| told(&error))?;
        }
        report.push(
            "its journals, ledger, audit trail, tokens, people, secrets, servers of tools and workspaces are removed"
                .to_owned(),
        );
        Ok(report)
    }))
}
