//! HTTP: the listener, who may speak to it, and what lies under which path.
//!
//! Served are the native API and the Agent Protocol ([`crate::api`]), the gateway ([`autoshare_broker::gateway`]), `/livez`
//! and `/readyz`.

pub(crate) mod body;
mod connection;
mod patient;
pub(crate) mod pause;
mod peer;
mod peers;
pub(crate) mod reply;
pub(crate) mod site;
mod strangers;
mod tls;
mod watch;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use autoshare_core::fair::Rate;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::connection::Server;
use self::patient::Patient;
pub use self::peer::PeerCertificate;
use self::peers::{Peers, network};
use self::site::{Site, plain};
use self::strangers::{Stranger, Strangers};
pub use self::tls::{Certificate, ClientCa, Demand, TlsPair, certificate_digest};
use crate::api::Faces;
use crate::health::watch;
use crate::noted::Noted;

/// Connections that may wait to be accepted; the kernel may have a lower bound (listen(2)).
const BACKLOG: i32 = 4_096;

/// Where and how to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// The address: `127.0.0.1:7878` unless another is named.
    pub listen: SocketAddr,
    /// Names under which it is reached, beside `localhost` and addresses of this machine's loopback.
    pub hosts: Vec<String>,
    /// Connections at once: 1,000. More wait.
    pub connections: usize,
    /// The same from one address, or one IPv6 network of 64 bits: all of them, since on this machine anybody has any address of
    /// its loopback. Further ones are closed as they come.
    pub connections_each: usize,
    /// How long a tenant waits at most on a connection on which request after request of its is refused with 429: 1 s. Zero:
    /// not at all.
    pub refused_pause: Duration,
    /// How often one address, or one IPv6 network of 64 bits, may have something done for nobody who is known: begin a connection,
    /// send a request without a token that is accepted, take a step of signing in. `None`: as often as it likes. Whoever is
    /// beyond it waits for up to [`HttpSettings::head_timeout`].
    pub strangers: Option<Rate>,
    /// Bytes of a body that are read and thrown away where its request is refused, so that whoever sends it sees why: 4 MiB. Of
    /// a longer one the connection is closed. It may take as long as a head.
    pub refused_body: u64,
    /// How long a request's head, and TLS's handshake, may take: 10 s.
    pub head_timeout: Duration,
    /// How long whoever is answered may take nothing of it: 60 s.
    pub write_timeout: Duration,
    /// How long it still takes requests when it is to end, while `/readyz` says so and others send theirs elsewhere: 0 s.
    pub notice: Duration,
    /// How long answers that are under way may take when it is to end: 30 s.
    pub drain: Duration,
    /// What HTTP/2 needs beside.
    pub http2: Http2Settings,
}

/// What an HTTP/2 connection may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2Settings {
    /// Requests at once: 100. The protocol has others wait, or be asked again.
    pub streams: u32,
    /// Bytes of a request's fields, 32 more counted for each: 32,768.
    pub header_list: u32,
    /// Bytes that may come of one request before they are read: 262,144.
    pub stream_window: u32,
    /// The same of all requests of a connection: 1,048,576.
    pub connection_window: u32,
    /// Requests that may be taken back in ten seconds: 100. Whoever takes back more has them begun for nothing (CVE-2023-44487).
    pub resets: u32,
    /// How long a connection may stay without a request: 60 s.
    pub idle: Duration,
    /// How often it is asked whether the other side is still there: 20 s. It has [`HttpSettings::head_timeout`] to answer.
    pub ping: Duration,
}

impl Default for Http2Settings {
    fn default() -> Self {
        Self {
            streams: 100,
            header_list: 32 * 1024,
            stream_window: 256 * 1024,
            connection_window: 1024 * 1024,
            resets: 100,
            idle: Duration::from_secs(60),
            ping: Duration::from_secs(20),
        }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7878)),
            hosts: Vec::new(),
            connections: 1_000,
            connections_each: 1_000,
            refused_pause: Duration::from_secs(1),
            strangers: None,
            refused_body: 4 << 20,
            head_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            notice: Duration::ZERO,
            drain: Duration::from_secs(30),
            http2: Http2Settings::default(),
        }
    }
}

/// Why it cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Others could reach it, and read all that passes.
    #[error(
        "{0} can be reached from other machines, and without TLS whoever is between reads tokens and conversations: \
         name a certificate and its key ([serve] tls_cert and tls_key), or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// The address is not to be had.
    #[error("cannot listen on {at}: {error}; name another address with --listen")]
    Listen {
        /// The address.
        at: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// What was handed over is no listener.
    #[error(
        "the socket that was handed over is no TCP socket that listens ({0}): name one with ListenStream= in the .socket \
         unit"
    )]
    Given(io::Error),
    /// The certificate or its key cannot be used.
    #[error("{file}: {why}")]
    Tls {
        /// Which file.
        file: String,
        /// What is wrong.
        why: String,
    },
}

/// A listener that stands; nobody is served yet.
pub struct Http {
    listener: TcpListener,
    tls: Option<Certificate>,
    settings: HttpSettings,
}

