//! A server that runs, or that is reached: each program in a cell of its own, each address through the broker.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex};

use autoshare_broker::Outbound;
use autoshare_broker::egress::{Allow, Credential, Egress, Policy};
use autoshare_core::event::{Root, RootMode};
use autoshare_core::origin::Origin;
use autoshare_core::wire::{Program, Window};
use autoshare_mcp::{Argument, Body, Called, Carry, Client, Listed, McpError, Offer, Pins, Progress, ServerName};
use autoshare_sandbox::{Launcher, Tier, Work};
use autoshare_store::Lease;
use autoshare_vault::secrets::SecretName;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::{Map, Value};
use tokio::net::unix::pipe;
use tokio::sync::mpsc::UnboundedSender;

use super::{Definition, Injected, Mcp, ServerError, Way};
use crate::cells::cell_spec;
use crate::output::{Output, locked, read};
use crate::programs::{self, ProgramCell, proxy_environment};
use crate::trust::Trust;
use crate::{HostError, Settings};

/// Bytes of a server's last words on its standard error that stand in a message.
const LAST_WORDS: usize = 2 * 1024;
/// Bytes of a prompt, filled in, at most; the middle of a longer one is cut.
const MAX_PROMPT: usize = 1024 * 1024;
/// A window that nobody looks through.
const WINDOW: Window = Window { rows: 24, columns: 80 };

/// A server that runs or is reached. Dropping it ends it, and its cell with everything in it.
pub struct Running {
    client: Client,
    cell: Option<InCell>,
}

/// What belongs to a server that is a program.
struct InCell {
    cell: ProgramCell,
    _egress: Option<Egress>,
    _trust: Option<Trust>,
    said: Arc<Mutex<Output>>,
    attested: String,
}

