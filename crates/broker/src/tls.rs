//! How a provider's certificate is checked, and which one is shown to it.

use std::fmt;
use std::sync::Arc;

use autoshare_vault::Sensitive;

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
