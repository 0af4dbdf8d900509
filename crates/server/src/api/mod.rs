//! The native API, `/api/v1`, and the Agent Protocol, `/ap/v1`: one table of routes.
//!
//! Every handler starts from an [`Ask`], which is made in one place ([`answer`]), of a token that was taken. What it reaches is
//! the tenant of that token, through its [`Resident`]: an id of another tenant names nothing there.

mod artifacts;
pub(crate) mod ask;
mod audit;
mod bodies;
mod brains;
pub(crate) mod done;
mod events;
pub(crate) mod once;
pub mod openapi;
mod people;
pub(crate) mod problem;
pub(crate) mod route;
mod shares;
mod table;
mod tenants;
mod tokens;
mod usage;
pub(crate) mod words;

pub(crate) use self::artifacts::file;
pub(crate) use self::brains::check_words;
pub(crate) use self::done::Done;

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use autoshare_access::{Bearer, Operator, Scope, Tenants, Tokens};
use autoshare_core::audit::{Act, Actor, Entry};
use autoshare_core::budget::Account;
use autoshare_core::fair::{Flow, Key, Places, Rate, Rates, Weight};
use autoshare_core::usage::Limits;
use autoshare_core::{Digest, TenantName, TokenId};
use autoshare_host::resident::{Homes, Resident, Residents};
use autoshare_host::shares::Sharing;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Bytes};
use hyper::header::{ALLOW, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use tokio::runtime::{Handle, RuntimeFlavor};

use self::ask::{Ask, is_json};
use self::bodies::Bodies;
use self::done::refused;
pub(crate) use self::done::response as answered;
use self::once::Once;
use self::problem::Problem;
use self::route::{Needs, Route, Takes};
use crate::each::Each;
use crate::health::Health;
use crate::http::body::RequestBody;
use crate::http::pause::Pause;
use crate::http::reply::Reply;
use crate::http::site::Shown;
use crate::login::Login;
use crate::noted::Noted;
use crate::telemetry::Telemetry;

/// Bounds of the API. Every one has a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiSettings {
    /// Bytes of a request's body of JSON at most: 4 MiB.
    pub max_body: usize,
    /// Bytes of a body for which a request counts as one more: 64 KiB.
    pub body_unit: usize,
    /// Bytes of a file that is put into a workspace at most: 16 MiB.
    pub max_upload: usize,
    /// Bytes of all requests' bodies together: 256 MiB.
    pub max_bodies: usize,
    /// The same of one tenant's: 64 MiB. Whoever sends slowly keeps room from its own alone.
    pub max_bodies_each: usize,
    /// How long a request's body may take to come: 60 s.
    pub body_timeout: Duration,
    /// Requests of one tenant that are answered at once: 64. A further one is told to come again.
    pub requests_each: usize,
    /// Streams of events of one tenant at once: 100.
    pub streams_each: usize,
    /// Refusals of one kind that a tenant's audit trail tells of in a minute: 60, of which the first 20 as they come.
    pub noted_refusals: u64,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            max_body: 4 << 20,
            body_unit: 64 << 10,
            max_upload: 16 << 20,
            max_bodies: 256 << 20,
            max_bodies_each: 64 << 20,
            body_timeout: Duration::from_secs(60),
            requests_each: 64,
            streams_each: 100,
            noted_refusals: 60,
        }
    }
}

/// Bytes of the form around a file.
const FORM: usize = 64 * 1_024;
/// Bytes of a body from which on it is dealt with while others are served by other threads: 64 KiB.
const ASIDE: usize = 64 * 1_024;
/// Refusals that a tenant's audit trail tells of as they come, before it keeps to so many a minute.
const NOTED_AT_ONCE: u64 = 20;
/// Parameters of a query at most.
const MAX_PARAMETERS: usize = 16;

/// What answers: its parts, and what it keeps count of.
pub struct Faces {
    parts: FacesParts,
    pub(crate) rates: Rates,
    begun: Instant,
    /// Refusals, by token and reason.
    refusals: Noted<(TokenId, &'static str)>,
    /// How many of a tenant's are written down: of what it may not do, and of what it does too often.
    noting_refused: Rates,
    noting_limits: Rates,
    pub(crate) once: Arc<Once>,
    pub(crate) bodies: Bodies,
    pub(crate) routes: Vec<Route>,
    pub(crate) streams: Each<TenantName>,
    pub(crate) at_once: Each<TenantName>,
}

impl Deref for Faces {
    type Target = FacesParts;

