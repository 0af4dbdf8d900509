//! People sign in at a server, through a provider that lies (`provider`): who is let in, who is not, and what either is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use autoshare_access::{Access, Identity, NewPerson, People, RoleName, TenantState};
use autoshare_broker::Credentials;
use autoshare_core::Digest;
use autoshare_core::origin::Origin;
use autoshare_server::login::{Login, LoginSettings, ProgramLogin};
use autoshare_vault::Sensitive;
use futures_util::StreamExt as _;
use reqwest::Client;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::house::{House, told};
use crate::provider::{Answer, CLIENT, Provider, Query, SECRET, Saying, Signing, base64url, of, query_of};

/// The client's secret, for the provider alone.
struct Kept(String);

impl Credentials for Kept {
    fn find(&self, name: &str, origin: &str) -> Option<Arc<Sensitive>> {
        let is_for_it = Origin::of_url(origin) == Origin::of_url(&self.0);
        (name == "OIDC" && is_for_it).then(|| Arc::new(Sensitive::new(SECRET.to_owned())))
    }
}

fn settings(provider: &Provider) -> LoginSettings {
    let origin = Origin::parse("http://localhost:7878").unwrap();
    let usual = LoginSettings::new(origin, &provider.issuer, CLIENT);
    LoginSettings { client_secret: Some("OIDC".to_owned()), groups_claim: Some("groups".to_owned()), ..usual }
}

async fn house(provider: &Provider, change: impl FnOnce(&mut LoginSettings)) -> House {
    let mut settings = settings(provider);
    change(&mut settings);
    House::with_login(Login::new(&settings, Box::new(Kept(provider.issuer.clone()))).unwrap()).await
}

fn person(people: &People, access: &Access, identity: Identity, roles: &[&str]) {
    let roles = roles.iter().map(|role| RoleName::parse(role).unwrap()).collect();
    people.add(access, NewPerson { name: "Ann <b>".to_owned(), identity, roles }).unwrap();
}

fn account(provider: &Provider, subject: &str) -> Identity {
    Identity::Account { issuer: provider.issuer.clone(), subject: subject.to_owned() }
}

/// What a browser is shown.
#[derive(Debug)]
struct Page {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Page {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The secret that is to be copied.
    fn code(&self) -> &str {
        assert_eq!(self.status, 200, "{self:?}");
        self.text.split("<code>").nth(1).unwrap().split("</code>").next().unwrap()
    }

    /// What somebody who may not know more is told.
    fn is_the_refusal(&self) -> bool {
        self.status == 403 && self.text.contains("Nobody is signed in. Begin again")
    }
}

/// A browser, with what it keeps.
struct Browser {
    client: Client,
    base: String,
    cookie: Option<String>,
}

impl Browser {
    fn new(house: &House) -> Self {
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, base: house.base.clone(), cookie: None }
    }

