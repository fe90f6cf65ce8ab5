//! A CA for tests, which issues anything, invalid certificates included. Pure but
//! for randomness.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, SanType,
    date_time_ymd,
};

pub(crate) struct TestCa {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Of every certificate; a new one for each otherwise.
    key: Option<KeyPair>,
}

/// What a certificate is to be good for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) common_name: Option<String>,
    pub(crate) dns_names: Vec<String>,
    pub(crate) ip_addresses: Vec<IpAddr>,
    pub(crate) server: bool,
    pub(crate) client: bool,
    pub(crate) expired: bool,
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl TestCa {
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        Ok(Self {
            issuer: CertifiedIssuer::self_signed(of_ca(name), KeyPair::generate()?)?,
            key: None,
        })
    }

    /// One with RSA keys of 2048 bits. All certificates have the same key, since a new one takes long.
    pub(crate) fn rsa(name: &str) -> anyhow::Result<Self> {
        let key = || KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
        Ok(Self {
            issuer: CertifiedIssuer::self_signed(of_ca(name), key()?)?,
            key: Some(key()?),
        })
    }

    /// A CA that this one signs.
    pub(crate) fn intermediate(&self, name: &str) -> anyhow::Result<Self> {
        let mut params = of_ca(name);
        params.use_authority_key_identifier_extension = true;
        Ok(Self {
            issuer: CertifiedIssuer::signed_by(params, KeyPair::generate()?, &self.issuer)?,
            key: None,
        })
    }

    /// A new certificate for the same key.
    pub(crate) fn renewed(&self, name: &str) -> anyhow::Result<Self> {
        let key = KeyPair::from_pem(&self.key())?;
        Ok(Self {
            issuer: CertifiedIssuer::self_signed(of_ca(name), key)?,
            key: None,
        })
    }

    /// Signs a request, both PEM, as an issuer does that keeps to it.
    pub(crate) fn sign(&self, request: &str) -> anyhow::Result<String> {
        let mut request = CertificateSigningRequestParams::from_pem(request)?;
        request.params.use_authority_key_identifier_extension = true;
        Ok(request.signed_by(&self.issuer)?.pem())
    }

    /// Its own certificate, PEM.
    pub(crate) fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// Its key, PEM: for an issuer of cert-manager that is to sign in its name.
    pub(crate) fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    pub(crate) fn issue(&self, wanted: &Wanted) -> anyhow::Result<Pair> {
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
        let made;
        let key = if let Some(key) = &self.key {
            key
        } else {
            made = KeyPair::generate()?;
            &made
        };
        let certificate = params.signed_by(key, &self.issuer)?;
        Ok(Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn of_ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}
