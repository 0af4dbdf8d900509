//! An action whose tool is a server's: no cell of the brain's has a part in it.

use autoshare_core::StepNo;
use autoshare_core::event::Event;
use autoshare_core::outcome::{Ending, Outcome, Plan};
use autoshare_core::tool::{Action, Effect, Label, Served, ToolSpec};
use autoshare_mcp::{Called, McpError};
use serde_json::Value;

use super::ServerError;
use crate::drive::{Driver, durability};
use crate::{HostError, Progress};

/// Characters of a target that stand in the name of a source.
const MAX_TARGET: usize = 200;

impl Driver<'_> {
    /// Has a server's tool do what it was called for, and observes it.
    pub(crate) async fn call_server(
        &mut self,
        step: StepNo,
        action: &Action,
        spec: &ToolSpec,
        served: &Served,
        plan: &Plan,
    ) -> Result<(), HostError> {
        let (outcome, structured, label) = match &plan.refusal {
            Some(refusal) => (outcome(refusal.ending, refusal.words.clone()), None, Label::default()),
            None => self.served(action, spec, served).await,
        };
        let mut outcome = self.fit(step, outcome).await;
        let source = source_of(action, spec, served);
        let (screening, notice) = self.screened(&source, &mut outcome);
        let result = Event::Observation { step, source, outcome, structured, label, screening };
        self.record([result].into_iter().chain(notice).collect(), durability(spec)).await
    }

    async fn served(&mut self, action: &Action, spec: &ToolSpec, served: &Served) -> (Outcome, Option<Value>, Label) {
        let (progress, mut told) = tokio::sync::mpsc::unbounded_channel::<autoshare_mcp::Progress>();
        let (launcher, lease) = (self.host.launcher.clone(), self.lease());
        let calling = self.servers.call(served, action, &launcher, lease, &self.host.settings, progress);
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
            Ok(Called { text, structured, is_error, label }) => {
                let ending = if is_error { Ending::Failed } else { Ending::Done };
                (outcome(ending, text), structured, label)
            }
            Err(error) => (outcome(ending_of(&error, spec), error.to_string()), None, Label::default()),
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
