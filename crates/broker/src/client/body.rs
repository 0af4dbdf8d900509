//! The bytes of a reply, and why there are none.

use std::error::Error as _;
use std::ops::Deref;
use std::time::Duration;

use reqwest::Response;
use tokio::time::Instant;

use crate::error::{ModelError, quoted};
use crate::settings::Timeouts;

/// How long a stream may go on after the reply is whole, for the usage and the end mark.
const AFTER_FINISH: Duration = Duration::from_secs(5);

/// The body of a reply, read under limits of time.
pub(super) struct Body<'a> {
    pub(super) response: Response,
    pub(super) who: &'a str,
    pub(super) sent: Instant,
    pub(super) timeouts: Timeouts,
    pub(super) begun: bool,
}

impl Body<'_> {
    pub(super) async fn next(&mut self, whole: bool) -> Result<Option<impl Deref<Target = [u8]> + use<>>, ModelError> {
        let (what, limit, until) = if whole {
            ("the stream did not end", AFTER_FINISH, Instant::now() + AFTER_FINISH)
        } else if self.begun {
            ("nothing more came", self.timeouts.idle, Instant::now() + self.timeouts.idle)
        } else {
            ("no reply began", self.timeouts.first_byte, self.sent + self.timeouts.first_byte)
        };
        let who = || self.who.to_owned();
        match tokio::time::timeout_at(until, self.response.chunk()).await {
            Ok(Ok(chunk)) => {
                self.begun = true;
                Ok(chunk)
            }
            Ok(Err(error)) => Err(ModelError::Cut { who: who(), why: root_cause(&error) }),
            Err(_) => Err(ModelError::TimedOut { who: who(), what, limit }),
        }
    }
}

/// The innermost reason of an HTTP client's error: the system's words, without URLs or headers.
pub(crate) fn root_cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut words = "the connection failed".to_owned();
    while let Some(inner) = cause {
        words = inner.to_string();
        cause = inner.source();
    }
    quoted(&words)
}
