//! People sign in: through a provider of identities (OpenID Connect Core 1.0), to one tenant, for a token that ends.
//!
//! `GET /login?tenant=NAME` sends a browser to the provider, which sends it back to `/login/callback` with a code
//! (Authorization Code flow). The code is exchanged here, an ID token is verified, and [`autoshare_access::Tokens::log_in`]
//! decides. A browser is shown the token, once. A program that gave a challenge along (RFC 7636) gets it: the browser is
//! shown a code for it, and the program sends that to `POST /login/token` with what the challenge was made of.
//!
//! **Invariants**
//! - A login is finished by the browser that began it: it has a cookie, and the provider's answer the state that belongs to
//!   it. Either is good once.
//! - A code is worth nothing without the verifier (PKCE), an ID token nothing without the nonce; neither leaves this process.
//! - ID tokens are signed with a key of the provider's, by an algorithm of a list. What they say beside is held against the
//!   issuer, the client, the clock and the nonce.
//! - No token is ever part of an address.
//! - Whoever is not signed in is told one thing, whether there is no such tenant, no such person, or nothing to believe.
//! - Everything that a stranger can make this process keep, or ask of the provider, is bounded.
//!
//! This module opens no connection: [`way`] goes through the broker.

mod enter;
mod kept;
mod page;
mod program;
mod provider;
mod settings;
mod way;

use std::sync::Arc;
use std::time::Duration;

use autoshare_access::{Session, SignedIn};
use autoshare_broker::Credentials;
use autoshare_core::origin::Scheme;
use autoshare_core::{Digest, TenantName};
use autoshare_guard::encode;
use http_body_util::{BodyExt as _, Limited};
use hyper::header::{COOKIE, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use openidconnect::{CsrfToken, PkceCodeChallenge, PkceCodeVerifier};
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use self::enter::enter;
use self::kept::Kept;
use self::page::{copied, later, page, refused, see_other, with_cookie};
pub use self::program::{ProgramError, ProgramLogin, SignedInWords};
use self::provider::{Asked, Provider, ProviderError};
pub use self::settings::{LoginError, LoginSettings};
use crate::api::ask::is_json;
use crate::api::problem::Problem;
use crate::api::words::time;
use crate::api::{Done, Faces, answered, parameters};
use crate::http::body::RequestBody;
use crate::http::reply::Reply;
use crate::noted::Noted;

/// Where the provider sends browsers back to, below the origin.
pub const CALLBACK: &str = "/login/callback";
/// Random bytes of a cookie, a state, a nonce, a code.
const RANDOM: u32 = 32;
/// How long a code for a program may be used.
const CODE_LIFE: Duration = Duration::from_secs(300);
/// Codes for programs at once; of more, the oldest are gone.
const MAX_CODES: usize = 1_000;
/// Bytes of what a program sends for its token at most.
const MAX_BODY: usize = 4_096;
/// Seconds after which a login that there was no place for is worth another try.
const RETRY: u64 = 5;

/// A login that was begun.
#[derive(Debug)]
struct Pending {
    tenant: TenantName,
    asked: Asked,
    /// The program that is to get the token, by its challenge; `None`: the browser is shown it.
    challenge: Option<String>,
}

/// Somebody whom the provider vouches for, until a program comes for the token.
#[derive(Debug)]
struct Vouched {
    tenant: TenantName,
    who: SignedIn,
    challenge: String,
}

/// The way in for people.
pub struct Login {
    provider: Provider,
    /// By the cookie of the browser.
    pending: Kept<Pending>,
    /// By the code that the browser was shown.
    vouched: Kept<Vouched>,
    places: Semaphore,
    timeout: Duration,
    session: Duration,
    life: Duration,
    /// Whether browsers reach this server over TLS.
    is_secure: bool,
    /// Refusals, by tenant and account.
    refusals: Noted<Digest>,
}

impl Login {
    /// Over its settings; `secrets` has the client's. Nobody is asked yet.
    ///
    /// # Errors
    /// [`LoginError`] names the setting.
    pub fn new(settings: &LoginSettings, secrets: Box<dyn Credentials>) -> Result<Self, LoginError> {
        Ok(Self {
            provider: Provider::new(settings, secrets)?,
            pending: Kept::new(settings.pending, settings.pending_for),
            vouched: Kept::new(MAX_CODES, CODE_LIFE),
            places: Semaphore::new(settings.at_once),
            timeout: settings.timeout,
            session: settings.session,
            life: settings.pending_for,
            is_secure: settings.origin.scheme == Scheme::Https,
            refusals: Noted::default(),
        })
    }

    /// A place among those for whom the provider is asked.
    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        tokio::time::timeout(self.timeout, self.places.acquire()).await.ok()?.ok()
    }

    /// The cookie's name: one that no other host, and no page without TLS, can set (RFC 6265bis, `__Host-`).
    const fn cookie_name(&self) -> &'static str {
        if self.is_secure { "__Host-autoshare-login" } else { "autoshare-login" }
    }

    fn cookie(&self, value: &str, life: Duration) -> String {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let (name, life) = (self.cookie_name(), life.as_secs());
        format!("{name}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Lax{secure}")
    }

    /// The one cookie of ours that a request shows.
    fn shown<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut ours = pairs.filter(|(name, _)| *name == self.cookie_name());
        let (_, first) = ours.next()?;
        ours.next().is_none().then_some(first)
    }
}

