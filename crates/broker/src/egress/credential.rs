//! Credentials that are put into a cell's requests on the way out. The cell has a placeholder, or nothing.

use autoshare_core::origin::Origin;
use autoshare_vault::secrets::{About, Form, Secret};
use autoshare_vault::{Sensitive, Zeroizing};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use hyper::http::request::Parts;

use super::base64;

/// A credential that the requests of one cell bear, at its own hosts and nowhere else.
#[derive(Debug)]
pub struct Credential {
    about: About,
    placeholder: String,
    value: Sensitive,
}

/// Why a request may not be sent as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misplaced {
    /// The placeholder stands where it is not swapped.
    #[error("the placeholder of {name} is sent to {host}, which that secret is not for (it is for {hosts})")]
    Elsewhere { name: String, host: String, hosts: String },
    /// It stands in another place of the request than its form says.
    #[error("the placeholder of {name} stands in another part of the request than a {form} secret is put into")]
    OtherPlace { name: String, form: String },
    /// The request cannot carry it.
    #[error("{0} cannot be put into this request")]
    Impossible(String),
}

impl Credential {
    /// The credential of a secret, for which `placeholder` stands in the cell. With `only`, of the secret's hosts that one
    /// alone.
    ///
    /// # Errors
    /// `only` is not a host of the secret's: gives the secret's description back.
    pub fn new(secret: Secret, placeholder: String, only: Option<&Origin>) -> Result<Self, About> {
        let (mut about, value) = secret.into_parts();
        if let Some(only) = only {
            if !about.hosts.contains(only) {
                return Err(about);
            }
            about.hosts = vec![only.clone()];
        }
        Ok(Self { about, placeholder, value })
    }

    /// By which it is known.
    #[must_use]
    pub fn name(&self) -> &str {
        self.about.name.as_str()
    }

    /// Where it is put into requests.
    #[must_use]
    pub fn hosts(&self) -> &[Origin] {
        &self.about.hosts
    }

    /// In which forms a reply may repeat it: as it is, in base64 at each alignment, in hexadecimal, and as a part of a URL.
    pub(crate) fn echoes(&self) -> Vec<Zeroizing<Vec<u8>>> {
        let value = self.value.expose().as_bytes();
        let hex = |upper: bool| {
            let digits = |b: &u8| if upper { format!("{b:02X}") } else { format!("{b:02x}") };
            value.iter().map(digits).collect::<String>().into_bytes()
        };
        let mut echoes = vec![value.to_vec(), hex(false), hex(true), encoded(self.value.expose()).as_bytes().to_vec()];
        for skip in 0..3 {
            let core = base64::core(value.get(skip..).unwrap_or_default());
            echoes.push(
                core.bytes()
                    .map(|b| {
                        if b == b'+' {
                            b'-'
                        } else if b == b'/' {
                            b'_'
                        } else {
                            b
                        }
                    })
                    .collect(),
            );
            echoes.push(core.into_bytes());
        }
        // What is shorter is found anywhere.
        echoes.retain(|echo| echo.len() >= 8);
        echoes.sort();
        echoes.dedup();
        echoes.into_iter().map(Zeroizing::new).collect()
    }

    /// Puts the value in the placeholder's place; whether it was there.
    fn swap(&self, parts: &mut Parts) -> Result<bool, Misplaced> {
        let impossible = || Misplaced::Impossible(self.name().to_owned());
        match &self.about.form {
            Form::Bearer | Form::Basic(_) => {
                let Some(said) = text(&parts.headers, &AUTHORIZATION) else { return Ok(false) };
                let Some(new) = self.authorization(&said) else { return Ok(false) };
                put(&mut parts.headers, AUTHORIZATION, &new).ok_or_else(impossible).map(|()| true)
            }
            Form::Header(name) => {
                let name: HeaderName = name.parse().map_err(|_| impossible())?;
                let Some(said) = text(&parts.headers, &name) else { return Ok(false) };
                if !said.contains(&self.placeholder) {
                    return Ok(false);
                }
                let new = Zeroizing::new(said.replace(&self.placeholder, self.value.expose()));
                put(&mut parts.headers, name, &new).ok_or_else(impossible).map(|()| true)
            }
            Form::Query(name) => {
                let query = parts.uri.query().unwrap_or_default();
                let wanted = format!("{name}={}", self.placeholder);
                if !query.split('&').any(|pair| pair == wanted) {
                    return Ok(false);
                }
                let new = format!("{name}={}", *encoded(self.value.expose()));
                let query: Vec<&str> = query.split('&').map(|pair| if pair == wanted { &new } else { pair }).collect();
                with_query(parts, &query.join("&")).ok_or_else(impossible).map(|()| true)
            }
        }
    }

