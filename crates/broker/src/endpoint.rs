//! Where model calls go, and what is allowed to go there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use autoshare_vault::Sensitive;
use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::error::BrokerError;
use crate::provider::Provider;

/// Where the model's name goes in a base URL, as the path holds it.
const MODEL: &str = "%7Bmodel%7D";
/// Bytes of a base URL at most.
const MAX_URL: usize = 2_048;
/// Bytes of a key at most.
const MAX_KEY: usize = 4_096;

/// A checked base URL: https, or http to loopback; no credentials, query or fragment in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    base: Url,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str())
    }
}

impl Endpoint {
    /// Parses a base URL. One without a path means the usual path, `/v1`.
    pub(crate) fn parse(text: &str) -> Result<Self, BrokerError> {
        let wrong = |why| Err(BrokerError::BaseUrl { why });
        if text.len() > MAX_URL {
            return wrong("is longer than 2048 bytes");
        }
        let Ok(mut base) = Url::parse(text.trim()) else { return wrong("is no URL") };
        if !matches!(base.scheme(), "https" | "http") {
            return wrong("begins with neither https:// nor http://");
        }
        if !base.username().is_empty() || base.password().is_some() {
            return wrong("holds a name or password: a key goes into OPENAI_API_KEY");
        }
        if base.query().is_some() || base.fragment().is_some() {
            return wrong("holds a query or fragment ('?' or '#')");
        }
        let Some(host) = base.host_str().map(str::to_owned) else { return wrong("names no host") };
        if base.scheme() == "http" && !is_loopback(&host) {
            return Err(BrokerError::PlainHttp { host });
        }
        let path = match base.path().trim_end_matches('/') {
            "" => "/v1/".to_owned(),
            path => format!("{path}/"),
        };
        base.set_path(&path);
        let others = base.path().replace(MODEL, "");
        if others.len() != base.path().len() && others.contains('%') {
            return wrong("holds {model} and other characters that must be escaped");
        }
        Ok(Self { base })
    }

    /// The address of a path below the base, in which `{model}` becomes the model's name. It goes segment by segment, so
    /// that no name of a model makes a way of its own.
    pub(crate) fn at(&self, path: &[&str], model: &str) -> Result<Url, BrokerError> {
        let mut url = self.base.clone();
        let below: Vec<&str> = self.base.path().split('/').filter(|segment| !segment.is_empty()).collect();
        let named = below.contains(&MODEL);
        if path.iter().chain(named.then_some(&model)).any(|segment| matches!(*segment, "." | "..")) {
            return Err(BrokerError::ModelName { given: model.to_owned(), why: "a name is more than dots" });
        }
        {
            let cannot = |()| BrokerError::BaseUrl { why: "cannot be extended" };
            let mut segments = url.path_segments_mut().map_err(cannot)?;
            if named {
                segments.clear().extend(below.iter().map(|segment| if *segment == MODEL { model } else { segment }));
            }
            segments.pop_if_empty().extend(path);
        }
        Ok(url)
    }

    /// Scheme, host and port, as written.
    pub(crate) fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// Whether it is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.base.host_str().is_some_and(is_loopback)
    }

    /// Whether it is encrypted.
    pub(crate) fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Whether a provider is known to refuse whoever comes without a key here.
    pub(crate) fn wants_key(&self, provider: &Provider) -> bool {
        let at_home = provider.usual.as_ref().is_some_and(|usual| usual.origin() == self.origin());
        self.is_openai() || (at_home && !provider.local && !provider.keys.is_empty() && !self.is_loopback())
    }

    /// Whether OpenAI's own newer names are certain to be understood there.
    pub(crate) fn is_openai(&self) -> bool {
        self.base.host_str().is_some_and(|host| host == "api.openai.com" || host.ends_with(".openai.azure.com"))
    }
}

