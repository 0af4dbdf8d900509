//! What a cell may reach: rules as people write them.
//!
//! ```text
//! files.example.org                    any request, ports 80 and 443
//! files.example.org:8443               that port
//! .example.org                         every name below it
//! 127.0.0.1:8000                       this address, whatever it is
//! https://files.example.org            TLS alone
//! tcp://git.example.org:22             any bytes: nothing of them is looked at
//! GET,HEAD https://files.example.org/data/*
//! http://mirror.example.org/debian/*
//! ```

use std::fmt;

use autoshare_core::origin::{Authority, Host, Origin, Scheme};
use hyper::Method;

/// Bytes of a rule at most.
const MAX_RULE: usize = 2_048;

/// One rule: which host and port may be reached, how, and with which requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    whom: Whom,
    /// `None`: 80 and 443, or the one of the way.
    port: Option<u16>,
    way: Way,
    /// None: any.
    methods: Vec<Method>,
    path: Option<PathRule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Whom {
    /// This name and no other; or this address, whatever it is: whoever writes it means it.
    Host(Host),
    /// Every name that ends so; begins with a dot.
    Suffix(String),
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// HTTP or TLS.
    Any,
    /// One of them.
    Only(Scheme),
    /// Anything.
    Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PathRule {
    Exactly(String),
    Below(String),
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// No host.
    #[error("{0:?} names no host: use NAME, NAME:PORT, .SUFFIX for every name below it, or an address")]
    Host(String),
    /// No way of speaking.
    #[error("{0:?}: use http://, https:// or tcp:// before the host, or nothing")]
    Way(String),
    /// No method.
    #[error("{0:?}: methods are capital letters with commas between them, such as GET,HEAD")]
    Methods(String),
    /// No path.
    #[error(
        "{0:?}: a path begins with / after http:// or https:// and a host, and may end in * for all that begins so"
    )]
    Path(String),
    /// Nobody sees what is asked for in TLS.
    #[error(
        "{0:?}: methods and paths of https are seen only where TLS is ended for this cell, which is done for single hosts: \
         name the host instead of a suffix, with https:// before it"
    )]
    Unseen(String),
}

impl Allow {
    /// Parses a rule.
    ///
    /// # Errors
    /// [`NotAllowed`].
    pub fn parse(text: &str) -> Result<Self, NotAllowed> {
        let wrong = || NotAllowed::Host(text.get(..text.floor_char_boundary(200)).unwrap_or_default().to_owned());
        if text.len() > MAX_RULE {
            return Err(wrong());
        }
        let (methods, rest) = match text.split_once(' ') {
            Some((methods, rest)) => (self::methods(methods).ok_or_else(|| NotAllowed::Methods(text.into()))?, rest),
            None => (Vec::new(), text),
        };
        let (way, rest) = match rest.split_once("://") {
            Some(("http", rest)) => (Way::Only(Scheme::Http), rest),
            Some(("https", rest)) => (Way::Only(Scheme::Https), rest),
            Some(("tcp", rest)) => (Way::Bytes, rest),
            Some(_) => return Err(NotAllowed::Way(text.into())),
            None => (Way::Any, rest),
        };
        let (host, path) = match rest.find('/').and_then(|at| rest.split_at_checked(at)) {
            Some((host, "/")) if way != Way::Any => (host, None),
            Some((host, path)) => (host, Some(PathRule::parse(path).ok_or_else(|| NotAllowed::Path(text.into()))?)),
            None => (rest, None),
        };
        let (whom, port) = match host.strip_prefix('.') {
            Some(suffix) => match Authority::parse(suffix) {
                Some(Authority { host: Host::Name(name), port }) => (Whom::Suffix(format!(".{name}")), port),
                _ => return Err(wrong()),
            },
            None => {
                let Authority { host, port } = Authority::parse(host).ok_or_else(wrong)?;
                (Whom::Host(host), port)
            }
        };
        let rule = Self { whom, port, way, methods, path };
        match (rule.way, &rule.whom) {
            (Way::Any, _) if rule.path.is_some() => Err(NotAllowed::Path(text.into())),
            (Way::Bytes, _) if !rule.is_whole() => Err(NotAllowed::Path(text.into())),
            (Way::Bytes, _) if rule.port.is_none() => Err(wrong()),
            (Way::Any, _) | (Way::Only(Scheme::Https), Whom::Suffix(_)) if !rule.is_whole() => {
                Err(NotAllowed::Unseen(text.into()))
            }
            _ => Ok(rule),
        }
    }

