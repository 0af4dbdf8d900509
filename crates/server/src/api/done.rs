//! What a request is answered with.

use std::sync::Arc;

use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc;

use super::problem::Problem;
use crate::http::reply::Reply;

/// What a request that was done is answered with.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether the answer may be given again to whoever sends the same request with the same key.
    pub(crate) is_kept: bool,
    /// What is still to come.
    pub(crate) live: Option<Live>,
}

/// Pieces that come; given away once.
#[derive(Debug, Clone)]
pub(crate) struct Live(Arc<std::sync::Mutex<Option<mpsc::Receiver<Bytes>>>>);

impl Done {
    pub(crate) fn status(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), is_kept: true, live: None }
    }

    pub(crate) fn json(value: &impl Serialize) -> Self {
        // What is serialized here are values of our own, whose keys are texts.
        let body = serde_json::to_vec(value).unwrap_or_default();
        let done = Self { body: Bytes::from(body), ..Self::status(StatusCode::OK) };
        done.header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// Text of a kind.
    pub(crate) fn text(kind: &'static str, text: String) -> Self {
        let done = Self { body: Bytes::from(text), ..Self::status(StatusCode::OK) };
        done.header(CONTENT_TYPE, HeaderValue::from_static(kind))
    }

    pub(crate) fn created(at: String, value: &impl Serialize) -> Self {
        let done = Self { status: StatusCode::CREATED, ..Self::json(value) };
        match HeaderValue::from_str(&at) {
            Ok(at) => done.header(LOCATION, at),
            Err(_) => done,
        }
    }

    /// A file, to be kept and never shown as a page of this server.
    pub(crate) fn file(name: &str, bytes: Vec<u8>) -> Self {
        let name = autoshare_guard::encode::file_name(name);
        let plain: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
        let whole = name.bytes().map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        });
        let disposition = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", whole.collect::<String>());
        let mut done = Self { body: Bytes::from(bytes), ..Self::status(StatusCode::OK) };
        if let Ok(value) = HeaderValue::from_str(&disposition) {
            done = done.header(CONTENT_DISPOSITION, value);
        }
        done.header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
    }

    pub(crate) fn live(kind: &'static str, pieces: mpsc::Receiver<Bytes>) -> Self {
        let live = Some(Live(Arc::new(std::sync::Mutex::new(Some(pieces)))));
        let done = Self { is_kept: false, live, ..Self::status(StatusCode::OK) };
        done.header(CONTENT_TYPE, HeaderValue::from_static(kind))
    }

    /// The same, with a secret in it: it is shown this once.
    pub(crate) fn secret(self) -> Self {
        Self { is_kept: false, ..self }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

pub(crate) fn response(answered: Result<Done, Problem>) -> Response<Reply> {
    let done = match answered {
        Ok(done) => done,
        Err(problem) => refused(&problem),
    };
    let live = done.live.and_then(|live| live.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
    let mut response = Response::new(live.map_or_else(|| Reply::from(done.body), Reply::Live));
    *response.status_mut() = done.status;
    *response.headers_mut() = done.headers;
    let headers = response.headers_mut();
    // Nothing of a tenant's is kept on the way, and nothing is taken for a page.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("content-security-policy", HeaderValue::from_static("default-src 'none'; sandbox"));
    response
}

pub(super) fn refused(problem: &Problem) -> Done {
    let mut done = Done { status: problem.status, ..Done::json(&problem.body()) };
    done = done.header(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(seconds) = problem.retry_after {
        done = done.header(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.status == StatusCode::UNAUTHORIZED {
        done = done.header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    done
}
