//! What a server may say unasked, and what it is told: nothing but an answer to a ping.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rmcp::model::{
    ClientCapabilities, ClientConfig, ErrorCode, ErrorData, Implementation, ProgressNotificationParam, ProgressToken,
    ServerNotification, ServerRequest,
};
use rmcp::model::{ClientResult, ConstString as _, ListRootsRequestMethod};
use rmcp::service::{NotificationContext, RequestContext, RoleClient, Service};
use tokio::sync::mpsc::UnboundedSender;

use crate::limits::MAX_WORDS;

/// In which unasked messages are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// How far a call is, as its server says.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// So much is done.
    pub done: f64,
    /// Of so much, if it says that.
    pub total: Option<f64>,
    /// In its words, which have passed the guard; whoever shows them encodes them.
    pub words: String,
}

/// What a connection knows beside what is being called.
#[derive(Default)]
pub(crate) struct Shared {
    /// Why it was ended from here.
    why: Mutex<Option<String>>,
    changed: AtomicBool,
    listeners: Mutex<HashMap<ProgressToken, UnboundedSender<Progress>>>,
    unasked: Mutex<VecDeque<Instant>>,
}

impl Shared {
    /// Counts a message that nobody asked for; false if there are too many.
    pub(crate) fn may_be_unasked(&self, limit: usize) -> bool {
        let mut times = locked(&self.unasked);
        let now = Instant::now();
        while times.front().is_some_and(|then| now.duration_since(*then) > WINDOW) {
            times.pop_front();
        }
        times.push_back(now);
        let fits = times.len() <= limit;
        drop(times);
        if !fits {
            self.end(format!("it sent more than {limit} messages in {} s that nobody asked for", WINDOW.as_secs()));
        }
        fits
    }

    /// Says why the connection is ended; the first reason holds.
    pub(crate) fn end(&self, why: String) {
        locked(&self.why).get_or_insert(why);
    }

    /// Why the connection was ended from here.
    pub(crate) fn why(&self) -> Option<String> {
        locked(&self.why).clone()
    }

    /// Whether the server said that one of its lists changed since this was last asked.
    pub(crate) fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn listen(&self, token: ProgressToken, listener: UnboundedSender<Progress>) {
        locked(&self.listeners).insert(token, listener);
    }

    pub(crate) fn forget(&self, token: &ProgressToken) {
        locked(&self.listeners).remove(token);
    }

    fn progress(&self, told: &ProgressNotificationParam) {
        if let Some(listener) = locked(&self.listeners).get(&told.progress_token) {
            let words = autoshare_guard::plain(told.message.as_deref().unwrap_or_default(), MAX_WORDS).text;
            // Whoever does not listen any more is no reason for anything.
            let _ = listener.send(Progress { done: told.progress, total: told.total, words });
        }
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The client's side of what a server begins.
pub(crate) struct Handler(pub(crate) std::sync::Arc<Shared>);

impl Service<RoleClient> for Handler {
    async fn handle_request(
        &self,
        request: ServerRequest,
        _: RequestContext<RoleClient>,
    ) -> Result<ClientResult, ErrorData> {
        match request {
            ServerRequest::PingRequest(_) => Ok(ClientResult::empty(())),
            ServerRequest::CreateMessageRequest(_) => Err(refusal("sampling")),
            ServerRequest::ListRootsRequest(_) => Err(refusal(ListRootsRequestMethod::VALUE)),
            ServerRequest::ElicitRequest(_) => Err(refusal("elicitation")),
            _ => Err(refusal("this request")),
        }
    }

    async fn handle_notification(
        &self,
        notification: ServerNotification,
        _: NotificationContext<RoleClient>,
    ) -> Result<(), ErrorData> {
        match notification {
            ServerNotification::ToolListChangedNotification(_)
            | ServerNotification::ResourceListChangedNotification(_)
            | ServerNotification::PromptListChangedNotification(_) => self.0.changed.store(true, Ordering::Relaxed),
            ServerNotification::ProgressNotification(told) => self.0.progress(&told.params),
            // Logs, changed resources, cancellations: nobody waits for them here.
            _ => {}
        }
        Ok(())
    }

    fn get_info(&self) -> ClientConfig {
        // No capability is offered: neither sampling, nor roots, nor elicitation.
        ClientConfig::new(ClientCapabilities::default(), Implementation::new("autoshare", env!("CARGO_PKG_VERSION")))
    }
}

fn refusal(what: &str) -> ErrorData {
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("{what} is not offered by this client"), None)
}
