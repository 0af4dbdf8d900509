//! `[serve]` and `[gateway]`: how others reach this program, and what the gateway allows them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autoshare_access::RolePolicy;
use autoshare_broker::gateway::{GatewaySettings, Shape};
use autoshare_core::fair::Rate;
use autoshare_guard::verify::Profile;
use autoshare_host::resident::ResidentsSettings;
use autoshare_server::api::ApiSettings;
use autoshare_server::health::HealthSettings;
use autoshare_server::http::{Demand, Http2Settings, HttpSettings};
use autoshare_server::login::LoginSettings;
use autoshare_server::telemetry::ALERTS_APART;
use serde::Deserialize;

use super::login::LoginSection;
use super::telemetry::{self, Alerts, AlertsSection, Traces, TracesSection};
use super::{SettingsError, bounded_in, read_text};

/// Turns that strangers of one address have where other machines reach the server: in a minute, and at once.
const STRANGERS: (u64, u64) = (3_000, 500);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServeSection {
    listen: Option<String>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    client_cert: Option<ClientCert>,
    roles: Option<PathBuf>,
    hosts: Vec<String>,
    connections: Option<u64>,
    connections_each: Option<u64>,
    refused_pause_ms: Option<u64>,
    strangers_per_minute: Option<u64>,
    strangers_at_once: Option<u64>,
    refused_body: Option<u64>,
    noted_refusals: Option<u64>,
    head_timeout_s: Option<u64>,
    write_timeout_s: Option<u64>,
    notice_s: Option<u64>,
    drain_s: Option<u64>,
    http2: Http2Section,
    workspaces: Option<PathBuf>,
    api_body: Option<u64>,
    api_body_unit: Option<u64>,
    upload: Option<u64>,
    api_bodies: Option<u64>,
    api_bodies_each: Option<u64>,
    requests_each: Option<u64>,
    streams_each: Option<u64>,
    residents: Option<u64>,
    confine: Option<Confine>,
    log: Option<LogLevel>,
    least_free: Option<u64>,
    metrics_tenants: Option<u64>,
    silent_s: Option<u64>,
    login: Option<LoginSection>,
    traces: Option<TracesSection>,
    alerts: Vec<AlertsSection>,
    alerts_apart_s: Option<u64>,
}

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LogLevel {
    /// Nothing.
    Off,
    /// What is wrong with this machine.
    Error,
    /// That, and what may be.
    Warn,
    /// That, and every request.
    Info,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Http2Section {
    streams: Option<u64>,
    header_list: Option<u64>,
    stream_window: Option<u64>,
    connection_window: Option<u64>,
    resets: Option<u64>,
    idle_s: Option<u64>,
    ping_s: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClientCert {
    Required,
    Optional,
}

/// Whether `serve` takes from itself what it does not need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Confine {
    #[default]
    On,
    Off,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GatewaySection {
    max_body: Option<u64>,
    max_answer: Option<u64>,
    max_bodies: Option<u64>,
    body_timeout_s: Option<u64>,
    max_calls: Option<u64>,
    max_calls_each: Option<u64>,
    extra_fields: Vec<String>,
    server_tools: Vec<String>,
    detector: Option<String>,
    stream_shape: Option<StreamShape>,
    shape_record: Option<u64>,
    shape_tick_ms: Option<u64>,
    shape_multiple: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StreamShape {
    Off,
    Padded,
}

/// How to listen.
pub(crate) struct Serve {
    pub(crate) http: HttpSettings,
    /// What TLS is spoken with, where it is.
    pub(crate) tls: Option<TlsSettings>,
    /// The operator's own rules of what people may do, beside those that are built in.
    pub(crate) roles: Option<RolesFile>,
    /// Where the workspaces of tenants lie; beside the data directory where nothing is said.
    pub(crate) workspaces: Option<PathBuf>,
    /// Bounds of the API.
    pub(crate) api: ApiSettings,
    /// Tenants that are open at once.
    pub(crate) residents: ResidentsSettings,
    pub(crate) confine: Confine,
    /// What is logged at least; `None` logs nothing.
    pub(crate) log: Option<tracing::Level>,
    /// Bounds of what is told of its health.
    pub(crate) health: HealthSettings,
    /// How people sign in; `None`: they do not.
    pub(crate) login: Option<LoginSettings>,
    /// Where traces are sent.
    pub(crate) traces: Option<Traces>,
    /// Where alerts are sent.
    pub(crate) alerts: Vec<Alerts>,
    /// Between two alerts of one kind about one tenant.
    pub(crate) alerts_apart: Duration,
}

/// A file of rules of what people may do, and what stands in it.
pub(crate) struct RolesFile {
    path: String,
    text: String,
}

impl RolesFile {
    fn read(file: &Path) -> Result<Self, SettingsError> {
        Ok(Self { path: file.display().to_string(), text: read_text(file)? })
    }
}

impl Serve {
    /// What people's roles and groups come to.
    pub(crate) fn role_policy(&self) -> Result<RolePolicy, SettingsError> {
        let wrong = |path: &str, why: &dyn std::error::Error| SettingsError::File {
            path: path.to_owned(),
            why: why.to_string(),
        };
        let builtin = RolePolicy::builtin().map_err(|why| wrong("roles", &why))?;
        let Some(RolesFile { path, text }) = &self.roles else { return Ok(builtin) };
        builtin.with("roles", text).map_err(|why| wrong(path, &why))
    }
}

/// The files of TLS.
#[derive(Debug, Clone)]
pub(crate) struct TlsSettings {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// Who signs the certificates of callers, and whether they must have one.
    pub(crate) clients: Option<(PathBuf, Demand)>,
}

impl TlsSettings {
    /// All of them.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.cert, &self.key].into_iter().chain(self.clients.iter().map(|(path, _)| path))
    }
}

impl ServeSection {
    /// The files it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let login = self.login.as_ref().and_then(|login| login.ca_file.clone());
        let telemetry = self.traces.iter().flat_map(TracesSection::files);
        let telemetry = telemetry.chain(self.alerts.iter().flat_map(AlertsSection::files));
        let named = [&self.tls_cert, &self.tls_key, &self.client_ca, &self.roles];
        named.into_iter().flatten().cloned().chain(login).chain(telemetry)
    }

    pub(crate) fn read(&self) -> Result<Serve, SettingsError> {
        let usual = HttpSettings::default();
        let within = |name, set, usual, accepted| bounded_in("serve", name, set, usual, accepted);
        let connections = within("connections", self.connections, usual.connections as u64, 1..=1_000_000)?;
        let listen = self.listen.as_deref().map_or(Ok(usual.listen), parse_address)?;
        let each = if listen.ip().is_loopback() { connections } else { connections.div_ceil(2) };
        let each = within("connections_each", self.connections_each, each, 1..=1_000_000)?;
        let pause = u64::try_from(usual.refused_pause.as_millis()).unwrap_or(u64::MAX);
        let pause = within("refused_pause_ms", self.refused_pause_ms, pause, 0..=60_000)?;
        // On this machine, a proxy may stand for all who come.
        let usually = if listen.ip().is_loopback() { 0 } else { STRANGERS.0 };
        let strangers = within("strangers_per_minute", self.strangers_per_minute, usually, 0..=1_000_000)?;
        let at_once = within("strangers_at_once", self.strangers_at_once, STRANGERS.1, 1..=1_000_000)?;
        let head = within("head_timeout_s", self.head_timeout_s, usual.head_timeout.as_secs(), 1..=600)?;
        let write = within("write_timeout_s", self.write_timeout_s, usual.write_timeout.as_secs(), 1..=3_600)?;
        let drain = within("drain_s", self.drain_s, usual.drain.as_secs(), 0..=3_600)?;
        let notice = within("notice_s", self.notice_s, usual.notice.as_secs(), 0..=600)?;
        let login = self.login.as_ref().map(LoginSection::read).transpose()?;
        // Browsers come by this name.
        let by_login = login.iter().map(|login| login.origin.host.to_string());
        let http = HttpSettings {
            listen,
            hosts: self.hosts.iter().cloned().chain(by_login).collect(),
            connections: count(connections),
            connections_each: count(each),
            refused_pause: Duration::from_millis(pause),
            refused_body: within("refused_body", self.refused_body, usual.refused_body, 0..=64 << 20)?,
            strangers: (strangers > 0).then(|| Rate::a_minute(strangers, at_once)),
            head_timeout: Duration::from_secs(head),
            write_timeout: Duration::from_secs(write),
            notice: Duration::from_secs(notice),
            drain: Duration::from_secs(drain),
            http2: self.http2.read()?,
        };
        let wrong = |name: &str, value: Option<&PathBuf>, why: String| SettingsError::Wrong {
            name: format!("serve.{name}"),
            value: value.map(|path| path.display().to_string()).unwrap_or_default(),
            why,
        };
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => {
                let demand = match self.client_cert {
                    None | Some(ClientCert::Required) => Demand::Required,
                    Some(ClientCert::Optional) => Demand::Optional,
                };
                let clients = self.client_ca.clone().map(|roots| (roots, demand));
                Some(TlsSettings { cert: cert.clone(), key: key.clone(), clients })
            }
            (None, None) if self.client_ca.is_some() => {
                let why = "callers show certificates over TLS alone: name serve.tls_cert and serve.tls_key as well";
                return Err(wrong("client_ca", self.client_ca.as_ref(), why.to_owned()));
            }
            (None, None) => None,
            (cert, key) => {
                let (name, missing) = if cert.is_some() { ("tls_cert", "tls_key") } else { ("tls_key", "tls_cert") };
                let why = format!("name serve.{missing} as well: a certificate and its key belong together");
                return Err(wrong(name, cert.as_ref().or(key.as_ref()), why));
            }
        };
        if let (Some(_), None) = (self.client_cert, &self.client_ca) {
            let why = "name the authority as well, with serve.client_ca".to_owned();
            return Err(wrong("client_cert", None, why));
        }
        let api = ApiSettings::default();
        let api = ApiSettings {
            max_body: count(within("api_body", self.api_body, api.max_body as u64, 1_024..=64 << 20)?),
            body_unit: count(within("api_body_unit", self.api_body_unit, api.body_unit as u64, 1_024..=64 << 20)?),
            max_upload: count(within("upload", self.upload, api.max_upload as u64, 1_024..=16 << 20)?),
            max_bodies: count(within("api_bodies", self.api_bodies, api.max_bodies as u64, 1_024..=1 << 40)?),
            max_bodies_each: count(within(
                "api_bodies_each",
                self.api_bodies_each,
                api.max_bodies_each as u64,
                1_024..=1 << 40,
            )?),
            requests_each: count(within("requests_each", self.requests_each, api.requests_each as u64, 1..=100_000)?),
            streams_each: count(within("streams_each", self.streams_each, api.streams_each as u64, 1..=100_000)?),
            noted_refusals: within("noted_refusals", self.noted_refusals, api.noted_refusals, 1..=1_000_000)?,
            ..api
        };
        let residents = ResidentsSettings::default();
        let most = count(within("residents", self.residents, residents.most as u64, 1..=100_000)?);
        let residents = ResidentsSettings { most, limit: residents.limit.max(most) };
        let health = HealthSettings::default();
        let health = HealthSettings {
            least_free: within("least_free", self.least_free, health.least_free, 0..=1 << 50)?,
            tenants: count(within("metrics_tenants", self.metrics_tenants, health.tenants as u64, 0..=10_000)?),
            silent_after: Duration::from_secs(within(
                "silent_s",
                self.silent_s,
                health.silent_after.as_secs(),
                1..=7 * 86_400,
            )?),
        };
        if let Some(path) = self.workspaces.as_ref().filter(|path| !path.is_absolute()) {
            return Err(wrong("workspaces", Some(path), "use an absolute path".to_owned()));
        }
        Ok(Serve {
            http,
            tls,
            roles: self.roles.as_deref().map(RolesFile::read).transpose()?,
            workspaces: self.workspaces.clone(),
            api,
            residents,
            confine: self.confine.unwrap_or_default(),
            log: match self.log {
                Some(LogLevel::Off) => None,
                Some(LogLevel::Error) => Some(tracing::Level::ERROR),
                Some(LogLevel::Warn) => Some(tracing::Level::WARN),
                None | Some(LogLevel::Info) => Some(tracing::Level::INFO),
            },
            health,
            login,
            traces: self.traces.as_ref().map(TracesSection::read).transpose()?,
            alerts: telemetry::receivers(&self.alerts)?,
            alerts_apart: Duration::from_secs(within(
                "alerts_apart_s",
                self.alerts_apart_s,
                ALERTS_APART.as_secs(),
                1..=7 * 86_400,
            )?),
        })
    }
}

