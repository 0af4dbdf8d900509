//! HTTP/2 over TLS: real clients are served as over HTTP/1.1, and whoever does not keep to the protocol's manners gets
//! no more for it than there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use autoshare_broker::gateway::GatewaySettings;
use autoshare_server::http::{Http2Settings, HttpSettings, TlsPair};
use autoshare_store::ledger::Budgets;
use autoshare_testkit::Certified;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::SendRequest;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::gateway::{PARTS, Place, WHOLE, hello};
use crate::hostile::{CHAT, streamed, until};
use crate::upstream::{Came, Says};

/// A server over TLS, and whom its certificate is from.
struct Secure {
    place: Place,
    certified: Certified,
}

fn quick() -> HttpSettings {
    HttpSettings {
        head_timeout: Duration::from_millis(400),
        write_timeout: Duration::from_millis(400),
        http2: Http2Settings { idle: Duration::from_millis(600), ..Http2Settings::default() },
        ..HttpSettings::default()
    }
}

impl Secure {
    async fn open(http: HttpSettings, answers: impl Fn(&Came) -> Says + Send + Sync + 'static) -> Self {
        let certified = Certified::new(&["127.0.0.1", "localhost"]);
        let cert = ("cert.pem", certified.certificate.as_bytes());
        let pair = TlsPair { cert, key: ("key.pem", certified.key.as_bytes()), clients: None };
        let place = Place::over(answers, GatewaySettings::default(), Budgets::default(), http, Some(pair)).await;
        Self { place, certified }
    }

    fn at(&self) -> &str {
        self.place.base.trim_start_matches("https://").trim_end_matches("/gateway")
    }

    async fn tls(&self, protocol: &str) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.certified.ca.as_bytes()).unwrap()).unwrap();
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let tcp = TcpStream::connect(self.at()).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
    }

    async fn client(&self) -> SendRequest<Full<Bytes>> {
        let stream = self.tls("h2").await;
        let (client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        client
    }

    fn request(&self, authority: &str, path: &str) -> hyper::http::request::Builder {
        Request::post(format!("https://{authority}/gateway{path}")).header("content-type", "application/json")
    }

    /// Begins to speak HTTP/2 by hand.
    async fn by_hand(&self, settings: &[(u16, u32)]) -> Hand {
        let mut hand = Hand(self.tls("h2").await);
        hand.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()[..]].concat())
            .collect();
        hand.send(SETTINGS, 0, 0, &settings).await;
        hand
    }

    /// The fields of a call, as HPACK has them without its tables (RFC 7541, 6.2.2).
    fn fields(&self, token: &str, length: usize) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "https"),
            (":path", &format!("/gateway{CHAT}")),
            (":authority", self.at()),
            ("authorization", &format!("Bearer {token}")),
            ("content-type", "application/json"),
            ("content-length", &length.to_string()),
        ] {
            block.push(0);
            for text in [name, value] {
                assert!(text.len() < 127, "{text}");
                block.push(text.len() as u8);
                block.extend(text.as_bytes());
            }
        }
        block
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const INITIAL_WINDOW: u16 = 4;

/// HTTP/2 frame by frame (RFC 9113, 4.1).
struct Hand(TlsStream<TcpStream>);

struct Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Hand {
    /// Whether it could be written.
    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.0.write_all(&[&head, payload].concat()).await.is_ok() && self.0.flush().await.is_ok()
    }

    /// `None` when the other side has hung up.
    async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind: head[3], stream: u32::from_be_bytes(head[5..9].try_into().unwrap()), payload })
    }

    /// Everything until the other side hangs up, which it must do within so long.
    async fn rest(&mut self, within: Duration) -> Vec<Frame> {
        let mut frames = Vec::new();
        let all = async {
            while let Some(frame) = self.next().await {
                frames.push(frame);
            }
        };
        tokio::time::timeout(within, all).await.expect("the connection stands");
        frames
    }
}

