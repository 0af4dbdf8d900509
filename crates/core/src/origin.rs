//! Hosts and origins as people and programs write them, in one form each: what is compared is what was parsed.

use std::fmt;
use std::net::IpAddr;

/// A host: a name in lower case without a dot at its end, or an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An address, in the one spelling that is taken for one: four decimal numbers, or IPv6's. The other spellings that
    /// resolvers accept (`127.1`, `0x7f000001`, `2130706433`) are no hosts at all here.
    Address(IpAddr),
    /// A name: letters, digits, `-` and `_`. Names in other scripts stand in their `xn--` form.
    Name(String),
}

impl Host {
    /// The host that `text` spells; IPv6 without brackets.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(address) => Some(Self::Address(address)),
            Err(_) => name(text).map(Self::Name),
        }
    }

    /// Whether it is this machine: `localhost`, `127.0.0.0/8`, `::1`. Names below `.localhost` are not: a resolver may
    /// answer anything for them.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => name == "localhost",
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
        }
    }
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

/// A host, and a port if one was written: `example.org`, `example.org:8443`, `127.0.0.1:80`, `[::1]:80`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority {
    /// The host.
    pub host: Host,
    /// The port, never 0.
    pub port: Option<u16>,
}

impl Authority {
    /// Parses one; names and passwords before an `@` are none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = split_port(text)?;
        let host = match (Host::parse(host)?, text.starts_with('[')) {
            (host @ Host::Address(IpAddr::V6(_)), true) => host,
            (Host::Address(IpAddr::V6(_)), false) | (_, true) => return None,
            (host, false) => host,
        };
        Some(Self { host, port })
    }
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

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// The port where none is written.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// Scheme, host and port (RFC 6454): for what a credential is, and what a request goes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// What is spoken there.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

/// Why a text names no origin that a credential could be for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// No host.
    #[error("{0:?} names no host: use NAME, NAME:PORT or an address, such as api.example.org")]
    NoHost(String),
    /// Plain HTTP to another machine.
    #[error("{0:?} is plain http to another machine, where anybody on the way reads along: use https")]
    Plain(String),
}

impl Origin {
    /// What a credential may be for: `example.org`, `example.org:8443`, `https://example.org`, or `http://` and a host
    /// of this machine.
    ///
    /// # Errors
    /// [`OriginError`]: no host, a path after it, plain HTTP to elsewhere.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(_) => return Err(OriginError::NoHost(text.to_owned())),
            None => (Scheme::Https, text),
        };
        let Authority { host, port } = Authority::parse(rest).ok_or_else(|| OriginError::NoHost(text.to_owned()))?;
        if scheme == Scheme::Http && !host.is_loopback() {
            return Err(OriginError::Plain(text.to_owned()));
        }
        Ok(Self { scheme, host, port: port.unwrap_or(scheme.port()) })
    }

    /// The origin of an `http://` or `https://` URL, whatever stands behind its host.
    #[must_use]
    pub fn of_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        let Authority { host, port } = Authority::parse(authority)?;
        Some(Self { scheme, host, port: port.unwrap_or(scheme.port()) })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        if *scheme == Scheme::Http {
            f.write_str("http://")?;
        }
        write!(f, "{host}")?;
        if *port == scheme.port() { Ok(()) } else { write!(f, ":{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_named_in_one_way_each() {
        for (text, shown) in [
            ("API.Example.org.", "api.example.org"),
            ("api.example.org:443", "api.example.org"),
            ("https://api.example.org:8443", "api.example.org:8443"),
            ("http://localhost:8000", "http://localhost:8000"),
            ("http://127.0.0.1", "http://127.0.0.1"),
            ("http://[::1]:80", "http://[::1]"),
            ("10.0.0.1", "10.0.0.1"),
        ] {
            let origin = Origin::parse(text).unwrap();
            assert_eq!(origin.to_string(), shown, "{text}");
            assert_eq!(Origin::parse(shown).unwrap(), origin, "{text}");
        }
        for text in ["", "http://example.org", "http://10.0.0.1", "http://a.localhost", "ftp://a.org", "a.org/x", "a@b"]
        {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_origin_of_a_url_is_what_a_client_would_connect_to_or_none() {
        for (url, origin) in [
            ("https://api.example.org/v1", Some("api.example.org")),
            ("HTTPS://api.example.org:8443?x", Some("api.example.org:8443")),
            ("http://localhost:1/v1", Some("http://localhost:1")),
            ("http://localhost:1\\@api.example.org/", Some("http://localhost:1")),
            ("https://api.example.org@evil.test/", None),
            ("https://127.1/", None),
            ("api.example.org", None),
        ] {
            assert_eq!(Origin::of_url(url).map(|origin| origin.to_string()).as_deref(), origin, "{url}");
        }
    }
}
