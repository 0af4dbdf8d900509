//! Certificates for servers of tests.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// An authority, and a certificate that it issued; all as PEM.
#[derive(Debug, Clone)]
pub struct Certified {
    /// The authority's certificate: what a client trusts.
    pub ca: String,
    /// The server's certificate.
    pub certificate: String,
    /// The server's key.
    pub key: String,
}

impl Certified {
    /// For these names and addresses.
    #[must_use]
    pub fn new(names: &[&str]) -> Self {
        made(names).unwrap_or_else(|error| panic!("no certificate for {names:?}: {error}"))
    }
}

fn made(names: &[&str]) -> Result<Certified, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "an authority of a test");
    let key = KeyPair::generate()?;
    let ca = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(Certified { ca, certificate, key: key.serialize_pem() })
}
