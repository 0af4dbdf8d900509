//! Rows F1, F2 and F3: every route, with every kind of id, by everybody who may not.
//!
//! The routes are those of the router. One that is new is attacked here without a word; one that takes a body, or a kind of
//! id, that is not known here fails this test until it has its row.

use std::time::Duration;

use autoshare_access::{Grant, Scope, SignedIn};
use autoshare_core::Digest;
use autoshare_server::api::openapi;
use autoshare_testkit::{Script, Turn};
use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, all_scopes, told};

/// Bodies that each route takes which takes one.
fn body(route: &str) -> Option<Value> {
    let body = match route {
        "POST /api/v1/brains" => json!({"goal": "mine", "model": "m", "start": false}),
        "POST /api/v1/brains/{brain}/say" => json!({"words": "do something else"}),
        "POST /api/v1/brains/{brain}/stop" => json!({"now": true}),
        "POST /api/v1/brains/{brain}/questions/{digest}" => json!({"answer": "yes"}),
        "POST /api/v1/shares" => json!({"to": "third", "brain": "00000000", "path": ".", "name": "mine"}),
        "POST /api/v1/shares/{share}/accept" => json!({"digest": "0".repeat(64)}),
        "POST /api/v1/people" => json!({"name": "new", "roles": ["viewer"], "email": "new@example.org"}),
        "PATCH /api/v1/people/{person}" => json!({"roles": []}),
        "POST /api/v1/tokens" => json!({"name": "new", "scopes": ["read"]}),
        "POST /api/v1/tenants" => json!({"name": "new"}),
        "PATCH /api/v1/tenants/{tenant}" => json!({"suspended": true}),
        "POST /api/v1/tenants/{tenant}/tokens" => json!({"name": "new", "scopes": ["read"]}),
        "POST /ap/v1/agent/tasks" => json!({"input": "mine"}),
        "POST /ap/v1/agent/tasks/{brain}/steps" => json!({"input": "do something else"}),
        _ => return None,
    };
    Some(body)
}

/// Routes that change something and take no body of JSON.
const BODILESS: [&str; 9] = [
    "DELETE /api/v1/me",
    "POST /api/v1/brains/{brain}/wake",
    "POST /api/v1/brains/{brain}/artifacts",
    "POST /ap/v1/agent/tasks/{brain}/artifacts",
    "POST /api/v1/tokens/{token}/rotate",
    "DELETE /api/v1/tokens/{token}",
    "DELETE /api/v1/shares/{share}",
    "DELETE /api/v1/people/{person}",
    "DELETE /api/v1/tenants/{tenant}",
];

/// What a tenant has.
struct Owned {
    tenant: String,
    token: String,
    /// The id of a token of it.
    token_id: String,
    brain: String,
    digest: String,
    artifact: String,
    /// A share that it offers somebody else.
    share: String,
    /// The id of somebody who may sign in to it.
    person: String,
}

impl Owned {
    async fn of(house: &House, name: &str) -> Self {
        let (access, token) = house.tenant(name);
        let below = house.tokens.mint(&access, Grant::gateway("below")).unwrap();
        let brain = house.brain(&token, &format!("the goal of {name}"), "asking").await;
        let (_, asked) = house.get("/api/v1/questions", &token).await;
        let digest = asked["items"][0]["digest"].as_str().unwrap().to_owned();
        let upload = house.ask(&Method::POST, &format!("/api/v1/brains/{brain}/artifacts?path=secret.txt"), &token);
        let (status, artifact) = told(upload.body(format!("the secret of {name}"))).await;
        assert_eq!(status, 201, "{artifact}");
        let artifact = artifact["id"].as_str().unwrap().to_owned();
        let offer = json!({"to": "third", "brain": brain, "path": "secret.txt", "name": format!("of {name}")});
        let (status, share) = house.post("/api/v1/shares", &token, offer).await;
        assert_eq!(status, 201, "{share}");
        let share = share["id"].as_str().unwrap().to_owned();
        let person = json!({"name": "ann", "roles": ["viewer"], "email": format!("ann@{name}.example")});
        let (status, person) = house.post("/api/v1/people", &token, person).await;
        assert_eq!(status, 201, "{person}");
        let person = person["id"].as_str().unwrap().to_owned();
        Self { tenant: name.to_owned(), token, token_id: below.id.to_string(), brain, digest, artifact, share, person }
    }

    /// The id that stands in a route under this name.
    fn id(&self, name: &str) -> &str {
        match name {
            "brain" => &self.brain,
            "digest" => &self.digest,
            "artifact" => &self.artifact,
            "token" => &self.token_id,
            "share" => &self.share,
            "person" => &self.person,
            "tenant" => &self.tenant,
            "step" => "1",
            other => panic!("a route has the parameter {other}, which this test does not know: give it a row"),
        }
    }

