//! The files of a brain's workspace.

use std::sync::Arc;

use autoshare_core::BrainId;
use autoshare_host::resident::Resident;

use super::ask::Ask;
use super::problem::Problem;
use super::route::Answered;
use super::words::{ArtifactWords, Page};
use super::{Done, Faces, brains, reading};

pub(crate) async fn list(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, limit, resident) = (ask.brain()?, ask.limit()?, faces.resident(&ask).await?);
    let after = ask.param("cursor").map(str::to_owned);
    let page = reading(&faces, &ask.bearer, move || {
        brains::words(&resident, &brain)?;
        let (all, _) = resident.artifacts(&brain)?;
        let mut rest = all.into_iter().filter(|one| after.as_ref().is_none_or(|after| one.file.path > *after));
        let items: Vec<ArtifactWords> = rest.by_ref().take(limit).map(ArtifactWords::from).collect();
        let next = rest.next().and(items.last()).map(|item| item.path.clone());
        Ok(Page { items, next })
    });
    Ok(Done::json(&page.await?))
}

pub(crate) async fn upload(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, resident) = (ask.brain()?, faces.resident(&ask).await?);
    let path = ask.param("path").ok_or_else(|| Problem::bad("name where to put it: ?path=..."))?;
    let known = Arc::clone(&resident);
    let of = brain.clone();
    reading(&faces, &ask.bearer, move || brains::words(&known, &of)).await?;
    let artifact = resident.upload(&brain, path, ask.body.clone()).await?;
    let at = format!("/api/v1/brains/{brain}/artifacts/{}", artifact.id);
    Ok(Done::created(at, &ArtifactWords::from(artifact)))
}

pub(crate) async fn download(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, resident) = (ask.brain()?, faces.resident(&ask).await?);
    let id = ask.text("artifact")?.to_owned();
    reading(&faces, &ask.bearer, move || file(&resident, &brain, &id)).await
}

/// A file, as it is sent.
pub(crate) fn file(resident: &Resident, brain: &BrainId, id: &str) -> Answered {
    resident.view(brain)?;
    let artifact = resident.artifact(brain, id)?;
    let name = artifact.file.path.rsplit('/').next().unwrap_or_default();
    Ok(Done::file(name, resident.read_artifact(brain, &artifact.file.path)?))
}
