//! The way to one address that a person named: an MCP server, or whatever else speaks HTTP and is no model.

use std::fmt;
use std::io;
use std::time::Duration;

use autoshare_core::origin::{Origin, Scheme};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Bytes;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue};
use hyper::{Request, Response, Uri};
use reqwest::Url;
use tokio::time::timeout;

use crate::client::{http_client, http_client_trusting, root_cause};
use crate::egress::{Credential, Striker, Struck, put_into};
use crate::error::BrokerError;
use crate::settings::Timeouts;

/// Bytes of an address at most.
const MAX_URL: usize = 2_048;

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// It is none.
    #[error("the address {0}; use https://HOST/PATH, or http:// and a server of this machine")]
    Url(&'static str),
    /// No client can be made.
    #[error(transparent)]
    Client(#[from] BrokerError),
    /// The credential is for other hosts.
    #[error("the secret {name} is for {hosts} alone, and not for {origin}; keep it anew with --host {origin}")]
    Elsewhere {
        /// The secret.
        name: String,
        /// Its hosts.
        hosts: String,
        /// Where the requests go.
        origin: String,
    },
}

/// The way to one address and to no other: https, or http to this machine. Redirects are not followed, no proxy is asked,
/// nothing compressed is taken. As a person named the address, it may be a private one. The credential, if there is one,
/// leaves in the form and to the origins that its secret names; what a reply repeats of it is struck.
pub struct Outbound {
    url: Url,
    origin: Origin,
    http: reqwest::Client,
    credentials: Vec<Credential>,
    /// What every request says beside what its sender does.
    headers: HeaderMap,
    /// How long the head of a reply may take.
    head: Duration,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("origin", &self.origin.to_string()).finish_non_exhaustive()
    }
}

/// The body of a reply.
pub type OutboundBody = UnsyncBoxBody<Bytes, io::Error>;

impl Outbound {
    /// Checks the address; nothing is connected yet. `ca` are authorities, as PEM, that are trusted beside the platform's.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub fn new(
        url: &str,
        credential: Option<Credential>,
        ca: Option<&str>,
        timeouts: &Timeouts,
    ) -> Result<Self, OutboundError> {
        let (url, origin) = parse(url)?;
        if let Some(other) = credential.as_ref().filter(|credential| !credential.hosts().contains(&origin)) {
            let hosts: Vec<String> = other.hosts().iter().map(Origin::to_string).collect();
            let (name, origin) = (other.name().to_owned(), origin.to_string());
            return Err(OutboundError::Elsewhere { name, hosts: hosts.join(", "), origin });
        }
        let https = origin.scheme == Scheme::Https;
        let http = match ca.filter(|_| https) {
            Some(ca) => http_client_trusting(ca, timeouts)?,
            None => http_client(https, timeouts)?,
        };
        let (credentials, headers) = (credential.into_iter().collect(), HeaderMap::new());
        Ok(Self { url, origin, http, credentials, headers, head: timeouts.first_byte })
    }

    /// The same with headers that every request has.
    #[must_use]
    pub fn with_headers(self, headers: HeaderMap) -> Self {
        Self { headers, ..self }
    }

    /// The origin that an address leads to.
    ///
    /// # Errors
    /// [`OutboundError::Url`].
    pub fn origin_of(url: &str) -> Result<Origin, OutboundError> {
        parse(url).map(|(_, origin)| origin)
    }

    /// Sends a request; method, headers and body are the caller's, the address is not.
    ///
    /// # Errors
    /// The connection, TLS or the first words of the reply failed, or took too long.
    pub async fn send(&self, request: Request<Bytes>) -> io::Result<Response<OutboundBody>> {
        let (mut parts, body) = request.into_parts();
        let uri: Result<Uri, _> = self.url.as_str().parse();
        parts.uri = uri.map_err(io::Error::other)?;
        parts.headers.extend(self.headers.clone());
        parts.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let borne = put_into(&mut parts, &self.origin, &self.credentials)
            .map_err(|(why, _)| io::Error::other(why.to_string()))?;
        let echoes = borne.map(Credential::echoes).unwrap_or_default();
        let url = Url::parse(&parts.uri.to_string()).map_err(io::Error::other)?;
        let sending = self.http.request(parts.method, url).headers(parts.headers).body(body).send();
        let reply = match timeout(self.head, sending).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => return Err(io::Error::other(root_cause(&error))),
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer began in time")),
        };
        let (mut parts, body) = Response::<reqwest::Body>::from(reply).into_parts();
        if parts.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(io::Error::other("the answer is compressed, though it was asked for plain"));
        }
        let mut striker = Striker::new(echoes);
        for value in parts.headers.values_mut() {
            let struck = striker.whole(value.as_bytes());
            *value = HeaderValue::from_bytes(&struck).unwrap_or_else(|_| HeaderValue::from_static(""));
        }
        let body = Struck::new(body, striker).map_err(|error: reqwest::Error| io::Error::other(root_cause(&error)));
        Ok(Response::from_parts(parts, body.boxed_unsync()))
    }
}

fn parse(text: &str) -> Result<(Url, Origin), OutboundError> {
    let wrong = |why| Err(OutboundError::Url(why));
    if text.len() > MAX_URL {
        return wrong("is longer than 2048 bytes");
    }
    let Ok(url) = Url::parse(text.trim()) else { return wrong("is no URL") };
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("holds a name or password (keep it with `autoshare secret set`, and name it with --credential)");
    }
    if url.fragment().is_some() {
        return wrong("holds a fragment ('#')");
    }
    // Of what the client will connect to, not of what was written.
    let Some(origin) = Origin::of_url(url.as_str()) else { return wrong("names no host") };
    if origin.scheme == Scheme::Http && !origin.host.is_loopback() {
        return wrong("is plain http to another machine, where anybody on the way reads along");
    }
    Ok((url, origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c7_addresses_that_a_person_may_name() {
        for (url, origin) in [
            ("https://mcp.example.org/mcp", "mcp.example.org"),
            ("https://10.0.0.1:8443/x?tenant=1", "10.0.0.1:8443"),
            (" http://localhost:8000/mcp ", "http://localhost:8000"),
            ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ] {
            assert_eq!(Outbound::origin_of(url).unwrap().to_string(), origin, "{url}");
        }
        for url in [
            "",
            "mcp.example.org",
            "file:///etc/passwd",
            "ftp://h/x",
            "https://me:pw@h/mcp",
            "https://token@h/mcp",
            "https://h/mcp#x",
            "http://example.org/mcp",
            "http://10.0.0.1/mcp",
            "http://x.localhost/mcp",
        ] {
            let error = Outbound::origin_of(url).unwrap_err().to_string();
            assert!(!error.contains("pw") && !error.contains("token"), "{error}");
        }
    }
}
