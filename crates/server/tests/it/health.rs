//! What is told of the server's health, to whom, and what is not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use autoshare_access::{Grant, Scope};
use autoshare_core::fair::{Places, Room};
use autoshare_server::health::{Disk, HealthParts, HealthSettings};
use autoshare_testkit::{Fault, Script, Turn};
use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, told, well};

fn asking() -> Script {
    Script::new([Turn::call("execute_shell", json!({"command": "echo the-command"})), Turn::text("The end.")])
}

async fn page(house: &House, token: &str) -> String {
    let response = house.ask(&Method::GET, "/metrics", token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(response.headers()["cache-control"], "no-store");
    response.text().await.unwrap()
}

/// The samples of a page, which is held against the format's rules on the way.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let (mut all, mut families) = (BTreeMap::new(), BTreeSet::new());
    let mut family = String::new();
    assert!(page.ends_with('\n'));
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap().to_owned();
            assert!(families.insert(family.clone()), "{family} stands twice");
            let kind = lines.next().unwrap();
            let kind = kind.strip_prefix(&format!("# TYPE {family} ")).unwrap_or_else(|| panic!("{kind}"));
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let base = name.strip_prefix(&family).unwrap_or_else(|| panic!("{name} stands below {family}"));
        assert!(["", "_bucket", "_sum", "_count"].contains(&base), "{line}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{line}");
        assert!(all.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{series} stands twice");
    }
    all
}

