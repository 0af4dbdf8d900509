//! What a cell may reach.

use std::fmt;
use std::net::IpAddr;

/// A host, or a suffix of hosts, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    host: Host,
    /// `None`: 80 and 443.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// This address, whatever it is: whoever writes it means it.
    Address(IpAddr),
    /// This name, and no other.
    Name(String),
    /// Every name that ends so; begins with a dot.
    Suffix(String),
}

/// Why a text names nothing that could be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no host: use NAME, NAME:PORT, .SUFFIX for every name below it, or an address")]
pub struct NotAllowed(String);

impl Allow {
    /// Parses `example.org`, `example.org:8443`, `.example.org`, `127.0.0.1:8000`, `[::1]:8000`.
    ///
    /// # Errors
    /// [`NotAllowed`] for anything else.
    pub fn parse(text: &str) -> Result<Self, NotAllowed> {
        let wrong = || NotAllowed(text.to_owned());
        let (host, port) = split_port(text).ok_or_else(wrong)?;
        let host = match host.strip_prefix('.') {
            Some(suffix) => Host::Suffix(format!(".{}", name(suffix).ok_or_else(wrong)?)),
            None => match address(host) {
                Some(address) => Host::Address(address),
                None => Host::Name(name(host).ok_or_else(wrong)?),
            },
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            Host::Address(address) => write!(f, "{address}")?,
            Host::Name(name) | Host::Suffix(name) => f.write_str(name)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A host as a request names it, in one form: lower case, no trailing dot, an address in its usual spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The name or address, to be resolved and connected to. No other spelling of it is looked at again.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it is an address that somebody allowed by its number.
    pub by_address: bool,
}

/// The host that a request may reach, if one of the list allows it.
pub(super) fn allowed(list: &[Allow], authority: &str, usual: u16) -> Option<Allowed> {
    let (host, port) = split_port(authority)?;
    let port = port.unwrap_or(usual);
    let is_port = |allow: &Allow| match allow.port {
        Some(only) => only == port,
        None => matches!(port, 80 | 443),
    };
    if let Some(address) = address(host) {
        let named = list.iter().any(|allow| is_port(allow) && allow.host == Host::Address(address));
        return named.then(|| Allowed { host: address.to_string(), port, by_address: true });
    }
    let host = name(host)?;
    let named = list.iter().any(|allow| {
        is_port(allow)
            && match &allow.host {
                Host::Address(_) => false,
                Host::Name(name) => *name == host,
                Host::Suffix(suffix) => host.ends_with(suffix.as_str()),
            }
    });
    named.then_some(Allowed { host, port, by_address: false })
}

/// Host and port; an address of IPv6 stands in brackets.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let number = |port: &str| {
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| port.parse().ok().filter(|port| *port != 0)).flatten()
    };
    match port {
        Some(port) => Some((host, Some(number(port)?))),
        None => Some((host, None)),
    }
}

/// An address in the one spelling that is taken for one: four decimal numbers, or IPv6's. The other spellings that
/// resolvers accept (`127.1`, `0x7f000001`, `2130706433`) are names here, and no name looks like them.
fn address(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}

/// A name in its one form. A last label of digits alone, or of hexadecimal, is a resolver's spelling of an address, and
/// no name (WHATWG URL, "ends in a number").
fn name(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|b| b.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    (host.len() <= 253 && host.split('.').all(label) && !numeric).then_some(host)
}
