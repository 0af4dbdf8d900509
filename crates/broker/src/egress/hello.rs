//! The first words of a TLS connection that is not ended here: the one place where it says aloud whom it is for (RFC 8446
//! section 4.1.2, RFC 6066 section 3). Nothing is decrypted.

use std::time::Duration;

use autoshare_core::origin::Host;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How long a client may take to say them.
const HELLO_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of them at most; with post-quantum keys they have about 2,000.
const MAX_HELLO: usize = 32 * 1024;
/// What is sent to a client whose hello is refused: a fatal alert, `unrecognized_name`.
pub(super) const REFUSED: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// What a client said first.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hello {
    /// More has to come before it can be told.
    Unfinished,
    /// No TLS, or a broken one.
    Other,
    /// A ClientHello.
    Tls {
        /// The name it is for, as it was spelt.
        name: Option<String>,
        /// Whether it hides another.
        encrypted: bool,
    },
}

/// Why a connection may not go on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WrongHello {
    #[error("what was said through the tunnel is no TLS; a rule tcp://HOST:PORT opens a host to anything")]
    NoTls,
    #[error("it did not say in TLS whom it is for (no SNI)")]
    NoName,
    #[error("it was for {0:?} in TLS (SNI)")]
    OtherName(String),
    #[error("its TLS hides whom it is for (ECH); turn that off in the program")]
    Encrypted,
}

/// Reads the hello of a client that asked for `host`; gives the bytes that were read, which are to be passed on.
pub(super) async fn check(client: &mut (impl AsyncRead + Unpin), host: &Host) -> Result<Vec<u8>, WrongHello> {
    let mut bytes = Vec::new();
    let reading = async {
        loop {
            match read(&bytes) {
                Hello::Unfinished if bytes.len() < MAX_HELLO => {}
                other => return other,
            }
            match client.read_buf(&mut bytes).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Hello::Other,
            }
        }
    };
    let hello = tokio::time::timeout(HELLO_TIMEOUT, reading).await.unwrap_or(Hello::Other);
    match hello {
        Hello::Tls { encrypted: true, .. } => Err(WrongHello::Encrypted),
        Hello::Tls { name: None, .. } => Err(WrongHello::NoName),
        Hello::Tls { name: Some(name), .. } if Host::parse(&name).as_ref() != Some(host) => {
            Err(WrongHello::OtherName(name))
        }
        Hello::Tls { .. } => Ok(bytes),
        Hello::Other | Hello::Unfinished => Err(WrongHello::NoTls),
    }
}

/// Reads as much of a hello as there is.
pub(super) fn read(bytes: &[u8]) -> Hello {
    let Some(message) = handshake(bytes) else { return Hello::Other };
    let Some((&kind, rest)) = message.split_first() else { return Hello::Unfinished };
    if kind != CLIENT_HELLO {
        return Hello::Other;
    }
    let mut rest = Reader(rest);
    let Some(length) = rest.number(3) else { return Hello::Unfinished };
    let Some(body) = rest.take(length) else { return Hello::Unfinished };
    client_hello(body).unwrap_or(Hello::Other)
}

/// The bytes of the handshake in as many records as are there, the last perhaps in part.
fn handshake(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let mut rest = bytes;
    while let Some((&kind, after)) = rest.split_first() {
        // Version 3.x; a record of TLS has 2^14 bytes at most, and one without any is an evasion.
        if kind != HANDSHAKE || after.first().is_some_and(|major| *major != 3) {
            return None;
        }
        let Some((&[_, _, high, low], body)) = after.split_first_chunk::<4>() else { break };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length == 0 || length > 1 << 14 {
            return None;
        }
        let (part, next) = body.split_at_checked(length).unwrap_or((body, &[]));
        message.extend_from_slice(part);
        rest = next;
    }
    Some(message)
}

fn client_hello(body: &[u8]) -> Option<Hello> {
    let mut body = Reader(body);
    body.take(2 + 32)?;
    for width in [1, 2, 1] {
        // Session, ciphers, compression.
        let length = body.number(width)?;
        body.take(length)?;
    }
    let (mut name, mut encrypted, mut seen) = (None, false, false);
    if !body.0.is_empty() {
        let length = body.number(2)?;
        let mut extensions = Reader(body.take(length)?);
        while !extensions.0.is_empty() {
            let kind = u16::try_from(extensions.number(2)?).ok()?;
            let length = extensions.number(2)?;
            let content = extensions.take(length)?;
            match kind {
                ENCRYPTED_CLIENT_HELLO => encrypted = true,
                // A second one is for a server that reads another than we do.
                SERVER_NAME if seen => return None,
                SERVER_NAME => (name, seen) = (Some(server_name(content)?), true),
                _ => {}
            }
        }
    }
    // What follows a hello in its message is for nobody.
    body.0.is_empty().then_some(Hello::Tls { name, encrypted })
}