/// `localhost`, `127.0.0.0/8` or `::1`. Names below `.localhost` are not: a resolver may answer anything for them.
fn is_loopback(host: &str) -> bool {
    let literal = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || literal.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What `localhost` means, whatever a resolver says.
pub(crate) const LOCALHOST: [(IpAddr, u16); 2] =
    [(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), (IpAddr::V6(Ipv6Addr::LOCALHOST), 0)];

/// A key whose bytes have been checked.
#[derive(Debug, Clone)]
pub(crate) struct Key(Arc<Sensitive>);

impl Key {
    pub(crate) fn new(key: Arc<Sensitive>, from: &str) -> Result<Self, BrokerError> {
        let text = key.expose();
        let why = if text.is_empty() {
            "is empty"
        } else if text.len() > MAX_KEY {
            "is longer than 4096 bytes"
        } else if !text.bytes().all(|b| b.is_ascii_graphic()) {
            "holds blanks, line breaks or characters that no key has"
        } else {
            return Ok(Self(key));
        };
        Err(BrokerError::Key { from: from.to_owned(), why })
    }

    /// The value of the `Authorization` header, marked so that no library shows it.
    pub(crate) fn bearer(&self) -> Option<HeaderValue> {
        hidden(&format!("Bearer {}", self.0.expose()))
    }

    /// The value of a header that holds the key alone, marked likewise.
    pub(crate) fn bare(&self) -> Option<HeaderValue> {
        hidden(self.0.expose())
    }

    /// The key, for the address of a request.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The text with the key struck out.
    pub(crate) fn struck_from(&self, text: &str) -> String {
        text.replace(self.0.expose(), "[key]")
    }

    /// Whether the key stands in `text`.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        text.contains(self.0.expose())
    }
}

fn hidden(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls() {
        let cases = [
            ("https://api.example.com/v1", Ok("https://api.example.com/v1/chat/completions")),
            ("https://api.example.com/v1/", Ok("https://api.example.com/v1/chat/completions")),
            ("https://api.example.com", Ok("https://api.example.com/v1/chat/completions")),
            (" https://h:8443/openai/v1 ", Ok("https://h:8443/openai/v1/chat/completions")),
            ("http://localhost:11434/v1", Ok("http://localhost:11434/v1/chat/completions")),
            ("http://127.0.0.1:8000", Ok("http://127.0.0.1:8000/v1/chat/completions")),
            ("http://127.9.9.9/v1", Ok("http://127.9.9.9/v1/chat/completions")),
            ("http://[::1]:1/v1", Ok("http://[::1]:1/v1/chat/completions")),
            ("", Err("is no URL")),
            ("api.openai.com/v1", Err("is no URL")),
            ("ftp://h/v1", Err("neither https")),
            ("file:///etc/passwd", Err("neither https")),
            ("unix:/run/x", Err("neither https")),
            ("https://me:pw@h/v1", Err("a name or password")),
            ("https://sk-secret@h/v1", Err("a name or password")),
            ("https://h/v1?api-key=1", Err("query or fragment")),
            ("https://h/v1#x", Err("query or fragment")),
            ("http://example.com/v1", Err("plain http")),
            ("http://10.0.0.1/v1", Err("plain http")),
            ("http://localhost.example.com/v1", Err("plain http")),
            ("http://x.localhost/v1", Err("plain http")),
            ("http://0.0.0.0:8000/v1", Err("plain http")),
            ("http://[::ffff:127.0.0.1]/v1", Err("plain http")),
            ("http://128.0.0.1/v1", Err("plain http")),
            ("http://127.0.0.1.nip.io/v1", Err("plain http")),
        ];
        for (text, expected) in cases {
            let got = Endpoint::parse(text).and_then(|e| e.at(&["chat", "completions"], "m"));
            match (got, expected) {
                (Ok(url), Ok(expected)) => assert_eq!(url.as_str(), expected),
                (Err(error), Err(part)) => {
                    let error = error.to_string();
                    assert!(error.contains(part), "{text}: {error}");
                    assert!(!error.contains("secret") && !error.contains("pw"), "{error}");
                }
                (got, _) => unreachable!("{text}: {got:?}"),
            }
        }
    }

    #[test]
    fn key_bytes() {
        for good in ["sk-abc_123", "a", "!~"] {
            assert!(Key::new(Arc::new(Sensitive::new(good.to_owned())), "K").is_ok(), "{good}");
        }
        for bad in ["", "a b", "a\n", "a\r\nX-Evil: 1", "\u{e9}", "\0", "\u{200b}x", &"x".repeat(4097)] {
            let error = Key::new(Arc::new(Sensitive::new(bad.to_owned())), "K").unwrap_err().to_string();
            assert!(error.contains("from K"), "{error}");
            assert!(bad.is_empty() || bad == "\0" || !error.contains(bad), "{error}");
        }
    }
}
