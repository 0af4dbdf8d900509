//! Heads of requests and replies as they pass: what belongs to one connection stays behind, credentials go in, and what a
//! reply repeats of them is struck.

use autoshare_core::origin::{Origin, Scheme};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
    IF_RANGE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RANGE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Uri};

use super::allow::{Allow, Target};
use super::credential::{Credential, put_into};
use super::proxy::Shared;
use super::strike::{Striker, Struck};

/// Headers by which a request says another method or path than its own.
const INSTEAD: [&str; 6] = [
    "x-forwarded-uri",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

pub(super) type Body = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;
/// An answer of the proxy's own, instead of what was asked for.
pub(super) type Refused = Box<Response<Body>>;

/// A request that may be sent, in the form in which it is.
pub(super) struct Ready {
    pub(super) request: Request<Incoming>,
    /// The name of the credential that it bears.
    pub(super) credential: Option<String>,
}

/// Judges a request for `target` by the rules that speak of it, and makes it ready.
pub(super) fn prepare(
    request: Request<Incoming>,
    target: &Target,
    scheme: Scheme,
    rules: &[&Allow],
    shared: &Shared,
) -> Result<Ready, Refused> {
    let name = target.to_string();
    let (method, path) = (request.method(), request.uri().path());
    let echoes = *method == Method::TRACE || *method == Method::CONNECT;
    if echoes || !rules.iter().any(|rule| rule.permits(method, path)) {
        shared.counts.count(&name, None, |one| one.refused += 1);
        let words = format!("{method} {path} of {target} is not allowed; {}", shared.policy.list());
        return Err(refusal(StatusCode::FORBIDDEN, &words));
    }
    let (mut parts, body) = request.into_parts();
    if !rules.iter().any(|rule| rule.is_whole()) {
        // Some servers believe these instead of what was judged.
        INSTEAD.iter().for_each(|name| drop(parts.headers.remove(*name)));
    }
    let origin = target.origin(scheme);
    rewrite(&mut parts, &origin).ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "this URL cannot be asked for"))?;
    let borne = put_into(&mut parts, &origin, &shared.policy.credentials).map_err(|(error, credential)| {
        shared.counts.refuse(&name, Some(credential.name()), format!("refused a request: {error}"));
        refusal(StatusCode::FORBIDDEN, &error.to_string())
    })?;
    if is_for(&shared.policy.credentials, &origin) {
        // The reply is looked through: it has to come as it is, and whole.
        parts.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        parts.headers.remove(RANGE);
        parts.headers.remove(IF_RANGE);
    }
    let credential = borne.map(|one| one.name().to_owned());
    Ok(Ready { request: Request::from_parts(parts, body), credential })
}

fn is_for(credentials: &[Credential], origin: &Origin) -> bool {
    credentials.iter().any(|one| one.hosts().contains(origin))
}

/// The head in the form in which a server gets it: the path alone, and the host that was asked for and looked at,
/// whatever the request says.
fn rewrite(parts: &mut Parts, origin: &Origin) -> Option<()> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse::<Uri>().ok()?;
    let Origin { scheme, host, port } = origin;
    let host = if *port == scheme.port() { host.to_string() } else { format!("{host}:{port}") };
    pass(&mut parts.headers);
    parts.headers.remove(EXPECT);
    parts.headers.insert(HOST, HeaderValue::from_str(&host).ok()?);
    // Nothing that was meant for the connection with the proxy goes along.
    parts.extensions.clear();
    parts.version = hyper::Version::HTTP_11;
    Some(())
}

/// Takes out what is about one connection (RFC 9110 section 7.6.1).
fn pass(headers: &mut HeaderMap) {
    let hop: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let usual = [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    for name in hop.iter().chain(&usual) {
        headers.remove(name);
    }
    headers.remove("proxy-connection");
    headers.remove("keep-alive");
}

/// The reply as the cell gets it: without what it repeats of credentials that are for `origin`.
pub(super) fn reply(response: Response<Incoming>, origin: &Origin, shared: &Shared) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    // A reason phrase is words of the server's, too.
    parts.extensions.clear();
    parts.version = hyper::Version::HTTP_11;
    pass(&mut parts.headers);
    let credentials = &shared.policy.credentials;
    if !is_for(credentials, origin) {
        return Response::from_parts(parts, body.map_err(Into::into).boxed());
    }
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !parts.headers.get_all(CONTENT_ENCODING).iter().all(plain) && !body.is_end_stream() {
        let words = "the reply is compressed although that was ruled out, and cannot be looked through";
        return *refusal(StatusCode::BAD_GATEWAY, words);
    }
    let theirs = credentials.iter().filter(|one| one.hosts().contains(origin));
    let mut striker = Striker::new(theirs.flat_map(Credential::echoes).collect());
    for value in parts.headers.values_mut() {
        let struck = striker.whole(value.as_bytes());
        if struck != value.as_bytes() {
            *value = HeaderValue::from_bytes(&struck).unwrap_or_else(|_| HeaderValue::from_static("***"));
        }
    }
    Response::from_parts(parts, Struck::new(body, striker).map_err(Into::into).boxed())
}

pub(super) fn empty() -> Body {
    Full::new(Bytes::new()).map_err(|never| match never {}).boxed()
}

/// Says why something is not answered.
pub(super) fn refusal(status: StatusCode, words: &str) -> Refused {
    let text = format!("autoshare: {words}\n");
    let mut response = Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Box::new(response)
}
