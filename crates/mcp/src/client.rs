//! A connection to one server.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CancelledNotificationParam, ClientRequest, GetPromptRequest,
    GetPromptRequestParams, ListPromptsRequest, ListResourceTemplatesRequest, ListResourcesRequest, ListToolsRequest,
    PaginatedRequestParams, ReadResourceRequest, ReadResourceRequestParams, RequestId, ServerCapabilities,
    ServerResult,
};
use rmcp::service::{
    ClientInitializeError, Peer, PeerRequestOptions, RoleClient, RunningService, ServiceError, ServiceExt as _,
};
use rmcp::transport::Transport;
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::McpError;
use crate::called::{self, Called};
use crate::described::Described;
use crate::handler::{Handler, Progress, Shared};
use crate::limits::{Limits, MAX_WORDS};
use crate::listed::{Kind, Listed};
use crate::pins::Offer;
use crate::stream::Lines;
use crate::web::{Carry, Watched};

/// Pages of one list at most.
const MAX_PAGES: usize = 64;
/// How long a parting may take.
const PARTING: Duration = Duration::from_millis(500);
/// The code of JSON-RPC for a method that there is not.
const NO_METHOD: i32 = -32601;

/// A connection to one server. Dropping it ends it.
pub struct Client {
    running: RunningService<RoleClient, Handler>,
    shared: Arc<Shared>,
    limits: Limits,
}