    /// Everything at an origin.
    pub(super) fn origin(origin: &Origin) -> Self {
        Self {
            whom: Whom::Host(origin.host.clone()),
            port: Some(origin.port),
            way: Way::Only(origin.scheme),
            methods: Vec::new(),
            path: None,
        }
    }

    /// Whether it lets every request pass that gets there.
    pub(super) fn is_whole(&self) -> bool {
        self.methods.is_empty() && self.path.is_none()
    }

    /// Whether any bytes may go there.
    pub(super) fn is_bytes(&self) -> bool {
        self.way == Way::Bytes
    }

    /// The host and port at which TLS has to be ended for its sake.
    pub(super) fn to_look_into(&self) -> Option<(Host, u16)> {
        match (&self.whom, self.way) {
            (Whom::Host(host), Way::Only(Scheme::Https)) if !self.is_whole() => {
                Some((host.clone(), self.port.unwrap_or(Scheme::Https.port())))
            }
            _ => None,
        }
    }

    /// Whether it speaks of this host and port, reached in this way; through a tunnel, that is [`Scheme::Https`].
    pub(super) fn covers(&self, target: &Target, scheme: Scheme) -> bool {
        let host = match (&self.whom, &target.host) {
            (Whom::Host(whom), host) => whom == host,
            (Whom::Suffix(suffix), Host::Name(name)) => name.ends_with(suffix.as_str()),
            (Whom::Suffix(_), Host::Address(_)) => false,
        };
        let port = match (self.port, self.way) {
            (Some(port), _) => port == target.port,
            (None, Way::Only(scheme)) => scheme.port() == target.port,
            (None, _) => matches!(target.port, 80 | 443),
        };
        let way = match self.way {
            Way::Any => true,
            Way::Only(only) => only == scheme,
            Way::Bytes => scheme == Scheme::Https,
        };
        host && port && way
    }

    /// Whether a request passes.
    pub(super) fn permits(&self, method: &Method, path: &str) -> bool {
        let method = self.methods.is_empty() || self.methods.contains(method);
        method && self.path.as_ref().is_none_or(|rule| rule.permits(path))
    }
}

fn methods(text: &str) -> Option<Vec<Method>> {
    let method = |name: &str| {
        let is_name = (1..=20).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        is_name.then(|| Method::from_bytes(name.as_bytes()).ok()).flatten()
    };
    text.split(',').map(method).collect()
}

impl PathRule {
    fn parse(text: &str) -> Option<Self> {
        let (path, rule): (_, fn(String) -> Self) = match text.strip_suffix('*') {
            Some(path) => (path, Self::Below),
            None => (text, Self::Exactly),
        };
        let plain = path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'*' | b'?' | b'#'));
        (path.starts_with('/') && plain && is_straight(path)).then(|| rule(path.to_owned()))
    }

    fn permits(&self, path: &str) -> bool {
        // What a server may understand as another path than it reads is nobody's.
        is_straight(path)
            && match self {
                Self::Exactly(only) => path == only,
                Self::Below(begin) => path.starts_with(begin.as_str()),
            }
    }
}

/// Whether a path leads where it seems to: no `.` or `..` in it, in whatever spelling, and no hidden separator.
fn is_straight(path: &str) -> bool {
    let path = path.to_ascii_lowercase().replace("%2e", ".");
    let hidden = ["%2f", "%5c", "%00", "\\", ";"].iter().any(|part| path.contains(part));
    !hidden && !path.split('/').any(|part| part == "." || part == "..")
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, method) in self.methods.iter().enumerate() {
            write!(f, "{}{method}", if at > 0 { "," } else { "" })?;
        }
        if !self.methods.is_empty() {
            f.write_str(" ")?;
        }
        match self.way {
            Way::Any => {}
            Way::Only(scheme) => write!(f, "{scheme}://")?,
            Way::Bytes => f.write_str("tcp://")?,
        }
        match &self.whom {
            Whom::Host(host) => write!(f, "{host}")?,
            Whom::Suffix(suffix) => f.write_str(suffix)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))?;
        match &self.path {
            None => Ok(()),
            Some(PathRule::Exactly(path)) => f.write_str(path),
            Some(PathRule::Below(path)) => write!(f, "{path}*"),
        }
    }
}

/// The host and port that a request is for, in one form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

impl Target {
    /// Of what a request names; `scheme` says the usual port.
    pub(super) fn parse(authority: &str, scheme: Scheme) -> Option<Self> {
        let Authority { host, port } = Authority::parse(authority)?;
        Some(Self { host, port: port.unwrap_or(scheme.port()) })
    }

    /// The origin that it is when reached so.
    pub(super) fn origin(&self, scheme: Scheme) -> Origin {
        Origin { scheme, host: self.host.clone(), port: self.port }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
