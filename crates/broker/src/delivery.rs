//! What is sent to an address by itself, with nobody waiting for the answer: traces, alerts.

use std::time::{Duration, SystemTime};

use autoshare_vault::Sensitive;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request};
use tokio::time::timeout;

use crate::error::quoted;
use crate::outbound::Outbound;
use crate::retry;

/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 * 1024;
/// Headers of one address at most.
const MAX_HEADERS: usize = 32;

/// What came of sending something.
#[derive(Debug)]
pub enum Delivery {
    /// There was an answer.
    Answered {
        /// Its status.
        status: u16,
        /// How long it asks to be left alone: a day at most.
        after: Option<Duration>,
        /// What it says; nothing where that is more than 64 KiB or broke off.
        body: Bytes,
    },
    /// There was none; why, in words.
    Failed(String),
}

impl Delivery {
    /// Whether it was taken: a status of the 200s.
    #[must_use]
    pub const fn is_taken(&self) -> bool {
        matches!(self, Self::Answered { status: 200..=299, .. })
    }

    /// How long whoever answered asks to be left alone.
    #[must_use]
    pub const fn after(&self) -> Option<Duration> {
        match self {
            Self::Answered { after, .. } => *after,
            Self::Failed(_) => None,
        }
    }
}

impl std::fmt::Display for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered { status, .. } => write!(f, "answered with {status}"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl Outbound {
    /// Sends a POST and reads the answer, all `within` this time.
    pub async fn deliver(&self, headers: HeaderMap, body: Bytes, within: Duration) -> Delivery {
        let mut request = Request::new(body);
        (*request.method_mut(), *request.headers_mut()) = (Method::POST, headers);
        let delivering = async {
            let answer = match self.send(request).await {
                Ok(answer) => answer,
                Err(error) => return Delivery::Failed(quoted(&error.to_string())),
            };
            let (head, body) = answer.into_parts();
            let after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let after = after.and_then(|value| retry::retry_after(value, SystemTime::now()));
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            Delivery::Answered { status: head.status.as_u16(), after, body }
        };
        let late = |_| Delivery::Failed(format!("no whole answer within {} s", within.as_secs()));
        timeout(within, delivering).await.unwrap_or_else(late)
    }
}

/// The headers in a text with one `Name: value` on each line; empty lines and those that begin with `#` say nothing. None
/// of those that HTTP itself needs.
///
/// # Errors
/// Which line is none, without its value.
pub fn named_headers(text: &Sensitive) -> Result<HeaderMap, String> {
    const OURS: [&str; 9] = [
        "host",
        "content-length",
        "content-type",
        "content-encoding",
        "accept-encoding",
        "connection",
        "transfer-encoding",
        "te",
        "upgrade",
    ];
    let mut headers = HeaderMap::new();
    let lines = text.expose().lines().map(str::trim).enumerate();
    for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let wrong = |why: &str| format!("line {} {why}", at + 1);
        let (name, value) = line.split_once(':').ok_or_else(|| wrong("is no header: use `Name: value`"))?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong("begins with no name of a header"))?;
        if OURS.contains(&name.as_str()) {
            return Err(wrong(&format!("names {name}, which this program says itself")));
        }
        let mut value =
            HeaderValue::from_str(value.trim()).map_err(|_| wrong("has a value that no header may have"))?;
        value.set_sensitive(true);
        if headers.insert(name, value).is_some() {
            return Err(wrong("names a header that was named before"));
        }
        if headers.len() > MAX_HEADERS {
            return Err(format!("there are more than {MAX_HEADERS} headers"));
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_named_one_a_line_and_what_is_wrong_is_told_without_its_value() {
        let of = |text: &str| named_headers(&Sensitive::new(text.to_owned()));
        let good = of("# for the collector\n\nAuthorization: Bearer a:b\r\n x-scope : 1 \n").unwrap();
        assert_eq!(good.len(), 2);
        assert_eq!((&good["authorization"], &good["x-scope"]), (&"Bearer a:b".parse().unwrap(), &"1".parse().unwrap()));
        assert!(!format!("{good:?}").contains("a:b"), "{good:?}");
        for (bad, part) in [
            ("authorization", "line 1 is no header"),
            ("a b: CANARY", "line 1 begins with no name"),
            ("ok: 1\nHost: CANARY", "line 2 names host"),
            ("Content-Length: 7", "names content-length"),
            ("x: CANARY\u{1}", "line 1 has a value"),
            ("x: 1\nX: CANARY", "line 2 names a header that was named before"),
        ] {
            let error = of(bad).unwrap_err();
            assert!(error.contains(part) && !error.contains("CANARY"), "{bad:?}: {error}");
        }
        let many: String = (0..40).map(|n| format!("x-{n}: 1\n")).collect();
        assert!(of(&many).unwrap_err().contains("more than 32"));
    }
}
