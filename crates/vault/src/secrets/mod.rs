//! Named credentials of a tenant: for which origins each is, how it is shown there, and its value, sealed.
//!
//! Each is one file, `secrets/<tenant>/<NAME>`, beside the journals and apart from the keys: without the tenant's key it
//! is noise. Sealed with a key derived from the tenant's; the associated data binds tenant and name, so a file that is
//! moved to another tenant or another name does not open. An earlier file of the same name that is put back does: what
//! is to be worth nothing is to be revoked where it was issued.

mod record;

use std::path::Path;

use autoshare_core::TenantName;
use autoshare_core::origin::{Origin, OriginError};

use crate::private::{Others, PrivateDir};
use crate::seal::Bound;
use crate::{Sensitive, TenantKey, Vault, VaultError};

/// Bytes of a value at least: a shorter one is found in any text, and could not be struck from a reply.
pub const MIN_VALUE: usize = 8;
/// Bytes of a value at most.
pub const MAX_VALUE: usize = 16 * 1024;
/// Origins of one credential at most.
pub const MAX_HOSTS: usize = 64;
/// Bytes of a file at most: the value, 64 origins of 270 bytes, and what says how it is shown.
const MAX_FILE: usize = 48 * 1024;

/// Why a credential cannot be as it was given. No value is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Not a name.
    #[error(
        "{0:?} is no name of a secret: use 1 to 64 letters, digits, '_', '-' and '.', beginning with a letter or '_'"
    )]
    Name(String),
    /// Not a way of showing it.
    #[error("{0:?} is no form: use bearer, header:NAME, query:NAME or basic:USER")]
    Form(String),
    /// Not an origin.
    #[error(transparent)]
    Host(#[from] OriginError),
    /// For no host, or for too many.
    #[error("a secret is for 1 to {MAX_HOSTS} hosts: name each with --host, such as --host api.example.org")]
    Hosts,
    /// Too short or too long.
    #[error("a secret has {MIN_VALUE} to {MAX_VALUE} bytes, and this one has {0}")]
    Length(usize),
    /// What no request can carry.
    #[error(
        "a secret is one line of visible ASCII characters and spaces, as a request carries it; this one holds something else"
    )]
    Characters,
}

/// A name, such as `OPENAI_API_KEY`: also that of a file, and often that of a variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

impl SecretName {
    /// Parses one.
    ///
    /// # Errors
    /// [`SecretError::Name`].
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if begins && rest && text.len() <= 64 {
            Ok(Self(text.to_owned()))
        } else {
            Err(SecretError::Name(text.to_owned()))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for SecretName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a request shows a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `Authorization: Bearer VALUE` (RFC 6750).
    Bearer,
    /// A header of its own, such as `x-api-key`; in lower case.
    Header(String),
    /// A parameter of the query.
    Query(String),
    /// `Authorization: Basic` with this user and the value as password (RFC 7617); what git uses.
    Basic(String),
}

impl Form {
    /// Parses `bearer`, `header:NAME`, `query:NAME`, `basic:USER`.
    ///
    /// # Errors
    /// [`SecretError::Form`]; also for headers that say where a request goes or where it ends.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let wrong = || SecretError::Form(text.to_owned());
        let token = |name: &str| {
            let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            (1..=64).contains(&name.len()) && name.bytes().all(is_token)
        };
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "bearer" if !text.contains(':') => Ok(Self::Bearer),
            "header" if token(name) => {
                let name = name.to_ascii_lowercase();
                if FRAMING.contains(&name.as_str()) { Err(wrong()) } else { Ok(Self::Header(name)) }
            }
            "query"
                if (1..=64).contains(&name.len())
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) =>
            {
                Ok(Self::Query(name.to_owned()))
            }
            // A colon ends the user (RFC 7617).
            "basic" if (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b':') => {
                Ok(Self::Basic(name.to_owned()))
            }
            _ => Err(wrong()),
        }
    }
}

/// Headers that are the proxy's own.
const FRAMING: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "accept-encoding",
];

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bearer => f.write_str("bearer"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Basic(user) => write!(f, "basic:{user}"),
        }
    }
}

/// What may be told of a credential: everything but its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// By which it is known.
    pub name: SecretName,
    /// Where it may go, and nowhere else.
    pub hosts: Vec<Origin>,
    /// How it is shown there.
    pub form: Form,
}

/// A credential. Overwritten when dropped, and never printed.
#[derive(Debug)]
pub struct Secret {
    about: About,
    value: Sensitive,
}

