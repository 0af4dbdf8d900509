//! Servers of the Model Context Protocol: who is known, who runs, and what their tools are called for.
//!
//! A server is presumed hostile. A program runs in a cell of its own, which sees no workspace and reaches no host unless
//! its definition says so; an address is reached by the broker. What was approved of a server is kept with it ([`Shelf`]),
//! and one that describes an approved tool otherwise than it was approved is not called at all. What a tool returns is
//! content, whatever it says of itself.

mod running;
mod serve;
mod shelf;
mod specs;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use autoshare_broker::{OutboundError, Timeouts};
use autoshare_core::tool::{Action, Method, Served};
use autoshare_gate::contract::fits;
use autoshare_guard::plain;
use autoshare_mcp::{Called, McpError, Progress};
use autoshare_sandbox::Launcher;
use autoshare_store::Lease;
use autoshare_vault::VaultError;
use autoshare_vault::secrets::Secrets;
use tokio::sync::mpsc::UnboundedSender;

pub use autoshare_mcp::{Argument, Changes, Comparison, Described, Limits, Listed, Offer, Part, Pins, ServerName};
pub use running::Running;
pub use shelf::{Definition, Injected, Shelf, Way};
pub use specs::{described, specs};

use crate::places::CellPlace;
use crate::{HostError, Settings};

/// Bytes of what is wrong with a result: a schema's own words are in it.
const MAX_AMISS: usize = 500;

/// What can go wrong with a server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// There is none of this name.
    #[error("there is no MCP server {0}: `autoshare mcp list` shows those there are, `autoshare mcp add` adds one")]
    Unknown(String),
    /// Its file cannot be used.
    #[error("{path} cannot be read: {why}; remove the server (`autoshare mcp remove`) and add it anew", path = path.display())]
    Definition {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Its descriptions are too long to be kept.
    #[error("what {name} says of its tools has more than {limit} bytes: it cannot be kept, and so not be approved")]
    TooLarge {
        /// The server.
        name: String,
        /// Bytes at most.
        limit: usize,
    },
    /// It describes what was approved otherwise than it was approved.
    #[error(
        "the MCP server {name} describes what it offers otherwise than it was approved: {what}; nothing of it is called \
         until somebody looks: autoshare mcp approve {name}"
    )]
    Changed {
        /// The server.
        name: String,
        /// What, and which parts of it.
        what: String,
    },
    /// An address of the web that it does not list.
    #[error(
        "{name} lists no resource {uri}, and an address of the web is read only where it does: read one that it lists"
    )]
    Address {
        /// The server.
        name: String,
        /// The address.
        uri: String,
    },
    /// A prompt that nobody approved, or that is filled in otherwise than it can be.
    #[error("{name}: {why}")]
    Prompt {
        /// The server.
        name: String,
        /// What is wrong, and what is accepted.
        why: String,
    },
    /// A tool that nobody approved.
    #[error(
        "the tool {tool} of {name} is not approved as this brain knows it: autoshare mcp approve {name}, then begin anew"
    )]
    Unapproved {
        /// The server.
        name: String,
        /// The server's name of it.
        tool: String,
    },
    /// Too many at once.
    #[error(
        "more than {0} MCP servers do not run for one brain: name those it needs with --mcp, or raise servers below \
         [mcp.limits]"
    )]
    TooMany(usize),
    /// Its program could not be started.
    #[error("the MCP server {name} did not start: {why}; what it needs is named with --read FOLDER")]
    Start {
        /// The server.
        name: String,
        /// Why.
        why: String,
    },
    /// The credential it is to be called with is not there.
    #[error("there is no secret {name} for {origin}: keep it with `autoshare secret set {name} --host {origin}`")]
    NoSecret {
        /// The secret.
        name: String,
        /// Where the requests go.
        origin: String,
    },
    /// A secret of its cannot be used.
    #[error("--secret {variable}: {why}")]
    Secret {
        /// The variable in which the program finds a placeholder.
        variable: String,
        /// Why, and what to do.
        why: String,
    },
    /// The hosts it may reach cannot be understood.
    #[error("--allow-host: {0}")]
    Hosts(String),
    /// The server itself.
    #[error("{name}: {error}{last}")]
    Mcp {
        /// The server.
        name: String,
        /// What went wrong.
        error: McpError,
        /// What it said last, where it is gone; has passed the guard.
        last: String,
    },
    /// Its address.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The files.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Its cell.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// What servers are started and reached with.
