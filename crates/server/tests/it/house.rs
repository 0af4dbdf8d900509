//! A server of many tenants in this process, over a scripted model and without cells.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use autoshare_access::{Access, Grant, Operator, Scope, TenantRecord, Tenants, Terms, Tokens};
use autoshare_broker::Broker;
use autoshare_broker::gateway::{Gateway, GatewaySettings};
use autoshare_core::TenantName;
use autoshare_core::fair::{Places, Rate, Room};
use autoshare_core::usage::{Limits, Quota};
use autoshare_host::calls::Calls;
use autoshare_host::resident::{AwakeIndex, Homes, Open, Resident, ResidentParts, Residents, ResidentsSettings};
use autoshare_host::shares::{Sharing, SharingSettings};
use autoshare_host::undo::UndoSettings;
use autoshare_host::{Auditor, Guard, Host, HostError, Questions, Settings};
use autoshare_sandbox::{CellLimits, Launcher, Tier};
use autoshare_server::api::{ApiSettings, Faces, FacesParts};
use autoshare_server::health::{Health, HealthParts, HealthSettings};
use autoshare_server::http::{Http, HttpSettings};
use autoshare_server::login::Login;
use autoshare_server::telemetry::{ALERTS_APART, Telemetry, TelemetryParts};
use autoshare_store::Store;
use autoshare_store::audit::Audit;
use autoshare_store::ledger::{Budgets, Ledger};
use autoshare_testkit::{Script, ScriptedModel};
use autoshare_vault::Vault;
use autoshare_workspace::snapshot::SnapshotLimits;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What a host needs to know that never makes a cell.
pub(crate) fn host_settings(data: &Path) -> Settings {
    let profile = autoshare_gate::policy::Profile::Default;
    Settings {
        guard: Guard::default(),
        protected: vec!["/".to_owned()],
        hidden: Vec::new(),
        frozen: Vec::new(),
        cell: CellLimits::default(),
        program_cell: CellLimits::for_programs(),
        program_timeout: Duration::from_secs(60),
        max_output: 1 << 20,
        background_jobs: 16,
        commands: autoshare_gate::Commands::Any,
        policy: Some(Arc::new(autoshare_gate::Policy::builtin(profile).unwrap())),
        policy_in_force: None,
        allowed_hosts: Vec::new(),
        warrant: autoshare_host::warrant::Drawing::Draft,
        pause_after: 2,
        answer_within: Duration::from_secs(60),
        park_after: Duration::from_secs(30),
        quota: Quota::default(),
        least_tier: Tier::Full,
        speculate: false,
        max_text: 32 * 1024,
        action_timeout: Duration::from_secs(60),
        questions: Questions::Wait,
        undo: UndoSettings { data_dir: data.to_owned(), limits: SnapshotLimits::default(), leave_out: Vec::new() },
    }
}

/// A server that has nothing to be unwell of.
pub(crate) fn well() -> HealthParts {
    HealthParts {
        settings: HealthSettings::default(),
        places: Vec::new(),
        cells: Box::new(|| (0, 0, false)),
        appends: Arc::default(),
        audit_failures: Arc::default(),
        disks: Vec::new(),
    }
}

/// What sends nothing but what `more` says.
pub(crate) fn telemetry(data: &Path, more: impl FnOnce(&mut TelemetryParts)) -> Arc<Telemetry> {
    let tenants = Arc::new(Tenants::open(data, &Vault::open(data).unwrap()).unwrap());
    let mut parts = TelemetryParts { tenants, traces: None, receivers: Vec::new(), apart: ALERTS_APART };
    more(&mut parts);
    Arc::new(Telemetry::new(parts))
}

/// Faces over a data directory whose tenants are opened by `open`.
pub(crate) fn faces(
    data: &Path,
    most: ResidentsSettings,
    health: HealthParts,
    login: Option<Login>,
    telemetry: Arc<Telemetry>,
    open: impl Fn(&Access, Arc<TenantRecord>, &Homes, &Arc<AwakeIndex>) -> Result<Resident, HostError>
    + Send
    + Sync
    + 'static,
) -> Faces {
    let vault = Vault::open(data).unwrap();
    let tenants = Arc::new(Tenants::open(data, &vault).unwrap());
    let index = Arc::new(AwakeIndex::open(data).unwrap());
    let homes = Homes::new(data.join("homes"), Quota::default());
    let (own_homes, own_index) = (homes.clone(), Arc::clone(&index));
    let open: Open = Box::new(move |access, record| open(access, record, &own_homes, &own_index));
    Faces::new(FacesParts {
        tokens: Tokens::open(data, &vault).unwrap(),
        tenants: Arc::clone(&tenants),
        residents: Residents::new(open, tenants, index, most),
        operator: Operator::local(data).unwrap(),
        sharing: sharing(data),
        homes,
        limits: Limits::default(),
        model: Some("m".to_owned()),
        requests: Rate::a_minute(1_000_000, 100_000),
        reads: Places::new(Room { places: 1, each: 1, ..Room::READS }),
        settings: ApiSettings::default(),
        destroy: Box::new(|_| Ok(vec!["destroyed".to_owned()])),
        health: Health::new(health),
        login,
        telemetry,
    })
}

