//! What follows a `CONNECT`: bytes from end to end, or, where a rule says so, TLS that ends here.

use std::io;
use std::sync::Arc;

use autoshare_core::origin::{Host, Scheme};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::header::HOST;
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Mutex;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::allow::{Allow, Target};
use super::dial::{Counted, connect};
use super::head::{Body, Ready, Refused, prepare, refusal, reply};
use super::hello;
use super::inside::server_name;
use super::proxy::{HEAD_TIMEOUT, Place, Shared, server};

/// Bytes of a tunnel, from end to end. One to a name has to begin with TLS for that name, unless a rule opens the host to
/// anything.
pub(super) async fn through(
    request: Request<Incoming>,
    mut upstream: Counted,
    target: Target,
    shared: Arc<Shared>,
    _place: Place,
) {
    let Ok(client) = hyper::upgrade::on(request).await else { return };
    let mut client = TokioIo::new(client);
    let anything = shared.policy.rules(&target, Scheme::Https).into_iter().any(Allow::is_bytes);
    if !anything && matches!(target.host, Host::Name(_)) {
        let Some(read) = checked(&mut client, &target, &shared).await else { return };
        if upstream.write_all(&read).await.is_err() {
            return;
        }
    }
    let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
}

/// Reads the first words of a tunnel to a name; refuses what is not TLS for it.
async fn checked(client: &mut TokioIo<Upgraded>, target: &Target, shared: &Shared) -> Option<Vec<u8>> {
    match hello::check(client, &target.host).await {
        Ok(read) => Some(read),
        Err(error) => {
            shared.counts.refuse(&target.to_string(), None, format!("refused a tunnel to {target}: {error}"));
            let _ = client.write_all(&hello::REFUSED).await;
            let _ = client.shutdown().await;
            None
        }
    }
}

/// One tunnel of which TLS ends here.
struct Looked {
    target: Target,
    shared: Arc<Shared>,
    /// The connection to the host, kept for the next request, and the credential that it is counted under.
    upstream: Mutex<Option<(SendRequest<Incoming>, Option<String>)>>,
}

/// Ends the TLS of a tunnel, and serves what is asked for in it.
pub(super) async fn look_into(
    request: Request<Incoming>,
    target: Target,
    config: Arc<ServerConfig>,
    shared: Arc<Shared>,
    _place: Place,
) {
    let Ok(client) = hyper::upgrade::on(request).await else { return };
    let mut client = TokioIo::new(client);
    let read = match target.host {
        Host::Name(_) => match checked(&mut client, &target, &shared).await {
            Some(read) => read,
            None => return,
        },
        Host::Address(_) => Vec::new(),
    };
    let (rest, write) = tokio::io::split(client);
    let client = tokio::io::join(io::Cursor::new(read).chain(rest), write);
    let accepted = tokio::time::timeout(HEAD_TIMEOUT, TlsAcceptor::from(config).accept(client)).await;
    let client = match accepted {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => {
            let words = format!(
                "{target}: TLS with the program failed: {error}; does it trust SSL_CERT_FILE, and speak HTTP/1.1?"
            );
            return shared.counts.refuse(&target.to_string(), None, words);
        }
        Err(_) => return,
    };
    let looked = Arc::new(Looked { target, shared, upstream: Mutex::default() });
    let service = service_fn(move |request| {
        let looked = Arc::clone(&looked);
        async move { Ok::<_, hyper::Error>(looked.answer(request).await.unwrap_or_else(|refused| *refused)) }
    });
    let _ = server().serve_connection(TokioIo::new(client), service).await;
}

impl Looked {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Refused> {
        if !self.is_for_target(&request) {
            let name = self.target.to_string();
            self.shared.counts.count(&name, None, |one| one.refused += 1);
            let words = format!("this connection is for {name}, and the request names another host");
            return Err(refusal(StatusCode::MISDIRECTED_REQUEST, &words));
        }
        let rules = self.shared.policy.rules(&self.target, Scheme::Https);
        let Ready { request, credential } = prepare(request, &self.target, Scheme::Https, &rules, &self.shared)?;
        let failed = |why: String| refusal(StatusCode::BAD_GATEWAY, &format!("{}: {why}", self.target));
        let response = self.send(request, credential).await.map_err(failed)?;
        Ok(reply(response, &self.target.origin(Scheme::Https), &self.shared))
    }

    /// Whether a request names the host of the tunnel, in each place where it can name one.
    fn is_for_target(&self, request: &Request<Incoming>) -> bool {
        let same = |authority: &str| Target::parse(authority, Scheme::Https).as_ref() == Some(&self.target);
        let mut hosts = request.headers().get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok()).is_some_and(same) && hosts.next().is_none();
        let url = request.uri().authority().is_none_or(|authority| same(authority.as_str()));
        host && url && request.uri().scheme_str().is_none_or(|scheme| scheme == "https")
    }

    async fn send(
        &self,
        mut request: Request<Incoming>,
        credential: Option<String>,
    ) -> Result<Response<Incoming>, String> {
        let mut kept = self.upstream.lock().await;
        if let Some((mut sender, bears)) = kept.take()
            && bears == credential
            && sender.ready().await.is_ok()
        {
            match sender.try_send_request(request).await {
                Ok(response) => {
                    *kept = Some((sender, credential));
                    return Ok(response);
                }
                // The host had closed the connection before anything was sent.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(format!("its answer cannot be used: {}", error.into_error())),
                },
            }
        }
        let mut sender = self.dial(credential.as_deref()).await?;
        let response =
            sender.send_request(request).await.map_err(|error| format!("its answer cannot be used: {error}"))?;
        *kept = Some((sender, credential));
        Ok(response)
    }

    /// A connection to the host, verified.
    async fn dial(&self, credential: Option<&str>) -> Result<SendRequest<Incoming>, String> {
        let Self { target, shared, .. } = self;
        let refused = |why: String| {
            shared.counts.count(&target.to_string(), None, |one| one.refused += 1);
            why
        };
        let inside = shared.policy.inside.as_ref().ok_or("TLS is not ended for this cell")?;
        let name = server_name(&target.host).ok_or("it has no name to verify")?;
        let stream = connect(target, &shared.policy.resolver).await.map_err(|error| refused(error.to_string()))?;
        let stream = Counted::new(stream, target, credential, &shared.counts);
        let connecting = TlsConnector::from(inside.client()).connect(name, stream);
        let stream = match tokio::time::timeout(HEAD_TIMEOUT, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(refused(format!("TLS with it failed: {error}"))),
            Err(_) => return Err(refused("TLS with it took too long".to_owned())),
        };
        handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())
    }
}

/// Begins to speak HTTP/1.1 with a host.
pub(super) async fn handshake<T>(stream: T) -> hyper::Result<SendRequest<Incoming>>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let (sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);
    Ok(sender)
}
