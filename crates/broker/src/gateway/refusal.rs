//! What a caller is told that does not get an answer of a model: in the words of the face it speaks to, so that its SDK
//! raises the error that its author expects.

use bytes::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::paths::Face;

/// A request that is not answered by a model, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub(super) status: StatusCode,
    /// The error's code, as OpenAI's interface calls it.
    pub(super) code: &'static str,
    pub(super) words: String,
    field: Option<String>,
    retry_after: Option<u64>,
    method: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, words: impl Into<String>) -> Self {
        Self { status, code, words: words.into(), field: None, retry_after: None, method: None }
    }

    /// A request that makes no sense.
    pub(super) fn bad(words: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", words)
    }

    /// A request that makes no sense because of this field.
    pub(super) fn field(name: &str, words: String) -> Self {
        Self { field: Some(name.to_owned()), ..Self::bad(words) }
    }

    /// No token, or none that is known.
    #[must_use]
    pub fn stranger() -> Self {
        let words = "no token that is valid here: send one that `autoshare token new` gave, as Authorization: Bearer or \
                     x-api-key";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", words)
    }

    pub(super) fn method(wanted: &'static str) -> Self {
        let words = format!("this path answers {wanted} only");
        Self { method: Some(wanted), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", words) }
    }

    /// Not now, but after so many seconds.
    pub(super) fn later(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// Nothing passes that cannot be recorded.
    #[must_use]
    pub fn unrecorded() -> Self {
        let words = "calls cannot be recorded now, and none passes unrecorded: tell the operator (is the disk full?)";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unrecorded", words).later(5)
    }

    /// The refusal as an answer in the words of the face that a path belongs to.
    #[must_use]
    pub fn response_for(&self, path: &str) -> Response<Bytes> {
        self.answer(Face::of(path))
    }

    pub(super) fn answer(&self, face: Face) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(self.body(face).to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(method) = self.method {
            headers.insert(ALLOW, HeaderValue::from_static(method));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    pub(super) fn body(&self, face: Face) -> Value {
        match face {
            Face::OpenAi => {
                let kind = match self.status.as_u16() {
                    401 => "authentication_error",
                    403 => "permission_error",
                    404 => "not_found_error",
                    429 => "rate_limit_error",
                    500.. => "api_error",
                    _ => "invalid_request_error",
                };
                json!({"error": {
                    "message": format!("autoshare: {}", self.words), "type": kind, "param": self.field, "code": self.code,
                }})
            }
            Face::Anthropic => {
                let kind = match self.status.as_u16() {
                    401 => "authentication_error",
                    402 => "billing_error",
                    403 => "permission_error",
                    404 => "not_found_error",
                    413 => "request_too_large",
                    429 => "rate_limit_error",
                    529 => "overloaded_error",
                    500.. => "api_error",
                    _ => "invalid_request_error",
                };
                json!({"type": "error", "error": {"type": kind, "message": format!("autoshare: {}", self.words)}})
            }
        }
    }
}