    /// Everything that can be seen of what it has.
    async fn state(&self, house: &House) -> Vec<(u16, Value)> {
        let brain = format!("/api/v1/brains/{}", self.brain);
        let paths = ["/api/v1/brains".to_owned(), format!("{brain}/events"), format!("{brain}/artifacts")];
        let mut seen = Vec::new();
        let lists = ["/api/v1/questions", "/api/v1/tokens", "/api/v1/usage", "/api/v1/shares", "/api/v1/people"];
        for path in paths.iter().map(String::as_str).chain(lists) {
            seen.push(house.get(&format!("{path}?"), &self.token).await);
        }
        seen.push(house.get(&format!("{brain}/artifacts/{}", self.artifact), &self.token).await);
        seen
    }
}

fn script() -> Script {
    // Asked about, as it is told to ask about everything; no cell is needed to know what it would do.
    Script::new([Turn::call("execute_shell", json!({"command": "echo hello"})), Turn::text("The end.")])
}

fn parameters(path: &str) -> Vec<&str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}

/// The path with the ids of `mine`, but for one parameter, which is `theirs`.
fn filled(path: &str, mine: &Owned, theirs: &Owned, foreign: &[&str]) -> String {
    parameters(path).iter().fold(path.to_owned(), |path, name| {
        let id = if foreign.contains(name) { theirs.id(name) } else { mine.id(name) };
        path.replace(&format!("{{{name}}}"), id)
    })
}

