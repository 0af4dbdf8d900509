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

/// What a client shows of itself, and the authority that signed it; all as PEM.
#[derive(Debug, Clone)]
pub struct CertifiedClient {
    /// The authority's certificate: what a server trusts.
    pub ca: String,
    /// The client's certificate.
    pub certificate: String,
    /// The client's key.
    pub key: String,
}

impl CertifiedClient {
    /// With this common name and these other names, of which one with `://` is a URI. Two of these share no authority.
    #[must_use]
    pub fn new(common_name: &str, names: &[&str]) -> Self {
        client(common_name, names).unwrap_or_else(|error| panic!("no certificate for {common_name:?}: {error}"))
    }
}

impl Certified {
    /// For these names and addresses.
    #[must_use]
    pub fn new(names: &[&str]) -> Self {
        made(names).unwrap_or_else(|error| panic!("no certificate for {names:?}: {error}"))
    }
}

/// An authority's certificate, and its hand.
fn authority() -> Result<(String, Issuer<'static, KeyPair>), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "an authority of a test");
    let key = KeyPair::generate()?;
    let ca = params.self_signed(&key)?.pem();
    Ok((ca, Issuer::new(params, key)))
}

fn client(common_name: &str, names: &[&str]) -> Result<CertifiedClient, rcgen::Error> {
    let (ca, issuer) = authority()?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
    for name in names {
        let is_uri = name.contains("://");
        let name = (*name).try_into()?;
        params.subject_alt_names.push(if is_uri { rcgen::SanType::URI(name) } else { rcgen::SanType::DnsName(name) });
    }
    params.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ClientAuth);
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(CertifiedClient { ca, certificate, key: key.serialize_pem() })
}

fn made(names: &[&str]) -> Result<Certified, rcgen::Error> {
    let (ca, issuer) = authority()?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(Certified { ca, certificate, key: key.serialize_pem() })
}