/// Whether a path is of a login.
pub(crate) fn is_ours(path: &str) -> bool {
    path == "/login" || path.starts_with("/login/")
}

/// Answers a request below `/login`. `None`: there is nothing.
pub(crate) async fn answer(faces: &Arc<Faces>, request: Request<RequestBody>) -> Option<Response<Reply>> {
    let login = faces.login.as_ref()?;
    let (method, path) = (request.method(), request.uri().path());
    let wanted = match path {
        "/login" | CALLBACK => Method::GET,
        "/login/token" => Method::POST,
        _ => return None,
    };
    if *method != wanted {
        let words = [format!("This path answers {wanted} only.")];
        return Some(page(StatusCode::METHOD_NOT_ALLOWED, "Not so", &words));
    }
    Some(match path {
        "/login" => begin(login, &request).await,
        CALLBACK => came_back(faces, login, &request).await,
        _ => answered(token(faces, login, request).await),
    })
}

/// Sends a browser to the provider.
async fn begin(login: &Login, request: &Request<RequestBody>) -> Response<Reply> {
    let wrong = |words: &str| page(StatusCode::BAD_REQUEST, "Which tenant?", &[encode::html(words)]);
    let query = match parameters(request.uri().query().unwrap_or_default()) {
        Ok(query) => query,
        Err(problem) => return wrong(&problem.detail),
    };
    let Some(Ok(tenant)) = parameter(&query, "tenant").map(TenantName::parse) else {
        return wrong("Name the tenant that you want to sign in to: /login?tenant=NAME");
    };
    let challenge = parameter(&query, "code_challenge").map(str::to_owned);
    if challenge.as_deref().is_some_and(|challenge| !is_challenge(challenge)) {
        return wrong("code_challenge must be the SHA-256 of a verifier in base64url (RFC 7636): 43 characters");
    }
    // A page elsewhere may send a browser here unasked, and each login ends the oldest session of somebody who has many.
    let site = request.headers().get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if matches!(site, Some("cross-site" | "same-site")) {
        let query = request.uri().query().unwrap_or_default();
        let words =
            format!("<a href=\"/login?{}\">Sign in to {}</a>", encode::html(query), encode::html(tenant.as_str()));
        return page(StatusCode::OK, "Sign in", &[words]);
    }
    let Some(_place) = login.place().await else { return later(StatusCode::SERVICE_UNAVAILABLE, RETRY) };
    match login.provider.begin().await {
        Ok((url, asked)) => {
            let cookie = CsrfToken::new_random_len(RANDOM).into_secret();
            if login.pending.put(&cookie, Pending { tenant, asked, challenge }) {
                tracing::warn!("too many logins are under way ([serve.login] pending): the oldest must be begun again");
            }
            let sent = see_other(&url).unwrap_or_else(|| later(StatusCode::BAD_GATEWAY, RETRY));
            with_cookie(sent, &login.cookie(&cookie, login.life))
        }
        Err(error) => failed(&error),
    }
}

/// Takes back a browser that the provider sends.
async fn came_back(faces: &Arc<Faces>, login: &Login, request: &Request<RequestBody>) -> Response<Reply> {
    let Some(_place) = login.place().await else { return later(StatusCode::SERVICE_UNAVAILABLE, RETRY) };
    match returned(login, request) {
        Ok((pending, query)) => {
            let answered = finish(faces, login, pending, query).await;
            with_cookie(answered, &login.cookie("", Duration::ZERO))
        }
        // It may be that nobody was sent, and that the login of this browser goes on.
        Err(error) => failed(&error),
    }
}

/// Finishes a login, which cannot be done again.
async fn finish(faces: &Arc<Faces>, login: &Login, pending: Pending, query: Query) -> Response<Reply> {
    let Pending { tenant, asked, challenge } = pending;
    let who = match vouched_for(login, asked, &query).await {
        Ok(who) => who,
        Err(error) => return failed(&error),
    };
    let Some(challenge) = challenge else {
        return match enter(faces, &tenant, who).await {
            Ok(session) => signed_in(&tenant, &session),
            Err(problem) if problem.status == StatusCode::FORBIDDEN => refused(),
            Err(problem) => later(problem.status, problem.retry_after.unwrap_or(RETRY)),
        };
    };
    let code = CsrfToken::new_random_len(RANDOM).into_secret();
    login.vouched.put(&code, Vouched { tenant, who, challenge });
    let minutes = CODE_LIFE.as_secs() / 60;
    let words = [
        "A program wants to sign in as you. If it is the one that you have just started yourself, give it this code:"
            .to_owned(),
        copied(&code),
        format!("Nobody else has a use for it that you want. It is good once, for {minutes} minutes."),
    ];
    page(StatusCode::OK, "One more step", &words)
}

