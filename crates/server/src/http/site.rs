//! What lies under which path, and who may speak to it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use autoshare_access::{AccessError, Bearer, Scope, Tokens};
use autoshare_broker::gateway::{Caller, ROOT, Refusal};
use autoshare_core::Digest;
use autoshare_host::resident::Resident;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::{Method, Request, Response, StatusCode};

use super::body::RequestBody;
use super::connection::Answering;
use super::pause::Pause;
use super::peer::PeerCertificate;
use super::reply::Reply;
use super::strangers::Stranger;
use crate::api::problem::Problem;
use crate::api::{self, Asker, Faces, answered};
use crate::health::{Face, Noting};
use crate::login;

/// Anthropic's header for a key.
const X_API_KEY: &str = "x-api-key";
/// Where a browser says a request comes from.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

pub(super) struct Site {
    pub(super) faces: Arc<Faces>,
    pub(super) hosts: Vec<String>,
    /// Whether other machines reach it: then any name may be its.
    pub(super) is_open: bool,
}

impl Answering for Site {
    async fn answer(&self, request: Request<RequestBody>) -> Response<Reply> {
        let path = request.uri().path();
        let (face, route) = match path {
            "/livez" => (Face::Health, "/livez"),
            "/readyz" => (Face::Health, "/readyz"),
            "/metrics" => (Face::Health, "/metrics"),
            path if path.starts_with(ROOT) => (Face::Gateway, ROOT),
            path if login::is_ours(path) => (Face::Login, "/login"),
            path if api::is_ours(path) => {
                let face = if path.starts_with("/ap/") { Face::AgentProtocol } else { Face::Api };
                (face, self.faces.pattern(path))
            }
            _ => (Face::None, ""),
        };
        let from = request.extensions().get::<Stranger>().cloned();
        // The provider of identities is asked for whoever comes.
        if face == Face::Login
            && let Err(wait) = turn(from.as_ref()).await
        {
            return too_often(wait);
        }
        let noting = Noting::begin(&self.faces, face, request.method());
        let response = self.respond(request).await;
        let asker = response.extensions().get().map(|Asker(tenant)| tenant);
        noting.end(response.status(), route, asker);
        // Whoever asks how the server is has what they came for, also where it is not well.
        let is_refused = asker.is_none() && face != Face::Login && response.status().is_client_error();
        match turn(from.as_ref().filter(|_| is_refused)).await {
            Ok(()) => response,
            Err(wait) => too_often(wait),
        }
    }
}

async fn turn(from: Option<&Stranger>) -> Result<(), Duration> {
    match from {
        Some(from) => from.turn().await,
        None => Ok(()),
    }
}

/// Whoever is not known asks for too much.
fn too_often(wait: Duration) -> Response<Reply> {
    let seconds = wait.as_secs() + 1;
    let words = format!(
        "too much came from this address without a token that is accepted ([serve] strangers_per_minute); try again in \
         {seconds} s"
    );
    answered(Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "strangers", words).later(seconds)))
}

impl Site {
    async fn respond(&self, request: Request<RequestBody>) -> Response<Reply> {
        if let Some(refused) = self.is_foreign(request.headers()) {
            return plain(StatusCode::FORBIDDEN, refused);
        }
        let path = request.uri().path();
        match path {
            "/livez" | "/readyz" if request.method() != Method::GET => {
                plain(StatusCode::METHOD_NOT_ALLOWED, "GET only")
            }
            "/livez" => plain(StatusCode::OK, "alive"),
            "/readyz" => self.faces.health.ready(&self.faces.residents.open_now().await, request.headers()),
            path if path.starts_with(ROOT) => self.gateway(request).await,
            path if login::is_ours(path) => login::answer(&self.faces, request).await.unwrap_or_else(nothing),
            path if api::is_ours(path) => {
                let shown = Shown::of(&request, bearer(request.headers()));
                api::answer(&self.faces, shown, request).await
            }
            _ => nothing(),
        }
    }

    async fn gateway(&self, request: Request<RequestBody>) -> Response<Reply> {
        let path = request.uri().path().to_owned();
        match self.caller(&request).await {
            Ok((resident, caller)) => {
                Pause::of(request.extensions(), &resident.record().name).await;
                let mut answer = resident.gateway().answer(&caller, request).await.map(Reply::from);
                answer.extensions_mut().insert(Asker(resident.record().name.clone()));
                answer
            }
            Err(refusal) => refusal.response_for(&path).map(Reply::from),
        }
    }

