//! Callers and upstreams that do not keep to what is usual: nothing is spent uncounted, nothing goes unrecorded, and nobody
//! keeps others out for nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use autoshare_access::Grant;
use autoshare_broker::egress::{Egress, Policy};
use autoshare_broker::gateway::{Caller, Gateway, GatewaySettings};
use autoshare_core::budget::{Budget, Cap, Caps, ModelPattern};
use autoshare_core::fair::Rate;
use autoshare_server::http::HttpSettings;
use autoshare_store::ledger::{Budgets, Ledger};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::gateway::{KEY, PARTS, Place, WHOLE, hello};
use crate::upstream::Says;

pub(crate) const FOREVER: Duration = Duration::from_secs(3_600);
const CHUNKED: &str = "transfer-encoding: chunked";

/// Sends a request by hand; `head` is its last header.
async fn send(place: &Place, path: &str, token: &str, head: &str, body: &str) -> TcpStream {
    let at = place.base.trim_start_matches("http://").trim_end_matches("/gateway");
    let mut stream = TcpStream::connect(at).await.unwrap();
    let head = format!(
        "POST /gateway{path} HTTP/1.1\r\nhost: {at}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n{head}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    stream
}

async fn ask(place: &Place, path: &str, token: &str, body: &Value) -> TcpStream {
    let body = body.to_string();
    send(place, path, token, &format!("content-length: {}", body.len()), &body).await
}

pub(crate) async fn until(what: impl Fn() -> bool) {
    for _ in 0..200 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come about in 4 s");
}

pub(crate) const CHAT: &str = "/openai/v1/chat/completions";
const MESSAGES: &str = "/anthropic/v1/messages";

pub(crate) fn streamed(model: &str) -> Value {
    let mut body = hello(model);
    body["stream"] = json!(true);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_caller_goes_away_before_the_answer_is_counted_and_recorded() {
    let mut place = Place::open(|_| Says::json(WHOLE).after(FOREVER)).await;
    let stream = ask(&place, CHAT, &place.anybody(), &hello("m")).await;
    until(|| place.upstream.came().len() == 1).await;
    drop(stream);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let records = place.records().await;
    assert_eq!(records.len(), 1, "one that was sent and paid for");
    assert_eq!((records[0].usage.output_tokens, records[0].tries), (50, 1), "{records:?}");
    assert!(records[0].error.as_deref().unwrap().contains("went away"), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_when_the_server_ends_is_recorded() {
    let mut place = Place::open(|_| Says::events(&PARTS[..1]).endless()).await;
    let token = place.anybody();
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(ask(&place, CHAT, &token, &streamed("m")).await);
    }
    until(|| place.upstream.came().len() == 20).await;
    assert_eq!(place.records().await.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn e7_who_does_not_read_his_answer_is_let_go() {
    let large = format!("data: {}\n\n", "x".repeat(64 * 1024));
    let pieces: Vec<&str> = vec![&large; 500];
    let says = Says::events(&pieces);
    let place = Place::open(move |_| says.clone()).await;
    let _unread = ask(&place, CHAT, &place.anybody(), &streamed("m")).await;
    until(|| place.upstream.came().len() == 1).await;
    until(|| place.recorded().len() == 1).await;
    assert_eq!(place.recorded()[0].usage.output_tokens, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn e7_who_sends_nothing_takes_no_room() {
    let settings = GatewaySettings { max_body: 100_000, max_bodies: 200_000, ..GatewaySettings::default() };
    let place = Place::with(|_| Says::json(WHOLE), settings, Budgets::default()).await;
    let token = place.anybody();
    let mut slow = Vec::new();
    for head in [CHUNKED, "content-length: 90000", CHUNKED, "content-length: 90000"] {
        slow.push(send(&place, CHAT, &token, head, "1\r\n{").await);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut middling = hello("m");
    middling["messages"][0]["content"] = json!("x".repeat(50_000));
    assert_eq!(place.chat(&token, &middling).await.status().as_u16(), 200);
    // What was really sent does take room.
    let much = format!("{{\"model\":\"{}", "x".repeat(80_000));
    for _ in 0..2 {
        slow.push(send(&place, CHAT, &token, "content-length: 90000", &much).await);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(place.chat(&token, &middling).await.status().as_u16(), 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_a_call_under_way_until_it_ends() {
    let settings = GatewaySettings { max_calls: 1, ..GatewaySettings::default() };
    let answers = |_: &_| Says::events(&PARTS[..1]).endless();
    let place = Place::with(answers, settings, Budgets::default()).await;
    let token = place.anybody();
    let stream = ask(&place, CHAT, &token, &streamed("m")).await;
    until(|| place.upstream.came().len() == 1).await;
    assert_eq!(place.chat(&token, &streamed("m")).await.status().as_u16(), 503);
    drop(stream);
    until(|| !place.recorded().is_empty()).await;
    assert_eq!(place.chat(&token, &streamed("m")).await.status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_before_a_caller_went_away_counts_where_it_is_more() {
    const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":90000,\"output_tokens\":1}}}\n\n";
    let mut place = Place::open(|_| Says::events(&[START]).endless()).await;
    let mut got =
        place.post(MESSAGES, &place.anybody()).body(streamed("anthropic/m").to_string()).send().await.unwrap();
    assert!(got.chunk().await.unwrap().is_some());
    drop(got);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let records = place.records().await;
    assert_eq!((records[0].usage.input_tokens, records[0].usage.output_tokens), (90_000, 50), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_after_the_last_event_pays_what_was_used() {
    let mut place = Place::open(|_| Says::events(&PARTS).endless()).await;
    let mut body = streamed("m");
    body["stream_options"] = json!({"include_usage": true});
    let mut got = place.chat(&place.anybody(), &body).await;
    let mut text = String::new();
    while !text.contains("[DONE]") {
        text.push_str(std::str::from_utf8(&got.chunk().await.unwrap().unwrap()).unwrap());
    }
    drop(got);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let records = place.records().await;
    assert_eq!((records[0].usage.input_tokens, records[0].usage.output_tokens), (7, 3), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c8_an_answer_that_ends_within_an_event_is_told_in_one_of_its_own() {
    let place = Place::open(|_| Says::events(&[PARTS[0], PARTS[1]])).await;
    let mut got = place.chat(&place.anybody(), &streamed("m")).await;
    let mut text = String::new();
    while let Ok(Some(chunk)) = got.chunk().await {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let last = text.trim_end().rsplit("\n\n").next().unwrap().strip_prefix("data: ").unwrap();
    let told: Value = serde_json::from_str(last).unwrap();
    assert!(told["error"]["message"].as_str().unwrap().contains("without saying why"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c8_json_that_holds_no_answer_is_not_said_to_be_an_empty_one() {
    for body in ["{}", "{\"choices\":[]}", "{\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}"] {
        let place = Place::open(move |_| Says::json(body)).await;
        let token = place.anybody();
        let got = place.chat(&token, &hello("anthropic/m")).await;
        assert_eq!(got.status().as_u16(), 502, "{body}: {}", got.text().await.unwrap());
        let got = place.post(MESSAGES, &token).body(hello("openai/m").to_string()).send().await.unwrap();
        assert_eq!(got.status().as_u16(), 502, "{body}: {}", got.text().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_success_is_not_free() {
    let mut place = Place::open(|_| Says::new(201, "application/json", &[WHOLE])).await;
    assert_eq!(place.chat(&place.anybody(), &hello("m")).await.status().as_u16(), 201);
    assert_eq!(place.records().await[0].usage.output_tokens, 50);
}

/// A program that asks and ends at once: its call is in its journal like any other.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_cell_asked_for_is_recorded_when_its_way_out_is_closed() {
    let upstream = crate::upstream::Upstream::start(|_| Says::json(WHOLE).after(FOREVER)).await;
    let data = tempfile::tempdir().unwrap();
    let access = autoshare_access::Access::local(data.path()).unwrap();
    let ledger = std::sync::Arc::new(Ledger::open(data.path(), &access, Budgets::default()).unwrap());
    let settings =
        autoshare_broker::Settings { base_url: Some(upstream.base()), ..autoshare_broker::Settings::default() };
    let broker = std::sync::Arc::new(autoshare_broker::Broker::new(settings).unwrap());
    let (records, mut recorded) = tokio::sync::mpsc::unbounded_channel();
    let caller = Caller { token: None, brain: None, limits: [].into(), allows: std::sync::Arc::new(|_| true), records };
    let gateway = Gateway::new(broker, ledger, GatewaySettings::default());
    let policy = Policy::new(Vec::new(), Vec::new(), 16, None).unwrap().with_gateway(gateway, caller);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let egress = Egress::serve(listener, policy).unwrap();
    let body = hello("m").to_string();
    let mut stream = TcpStream::connect(at).await.unwrap();
    let head = format!(
        "POST /gateway{CHAT} HTTP/1.1\r\nhost: {at}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    until(|| upstream.came().len() == 1).await;
    drop(stream);
    drop(egress);
    let record = tokio::time::timeout(Duration::from_secs(1), recorded.recv()).await.expect("a record").unwrap();
    assert_eq!((record.usage.output_tokens, record.tries), (50, 1), "{record:?}");
    let end = tokio::time::timeout(Duration::from_secs(1), recorded.recv()).await.expect("an end of records");
    assert!(end.is_none());
}

/// A call that another model answers is that model's, for its cap as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_is_charged_to_its_own_models_budget() {
    let day = Cap { requests: Some(1), ..Cap::NONE };
    let budget = Budget { hard: Caps { day, ..Caps::NONE }, soft: Caps::NONE };
    let budgets = Budgets { tenant: Budget::NONE, models: vec![(ModelPattern::parse("well").unwrap(), budget)] };
    let answers = |came: &crate::upstream::Came| match came.path.as_str() {
        "/v1/messages" => Says::json(
            "{\"content\":[{\"type\":\"text\",\"text\":\"well\"}],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}",
        ),
        _ => Says::new(503, "application/json", &["{}"]),
    };
    let place = Place::with(answers, GatewaySettings::default(), budgets).await;
    let token = place.token(Grant::gateway("test"));
    assert_eq!(place.chat(&token, &hello("openai/ill")).await.status().as_u16(), 200);
    let got = place.chat(&token, &hello("openai/ill")).await;
    assert_eq!(got.status().as_u16(), 429, "{}", got.text().await.unwrap());
    assert_eq!(place.chat(&token, &hello("openai/m")).await.status().as_u16(), 503, "the control");
}

#[tokio::test(flavor = "multi_thread")]
async fn c6_the_key_does_not_come_back_in_headers_nor_spelt_with_escapes() {
    let escaped: String = KEY.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let shown = [
        Says::json(WHOLE).header("x-request-id", KEY),
        Says::new(200, &format!("text/x-{KEY}"), &["?"]),
        Says::json(&format!(
            "{{\"content\":[{{\"type\":\"text\",\"text\":\"{escaped}\"}}],\"stop_reason\":\"end_turn\"}}"
        )),
        Says::json(&format!("{{\"type\":\"error\",\"error\":{{\"message\":\"{escaped}\"}}}}")),
        Says::events(&[
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            &format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{escaped}\"}}}}\n\n"
            ),
        ]),
        Says::events(&[&format!(
            "event: error\ndata: {{\"type\":\"error\",\"error\":{{\"message\":\"{escaped}\"}}}}\n\n"
        )]),
    ];
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let count = shown.len();
    let mut place = Place::open(move |_| shown[turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed)].clone()).await;
    let token = place.anybody();
    for case in 0..count {
        let model = if case < 2 { "m" } else { "anthropic/m" };
        let mut got = place.chat(&token, &if case < 4 { hello(model) } else { streamed(model) }).await;
        let mut text = format!("{:?}", got.headers());
        while let Ok(Some(chunk)) = got.chunk().await {
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
        assert!(!text.contains(KEY), "{case}: {text}");
    }
    let text = format!("{:?}", place.records().await);
    assert!(!text.contains(KEY), "{text}");
}

/// Where a place listens.
fn listens(place: &Place) -> SocketAddr {
    place.base.trim_start_matches("http://").trim_end_matches("/gateway").parse().unwrap()
}

/// A connection of somebody who comes from this address.
async fn from(address: &str, at: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    socket.connect(at).await.unwrap()
}

/// The status with which a request over this connection is answered; `None` if it is closed instead.
async fn got(stream: &mut TcpStream, path: &str, token: &str) -> Option<u16> {
    let asked = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(asked.as_bytes()).await.ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    stream.read_exact(&mut vec![0; length.parse().unwrap()]).await.ok()?;
    Some(head.get(9..12).unwrap().parse().unwrap())
}

/// Row F7: one address has so many connections, whoever is behind it, and the others' are taken as before.
#[tokio::test(flavor = "multi_thread")]
async fn f7_one_address_has_so_many_connections_and_the_others_are_served() {
    let http = HttpSettings { connections_each: 2, ..HttpSettings::default() };
    let place = Place::over(|_| Says::json(WHOLE), GatewaySettings::default(), Budgets::default(), http, None).await;
    let at = listens(&place);
    let alive = async |stream: &mut TcpStream| got(stream, "/livez", "").await == Some(200);
    let mut own = [from("127.0.0.1", at).await, from("127.0.0.1", at).await];
    for stream in &mut own {
        assert!(alive(stream).await);
    }
    assert!(!alive(&mut from("127.0.0.1", at).await).await, "a third");
    assert!(alive(&mut from("127.0.0.2", at).await).await, "somebody else's");
    drop(own);
    for again in 0.. {
        if alive(&mut from("127.0.0.1", at).await).await {
            break;
        }
        assert!(again < 100, "the places of those that are gone are not free");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Row F7: who is not known has so many turns, and comes later beyond that; neither who has a token waits for it, nor who comes
/// from elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn f7_strangers_come_one_after_another_and_are_in_the_way_of_nobody_who_is_known() {
    let a_turn = Duration::from_millis(100);
    let http = HttpSettings {
        strangers: Some(Rate::a_minute(600, 5)),
        head_timeout: Duration::from_secs(1),
        ..HttpSettings::default()
    };
    let place = Place::over(|_| Says::json(WHOLE), GatewaySettings::default(), Budgets::default(), http, None).await;
    let (at, token) = (listens(&place), place.anybody());
    let mut stream = from("127.0.0.1", at).await;
    let begun = Instant::now();
    for path in ["/api/v1/brains", "/ap/v1/agent/tasks", "/gateway/openai/v1/models", "/metrics", "/nothing"].repeat(2)
    {
        let wanted = if path == "/nothing" { 404 } else { 401 };
        assert_eq!(got(&mut stream, path, "as_nothing").await, Some(wanted), "{path}");
    }
    // Eleven turns with the connection, of which five may come at once.
    assert!(begun.elapsed() >= a_turn * 11 / 2, "{:?}", begun.elapsed());
    let begun = Instant::now();
    for _ in 0..100 {
        let status = got(&mut stream, "/api/v1/tokens", &token).await;
        assert!(matches!(status, Some(200 | 403)), "{status:?}");
        assert_eq!(got(&mut stream, "/livez", "").await, Some(200));
    }
    assert!(begun.elapsed() < a_turn * 50, "whoever is known waits: {:?}", begun.elapsed());
    // Fifteen have their turn within the second that they may wait; of the others some are told so, and some closed.
    let mut strangers = JoinSet::new();
    for _ in 0..40 {
        strangers.spawn(async move { got(&mut from("127.0.0.2", at).await, "/api/v1/brains", "as_nothing").await });
    }
    let began = Instant::now();
    assert_eq!(got(&mut from("127.0.0.3", at).await, "/livez", "").await, Some(200), "somebody else's");
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    let told = strangers.join_all().await;
    let count = |wanted: Option<u16>| told.iter().filter(|told| **told == wanted).count();
    let (heard, later, closed) = (count(Some(401)), count(Some(429)), count(None));
    assert_eq!(heard + later + closed, 40, "{told:?}");
    assert!(heard <= 16 && closed >= 10, "{told:?}");
}