async fn send(house: &House, method: &Method, route: &str, path: &str, token: Option<&str>) -> (u16, Value) {
    let is_upload = route == "POST /api/v1/brains/{brain}/artifacts";
    let query = if is_upload { if path.contains('?') { "&path=planted.txt" } else { "?path=planted.txt" } } else { "" };
    let mut request = house.client.request(method.clone(), format!("{}{path}{query}", house.base));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    match body(route) {
        Some(body) => request = request.json(&body),
        None if route.contains("/ap/") && BODILESS.contains(&route) => {
            let form =
                "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"planted.txt\"\r\n\r\nx\r\n--x--\r\n";
            request = request.header("content-type", "multipart/form-data; boundary=x").body(form);
        }
        None if is_upload => request = request.body("x"),
        None => {}
    }
    told(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_f3_every_route_is_closed_to_everybody_who_has_no_right_and_tells_them_nothing() {
    let house = House::open(script()).await;
    let (acme, bolt) = (Owned::of(&house, "acme").await, Owned::of(&house, "bolt").await);
    let access = house.tenants.access(&house.operator, &acme.tenant.parse().unwrap()).unwrap();
    let revoked = house.tokens.mint(&access, all_scopes()).unwrap();
    house.tokens.revoke(&access, &revoked.id).unwrap();
    let expired = Grant { expires_ms: Some(now_ms() + 30), ..all_scopes() };
    let expired = house.token(&access, expired);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let bound = house.token(&access, Grant { certificate: Some(Digest::of(b"a certificate")), ..all_scopes() });
    let (rest, last) = acme.token.split_at(acme.token.len() - 1);
    let mistyped = format!("{rest}{}", if last == "0" { '1' } else { '0' });
    let strangers: Vec<(&str, Option<&str>)> = vec![
        ("nobody", None),
        ("garbage", Some("garbage")),
        ("a mistyped token", Some(&mistyped)),
        ("a revoked token", Some(revoked.token.expose())),
        ("an expired token", Some(&expired)),
    ];
    let ann = SignedIn {
        issuer: "https://id.example".to_owned(),
        subject: "ann".to_owned(),
        verified_email: Some("ann@acme.example".to_owned()),
        groups: Vec::new(),
    };
    let session = house.tokens.log_in(&acme.tenant.parse().unwrap(), &ann, Duration::from_secs(600)).unwrap();
    house.tokens.people().set_roles(&access, &session.person, Vec::new()).unwrap();
    let strangers =
        strangers.into_iter().chain([("a person who lost their role", Some(session.minted.token.expose()))]);
    let strangers: Vec<_> = strangers.chain([("a token without its certificate", Some(bound.as_str()))]).collect();
    let before = (acme.state(&house).await, bolt.state(&house).await);
    let (mut unauthorized, mut nothing) = (Vec::new(), Vec::new());
    let mut tried = 0;
    for route in openapi::routes() {
        let (method, path) = route.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let has_row = method == Method::GET || body(&route).is_some() || BODILESS.contains(&route.as_str());
        assert!(has_row, "{route} has no row here: say what body it takes");
        for (who, token) in &strangers {
            let (status, told) = send(&house, &method, &route, &filled(path, &acme, &acme, &[]), *token).await;
            assert_eq!(status, 401, "{who} at {route}: {told}");
            unauthorized.push(told);
            tried += 1;
        }
        // In a URL a token is nothing.
        let path_with = format!("{}?access_token={}&token={0}", filled(path, &acme, &acme, &[]), acme.token);
        let (status, told) = send(&house, &method, &route, &path_with, None).await;
        assert_eq!(status, 401, "{route} with the token in the URL");
        unauthorized.push(told);

        // Another tenant: each id of its own but one, and all of them.
        let names: Vec<&str> = parameters(path).into_iter().filter(|name| *name != "step").collect();
        let is_operators = path.contains("/tenants");
        // A digest names an action, whoever wants it: alone it is nobody's.
        let owned = names.iter().filter(|name| **name != "digest");
        let mut mixes: Vec<Vec<&str>> = owned.map(|name| vec![*name]).collect();
        mixes.push(names.clone());
        for foreign in mixes.iter().filter(|foreign| !foreign.is_empty() || is_operators) {
            let path = filled(path, &bolt, &acme, foreign);
            let (status, told) = send(&house, &method, &route, &path, Some(&bolt.token)).await;
            assert_eq!(status, 404, "bolt at {route} with acme's {foreign:?}: {told}");
            nothing.push(told);
            tried += 1;
        }
    }
    assert!(tried > 150, "only {tried} tries: the list of routes is not the router's");
    unauthorized.dedup();
    nothing.dedup();
    assert_eq!(unauthorized.len(), 1, "one answer to strangers, whatever the reason: {unauthorized:?}");
    assert_eq!(nothing.len(), 1, "one answer about what is not there and what is not theirs: {nothing:?}");
    assert_eq!((acme.state(&house).await, bolt.state(&house).await), before, "nothing has changed");

    // The controls: the same requests by whom it belongs to.
    for (path, wanted) in [
        (format!("/api/v1/brains/{}", acme.brain), 200),
        (format!("/api/v1/brains/{}/artifacts/{}", acme.brain, acme.artifact), 200),
        (format!("/ap/v1/agent/tasks/{}/steps/1", acme.brain), 200),
        (format!("/api/v1/shares/{}", acme.share), 200),
    ] {
        assert_eq!(house.get(&path, &acme.token).await.0, wanted, "{path}");
    }
    let answer = format!("/api/v1/brains/{}/questions/{}", acme.brain, acme.digest);
    assert_eq!(house.post(&answer, &acme.token, json!({"answer": "no"})).await.0, 204);
    let boss = house.boss();
    assert_eq!(house.get("/api/v1/tenants/acme", &boss).await.0, 200);
    house.close().await;
}

/// A token reaches what its scopes say, at every route.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_the_scope_is_told_which_and_no_more() {
    let house = House::open(script()).await;
    let acme = Owned::of(&house, "acme").await;
    let access = house.tenants.access(&house.operator, &acme.tenant.parse().unwrap()).unwrap();
    let poor = house.token(&access, Grant { scopes: vec![Scope::Gateway], ..Grant::gateway("poor") });
    // Signing out, which every token may, comes last.
    let (last, routes): (Vec<_>, Vec<_>) =
        openapi::routes().into_iter().partition(|route| route == "DELETE /api/v1/me");
    assert_eq!(last.len(), 1);
    for route in routes.into_iter().chain(last) {
        let (method, path) = route.split_once(' ').unwrap();
        let (status, told) =
            send(&house, &method.parse().unwrap(), &route, &filled(path, &acme, &acme, &[]), Some(&poor)).await;
        match path {
            "/api/v1/me" => assert_eq!(status, if method == "GET" { 200 } else { 204 }),
            path if path.starts_with("/api/v1/tenants") => assert_eq!(status, 404, "{route}: {told}"),
            _ => {
                assert_eq!(status, 403, "{route}: {told}");
                assert!(told["detail"].as_str().unwrap().contains("has not the scope"), "{told}");
            }
        }
    }
    house.close().await;
}

/// Row F2.
#[tokio::test(flavor = "multi_thread")]
async fn f2_a_stream_tells_of_its_own_brain_alone() {
    let house = House::open(script()).await;
    let (acme, bolt) = (Owned::of(&house, "acme").await, Owned::of(&house, "bolt").await);
    let stream = format!("/api/v1/brains/{}/stream", acme.brain);
    let mut own = house.ask(&Method::GET, &stream, &acme.token).send().await.unwrap();
    for brain in [&acme, &bolt] {
        let answer = format!("/api/v1/brains/{}/questions/{}", brain.brain, brain.digest);
        assert_eq!(house.post(&answer, &brain.token, json!({"answer": "no"})).await.0, 204);
    }
    let mut text = String::new();
    while let Some(piece) = own.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(text.contains("the goal of acme") && text.ends_with("event: rest\ndata: {}\n\n"), "{text}");
    assert!(!text.contains("bolt"), "{text}");
    // It goes on where it was, and no number comes twice.
    let ids: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
    let again = house.ask(&Method::GET, &stream, &acme.token).header("last-event-id", ids[2].to_string());
    let (status, rest) = told(again).await;
    let rest = rest.as_str().unwrap();
    assert!(status == 200 && rest.starts_with(&format!("id: {}\n", ids[3])), "{rest}");
    house.close().await;
}

#[test]
fn the_description_of_the_api_is_as_it_is_checked_in() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let mut now = serde_json::to_string_pretty(&openapi::description()).unwrap();
    now.push('\n');
    if std::env::var_os("PIN").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let then = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(then == now, "docs/openapi.json is not what the routes say: PIN=1 cargo test ... writes it anew");
}

fn now_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}
