//! A certificate authority of the harness, which issues what it is told, broken things included. Pure but
//! for randomness.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

/// A certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a certificate is to be good for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The name in its subject.
    pub common_name: Option<String>,
    /// Its DNS names.
    pub dns_names: Vec<String>,
    /// Its addresses.
    pub ip_addresses: Vec<IpAddr>,
    /// It may be served.
    pub server: bool,
    /// It may be presented.
    pub client: bool,
    /// Its time is over.
    pub expired: bool,
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl Authority {
    /// Makes an authority of a name.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)?,
        })
    }

    /// Its own certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// Its key, PEM: for an issuer of cert-manager that is to sign in its name.
    #[must_use]
    pub fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Issues a certificate.
    pub fn issue(&self, wanted: &Wanted) -> anyhow::Result<Pair> {
        let mut params = CertificateParams::new(wanted.dns_names.clone())?;
        params
            .subject_alt_names
            .extend(wanted.ip_addresses.iter().copied().map(SanType::IpAddress));
        params.distinguished_name = wanted.common_name.as_deref().map(subject).unwrap_or_default();
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        let usages = [
            (wanted.server, ExtendedKeyUsagePurpose::ServerAuth),
            (wanted.client, ExtendedKeyUsagePurpose::ClientAuth),
        ];
        params.extended_key_usages = usages
            .into_iter()
            .filter(|(asked, _)| *asked)
            .map(|(_, usage)| usage)
            .collect();
        if wanted.expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}
