//! A server with TLS, and a client that goes through the proxy.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use autoshare_broker::egress::{Credential, Egress, Policy, Resolver};
use autoshare_core::event::Reach;
use autoshare_core::origin::Origin;
use autoshare_testkit::Certified;
use autoshare_vault::Sensitive;
use autoshare_vault::secrets::{About, Form, Secret, SecretName};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// A server with TLS for some names and addresses, which answers by path and keeps what it was asked.
pub struct Server {
    pub at: SocketAddr,
    pub ca: String,
    asked: Arc<Mutex<Vec<String>>>,
    greeted: Arc<Mutex<Vec<Option<String>>>>,
}

impl Server {
    /// `answer` gives the whole answer to a request.
    pub fn start(address: &str, names: &[&str], answer: fn(&str) -> Vec<u8>) -> Self {
        let certified = Certified::new(names);
        let chain = vec![CertificateDer::from_pem_slice(certified.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind((address.parse::<IpAddr>().unwrap(), 0)).unwrap();
        let at = listener.local_addr().unwrap();
        let (asked, greeted) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (keep, greet) = (Arc::clone(&asked), Arc::clone(&greeted));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let (config, keep, greet) = (Arc::clone(&config), Arc::clone(&keep), Arc::clone(&greet));
                std::thread::spawn(move || {
                    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                    while let Some(request) = read_head(&mut stream) {
                        greet.lock().unwrap().push(stream.conn.server_name().map(str::to_owned));
                        let reply = answer(&request);
                        keep.lock().unwrap().push(request);
                        if stream.write_all(&reply).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { at, ca: certified.ca, asked, greeted }
    }

    /// The heads of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// For whom TLS was, at each request.
    pub fn greeted(&self) -> Vec<Option<String>> {
        self.greeted.lock().unwrap().clone()
    }
}

pub fn text(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn read_head(stream: &mut impl std::io::Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

pub fn credential(name: &str, host: &str, form: &str, value: &str) -> Credential {
    let about = About {
        name: SecretName::parse(name).unwrap(),
        hosts: vec![Origin::parse(host).unwrap()],
        form: Form::parse(form).unwrap(),
    };
    let secret = Secret::new(about, Sensitive::new(value.to_owned())).unwrap();
    Credential::new(secret, format!("placeholder-{name}"), None).unwrap()
}

/// A resolver that knows these names.
pub fn resolver(known: &'static [(&'static str, &'static str)]) -> Resolver {
    Resolver::new(move |name| {
        Ok(known.iter().filter(|(one, _)| *one == name).map(|(_, at)| at.parse().unwrap()).collect())
    })
}

/// A proxy over a policy.
pub struct Proxy {
    pub at: SocketAddr,
    pub egress: Egress,
    trust: Option<String>,
    _runtime: tokio::runtime::Runtime,
}

impl Proxy {
    pub fn over(policy: Policy) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let trust = policy.trust().map(str::to_owned);
        let egress = runtime.block_on(async { Egress::serve(listener, policy) }).unwrap();
        Self { at, egress, trust, _runtime: runtime }
    }

    /// A tunnel, or the refusal.
    pub fn connect(&self, target: &str) -> Result<TcpStream, String> {
        let mut stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").unwrap();
        let head = read_head(&mut stream).unwrap();
        if head.starts_with("HTTP/1.1 200") {
            return Ok(stream);
        }
        let mut rest = vec![0; 2000];
        let read = stream.read(&mut rest).unwrap_or(0);
        Err(format!("{head}{}", String::from_utf8_lossy(&rest[..read])))
    }

    /// TLS through a tunnel, for `sni`, trusting `ca` or else what the cell is told to trust.
    pub fn tls(
        &self,
        target: &str,
        sni: &str,
        ca: Option<&str>,
    ) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
        let stream = self.connect(target)?;
        let mut roots = RootCertStore::empty();
        let pem = ca.or(self.trust.as_deref()).unwrap();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap));
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(sni.to_owned()).unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|error| error.to_string())?;
        }
        Ok(stream)
    }

    /// One request through TLS, and the answer, whole.
    pub fn ask(&self, target: &str, request: &str) -> String {
        let sni = target.rsplit_once(':').unwrap().0;
        let mut stream = self.tls(target, sni, None).unwrap();
        exchange(&mut stream, request)
    }

    pub fn reached(&self) -> Vec<Reach> {
        self.egress.take()
    }
}

/// Sends a request and reads an answer, as long as it says that it is.
pub fn exchange(stream: &mut (impl std::io::Read + std::io::Write), request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    stream.flush().unwrap();
    let Some(head) = read_head(stream) else { return String::new() };
    let length = |line: &str| line.to_ascii_lowercase().strip_prefix("content-length: ")?.trim().parse::<usize>().ok();
    let mut body = vec![0; head.lines().find_map(length).unwrap_or(0)];
    stream.read_exact(&mut body).unwrap();
    format!("{head}{}", String::from_utf8_lossy(&body))
}

pub fn get(target: &str, path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {target}\r\n{more}\r\n")
}