/// The one name in a list of names.
fn server_name(content: &[u8]) -> Option<String> {
    let mut list = Reader(content);
    let length = list.number(2)?;
    let mut names = Reader(list.take(length)?);
    let kind = names.number(1)?;
    let length = names.number(2)?;
    let name = names.take(length)?;
    let alone = kind == 0 && names.0.is_empty() && list.0.is_empty();
    alone.then(|| String::from_utf8(name.to_vec()).ok()).flatten()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of so many bytes, the highest first.
    fn number(&mut self, width: usize) -> Option<usize> {
        Some(self.take(width)?.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hello with these extensions, in records of so many bytes.
    fn hello(extensions: &[(u16, Vec<u8>)], record: usize) -> Vec<u8> {
        let part = |kind: u16, content: &[u8]| {
            let length = u16::try_from(content.len()).unwrap().to_be_bytes();
            [&kind.to_be_bytes()[..], &length, content].concat()
        };
        let extensions: Vec<u8> = extensions.iter().flat_map(|(kind, content)| part(*kind, content)).collect();
        let mut body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0]].concat();
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let message = [&[CLIENT_HELLO][..], &length[1..], &body].concat();
        let header = |part: &[u8]| [&[HANDSHAKE, 3, 1][..], &u16::try_from(part.len()).unwrap().to_be_bytes()].concat();
        message.chunks(record).flat_map(|part| [header(part), part.to_vec()].concat()).collect()
    }

    fn sni(name: &str) -> (u16, Vec<u8>) {
        let length = u16::try_from(name.len()).unwrap();
        let content = [&(length + 3).to_be_bytes()[..], &[0], &length.to_be_bytes(), name.as_bytes()].concat();
        (SERVER_NAME, content)
    }

    fn found(name: Option<&str>, encrypted: bool) -> Hello {
        Hello::Tls { name: name.map(str::to_owned), encrypted }
    }

    #[test]
    fn c5_a_hello_is_read_however_it_is_cut_and_nothing_else_is_taken_for_one() {
        let other = (13, vec![0; 40]);
        let whole = hello(&[other.clone(), sni("a.example.org")], 1 << 14);
        assert_eq!(read(&whole), found(Some("a.example.org"), false));
        assert_eq!(read(&hello(&[other.clone(), sni("a.example.org")], 5)), found(Some("a.example.org"), false));
        assert_eq!(read(&hello(&[], 1 << 14)), found(None, false));
        assert_eq!(read(&hello(&[sni("a.org"), (ENCRYPTED_CLIENT_HELLO, vec![1])], 99)), found(Some("a.org"), true));
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Hello::Unfinished, "{end}");
        }
        assert_eq!(read(&[&whole[..], b"more"].concat()), Hello::Other, "what follows it is no handshake");
        for other in [&b"GET / HTTP/1.1\r\n"[..], b"SSH-2.0-x\r\n", &[22, 2], &[22, 3, 1, 0, 0], &[22, 3, 1, 255, 255]]
        {
            assert_eq!(read(other), Hello::Other, "{other:?}");
        }
        assert_eq!(read(&hello(&[sni("a.org"), sni("b.org")], 1 << 14)), Hello::Other, "two names");
        let (kind, mut two) = sni("a.org");
        two.extend([0, 0, 1, b'b']);
        two[1] += 4;
        assert_eq!(read(&hello(&[(kind, two)], 1 << 14)), Hello::Other, "two names in one list");
    }

    #[tokio::test]
    async fn c5_a_tunnel_is_for_the_host_that_it_was_asked_for() {
        let host = Host::parse("a.example.org").unwrap();
        let check = async |bytes: Vec<u8>| check(&mut &bytes[..], &host).await.map(|read| read == bytes);
        for name in ["a.example.org", "A.Example.Org", "a.example.org."] {
            assert_eq!(check(hello(&[sni(name)], 1 << 14)).await, Ok(true), "{name}");
        }
        for name in
            ["b.example.org", "example.org", "x.a.example.org", "a.example.org.evil.test", "a.example.org\0", ""]
        {
            assert_eq!(check(hello(&[sni(name)], 1 << 14)).await, Err(WrongHello::OtherName(name.into())), "{name}");
        }
        assert_eq!(check(hello(&[], 1 << 14)).await, Err(WrongHello::NoName));
        let hidden = hello(&[sni("a.example.org"), (ENCRYPTED_CLIENT_HELLO, vec![0])], 1 << 14);
        assert_eq!(check(hidden).await, Err(WrongHello::Encrypted));
        assert_eq!(check(b"GET / HTTP/1.1\r\nHost: a.example.org\r\n\r\n".to_vec()).await, Err(WrongHello::NoTls));
        assert_eq!(check(hello(&[sni("a.example.org")], 1 << 14)[..30].to_vec()).await, Err(WrongHello::NoTls));
    }
}
