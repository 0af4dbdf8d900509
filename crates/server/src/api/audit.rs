//! The audit trail of whoever asks.

use std::sync::Arc;

use autoshare_core::Seq;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::Ask;
use super::problem::Problem;
use super::route::Answered;
use super::words::{Page, time};
use super::{Done, Faces, reading};

/// An entry of an audit trail.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EntryWords {
    /// Its number; the first is 1.
    seq: u64,
    /// When it was written.
    at: String,
    /// Who acted.
    actor: String,
    /// What was done, such as `token.minted`.
    act: &'static str,
    /// The brain concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    brain: Option<String>,
    /// To what.
    about: String,
    /// Over this entry and all before it.
    hash: String,
}

pub(crate) async fn list(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (limit, resident) = (ask.limit()?, faces.resident(&ask).await?);
    let after = ask.parsed::<u64>("cursor", "the number of the last entry that is known")?.unwrap_or(0);
    let access = ask.bearer.access.clone();
    let page = reading(&faces, &ask.bearer, move || {
        let auditor = resident.auditor().ok_or_else(Problem::nothing)?;
        let trouble = |error| Problem::trouble(&error);
        let mut found = auditor.audit().read(&access, Seq(after).next(), limit + 1).map_err(trouble)?;
        let is_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| is_more).map(|entry| entry.seq.to_string());
        let words = found.into_iter().map(|logged| EntryWords {
            seq: logged.seq.0,
            at: time(logged.at_ms),
            actor: logged.entry.actor.to_string(),
            act: logged.entry.act.name(),
            brain: logged.entry.brain.as_ref().map(ToString::to_string),
            about: logged.entry.about.to_string(),
            hash: logged.hash.to_string(),
        });
        Ok(Page { items: words.collect(), next })
    });
    Ok(Done::json(&page.await?))
}
