//! TLS to a real server: whom the broker believes, and whom it shows a certificate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use autoshare_broker::{Broker, Dialect, ModelError, ProviderSpec, Settings, TlsSettings, TlsSpec};
use autoshare_vault::Sensitive;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{ask, settings};

/// An authority, which signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

/// A certificate with its key.
struct Identity {
    der: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(params, key), pem, der }
    }

    fn signs(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { der: certificate.der().clone(), pem: certificate.pem(), key }
    }
}

impl Identity {
    fn pin(&self) -> String {
        use rcgen::PublicKeyData as _;
        Sha256::digest(self.key.subject_public_key_info()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}

/// A server that answers every request with one reply over TLS, and counts its connections and requests.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start(identity: &Identity, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder.with_single_cert(vec![identity.der.clone()], identity.private()).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, heard) = (Arc::clone(&connections), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, heard) = (acceptor.clone(), Arc::clone(&heard));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        answer(stream, &heard).await;
                    }
                });
            }
        });
        Self { port, connections, requests }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/v1", self.port)
    }

    fn count(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
    }
}

/// Answers requests until the connection ends. A request's head and body come in one piece or two: both small.
async fn answer(mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>, heard: &AtomicUsize) {
    let body = r#"{"choices":[{"message":{"content":"over TLS"},"finish_reason":"stop"}]}"#;
    let reply =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut seen = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        seen.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&seen).into_owned();
        let Some((head, sent)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if sent.len() < length.unwrap_or(0) {
            continue;
        }
        seen.clear();
        heard.fetch_add(1, Ordering::SeqCst);
        if stream.write_all(reply.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

fn at(url: &str, tls: TlsSettings) -> Settings {
    let spec = ProviderSpec { dialect: Some(Dialect::Chat), base_url: Some(url.to_owned()), ..ProviderSpec::default() };
    let mut settings = Settings { base_url: None, ..settings("") };
    settings.providers.extend("test", &spec, tls).unwrap();
    settings
}

fn tls(authority: &Authority, pins: &[String]) -> TlsSettings {
    let spec = TlsSpec { pins: pins.to_vec(), ..TlsSpec::default() };
    TlsSettings::of(&spec, Some(authority.pem.clone()), None).unwrap()
}

async fn call(server: &Server, tls: TlsSettings) -> Result<String, ModelError> {
    let broker = Broker::new(at(&server.url(), tls)).unwrap();
    ask(&broker.model("test/m").unwrap()).await.0.map(|completion| completion.reply.text)
}

#[tokio::test]
async fn a_server_is_believed_by_its_authority_name_and_time_and_by_its_pin() {
    let (ours, other) = (Authority::new(), Authority::new());
    let good = ours.signs("localhost", |_| {});
    let server = Server::start(&good, None).await;
    assert_eq!(call(&server, tls(&ours, &[])).await.unwrap(), "over TLS");
    assert_eq!(call(&server, tls(&ours, &[good.pin()])).await.unwrap(), "over TLS", "the right pin");
    let (connections, requests) = server.count();
    assert_eq!(requests, 2);

    let wrong_name = Server::start(&ours.signs("elsewhere.example", |_| {}), None).await;
    let expired =
        Server::start(&ours.signs("localhost", |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1)), None)
            .await;
    let not_yet =
        Server::start(&ours.signs("localhost", |params| params.not_before = rcgen::date_time_ymd(2900, 1, 1)), None)
            .await;
    let stranger = ours.signs("localhost", |_| {}).pin();
    let cases = [
        ("wrong name", &wrong_name, tls(&ours, &[]), "not valid for name"),
        ("expired", &expired, tls(&ours, &[]), "expired"),
        ("not yet", &not_yet, tls(&ours, &[]), "not valid yet"),
        ("unknown authority", &server, tls(&other, &[]), "invalid peer certificate"),
        ("the platform's authorities", &server, TlsSettings::default(), "certificate"),
        ("the wrong pin", &server, tls(&ours, &[stranger]), "fits none of the pins"),
        ("the right pin under an unknown authority", &server, tls(&other, &[good.pin()]), "invalid peer certificate"),
        ("the right pin under a wrong name", &wrong_name, tls(&ours, &[good.pin()]), "not valid for name"),
    ];
    for (name, at, tls, expected) in cases {
        let error = call(at, tls).await.expect_err(name);
        assert!(matches!(&error, ModelError::Unreachable { tries: 1, .. }), "{name}: {error:?}");
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
    assert!(server.count().0 > connections, "they were tried");
    assert_eq!(server.count().1 + wrong_name.count().1 + expired.count().1 + not_yet.count().1, 2, "nothing was sent");
}

#[tokio::test]
async fn verification_is_off_by_one_setting_only_and_that_is_told() {
    let authority = Authority::new();
    let server = Server::start(&authority.signs("elsewhere.example", |_| {}), None).await;
    let spec = TlsSpec { danger_accept_any_certificate: true, ..TlsSpec::default() };
    let settings = at(&server.url(), TlsSettings::of(&spec, None, None).unwrap());
    let notices = settings.providers.get("test").unwrap().notices();
    assert!(notices.len() == 1 && notices[0].contains("danger_accept_any_certificate is on"), "{notices:?}");
    let broker = Broker::new(settings).unwrap();
    assert_eq!(ask(&broker.model("test/m").unwrap()).await.0.unwrap().reply.text, "over TLS");
    // Even then a pin holds.
    let spec = TlsSpec { pins: vec!["0".repeat(64)], ..spec };
    assert!(call(&server, TlsSettings::of(&spec, None, None).unwrap()).await.is_err());
}

#[tokio::test]
async fn a_server_that_demands_a_certificate_gets_that_of_its_provider_and_of_no_other() {
    let (ours, clients) = (Authority::new(), Authority::new());
    let server = Server::start(&ours.signs("localhost", |_| {}), Some(&clients)).await;
    let mine = clients.signs("me", |_| {});
    let stranger = Authority::new().signs("me", |_| {});
    let with = |identity: &Identity| {
        let spec = TlsSpec {
            client_certificate_file: Some("c".into()),
            client_key_file: Some("k".into()),
            ..TlsSpec::default()
        };
        let key = Sensitive::new(identity.key.serialize_pem());
        TlsSettings::of(&spec, Some(ours.pem.clone()), Some((identity.pem.clone(), key))).unwrap()
    };
    assert_eq!(call(&server, with(&mine)).await.unwrap(), "over TLS");
    for (name, tls) in [("none", tls(&ours, &[])), ("a stranger's", with(&stranger))] {
        let error = call(&server, tls).await.expect_err(name);
        assert!(matches!(&error, ModelError::Unreachable { tries: 1, .. }), "{name}: {error:?}");
        assert!(error.to_string().contains("received fatal alert"), "{name}: {error}");
    }
    // The certificate stays with its provider's origin.
    let broker = Broker::new(at("https://localhost:1/v1", with(&mine))).unwrap();
    let error = ask(&broker.model(&format!("test/m@{}", server.url())).unwrap()).await.0.unwrap_err();
    assert!(matches!(error, ModelError::Unreachable { .. }), "{error:?}");
    assert_eq!(server.count().1, 1);
}

#[tokio::test]
async fn two_tenants_never_share_a_connection_and_one_uses_its_own_again() {
    let authority = Authority::new();
    let server = Server::start(&authority.signs("localhost", |_| {}), None).await;
    let brokers = [(); 2].map(|()| Broker::new(at(&server.url(), tls(&authority, &[]))).unwrap());
    for _ in 0..5 {
        for broker in &brokers {
            ask(&broker.model("test/m").unwrap()).await.0.unwrap();
        }
    }
    assert_eq!(server.count(), (2, 10), "connections and requests");
}