impl Running {
    /// Starts a server in a cell, or connects to it. The lease, if there is one, is held until the cell is gone.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn start(
        mcp: &Mcp,
        launcher: &Arc<Launcher>,
        lease: Option<Arc<Lease>>,
        settings: &Settings,
        name: &ServerName,
        way: &Way,
    ) -> Result<Self, ServerError> {
        match way {
            Way::Http { url, credential } => {
                let outbound = outbound(mcp, url, credential.as_deref())?;
                let client = Client::over_http(Through(Arc::new(outbound)), url, mcp.limits).await;
                let client = client.map_err(|error| of(name, error, None))?;
                Ok(Self { client, cell: None })
            }
            Way::Program { .. } => in_cell(mcp, launcher, lease, settings, name, way).await,
        }
    }

    /// What is in force of its cell, in one line; nothing where it has none.
    #[must_use]
    pub fn attested(&self) -> Option<&str> {
        self.cell.as_ref().map(|cell| cell.attested.as_str())
    }

    /// What it offers, as it describes it now.
    ///
    /// # Errors
    /// [`ServerError::Mcp`].
    pub async fn offer(&self, name: &ServerName) -> Result<Offer, ServerError> {
        self.client.offer().await.map_err(|error| self.failed(name, error))
    }

    /// Refuses the server if what it says of something approved is not what was approved.
    ///
    /// # Errors
    /// [`ServerError::Changed`]; those of [`Running::offer`].
    pub async fn check(&self, name: &ServerName, definition: &Definition) -> Result<(), ServerError> {
        let changes = definition.pins.compare(&self.offer(name).await?);
        if changes.is_changed() {
            return Err(ServerError::Changed { name: name.as_str().to_owned(), what: changes.words() });
        }
        Ok(())
    }

    /// Whether it said, since its tools were last listed, that they changed.
    #[must_use]
    pub fn take_changed(&self) -> bool {
        self.client.take_changed()
    }

    /// Whether it is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.client.is_closed()
    }

    /// Calls a tool by the server's own name of it.
    ///
    /// # Errors
    /// [`ServerError::Mcp`].
    pub async fn call(
        &self,
        name: &ServerName,
        tool: &str,
        arguments: Map<String, Value>,
        progress: UnboundedSender<Progress>,
    ) -> Result<Called, ServerError> {
        self.client.call(tool, arguments, Some(progress)).await.map_err(|error| self.failed(name, error))
    }

    /// Lists its resources and templates as they are now, each as it was approved to be described; what came later stands
    /// there by its URI alone.
    ///
    /// # Errors
    /// [`ServerError::Mcp`].
    pub async fn list_resources(&self, name: &ServerName, pins: &Pins) -> Result<Called, ServerError> {
        let failed = |error| self.failed(name, error);
        let resources = self.client.resources().await.map_err(failed)?;
        let templates = match self.client.templates().await {
            Err(McpError::Refused { .. }) => Vec::new(),
            listed => listed.map_err(failed)?,
        };
        let line = |kind: &str, one: &Listed| {
            let known = pins.resource(&one.name);
            let title = known.and_then(|known| known.title.clone()).map(|title| format!(" ({title})"));
            let words = known.map(|known| known.description.as_str()).filter(|words| !words.is_empty());
            let words = words.map(|words| format!(": {words}"));
            format!("{kind}{}{}{}", one.name, title.unwrap_or_default(), words.unwrap_or_default())
        };
        let lines: Vec<String> = resources
            .iter()
            .map(|one| line("", one))
            .chain(templates.iter().map(|one| line("template ", one)))
            .collect();
        let text = if lines.is_empty() { "it lists no resources".to_owned() } else { lines.join("\n") };
        Ok(Called { text, ..Called::default() })
    }

    /// Reads a resource. An address of the web is read only where the server lists it now: one that a model made up could
    /// carry anything to whoever is there.
    ///
    /// # Errors
    /// [`ServerError::Address`], [`ServerError::Mcp`].
    pub async fn read_resource(&self, name: &ServerName, uri: &str) -> Result<Called, ServerError> {
        let failed = |error| self.failed(name, error);
        if is_of_the_web(uri) && !self.client.resources().await.map_err(failed)?.iter().any(|one| one.name == uri) {
            return Err(ServerError::Address { name: name.as_str().to_owned(), uri: uri.to_owned() });
        }
        self.client.resource(uri).await.map_err(failed)
    }

    /// Gets an approved prompt, filled in, as one text that has passed the guard.
    ///
    /// # Errors
    /// [`ServerError::Prompt`], [`ServerError::Mcp`].
    pub async fn prompt(
        &self,
        name: &ServerName,
        pins: &Pins,
        prompt: &str,
        with: &BTreeMap<String, String>,
    ) -> Result<String, ServerError> {
        let wrong = |why: String| ServerError::Prompt { name: name.as_str().to_owned(), why };
        let listed = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let known = pins.prompt(prompt).ok_or_else(|| {
            let names = listed(pins.prompts().map(|one| one.name.as_str()).collect());
            wrong(format!("no prompt {prompt:?} is approved; approved are: {names}"))
        })?;
        if let Some(other) = with.keys().find(|key| known.arguments.iter().all(|argument| argument.name != **key)) {
            let names = listed(known.arguments.iter().map(|argument| argument.name.as_str()).collect());
            return Err(wrong(format!("the prompt {prompt:?} takes no {other:?}; it takes: {names}")));
        }
        let is_missing = |argument: &&Argument| argument.required && !with.contains_key(&argument.name);
        if let Some(missing) = known.arguments.iter().find(is_missing) {
            return Err(wrong(format!("the prompt {prompt:?} needs {0}: say {0}=VALUE", missing.name)));
        }
        let with = with.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
        let text = self.client.prompt(prompt, with).await.map_err(|error| self.failed(name, error))?;
        Ok(autoshare_guard::plain(&text, MAX_PROMPT).text)
    }

    /// Ends it: the server is told, and a cell is gone when this returns.
    pub async fn end(self) {
        self.client.end().await;
        if let Some(InCell { cell, .. }) = self.cell {
            cell.end().await;
        }
    }

    /// The client, for what else there is.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    fn failed(&self, name: &ServerName, error: McpError) -> ServerError {
        of(name, error, self.cell.as_ref().map(|cell| &*cell.said))
    }
}

