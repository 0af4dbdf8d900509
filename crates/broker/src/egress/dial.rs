//! From a host to a connection: resolved once, every address looked at, and one that was looked at connected to.
#![allow(clippy::disallowed_types, reason = "this crate is the one that opens outbound sockets")]

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use autoshare_core::origin::Host;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::address::is_public;
use super::allow::Target;
use super::counts::Counts;

/// How long resolving and connecting may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Who says which addresses a name has. It is asked once for each connection, and what it says is not believed to be on
/// the internet.
#[derive(Clone, Default)]
pub struct Resolver(Option<Arc<Lookup>>);

impl Resolver {
    /// The system's: `/etc/hosts`, then the name servers of this machine. Cells have none.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// One that is given.
    #[must_use]
    pub fn new(lookup: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(lookup)))
    }

    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match &self.0 {
            Some(lookup) => lookup(name),
            None => Ok(tokio::net::lookup_host((name, 0)).await?.map(|at| at.ip()).collect()),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Resolver(given)" } else { "Resolver(system)" })
    }
}

/// Connects to one of the addresses of a host, after it was looked at. An address that a rule names is not looked at:
/// whoever wrote it meant it.
pub(super) async fn connect(target: &Target, resolver: &Resolver) -> io::Result<TcpStream> {
    let dialled = async {
        let name = match &target.host {
            Host::Address(address) => return TcpStream::connect((*address, target.port)).await,
            Host::Name(name) => name,
        };
        let mut refused = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
        for address in resolver.addresses(name).await?.into_iter().take(MAX_ADDRESSES) {
            if !is_public(address) {
                let words = format!("its name leads to {address}, which is not on the internet");
                refused = io::Error::new(io::ErrorKind::PermissionDenied, words);
                continue;
            }
            match TcpStream::connect(SocketAddr::new(address, target.port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    };
    tokio::time::timeout(CONNECT_TIMEOUT, dialled).await.unwrap_or_else(|_| {
        let words = format!("it did not answer in {} s", CONNECT_TIMEOUT.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, words))
    })
}

/// A connection whose bytes are counted.
pub(super) struct Counted {
    stream: TcpStream,
    target: String,
    credential: Option<String>,
    counts: Arc<Counts>,
}

impl Counted {
    pub(super) fn new(stream: TcpStream, target: &Target, credential: Option<&str>, counts: &Arc<Counts>) -> Self {
        let (target, credential, counts) = (target.to_string(), credential.map(str::to_owned), Arc::clone(counts));
        counts.count(&target, credential.as_deref(), |one| one.connections += 1);
        // Small pieces of a dialogue are not to wait for each other.
        let _ = stream.set_nodelay(true);
        Self { stream, target, credential, counts }
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len().saturating_sub(before) as u64;
        if read > 0 {
            self.counts.count(&self.target, self.credential.as_deref(), |one| one.received += read);
        }
        done
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &done {
            self.counts.count(&self.target, self.credential.as_deref(), |one| one.sent += *written as u64);
        }
        done
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
