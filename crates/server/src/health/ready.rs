//! Whether it is ready, and what is not.

use autoshare_host::resident::Resident;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Health;
use crate::http::reply::Reply;

/// A part that must be well for requests to be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It is ending.
    Draining,
    /// What happens cannot be written down.
    Journals,
    /// No cell can be made any more.
    Cells,
    /// A disk is nearly full.
    Disk,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::Draining, Self::Journals, Self::Cells, Self::Disk];

    /// Its name for programs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Journals => "journals",
            Self::Cells => "cells",
            Self::Disk => "disk",
        }
    }

    /// What is wrong, for people.
    const fn words(self) -> &'static str {
        match self {
            Self::Draining => "it is ending and takes nothing more",
            Self::Journals => "journals, or records of calls, cannot be written",
            Self::Cells => "no cell can be made: its launcher is gone; start it anew",
            Self::Disk => "a disk is nearly full ([serve] least_free)",
        }
    }
}

impl Health {
    /// What is not well. Whose trouble it is, is nobody's business here.
    pub(crate) fn unwell(&self, open: &[Arc<Resident>]) -> Vec<Part> {
        let is = |part: &Part| match part {
            Part::Draining => self.draining.load(Ordering::Relaxed),
            Part::Journals => open.iter().any(|resident| resident.is_unwritten()),
            Part::Cells => (self.parts.cells)().2,
            Part::Disk => {
                let least = self.parts.settings.least_free;
                let mut rooms = self.parts.disks.iter().filter_map(|(_, disk)| disk.room());
                rooms.any(|(free, _)| free < least)
            }
        };
        Part::ALL.into_iter().filter(is).collect()
    }

    /// Answers `/readyz`.
    pub(crate) fn ready(&self, open: &[Arc<Resident>], headers: &HeaderMap) -> Response<Reply> {
        let unwell = self.unwell(open);
        let status = if unwell.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let (kind, body) = if accepts_json(headers) {
            let reasons: Vec<_> = unwell.iter().map(|part| json!({"part": part.name(), "why": part.words()})).collect();
            ("application/json", json!({"ready": unwell.is_empty(), "reasons": reasons}).to_string())
        } else if unwell.is_empty() {
            ("text/plain; charset=utf-8", "ready".to_owned())
        } else {
            let why: Vec<_> = unwell.iter().map(|part| part.words()).collect();
            ("text/plain; charset=utf-8", format!("not ready: {}", why.join("; ")))
        };
        let mut response = Response::new(Reply::from(Bytes::from(body)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let mut named = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|it| it.split(','));
    named.any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")))
}