impl Client {
    /// Speaks to a server over its standard streams, or any two others.
    ///
    /// # Errors
    /// [`McpError::Start`], [`McpError::TimedOut`].
    pub async fn over_streams<R, W>(read: R, write: W, limits: Limits) -> Result<Self, McpError>
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let shared = Arc::<Shared>::default();
        let lines = Lines::new(read, write, Arc::clone(&shared), limits);
        Self::connect(lines, shared, limits).await
    }

    /// Speaks to a server over HTTP; `carrier` brings the requests to it.
    ///
    /// # Errors
    /// As [`Client::over_streams`].
    pub async fn over_http<C: Carry>(carrier: C, url: &str, limits: Limits) -> Result<Self, McpError> {
        let shared = Arc::<Shared>::default();
        let watched = Watched::new(carrier, url, Arc::clone(&shared), limits);
        Self::connect(watched, shared, limits).await
    }

    async fn connect<T>(transport: T, shared: Arc<Shared>, limits: Limits) -> Result<Self, McpError>
    where
        T: Transport<RoleClient> + 'static,
    {
        let starting = Handler(Arc::clone(&shared)).serve(transport);
        let running = match tokio::time::timeout(limits.start, starting).await {
            Ok(Ok(running)) => running,
            Ok(Err(error)) => return Err(McpError::Start(shared.why().unwrap_or_else(|| start_words(&error)))),
            Err(_) => return Err(McpError::TimedOut { what: "the first message", limit: limits.start }),
        };
        Ok(Self { running, shared, limits })
    }

    /// All that it offers: its tools, and, where it says that it has them, its resources, templates of these, and prompts.
    ///
    /// # Errors
    /// Those of [`Client::tools`]. A list of the others that it refuses is empty.
    pub async fn offer(&self) -> Result<Offer, McpError> {
        let able = self.running.peer().peer_info().map(|info| info.capabilities.clone()).unwrap_or_default();
        let ServerCapabilities { tools, resources, prompts, .. } = able;
        let or_none = |listed: Result<Vec<Listed>, McpError>| match listed {
            Err(McpError::Refused { .. }) => Ok(Vec::new()),
            listed => listed,
        };
        let listed = match self.tools().await {
            // Whoever has none need not know the question.
            Err(McpError::Refused { code: NO_METHOD, .. }) if tools.is_none() => Vec::new(),
            listed => listed?,
        };
        let mut offer = Offer { tools: listed, ..Offer::default() };
        if resources.is_some() {
            offer.resources = or_none(self.resources().await)?;
            offer.templates = or_none(self.templates().await)?;
        }
        if prompts.is_some() {
            offer.prompts = or_none(self.prompts().await)?;
        }
        Ok(offer)
    }

    /// Its tools, sorted by name: those that are within the limits.
    ///
    /// # Errors
    /// [`McpError`]; a tool that cannot be described ([`Described::read`]), two of one name, and too many are
    /// [`McpError::Malformed`] and [`McpError::TooMuch`].
    pub async fn tools(&self) -> Result<Vec<Described>, McpError> {
        let what = "tools/list";
        // Whatever changes from here on is another change.
        self.shared.take_changed();
        let request = |cursor| {
            ClientRequest::ListToolsRequest(ListToolsRequest {
                method: Default::default(),
                params: cursor,
                extensions: Default::default(),
            })
        };
        let (entries, more) = self.list(what, "tools", request).await?;
        if more {
            return Err(McpError::TooMuch { what, limit: self.limits.listed });
        }
        let malformed = |why| McpError::Malformed { what, why };
        let mut tools = entries.iter().map(Described::read).collect::<Result<Vec<_>, _>>().map_err(malformed)?;
        tools.sort_by(|one, other| one.name.cmp(&other.name));
        match tools.array_windows().find(|[one, other]| one.name == other.name) {
            Some([twice, _]) => Err(malformed(format!("two tools are named {:?}", twice.name))),
            None => Ok(tools),
        }
    }

    /// Whether the server said, since its tools were last listed, that they changed.
    #[must_use]
    pub fn take_changed(&self) -> bool {
        self.shared.take_changed()
    }

    /// Its resources, sorted by URI; those beyond the limit are left out.
    ///
    /// # Errors
    /// [`McpError`].
    pub async fn resources(&self) -> Result<Vec<Listed>, McpError> {
        let request = |cursor| {
            ClientRequest::ListResourcesRequest(ListResourcesRequest {
                method: Default::default(),
                params: cursor,
                extensions: Default::default(),
            })
        };
        Ok(listed(Kind::Resource, &self.list("resources/list", "resources", request).await?.0))
    }

    /// Its templates of resources' URIs, sorted; those beyond the limit are left out.
    ///
    /// # Errors
    /// [`McpError`].
    pub async fn templates(&self) -> Result<Vec<Listed>, McpError> {
        let request = |cursor| {
            ClientRequest::ListResourceTemplatesRequest(ListResourceTemplatesRequest {
                method: Default::default(),
                params: cursor,
                extensions: Default::default(),
            })
        };
        Ok(listed(Kind::Template, &self.list("resources/templates/list", "resourceTemplates", request).await?.0))
    }

    /// Its prompts, sorted by name; those beyond the limit are left out.
    ///
    /// # Errors
    /// [`McpError`].
    pub async fn prompts(&self) -> Result<Vec<Listed>, McpError> {
        let request = |cursor| {
            ClientRequest::ListPromptsRequest(ListPromptsRequest {
                method: Default::default(),
                params: cursor,
                extensions: Default::default(),
            })
        };
        Ok(listed(Kind::Prompt, &self.list("prompts/list", "prompts", request).await?.0))
    }

    /// Calls a tool by the server's own name of it. `progress` hears how far it is. When the returned future is dropped,
    /// the server is told that nobody waits.
    ///
    /// # Errors
    /// [`McpError`]. A tool that failed by its own account is none: [`Called::is_error`].
    pub async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        progress: Option<mpsc::UnboundedSender<Progress>>,
    ) -> Result<Called, McpError> {
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        Called::read(&self.ask("tools/call", request, progress).await?, &self.limits)
    }

    /// Reads a resource: its contents are one text, unchecked.
    ///
    /// # Errors
    /// [`McpError`].
    pub async fn resource(&self, uri: &str) -> Result<Called, McpError> {
        let params = ReadResourceRequestParams::new(uri);
        let request = ClientRequest::ReadResourceRequest(ReadResourceRequest::new(params));
        Ok(Called::read_resource(&self.ask("resources/read", request, None).await?))
    }

    /// Gets a prompt, as one text in which each message stands after its role; unchecked.
    ///
    /// # Errors
    /// [`McpError`].
    pub async fn prompt(&self, name: &str, arguments: Map<String, Value>) -> Result<String, McpError> {
        let params = GetPromptRequestParams::new(name).with_arguments(arguments);
        let request = ClientRequest::GetPromptRequest(GetPromptRequest::new(params));
        let result = self.ask("prompts/get", request, None).await?;
        let messages = result.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let one = |message: &Value| {
            let role = message.get("role").and_then(Value::as_str).unwrap_or("?");
            let content = message.get("content").map(std::slice::from_ref).unwrap_or_default();
            format!("{role}: {}", called::joined(content))
        };
        Ok(messages.iter().map(one).collect::<Vec<_>>().join("\n"))
    }

    /// Whether the connection is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.running.is_closed() || self.running.peer().is_transport_closed()
    }

    /// Ends the connection, and tells the server where that is how it is done. What takes longer than a moment is not
    /// waited for.
    pub async fn end(mut self) {
        let _ = self.running.close_with_timeout(PARTING).await;
    }

    /// All pages of a list, as far as the limit goes, and whether there is more.
    async fn list(
        &self,
        what: &'static str,
        key: &str,
        request: impl Fn(Option<PaginatedRequestParams>) -> ClientRequest,
    ) -> Result<(Vec<Value>, bool), McpError> {
        let mut entries: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let page = cursor.clone().map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
            let mut result = self.ask(what, request(page), None).await?;
            let Some(Value::Array(list)) = result.get_mut(key).map(Value::take) else {
                return Err(McpError::Malformed { what, why: format!("it has no list of {key}") });
            };
            entries.extend(list);
            if entries.len() > self.limits.listed {
                entries.truncate(self.limits.listed);
                return Ok((entries, true));
            }
            match result.get("nextCursor").and_then(Value::as_str) {
                // A page that leads to itself leads nowhere.
                Some(next) if cursor.as_deref() != Some(next) => cursor = Some(next.to_owned()),
                _ => return Ok((entries, false)),
            }
        }
        Err(McpError::TooMuch { what: "pages of a list", limit: MAX_PAGES })
    }

    /// Asks for something and waits for the answer, as JSON.
    async fn ask(
        &self,
        what: &'static str,
        request: ClientRequest,
        progress: Option<mpsc::UnboundedSender<Progress>>,
    ) -> Result<Value, McpError> {
        let options = PeerRequestOptions::with_timeout(self.limits.call)
            .reset_timeout_on_progress()
            .with_max_total_timeout(self.limits.whole_call);
        let peer = self.running.peer();
        let handle = peer.send_request_with_option(request, options).await.map_err(|error| self.failed(what, error))?;
        let token = handle.progress_token.clone();
        let mut waiting = Waiting { peer: peer.clone(), id: Some(handle.id.clone()) };
        if let Some(progress) = progress {
            self.shared.listen(token.clone(), progress);
        }
        let answer = handle.await_response().await;
        waiting.id = None;
        self.shared.forget(&token);
        let result = answer.map_err(|error| self.failed(what, error))?;
        match &result {
            ServerResult::InputRequiredResult(_) => Err(McpError::Wish { what, wish: "input of a person or a model" }),
            ServerResult::CreateTaskResult(_) => Err(McpError::Wish { what, wish: "to answer later" }),
            _ => serde_json::to_value(&result).map_err(|error| McpError::Malformed { what, why: error.to_string() }),
        }
    }

    fn failed(&self, what: &'static str, error: ServiceError) -> McpError {
        match error {
            ServiceError::McpError(error) => {
                McpError::Refused { what, code: error.code.0, said: cleaned(&error.message) }
            }
            ServiceError::Timeout { timeout } => McpError::TimedOut { what, limit: timeout },
            ServiceError::UnexpectedResponse => {
                McpError::Malformed { what, why: "it answers something else".to_owned() }
            }
            ServiceError::TransportClosed => {
                McpError::Closed(self.shared.why().unwrap_or_else(|| "it ended the connection".to_owned()))
            }
            other => McpError::Closed(self.shared.why().unwrap_or_else(|| words_of(&other))),
        }
    }
}