/// The opaque ids of tenants on a page.
fn ids(page: &str) -> BTreeSet<String> {
    let labels = page.lines().filter_map(|line| line.split("tenant=\"").nth(1)?.split('"').next());
    labels.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_figures_tell_the_operator_of_all_and_a_tenant_of_itself_and_name_nobody() {
    let parts = HealthParts { places: vec![("model_calls", Places::new(Room::MODEL_CALLS))], ..well() };
    let house = House::with(asking(), parts).await;
    let tenants = ["acme-secret", "bolt-secret"];
    let mut telling: Vec<String> = ["the-goal", "the-command", "the-file", "execute_shell"].map(str::to_owned).into();
    let mut tokens = Vec::new();
    for name in tenants {
        let (_, token) = house.tenant(name);
        let brain = house.brain(&token, &format!("the-goal of {name}"), "asking").await;
        let upload = house.ask(&Method::POST, &format!("/api/v1/brains/{brain}/artifacts?path=the-file.txt"), &token);
        assert_eq!(told(upload.body("x")).await.0, 201);
        assert_eq!(house.get(&format!("/api/v1/brains/{brain}/nothing-there"), &token).await.0, 404);
        telling.extend([name.to_owned(), brain]);
        tokens.push(token);
    }
    let boss = house.boss();
    let (_, listed) = house.get("/api/v1/tenants", &boss).await;
    let opaque: BTreeMap<&str, &str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tenant| (tenant["name"].as_str().unwrap(), tenant["opaque_id"].as_str().unwrap()))
        .collect();

    let all = page(&house, &boss).await;
    let own = page(&house, &tokens[0]).await;
    for text in &telling {
        assert!(!all.contains(text) && !own.contains(text), "{text:?} stands in the figures");
    }
    // The control: they do stand where they belong.
    let (_, seen) = house.get("/api/v1/brains", &tokens[0]).await;
    assert!(seen.to_string().contains("the-goal of acme-secret"));
    assert_eq!(house.model.requests().len(), 2, "each brain asked its model once");

    let ids_of = |names: &[&str]| names.iter().map(|name| opaque[name].to_owned()).collect::<BTreeSet<_>>();
    assert!(opaque.values().all(|id| id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit())), "{opaque:?}");
    assert_eq!(ids(&all), ids_of(&["acme-secret", "bolt-secret", "local"]), "as the operator's API has them");
    assert_eq!(ids(&own), ids_of(&["acme-secret"]), "a tenant is told of itself alone");

    let (all, own) = (samples(&all), samples(&own));
    let of = |name: &str, metric: &str, rest: &str| format!("{metric}{{tenant=\"{}\"{rest}}}", opaque[name]);
    for (metric, rest, wanted) in [
        ("autoshare_tenant_brains_asking", "", 1.0),
        ("autoshare_tenant_brains_awake", "", 1.0),
        ("autoshare_tenant_model_calls_total", ",result=\"done\"", 1.0),
        ("autoshare_tenant_model_calls_total", ",result=\"failed\"", 0.0),
        ("autoshare_tenant_requests_total", ",status=\"4xx\"", 1.0),
    ] {
        let series = of("acme-secret", metric, rest);
        assert_eq!((own.get(&series), all.get(&series)), (Some(&wanted), Some(&wanted)), "{series}");
    }
    assert!(own.keys().all(|series| series.starts_with("autoshare_tenant_")), "nothing of the machine: {own:?}");
    for (series, wanted) in [
        ("autoshare_brains_asking", 2.0),
        ("autoshare_brains_silent", 0.0),
        ("autoshare_tenants_open", 2.0),
        ("autoshare_model_calls_total{result=\"done\"}", 2.0),
        ("autoshare_unwell{part=\"disk\"}", 0.0),
        ("autoshare_places_waiting{of=\"model_calls\"}", 0.0),
        ("autoshare_requests_total{face=\"api\",status=\"4xx\"}", 2.0),
        (concat!("autoshare_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(all.get(series), Some(&wanted), "{series}: {all:#?}");
    }
    for series in ["process_resident_memory_bytes", "process_open_fds", "autoshare_journal_append_seconds_count"] {
        assert!(all[series] > 0.0, "{series}");
    }
    let done = all["autoshare_requests_total{face=\"api\",status=\"2xx\"}"];
    let failed = all["autoshare_requests_total{face=\"api\",status=\"4xx\"}"];
    assert_eq!(all["autoshare_request_seconds_count{face=\"api\"}"], done + failed);

    // A tenant that is closed takes nothing from the sum.
    let suspend = house.ask(&Method::PATCH, "/api/v1/tenants/bolt-secret", &boss).json(&json!({"suspended": true}));
    assert_eq!(told(suspend).await.0, 200);
    let after = samples(&page(&house, &boss).await);
    // The operator's own is open for what is written into its trail.
    assert_eq!((after["autoshare_tenants_open"], after["autoshare_model_calls_total{result=\"done\"}"]), (2.0, 2.0));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_figures_are_closed_to_whoever_has_no_right() {
    let house = House::open(asking()).await;
    let (access, _) = house.tenant("acme");
    let poor = house.token(&access, Grant { scopes: vec![Scope::Gateway], ..Grant::gateway("poor") });
    let (stranger, refused) = told(house.client.get(format!("{}/metrics", house.base))).await;
    let (other, also) = house.get("/api/v1/me", "as_garbage").await;
    assert_eq!((stranger, other), (401, 401));
    assert_eq!(refused, also, "as everywhere");
    let (status, told_it) = house.get("/metrics", &poor).await;
    assert_eq!((status, told_it["detail"].as_str().unwrap()), (403, "this token has not the scope read"));
    let posted = told(house.ask(&Method::POST, "/metrics", &poor)).await;
    assert_eq!(posted.0, 405);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_tenants_than_are_told_of_are_summed_up() {
    let settings = HealthSettings { tenants: 2, ..HealthSettings::default() };
    let house = House::with(asking(), HealthParts { settings, ..well() }).await;
    for n in 0..6u64 {
        let (_, token) = house.tenant(&format!("tenant-{n}"));
        for _ in 0..=n {
            assert_eq!(house.get("/api/v1/me", &token).await.0, 200);
        }
    }
    let page = page(&house, &house.boss()).await;
    let (ids, all) = (ids(&page), samples(&page));
    assert_eq!((ids.len(), ids.contains("rest")), (3, true), "{ids:?}");
    let done = |id: &str| all[&format!("autoshare_tenant_requests_total{{tenant=\"{id}\",status=\"2xx\"}}")];
    let mut busiest: Vec<f64> = ids.iter().filter(|id| *id != "rest").map(|id| done(id)).collect();
    busiest.sort_by(f64::total_cmp);
    assert_eq!((busiest, done("rest")), (vec![5.0, 6.0], 10.0));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_or_says_which_part_is_not() {
    let (dir, is_gone) = (tempfile::tempdir().unwrap(), Arc::new(AtomicBool::new(false)));
    let with = |least_free: u64| {
        let is_gone = Arc::clone(&is_gone);
        HealthParts {
            settings: HealthSettings { least_free, ..HealthSettings::default() },
            cells: Box::new(move || (3, 1, is_gone.load(Ordering::Relaxed))),
            disks: vec![("data", Disk::of(dir.path()).unwrap())],
            ..well()
        }
    };
    let parts = |told: &Value| -> Vec<String> {
        let reasons = told["reasons"].as_array().unwrap().iter();
        reasons.map(|reason| reason["part"].as_str().unwrap().to_owned()).collect()
    };
    for (gone, least_free, wanted) in [
        (false, 0, vec![]),
        (true, 0, vec!["cells"]),
        (false, u64::MAX, vec!["disk"]),
        (true, u64::MAX, vec!["cells", "disk"]),
    ] {
        is_gone.store(gone, Ordering::Relaxed);
        let house = House::with(asking(), with(least_free)).await;
        let ready = || house.client.get(format!("{}/readyz", house.base));
        let (status, body) = told(ready().header("accept", "text/html, application/json;q=0.9")).await;
        assert_eq!(
            (status, body["ready"].as_bool().unwrap()),
            (if wanted.is_empty() { 200 } else { 503 }, wanted.is_empty())
        );
        assert_eq!(parts(&body), wanted);
        let (same, words) = told(ready()).await;
        let words = words.as_str().unwrap();
        assert_eq!((same, words.starts_with("not ready: ")), (status, !wanted.is_empty()), "{words}");
        assert_eq!(words.contains("launcher is gone"), gone, "{words}");
        // It lives, whatever is the matter.
        assert_eq!(told(house.client.get(format!("{}/livez", house.base))).await, (200, json!("alive")));
        let all = samples(&page(&house, &house.boss()).await);
        assert_eq!(all["autoshare_unwell{part=\"cells\"}"], f64::from(u8::from(gone)));
        assert_eq!(all["autoshare_cells_total{result=\"made\"}"], 3.0);
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_to_end_says_so_while_it_still_answers() {
    let house = House::noticing(asking(), well(), Duration::from_secs(1)).await;
    let at = |path: &str| house.client.get(format!("{}{path}", house.base));
    assert_eq!(told(at("/readyz")).await.0, 200);
    let house = house.leave().await;
    let at = |path: &str| house.client.get(format!("{}{path}", house.base)).header("accept", "application/json");
    let (status, body) = told(at("/readyz")).await;
    assert_eq!((status, body["reasons"][0]["part"].as_str()), (503, Some("draining")));
    let (_, token) = house.tenant("acme");
    assert_eq!(house.get("/api/v1/me", &token).await.0, 200, "who comes nevertheless is served");
    house.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journals_that_cannot_be_written_are_a_reason_and_whose_they_are_is_not_said() {
    let house = House::open(Script::new([Turn::text("done")])).await;
    let (_, token) = house.tenant("acme-secret");
    let ready = || told(house.client.get(format!("{}/readyz", house.base)).header("accept", "application/json"));
    assert_eq!(house.get("/api/v1/brains", &token).await.0, 200);
    assert_eq!(ready().await.0, 200);
    let journal = house.data.path().join("tenants/acme-secret/journal.db");
    assert!(journal.exists(), "{journal:?}");
    house.break_journal("acme-secret");
    let (status, _) = house.post("/api/v1/brains", &token, json!({"goal": "g", "model": "m"})).await;
    assert_eq!(status, 500);
    let (status, body) = ready().await;
    assert_eq!((status, body["reasons"][0]["part"].as_str()), (503, Some("journals")), "{body}");
    assert!(!body.to_string().contains("acme"), "{body}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brain_of_which_nothing_is_heard_is_counted_and_one_that_asks_is_not() {
    let settings = HealthSettings { silent_after: Duration::from_millis(400), ..HealthSettings::default() };
    let turns = [Turn::text("done").fault(Fault::Silence { after: None })];
    let house = House::with(Script::new(turns), HealthParts { settings, ..well() }).await;
    let (_, token) = house.tenant("acme");
    let boss = house.boss();
    let (status, brain) = house.post("/api/v1/brains", &token, json!({"goal": "g", "model": "m"})).await;
    assert_eq!(status, 201);
    let silent = || async { samples(&page(&house, &boss).await)["autoshare_brains_silent"] };
    assert_eq!(silent().await, 0.0);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(silent().await, 1.0);
    let stop = format!("/api/v1/brains/{}/stop", brain["id"].as_str().unwrap());
    assert_eq!(house.post(&stop, &token, json!({"now": true})).await.0, 204);
    house.until(&token, brain["id"].as_str().unwrap(), "stopped").await;
    assert_eq!(silent().await, 0.0);
    house.close().await;

    let house = House::with(asking(), HealthParts { settings, ..well() }).await;
    let (_, token) = house.tenant("acme");
    house.brain(&token, "g", "asking").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let all = samples(&page(&house, &house.boss()).await);
    assert_eq!((all["autoshare_brains_silent"], all["autoshare_brains_asking"]), (0.0, 1.0));
    house.close().await;
}
