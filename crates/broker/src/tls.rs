//! How a provider's certificate is checked, and which one is shown to it.

use std::fmt;
use std::sync::Arc;

use autoshare_vault::Sensitive;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};

use crate::provider::TlsSpec;

/// Certificates in one file at most.
const MAX_CERTIFICATES: usize = 1_000;

/// What the files and keys below `[provider.NAME.tls]` come to. The default: the platform's authorities, no pin, no
/// certificate of our own.
#[derive(Clone, Default)]
pub struct TlsSettings {
    /// Authorities that are trusted instead of the platform's (PEM).
    pub ca: Option<String>,
    /// SHA-256 of the server's public key (SPKI); one of them must fit. Empty: none is asked for.
    pub pins: Vec<[u8; 32]>,
    /// The certificate that is shown to the server with its chain (PEM), and its key (PEM).
    pub client: Option<(String, Arc<Sensitive>)>,
    /// Takes any certificate at all. Whoever sets this is told at every start.
    pub danger_accept_any_certificate: bool,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("ca", &self.ca.is_some())
            .field("pins", &self.pins.len())
            .field("client", &self.client.is_some())
            .field("danger_accept_any_certificate", &self.danger_accept_any_certificate)
            .finish()
    }
}

impl TlsSettings {
    /// What a spec comes to with what its files hold.
    ///
    /// # Errors
    /// A sentence for a pin that is none, and for a certificate without its key or the other way round.
    pub fn of(spec: &TlsSpec, ca: Option<String>, client: Option<(String, Sensitive)>) -> Result<Self, String> {
        if spec.client_certificate_file.is_some() != spec.client_key_file.is_some() {
            return Err("client_certificate_file and client_key_file go together: set both".to_owned());
        }
        let settings = Self {
            ca,
            pins: spec.pins.iter().map(|pin| parse_pin(pin)).collect::<Result<_, _>>()?,
            client: client.map(|(certificate, key)| (certificate, Arc::new(key))),
            danger_accept_any_certificate: spec.danger_accept_any_certificate,
        };
        settings.check()?;
        Ok(settings)
    }

    /// Whether it is as usual: then the connections of all such providers are made by one client.
    pub(crate) fn is_usual(&self) -> bool {
        self.ca.is_none() && self.pins.is_empty() && self.client.is_none() && !self.danger_accept_any_certificate
    }

    /// Reads the certificates and keys, so that a broken file is told at the start.
    fn check(&self) -> Result<(), String> {
        if !self.is_usual() {
            self.config()?;
        }
        Ok(())
    }

    /// The TLS of a client. The platform's authorities are asked only where no others are named.
    pub(crate) fn config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = self.verifier(&provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        match &self.client {
            None => Ok(builder.with_no_client_auth()),
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
                    .map_err(|_| "client_key_file holds no private key in PEM".to_owned())?;
                let chain = certificates(chain, "client_certificate_file")?;
                let wrong = |error| format!("client_certificate_file and client_key_file do not fit: {error}");
                builder.with_client_auth_cert(chain, key).map_err(wrong)
            }
        }
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
        let inner: Arc<dyn ServerCertVerifier> = if self.danger_accept_any_certificate {
            Arc::new(AnyCertificate(Arc::clone(provider)))
        } else if let Some(ca) = &self.ca {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(ca, "ca_file")? {
                roots.add(certificate).map_err(|error| format!("ca_file holds a certificate that is none: {error}"))?;
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .build()
                .map_err(|error| format!("ca_file: {error}"))?
        } else {
            let platform = rustls_platform_verifier::Verifier::new(Arc::clone(provider));
            Arc::new(platform.map_err(|error| format!("the system's root certificates cannot be read: {error}"))?)
        };
        if self.pins.is_empty() {
            return Ok(inner);
        }
        Ok(Arc::new(Pinned { inner, pins: self.pins.clone() }))
    }
}

/// A SHA-256 in hexadecimal; colons between the bytes are taken.
fn parse_pin(text: &str) -> Result<[u8; 32], String> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let wrong = || {
        "a pin is the SHA-256 of the server's public key in 64 hexadecimal digits (docs/providers.md says how to get it)"
            .to_owned()
    };
    if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut pin = [0; 32];
    for (n, byte) in pin.iter_mut().enumerate() {
        let pair = digits.get(n * 2..n * 2 + 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(pin)
}

fn certificates(pem: &str, from: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).take(MAX_CERTIFICATES).collect();
    match found {
        Ok(list) if !list.is_empty() => Ok(list),
        _ => Err(format!("{from} holds no certificate in PEM")),
    }
}

/// Asks one of the pins of a certificate that has passed every other check.
#[derive(Debug)]
struct Pinned {
    inner: Arc<dyn ServerCertVerifier>,
    pins: Vec<[u8; 32]>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let found: [u8; 32] = Sha256::digest(key.as_ref()).into();
        if self.pins.contains(&found) {
            Ok(verified)
        } else {
            Err(Error::General("the key of its certificate fits none of the pins that are set for it".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Takes any certificate: for `danger_accept_any_certificate` alone. The handshake must still be signed by its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_and_files_that_are_none_are_refused_in_words() {
        assert_eq!(parse_pin(&"0f:".repeat(32)).unwrap(), [0x0f; 32]);
        for bad in ["", "sha256", &"0".repeat(63), &"g".repeat(64)] {
            assert!(parse_pin(bad).unwrap_err().contains("64 hexadecimal digits"), "{bad}");
        }
        let of = |spec: &TlsSpec, ca: Option<&str>, client: Option<(&str, &str)>| {
            let client = client.map(|(chain, key)| (chain.to_owned(), Sensitive::new(key.to_owned())));
            TlsSettings::of(spec, ca.map(str::to_owned), client).map(|_| ())
        };
        let both = TlsSpec {
            client_certificate_file: Some("c".into()),
            client_key_file: Some("k".into()),
            ..TlsSpec::default()
        };
        let one = TlsSpec { client_key_file: None, ..both.clone() };
        assert!(of(&one, None, None).unwrap_err().contains("go together"));
        assert!(of(&TlsSpec::default(), Some("no PEM"), None).unwrap_err().contains("ca_file holds no certificate"));
        let error = of(&both, None, Some(("no PEM", "CANARY-no-key"))).unwrap_err();
        assert!(error.contains("client_key_file holds no private key") && !error.contains("CANARY"), "{error}");
        assert!(of(&TlsSpec::default(), None, None).is_ok());
    }
}
