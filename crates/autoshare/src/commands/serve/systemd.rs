//! A service of systemd: the socket that it hands over, and what it is told.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::exit::{Failure, SETTINGS};
use crate::settings::Activation;

/// Where it is told how the service stands. Connected before this process confines itself.
pub(crate) struct Supervisor {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    pub(crate) fn reach(activation: &Activation) -> Result<Self, Failure> {
        let reach = |at: &String| {
            let address = match at.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(at),
            }?;
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = activation.notify.as_ref().map(reach).transpose();
        let socket = socket.map_err(|error: std::io::Error| {
            Failure::new(SETTINGS, format!("NOTIFY_SOCKET: {error}; unset it if you start the program by hand"))
        })?;
        Ok(Self { socket, watchdog: activation.watchdog })
    }

    /// Says something in the words of sd_notify(3). That nobody hears it is no reason to stop serving.
    pub(crate) fn tell(&self, state: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(state.as_bytes());
        }
    }

    /// Says again and again that this process lives, as long as its runtimes get round to it: the one that answers, and the one
    /// where brains are driven.
    pub(crate) async fn live(&self, drives: &Handle) {
        let Some(within) = self.watchdog else { return std::future::pending().await };
        let mut beats = tokio::time::interval(within / 2);
        loop {
            beats.tick().await;
            if drives.spawn(std::future::ready(())).await.is_ok() {
                self.tell("WATCHDOG=1");
            }
        }
    }
}

/// The socket that was handed over.
pub(crate) fn socket(activation: &Activation) -> Result<Option<TcpListener>, Failure> {
    match activation.sockets {
        0 => Ok(None),
        1 => Ok(Some(autoshare_sandbox::handed_over().map(TcpListener::from).map_err(|error| {
            Failure::new(SETTINGS, format!("LISTEN_FDS is 1, and descriptor 3 is not open: {error}"))
        })?)),
        count => Err(Failure::new(
            SETTINGS,
            format!("LISTEN_FDS is {count}: one socket is served; leave one ListenStream= in the .socket unit"),
        )),
    }
}