    fn deref(&self) -> &FacesParts {
        &self.parts
    }
}

/// Removes what a tenant has on disk. Waits for the disk.
pub type Destroy = Box<dyn Fn(&autoshare_core::TenantName) -> Result<Vec<String>, String> + Send + Sync>;

/// The parts of [`Faces`].
pub struct FacesParts {
    /// Who may.
    pub tokens: Tokens,
    /// For whom.
    pub tenants: Arc<Tenants>,
    /// The tenants that are open.
    pub residents: Residents,
    /// The owner of the machine, for what nobody in particular asks for.
    pub operator: Operator,
    /// Where workspaces lie.
    pub homes: Homes,
    /// What a brain may use unless less is asked for.
    pub limits: Limits,
    /// The model of brains for which neither they nor their tenant name one.
    pub model: Option<String>,
    /// How many requests a tenant may make for which nothing else is said.
    pub requests: Rate,
    /// Places for what is read of journals and workspaces.
    pub reads: Arc<Places>,
    /// Bounds.
    pub settings: ApiSettings,
    /// What a tenant's removal does beside: destroys its key and its files, and says in words what is left of it.
    pub destroy: Destroy,
    /// What tenants share.
    pub sharing: Arc<Sharing>,
    /// How people sign in; `None`: they do not.
    pub login: Option<Login>,
    /// How the server is.
    pub health: Health,
    /// What sends traces and alerts.
    pub telemetry: Arc<Telemetry>,
}

impl Faces {
    /// The faces over their parts.
    #[must_use]
    pub fn new(parts: FacesParts) -> Self {
        let settings = parts.settings;
        // The largest that is taken always fits where nothing else is sent.
        let largest = settings.max_body.max(settings.max_upload.saturating_add(FORM));
        let bodies = Bodies::new(settings.max_bodies.max(largest), settings.max_bodies_each.max(largest));
        let (once, routes) = (Arc::<Once>::default(), table::routes());
        let streams = Each::new(settings.streams_each);
        let at_once = Each::new(settings.requests_each);
        Self {
            parts,
            rates: Rates::default(),
            begun: Instant::now(),
            refusals: Noted::default(),
            noting_refused: Rates::default(),
            noting_limits: Rates::default(),
            once,
            bodies,
            routes,
            streams,
            at_once,
        }
    }

    /// How many requests one with this body counts as. Reading it is work for everybody's processors; what does not say how
    /// long it is counts as the largest of JSON.
    fn counts_as(&self, body: &RequestBody) -> u64 {
        let bytes = body.size_hint().exact().unwrap_or(self.settings.max_body as u64);
        1 + bytes / self.settings.body_unit.max(1) as u64
    }

    /// Whether whoever asks may make so many requests now: the tenant, the token and those above it, the strictest of all. More
    /// than one of them ever has at once count as all that it has.
    fn may_ask(&self, bearer: &Bearer, requests: u64) -> Result<(), Problem> {
        let own = bearer
            .tenant
            .terms
            .requests_per_minute
            .map_or(self.requests, |a_minute| Rate::a_minute(a_minute, a_minute));
        let tokens = bearer.limits.iter().filter_map(|limit| match (&limit.account, limit.rate.requests) {
            (Account::Token(id), Some(a_minute)) => Some((Key::Token(id.as_str()), Rate::a_minute(a_minute, a_minute))),
            _ => None,
        });
        let asked: Vec<_> = [(Key::Tenant(bearer.access.tenant().as_str()), own)].into_iter().chain(tokens).collect();
        let requests = asked.iter().map(|(_, rate)| rate.burst()).fold(requests, u64::min);
        self.rates.check(self.now(), requests, &asked).map_err(|limited| {
            let by_size =
                if requests > 1 { format!("; by its body, this one counts as {requests}") } else { String::new() };
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate", format!("{limited}{by_size}"));
            limited.wait.seconds().into_iter().fold(problem, Problem::later)
        })
    }

    /// Nanoseconds since these stand, by which rates are counted.
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Writes down what whoever asks did, in the trail of their tenant. Before it is answered.
    pub(crate) async fn note(&self, resident: &Arc<Resident>, entry: Entry) -> Result<(), Problem> {
        let resident = Arc::clone(resident);
        blocking(move || Ok(resident.note(&entry)?)).await
    }

    /// Writes down that whoever asks was refused.
    async fn note_refused(&self, bearer: &Bearer, problem: &Problem) {
        let act = match problem.status {
            StatusCode::FORBIDDEN => Act::Refused,
            StatusCode::TOO_MANY_REQUESTS => Act::LimitHit,
            _ => return,
        };
        let what = (bearer.token.id.clone(), problem.code);
        if self.refusals.is_recent(&what) {
            return;
        }
        // Of a tenant with ten thousand tokens the trail tells enough by some of them.
        let a_minute = self.settings.noted_refusals;
        let (tenant, most) =
            (Key::Tenant(bearer.access.tenant().as_str()), Rate::a_minute(a_minute, a_minute.min(NOTED_AT_ONCE)));
        let noting = if act == Act::Refused { &self.noting_refused } else { &self.noting_limits };
        if noting.check(self.now(), 1, &[(tenant, most)]).is_err() || !self.refusals.is_new(what) {
            return;
        }
        let Ok(resident) = self.residents.of(&bearer.access).await else { return };
        let entry = Entry::new(Actor::Token { id: bearer.token.id.clone() }, act, problem.code);
        if let Err(problem) = self.note(&resident, entry).await {
            tracing::error!(code = problem.code, "a refusal is not in the audit trail");
        }
    }