    /// The value of `Authorization` with the credential in the placeholder's place: `Bearer`, `token`, or as the password
    /// of `Basic`.
    fn authorization(&self, said: &str) -> Option<Zeroizing<String>> {
        let (scheme, rest) = said.split_once(' ').unwrap_or(("", said));
        if scheme.eq_ignore_ascii_case("basic") {
            let plain = String::from_utf8(base64::decode(rest.trim())?).ok()?;
            let (user, _) = plain.split_once(':').filter(|(_, password)| *password == self.placeholder)?;
            return Some(basic(user, &self.value));
        }
        let new = || Zeroizing::new(said.replace(&self.placeholder, self.value.expose()));
        (rest.trim() == self.placeholder).then(new)
    }

    /// Puts the value into its place where that is empty; whether it was.
    fn insert(&self, parts: &mut Parts) -> Result<bool, Misplaced> {
        let impossible = || Misplaced::Impossible(self.name().to_owned());
        let (name, new) = match &self.about.form {
            Form::Bearer => (AUTHORIZATION, Zeroizing::new(format!("Bearer {}", self.value.expose()))),
            Form::Basic(user) => (AUTHORIZATION, basic(user, &self.value)),
            Form::Header(name) => {
                (name.parse().map_err(|_| impossible())?, Zeroizing::new(self.value.expose().to_owned()))
            }
            Form::Query(name) => {
                let query = parts.uri.query().unwrap_or_default().to_owned();
                if query.split('&').any(|pair| pair.split('=').next() == Some(name.as_str())) {
                    return Ok(false);
                }
                let join = if query.is_empty() { "" } else { "&" };
                let new = Zeroizing::new(format!("{query}{join}{name}={}", *encoded(self.value.expose())));
                return with_query(parts, &new).ok_or_else(impossible).map(|()| true);
            }
        };
        if parts.headers.contains_key(&name) {
            return Ok(false);
        }
        put(&mut parts.headers, name, &new).ok_or_else(impossible).map(|()| true)
    }

    /// Whether the placeholder stands anywhere in the head of a request.
    fn is_in(&self, parts: &Parts) -> bool {
        let holds = |text: &str| text.contains(&self.placeholder);
        let hidden = |text: &str| {
            let rest = text.split_once(' ').map_or(text, |(_, rest)| rest).trim();
            base64::decode(rest).is_some_and(|plain| holds(&String::from_utf8_lossy(&plain)))
        };
        let mut values = parts.headers.values().map(|value| String::from_utf8_lossy(value.as_bytes()));
        holds(&parts.uri.to_string()) || values.any(|value| holds(&value) || hidden(&value))
    }
}

/// Puts the credentials that are for `origin` into the head of a request for it: in their placeholders' places, else, one
/// at most, where its place is empty. Gives the credential that the request bears now.
///
/// # Errors
/// [`Misplaced`]: a placeholder is left, so that the request would be sent with what looks like a credential.
pub(crate) fn put_into<'a>(
    parts: &mut Parts,
    origin: &Origin,
    all: &'a [Credential],
) -> Result<Option<&'a Credential>, (Misplaced, &'a Credential)> {
    let (mut borne, theirs) = (None, |one: &&Credential| one.about.hosts.contains(origin));
    for one in all.iter().filter(theirs) {
        if one.swap(parts).map_err(|error| (error, one))? {
            borne = Some(one);
        }
    }
    if let Some(one) = all.iter().find(|one| one.is_in(parts)) {
        let name = one.name().to_owned();
        let hosts: Vec<String> = one.about.hosts.iter().map(Origin::to_string).collect();
        let error = if theirs(&one) {
            Misplaced::OtherPlace { name, form: one.about.form.to_string() }
        } else {
            Misplaced::Elsewhere { name, host: origin.to_string(), hosts: hosts.join(", ") }
        };
        return Err((error, one));
    }
    for one in all.iter().filter(theirs) {
        if borne.is_none() && one.insert(parts).map_err(|error| (error, one))? {
            borne = Some(one);
        }
    }
    Ok(borne)
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then(|| first.to_owned())
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Option<()> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Some(())
}

fn basic(user: &str, value: &Sensitive) -> Zeroizing<String> {
    let plain = Zeroizing::new(format!("{user}:{}", value.expose()));
    Zeroizing::new(format!("Basic {}", base64::encode(plain.as_bytes())))
}

fn with_query(parts: &mut Parts, query: &str) -> Option<()> {
    let mut uri = parts.uri.clone().into_parts();
    let path = uri.path_and_query.as_ref().map_or("/", |path| path.path());
    uri.path_and_query = Some(format!("{path}?{query}").parse().ok()?);
    parts.uri = hyper::Uri::from_parts(uri).ok()?;
    Some(())
}

/// Percent-encoding of everything that is not unreserved (RFC 3986 section 2.3).
fn encoded(value: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(value.len() * 3));
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