impl Secret {
    /// Puts one together.
    ///
    /// # Errors
    /// [`SecretError`] for a value or hosts that cannot be.
    pub fn new(about: About, value: Sensitive) -> Result<Self, SecretError> {
        let len = value.expose().len();
        if !(MIN_VALUE..=MAX_VALUE).contains(&len) {
            return Err(SecretError::Length(len));
        }
        if !value.expose().bytes().all(|b| b.is_ascii_graphic() || b == b' ') || value.expose().trim().len() != len {
            return Err(SecretError::Characters);
        }
        if !(1..=MAX_HOSTS).contains(&about.hosts.len()) {
            return Err(SecretError::Hosts);
        }
        Ok(Self { about, value })
    }

    /// Everything but the value.
    #[must_use]
    pub const fn about(&self) -> &About {
        &self.about
    }

    /// The value, for a request to `origin`; nothing if it is not for there.
    #[must_use]
    pub fn value_for(&self, origin: &Origin) -> Option<&Sensitive> {
        self.about.hosts.contains(origin).then_some(&self.value)
    }

    /// The value itself, for whoever holds on to [`About::hosts`].
    #[must_use]
    pub fn into_parts(self) -> (About, Sensitive) {
        (self.about, self.value)
    }
}

/// A tenant's credentials.
#[derive(Debug)]
pub struct Secrets {
    tenant: TenantName,
    dir: PrivateDir,
    key: TenantKey,
}

impl Secrets {
    /// Opens what `tenant` has below `data_dir`; makes the directories (0700) if there are none.
    ///
    /// # Errors
    /// Those of [`Vault::tenant`] and [`PrivateDir::open`].
    pub fn open(data_dir: &Path, vault: &Vault, tenant: &TenantName) -> Result<Self, VaultError> {
        let dir = PrivateDir::open(data_dir, Others::MayRead)?
            .sub("secrets", Others::Nothing)?
            .sub(tenant.as_str(), Others::Nothing)?;
        let key = vault.tenant(tenant)?;
        Ok(Self { tenant: tenant.clone(), dir, key })
    }

    /// Keeps a credential, durably, in place of one of the same name; a reader finds the old one or the new one.
    ///
    /// # Errors
    /// The system's.
    pub fn set(&self, secret: &Secret) -> Result<(), VaultError> {
        let name = secret.about.name.as_str();
        let sealed = self.key.seal_to(&Bound::secret(&self.tenant, name), &record::write(secret))?;
        self.dir.replace(name, &sealed)
    }

    /// The credential of this name, if there is one.
    ///
    /// # Errors
    /// [`VaultError::Secret`] for a file that does not open here, [`VaultError::NewerSeal`], and the system's.
    pub fn get(&self, name: &SecretName) -> Result<Option<Secret>, VaultError> {
        let Some(file) = self.dir.read(name.as_str(), Others::Nothing, MAX_FILE)? else { return Ok(None) };
        let broken = || VaultError::Secret { path: self.dir.path().join(name.as_str()) };
        if file.len() > MAX_FILE {
            return Err(broken());
        }
        let opened = match self.key.open_from(&Bound::secret(&self.tenant, name.as_str()), &file) {
            Err(VaultError::Open) => return Err(broken()),
            opened => opened?,
        };
        record::read(name, &opened).map(Some).ok_or_else(broken)
    }

    /// The value of the credential of this name for a request to `origin`: nothing if there is none, or not for there.
    ///
    /// # Errors
    /// As [`Secrets::get`].
    pub fn value_for(&self, name: &SecretName, origin: &Origin) -> Result<Option<Sensitive>, VaultError> {
        let Some(secret) = self.get(name)? else { return Ok(None) };
        let (about, value) = secret.into_parts();
        Ok(about.hosts.contains(origin).then_some(value))
    }

    /// What there is, by name; no values.
    ///
    /// # Errors
    /// As [`Secrets::get`].
    pub fn list(&self) -> Result<Vec<About>, VaultError> {
        Ok(self.all()?.into_iter().map(|secret| secret.about).collect())
    }

    fn all(&self) -> Result<Vec<Secret>, VaultError> {
        let mut names: Vec<SecretName> =
            self.dir.names()?.iter().filter_map(|name| SecretName::parse(name).ok()).collect();
        names.sort();
        names.iter().map(|name| self.get(name)).filter_map(Result::transpose).collect()
    }

    /// Their values, whatever hosts they are for: to be looked for in what leaves.
    ///
    /// # Errors
    /// As [`Secrets::get`].
    pub fn values(&self) -> Result<Vec<Sensitive>, VaultError> {
        let secrets = self.all()?;
        Ok(secrets.into_iter().map(|secret| secret.value).collect())
    }

    /// Removes one; whether there was one.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self, name: &SecretName) -> Result<bool, VaultError> {
        self.dir.remove(name.as_str())
    }
}
