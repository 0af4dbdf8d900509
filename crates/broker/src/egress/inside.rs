//! Where TLS is ended for a cell: an authority that this one cell trusts, certificates for the hosts that a rule names,
//! and what the other side is verified with.
//!
//! The authority's key is made for the cell, signs at once what it has to sign, and is gone before the cell begins. Its
//! certificate says for which names it may speak.

use std::collections::BTreeMap;
use std::sync::Arc;

use autoshare_core::origin::Host;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::allow::Target;
use super::{EgressError, base64};

/// The one protocol that is spoken inside: what is parsed and written anew.
const ALPN: &[u8] = b"http/1.1";

/// What is needed to end TLS at some hosts.
#[derive(Debug)]
pub(super) struct Inside {
    servers: BTreeMap<Target, Arc<ServerConfig>>,
    client: Arc<ClientConfig>,
    pem: String,
}

impl Inside {
    /// For these hosts; `ca` are further roots, as PEM, that are trusted beside the system's.
    pub(super) fn new(targets: &[Target], ca: Option<&str>) -> Result<Self, EgressError> {
        let (roots, system) = roots(ca)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = |error: rustls::Error| EgressError::Authority(error.to_string());
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![ALPN.to_vec()];
        let (issuer, certificate) = authority(targets).map_err(|error| EgressError::Authority(error.to_string()))?;
        let mut servers = BTreeMap::new();
        for target in targets {
            let (chain, key) = leaf(target, &issuer).map_err(|error| EgressError::Authority(error.to_string()))?;
            let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(tls)?
                .with_no_client_auth()
                .with_single_cert(vec![chain, certificate.clone()], key)
                .map_err(tls)?;
            server.alpn_protocols = vec![ALPN.to_vec()];
            servers.insert(target.clone(), Arc::new(server));
        }
        let pem = [certificate].iter().chain(&system).map(|one| pem(one)).collect();
        Ok(Self { servers, client: Arc::new(client), pem })
    }

    /// How TLS is ended at a host, if it is.
    pub(super) fn server(&self, target: &Target) -> Option<Arc<ServerConfig>> {
        self.servers.get(target).cloned()
    }

    /// How the hosts themselves are spoken to.
    pub(super) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    /// What the programs of the cell are to trust, as PEM: the authority, and what this machine trusts.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }
}

/// The name under which a host is verified.
pub(super) fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Address(address) => Some(ServerName::IpAddress((*address).into())),
        Host::Name(name) => ServerName::try_from(name.clone()).ok(),
    }
}

/// The system's roots and the given ones: as verifier, and one by one.
fn roots(ca: Option<&str>) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), EgressError> {
    let mut all = rustls_native_certs::load_native_certs().certs;
    if let Some(ca) = ca {
        let given: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(ca.as_bytes()).collect();
        let given = given.map_err(|error| EgressError::Roots(error.to_string()))?;
        if given.is_empty() {
            return Err(EgressError::Roots("it holds no certificate".to_owned()));
        }
        all.extend(given);
    }
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(all.iter().cloned());
    if added == 0 {
        return Err(EgressError::Roots("this machine has none (package ca-certificates)".to_owned()));
    }
    Ok((store, all))
}

fn authority(targets: &[Target]) -> Result<(Issuer<'static, KeyPair>, CertificateDer<'static>), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named("AutoSHARE: this cell alone");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // Names alone are limited: BoringSSL (Bun, so Claude Code) refuses every certificate of an authority with a limit on
    // addresses.
    let subtree = |target: &Target| match &target.host {
        Host::Name(name) => Some(GeneralSubtree::DnsName(name.clone())),
        Host::Address(_) => None,
    };
    let permitted_subtrees: Vec<GeneralSubtree> = targets.iter().filter_map(subtree).collect();
    if !permitted_subtrees.is_empty() {
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    }
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.der().clone();
    Ok((Issuer::new(params, key), certificate))
}

fn leaf(
    target: &Target,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), rcgen::Error> {
    let host = match &target.host {
        Host::Name(name) => name.clone(),
        Host::Address(address) => address.to_string(),
    };
    let mut params = CertificateParams::new(vec![host])?;
    params.distinguished_name = named("AutoSHARE");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?.der().clone();
    Ok((certificate, PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// A certificate as PEM (RFC 7468).
fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = base64::encode(certificate);
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at_checked(64).unwrap_or((rest, ""));
        out.push_str(line);
        out.push('\n');
        rest = next;
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}
