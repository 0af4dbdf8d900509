//! Tenants beside one another: what one does is written down, bounded, and nobody else's trouble.

use std::sync::Arc;
use std::time::{Duration, Instant};

use autoshare_access::{Grant, Scope, TenantState, Terms};
use autoshare_core::TenantName;
use autoshare_host::resident::ResidentsSettings;
use autoshare_testkit::{Script, Turn};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::house::{House, all_scopes, told};

fn name(text: &str) -> TenantName {
    TenantName::parse(text).unwrap()
}

/// A model that asks for something that a person is asked about, and then is done.
fn asking() -> Script {
    Script::new([Turn::call("execute_shell", json!({"command": "echo hello"})), Turn::text("The end.")])
}

fn done() -> Script {
    Script::new([Turn::text("The end.")])
}

async fn begin(house: &House, token: &str, goal: &str, key: Option<&str>) -> (u16, Value) {
    let mut request = house.ask(&Method::POST, "/api/v1/brains", token);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    told(request.json(&json!({"goal": goal, "model": "m", "ask_always": true}))).await
}

/// Row F7: whoever asks too often is told when to come back, and nobody else notices.
#[tokio::test(flavor = "multi_thread")]
async fn f7_requests_are_limited_by_tenant_and_by_token() {
    let house = House::open(done()).await;
    let ((acme, flood), (_, bolt)) = (house.tenant("acme"), house.tenant("bolt"));
    let terms = Terms { requests_per_minute: Some(5), ..Terms::default() };
    house.tenants.set_terms(&house.operator, acme.tenant(), terms).unwrap();
    let mut statuses = Vec::new();
    for _ in 0..8 {
        let response = house.ask(&Method::GET, "/api/v1/me", &flood).send().await.unwrap();
        let status = response.status().as_u16();
        if status == 429 {
            let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=12).contains(&wait), "{wait}");
            let told: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
            assert!(told["detail"].as_str().unwrap().contains("the tenant has made all the requests"), "{told}");
        }
        statuses.push(status);
        assert_eq!(house.get("/api/v1/me", &bolt).await.0, 200);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429, 429]);
    // It is in the trail, once.
    let terms = Terms { requests_per_minute: Some(100_000), ..Terms::default() };
    house.tenants.set_terms(&house.operator, acme.tenant(), terms).unwrap();
    let (_, trail) = house.get("/api/v1/audit", &flood).await;
    let hits = trail["items"].as_array().unwrap().iter().filter(|entry| entry["act"] == "limit.hit").count();
    assert_eq!(hits, 1, "{trail}");
    house.close().await;
}

/// Row F7: a large body counts as many requests, and one larger than all that there are at once still passes.
#[tokio::test(flavor = "multi_thread")]
async fn f7_a_large_body_counts_by_its_size() {
    let house = House::open(done()).await;
    let ((acme, flood), (_, bolt)) = (house.tenant("acme"), house.tenant("bolt"));
    let terms = Terms { requests_per_minute: Some(40), ..Terms::default() };
    house.tenants.set_terms(&house.operator, acme.tenant(), terms).unwrap();
    let post = async |token: &str, body: reqwest::Body| {
        let asked = house.ask(&Method::POST, "/api/v1/brains", token).header("content-type", "application/json");
        told(asked.body(body)).await
    };
    let spaces = |bytes: usize| vec![b' '; bytes];
    // 16 of 64 KiB, and the request itself.
    assert_eq!(post(&flood, spaces(1 << 20).into()).await.0, 400);
    assert_eq!(post(&flood, spaces(1 << 20).into()).await.0, 400);
    let (status, refused) = post(&flood, spaces(1 << 20).into()).await;
    assert_eq!(status, 429);
    assert!(refused["detail"].as_str().unwrap().ends_with("by its body, this one counts as 17"), "{refused}");
    // Whoever is refused sees why, though nobody wants what they send.
    for _ in 0..20 {
        assert_eq!(post(&flood, spaces(4 << 20).into()).await.0, 429);
    }
    assert_eq!(post(&flood, spaces(60_000).into()).await.0, 400, "6 are left, and a small body is one");
    let terms = Terms { requests_per_minute: Some(60), ..Terms::default() };
    house.tenants.set_terms(&house.operator, acme.tenant(), terms).unwrap();
    assert_eq!(post(&bolt, spaces(4 << 20).into()).await.0, 400, "65, of another tenant's 100,000");
    // What does not say how long it is could be as long.
    let parts = futures_util::stream::iter([Ok::<_, std::io::Error>("{}")]);
    assert_eq!(post(&flood, reqwest::Body::wrap_stream(parts)).await.0, 429);
    let (zeta, alone) = house.tenant("zeta");
    let terms = Terms { requests_per_minute: Some(5), ..Terms::default() };
    house.tenants.set_terms(&house.operator, zeta.tenant(), terms).unwrap();
    assert_eq!(post(&alone, spaces(4 << 20).into()).await.0, 400, "all 5 that there are");
    assert_eq!(house.get("/api/v1/me", &alone).await.0, 429);
    house.close().await;
}