    /// What stands for a tenant in figures and logs.
    pub(crate) fn opaque(&self, tenant: &TenantName) -> String {
        self.tenants.opaque_id(tenant).unwrap_or_default()
    }

    /// The pattern of the route that a path has; of none, nothing.
    pub(crate) fn pattern(&self, path: &str) -> &'static str {
        self.routes.iter().find(|route| route.fits(path).is_some()).map_or("", |route| route.path)
    }

    /// The tenant of whoever asks.
    pub(crate) async fn resident(&self, ask: &Ask) -> Result<Arc<Resident>, Problem> {
        Ok(self.residents.of(&ask.bearer.access).await?)
    }
}

/// Does what waits for the disk away from the threads that serve.
pub(crate) async fn blocking<T: Send + 'static>(
    what: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(what).await.map_err(|error| Problem::trouble(&error))?
}

/// The same where brains are begun and driven, which gives way to what answers.
pub(crate) async fn behind<T: Send + 'static>(
    resident: &Arc<Resident>,
    what: impl FnOnce(&Resident) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let its = Arc::clone(resident);
    resident.drives().spawn_blocking(move || what(&its)).await.map_err(|error| Problem::trouble(&error))?
}

/// Reads journals and workspaces for whoever asks, in turn with what others ask for, by the time that was taken so far: it
/// takes the processors, as long as it is much that is read.
pub(crate) async fn reading<T: Send + 'static>(
    faces: &Faces,
    asker: &Bearer,
    what: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let weight = Weight::new(asker.tenant.terms.weight).unwrap_or_default();
    let share = faces.reads.share(asker.access.tenant().clone(), weight);
    let place = share.enter(Flow::Token(asker.token.id.clone())).await.map_err(|refused| {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "limit", refused.to_string());
        problem.later(refused.after().as_secs())
    })?;
    let timed = move || {
        let begun = Instant::now();
        let done = what();
        place.charge(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        done
    };
    blocking(timed).await
}

/// Whether a path is of these faces.
pub(crate) fn is_ours(path: &str) -> bool {
    path == "/metrics" || path == "/api" || path.starts_with("/api/") || path == "/ap" || path.starts_with("/ap/")
}

/// Whose token was taken, beside an answer: for figures and logs.
#[derive(Debug, Clone)]
pub(crate) struct Asker(pub(crate) TenantName);

/// Answers a request of whoever shows a token, or the certificate of one.
pub(crate) async fn answer(faces: &Arc<Faces>, shown: Shown, request: Request<RequestBody>) -> Response<Reply> {
    let (of, done) = match authenticate(faces, &shown) {
        Ok(bearer) => {
            let (head, body) = request.into_parts();
            Pause::of(&head.extensions, bearer.access.tenant()).await;
            let done = match faces.may_ask(&bearer, faces.counts_as(&body)) {
                Ok(()) => perform(faces, bearer.clone(), head, body).await,
                Err(problem) => Err(problem),
            };
            if let Err(problem) = &done {
                faces.note_refused(&bearer, problem).await;
            }
            (Some(bearer.access.tenant().clone()), done)
        }
        Err(problem) => (None, Err(problem)),
    };
    let mut response = answered(done);
    if let Some(of) = of {
        response.extensions_mut().insert(Asker(of));
    }
    response
}

fn authenticate(faces: &Faces, shown: &Shown) -> Result<Bearer, Problem> {
    let refused = match shown.bearer(&faces.tokens) {
        Ok(bearer) => return Ok(bearer),
        Err(error) => error,
    };
    tracing::info!(why = %refused.for_the_log(), "a request without a token that is accepted");
    Err(refused.into())
}

