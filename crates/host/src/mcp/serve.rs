//! An action whose tool is a server's: no cell of the brain's has a part in it.

use std::sync::Arc;

use autoshare_core::StepNo;
use autoshare_core::document::Hint;
use autoshare_core::outcome::{Ending, Outcome, Plan};
use autoshare_core::tool::{Action, Effect, Label, Served, ToolSpec};
use autoshare_guard::filter::visible;
use autoshare_guard::rules::Type;
use autoshare_mcp::{Called, McpError};
use serde_json::Value;

use super::ServerError;
use crate::documents::unseen;
use crate::drive::{Driver, durability};
use crate::places::CellPlace;
use crate::screening::Unread;
use crate::{HostError, Progress, Reader, rendered};

/// Characters of a target that stand in the name of a source.
const MAX_TARGET: usize = 200;

/// What came of a call.
struct Answered {
    outcome: Outcome,
    structured: Option<Value>,
    label: Label,
    /// Why it is no result that the server declares.
    refused: Option<String>,
}

impl Answered {
    fn of(outcome: Outcome) -> Self {
        Self { outcome, structured: None, label: Label::default(), refused: None }
    }
}

impl Driver<'_> {
    /// Has a server's tool do what it was called for, and observes it.
    pub(crate) async fn call_server(
        &mut self,
        step: StepNo,
        action: &Action,
        spec: &ToolSpec,
        served: &Served,
        plan: &Plan,
        place: Arc<CellPlace>,
    ) -> Result<(), HostError> {
        let (source, durability) = (source_of(action, spec, served), durability(spec));
        let served = match &plan.refusal {
            Some(refusal) => Answered::of(outcome(refusal.ending, refusal.words.clone())),
            None => self.served(action, spec, served, Arc::clone(&place)).await,
        };
        let Answered { mut outcome, structured, label, mut refused } = served;
        if spec.effect == Effect::Fetch && Type::of(&visible(&outcome.text).0) == Type::Html {
            refused = refused.or(self.render(&mut outcome).await);
        }
        let outcome = self.fit(step, outcome).await;
        drop(place);
        self.take_in(Unread { step, source, outcome, structured, label, refused, durability }).await
    }

    /// Has a page of the web be read in a cell of its own, as a person would see it. Says why if it cannot be read so.
    async fn render(&mut self, outcome: &mut Outcome) -> Option<String> {
        let reader = Reader::new(Arc::clone(&self.host.launcher), self.host.settings.least_tier);
        let hint = Hint { mime: Some("text/html; charset=utf-8".to_owned()), name: None };
        match reader.read(outcome.text.as_bytes(), &hint).await {
            Ok(document) => {
                self.unseen = unseen(&document);
                outcome.text = rendered(&document);
                None
            }
            Err(error) => Some(error.to_string()),
        }
    }

    async fn served(&mut self, action: &Action, spec: &ToolSpec, served: &Served, place: Arc<CellPlace>) -> Answered {
        let (progress, mut told) = tokio::sync::mpsc::unbounded_channel::<autoshare_mcp::Progress>();
        let (launcher, held) = (self.host.launcher.clone(), (self.lease(), place));
        let calling = self.servers.call(served, action, &launcher, held, &self.host.settings, progress);
        tokio::pin!(calling);
        let called = loop {
            tokio::select! {
                biased;
                called = &mut calling => break called,
                Some(step) = told.recv() => {
                    let of = step.total.map(|total| format!("/{total}")).unwrap_or_default();
                    let words = format!("{}{of} {}\n", step.done, step.words);
                    // Nobody watching is no reason to stop.
                    let _ = self.feed.send(Progress::Output(words));
                }
            }
        };
        match called {
            Ok((Called { text, structured, is_error, label }, refused)) => {
                let ending = if is_error { Ending::Failed } else { Ending::Done };
                // What is not as it was declared has no fields that anything is known of.
                let structured = structured.filter(|_| refused.is_none());
                Answered { outcome: outcome(ending, text), structured, label, refused }
            }
            Err(error) => Answered::of(outcome(ending_of(&error, spec), error.to_string())),
        }
    }
}

/// How a call ended that came to nothing: what broke off in the middle may have had its effect.
const fn ending_of(error: &ServerError, spec: &ToolSpec) -> Ending {
    let reads = matches!(spec.effect, Effect::Read | Effect::Fetch);
    match error {
        ServerError::Mcp { error: McpError::TimedOut { .. }, .. } => Ending::TimedOut,
        ServerError::Mcp { error: McpError::Closed(_) | McpError::Malformed { .. }, .. } if !reads => Ending::Unknown,
        ServerError::Changed { .. } | ServerError::Unapproved { .. } | ServerError::Address { .. } => Ending::Refused,
        _ => Ending::Failed,
    }
}

fn outcome(ending: Ending, text: String) -> Outcome {
    let bytes = text.len() as u64;
    Outcome { ending, text, spilled: None, after: None, bytes }
}

/// Where a result comes from: the server, the tool, and what it was aimed at.
fn source_of(action: &Action, spec: &ToolSpec, served: &Served) -> String {
    let target: String = spec.target(action).chars().take(MAX_TARGET).collect();
    let aimed = if target.is_empty() { String::new() } else { format!("({target})") };
    format!("mcp:{}/{}{aimed}", served.server, served.tool)
}