/// Row F7: whoever asks on though they are refused is heard less and less often; the connections of others, and of the same
/// tenant's that waits as it is told, are read at once.
#[tokio::test(flavor = "multi_thread")]
async fn f7_who_is_refused_again_and_again_is_heard_less_often() {
    let house = House::open(done()).await;
    let ((acme, flood), (_, bolt)) = (house.tenant("acme"), house.tenant("bolt"));
    let terms = Terms { requests_per_minute: Some(3), ..Terms::default() };
    house.tenants.set_terms(&house.operator, acme.tenant(), terms).unwrap();
    // One after another, on one connection.
    let client = || reqwest::Client::builder().no_proxy().pool_max_idle_per_host(1).build().unwrap();
    let timed = async |client: &reqwest::Client, token: &str| {
        let begun = Instant::now();
        let asked = client.get(format!("{}/api/v1/me", house.base)).bearer_auth(token).send().await.unwrap();
        let status = asked.status().as_u16();
        asked.bytes().await.unwrap();
        (status, begun.elapsed())
    };
    let own = client();
    for _ in 0..3 {
        assert_eq!(timed(&own, &flood).await.0, 200);
    }
    let mut waited = Vec::new();
    for _ in 0..7 {
        let (status, took) = timed(&own, &flood).await;
        assert_eq!(status, 429);
        waited.push(took);
    }
    // Half of a pause to all of it, so that not all come back together.
    for (refusals, took) in waited.iter().enumerate().skip(2) {
        assert!(*took >= Duration::from_millis(5 << (refusals - 2)), "after {refusals} refusals: {waited:?}");
    }
    let longest = waited[6];
    let (status, took) = timed(&client(), &flood).await;
    assert!(status == 429 && took < longest, "{took:?}, and {waited:?}");
    let (status, took) = timed(&client(), &bolt).await;
    assert!(status == 200 && took < longest, "{took:?}, and {waited:?}");
    house.close().await;
}