/// What a GOAWAY says was wrong (RFC 9113, 7).
fn reason(frames: &[Frame]) -> Option<u32> {
    let last = frames.iter().rfind(|frame| frame.kind == GOAWAY)?;
    Some(u32::from_be_bytes(last.payload[4..8].try_into().unwrap()))
}

pub(crate) async fn curl(args: &[&str]) -> String {
    let output = tokio::process::Command::new("/usr/bin/curl").args(["-sS", "--max-time", "10"]).args(args).output();
    let output = output.await.unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_is_served_in_the_version_that_it_asks_for() {
    let secure = Secure::open(HttpSettings::default(), |_| Says::json(WHOLE)).await;
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), &secure.certified.ca).unwrap();
    let (ca, url) = (ca.path().to_str().unwrap(), format!("{}{CHAT}", secure.place.base));
    let (token, body) = (format!("authorization: Bearer {}", secure.place.anybody()), hello("m").to_string());
    let json = "content-type: application/json";
    let ask = ["--cacert", ca, "-w", " %{http_version} %{http_code}", "-H", json, "-H", &token, "-d", &body, &url];
    for (version, wanted) in [("--http2", "2"), ("--http1.1", "1.1"), ("--tlsv1.2", "2")] {
        let said = curl(&[&[version], &ask[..]].concat()).await;
        assert_eq!(said, format!("{WHOLE} {wanted} 200"), "{version}");
    }
}

/// What nobody wants to read is read all the same: else whoever sends it has their connection reset before they see why.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_refused_at_their_head_sees_why_and_keeps_the_connection() {
    let secure = Secure::open(HttpSettings::default(), |_| Says::json(WHOLE)).await;
    let body = vec![b' '; 1 << 20];
    let pause = || tokio::time::sleep(Duration::from_millis(50));
    // (path, another field of the head, status)
    let cases: [(&str, &str, u16); 5] = [
        (&format!("/gateway{CHAT}"), "x-api-key: nobody's", 401),
        ("/api/v1/brains", "authorization: Bearer nobody's", 401),
        ("/api/v1/brains", "origin: https://example.org", 403),
        ("/livez", "x-field: any", 405),
        ("/nothing", "x-field: any", 404),
    ];
    let mut kept = secure.tls("http/1.1").await;
    for (path, field, wanted) in cases {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{field}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        kept.write_all(head.as_bytes()).await.unwrap();
        for piece in body.chunks(body.len() / 4) {
            kept.flush().await.unwrap();
            pause().await;
            kept.write_all(piece).await.unwrap_or_else(|error| panic!("{path} {field}: {error}"));
        }
        let mut told = vec![0; 4_096];
        let read = kept.read(&mut told).await.unwrap_or_else(|error| panic!("{path} {field}: {error}"));
        let told = String::from_utf8_lossy(&told[..read]);
        assert!(told.starts_with(&format!("HTTP/1.1 {wanted} ")), "{path} {field}: {told}");
        // What follows the head may come by itself.
        let length = told.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
        let length: usize = length.unwrap().parse().unwrap();
        let mut rest = vec![0; (told.find("\r\n\r\n").unwrap() + 4 + length).saturating_sub(read)];
        kept.read_exact(&mut rest).await.unwrap();
    }
    let mut hand = secure.by_hand(&[]).await;
    hand.send(HEADERS, END_HEADERS, 1, &secure.fields("nobody's", 40_000)).await;
    pause().await;
    hand.send(DATA, 0, 1, &[b' '; 16_000]).await;
    hand.send(DATA, 0, 1, &[b' '; 16_000]).await;
    pause().await;
    hand.send(DATA, END_STREAM, 1, &[b' '; 8_000]).await;
    hand.send(PING, 0, 0, &[7; 8]).await;
    let mut kinds = Vec::new();
    while !kinds.contains(&PING) {
        kinds.push(hand.next().await.unwrap().kind);
    }
    assert!(kinds.contains(&HEADERS) && !kinds.contains(&RST_STREAM), "{kinds:?}");
}

