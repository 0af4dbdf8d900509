//! The way to the provider: every request goes through the broker, and every answer is bounded.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use autoshare_broker::{Outbound, OutboundError, Timeouts};
use autoshare_core::origin::Scheme;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Bytes;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};

/// Bytes of one answer of the provider's at most.
const MAX_ANSWER: usize = 256 * 1024;
/// Addresses that are remembered: a provider has four, which it may change.
const MAX_KNOWN: usize = 8;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WayError {
    #[error(transparent)]
    Address(#[from] OutboundError),
    #[error("{0} is plain http, and [serve.login] issuer is not: the provider's addresses must all be https")]
    Plain(String),
    #[error("{0}")]
    Failed(String),
    #[error("it did not answer within {} s ([serve.login] timeout_s)", .0.as_secs())]
    Late(Duration),
}

/// The way to the addresses that a provider names: https, or http to this machine where the provider itself is so.
pub(super) struct Way {
    scheme: Scheme,
    ca: Option<String>,
    limit: Duration,
    known: Mutex<HashMap<String, Arc<Outbound>>>,
}

impl Way {
    /// `ca` are authorities, as PEM, that are trusted beside the platform's; one answer may take `limit`.
    pub(super) fn new(issuer: &str, ca: Option<String>, limit: Duration) -> Result<Self, OutboundError> {
        let scheme = Outbound::origin_of(issuer)?.scheme;
        Ok(Self { scheme, ca, limit, known: Mutex::default() })
    }

    /// Refuses an address that the provider may not name.
    pub(super) fn check(&self, url: &str) -> Result<(), WayError> {
        match Outbound::origin_of(url)?.scheme {
            Scheme::Http if self.scheme == Scheme::Https => Err(WayError::Plain(url.to_owned())),
            _ => Ok(()),
        }
    }

    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, WayError> {
        tokio::time::timeout(self.limit, self.answered(request)).await.unwrap_or(Err(WayError::Late(self.limit)))
    }

    async fn answered(&self, request: HttpRequest) -> Result<HttpResponse, WayError> {
        let out = self.out(request.uri().to_string()).await?;
        let failed = |error: &dyn std::error::Error| WayError::Failed(error.to_string());
        let answer = out.send(request.map(Bytes::from)).await.map_err(|error| failed(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| failed(&*error))?;
        Ok(HttpResponse::from_parts(head, body.to_bytes().to_vec()))
    }

    async fn out(&self, url: String) -> Result<Arc<Outbound>, WayError> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(out) = known().get(&url) {
            return Ok(Arc::clone(out));
        }
        self.check(&url)?;
        let timeouts = Timeouts { connect: self.limit, first_byte: self.limit, idle: self.limit, total: self.limit };
        let (to, ca) = (url.clone(), self.ca.clone());
        // Reads the platform's authorities.
        let made = tokio::task::spawn_blocking(move || Outbound::new(&to, None, ca.as_deref(), &timeouts)).await;
        let out = Arc::new(made.map_err(|error| WayError::Failed(error.to_string()))??);
        let mut known = known();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(url, Arc::clone(&out));
        Ok(out)
    }
}

impl<'c> AsyncHttpClient<'c> for Way {
    type Error = WayError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, WayError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_over_tls_names_addresses_over_tls() {
        let way = |issuer| Way::new(issuer, None, Duration::from_secs(1)).unwrap();
        let (tls, here) = (way("https://id.example.org"), way("http://127.0.0.1:8080"));
        for (url, over_tls, on_this_machine) in [
            ("https://keys.example.org/jwks", true, true),
            ("https://10.0.0.1/jwks", true, true),
            ("http://127.0.0.1:8080/jwks", false, true),
            ("http://id.example.org/jwks", false, false),
            ("file:///etc/passwd", false, false),
        ] {
            assert_eq!((tls.check(url).is_ok(), here.check(url).is_ok()), (over_tls, on_this_machine), "{url}");
        }
    }
}