/// A question that is being waited for. Dropped before the answer, the server is told.
struct Waiting {
    peer: Peer<RoleClient>,
    id: Option<RequestId>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) else { return };
        let peer = self.peer.clone();
        runtime.spawn(async move {
            let told = CancelledNotificationParam::new(Some(id), Some("nobody waits for it any more".to_owned()));
            // A server that is gone needs not be told.
            let _ = peer.notify_cancelled(told).await;
        });
    }
}

/// What can be shown of a list, once each.
fn listed(kind: Kind, entries: &[Value]) -> Vec<Listed> {
    let mut listed: Vec<Listed> = entries.iter().filter_map(|entry| Listed::read(kind, entry)).collect();
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    listed.dedup_by(|one, other| one.name == other.name);
    listed
}

fn cleaned(words: &str) -> String {
    autoshare_guard::plain(words, MAX_WORDS).text
}

/// Why a server did not start, in words.
fn start_words(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::ConnectionClosed(_) => "it ended the connection before it was ready".to_owned(),
        ClientInitializeError::TransportError { error, .. } => words_of(error.error.as_ref()),
        ClientInitializeError::JsonRpcError(error) => cleaned(&error.message),
        ClientInitializeError::ExpectedInitResponse(_) | ClientInitializeError::ExpectedInitResult(_) => {
            "its first answer is none of MCP".to_owned()
        }
        other => words_of(other),
    }
}

/// The innermost words of an error.
fn words_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words = inner.to_string();
        cause = inner.source();
    }
    cleaned(&words)
}