pub struct Mcp {
    /// Those that are known.
    pub shelf: Shelf,
    /// Where credentials are; `None` where none is kept.
    pub secrets: Option<Secrets>,
    /// Roots, as PEM, with which hosts may be verified beside those of this machine.
    pub ca: Option<String>,
    /// How long a connection may take.
    pub timeouts: Timeouts,
    /// Where what a cell trusts is kept for as long as it lasts.
    pub data_dir: PathBuf,
    /// Connections that a server in a cell may have at once.
    pub connections: usize,
    /// Servers of one brain that run at once, at most.
    pub running: usize,
    /// What a server may send.
    pub limits: Limits,
}

/// The servers of one brain, each started when a tool of it is first called, and ended with this.
pub(crate) struct Servers {
    mcp: Option<Arc<Mcp>>,
    running: BTreeMap<ServerName, (Definition, Running)>,
    /// That of the brain's cells, as long as any of them is a server's.
    place: Option<Arc<CellPlace>>,
}

impl Servers {
    pub(crate) const fn new(mcp: Option<Arc<Mcp>>) -> Self {
        Self { mcp, running: BTreeMap::new(), place: None }
    }

    /// Ends all of them.
    pub(crate) async fn end(&mut self) {
        for (_, running) in std::mem::take(&mut self.running).into_values() {
            running.end().await;
        }
        self.place = None;
    }

    /// Calls a tool: of a server that is as it was approved, in the description that the brain knows, or not at all. Also
    /// gives what is wrong with the result by what the server declares of it, if something is.
    pub(crate) async fn call(
        &mut self,
        served: &Served,
        action: &Action,
        launcher: &Arc<Launcher>,
        (lease, place): (Arc<Lease>, Arc<CellPlace>),
        settings: &Settings,
        progress: UnboundedSender<Progress>,
    ) -> Result<(Called, Option<String>), ServerError> {
        let unknown = || ServerError::Unknown(served.server.clone());
        let name = ServerName::parse(&served.server).map_err(|_| unknown())?;
        let mcp = self.mcp.clone().ok_or_else(unknown)?;
        // One that is gone is begun anew.
        self.running.retain(|_, (_, running)| !running.is_gone());
        if !self.running.values().any(|(_, running)| running.attested().is_some()) {
            self.place = None;
        }
        if !self.running.contains_key(&name) {
            if self.running.len() >= mcp.running {
                return Err(ServerError::TooMany(mcp.running));
            }
            let definition = mcp.shelf.get(&name)?;
            let running = Running::start(&mcp, launcher, Some(lease), settings, &name, &definition.way).await?;
            running.check(&name, &definition).await?;
            if running.attested().is_some() {
                self.place = Some(place);
            }
            self.running.insert(name.clone(), (definition, running));
        }
        let (definition, running) = self.running.get(&name).ok_or_else(unknown)?;
        if running.take_changed() {
            running.check(&name, definition).await?;
        }
        let pins = &definition.pins;
        let is_approved = match served.method {
            Method::CallTool => pins.get(&served.tool).is_some_and(|tool| tool.digest() == served.digest),
            Method::ListResources | Method::ReadResource => pins.has_resources(),
        };
        if !is_approved {
            return Err(ServerError::Unapproved { name: served.server.clone(), tool: served.tool.clone() });
        }
        let called = match served.method {
            Method::CallTool => {
                let arguments = action.args.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                running.call(&name, &served.tool, arguments, progress).await?
            }
            Method::ListResources => running.list_resources(&name, pins).await?,
            Method::ReadResource => running.read_resource(&name, action.text("uri").unwrap_or_default()).await?,
        };
        let declared = pins.get(&served.tool).filter(|_| served.method == Method::CallTool);
        let amiss = declared.and_then(|tool| amiss(tool.output_schema.as_ref()?, &called));
        Ok((called, amiss))
    }
}

/// Why a result is none that its tool declares. What a server says of a failure is text.
fn amiss(schema: &serde_json::Value, called: &Called) -> Option<String> {
    if called.is_error {
        return None;
    }
    let why = match &called.structured {
        None => "there is no structured content".to_owned(),
        Some(structured) => format!("it has to be {}", fits(schema, structured).err()?),
    };
    Some(plain(&format!("by the schema that its server declares, {why}"), MAX_AMISS).text)
}
