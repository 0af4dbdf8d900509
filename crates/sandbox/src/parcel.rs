//! One message and its descriptors over a SEQPACKET pair: between host and launcher, launcher and a cell in the making,
//! host and a cell for programs.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of one message at most; a specification with 500 paths fits.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Descriptors with one message at most.
const MAX_FDS: usize = 4;
/// The same of the launcher's order to a spare, which brings a tree for each root; the kernel takes 253 (`SCM_MAX_FD`).
pub(crate) const MAX_ORDER_FDS: usize = 250;

/// A connected pair.
///
/// # Errors
/// Of socketpair(2).
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Refuses a message that would not fit.
pub(crate) fn check<T: Serialize>(message: &T) -> io::Result<()> {
    encode(message).map(drop)
}

fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(message)?;
    if body.len() > MAX_MESSAGE {
        let length = body.len();
        return Err(io::Error::other(format!("{length} bytes; {MAX_MESSAGE} are allowed: name fewer paths")));
    }
    Ok(body)
}

/// Sends one message with its descriptors, whole or not at all.
///
/// # Errors
/// Of sendmsg(2); `EAGAIN` where the socket does not block and is full.
pub fn send<T: Serialize>(socket: impl AsFd, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let body = encode(message)?;
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(fds.len()))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    sendmsg(socket, &[IoSlice::new(&body)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next message; `None` if the other side is gone.
///
/// # Errors
/// Of recvmsg(2), and for what is no such message.
pub fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    receive_with(socket, MAX_FDS)
}

/// The next message, with so many descriptors at most; one with more is none.
pub(crate) fn receive_with<T: DeserializeOwned>(
    socket: impl AsFd,
    most: usize,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    // Most messages are short; a buffer for the longest would cost more to clear than they to carry.
    let (_, length) = again(|| rustix::net::recv(&socket, &mut [0u8; 0], RecvFlags::PEEK | RecvFlags::TRUNC))?;
    let mut body = vec![0u8; length.min(MAX_MESSAGE)];
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(most))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        again(|| recvmsg(&socket, &mut [IoSliceMut::new(&mut body)], &mut ancillary, RecvFlags::CMSG_CLOEXEC))?;
    if received.flags.contains(ReturnFlags::CTRUNC) {
        // More descriptors than there is room for: by this end's limit, or by what was agreed on.
        return Err(io::Error::from_raw_os_error(libc::EMFILE));
    }
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::other("a message that is too long"));
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    let message = serde_json::from_slice(body.get(..received.bytes).unwrap_or_default())?;
    Ok(Some((message, fds)))
}

/// Makes a call until no signal interrupts it.
fn again<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return other,
        }
    }
}

/// The next message with its descriptors, which must come within `patience`.
pub(crate) fn receive_within<T: DeserializeOwned>(
    socket: impl AsFd,
    patience: Duration,
) -> io::Result<(T, Vec<OwnedFd>)> {
    let socket = socket.as_fd();
    let limit = Timespec::try_from(patience).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&limit)) {
        Ok(0) => return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    match receive(socket)? {
        Some(received) => Ok(received),
        None => Err(io::Error::from_raw_os_error(libc::ECONNRESET)),
    }
}