    async fn get(&mut self, path: &str) -> Page {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        if let Some(cookie) = headers.get("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        Page { status, headers, text: answer.text().await.unwrap() }
    }

    async fn begin(&mut self, tenant: &str) -> String {
        let page = self.get(&format!("/login?tenant={tenant}")).await;
        assert_eq!(page.status, 303, "{page:?}");
        page.header("location").to_owned()
    }

    async fn come_back(&mut self, with: &[(String, String)]) -> Page {
        self.get(&format!("/login/callback?{}", spelt(with))).await
    }

    /// The whole way.
    async fn sign_in(&mut self, provider: &Provider, tenant: &str, saying: &Saying) -> Page {
        let location = self.begin(tenant).await;
        let back = provider.let_in(&location, saying);
        self.come_back(&back).await
    }
}

fn spelt(query: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish()
}

async fn trail(house: &House, token: &str) -> Vec<(String, String, String)> {
    let (status, told) = house.get("/api/v1/audit?limit=100", token).await;
    assert_eq!(status, 200, "{told}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entry = |entry: &Value| (text(&entry["actor"]), text(&entry["act"]), text(&entry["about"]));
    told["items"].as_array().unwrap().iter().map(entry).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_and_is_shown_a_token_once() {
    let provider = Provider::start().await;
    let house = house(&provider, |settings| settings.keys_apart = Duration::ZERO).await;
    let (access, owner) = house.tenant("acme");
    person(house.tokens.people(), &access, account(&provider, "ann"), &["viewer"]);
    let mut browser = Browser::new(&house);
    let page = browser.get("/login?tenant=acme").await;
    let cookie = page.header("set-cookie");
    assert!(cookie.starts_with("autoshare-login="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"), "{cookie}");
    assert_eq!(
        (page.status, page.header("cache-control"), page.header("referrer-policy")),
        (303, "no-store", "no-referrer")
    );
    let location = page.header("location");
    let asked = query_of(location);
    assert!(location.starts_with(&format!("{}/authorize?", provider.issuer)), "{location}");
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", "http://localhost:7878/login/callback"),
        ("code_challenge_method", "S256"),
        ("scope", "openid email"),
    ] {
        assert_eq!(of(&asked, name), value);
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(of(&asked, name).len(), 43, "{name}: 256 bits");
    }
    let back = provider.let_in(location, &Saying::truth("ann"));
    let page = browser.come_back(&back).await;
    let token = page.code().to_owned();
    assert!(token.starts_with("as_") && page.text.contains("Ann &lt;b&gt;, of acme"), "{}", page.text);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("content-security-policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(page.header(name), value, "{name}");
    }
    assert_eq!(browser.cookie, None, "the cookie is gone");

    let (status, me) = house.get("/api/v1/me", &token).await;
    assert_eq!((status, &me["tenant"], &me["token"]["scopes"]), (200, &json!("acme"), &json!(["read"])), "{me}");
    assert_eq!(house.get("/api/v1/people", &token).await.0, 403, "a viewer's scopes and no more");
    // A page that is loaded again shows nothing.
    assert!(browser.come_back(&back).await.is_the_refusal());
    // What it is signed with.
    for signing in [Signing::Es256, Signing::EdDsa, Signing::NewKey] {
        let page = browser.sign_in(&provider, "acme", &Saying { signing, ..Saying::truth("ann") }).await;
        assert_eq!(house.get("/api/v1/me", page.code()).await.0, 200, "{signing:?}");
    }
    // Whoever signs out ends the token, whatever else they may do.
    assert_eq!(told(house.ask(&reqwest::Method::DELETE, "/api/v1/me", &token)).await.0, 204);
    assert_eq!(house.get("/api/v1/me", &token).await.0, 401);

    let entries = trail(&house, &owner).await;
    let logins: Vec<_> = entries.iter().filter(|(_, act, _)| act == "login").collect();
    assert_eq!(logins.len(), 4, "{entries:?}");
    assert!(logins.iter().all(|(actor, ..)| actor.starts_with("person:")), "{logins:?}");
    let ended: Vec<_> = entries.iter().filter(|(_, act, _)| act == "token.revoked").collect();
    assert_eq!(ended.len(), 1, "{entries:?}");
    house.close().await;
}

type Back = fn(&mut Query);
type Claims = fn(&mut Value);

fn set(query: &mut [(String, String)], name: &str, value: &str) {
    query.iter_mut().filter(|(known, _)| known == name).for_each(|(_, now)| value.clone_into(now));
}

fn drop_it(query: &mut Query, name: &str) {
    query.retain(|(known, _)| known != name);
}

/// What comes back is not what it should be: one page for all of it, and no token.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_with_something_else_is_told_one_thing() {
    let provider = Provider::start().await;
    let house = house(&provider, |_| ()).await;
    let (access, _) = house.tenant("acme");
    person(house.tokens.people(), &access, account(&provider, "ann"), &["owner"]);
    let truth: Claims = |_| ();
    let as_it_is: Back = |_| ();
    #[rustfmt::skip]
    let rows: Vec<(&str, Claims, Signing, Back)> = vec![
        ("no state",                         truth, Signing::Rs256, |q| drop_it(q, "state")),
        ("another state",                    truth, Signing::Rs256, |q| set(q, "state", &"A".repeat(43))),
        ("two states",                       truth, Signing::Rs256, |q| q.push(q[1].clone())),
        ("no code",                          truth, Signing::Rs256, |q| drop_it(q, "code")),
        ("another code",                     truth, Signing::Rs256, |q| set(q, "code", "guessed")),
        ("an error",                         truth, Signing::Rs256, |q| q.push(("error".into(), "access_denied".into()))),
        ("mix-up: another provider's answer", truth, Signing::Rs256, |q| set(q, "iss", "https://evil.example")),
        ("mix-up: nobody's answer",          truth, Signing::Rs256, |q| drop_it(q, "iss")),
        ("no signature",                     truth, Signing::None, as_it_is),
        ("a signature cut off",              truth, Signing::Stripped, as_it_is),
        ("another's signature",              truth, Signing::Strange, as_it_is),
        ("HS256 with the public key",        truth, Signing::PublicAsSecret, as_it_is),
        ("HS256 with our secret",            truth, Signing::ClientSecret, as_it_is),
        ("another nonce",                    |c| c["nonce"] = json!("other"), Signing::Rs256, as_it_is),
        ("no nonce",                         |c| c["nonce"] = Value::Null, Signing::Rs256, as_it_is),
        ("another issuer",                   |c| c["iss"] = json!("https://evil.example"), Signing::Rs256, as_it_is),
        ("another client",                   |c| c["aud"] = json!("other"), Signing::Rs256, as_it_is),
        ("another client beside",            |c| c["aud"] = json!([CLIENT, "other"]), Signing::Rs256, as_it_is),
        ("no audience",                      |c| c["aud"] = json!([]), Signing::Rs256, as_it_is),
        ("made for another party",           |c| c["azp"] = json!("other"), Signing::Rs256, as_it_is),
        ("over",                             |c| c["exp"] = json!(c["iat"].as_u64().unwrap() - 1), Signing::Rs256, as_it_is),
        ("made long ago",                    |c| c["iat"] = json!(c["iat"].as_u64().unwrap() - 3_600), Signing::Rs256, as_it_is),
        ("made tomorrow",                    |c| { c["iat"] = json!(c["iat"].as_u64().unwrap() + 86_400);
                                                   c["exp"] = json!(c["iat"].as_u64().unwrap() + 86_400) }, Signing::Rs256, as_it_is),
        ("another subject",                  |c| c["sub"] = json!("bob"), Signing::Rs256, as_it_is),
        ("no words for a subject",           |c| c["sub"] = json!("ann\n"), Signing::Rs256, as_it_is),
    ];
    let mut bodies = Vec::new();
    for (name, claims, signing, change) in rows {
        let mut browser = Browser::new(&house);
        let location = browser.begin("acme").await;
        let mut back = provider.let_in(&location, &Saying { subject: "ann", claims, signing });
        change(&mut back);
        let page = browser.come_back(&back).await;
        assert!(page.is_the_refusal(), "{name}: {page:?}");
        bodies.push(page.text);
    }
    // Of one browser's login, another makes nothing; nor does who has no cookie, or two of that name.
    let (mut ann, mut mallory) = (Browser::new(&house), Browser::new(&house));
    let (of_ann, of_mallory) = (ann.begin("acme").await, mallory.begin("acme").await);
    let (ann_back, mallory_back) =
        (provider.let_in(&of_ann, &Saying::truth("ann")), provider.let_in(&of_mallory, &Saying::truth("mallory")));
    let cookie = ann.cookie.clone();
    bodies.push(mallory.come_back(&ann_back).await.text);
    ann.cookie = None;
    bodies.push(ann.come_back(&ann_back).await.text);
    ann.cookie = cookie.map(|cookie| format!("{cookie}; {cookie}"));
    bodies.push(ann.come_back(&ann_back).await.text);
    // Mallory's answer, put into Ann's browser, would have her work in Mallory's account.
    let (mut ann, mut again) = (Browser::new(&house), Browser::new(&house));
    ann.begin("acme").await;
    bodies.push(ann.come_back(&mallory_back).await.text);
    // A code that somebody else was given, put into a login of one's own: neither verifier nor nonce belong to it.
    let (stolen, own) = (provider.let_in(&of_ann, &Saying::truth("ann")), again.begin("acme").await);
    let mut injected = provider.let_in(&own, &Saying::truth("mallory"));
    set(&mut injected, "code", of(&stolen, "code"));
    bodies.push(again.come_back(&injected).await.text);
    // A code is good once, whoever brings it.
    let mut first = Browser::new(&house);
    let location = first.begin("acme").await;
    let back = provider.let_in(&location, &Saying::truth("ann"));
    assert_eq!(first.come_back(&back).await.status, 200, "the control");
    let location = first.begin("acme").await;
    let mut replayed = provider.let_in(&location, &Saying::truth("ann"));
    set(&mut replayed, "code", of(&back, "code"));
    bodies.push(first.come_back(&replayed).await.text);

    bodies.dedup();
    assert_eq!(bodies.len(), 1, "one page, whatever the reason: {bodies:?}");
    let of_people = house.tokens.list(&access).unwrap().iter().filter(|token| token.person.is_some()).count();
    assert_eq!(of_people, 1, "the control's, and no other");
    house.close().await;
}

/// A wrong state ends nobody's login: else any page could.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_elsewhere_sends_neither_begins_nor_ends_a_login() {
    let provider = Provider::start().await;
    let house = house(&provider, |_| ()).await;
    let (access, _) = house.tenant("acme");
    person(house.tokens.people(), &access, account(&provider, "ann"), &["viewer"]);
    let mut browser = Browser::new(&house);
    let location = browser.begin("acme").await;
    assert!(browser.get("/login/callback?state=x&code=y").await.is_the_refusal());
    let back = provider.let_in(&location, &Saying::truth("ann"));
    assert_eq!(browser.come_back(&back).await.status, 200);
    for site in ["cross-site", "same-site"] {
        let path = format!("{}/login?tenant=acme&x=%22%3E%3Cscript%3E", house.base);
        let answer = browser.client.get(path).header("sec-fetch-site", site).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().get("set-cookie")), (200, None), "{site}");
        let text = answer.text().await.unwrap();
        assert!(text.contains("Sign in to acme</a>") && !text.contains("<script"), "{text}");
    }
    for site in ["same-origin", "none"] {
        let path = format!("{}/login?tenant=acme", house.base);
        let answer = browser.client.get(path).header("sec-fetch-site", site).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 303, "{site}");
    }
    house.close().await;
}