    async fn caller(&self, request: &Request<RequestBody>) -> Result<(Arc<Resident>, Caller), Refusal> {
        let bearer: Bearer = Shown::of(request, presented(request.headers()))
            .bearer(&self.faces.tokens)
            .ok()
            .filter(|bearer| bearer.has(Scope::Gateway))
            .ok_or_else(Refusal::stranger)?;
        let resident = self.faces.residents.of(&bearer.access).await.map_err(|_| Refusal::unrecorded())?;
        let records = resident.calls().of(&bearer.token.id, &bearer.token.name).map_err(|_| Refusal::unrecorded())?;
        let (token, limits) = (Some(bearer.token.id.clone()), Arc::clone(&bearer.limits));
        let terms = resident.record().terms.clone();
        let allows = Arc::new(move |model: &str| bearer.allows_model(model) && terms.allows_model(model));
        Ok((resident, Caller { token, brain: None, limits, allows, records }))
    }

    /// A page in a browser may send requests here by another name for this address, and always says where it comes from.
    fn is_foreign(&self, headers: &HeaderMap) -> Option<&'static str> {
        if headers.contains_key(ORIGIN) {
            return Some("requests of web pages are not answered");
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        let is_ours = self.is_open
            || name.eq_ignore_ascii_case("localhost")
            || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            || self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name));
        (!is_ours).then_some("this name is none of this server's ([serve] hosts)")
    }
}

/// What a request shows of whoever asks.
pub(crate) struct Shown {
    /// Its token; an empty one if it shows something that is none.
    token: Option<String>,
    /// The certificate of its connection, which TLS has verified.
    certificate: Option<Digest>,
}

impl Shown {
    /// Whoever shows more than a certificate is not taken for its bearer alone, whatever else it is that they show. Nor is a
    /// browser that another site sent here: it shows the certificate by itself, and its user knows nothing of it (Fetch
    /// Metadata).
    fn of(request: &Request<RequestBody>, token: Option<&str>) -> Self {
        let headers = request.headers();
        let shows_more = headers.contains_key(AUTHORIZATION) || headers.contains_key(X_API_KEY) || is_sent(headers);
        let certificate = request.extensions().get::<PeerCertificate>().map(|peer| *peer.digest());
        let token = token.or(shows_more.then_some("")).map(str::to_owned);
        Self { token, certificate }
    }

    pub(crate) fn bearer(&self, tokens: &Tokens) -> Result<Bearer, AccessError> {
        tokens.authenticate_over(self.token.as_deref(), self.certificate.as_ref())
    }
}

/// Whether another site had a browser send this.
fn is_sent(headers: &HeaderMap) -> bool {
    let sites = headers.get_all(SEC_FETCH_SITE);
    sites.iter().any(|site| site != "none" && site != "same-origin")
}

/// The one token that a request to the API shows.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    if headers.contains_key(X_API_KEY) {
        return None;
    }
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let is_bearer = text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    presented(headers).filter(|_| is_bearer)
}

/// The one token that a request shows.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(AUTHORIZATION).iter().chain(headers.get_all(X_API_KEY));
    let mut tokens = all.by_ref().map(|value| {
        let text = value.to_str().unwrap_or_default();
        let scheme = text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        if scheme { text.get(7..).unwrap_or_default().trim() } else { text }
    });
    let first = tokens.next()?;
    // SDKs that send a key in both ways send the same one.
    tokens.all(|other| other == first).then_some(first)
}

fn nothing() -> Response<Reply> {
    plain(StatusCode::NOT_FOUND, "nothing here")
}

pub(super) fn plain(status: StatusCode, words: &'static str) -> Response<Reply> {
    let mut response = Response::new(Reply::from(Bytes::from_static(words.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_one_token() {
        type Headers = &'static [(&'static str, &'static str)];
        let cases: [(Headers, Option<&str>); 8] = [
            (&[], None),
            (&[("authorization", "Bearer as_x")], Some("as_x")),
            (&[("authorization", "bearer as_x")], Some("as_x")),
            (&[("x-api-key", "as_x")], Some("as_x")),
            (&[("x-api-key", "as_x"), ("authorization", "Bearer as_x")], Some("as_x")),
            (&[("x-api-key", "as_x"), ("authorization", "Bearer as_y")], None),
            (&[("authorization", "Bearer as_x"), ("authorization", "Bearer as_y")], None),
            (&[("cookie", "token=as_x")], None),
        ];
        for (given, wanted) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.append(hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
            }
            assert_eq!(presented(&headers), wanted, "{given:?}");
        }
    }
}
