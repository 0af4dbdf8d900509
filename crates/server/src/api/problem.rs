//! Errors as RFC 9457 has them.

use std::io;

use autoshare_access::AccessError;
use autoshare_host::resident::ResidentError;
use autoshare_host::shares::ShareError;
use autoshare_host::{AnswerError, HostError};
use hyper::StatusCode;
use serde_json::{Value, json};

/// Why a request is not done, in words for whoever made it. What is this machine's own trouble is told to its log alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// A stable word for programs.
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    /// Seconds after which it may be tried again.
    pub(crate) retry_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after: None }
    }

    /// No token, or none that is accepted: the same words whatever the reason.
    pub(crate) fn stranger() -> Self {
        let words = "no token that is valid here: send one as Authorization: Bearer";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", words)
    }

    /// Nothing there, or nothing that whoever asks may know of: the same words.
    pub(crate) fn nothing() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here, or nothing that this token reaches")
    }

    pub(crate) fn forbidden(scope: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", format!("this token has not the scope {scope}"))
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    pub(crate) fn later(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// This machine's trouble.
    pub(crate) fn trouble(error: &(dyn std::error::Error + 'static)) -> Self {
        // One line, without what stands in it being taken for another.
        tracing::error!(error = %autoshare_guard::encode::log_line(&error.to_string()), "a request failed");
        if is_for_want_of_room(error) {
            let words =
                "this server's disk is full, and nothing of this was done: again once its operator has made room";
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, "disk_full", words).later(RETRY_ROOM);
        }
        let words = "this server cannot do that now; its operator's log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", words)
    }

    /// As it is sent; `message` is what the Agent Protocol calls it.
    pub(crate) fn body(&self) -> Value {
        json!({
            "type": format!("urn:autoshare:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "message": self.detail,
        })
    }
}

fn is_for_want_of_room(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(io, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
        || error.source().is_some_and(is_for_want_of_room)
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Refused { .. } | AccessError::Suspended(_) => Self::stranger(),
            AccessError::NoToken(_) | AccessError::NoTenant(_) | AccessError::NoPerson(_) | AccessError::NoShare(_) => {
                Self::nothing()
            }
            AccessError::OtherShare(_) | AccessError::TooManyShares(_) | AccessError::LastPerson(_) => {
                Self::conflict(error.to_string())
            }
            AccessError::Share(words) => Self::bad(words),
            AccessError::Beyond(words) => Self::new(StatusCode::FORBIDDEN, "beyond", words),
            AccessError::Grant(words) | AccessError::Terms(words) | AccessError::Person(words) => Self::bad(words),
            AccessError::TenantExists(_) => Self::conflict(error.to_string()),
            AccessError::Name(error) => Self::bad(error.to_string()),
            other => Self::trouble(&other),
        }
    }
}

impl From<ResidentError> for Problem {
    fn from(error: ResidentError) -> Self {
        match error {
            ResidentError::NoBrain(_) | ResidentError::NoArtifact => Self::nothing(),
            ResidentError::Limit(words) => Self::new(StatusCode::TOO_MANY_REQUESTS, "limit", words).later(RETRY_LIMIT),
            ResidentError::State(words) => Self::conflict(words),
            ResidentError::Wrong(words) => Self::bad(words),
            ResidentError::Answer(error @ (AnswerError::NoQuestion(_) | AnswerError::OtherAction { .. })) => {
                Self::conflict(error.to_string())
            }
            ResidentError::Full(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "full", error.to_string()).later(RETRY_LIMIT)
            }
            ResidentError::Host(error) => error.into(),
            ResidentError::Share(error) => error.into(),
            other => Self::trouble(&other),
        }
    }
}

impl From<ShareError> for Problem {
    fn from(error: ShareError) -> Self {
        match error {
            ShareError::Access(error) => error.into(),
            ShareError::Copy(error) => Self::bad(error.to_string()),
            ShareError::Host(error) => error.into(),
            other => Self::trouble(&other),
        }
    }
}

/// Seconds after which a full disk is worth another try.
const RETRY_ROOM: u64 = 30;
/// Seconds after which a limit is worth another try.
const RETRY_LIMIT: u64 = 5;

impl From<HostError> for Problem {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Ended(_) | HostError::Exec(_) | HostError::NoGoal(_) => Self::conflict(error.to_string()),
            error if error.is_driven() => Self::conflict("another process drives this brain"),
            HostError::Broker(error) => Self::bad(error.to_string()),
            other => Self::trouble(&other),
        }
    }
}