/// Whether a URI is an address that a server would have to fetch from somebody else.
fn is_of_the_web(uri: &str) -> bool {
    let scheme = uri.trim_start().split_once(':').map_or("", |(scheme, _)| scheme);
    ["http", "https", "ws", "wss", "ftp", "ftps"].iter().any(|web| scheme.eq_ignore_ascii_case(web))
}

/// An error of a server, with its last words where it is gone.
fn of(name: &ServerName, error: McpError, said: Option<&Mutex<Output>>) -> ServerError {
    let wants_words = matches!(error, McpError::Closed(_) | McpError::Start(_) | McpError::TimedOut { .. });
    let said = said.filter(|_| wants_words).map(|said| locked(said).text()).unwrap_or_default();
    let said = said.trim();
    let last = said.get(said.ceil_char_boundary(said.len().saturating_sub(LAST_WORDS))..).unwrap_or_default();
    let words = autoshare_guard::plain(last, LAST_WORDS).text;
    let last = if words.is_empty() { String::new() } else { format!("; its last words: {words}") };
    ServerError::Mcp { name: name.as_str().to_owned(), error, last }
}

/// Carries requests through the broker.
#[derive(Clone)]
struct Through(Arc<Outbound>);

impl Carry for Through {
    async fn carry(&self, request: http::Request<bytes::Bytes>) -> std::io::Result<http::Response<Body>> {
        let reply = self.0.send(request).await?;
        Ok(reply.map(|body| body.into_data_stream().boxed()))
    }
}

fn outbound(mcp: &Mcp, url: &str, credential: Option<&str>) -> Result<Outbound, ServerError> {
    let credential = credential.map(|name| secret(mcp, url, name)).transpose()?;
    Ok(Outbound::new(url, credential, mcp.ca.as_deref(), &mcp.timeouts)?)
}

fn secret(mcp: &Mcp, url: &str, name: &str) -> Result<Credential, ServerError> {
    let origin = Outbound::origin_of(url)?;
    let missing = || ServerError::NoSecret { name: name.to_owned(), origin: origin.to_string() };
    let parsed = SecretName::parse(name).map_err(|_| missing())?;
    let secret = mcp.secrets.as_ref().map(|secrets| secrets.get(&parsed)).transpose()?.flatten();
    let mut bits = [0u8; 16];
    getrandom::fill(&mut bits).map_err(|error| HostError::Randomness(error.to_string()))?;
    // Nothing bears it: it only has to be no text that stands in a request.
    let placeholder: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
    Credential::new(secret.ok_or_else(missing)?, placeholder, None).map_err(|_| missing())
}

