//! Who a caller is by its certificate.

use std::sync::Arc;

use autoshare_core::Digest;
use tokio_rustls::rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The certificate that a caller showed, signed by an authority of `[serve] client_ca`, within its dates and meant for
/// clients, and whose key the caller has. An extension of every request of its connection.
///
/// It says who signs for this caller. What it lets it do is what a token says that is bound to it, and nothing if none is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate(Arc<Shown>);

#[derive(Debug, PartialEq, Eq)]
struct Shown {
    digest: Digest,
    common_name: Option<String>,
    dns_names: Vec<String>,
    uris: Vec<String>,
}

impl PeerCertificate {
    /// Of one that TLS has verified; `None` if it is none.
    pub(super) fn of(verified: &CertificateDer<'_>) -> Option<Self> {
        let certificate = EndEntityCert::try_from(verified).ok()?;
        Some(Self(Arc::new(Shown {
            digest: Digest::of(verified),
            common_name: common_name(certificate.subject()),
            dns_names: certificate.valid_dns_names().map(str::to_owned).collect(),
            uris: certificate.valid_uri_names().map(str::to_owned).collect(),
        })))
    }

    /// The digest of all of it (SHA-256 of its DER form): this very certificate and no later one.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// The common name of its subject, if it has exactly one.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.0.common_name.as_deref()
    }

    /// Its DNS names (RFC 5280, 4.2.1.6).
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.0.dns_names
    }

    /// Its URIs, among which is a SPIFFE id, if it has one.
    #[must_use]
    pub fn uris(&self) -> &[String] {
        &self.0.uris
    }
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
/// 2.5.4.3 (RFC 5280, appendix A).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// The one common name in a subject (`RDNSequence` without its outer tag). A subject that has several, or that is not
/// written as DER says, has none: nobody is to choose among names.
fn common_name(mut subject: &[u8]) -> Option<String> {
    let mut found = None;
    while !subject.is_empty() {
        let (mut names, rest) = element(SET, subject)?;
        subject = rest;
        while !names.is_empty() {
            let (name, rest) = element(SEQUENCE, names)?;
            names = rest;
            let (kind, value) = element(OBJECT_ID, name)?;
            if kind != COMMON_NAME {
                continue;
            }
            let (text, []) = element(UTF8_STRING, value).or_else(|| element(PRINTABLE_STRING, value))? else {
                return None;
            };
            if found.replace(std::str::from_utf8(text).ok()?.to_owned()).is_some() {
                return None;
            }
        }
    }
    found
}

/// The content of the element that `bytes` begin with, and what follows it. Lengths have one form in DER, and none here
/// needs more than two bytes.
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    if *found != tag {
        return None;
    }
    let (length, rest) = match rest {
        [length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
        [0x81, length @ 0x80..=0xff, rest @ ..] => (usize::from(*length), rest),
        [0x82, high @ 1..=0xff, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_one_common_name_or_none() {
        let cn = |tag: u8, text: &str| {
            let mut name = vec![0x31, text.len() as u8 + 9, 0x30, text.len() as u8 + 7, 6, 3, 0x55, 4, 3];
            name.extend([tag, text.len() as u8]);
            name.extend(text.as_bytes());
            name
        };
        let country = b"\x31\x0b\x30\x09\x06\x03\x55\x04\x06\x13\x02NO".to_vec();
        let cases: [(&str, Vec<u8>, Option<&str>); 9] = [
            ("nothing", vec![], None),
            ("a country", country.clone(), None),
            ("one in UTF-8", cn(UTF8_STRING, "ann"), Some("ann")),
            ("one in ASCII, after a country", [country, cn(PRINTABLE_STRING, "ann")].concat(), Some("ann")),
            ("two", [cn(UTF8_STRING, "ann"), cn(UTF8_STRING, "bob")].concat(), None),
            ("one of another kind of text", cn(0x1e, "ann"), None),
            ("one that is cut off", cn(UTF8_STRING, "ann")[..12].to_vec(), None),
            ("no UTF-8", b"\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03a\xffb".to_vec(), None),
            ("a length in two ways", b"\x31\x81\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03ann".to_vec(), None),
        ];
        for (what, subject, wanted) in cases {
            assert_eq!(common_name(&subject).as_deref(), wanted, "{what}");
        }
    }
}
