//! Where something lies below a root, as bytes: names are any bytes but `/` and NUL.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::walk::shown;

/// A path below a root, of any bytes: no empty component, no `.`, no `..`, not absolute. The root itself is `.`.
///
/// As data it is its text with every `%` and every byte that is not UTF-8 written as `%` and two hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(Vec<u8>);

impl RelPath {
    /// The path of these bytes.
    ///
    /// # Errors
    /// What it must not hold.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let is_name = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
        match bytes {
            b"." => Ok(Self::root()),
            _ if bytes.contains(&0) => Err("a path holds no NUL"),
            _ if bytes.split(|b| *b == b'/').all(is_name) => Ok(Self(bytes.to_vec())),
            _ => Err("a path below a root has no empty component, no . and no .."),
        }
    }

    /// The root itself.
    #[must_use]
    pub fn root() -> Self {
        Self(b".".to_vec())
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the root itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == b"."
    }

    /// The path of `name`, which a directory listing gave, in this folder.
    pub(crate) fn join(&self, name: &[u8]) -> Self {
        if self.is_root() { Self(name.to_vec()) } else { Self([self.0.as_slice(), b"/", name].concat()) }
    }

    /// The folder it lies in, and its name there.
    pub(crate) fn split(&self) -> (Self, &[u8]) {
        match self.0.iter().rposition(|b| *b == b'/') {
            Some(at) => {
                let (folder, name) = self.0.split_at(at);
                (Self(folder.to_vec()), name.get(1..).unwrap_or_default())
            }
            None => (Self::root(), &self.0),
        }
    }

    /// The folders it lies in, outermost first, the root left out.
    pub fn folders(&self) -> impl Iterator<Item = Self> {
        self.0
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b'/')
            .map(|(at, _)| Self(self.0.iter().take(at).copied().collect()))
    }

    /// Whether it lies in `folder`, at any depth.
    #[must_use]
    pub fn is_below(&self, folder: &Self) -> bool {
        if folder.is_root() {
            return !self.is_root();
        }
        self.0.strip_prefix(folder.0.as_slice()).is_some_and(|rest| rest.starts_with(b"/"))
    }
}

/// As text: what is not UTF-8 becomes U+FFFD, control characters their escapes.
impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0))
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        escape(&path.0)
    }
}

impl TryFrom<String> for RelPath {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&unescape(&text)?)
    }
}

/// What a symbolic link holds: any bytes but NUL. As data it is written as [`RelPath`] is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkTarget(pub(crate) Vec<u8>);

impl LinkTarget {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for LinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0))
    }
}

impl From<LinkTarget> for String {
    fn from(target: LinkTarget) -> Self {
        escape(&target.0)
    }
}

impl TryFrom<String> for LinkTarget {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        unescape(&text).map(Self)
    }
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        text.extend(chunk.invalid().iter().map(|byte| format!("%{byte:02x}")));
    }
    text
}

fn unescape(text: &str) -> Result<Vec<u8>, &'static str> {
    const WRONG: &str = "a % is followed by two hexadecimal digits";
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(WRONG)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| WRONG)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(bytes)
}