/// Starts a program in a cell that sees the folders that its definition names, and nothing of any workspace.
async fn in_cell(
    mcp: &Mcp,
    launcher: &Arc<Launcher>,
    lease: Option<Arc<Lease>>,
    settings: &Settings,
    name: &ServerName,
    way: &Way,
) -> Result<Running, ServerError> {
    let Way::Program { command, env, read: readable, write, hosts, secrets } = way else {
        return Err(ServerError::Unknown(name.as_str().to_owned()));
    };
    let root = |mode| move |path: &String| Root::new(path.clone(), mode);
    let policy = policy(mcp, hosts, injected(mcp, secrets)?)?;
    let trust = policy.as_ref().and_then(Policy::trust).map(|pem| Trust::put(&mcp.data_dir, pem)).transpose()?;
    let roots: Vec<Root> = readable
        .iter()
        .map(root(RootMode::Read))
        .chain(write.iter().map(root(RootMode::Write)))
        .chain(trust.as_ref().map(Trust::root))
        .collect();
    let mut spec = cell_spec(Work::Programs, &roots, None, settings)?;
    if policy.is_some() {
        (spec.listen, spec.least) = (Some(programs::PROXY_PORT), Tier::Full);
    }
    let mut cell = ProgramCell::open(launcher, lease, spec).await?;
    let broken = |error: std::io::Error| ServerError::Host(HostError::Cell(error.to_string()));
    let egress = match (cell.listener(), policy) {
        (Some(listener), Some(policy)) => Some(Egress::serve(listener, policy).map_err(broken)?),
        _ => None,
    };
    let mut environment = programs::environment();
    environment.insert("PYTHONUNBUFFERED".to_owned(), "1".to_owned());
    if egress.is_some() {
        environment.extend(proxy_environment());
    }
    environment.extend(trust.iter().flat_map(Trust::environment));
    environment.extend(secrets.keys().map(|variable| (variable.clone(), placeholder(variable))));
    environment.extend(env.clone());
    // Where its folders are is no business of the program's unless they are named.
    let dir = write.first().or(readable.first()).map_or("/tmp", String::as_str).to_owned();
    let program = Program { argv: command.clone(), env: environment, dir };
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|errno| broken(errno.into()));
    let ((their_in, our_in), (our_out, their_out), (our_err, their_err)) = (pipe()?, pipe()?, pipe()?);
    for ours in [&our_in, &our_out, &our_err] {
        rustix::io::ioctl_fionbio(ours, true).map_err(|errno| broken(errno.into()))?;
    }
    let streams = [Some(their_in.as_fd()), Some(their_out.as_fd()), Some(their_err.as_fd())];
    let start =
        |error: programs::StartError| ServerError::Start { name: name.as_str().to_owned(), why: error.to_string() };
    let job = cell.start(program, streams, WINDOW).await.map_err(start)?;
    drop((their_in, their_out, their_err, job));
    let said = Arc::<Mutex<Output>>::default();
    // Ends with the cell, which holds the other end.
    tokio::spawn(read(pipe::Receiver::from_owned_fd(our_err).map_err(broken)?, Arc::clone(&said)));
    let (from, to) =
        (pipe::Receiver::from_owned_fd(our_out).map_err(broken)?, pipe::Sender::from_owned_fd(our_in).map_err(broken)?);
    let client = Client::over_streams(from, to, mcp.limits).await.map_err(|error| of(name, error, Some(&said)))?;
    let attested = cell.attested.clone();
    Ok(Running { client, cell: Some(InCell { cell, _egress: egress, _trust: trust, said, attested }) })
}

fn policy(mcp: &Mcp, hosts: &[String], credentials: Vec<Credential>) -> Result<Option<Policy>, ServerError> {
    if hosts.is_empty() && credentials.is_empty() {
        return Ok(None);
    }
    let wrong = |why: String| ServerError::Hosts(why);
    let allow = hosts.iter().map(|host| Allow::parse(host)).collect::<Result<Vec<_>, _>>();
    let allow = allow.map_err(|error| wrong(error.to_string()))?;
    let policy = Policy::new(allow, credentials, mcp.connections, mcp.ca.as_deref());
    policy.map(Some).map_err(|error| wrong(error.to_string()))
}

/// What stands in a secret's place in the program's environment.
fn placeholder(variable: &str) -> String {
    format!("autoshare-placeholder-{variable}")
}

/// The secrets that a program's requests bear.
fn injected(mcp: &Mcp, secrets: &BTreeMap<String, Injected>) -> Result<Vec<Credential>, ServerError> {
    let one = |(variable, Injected { secret: name, host }): (&String, &Injected)| {
        let wrong = |why: String| ServerError::Secret { variable: variable.clone(), why };
        let parsed = SecretName::parse(name).map_err(|error| wrong(error.to_string()))?;
        let host = host.as_deref().map(Origin::parse).transpose().map_err(|error| wrong(error.to_string()))?;
        let secret = mcp.secrets.as_ref().map(|secrets| secrets.get(&parsed)).transpose()?.flatten();
        let at = host.as_ref().map_or_else(|| "HOST".to_owned(), Origin::to_string);
        let missing =
            || wrong(format!("there is no secret {name}: keep it with `autoshare secret set {name} --host {at}`"));
        Credential::new(secret.ok_or_else(missing)?, placeholder(variable), host.as_ref()).map_err(|about| {
            let hosts: Vec<String> = about.hosts.iter().map(Origin::to_string).collect();
            wrong(format!("the secret {name} is for {} alone; keep it anew with every host", hosts.join(", ")))
        })
    };
    secrets.iter().map(one).collect()
}