/// Whether there is such a tenant, and who is in it, nobody learns by trying.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_learns_nothing_of_tenants_and_people() {
    let provider = Provider::start().await;
    let house = house(&provider, |_| ()).await;
    let (acme, owner) = house.tenant("acme");
    let (asleep, _) = house.tenant("asleep");
    let people = house.tokens.people();
    person(people, &acme, account(&provider, "ann"), &["owner"]);
    person(people, &acme, account(&provider, "idle"), &[]);
    let elsewhere = Identity::Account { issuer: "https://other.example".to_owned(), subject: "bob".to_owned() };
    person(people, &acme, elsewhere, &["owner"]);
    person(people, &asleep, account(&provider, "ann"), &["owner"]);
    house.tenants.set_state(&house.operator, asleep.tenant(), TenantState::Suspended).unwrap();
    let mut pages = Vec::new();
    for (tenant, subject) in [
        ("acme", "stranger"),
        ("acme", "idle"),
        ("acme", "bob"),
        ("asleep", "ann"),
        ("nothing", "ann"),
        ("local", "ann"),
        ("acme", "stranger"),
    ] {
        let page = Browser::new(&house).sign_in(&provider, tenant, &Saying::truth(subject)).await;
        assert!(page.is_the_refusal(), "{subject} at {tenant}: {page:?}");
        let mut headers: Vec<String> = page.headers.keys().map(ToString::to_string).collect();
        headers.sort();
        pages.push((page.text, headers));
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "{pages:?}");
    let begun = Instant::now();
    let refusals = loop {
        let entries = trail(&house, &owner).await;
        let found: Vec<_> = entries.into_iter().filter(|(_, act, _)| act == "login.refused").collect();
        if found.len() >= 3 || begun.elapsed() > Duration::from_secs(10) {
            break found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let mut told: Vec<_> = refusals.iter().map(|(actor, _, about)| (actor.as_str(), about.as_str())).collect();
    told.sort_unstable();
    let at = |subject: &str| format!("person:{subject} at {}", provider.issuer);
    let (bob, idle, stranger) = (at("bob"), at("idle"), at("stranger"));
    let nobody = "nobody of this tenant";
    assert_eq!(told, [(&*bob, nobody), (&*idle, "no role"), (&*stranger, nobody)], "each once a minute");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_takes_an_address_that_the_provider_has_verified() {
    let provider = Provider::start().await;
    let house = house(&provider, |_| ()).await;
    let (access, owner) = house.tenant("acme");
    let invited = |name: &str| Identity::Invited { email: format!("{name}@example.org") };
    for name in ["ann", "bob", "cid", "dot"] {
        person(house.tokens.people(), &access, invited(name), &["member"]);
    }
    let truth = Saying::truth;
    let unverified: [(Claims, Value); 5] = [
        (|c| c["email_verified"] = json!(false), json!({})),
        (|c| drop(c.as_object_mut().unwrap().remove("email_verified")), json!({})),
        // Where the ID token says nothing of an address, the provider is asked; of the same account.
        (without_mail, json!({"sub": "ann", "email": "ann@example.org", "email_verified": false})),
        (without_mail, json!({"sub": "bob", "email": "ann@example.org", "email_verified": true})),
        (without_mail, json!({"email": "ann@example.org", "email_verified": true})),
    ];
    for (claims, userinfo) in unverified {
        provider.userinfo(userinfo.clone());
        let page = Browser::new(&house).sign_in(&provider, "acme", &Saying { claims, ..truth("ann") }).await;
        assert!(page.is_the_refusal(), "{userinfo}: {page:?}");
    }
    provider.userinfo(json!({"sub": "ann", "email": "bob@example.org", "email_verified": true}));
    let page = Browser::new(&house).sign_in(&provider, "acme", &truth("ann")).await;
    assert_eq!(house.get("/api/v1/me", page.code()).await.0, 200);
    provider.userinfo(json!({"sub": "dot", "email": "dot@example.org", "email_verified": true}));
    let page = Browser::new(&house).sign_in(&provider, "acme", &Saying { claims: without_mail, ..truth("dot") }).await;
    assert_eq!(house.get("/api/v1/me", page.code()).await.0, 200);
    // It is taken up: who has the address now is another account.
    let other = |c: &mut Value| c["email"] = json!("ann@example.org");
    let page = Browser::new(&house).sign_in(&provider, "acme", &Saying { claims: other, ..truth("eve") }).await;
    assert!(page.is_the_refusal(), "{page:?}");
    // Groups are those of the claim that is named, and change with each login.
    let grouped = |c: &mut Value| c["groups"] = json!(["staff", "admins"]);
    Browser::new(&house).sign_in(&provider, "acme", &Saying { claims: grouped, ..truth("ann") }).await.code();
    let (_, people) = house.get("/api/v1/people", &owner).await;
    assert_eq!(people["items"][0]["groups"], json!(["admins", "staff"]), "{people}");
    house.close().await;
}

fn without_mail(claims: &mut Value) {
    claims.as_object_mut().unwrap().remove("email");
}

/// Whatever the provider does, somebody is told in time that it does not work.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_misbehaves_signs_nobody_in_and_holds_nobody_up() {
    let evil = "https://evil.example";
    let with = |name: &'static str, value: &str| {
        let value = json!(value);
        move |provider: &Provider| {
            let mut told = provider.discovery();
            told[name] = value.clone();
            Answer::Json(told)
        }
    };
    type Lie = Box<dyn Fn(&Provider) -> Answer>;
    let same = |answer: Answer| -> Lie { Box::new(move |_| answer.clone()) };
    let well_known = "/.well-known/openid-configuration";
    let redirect = Answer::Raw(
        "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
            .into(),
    );
    let zipped = Answer::Raw(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
            .into(),
    );
    let broken =
        Answer::Raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 200\r\n\r\n{".into());
    let html = Answer::Raw("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<hi>".into());
    let deep = Answer::Raw({
        let body = "[".repeat(100_000);
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    });
    let mut rows: Vec<(&str, &'static str, Lie)> = vec![
        ("another issuer", well_known, Box::new(with("issuer", evil))),
        ("keys over plain http", well_known, Box::new(with("jwks_uri", "http://192.0.2.1/jwks"))),
        ("keys in a file", well_known, Box::new(with("jwks_uri", "file:///etc/passwd"))),
        ("people sent to a script", well_known, Box::new(with("authorization_endpoint", "javascript:alert(1)"))),
        ("people sent over plain http", well_known, Box::new(with("authorization_endpoint", "http://evil.example/"))),
        // Our secret is for the provider's own address.
        ("codes taken elsewhere", well_known, Box::new(with("token_endpoint", "https://evil.example/token"))),
    ];
    for path in [well_known, "/jwks", "/token", "/userinfo"] {
        for (name, lie) in [
            ("a redirect", &redirect),
            ("compressed", &zipped),
            ("broken off", &broken),
            ("a page", &html),
            ("nested without end", &deep),
            ("too much", &Answer::Huge(300_000)),
            ("nothing", &Answer::Silence),
        ] {
            rows.push((name, path, same(lie.clone())));
        }
    }
    assert_eq!(rows.len(), 34);
    let tried = rows.into_iter().map(async |(name, path, lie)| {
        let provider = Provider::start().await;
        let house = house(&provider, |settings| settings.timeout = Duration::from_secs(2)).await;
        let (access, _) = house.tenant("acme");
        person(house.tokens.people(), &access, account(&provider, "ann"), &["owner"]);
        provider.answer(path, lie(&provider));
        let begun = Instant::now();
        let mut browser = Browser::new(&house);
        let mut page = browser.get("/login?tenant=acme").await;
        if page.status == 303 {
            let location = page.header("location").to_owned();
            let saying =
                Saying { claims: |c| drop(c.as_object_mut().unwrap().remove("groups")), ..Saying::truth("ann") };
            page = browser.come_back(&provider.let_in(&location, &saying)).await;
        }
        let is_told = page.status == 502 && page.header("retry-after") == "5" || page.is_the_refusal();
        assert!(is_told && !page.text.contains("evil"), "{name} at {path}: {page:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{name} at {path}: {:?}", begun.elapsed());
        assert_eq!(provider.asked("/elsewhere"), 0, "a redirect was followed");
        house.close().await;
    });
    futures_util::stream::iter(tried).buffer_unordered(6).collect::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_when_the_provider_does() {
    let provider = Provider::start().await;
    let house = house(&provider, |_| ()).await;
    let (access, _) = house.tenant("acme");
    person(house.tokens.people(), &access, account(&provider, "ann"), &["owner"]);
    provider.answer("/jwks", Answer::Json(json!({})));
    for _ in 0..5 {
        let page = Browser::new(&house).get("/login?tenant=acme").await;
        assert_eq!((page.status, page.header("retry-after")), (502, "5"), "{page:?}");
    }
    assert!(provider.asked("/jwks") < 5, "it is not asked again at once");
    provider.repent();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let page = Browser::new(&house).sign_in(&provider, "acme", &Saying::truth("ann")).await;
    assert_eq!(page.status, 200, "{page:?}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_looked_at_again_for_a_new_one_but_not_for_everybody_who_claims_one() {
    let provider = Provider::start().await;
    let house = house(&provider, |settings| settings.keys_apart = Duration::from_secs(4)).await;
    let (access, _) = house.tenant("acme");
    person(house.tokens.people(), &access, account(&provider, "ann"), &["viewer"]);
    Browser::new(&house).sign_in(&provider, "acme", &Saying::truth("ann")).await.code();
    let new = || Saying { signing: Signing::NewKey, ..Saying::truth("ann") };
    assert!(Browser::new(&house).sign_in(&provider, "acme", &new()).await.is_the_refusal(), "not yet");
    assert_eq!(provider.asked("/jwks"), 1);
    tokio::time::sleep(Duration::from_millis(4_100)).await;
    Browser::new(&house).sign_in(&provider, "acme", &new()).await.code();
    Browser::new(&house).sign_in(&provider, "acme", &new()).await.code();
    assert_eq!(provider.asked("/jwks"), 2);
    house.close().await;
}

/// What a program does that signs somebody in: RFC 7636 between it and this server.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_the_token_that_its_person_signed_in_for() {
    let provider = Provider::start().await;
    let house = house(&provider, |_| ()).await;
    let (access, _) = house.tenant("acme");
    person(house.tokens.people(), &access, account(&provider, "ann"), &["viewer"]);
    let verifier = "v".repeat(43);
    let challenge = base64url(Digest::of(verifier.as_bytes()).as_bytes());
    let code = async |subject| {
        let mut browser = Browser::new(&house);
        let location = browser.begin(&format!("acme&code_challenge={challenge}")).await;
        let page = browser.come_back(&provider.let_in(&location, &Saying::truth(subject))).await;
        assert!(!page.text.contains("as_"), "no token is shown: {}", page.text);
        page.code().to_owned()
    };
    let redeem = async |code: &str, verifier: &str| {
        let body = json!({"code": code, "code_verifier": verifier});
        told(house.client.post(format!("{}/login/token", house.base)).json(&body)).await
    };
    let good = code("ann").await;
    let (status, session) = redeem(&good, &verifier).await;
    assert_eq!((status, &session["tenant"], &session["scopes"]), (200, &json!("acme"), &json!(["read"])), "{session}");
    assert_eq!(house.get("/api/v1/me", session["token"].as_str().unwrap()).await.0, 200);
    let mut refused = vec![redeem(&good, &verifier).await, redeem("guessed", &verifier).await];
    // Who overhears a code has no verifier, and with a wrong one it is used up.
    for wrong in ["w".repeat(43), "v".repeat(42), String::new(), "v".repeat(5_00)] {
        let code = code("ann").await;
        refused.push(redeem(&code, &wrong).await);
        refused.push(redeem(&code, &verifier).await);
    }
    // Somebody who may not is told so here, in the same words.
    let stranger = code("stranger").await;
    refused.push(redeem(&stranger, &verifier).await);
    refused.dedup();
    assert_eq!((refused.len(), refused[0].0), (1, 403), "{refused:?}");

    // The same by the side that comes with this program.
    let login = ProgramLogin::new(&format!("{}/", house.base), access.tenant()).unwrap();
    let challenge = login.url().split_once("code_challenge=").unwrap().1.to_owned();
    let mut browser = Browser::new(&house);
    let location = browser.begin(&format!("acme&code_challenge={challenge}")).await;
    let page = browser.come_back(&provider.let_in(&location, &Saying::truth("ann"))).await;
    let session = login.redeem(&format!(" {}\n", page.code())).await.unwrap();
    assert_eq!(house.get("/api/v1/me", &session.token).await.0, 200);
    let login = ProgramLogin::new(&house.base, access.tenant()).unwrap();
    let refusal = login.redeem("guessed").await.err().unwrap().to_string();
    assert!(refusal.starts_with("nobody is signed in: begin again"), "{refusal}");
    for server in ["agents.example.org", "http://agents.example.org", "https://me:pw@agents.example.org"] {
        assert!(ProgramLogin::new(server, access.tenant()).is_err(), "{server}");
    }

    let post = || house.client.post(format!("{}/login/token", house.base));
    for (what, request, wanted) in [
        ("a form", post().body("code=x"), 415),
        ("what a page sends", post().header("origin", "https://evil.example").json(&json!({})), 403),
        ("no JSON", post().header("content-type", "application/json").body("{"), 400),
        ("too much", post().json(&json!({"code": "x".repeat(5_000), "code_verifier": verifier})), 400),
        ("a field too many", post().json(&json!({"code": "x", "code_verifier": verifier, "tenant": "acme"})), 400),
    ] {
        let (status, told) = told(request).await;
        assert_eq!(status, wanted, "{what}: {told}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_below_login_is_one_of_these() {
    let provider = Provider::start().await;
    let house = house(&provider, |_| ()).await;
    let challenge = "c".repeat(42);
    for (method, path, wanted) in [
        ("GET", "/login", 400),
        ("GET", "/login?tenant=", 400),
        ("GET", "/login?tenant=..%2Fx", 400),
        ("GET", "/login?tenant=acme&tenant=bolt", 400),
        ("GET", &format!("/login?tenant=acme&code_challenge={challenge}"), 400),
        ("GET", &format!("/login?tenant=acme&code_challenge={challenge}%2B"), 400),
        ("GET", "/login?tenant=acme", 303),
        ("POST", "/login?tenant=acme", 405),
        ("HEAD", "/login?tenant=acme", 405),
        ("GET", "/login/callback", 403),
        ("POST", "/login/callback", 405),
        ("GET", "/login/token", 405),
        ("POST", "/login/token", 415),
        ("GET", "/login/", 404),
        ("GET", "/login/other", 404),
        ("GET", "/loginx", 404),
    ] {
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let url = format!("{}{path}", house.base);
        let answer = client.request(method.parse().unwrap(), &url).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), wanted, "{method} {path}");
        let elsewhere = client.request(method.parse().unwrap(), url).header("host", "evil.example").send().await;
        assert_eq!(elsewhere.unwrap().status().as_u16(), 403, "{method} {path}");
    }
    house.close().await;
    let without = House::open(autoshare_testkit::Script::new([])).await;
    for path in ["/login?tenant=acme", "/login/callback", "/login/token"] {
        assert_eq!(without.client.get(format!("{}{path}", without.base)).send().await.unwrap().status(), 404, "{path}");
    }
    without.close().await;
}

/// Nobody's waiting keeps others out for longer than it takes.
#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_wait_for_the_provider_and_the_others_are_told_to_come_again() {
    let provider = Provider::start().await;
    let house = house(&provider, |settings| (settings.at_once, settings.timeout) = (2, Duration::from_secs(2))).await;
    let mut back = Vec::new();
    for _ in 0..8 {
        let mut browser = Browser::new(&house);
        let location = browser.begin("acme").await;
        back.push((browser, provider.let_in(&location, &Saying::truth("ann"))));
    }
    provider.answer("/token", Answer::Silence);
    let begun = Instant::now();
    let pages = back.iter_mut().map(|(browser, back)| browser.come_back(back));
    let pages = futures_util::future::join_all(pages).await;
    let of = |status| pages.iter().filter(|page| page.status == status && page.header("retry-after") == "5").count();
    let (failed, turned_away) = (of(502), of(503));
    assert!(failed >= 2 && turned_away >= 4 && failed + turned_away == 8, "{failed} and {turned_away}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    house.close().await;
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let of = |issuer: &str| {
        let origin = Origin::parse("https://agents.example.org").unwrap();
        Login::new(&LoginSettings::new(origin, issuer, CLIENT), Box::new(())).err().map(|error| error.to_string())
    };
    assert_eq!(of("https://id.example.org/realms/x"), None);
    for (issuer, wanted) in [
        ("id.example.org", "issuer"),
        ("http://id.example.org", "plain http to another machine"),
        ("https://id.example.org?x=1", "no query"),
        ("https://me:pw@id.example.org", "holds a name or password"),
        ("https://id.example.org#x", "fragment"),
    ] {
        let told = of(issuer).unwrap_or_else(|| panic!("{issuer} was taken"));
        assert!(told.starts_with("[serve.login] issuer") && told.contains(wanted), "{issuer}: {told}");
    }
}