async fn perform(faces: &Arc<Faces>, bearer: Bearer, head: Parts, body: RequestBody) -> Result<Done, Problem> {
    let path = head.uri.path();
    let fitting = || faces.routes.iter().filter_map(|route| route.fits(path).map(|found| (route, found)));
    let Some((route, segments)) = fitting().find(|(route, _)| route.method == head.method) else {
        if fitting().next().is_none() {
            return Err(Problem::nothing());
        }
        let methods: Vec<&str> = fitting().map(|(route, _)| route.method.as_str()).collect();
        let words = format!("this path does not answer {}", head.method);
        let done = refused(&Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", words));
        return Ok(match HeaderValue::try_from(methods.join(", ")) {
            Ok(methods) => done.header(ALLOW, methods),
            Err(_) => done,
        });
    };
    if let Needs::Scope(scope) = route.needs
        && !bearer.has(scope)
    {
        // Of what the operator alone may know, others are told nothing.
        return Err(if scope == Scope::Operator { Problem::nothing() } else { Problem::forbidden(scope.name()) });
    }
    let place = faces.at_once.enter(bearer.access.tenant());
    let place = place.ok_or_else(|| all_open(faces.settings.requests_each, "requests", "requests_each"))?;
    let query = parameters(head.uri.query().unwrap_or_default())?;
    let body = take(faces, route, &bearer, &head.headers, body).await?;
    let key = head.headers.get(once::HEADER).filter(|_| head.method == Method::POST);
    let key = key.map(|key| key.to_str().map_err(|_| Problem::bad("Idempotency-Key is no text"))).transpose()?;
    let asked = aside(body.len(), || {
        Digest::of_parts(&[
            head.method.as_str().as_bytes(),
            head.uri.path_and_query().map_or("", |path| path.as_str()).as_bytes(),
            bearer.token.id.as_str().as_bytes(),
            &body,
        ])
    });
    let doing = match key.map(|key| Once::begin(&faces.once, bearer.access.tenant(), key, asked)).transpose()? {
        Some(Err(done)) => return Ok(done),
        Some(Ok(doing)) => Some(doing),
        None => None,
    };
    let ask = Ask { bearer, path: segments, query, headers: head.headers, body };
    let handled = (route.handler)(Arc::clone(faces), ask);
    // What was begun is done to its end, whether or not whoever asked waits for it: it keeps its place for as long, so that
    // asking and going away gets nobody more than their places.
    let performed = tokio::spawn(async move {
        let answered = handled.await;
        drop(place);
        if let Some(doing) = doing {
            doing.end(&answered);
        }
        answered
    });
    performed.await.map_err(|error| Problem::trouble(&error))?
}

/// A tenant has as many of these open as it may have.
fn all_open(most: usize, what: &str, setting: &str) -> Problem {
    let words = format!("{most} {what} of this tenant are open, which is all it may have at once ([serve] {setting})");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "limit", words).later(1)
}

/// Does what takes time with so many bytes of a body. A large one is dealt with while others are served by other threads.
pub(crate) fn aside<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let has_others = Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if bytes >= ASIDE && has_others { tokio::task::block_in_place(work) } else { work() }
}

/// The body of a request, of the kind and the size that its route takes.
async fn take(
    faces: &Faces,
    route: &Route,
    bearer: &Bearer,
    headers: &HeaderMap,
    body: RequestBody,
) -> Result<Bytes, Problem> {
    let is_empty = body.is_end_stream();
    let most = match route.takes {
        Takes::Nothing if is_empty => return Ok(Bytes::new()),
        Takes::Nothing => {
            // Programs send a body with a GET; with what changes something, none comes that a web page may send unasked.
            if route.method != Method::GET {
                is_json(headers)?;
            }
            faces.settings.max_body.min(1_024)
        }
        Takes::Json { may_be_empty } => {
            let may_be_empty = may_be_empty || bearer.has(Scope::EmptySteps) && route.name == "ap_execute_step";
            if !(is_empty && may_be_empty) {
                is_json(headers)?;
            }
            faces.settings.max_body
        }
        Takes::File => faces.settings.max_upload,
        Takes::Form => faces.settings.max_upload.saturating_add(FORM),
    };
    let words = format!("a body has {most} bytes at most here");
    let too_large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", words.clone());
    let told = body.size_hint().exact();
    if told.is_some_and(|bytes| bytes > most as u64) {
        return Err(too_large());
    }
    let bytes = told.map_or(most, |bytes| usize::try_from(bytes).unwrap_or(most));
    let _held = faces.bodies.hold(bearer.access.tenant(), bytes)?;
    let read = tokio::time::timeout(faces.settings.body_timeout, Limited::new(body, most).collect());
    match read.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::bad("the body broke off")),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body took too long to come")),
    }
}

/// The parameters of a query, none of them twice.
pub(crate) fn parameters(query: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut found: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        // None here takes more, and each is compared with all before it.
        if found.len() == MAX_PARAMETERS {
            return Err(Problem::bad(format!("a query has {MAX_PARAMETERS} parameters at most here")));
        }
        if found.iter().any(|(known, _)| *known == name) {
            return Err(Problem::bad(format!("{name:?} stands twice in the query")));
        }
        found.push((name.into_owned(), value.into_owned()));
    }
    Ok(found)
}
