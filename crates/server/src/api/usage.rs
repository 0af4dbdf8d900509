//! Who asks, and what was used.

use std::collections::BTreeMap;
use std::sync::Arc;

use autoshare_core::day::Day;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::Ask;
use super::problem::Problem;
use super::route::Answered;
use super::tokens::{TokenWords, now_ms};
use super::words::{Page, UsageWords};
use super::{Done, Faces, reading};

/// Milliseconds of the days that are summed up unless it is said.
const USUAL_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// Who a token is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MeWords {
    /// The tenant for which it acts.
    tenant: String,
    /// The token.
    token: TokenWords,
}

pub(crate) async fn me(_: Arc<Faces>, ask: Ask) -> Answered {
    let tenant = ask.bearer.access.tenant().to_string();
    Ok(Done::json(&MeWords { tenant, token: TokenWords::from(&*ask.bearer.token) }))
}

/// What was used, summed up.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LineWords {
    /// The day, model, brain or token; empty where there was none.
    of: String,
    /// Calls of a model.
    requests: u64,
    /// Of these, those that failed.
    failed: u64,
    /// What they used.
    used: UsageWords,
}

pub(crate) async fn usage(faces: Arc<Faces>, ask: Ask) -> Answered {
    let since = ask.parsed::<Day>("since", "a day such as 2026-11-01")?;
    let since = since.unwrap_or_else(|| Day::of_ms(now_ms().saturating_sub(USUAL_MS)));
    let by = ask.param("by").unwrap_or("day").to_owned();
    if !["day", "model", "brain", "token"].contains(&by.as_str()) {
        return Err(Problem::bad(format!("by is {by:?}: use day, model, brain or token")));
    }
    let resident = faces.resident(&ask).await?;
    let access = ask.bearer.access.clone();
    let rows = reading(&faces, &ask.bearer, move || {
        resident.ledger().usage(&access, since).map_err(|error| Problem::trouble(&error))
    });
    let mut lines: BTreeMap<String, LineWords> = BTreeMap::new();
    for row in rows.await? {
        let text = |id: Option<String>| id.unwrap_or_default();
        let of = match by.as_str() {
            "model" => row.model,
            "brain" => text(row.brain.map(|brain| brain.to_string())),
            "token" => text(row.token.map(|token| token.to_string())),
            _ => row.day.to_string(),
        };
        let new = || LineWords { of: of.clone(), requests: 0, failed: 0, used: UsageWords::default() };
        let line = lines.entry(of.clone()).or_insert_with(new);
        line.requests += row.requests;
        line.failed += row.failed;
        let used = UsageWords::from(row.used);
        line.used.input_tokens += used.input_tokens;
        line.used.output_tokens += used.output_tokens;
        line.used.cached_tokens += used.cached_tokens;
        line.used.reasoning_tokens += used.reasoning_tokens;
        line.used.cost_microusd += used.cost_microusd;
    }
    Ok(Done::json(&Page { items: lines.into_values().collect(), next: None }))
}
