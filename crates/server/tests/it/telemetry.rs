//! What leaves by itself: traces and alerts, and what becomes of them where nobody takes them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use autoshare_access::Terms;
use autoshare_broker::{Outbound, Timeouts, Webhook};
use autoshare_server::health::{HealthParts, HealthSettings};
use autoshare_server::telemetry::{AlertKind, ReceiverSettings, TelemetryParts, TracesSettings};
use autoshare_testkit::{Canary, Fault, Script, Turn};
use autoshare_vault::Sensitive;
use memchr::memmem::find;
use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, told, well};
use crate::upstream::{Came, Says, Upstream};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn outbound(to: &Upstream) -> Outbound {
    Outbound::new(&to.base(), None, None, &Timeouts::default()).unwrap()
}

fn traced(parts: &mut TelemetryParts, to: &Upstream, settings: TracesSettings) {
    parts.traces = Some((outbound(to), settings));
}

fn alerted(parts: &mut TelemetryParts, to: &Upstream, settings: ReceiverSettings) {
    let webhook = Webhook::new(outbound(to), &[Sensitive::new(SECRET.to_owned())]).unwrap();
    parts.receivers.push((webhook, settings));
}

/// Spans are sent after this.
fn soon() -> TracesSettings {
    TracesSettings { interval: Duration::from_millis(50), ..TracesSettings::default() }
}

/// Everything is looked at often.
fn watchful() -> HealthParts {
    let settings = HealthSettings { silent_after: Duration::from_millis(200), ..HealthSettings::default() };
    HealthParts { settings, ..well() }
}

fn done() -> Script {
    Script::new([Turn::text("The end.")])
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not come to be that {what}");
}

fn messages(to: &Upstream) -> Vec<Value> {
    to.came().iter().map(|came| serde_json::from_slice(&came.body).unwrap()).collect()
}

async fn metric(house: &House, name: &str) -> u64 {
    let page = house.ask(&Method::GET, "/metrics", &house.boss()).send().await.unwrap().text().await.unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {page}"));
    line.trim().parse().unwrap()
}

async fn begin(house: &House, token: &str, goal: &str) -> String {
    let (status, brain) = house.post("/api/v1/brains", token, json!({"goal": goal, "model": "m"})).await;
    assert_eq!(status, 201, "{brain}");
    brain["id"].as_str().unwrap().to_owned()
}

/// A tenant that may ask so often in a minute, and a token of it.
fn limited(house: &House, name: &str, requests: u64) -> String {
    let (access, token) = house.tenant(name);
    let terms = Terms { requests_per_minute: Some(requests), ..Terms::default() };
    house.tenants.set_terms(&house.operator, access.tenant(), terms).unwrap();
    token
}

