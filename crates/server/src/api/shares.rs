//! What tenants share with one another.

use std::sync::Arc;

use autoshare_access::{ShareRecord, ShareState};
use autoshare_core::audit::Actor;
use autoshare_core::{BrainId, Digest, TenantName};
use autoshare_guard::encode::{terminal, terminal_line};
use autoshare_host::shares::RISK;
use hyper::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ask::Ask;
use super::problem::Problem;
use super::route::Answered;
use super::words::{Page, time};
use super::{Done, Faces, blocking, reading};

/// Columns of a name that is shown at most: a path has 4095 bytes.
const SHOWN: usize = 4_096;

/// What is to be offered, and to whom.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfferWords {
    /// The tenant. Whether there is one of this name is not told.
    to: String,
    /// The brain in whose workspace it lies.
    brain: String,
    /// The file or folder, below the workspace; `.` is all of it. It is copied as it is now.
    path: String,
    /// What it is called: 1 to 64 characters.
    name: String,
    /// What you say of it: 1,000 characters at most.
    #[serde(default)]
    note: String,
}

/// What was looked at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptWords {
    /// The digest that was shown.
    digest: String,
}

/// Which side of a share this tenant is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Side {
    /// It offers it.
    Sent,
    /// It is offered it.
    Received,
}

/// How a share stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Stands {
    /// It waits for an answer.
    Offered,
    /// It was accepted.
    Accepted,
}

/// A share.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShareWords {
    /// Its id.
    id: String,
    /// Which side this tenant is on.
    side: Side,
    /// Whose it is.
    from: String,
    /// Whom it is offered to.
    to: String,
    /// What it is called, in its owner's words; what would act on a terminal is escaped.
    name: String,
    /// What its owner says of it, likewise.
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
    /// How it stands. One that is over is not there.
    state: Stands,
    /// Its files.
    files: u64,
    /// Their bytes.
    bytes: u64,
    /// What an acceptance names.
    digest: String,
    /// When it was offered.
    offered_at: String,
}

/// A share, and what is to be known before it is accepted.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownWords {
    #[serde(flatten)]
    share: ShareWords,
    /// What whoever accepts it should know.
    risk: &'static str,
    /// All of its files.
    contents: Vec<FileWords>,
}

/// A file of a share.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FileWords {
    /// Its path, in its owner's words; what would act on a terminal is escaped.
    path: String,
    /// Its bytes.
    bytes: u64,
}

impl ShareWords {
    fn of(share: &ShareRecord, tenant: &TenantName) -> Self {
        Self {
            id: share.id.to_string(),
            side: if share.from == *tenant { Side::Sent } else { Side::Received },
            from: share.from.to_string(),
            to: share.to.to_string(),
            name: terminal_line(&share.name, SHOWN),
            note: terminal(&share.note),
            state: if share.state == ShareState::Offered { Stands::Offered } else { Stands::Accepted },
            files: share.files,
            bytes: share.bytes,
            digest: share.digest.to_string(),
            offered_at: time(share.offered_ms),
        }
    }
}

fn by(ask: &Ask) -> Actor {
    Actor::Token { id: ask.bearer.token.id.clone() }
}

pub(crate) async fn offer(faces: Arc<Faces>, ask: Ask) -> Answered {
    let asked: OfferWords = ask.json()?;
    let to = TenantName::parse(&asked.to).map_err(|error| Problem::bad(error.to_string()))?;
    let brain = BrainId::parse(&asked.brain).map_err(|error| Problem::bad(error.to_string()))?;
    let (by, resident) = (by(&ask), faces.resident(&ask).await?);
    let words = blocking(move || {
        resident.view(&brain)?;
        // Nobody is told when somebody else's trail is written to: it would tell whether there is one.
        let (share, _) = resident.offer(&by, &brain, &asked.path, &to, [&asked.name, &asked.note])?;
        Ok(ShareWords::of(&share, &share.from))
    });
    let words = words.await?;
    Ok(Done::created(format!("/api/v1/shares/{}", words.id), &words))
}

pub(crate) async fn list(faces: Arc<Faces>, ask: Ask) -> Answered {
    let access = ask.bearer.access.clone();
    let sharing = Arc::clone(&faces.sharing);
    let items = reading(&faces, &ask.bearer, move || {
        let shares = sharing.list(&access)?;
        Ok(shares.iter().map(|share| ShareWords::of(share, access.tenant())).collect())
    });
    Ok(Done::json(&Page::<ShareWords> { items: items.await?, next: None }))
}

pub(crate) async fn show(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (id, access) = (ask.share()?, ask.bearer.access.clone());
    let sharing = Arc::clone(&faces.sharing);
    let shown = reading(&faces, &ask.bearer, move || {
        let (share, files) = sharing.show(&access, &id)?;
        let file = |file: &autoshare_host::shares::SharedFile| FileWords {
            path: terminal_line(&file.path, SHOWN),
            bytes: file.len,
        };
        let contents = files.iter().map(file).collect();
        Ok(ShownWords { share: ShareWords::of(&share, access.tenant()), risk: RISK, contents })
    });
    Ok(Done::json(&shown.await?))
}

pub(crate) async fn accept(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (id, asked) = (ask.share()?, ask.json::<AcceptWords>()?);
    let digest: Digest =
        asked.digest.parse().map_err(|_| Problem::bad("digest is none: send the one that was shown"))?;
    let (by, access) = (by(&ask), ask.bearer.access.clone());
    let words = blocking(move || {
        let share = faces.sharing.accept(&access, &by, &id, &digest)?;
        Ok(ShareWords::of(&share, access.tenant()))
    });
    Ok(Done::json(&words.await?))
}

pub(crate) async fn end(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (id, by, access) = (ask.share()?, by(&ask), ask.bearer.access.clone());
    blocking(move || Ok(faces.sharing.end(&access, &by, &id)?)).await?;
    Ok(Done::status(StatusCode::NO_CONTENT))
}