/// What tenants share, by the usual bounds.
fn sharing(data: &Path) -> Arc<Sharing> {
    let homes = Homes::new(data.join("homes"), Quota::default());
    Arc::new(Sharing::open(data, homes, SharingSettings::default()).unwrap())
}

/// An empty data directory.
fn private() -> tempfile::TempDir {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    tempfile::Builder::new().permissions(mode).tempdir().unwrap()
}

/// A server with tenants.
pub(crate) struct House {
    pub(crate) model: ScriptedModel,
    pub(crate) data: tempfile::TempDir,
    pub(crate) operator: Operator,
    pub(crate) tenants: Tenants,
    pub(crate) tokens: Tokens,
    pub(crate) base: String,
    pub(crate) client: Client,
    pub(crate) faces: Arc<Faces>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl House {
    pub(crate) async fn open(script: Script) -> Self {
        Self::over(script, ResidentsSettings::default()).await
    }

    pub(crate) async fn with(script: Script, health: HealthParts) -> Self {
        Self::noticing(script, health, Duration::ZERO).await
    }

    /// One that still takes requests for a while when it is to end.
    pub(crate) async fn noticing(script: Script, health: HealthParts, notice: Duration) -> Self {
        Self::begun(private(), script, ResidentsSettings::default(), health, notice, None, |_| {}).await
    }

    pub(crate) async fn over(script: Script, most: ResidentsSettings) -> Self {
        Self::at(private(), script, most).await
    }

    /// Over what another one left.
    pub(crate) async fn at(data: tempfile::TempDir, script: Script, most: ResidentsSettings) -> Self {
        Self::begun(data, script, most, well(), Duration::ZERO, None, |_| {}).await
    }

    /// One that people sign in to.
    pub(crate) async fn with_login(login: Login) -> Self {
        let most = ResidentsSettings::default();
        Self::begun(private(), Script::new([]), most, well(), Duration::ZERO, Some(login), |_| {}).await
    }

    /// One that sends what `more` says.
    pub(crate) async fn sending(script: Script, health: HealthParts, more: impl FnOnce(&mut TelemetryParts)) -> Self {
        Self::begun(private(), script, ResidentsSettings::default(), health, Duration::ZERO, None, more).await
    }

    async fn begun(
        data: tempfile::TempDir,
        script: Script,
        most: ResidentsSettings,
        health: HealthParts,
        notice: Duration,
        login: Option<Login>,
        more: impl FnOnce(&mut TelemetryParts),
    ) -> Self {
        let model = ScriptedModel::start(script);
        let (dir, url) = (data.path().to_owned(), model.base_url());
        let (appends, audit_failures) = (Arc::clone(&health.appends), Arc::clone(&health.audit_failures));
        let telemetry = telemetry(data.path(), more);
        let onlooker = Arc::clone(&telemetry);
        let faces = faces(data.path(), most, health, login, telemetry, move |access, record, homes, index| {
            let vault = Vault::open(&dir).unwrap();
            let store = Arc::new(Store::open(&dir, access, &vault)?);
            let ledger = Arc::new(Ledger::open(&dir, access, Budgets::default())?);
            let settings = autoshare_broker::Settings { base_url: Some(url.clone()), ..Default::default() };
            let broker = Arc::new(Broker::new(settings)?);
            let host = Host::new(
                access.clone(),
                Arc::clone(&store),
                Arc::clone(&ledger),
                Arc::new(Launcher::none()),
                Arc::clone(&broker),
                host_settings(&dir),
            );
            let auditor =
                Auditor::new(access.clone(), Audit::open(&dir, access, &vault)?, Arc::clone(&audit_failures))?;
            let tokens = Tokens::open(&dir, &vault).unwrap();
            let host = host
                .with_auditor(Arc::new(auditor))
                .with_appends(Arc::clone(&appends))
                .with_sharing(sharing(&dir))
                .with_limits_of(Box::new(move |token| tokens.limits(token).unwrap()));
            Ok(Resident::new(ResidentParts {
                record,
                host,
                gateway: Gateway::new(broker, ledger, GatewaySettings::default()),
                calls: Calls::new(access.clone(), store),
                tools: autoshare_gate::builtin_tools(),
                homes: homes.clone(),
                index: Arc::clone(index),
                onlooker: Arc::clone(&onlooker) as _,
                drives: tokio::runtime::Handle::current(),
            }))
        });
        let faces = Arc::new(faces);
        let listen = "127.0.0.1:0".parse().unwrap();
        let settings = HttpSettings { listen, notice, drain: Duration::from_millis(500), ..HttpSettings::default() };
        let http = Http::bind(settings, None).await.unwrap();
        let base = format!("http://{}", http.at().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&faces);
        let serving = tokio::spawn(async move {
            http.serve(served, async {
                let _ = stopped.await;
            })
            .await;
        });
        let vault = Vault::open(data.path()).unwrap();
        Self {
            operator: Operator::local(data.path()).unwrap(),
            tenants: Tenants::open(data.path(), &vault).unwrap(),
            tokens: Tokens::open(data.path(), &vault).unwrap(),
            model,
            data,
            base,
            client: Client::builder().no_proxy().build().unwrap(),
            faces,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// A tenant, and a token of it that may do everything that a tenant's token may.
    pub(crate) fn tenant(&self, name: &str) -> (Access, String) {
        let name = TenantName::parse(name).unwrap();
        self.tenants.create(&self.operator, &name, Terms::default()).unwrap();
        let access = self.tenants.access(&self.operator, &name).unwrap();
        let token = self.token(&access, all_scopes());
        (access, token)
    }

    pub(crate) fn token(&self, access: &Access, grant: Grant) -> String {
        self.tokens.mint(access, grant).unwrap().token.expose().to_owned()
    }

    /// A token of the operator's.
    pub(crate) fn boss(&self) -> String {
        let access = Access::local(self.data.path()).unwrap();
        self.token(&access, Grant { scopes: Scope::ALL.to_vec(), ..Grant::gateway("boss") })
    }

    pub(crate) fn ask(&self, method: &Method, path: &str, token: &str) -> RequestBuilder {
        self.client.request(method.clone(), format!("{}{path}", self.base)).bearer_auth(token)
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        told(self.ask(&Method::GET, path, token)).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> (u16, Value) {
        told(self.ask(&Method::POST, path, token).json(&body)).await
    }

    /// Begins a brain that asks about everything, and waits until it is in this state.
    pub(crate) async fn brain(&self, token: &str, goal: &str, state: &str) -> String {
        let (status, brain) =
            self.post("/api/v1/brains", token, json!({"goal": goal, "model": "m", "ask_always": true})).await;
        assert_eq!(status, 201, "{brain}");
        let id = brain["id"].as_str().unwrap().to_owned();
        self.until(token, &id, state).await;
        id
    }

    pub(crate) async fn until(&self, token: &str, brain: &str, state: &str) -> Value {
        for _ in 0..400 {
            let (_, now) = self.get(&format!("/api/v1/brains/{brain}"), token).await;
            if now["state"] == state {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let now = self.get(&format!("/api/v1/brains/{brain}"), token).await;
        panic!("{brain} does not become {state}: {now:?}");
    }

    /// Has it end, and waits until it says so; it still takes requests for a while.
    pub(crate) async fn leave(mut self) -> Self {
        self.stop.take().unwrap().send(()).unwrap();
        let ready = || self.client.get(format!("{}/readyz", self.base)).send();
        while ready().await.unwrap().status() == 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self
    }

    /// Waits for the end of one that is to end.
    pub(crate) async fn ended(mut self) {
        self.serving.take().unwrap().await.unwrap();
        assert!(self.client.get(format!("{}/livez", self.base)).send().await.is_err(), "it still listens");
    }

    /// Takes from the journal of a tenant what is needed to write to it.
    pub(crate) fn break_journal(&self, tenant: &str) {
        let path = self.data.path().join(format!("tenants/{tenant}/journal.db"));
        let journal = rusqlite::Connection::open(path).unwrap();
        journal.execute_batch("PRAGMA foreign_keys = off; DROP TABLE record").unwrap();
    }

    /// Ends the server, and gives what it leaves on disk.
    pub(crate) async fn close(mut self) -> tempfile::TempDir {
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.take().unwrap().await.unwrap();
        self.faces.residents.close(Duration::from_secs(1)).await;
        self.faces.telemetry.end(Duration::from_secs(2)).await;
        self.data
    }
}

pub(crate) fn all_scopes() -> Grant {
    let scopes = Scope::ALL.into_iter().filter(|scope| *scope != Scope::Operator).collect();
    Grant { scopes, ..Grant::gateway("everything") }
}

/// The status of an answer, and its body as JSON; a text where it is none.
pub(crate) async fn told(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