/// What is sent holds these ids and none of the words.
#[tokio::test(flavor = "multi_thread")]
async fn f8_no_content_is_in_what_leaves() {
    let [goal, answer, argument, attached] = std::array::from_fn(|_| Canary::new());
    let (collector, receiver) = (Upstream::start(|_| Says::json("")).await, Upstream::start(|_| Says::json("")).await);
    let command = json!({"command": format!("echo {}", argument.as_str())});
    let write = json!({"path": format!("{}.md", argument.as_str()), "content": argument.as_str()});
    let write = Turn { text: answer.as_str().to_owned(), ..Turn::call("write_file", write) };
    let script = Script::new([Turn::call("execute_shell", command), write]);
    let house = House::sending(script, watchful(), |parts| {
        traced(parts, &collector, soon());
        alerted(parts, &receiver, ReceiverSettings::default());
    })
    .await;
    let (_, token) = house.tenant("acme-secret");
    let body = json!({
        "goal": goal.as_str(),
        "model": "m",
        "ask_always": true,
        "attached": [{"name": format!("{}.txt", attached.as_str()), "text": attached.as_str()}],
    });
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = house.ask(&Method::POST, "/api/v1/brains", &token).header("traceparent", parent).json(&body);
    let (status, brain) = told(request).await;
    assert_eq!(status, 201, "{brain}");
    let id = brain["id"].as_str().unwrap();
    house.until(&token, id, "asking").await;
    let questions = house.get("/api/v1/questions", &token).await.1;
    let digest = questions["items"][0]["digest"].as_str().unwrap().to_owned();
    // There are no cells here: what is allowed fails, and the next one ends the brain.
    let path = format!("/api/v1/brains/{id}/questions/{digest}");
    assert_eq!(house.post(&path, &token, json!({"answer": "yes"})).await.0, 204);
    until("an alert came", || !receiver.came().is_empty()).await;
    let has = |bytes: &[u8]| collector.came().iter().any(|came| find(&came.body, bytes).is_some());
    until("the brain's spans came", || has(b"invoke_agent")).await;
    for part in ["chat m", "execute_tool execute_shell", id, "gen_ai.usage.input_tokens", "error.type", "cell"] {
        assert!(has(part.as_bytes()), "{part}");
    }
    assert!(has(&[0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd]), "the trace is its caller's");
    assert!(has(&[0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]), "and below their span");

    let message = &messages(&receiver)[0];
    assert_eq!((message["type"].as_str(), message["data"]["brain"].as_str()), (Some("cell.failed"), Some(id)));
    let tenants = house.get("/api/v1/tenants", &house.boss()).await.1;
    let opaque = tenants["items"].as_array().unwrap().iter().find(|one| one["name"] == "acme-secret").unwrap();
    assert_eq!(message["data"]["tenant"], opaque["opaque_id"]);
    assert!(has(opaque["opaque_id"].as_str().unwrap().as_bytes()));

    let all: Vec<Came> = collector.came().into_iter().chain(receiver.came()).collect();
    let words = [goal.as_str(), answer.as_str(), argument.as_str(), attached.as_str(), "acme-secret", &token];
    for came in &all {
        let bytes = [format!("{:?}", came.headers).as_bytes(), &came.body].concat();
        for word in words {
            assert!(find(&bytes, word.as_bytes()).is_none(), "{word} has left");
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_sent_again_when_the_collector_asks_for_time_and_what_it_refuses_is_counted() {
    let calls = AtomicUsize::new(0);
    let collector = Upstream::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Says::new(503, "text/plain", &["later"]).header("retry-after", "1"),
        1 => Says::new(429, "text/plain", &["later"]).header("retry-after", "0"),
        // One span was refused.
        2 => Says::new(200, "application/x-protobuf", &["\u{a}\u{2}\u{8}\u{1}"]),
        _ => Says::new(400, "text/plain", &["never"]),
    })
    .await;
    let house = House::sending(done(), well(), |parts| traced(parts, &collector, soon())).await;
    let (_, token) = house.tenant("acme");
    let begun = Instant::now();
    let brain = begin(&house, &token, "g").await;
    house.until(&token, &brain, "done").await;
    until("it was sent three times", || collector.came().len() == 3).await;
    let came = collector.came();
    assert!(begun.elapsed() > Duration::from_secs(1), "it waited as it was asked to");
    assert!(came.iter().all(|one| one.body == came[0].body && one.headers["content-type"] == "application/x-protobuf"));
    let counts = async |result: &str| metric(&house, &format!("autoshare_spans_total{{result=\"{result}\"}}")).await;
    until("it is counted", || true).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((counts("sent").await, counts("failed").await, counts("dropped").await), (1, 1, 0));

    let brain = begin(&house, &token, "g").await;
    house.until(&token, &brain, "done").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(collector.came().len(), 4, "what is refused for good is not sent again");
    assert_eq!((counts("sent").await, counts("failed").await), (1, 3));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_collector_that_never_answers_and_what_has_no_room_is_counted() {
    let collector = Upstream::start(|_| Says::json("").after(Duration::from_secs(3_600))).await;
    let settings = TracesSettings { queue: 4, ..soon() };
    let house = House::sending(done(), well(), |parts| traced(parts, &collector, settings)).await;
    let (_, token) = house.tenant("acme");
    let first = begin(&house, &token, "g").await;
    house.until(&token, &first, "done").await;
    until("it was asked", || !collector.came().is_empty()).await;
    let begun = Instant::now();
    for _ in 0..5 {
        let brain = begin(&house, &token, "g").await;
        house.until(&token, &brain, "done").await;
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(metric(&house, "autoshare_spans_total{result=\"dropped\"}").await, 6, "of 10 spans, 4 have room");
    assert_eq!(metric(&house, "autoshare_spans_waiting").await, 6, "and two are under way");
    let begun = Instant::now();
    house.close().await;
    assert!(begun.elapsed() < Duration::from_secs(6), "its end is bounded too: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_sent_at_the_end_and_of_a_brain_all_is_told_or_nothing() {
    let collector = Upstream::start(|_| Says::json("")).await;
    let settings = TracesSettings { interval: Duration::from_secs(3_600), ..TracesSettings::default() };
    let house = House::sending(done(), well(), |parts| traced(parts, &collector, settings)).await;
    let (_, token) = house.tenant("acme");
    let brain = begin(&house, &token, "g").await;
    house.until(&token, &brain, "done").await;
    assert_eq!(collector.came().len(), 0);
    house.close().await;
    assert_eq!(collector.came().len(), 1);

    let settings = TracesSettings { share: 500_000, ..settings };
    let house = House::sending(done(), well(), |parts| traced(parts, &collector, settings)).await;
    let (_, token) = house.tenant("acme");
    let mut brains = Vec::new();
    for _ in 0..16 {
        let brain = begin(&house, &token, "g").await;
        house.until(&token, &brain, "done").await;
        brains.push(brain);
    }
    house.close().await;
    let body = collector.last().body;
    let told = |brain: &String| memchr::memmem::find_iter(&body, brain.as_bytes()).count();
    // Its id stands twice in each of its two spans.
    assert!(brains.iter().all(|brain| [0, 4].contains(&told(brain))));
    let count = brains.iter().filter(|brain| told(brain) > 0).count();
    assert!((1..16).contains(&count), "{count} of 16; all or none is one in 32,768");
}

#[tokio::test(flavor = "multi_thread")]
async fn e7_a_tenant_that_runs_into_its_limits_causes_one_alert() {
    let receiver = Upstream::start(|_| Says::json("")).await;
    let house =
        House::sending(done(), watchful(), |parts| alerted(parts, &receiver, ReceiverSettings::default())).await;
    // Over a connection each: on one of them whoever asks on is heard less and less often.
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    for name in ["flood", "calm"] {
        let token = limited(&house, name, 2);
        let mut refused = 0;
        for _ in 0..(if name == "flood" { 300 } else { 4 }) {
            let asked = client.get(format!("{}/api/v1/me", house.base)).bearer_auth(&token);
            refused += usize::from(asked.send().await.unwrap().status() == 429);
        }
        assert!(refused > 0);
    }
    until("both are told of", || receiver.came().len() == 2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let all = messages(&receiver);
    let tenants: BTreeSet<&str> = all.iter().map(|one| one["data"]["tenant"].as_str().unwrap()).collect();
    assert_eq!((all.len(), tenants.len()), (2, 2), "{all:?}");
    assert!(all.iter().all(|one| one["type"] == "tenant.limited"), "{all:?}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_well_is_told_to_those_who_want_to_know() {
    let (all, some) = (Upstream::start(|_| Says::json("")).await, Upstream::start(|_| Says::json("")).await);
    let turns = [Turn::text("done").fault(Fault::Silence { after: None })];
    let house = House::sending(Script::new(turns), watchful(), |parts| {
        alerted(parts, &all, ReceiverSettings::default());
        let kinds = BTreeSet::from([AlertKind::NotReady]);
        alerted(parts, &some, ReceiverSettings { kinds, ..ReceiverSettings::default() });
    })
    .await;
    let (_, token) = house.tenant("acme-secret");
    let brain = begin(&house, &token, "g").await;
    until("it is silent", || !all.came().is_empty()).await;
    house.break_journal("acme-secret");
    let (status, _) = house.post("/api/v1/brains", &token, json!({"goal": "g", "model": "m"})).await;
    assert_eq!(status, 500);
    until("it is not ready", || !some.came().is_empty() && all.came().len() == 2).await;
    let told = messages(&all);
    assert_eq!((&told[0]["type"], &told[0]["data"]["brain"]), (&json!("brain.silent"), &json!(brain)));
    assert_eq!((&told[1]["type"], &told[1]["data"]["parts"]), (&json!("server.not_ready"), &json!(["journals"])));
    assert_eq!(told[1]["data"]["tenant"], Value::Null, "whose trouble it is, is not said");
    assert_eq!(messages(&some).iter().map(|one| &one["type"]).collect::<Vec<_>>(), ["server.not_ready"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_trail_that_cannot_be_written_is_told_and_counted() {
    let receiver = Upstream::start(|_| Says::json("")).await;
    let house =
        House::sending(done(), watchful(), |parts| alerted(parts, &receiver, ReceiverSettings::default())).await;
    let (_, token) = house.tenant("acme");
    let brain = begin(&house, &token, "g").await;
    house.until(&token, &brain, "done").await;
    let path = house.data.path().join("tenants/acme/audit.db");
    let trail = rusqlite::Connection::open(path).unwrap();
    trail.execute_batch("PRAGMA foreign_keys = off; DROP TABLE entry").unwrap();
    let (status, _) = house.post("/api/v1/brains", &token, json!({"goal": "g", "model": "m"})).await;
    assert_eq!(status, 500);
    until("it is told", || !receiver.came().is_empty()).await;
    let told = &messages(&receiver)[0];
    assert_eq!(told["type"], "audit.failed", "{told}");
    assert!(told["data"]["tenant"].is_string(), "{told}");
    assert!(metric(&house, "autoshare_audit_failures_total").await >= 1);
    assert!(metric(&house, "autoshare_rates_kept").await >= 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_again_under_its_id_and_never_elsewhere() {
    let elsewhere = Upstream::start(|_| Says::json("")).await;
    let to = elsewhere.base();
    let calls = AtomicUsize::new(0);
    let receiver = Upstream::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Says::new(307, "text/plain", &[]).header("location", &to),
        _ => Says::new(204, "text/plain", &[]),
    })
    .await;
    let turns = [Turn::text("done").fault(Fault::Silence { after: None })];
    let house = House::sending(Script::new(turns), watchful(), |parts| {
        alerted(parts, &receiver, ReceiverSettings::default());
    })
    .await;
    let (_, token) = house.tenant("acme");
    begin(&house, &token, "g").await;
    until("it is sent again", || receiver.came().len() == 2).await;
    let came = receiver.came();
    let of = |at: usize, name: &str| came[at].headers[name].to_str().unwrap().to_owned();
    assert_eq!((of(0, "webhook-id"), &came[0].body), (of(1, "webhook-id"), &came[1].body));
    let [first, second] = [0, 1].map(|at| of(at, "webhook-timestamp").parse::<u64>().unwrap());
    assert!(second > first, "it is signed with the time of each try");
    assert_ne!(of(0, "webhook-signature"), of(1, "webhook-signature"));
    assert_eq!(elsewhere.came().len(), 0, "no redirect is followed");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(metric(&house, "autoshare_alerts_total{result=\"sent\"}").await, 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_is_left_alone_and_a_dead_one_holds_up_no_other() {
    let gone = Upstream::start(|_| Says::new(410, "text/plain", &[])).await;
    let dead = Upstream::start(|_| Says::json("").after(Duration::from_secs(3_600))).await;
    let well = Upstream::start(|_| Says::json("")).await;
    let house = House::sending(done(), watchful(), |parts| {
        for to in [&gone, &dead, &well] {
            alerted(parts, to, ReceiverSettings { queue: 8, ..ReceiverSettings::default() });
        }
    })
    .await;
    for n in 0..12 {
        let token = limited(&house, &format!("t{n}"), 1);
        let begun = Instant::now();
        while house.get("/api/v1/me", &token).await.0 != 429 {}
        assert!(begun.elapsed() < Duration::from_secs(5));
        until("the one that is well was told", || well.came().len() == n + 1).await;
    }
    assert_eq!(gone.came().len(), 1);
    // Of 8 places tenants have 6; the first is on its way.
    assert_eq!(metric(&house, "autoshare_alerts_total{result=\"dropped\"}").await, 5);
    assert_eq!(metric(&house, "autoshare_alerts_total{result=\"failed\"}").await, 1);
    let begun = Instant::now();
    house.close().await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_nobody_took_for_too_long_is_given_up_and_what_is_new_arrives() {
    let calls = AtomicUsize::new(0);
    let receiver = Upstream::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Says::new(503, "text/plain", &[]).header("retry-after", "0"),
        _ => Says::new(204, "text/plain", &[]),
    })
    .await;
    let settings = ReceiverSettings { retry_for: Duration::from_secs(2), ..ReceiverSettings::default() };
    let house = House::sending(done(), watchful(), |parts| alerted(parts, &receiver, settings)).await;
    let runs_into = async |name: &str| {
        let token = limited(&house, name, 1);
        while house.get("/api/v1/me", &token).await.0 != 429 {}
    };
    for name in ["first", "second", "third"] {
        runs_into(name).await;
    }
    // The second try comes after 2.5 s at least.
    until("it was asked twice", || receiver.came().len() == 2).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(metric(&house, "autoshare_alerts_total{result=\"failed\"}").await, 3);
    assert_eq!(metric(&house, "autoshare_alerts_waiting").await, 0);
    runs_into("fourth").await;
    until("what is new arrives", || receiver.came().len() == 3).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(metric(&house, "autoshare_alerts_total{result=\"sent\"}").await, 1);
    house.close().await;
}