impl Http {
    /// Takes the address.
    ///
    /// # Errors
    /// [`HttpError::Open`] for an address that others can reach without TLS; [`HttpError::Listen`];
    /// [`HttpError::Tls`].
    pub async fn bind(settings: HttpSettings, tls: Option<TlsPair<'_>>) -> Result<Self, HttpError> {
        let listener = listen(settings.listen, tls.is_some())?;
        Self::over(listener, settings, tls)
    }

    /// Takes a listener: one of [`listen`], or one that somebody else has made, such as systemd. Its address goes before
    /// that of the settings. To be called within a runtime.
    ///
    /// # Errors
    /// [`HttpError::Given`] if it is no TCP socket that listens, [`HttpError::Open`], [`HttpError::Tls`].
    pub fn over(
        listener: std::net::TcpListener,
        mut settings: HttpSettings,
        tls: Option<TlsPair<'_>>,
    ) -> Result<Self, HttpError> {
        let take = || {
            settings.listen = listener.local_addr()?;
            if sockopt::socket_type(&listener)? != SocketType::STREAM || !sockopt::socket_acceptconn(&listener)? {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        let listener = take().map_err(HttpError::Given)?;
        protected(settings.listen, tls.is_some())?;
        let tls = tls.map(|pair| Certificate::new(&pair)).transpose()?;
        Ok(Self { listener, tls, settings })
    }

    /// Where it listens; with port 0 the kernel chose one.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn at(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Its certificate, if it has one, to be renewed while it serves.
    #[must_use]
    pub fn certificate(&self) -> Option<Certificate> {
        self.tls.clone()
    }

    /// Serves until `stop`; then takes no more, and waits for answers that are under way.
    pub async fn serve(self, faces: Arc<Faces>, stop: impl Future<Output = ()>) {
        let Self { listener, tls, settings } = self;
        let places = Arc::new(Semaphore::new(settings.connections));
        let site =
            Arc::new(Site { faces, hosts: settings.hosts.clone(), is_open: !settings.listen.ip().is_loopback() });
        let (ending, ended) = tokio::sync::watch::channel(());
        let settings = Arc::new(settings);
        site.faces.telemetry.begin();
        let watching = tokio::spawn(watch(Arc::clone(&site.faces)));
        let server = Server { site, settings: Arc::clone(&settings), ended };
        let (peers, told) = (Peers::new(settings.connections_each), Noted::default());
        let strangers = Arc::new(Strangers::new(settings.strangers, settings.head_timeout));
        let mut connections = JoinSet::new();
        let (leaving, notice) = (Arc::clone(&server.site), settings.notice);
        let stop = async move {
            stop.await;
            leaving.faces.health.drain();
            tokio::time::sleep(notice).await;
        };
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = async {
                    let place = Arc::clone(&places).acquire_owned().await;
                    (place, listener.accept().await)
                } => accepted,
            };
            while connections.try_join_next().is_some() {}
            let (Ok(place), Ok((stream, from))) = accepted else {
                // Out of descriptors, perhaps: some will be given back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Some(own) = peers.enter(from.ip()) else {
                if told.is_new(network(from.ip())) {
                    let each = settings.connections_each;
                    tracing::warn!(%from, each, "an address has all its connections ([serve] connections_each); more are closed");
                }
                continue;
            };
            let _ = stream.set_nodelay(true);
            let stream = Patient::new(stream, settings.write_timeout);
            let (server, tls, limit) = (server.clone(), tls.as_ref().map(Certificate::acceptor), settings.head_timeout);
            let (stranger, mut ended) = (Stranger::new(from.ip(), &strangers), server.ended.clone());
            connections.spawn(async move {
                // A handshake is the most that can be had done for nothing.
                let has_turn = tokio::select! {
                    turn = stranger.turn() => turn.is_ok(),
                    _ = ended.changed() => false,
                };
                match tls {
                    _ if !has_turn => {}
                    // Without TLS nothing says beforehand that it is HTTP/2.
                    None => server.http1(stream, stranger, None).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(limit, tls.accept(stream)).await {
                            server.over_tls(stream, stranger).await;
                        }
                    }
                }
                drop((place, own));
            });
        }
        watching.abort();
        drop(listener);
        drop(server);
        let _ = ending.send(());
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(settings.drain, all).await;
        // Those that are left are ended, and waited for: their calls are told to the recorder before it is closed.
        connections.shutdown().await;
    }
}

/// Takes an address, for [`Http::over`]: before a process gives up the right to.
///
/// # Errors
/// [`HttpError::Open`] for an address that others can reach, unless `is_tls`; [`HttpError::Listen`].
pub fn listen(at: SocketAddr, is_tls: bool) -> Result<std::net::TcpListener, HttpError> {
    protected(at, is_tls)?;
    let take = || {
        let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &at)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(socket.into())
    };
    take().map_err(|error: io::Error| HttpError::Listen { at, error })
}

/// Refuses an address that others reach, where nothing is between them and what passes.
fn protected(at: SocketAddr, is_tls: bool) -> Result<(), HttpError> {
    if is_tls || at.ip().is_loopback() { Ok(()) } else { Err(HttpError::Open(at)) }
}