/// Parameters of a query, none of them twice.
type Query = Vec<(String, String)>;

fn parameter<'q>(query: &'q [(String, String)], wanted: &str) -> Option<&'q str> {
    query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

/// The login that a browser comes back for, and what it brings.
fn returned(login: &Login, request: &Request<RequestBody>) -> Result<(Pending, Query), ProviderError> {
    let unproven = |words: &str| ProviderError::Unproven(words.to_owned());
    let query = parameters(request.uri().query().unwrap_or_default());
    let query = query.map_err(|problem| ProviderError::Unproven(problem.detail))?;
    let cookie = login.shown(request.headers()).ok_or_else(|| unproven("a browser came back that has no login"))?;
    let state = Digest::of(parameter(&query, "state").unwrap_or_default().as_bytes());
    // What a page elsewhere sends here, with another state, ends no login.
    let is_it = |pending: &Pending| Digest::of(pending.asked.state.secret().as_bytes()) == state;
    let pending = login.pending.take(cookie, is_it);
    let pending = pending.ok_or_else(|| unproven("a browser came back with a state that is not of its login"))?;
    Ok((pending, query))
}

/// Whom the provider vouches for by what it sent a browser back with.
async fn vouched_for(login: &Login, asked: Asked, query: &[(String, String)]) -> Result<SignedIn, ProviderError> {
    let unproven = |words: String| ProviderError::Unproven(words);
    if !login.provider.is_its(parameter(query, "iss")).await? {
        return Err(unproven("an answer came that is another provider's (iss)".to_owned()));
    }
    if let Some(error) = parameter(query, "error") {
        let more = parameter(query, "error_description").unwrap_or_default();
        return Err(unproven(format!("the provider says {error} {more}")));
    }
    let code = parameter(query, "code").ok_or_else(|| unproven("an answer came without a code".to_owned()))?;
    login.provider.finish(code.to_owned(), asked).await
}

/// What a program sends for its token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redeemed {
    code: String,
    code_verifier: String,
}

/// Gives a program the token of somebody who signed in for it.
async fn token(faces: &Arc<Faces>, login: &Login, request: Request<RequestBody>) -> Result<Done, Problem> {
    is_json(request.headers())?;
    let body = Limited::new(request.into_body(), MAX_BODY).collect();
    let body = tokio::time::timeout(login.timeout, body).await;
    let Ok(Ok(body)) = body else { return Err(Problem::bad("send a code and its verifier, in 4096 bytes at most")) };
    let sent: Redeemed = serde_json::from_slice(&body.to_bytes())
        .map_err(|error| Problem::bad(format!("the body does not fit: {error}")))?;
    let vouched = login.vouched.take(&sent.code, |_| true);
    let vouched = vouched.filter(|vouched| answers(&sent.code_verifier, &vouched.challenge)).ok_or_else(nobody)?;
    let session = enter(faces, &vouched.tenant, vouched.who).await?;
    let words = SignedInWords {
        token: session.minted.token.expose().to_owned(),
        id: session.minted.id.to_string(),
        tenant: vouched.tenant.to_string(),
        person: session.person.to_string(),
        name: encode::terminal_line(&session.name, 200),
        scopes: session.scopes.iter().map(|scope| scope.name().to_owned()).collect(),
        expires_at: time(session.expires_ms),
    };
    Ok(Done::json(&words).secret())
}

/// Whether a challenge has the form of one (RFC 7636, 4.2).
fn is_challenge(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Whether a challenge was made of this verifier (RFC 7636, 4.6).
fn answers(verifier: &str, challenge: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier.to_owned())).as_str()
            == challenge
}

/// The same words whatever the reason.
fn nobody() -> Problem {
    let words = "nobody is signed in: begin again; else ask whoever runs the tenant to add you, and check its name";
    Problem::new(StatusCode::FORBIDDEN, "login_refused", words)
}

fn signed_in(tenant: &TenantName, session: &Session) -> Response<Reply> {
    let scopes: Vec<_> = session.scopes.iter().map(|scope| scope.name()).collect();
    let words = [
        format!("You are {}, of {}.", encode::html(&session.name), encode::html(tenant.as_str())),
        "This is your token. It is shown this once, and kept nowhere:".to_owned(),
        copied(session.minted.token.expose()),
        format!(
            "It is good until {}, for: {}.",
            encode::html(&time(session.expires_ms)),
            encode::html(&scopes.join(", "))
        ),
        "Programs send it as <code>Authorization: Bearer</code>. To sign out, revoke it: docs/tenants.md says how."
            .to_owned(),
    ];
    page(StatusCode::OK, "Signed in", &words)
}

fn failed(error: &ProviderError) -> Response<Reply> {
    // One line, without what a provider or a browser says being taken for another.
    let why = encode::log_line(&error.to_string());
    match error {
        ProviderError::Unproven(_) => {
            tracing::info!(%why, "nobody is signed in");
            refused()
        }
        ProviderError::Out(_) | ProviderError::Ours(_) => {
            tracing::error!(%why, "nobody can be signed in");
            later(StatusCode::BAD_GATEWAY, RETRY)
        }
    }
}
