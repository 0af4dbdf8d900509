//! TLS: the certificate of this server, and those of its callers.

use std::sync::{Arc, Mutex, PoisonError};

use autoshare_core::Digest;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::HttpError;

/// What is spoken, the better first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [HTTP_2, b"http/1.1"];
pub(super) const HTTP_2: &[u8] = b"h2";

/// A certificate chain and its key, both PEM, and whose certificates callers show.
pub struct TlsPair<'a> {
    /// The certificate's file and text, the leaf first.
    pub cert: (&'a str, &'a [u8]),
    /// The key's file and text.
    pub key: (&'a str, &'a [u8]),
    /// Who signs the certificates of callers; none are asked for without.
    pub clients: Option<ClientCa<'a>>,
}

/// Authorities whose certificates callers may show.
pub struct ClientCa<'a> {
    /// The file and its text: certificates in PEM.
    pub roots: (&'a str, &'a [u8]),
    /// Whether one may come without.
    pub demand: Demand,
}

/// Whether a caller must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Who has none is not let in.
    Required,
    /// Who has none goes by its token alone.
    Optional,
}

/// The certificate with which connections are accepted from now on. Those that stand keep the one that they began with.
#[derive(Clone)]
pub struct Certificate(Arc<Mutex<TlsAcceptor>>);

impl Certificate {
    pub(super) fn new(pair: &TlsPair<'_>) -> Result<Self, HttpError> {
        Ok(Self(Arc::new(Mutex::new(acceptor(pair)?))))
    }

    /// Takes another one into use, and other authorities of callers.
    ///
    /// # Errors
    /// [`HttpError::Tls`] if it cannot be used; the one before stays.
    pub fn renew(&self, pair: &TlsPair<'_>) -> Result<(), HttpError> {
        let renewed = acceptor(pair)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn wrong(file: &str, why: impl Into<String>) -> HttpError {
    HttpError::Tls { file: file.to_owned(), why: why.into() }
}

fn acceptor(pair: &TlsPair<'_>) -> Result<TlsAcceptor, HttpError> {
    let chain = certificates(pair.cert)?;
    let key = PrivateKeyDer::from_pem_slice(pair.key.1)
        .map_err(|error| wrong(pair.key.0, format!("no private key in PEM form: {error}")))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(pair.cert.0, error.to_string()))?;
    let config = match &pair.clients {
        None => config.with_no_client_auth(),
        Some(clients) => config.with_client_cert_verifier(verifier(clients)?),
    };
    let mut config = config
        .with_single_cert(chain, key)
        .map_err(|error| wrong(pair.key.0, format!("it does not belong to the certificate: {error}")))?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates((file, text): (&str, &[u8])) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let found = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(file, format!("no certificate in PEM form: {error}")))?;
    if found.is_empty() {
        return Err(wrong(file, "no certificate in PEM form"));
    }
    Ok(found)
}

/// The digest of a caller's certificate, as a token is bound to it: of the first one in a PEM file.
///
/// # Errors
/// [`HttpError::Tls`] if there is none.
pub fn certificate_digest(file: &str, text: &[u8]) -> Result<Digest, HttpError> {
    let all = certificates((file, text))?;
    all.first().map(|first| Digest::of(first)).ok_or_else(|| wrong(file, "no certificate in PEM form"))
}

fn verifier(clients: &ClientCa<'_>) -> Result<Arc<dyn ClientCertVerifier>, HttpError> {
    let file = clients.roots.0;
    let mut roots = RootCertStore::empty();
    for root in certificates(clients.roots)? {
        roots.add(root).map_err(|error| wrong(file, format!("no authority's certificate: {error}")))?;
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = match clients.demand {
        Demand::Required => verifier,
        Demand::Optional => verifier.allow_unauthenticated(),
    };
    verifier.build().map_err(|error| wrong(file, error.to_string()))
}