/// Whether a body comes that was only announced, nobody knows who has refused it: what comes next on that connection might be
/// taken for it, or it for what comes next.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_was_announced_and_refused_is_not_waited_for() {
    let secure = Secure::open(HttpSettings::default(), |_| Says::json(WHOLE)).await;
    let mut stream = secure.tls("http/1.1").await;
    let head = format!(
        "POST /gateway{CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\
         expect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut told)).await;
    assert!(told.starts_with(b"HTTP/1.1 401 "), "{:?}", String::from_utf8_lossy(&told));
    assert!(ended.is_ok(), "the connection stands");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_there_is_http_1_alone() {
    let place = Place::open(|_| Says::json(WHOLE)).await;
    let url = place.base.replace("/gateway", "/livez");
    assert_eq!(curl(&["-w", " %{http_version}", &url]).await, "alive 1.1");
    let said = curl(&["--http2-prior-knowledge", &url]).await;
    assert!(!said.contains("alive"), "{said}");
    assert_eq!(curl(&["--http2", "-w", " %{http_version}", &url]).await, "alive 1.1", "an upgrade is passed over");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_share_a_connection_and_each_is_answered() {
    let mut secure = Secure::open(HttpSettings::default(), |came| {
        if came.body.windows(13).any(|w| w == b"\"stream\":true") { Says::events(&PARTS) } else { Says::json(WHOLE) }
    })
    .await;
    let (client, token) = (secure.client().await, secure.place.anybody());
    let calls = (0..50).map(|number| {
        let (mut client, is_stream) = (client.clone(), number % 2 == 0);
        let body = if is_stream { streamed("m") } else { hello("m") };
        let request = secure.request(secure.at(), CHAT).header("authorization", format!("Bearer {token}"));
        let request = request.body(Full::from(body.to_string())).unwrap();
        async move {
            let got = client.send_request(request).await.unwrap();
            (is_stream, got.status(), got.into_body().collect().await.unwrap().to_bytes())
        }
    });
    for (is_stream, status, body) in futures_util::future::join_all(calls).await {
        assert_eq!(status, StatusCode::OK);
        let text = std::str::from_utf8(&body).unwrap();
        if is_stream { assert!(text.ends_with("data: [DONE]\n\n"), "{text}") } else { assert_eq!(text, WHOLE) }
    }
    assert_eq!(secure.place.records().await.len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_the_authority_of_http_2_is_checked_as_host_is() {
    let secure = Secure::open(HttpSettings::default(), |_| Says::json(WHOLE)).await;
    let (mut client, token) = (secure.client().await, secure.place.anybody());
    let at = secure.at().to_owned();
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Headers<'_>, u16); 6] = [
        (&at, &[], 200),
        (&at, &[("host", &at)], 200),
        ("evil.test", &[], 403),
        (&at, &[("host", "evil.test")], 400),
        ("evil.test", &[("host", &at)], 400),
        (&at, &[("origin", "https://evil.test")], 403),
    ];
    for (authority, headers, wanted) in cases {
        let mut request = secure.request(authority, CHAT).header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let got = client.send_request(request.body(Full::from(hello("m").to_string())).unwrap()).await.unwrap();
        assert_eq!(got.status().as_u16(), wanted, "{authority} {headers:?}");
    }
    assert_eq!(secure.place.upstream.came().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_taking_requests_back_ends_a_connection_and_begins_no_more() {
    const RESETS: u32 = 20;
    let http2 = Http2Settings { resets: RESETS, ..Http2Settings::default() };
    let http = HttpSettings { http2, ..HttpSettings::default() };
    let secure = Secure::open(http, |_| Says::events(&PARTS[..1]).endless()).await;
    let (token, body) = (secure.place.anybody(), hello("m").to_string());
    let mut hand = secure.by_hand(&[]).await;
    let (block, cancel) = (secure.fields(&token, body.len()), 8u32.to_be_bytes());
    for number in 0..2_000u32 {
        let stream = 2 * number + 1;
        let sent = hand.send(HEADERS, END_HEADERS, stream, &block).await
            && hand.send(DATA, END_STREAM, stream, body.as_bytes()).await
            && hand.send(RST_STREAM, 0, stream, &cancel).await;
        if !sent {
            break;
        }
        tokio::task::yield_now().await;
    }
    hand.rest(Duration::from_secs(3)).await;
    // h2 itself lets 20 wait that were taken back before anybody saw them.
    let begun = secure.place.upstream.came().len();
    assert!(begun <= 2 * RESETS as usize + 20, "{begun} calls were begun for nothing");
    // Who asks for an answer and waits for it is served as before.
    let (mut client, request) = (secure.client().await, secure.request(secure.at(), "/nothing"));
    let got = client.send_request(request.body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(got.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_floods_of_frames_end_a_connection() {
    let secure = Secure::open(quick(), |_| Says::json(WHOLE)).await;
    let token = secure.place.anybody();
    let block = secure.fields(&token, 0);
    let field = [&[0x00, 1, b'a', 100][..], &[b'a'; 100]].concat();
    const ENHANCE_YOUR_CALM: u32 = 11;
    // (what, the first frame, what is repeated)
    type Sent<'a> = (u8, u8, &'a [u8]);
    let cases: [(&str, Sent<'_>, Sent<'_>, Option<u32>); 2] = [
        ("a head without end", (HEADERS, 0, &block), (CONTINUATION, 0, &field), Some(ENHANCE_YOUR_CALM)),
        ("a head of nothings", (HEADERS, 0, &block), (CONTINUATION, 0, &[]), Some(ENHANCE_YOUR_CALM)),
    ];
    for (what, first, again, wanted) in cases {
        let mut hand = secure.by_hand(&[]).await;
        hand.send(first.0, first.1, 1, first.2).await;
        let mut sent = 0;
        while sent < 100_000 && hand.send(again.0, again.1, 1, again.2).await {
            sent += 1;
        }
        let frames = hand.rest(Duration::from_secs(3)).await;
        assert!(sent < 100_000, "{what}");
        // What says why may be lost when the connection is reset.
        assert!(reason(&frames).is_none_or(|reason| Some(reason) == wanted), "{what}: {:?}", reason(&frames));
    }
    assert_eq!(secure.place.upstream.came().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_and_a_stream_too_many_are_refused_alone() {
    let http2 = Http2Settings { streams: 2, header_list: 1_000, ..Http2Settings::default() };
    let http = HttpSettings { http2, ..HttpSettings::default() };
    let secure = Secure::open(http, |_| Says::events(&PARTS[..1]).endless()).await;
    let (token, body) = (secure.place.anybody(), streamed("m").to_string());
    let mut client = secure.client().await;
    let request = secure.request(secure.at(), CHAT).header("x-large", "x".repeat(2_000));
    let got = client.send_request(request.body(Full::default()).unwrap()).await;
    assert!(got.is_err() || got.unwrap().status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    drop(client);

    let mut hand = secure.by_hand(&[]).await;
    let block = secure.fields(&token, body.len());
    for stream in [1, 3, 5] {
        hand.send(HEADERS, END_HEADERS, stream, &block).await;
        hand.send(DATA, END_STREAM, stream, body.as_bytes()).await;
    }
    const REFUSED_STREAM: u32 = 7;
    let refused = loop {
        let frame = hand.next().await.unwrap();
        if frame.kind == RST_STREAM {
            break frame;
        }
    };
    assert_eq!((refused.stream, refused.payload), (5, REFUSED_STREAM.to_be_bytes().to_vec()));
    until(|| secure.place.upstream.came().len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e7_who_gives_an_answer_no_room_is_let_go() {
    let large = format!("data: {}\n\n", "x".repeat(64 * 1024));
    let pieces: Vec<&str> = vec![&large; 500];
    let says = Says::events(&pieces);
    let secure = Secure::open(quick(), move |_| says.clone()).await;
    let (token, body) = (secure.place.anybody(), streamed("m").to_string());
    for (what, window) in [("none at all", 0), ("a little", 100), ("the usual, once", 65_535)] {
        let before = secure.place.recorded().len();
        let mut hand = secure.by_hand(&[(INITIAL_WINDOW, window)]).await;
        hand.send(HEADERS, END_HEADERS, 1, &secure.fields(&token, body.len())).await;
        hand.send(DATA, END_STREAM, 1, body.as_bytes()).await;
        let begun = Instant::now();
        // It reads all that comes, and asks for nothing more: TCP does not stand still.
        let frames = hand.rest(Duration::from_secs(3)).await;
        assert!(begun.elapsed() >= Duration::from_millis(350), "{what}: at once");
        let got: usize = frames.iter().filter(|frame| frame.kind == DATA).map(|frame| frame.payload.len()).sum();
        assert!(got <= window as usize, "{what}: {got}");
        until(|| secure.place.recorded().len() == before + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e7_who_asks_for_nothing_keeps_no_place() {
    let secure = Secure::open(quick(), |_| Says::json(WHOLE)).await;
    // Not even the first words.
    let mut silent = secure.tls("h2").await;
    // The first words, and no request; a head that has no end; a request, and then nothing.
    let mut idle = secure.by_hand(&[]).await;
    let mut half = secure.by_hand(&[]).await;
    half.send(HEADERS, 0, 1, &secure.fields("as_x", 0)).await;
    let mut done = secure.by_hand(&[]).await;
    done.send(HEADERS, END_HEADERS | END_STREAM, 1, &secure.fields("as_x", 0)).await;
    let within = Duration::from_secs(5);
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(within, silent.read_to_end(&mut rest)).await.expect("the connection stands");
    for (what, hand) in [("idle", &mut idle), ("half", &mut half), ("done", &mut done)] {
        let frames = hand.rest(within).await;
        assert_eq!(reason(&frames), Some(0), "{what} is told that no more is taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_is_gone() {
    let http2 = Http2Settings { ping: Duration::from_millis(200), ..Http2Settings::default() };
    let http = HttpSettings { http2, head_timeout: Duration::from_millis(400), ..HttpSettings::default() };
    let secure = Secure::open(http, |_| Says::events(&PARTS[..1]).endless()).await;
    let (token, body) = (secure.place.anybody(), streamed("m").to_string());
    let mut hand = secure.by_hand(&[]).await;
    hand.send(HEADERS, END_HEADERS, 1, &secure.fields(&token, body.len())).await;
    hand.send(DATA, END_STREAM, 1, body.as_bytes()).await;
    // It reads, and answers no ping.
    hand.rest(Duration::from_secs(3)).await;
    until(|| secure.place.recorded().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_answered_when_the_server_ends_and_no_more_is_taken() {
    let mut secure =
        Secure::open(HttpSettings::default(), |_| Says::json(WHOLE).after(Duration::from_millis(200))).await;
    let (mut client, token) = (secure.client().await, secure.place.anybody());
    let request = || {
        let request = secure.request(secure.at(), CHAT).header("authorization", format!("Bearer {token}"));
        request.body(Full::from(hello("m").to_string())).unwrap()
    };
    let (under_way, late) = (client.send_request(request()), request());
    until(|| secure.place.upstream.came().len() == 1).await;
    let records = secure.place.records();
    let (got, records) = tokio::join!(under_way, records);
    let got = got.unwrap();
    assert_eq!(got.status(), StatusCode::OK);
    assert_eq!(got.into_body().collect().await.unwrap().to_bytes(), WHOLE);
    assert_eq!((records.len(), records[0].status, records[0].error.clone()), (1, 200, None));
    assert!(client.send_request(late).await.is_err());
}