/// Row F7: what is read for one tenant is read in turn with what others ask for, not as much of each as they ask for.
#[tokio::test(flavor = "multi_thread")]
async fn f7_who_has_much_read_does_not_keep_others_waiting() {
    let house = Arc::new(House::open(done()).await);
    let ((acme, flood), (bolt, own)) = (house.tenant("acme"), house.tenant("bolt"));
    for _ in 0..200 {
        for access in [&acme, &bolt] {
            house.token(access, all_scopes());
        }
    }
    // What is read the first time takes longer.
    for token in [&flood, &own] {
        assert_eq!(house.get("/api/v1/tokens", token).await.0, 200);
    }
    let begun = Instant::now();
    // Nearly as many as a tenant may have answered at once.
    let mut asked = JoinSet::new();
    for _ in 0..60 {
        let (house, flood) = (Arc::clone(&house), flood.clone());
        asked.spawn(async move { house.get("/api/v1/tokens", &flood).await.0 });
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut waited = Duration::ZERO;
    for _ in 0..3 {
        let since = Instant::now();
        assert_eq!(house.get("/api/v1/tokens", &own).await.0, 200);
        waited += since.elapsed();
    }
    while let Some(status) = asked.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    let all = begun.elapsed();
    // In turn, three readings of theirs come between.
    assert!(waited * 3 < all, "{waited:?} of {all:?}");
    Arc::into_inner(house).unwrap().close().await;
}

/// Row F7: refusals of many tokens are in the trail by some of them: writing each down would be work for the disk that others
/// wait for.
#[tokio::test(flavor = "multi_thread")]
async fn f7_refusals_by_many_tokens_do_not_fill_the_trail() {
    let house = House::open(done()).await;
    let (acme, all) = house.tenant("acme");
    for _ in 0..40 {
        let grant = Grant { scopes: [Scope::Gateway].into(), ..all_scopes() };
        assert_eq!(house.get("/api/v1/brains", &house.token(&acme, grant)).await.0, 403);
    }
    let (_, trail) = house.get("/api/v1/audit?limit=100", &all).await;
    let refused = trail["items"].as_array().unwrap().iter().filter(|entry| entry["act"] == "refused").count();
    assert!((20..25).contains(&refused), "{refused}: {trail}");
    house.close().await;
}

/// Row F8: each trail tells of its own tenant, and the operator's of what the operator did.
#[tokio::test(flavor = "multi_thread")]
async fn who_did_what_stands_in_the_trail_of_whom_it_concerns() {
    let house = House::open(asking()).await;
    let boss = house.boss();
    assert_eq!(house.post("/api/v1/tenants", &boss, json!({"name": "acme"})).await.0, 201);
    let token = json!({"name": "laptop", "scopes": ["brains", "read", "approve", "audit", "tokens"]});
    let (status, minted) = house.post("/api/v1/tenants/acme/tokens", &boss, token).await;
    assert_eq!(status, 201, "{minted}");
    let acme = minted["token"].as_str().unwrap();
    let (_, bolt) = house.tenant("bolt");
    let brain = house.brain(acme, "say hello", "asking").await;
    let (_, asked) = house.get("/api/v1/questions", acme).await;
    let digest = asked["items"][0]["digest"].as_str().unwrap();
    let answer = format!("/api/v1/brains/{brain}/questions/{digest}");
    assert_eq!(house.post(&answer, acme, json!({"answer": "no"})).await.0, 204);
    house.until(acme, &brain, "done").await;
    let acts = |trail: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        trail["items"].as_array().unwrap().iter().map(|e| (text(&e["act"]), text(&e["actor"]))).collect()
    };
    let mut own = Vec::new();
    for _ in 0..60 {
        own = acts(&house.get("/api/v1/audit?limit=100", acme).await.1);
        if own.iter().any(|(act, _)| act == "brain.ended") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let names: Vec<&str> = own.iter().map(|(act, _)| act.as_str()).collect();
    assert_eq!(names, ["token.minted", "brain.admitted", "verdict", "approval", "brain.ended"]);
    let laptop = minted["id"].as_str().unwrap();
    assert_eq!(own[1].1, format!("token:{laptop}"));
    assert_eq!(own[3].1, format!("person:laptop (token {laptop})"));
    let operators = acts(&house.get("/api/v1/audit", &boss).await.1);
    assert_eq!(operators.iter().map(|(act, _)| act.as_str()).collect::<Vec<_>>(), ["tenant.created"]);
    assert!(acts(&house.get("/api/v1/audit", &bolt).await.1).is_empty());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brain_is_begun_once_for_a_key_also_after_a_restart() {
    let house = House::open(done()).await;
    let (_, token) = house.tenant("acme");
    let first = begin(&house, &token, "one", Some("key-1")).await.1["id"].clone();
    assert_eq!(begin(&house, &token, "one", Some("key-1")).await.1["id"], first);
    assert_eq!(begin(&house, &token, "another", Some("key-1")).await.0, 422);
    assert_ne!(begin(&house, &token, "one", Some("key-2")).await.1["id"], first);
    assert_ne!(begin(&house, &token, "one", None).await.1["id"], first);
    let data = house.close().await;
    let house = House::at(data, done(), ResidentsSettings::default()).await;
    assert_eq!(begin(&house, &token, "one", Some("key-1")).await.1["id"], first, "nothing is in memory any more");
    assert_eq!(begin(&house, &token, "another", Some("key-2")).await.0, 409);
    assert_eq!(house.get("/api/v1/brains", &token).await.1["items"].as_array().unwrap().len(), 3);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_brains_are_awake_as_the_terms_say_and_the_others_wait_their_turn() {
    let house = House::open(asking()).await;
    let (acme, token) = house.tenant("acme");
    house.tenants.set_terms(&house.operator, acme.tenant(), Terms { awake: 1, ..Terms::default() }).unwrap();
    let first = house.brain(&token, "first", "asking").await;
    let second = house.brain(&token, "second", "waiting").await;
    assert_eq!(house.post(&format!("/api/v1/brains/{first}/stop"), &token, json!({"now": true})).await.0, 204);
    house.until(&token, &first, "stopped").await;
    house.until(&token, &second, "asking").await;
    // One that waits can be stopped too, and then does not come to its turn.
    let third = house.brain(&token, "third", "waiting").await;
    assert_eq!(house.post(&format!("/api/v1/brains/{third}/stop"), &token, json!({})).await.0, 204);
    house.until(&token, &third, "interrupted").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brains_that_were_awake_go_on_after_a_restart_and_those_that_rested_rest() {
    let house = House::open(asking()).await;
    let (_, token) = house.tenant("acme");
    let awake = house.brain(&token, "awake", "asking").await;
    let (status, resting) =
        house.post("/api/v1/brains", &token, json!({"goal": "rest", "model": "m", "start": false})).await;
    assert_eq!((status, &resting["state"]), (201, &json!("resting")));
    let data = house.close().await;
    let house = House::at(data, asking(), ResidentsSettings::default()).await;
    let left = house.faces.residents.wake_all(&house.operator).await.unwrap();
    assert_eq!(left, []);
    house.until(&token, &awake, "asking").await;
    let path = format!("/api/v1/brains/{}", resting["id"].as_str().unwrap());
    assert_eq!(house.get(&path, &token).await.1["state"], "resting");
    assert_eq!(house.post(&format!("{path}/wake"), &token, json!({})).await.0, 202);
    house.until(&token, resting["id"].as_str().unwrap(), "done").await;
    house.close().await;
}

/// After a power cut the list of those that were awake is in doubt: it is made anew from the journals.
#[tokio::test(flavor = "multi_thread")]
async fn g1_where_the_index_is_in_doubt_the_journals_tell_who_was_awake() {
    let house = House::open(asking()).await;
    let (_, token) = house.tenant("acme");
    let awake = house.brain(&token, "awake", "asking").await;
    let (_, resting) = house.post("/api/v1/brains", &token, json!({"goal": "r", "model": "m", "start": false})).await;
    // As a cut would: it is gone with what it held, in the middle of things.
    let data = house.data.path().to_owned();
    house.faces.residents.close(Duration::ZERO).await;
    std::fs::remove_dir_all(data.join("awake")).unwrap();
    let dir = house.close().await;
    let house = House::at(dir, asking(), ResidentsSettings::default()).await;
    assert_eq!(house.faces.residents.wake_all(&house.operator).await.unwrap(), []);
    // It was stopped when the host closed, which its journal says: that is not being interrupted.
    let state = house.get(&format!("/api/v1/brains/{awake}"), &token).await.1["state"].clone();
    assert!(state == "stopped" || state == "asking", "{state}");
    let rested = house.get(&format!("/api/v1/brains/{}", resting["id"].as_str().unwrap()), &token).await.1;
    assert_eq!(rested["state"], "resting");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenant_rests_and_goes_on_when_it_is_served_again() {
    let house = House::open(asking()).await;
    let boss = house.boss();
    let (acme, token) = house.tenant("acme");
    let brain = house.brain(&token, "awake", "asking").await;
    let suspend = |yes: bool| json!({"suspended": yes});
    let set = |body: Value| told(house.ask(&Method::PATCH, "/api/v1/tenants/acme", &boss).json(&body));
    assert_eq!(set(suspend(true)).await.1["state"], "suspended");
    assert_eq!(house.get("/api/v1/me", &token).await.0, 401);
    assert!(house.faces.residents.open_now().await.iter().all(|one| one.record().name != *acme.tenant()));
    assert_eq!(set(suspend(false)).await.1["state"], "active");
    house.until(&token, &brain, "asking").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_removed_leaves_nothing_and_its_name_is_somebody_elses() {
    let house = House::open(asking()).await;
    let boss = house.boss();
    let (_, token) = house.tenant("acme");
    let brain = house.brain(&token, "awake", "asking").await;
    let upload = house.ask(&Method::POST, &format!("/api/v1/brains/{brain}/artifacts?path=a.txt"), &token).body("x");
    assert_eq!(told(upload).await.0, 201);
    // A tree that no path reaches, and links out of it: nothing is followed.
    let home = house.data.path().join("homes/acme").join(&brain);
    let kept = house.data.path().join("kept.txt");
    std::fs::write(&kept, "kept").unwrap();
    std::os::unix::fs::symlink(&kept, home.join("link")).unwrap();
    let deep: std::path::PathBuf = std::iter::repeat_n("d", 300).collect();
    std::fs::create_dir_all(home.join(deep)).unwrap();
    let (status, removed) = told(house.ask(&Method::DELETE, "/api/v1/tenants/acme", &boss)).await;
    assert_eq!((status, &removed["report"][0]), (200, &json!("destroyed")), "{removed}");
    assert!(!house.data.path().join("homes/acme").exists());
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "kept");
    assert_eq!(house.get("/api/v1/me", &token).await.0, 401);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_number_of_tenants_is_open_and_all_are_served() {
    let house = House::over(done(), ResidentsSettings { most: 2, limit: 4 }).await;
    let tokens: Vec<String> = (0..6).map(|n| house.tenant(&format!("t{n}")).1).collect();
    for round in 0..3 {
        for token in &tokens {
            let (status, brain) = begin(&house, token, &format!("round {round}"), None).await;
            assert_eq!(status, 201, "{brain}");
            house.until(token, brain["id"].as_str().unwrap(), "done").await;
        }
        let open = house.faces.residents.open_now().await.len();
        assert!(open <= 4, "{open} are open");
    }
    for token in &tokens {
        assert_eq!(house.get("/api/v1/brains", token).await.1["items"].as_array().unwrap().len(), 3);
    }
    house.close().await;
}

/// Row F3: a token that ends takes with it what it follows and what it began.
#[tokio::test(flavor = "multi_thread")]
async fn f3_a_token_that_ends_ends_its_streams_and_its_brains() {
    let house = House::open(asking()).await;
    let (acme, owner) = house.tenant("acme");
    let minted = house.tokens.mint(&acme, all_scopes()).unwrap();
    let brain = house.brain(minted.token.expose(), "one", "asking").await;
    let path = format!("/api/v1/brains/{brain}/stream");
    let stream = house.ask(&Method::GET, &path, minted.token.expose()).send().await.unwrap();
    house.tokens.revoke(&acme, &minted.id).unwrap();
    let (_, asked) = house.get("/api/v1/questions", &owner).await;
    let digest = asked["items"][0]["digest"].as_str().unwrap();
    let answer = format!("/api/v1/brains/{brain}/questions/{digest}");
    assert_eq!(house.post(&answer, &owner, json!({"answer": "no"})).await.0, 204);
    let now = house.until(&owner, &brain, "faulted").await;
    assert!(now["why"].as_str().unwrap().contains("the token that began it has ended"), "{now}");
    let seen = stream.text().await.unwrap();
    assert!(!seen.contains("event: rest") && !seen.contains("event: fault"), "{seen}");
    house.close().await;
}

/// Row F7: what one has on disk is bounded, and said.
#[tokio::test(flavor = "multi_thread")]
async fn f7_a_tenant_whose_workspaces_are_full_begins_no_brain_and_uploads_nothing() {
    let house = House::open(done()).await;
    let (acme, token) = house.tenant("acme");
    let brain = begin(&house, &token, "first", None).await.1["id"].as_str().unwrap().to_owned();
    house.until(&token, &brain, "done").await;
    let path = format!("/api/v1/brains/{brain}/artifacts?path=big.bin");
    let upload = || house.ask(&Method::POST, &path, &token).body(vec![1u8; 200_000]);
    assert_eq!(told(upload()).await.0, 201);
    let terms = Terms { disk_bytes: 100_000, ..Terms::default() };
    house.tenants.set_terms(&house.operator, acme.tenant(), terms).unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for (status, told) in [begin(&house, &token, "second", None).await, told(upload()).await] {
        assert!(status == 429 && told["detail"].as_str().unwrap().contains("disk_bytes"), "{told}");
    }
    house.close().await;
}

/// CVE-2026-47101: a key with more than its minter has.
#[tokio::test(flavor = "multi_thread")]
async fn scopes_of_a_minted_token_are_never_wider_than_its_issuers() {
    let house = House::open(done()).await;
    let (acme, _) = house.tenant("acme");
    let issuer = house.token(&acme, Grant { scopes: vec![Scope::Tokens, Scope::Read], ..Grant::gateway("issuer") });
    for (scopes, wanted) in [(vec!["read"], 201), (vec!["brains"], 403), (vec!["read", "approve"], 403)] {
        let (status, told) = house.post("/api/v1/tokens", &issuer, json!({"name": "x", "scopes": scopes})).await;
        assert_eq!(status, wanted, "{scopes:?}: {told}");
    }
    let whole = house.token(&acme, all_scopes());
    let (status, told) = house.post("/api/v1/tokens", &whole, json!({"name": "x", "scopes": ["operator"]})).await;
    assert_eq!(status, 400, "{told}");
    house.tenants.set_state(&house.operator, &name("acme"), TenantState::Suspended).unwrap();
    assert_eq!(house.get("/api/v1/me", &whole).await.0, 401);
    house.close().await;
}
