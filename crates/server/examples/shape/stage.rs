//! An upstream, a real gateway with TLS, and taps on the way to it.

use std::convert::Infallible;
use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use autoshare_access::{Access, Grant, Tokens};
use autoshare_vault::Vault;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

/// Tokens, each with the pause before it.
pub(crate) type Answer = Vec<(Duration, String)>;

/// A stream, as it is seen on the way, and what its caller felt of it.
pub(crate) struct Seen {
    /// When each TLS record with data passed, and its bytes.
    pub(crate) records: Vec<(Instant, usize)>,
    /// From the upstream's sending of each token until its caller had it.
    pub(crate) delays_ms: Vec<f64>,
}

impl Seen {
    pub(crate) fn bytes(&self) -> f64 {
        self.records.iter().map(|(_, bytes)| *bytes as f64).sum()
    }

    pub(crate) fn seconds(&self) -> f64 {
        let (first, last) = (self.records[0].0, self.records[self.records.len() - 1].0);
        (last - first).as_secs_f64()
    }
}

pub(crate) struct Stage {
    gateway: SocketAddr,
    server: Child,
    client: reqwest::Client,
    token: String,
    _home: tempfile::TempDir,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Stage {
    /// `shape` is what `stream_shape` is set to.
    pub(crate) async fn start(shape: &str, answers: Vec<Answer>) -> Self {
        let upstream = upstream(answers).await;
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::create_dir(&data).unwrap();
        std::fs::set_permissions(&data, private).unwrap();
        let token = mint(&data);
        certificate(home.path());
        let folder = home.path().display();
        let config = home.path().join("autoshare.toml");
        let text = format!(
            "[serve]\nlisten = \"127.0.0.1:0\"\ntls_cert = \"{folder}/tls.pem\"\ntls_key = \"{folder}/tls.key\"\n\
             [gateway]\nstream_shape = \"{shape}\"\n"
        );
        std::fs::write(&config, text).unwrap();
        let binary = std::env::var("AUTOSHARE").unwrap_or_else(|_| "target/release/autoshare".to_owned());
        let mut command = Command::new(binary);
        command.arg("--data-dir").arg(&data).arg("--config").arg(&config).args(["serve", "--json"]);
        command.env("OPENAI_BASE_URL", format!("http://{upstream}/v1")).env("OPENAI_API_KEY", "sk-the-operators");
        let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(server.stdout.take().unwrap()), &mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let gateway = said["listening"].as_str().unwrap().strip_prefix("https://").unwrap().parse().unwrap();
        let authority = reqwest::Certificate::from_pem(&std::fs::read(home.path().join("tls.pem")).unwrap()).unwrap();
        // One stream to a connection, as whoever looks for an answer would cut them apart anyway.
        let client = reqwest::Client::builder().tls_certs_only([authority]).pool_max_idle_per_host(0).no_proxy();
        Self { gateway, server, client: client.build().unwrap(), token, _home: home }
    }

    /// Asks for one answer, past a tap of its own.
    pub(crate) async fn stream(&self, n: usize) -> Seen {
        let tap = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = tap.local_addr().unwrap();
        let records = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(tapped(tap, self.gateway, Arc::clone(&records)));
        let messages = serde_json::json!([{"role": "user", "content": format!("answer={n};")}]);
        let body = serde_json::json!({"model": "gpt-4.1-mini", "messages": messages, "stream": true});
        let request = self.client.post(format!("https://{at}/gateway/openai/v1/chat/completions"));
        let request = request.bearer_auth(&self.token).header("content-type", "application/json");
        let mut response = request.body(body.to_string()).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        // From here on: what came before is the handshake, and as long for all of them.
        let head = records.lock().unwrap().len();
        let (mut held, mut delays_ms) = (Vec::new(), Vec::new());
        while let Some(data) = response.chunk().await.unwrap() {
            held.extend_from_slice(&data);
            let whole = memchr::memrchr(b'\n', &held).map_or(0, |end| end + 1);
            let now = now_ns();
            for at in memchr::memmem::find_iter(&held[..whole], b"\"at\":") {
                let digits = held[at + 5..].iter().take_while(|byte| byte.is_ascii_digit());
                let sent = digits.fold(0u64, |sum, byte| sum * 10 + u64::from(byte - b'0'));
                delays_ms.push(now.saturating_sub(sent) as f64 / 1e6);
            }
            held.drain(..whole);
        }
        let records = records.lock().unwrap().split_off(head.saturating_sub(1));
        Seen { records, delays_ms }
    }
}

fn mint(data: &Path) -> String {
    let vault = Vault::open(data).unwrap();
    let (access, tokens) = (Access::local(data).unwrap(), Tokens::open(data, &vault).unwrap());
    tokens.mint(&access, Grant::gateway("shape")).unwrap().token.expose().to_owned()
}

/// A certificate for loopback that vouches for itself, by openssl(1).
fn certificate(folder: &Path) {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1"]);
    command.args(["-keyout", "tls.key", "-out", "tls.pem"]);
    let done = command.current_dir(folder).stderr(Stdio::null()).status().unwrap();
    assert!(done.success(), "openssl could not make a certificate");
}

/// Passes one connection on both ways, and writes down the records that come back.
async fn tapped(tap: TcpListener, gateway: SocketAddr, records: Arc<Mutex<Vec<(Instant, usize)>>>) {
    let (caller, _) = tap.accept().await.unwrap();
    let server = TcpStream::connect(gateway).await.unwrap();
    caller.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut from_caller, mut to_caller) = caller.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_caller, &mut to_server).await });
    let (mut bytes, mut held) = (vec![0; 65_536], Vec::new());
    while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
        held.extend_from_slice(&bytes[..count]);
        // A record says its type and its length in the clear (RFC 8446, 5.1).
        while held.len() >= 5 {
            let length = usize::from(u16::from_be_bytes([held[3], held[4]]));
            if held.len() < 5 + length {
                break;
            }
            if held[0] == 23 {
                records.lock().unwrap().push((Instant::now(), length));
            }
            held.drain(..5 + length);
        }
        if to_caller.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

fn now_ns() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// An upstream that streams the answer whose number it is asked for.
async fn upstream(answers: Vec<Answer>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let answers = Arc::new(answers);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answers = Arc::clone(&answers);
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let service = service_fn(|request: Request<Incoming>| async {
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let text = String::from_utf8(body.to_vec()).unwrap();
                    let number = text.split("answer=").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
                    let answer = answers[number.parse::<usize>().unwrap()].clone();
                    let timer = Box::pin(tokio::time::sleep(Duration::ZERO));
                    let mut response = Response::new(Pieces { answer, sent: 0, timer });
                    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                    Ok::<_, Infallible>(response)
                });
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    at
}

struct Pieces {
    answer: Answer,
    sent: usize,
    timer: Pin<Box<Sleep>>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.sent > self.answer.len() {
            return Poll::Ready(None);
        }
        ready!(self.timer.as_mut().poll(cx));
        let next = self.answer.get(self.sent + 1).map_or(Duration::ZERO, |(pause, _)| *pause);
        let due = self.timer.deadline() + next;
        self.timer.as_mut().reset(due);
        let head = r#"{"id":"chatcmpl-0123456789","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4.1-mini""#;
        let event = match self.answer.get(self.sent) {
            Some((_, text)) => {
                let delta = serde_json::json!({"content": text});
                let at = now_ns();
                format!(
                    "data: {head},\"at\":{at},\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n"
                )
            }
            None => format!(
                "data: {head},\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\ndata: [DONE]\n\n"
            ),
        };
        self.sent += 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(event)))))
    }
}
