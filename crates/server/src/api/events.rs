//! Events as they happen: server-sent events (HTML Standard, section 9.2).

use std::sync::Arc;
use std::time::Duration;

use autoshare_core::{BrainId, Seq, TokenId};
use autoshare_host::resident::Resident;
use hyper::body::Bytes;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::ask::Ask;
use super::problem::Problem;
use super::route::Answered;
use super::words::time;
use super::{Done, Faces, all_open, blocking, reading};

/// Pieces that may wait for whoever follows.
const PIECES: usize = 16;
/// How often something is said when nothing happens, so that what stands between does not take the stream for dead.
const BEAT: Duration = Duration::from_secs(15);

pub(crate) async fn stream(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, resident) = (ask.brain()?, faces.resident(&ask).await?);
    let last = ask.headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let last = last.map(|id| id.parse().map_err(|_| Problem::bad("Last-Event-ID is no number"))).transpose()?;
    let known = Arc::clone(&resident);
    let of = brain.clone();
    reading(&faces, &ask.bearer, move || super::brains::words(&known, &of)).await?;
    let place = faces.streams.enter(ask.bearer.access.tenant());
    let place = place.ok_or_else(|| all_open(faces.settings.streams_each, "streams", "streams_each"))?;
    let (pieces, live) = mpsc::channel(PIECES);
    let token = ask.bearer.token.id.clone();
    tokio::spawn(async move {
        let follower = Follower { faces: &faces, token: &token, resident: &resident, brain: &brain, pieces: &pieces };
        // One who goes away has nobody to be told.
        let _ = follower.follow(Seq(last.unwrap_or(0))).await;
        drop(place);
    });
    Ok(Done::live("text/event-stream", live))
}

/// Whoever follows is gone or may follow no more, or what is followed cannot be read any more.
struct Gone;

struct Follower<'f> {
    faces: &'f Faces,
    token: &'f TokenId,
    resident: &'f Arc<Resident>,
    brain: &'f BrainId,
    pieces: &'f mpsc::Sender<Bytes>,
}

impl Follower<'_> {
    async fn follow(&self, mut known: Seq) -> Result<(), Gone> {
        // Before the first look, so that nothing comes between.
        let mut grown = self.resident.follow();
        loop {
            // A token that ends takes its streams with it.
            self.faces.tokens.limits(self.token).ok().flatten().ok_or(Gone)?;
            // In this order: what is journaled before it falls asleep is seen in the look that follows.
            let is_awake = self.resident.is_awake(self.brain) || self.resident.is_waiting(self.brain);
            let (resident, of, from) = (Arc::clone(self.resident), self.brain.clone(), known.next());
            let records = blocking(move || Ok(resident.records(&of, from)?)).await.map_err(|_| Gone)?;
            for record in records {
                known = record.seq;
                let (at, kind) = (time(record.at_ms), record.kind.name());
                let event = json!({"seq": known, "at": at, "kind": kind, "event": record.event});
                // JSON of ours has no line break in it.
                self.say(format!("id: {known}\nevent: {kind}\ndata: {event}\n\n")).await?;
            }
            if !is_awake {
                return self.say("event: rest\ndata: {}\n\n".to_owned()).await;
            }
            loop {
                match tokio::time::timeout(BEAT, grown.recv()).await {
                    Ok(Ok((of, seq))) if of == *self.brain && seq > known => break,
                    Ok(Ok(_)) => {}
                    Ok(Err(RecvError::Lagged(_))) => break,
                    Ok(Err(RecvError::Closed)) => return Ok(()),
                    Err(_) => {
                        self.say(":\n\n".to_owned()).await?;
                        break;
                    }
                }
            }
        }
    }

    async fn say(&self, text: String) -> Result<(), Gone> {
        self.pieces.send(Bytes::from(text)).await.map_err(|_| Gone)
    }
}