impl Http2Section {
    fn read(&self) -> Result<Http2Settings, SettingsError> {
        let usual = Http2Settings::default();
        let within = |name, set: Option<u64>, usual: u64, accepted| {
            let number = bounded_in("serve.http2", name, set, usual, accepted)?;
            Ok::<_, SettingsError>((number, u32::try_from(number).unwrap_or(u32::MAX)))
        };
        let (_, streams) = within("streams", self.streams, usual.streams.into(), 1..=10_000)?;
        let (_, header_list) = within("header_list", self.header_list, usual.header_list.into(), 1_024..=1 << 20)?;
        let windows = 65_535..=1 << 30;
        let (_, stream_window) =
            within("stream_window", self.stream_window, usual.stream_window.into(), windows.clone())?;
        let (_, connection_window) =
            within("connection_window", self.connection_window, usual.connection_window.into(), windows)?;
        let (_, resets) = within("resets", self.resets, usual.resets.into(), 1..=1_000_000)?;
        let (idle, _) = within("idle_s", self.idle_s, usual.idle.as_secs(), 1..=86_400)?;
        let (ping, _) = within("ping_s", self.ping_s, usual.ping.as_secs(), 1..=3_600)?;
        let (idle, ping) = (Duration::from_secs(idle), Duration::from_secs(ping));
        Ok(Http2Settings { streams, header_list, stream_window, connection_window, resets, idle, ping })
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// An address with its port.
pub(crate) fn parse_address(text: &str) -> Result<SocketAddr, SettingsError> {
    let text = text.trim();
    let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    named.as_deref().unwrap_or(text).parse().map_err(|_| SettingsError::Wrong {
        name: "serve.listen".to_owned(),
        value: text.to_owned(),
        why: "use an address and a port, such as 127.0.0.1:7878 or [::1]:7878".to_owned(),
    })
}

impl GatewaySection {
    /// `guarded` is how readily the guard holds back, where this section says nothing of that.
    pub(crate) fn read(&self, guarded: Option<Profile>) -> Result<GatewaySettings, SettingsError> {
        let usual = GatewaySettings::default();
        let within = |name, set, usual, accepted| bounded_in("gateway", name, set, usual, accepted);
        let max_calls = within("max_calls", self.max_calls, usual.max_calls as u64, 1..=1_000_000)?;
        let each = within("max_calls_each", self.max_calls_each, usual.max_calls_each as u64, 1..=1_000_000)?;
        let timeout = within("body_timeout_s", self.body_timeout_s, usual.body_timeout.as_secs(), 1..=3_600)?;
        let shape = Shape::default();
        let record = within("shape_record", self.shape_record, shape.record as u64, 64..=65_536)?;
        let tick = within("shape_tick_ms", self.shape_tick_ms, 25, 1..=10_000)?;
        let multiple = within("shape_multiple", self.shape_multiple, u64::from(shape.multiple), 1..=100_000)?;
        let shape = Shape {
            record: usize::try_from(record).unwrap_or(shape.record),
            tick: Duration::from_millis(tick),
            multiple: u32::try_from(multiple).unwrap_or(shape.multiple),
        };
        let settings = GatewaySettings {
            max_body: within("max_body", self.max_body, usual.max_body, 1_024..=1 << 32)?,
            max_answer: within("max_answer", self.max_answer, usual.max_answer, 1_024..=1 << 32)?,
            max_bodies: within("max_bodies", self.max_bodies, usual.max_bodies, 1_024..=1 << 40)?,
            body_timeout: Duration::from_secs(timeout),
            max_calls: usize::try_from(max_calls).unwrap_or(usize::MAX),
            max_calls_each: usize::try_from(each).unwrap_or(usize::MAX),
            extra_fields: self.extra_fields.clone(),
            server_tools: self.server_tools.clone(),
            detector: match &self.detector {
                Some(name) => super::detector("gateway.detector", name)?,
                None => guarded,
            },
            stream_shape: (self.stream_shape == Some(StreamShape::Padded)).then_some(shape),
        };
        if settings.max_bodies < settings.max_body {
            return Err(SettingsError::Wrong {
                name: "gateway.max_bodies".to_owned(),
                value: settings.max_bodies.to_string(),
                why: format!(
                    "a body may have {} bytes (gateway.max_body), and all together at least that",
                    settings.max_body
                ),
            });
        }
        Ok(settings)
    }
}
