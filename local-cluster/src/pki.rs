//! Keys and certificates of a control plane, and its kubeconfigs.
//!
//! Users authenticate with client certificates: the common name is the user, the organization is the group. A kubeconfig
//! contains its keys, so that it can be copied.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose,
};

/// The group of cluster administrators.
pub(crate) const MASTERS: &str = "system:masters";

/// The CA of one cluster and the folder of its files.
pub(crate) struct Pki {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    /// Creates the CA, the server certificate of kube-apiserver for `names` and `addresses`, its client certificate for
    /// kubelets, and the keys of service account tokens.
    pub(crate) fn create(folder: &Path, names: &[&str], addresses: &[IpAddr]) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject("cluster-ca", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let pki = Self {
            folder: folder.to_owned(),
            issuer,
        };
        pki.write("ca.crt", &pki.issuer.pem())?;

        let mut server =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        server
            .subject_alt_names
            .extend(addresses.iter().copied().map(rcgen::SanType::IpAddress));
        server.distinguished_name = subject("kube-apiserver", None);
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (certificate, key) = pki.sign(&server)?;
        pki.write("apiserver.crt", &certificate)?;
        pki.write("apiserver.key", &key)?;

        let (certificate, key) = pki.sign(&client("kube-apiserver-kubelet-client", Some(MASTERS)))?;
        pki.write("kubelet-client.crt", &certificate)?;
        pki.write("kubelet-client.key", &key)?;

        let tokens = KeyPair::generate()?;
        pki.write("service-accounts.key", &tokens.serialize_pem())?;
        pki.write("service-accounts.pub", &tokens.public_key_pem())?;
        Ok(pki)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes `<file>.kubeconfig` for a user; `server` is the URL of the API server.
    pub(crate) fn kubeconfig(
        &self,
        file: &str,
        server: &str,
        user: &str,
        group: Option<&str>,
    ) -> anyhow::Result<PathBuf> {
        let (certificate, key) = self.sign(&client(user, group))?;
        let text = serde_yaml::to_string(&serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "local",
            "contexts": [{"name": "local", "context": {"cluster": "local", "user": user}}],
            "clusters": [{"name": "local", "cluster": {
                "server": server,
                "certificate-authority-data": STANDARD.encode(self.issuer.pem()),
            }}],
            "users": [{"name": user, "user": {
                "client-certificate-data": STANDARD.encode(certificate),
                "client-key-data": STANDARD.encode(key),
            }}],
        }))?;
        let name = format!("{file}.kubeconfig");
        self.write(&name, &text)?;
        Ok(self.file(&name))
    }

    fn sign(&self, params: &CertificateParams) -> anyhow::Result<(String, String)> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    fn write(&self, name: &str, content: &str) -> anyhow::Result<()> {
        use std::io::Write as _;
        let path = self.file(name);
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(content.as_bytes()))
            .with_context(|| format!("writing {}", path.display()))
    }
}

fn client(user: &str, group: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(user, group);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn subject(name: &str, group: Option<&str>) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    if let Some(group) = group {
        subject.push(DnType::OrganizationName, group);
    }
    subject
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_contains_certificate_and_key() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::create(folder.path(), &["localhost"], &["127.0.0.1".parse().unwrap()]).unwrap();
        let path = pki
            .kubeconfig("admin", "https://127.0.0.1:1", "admin", Some(MASTERS))
            .unwrap();
        let config: kube::config::Kubeconfig =
            serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let user = config.auth_infos[0].auth_info.as_ref().unwrap();
        let pem = STANDARD
            .decode(user.client_certificate_data.as_ref().unwrap())
            .unwrap();
        assert!(String::from_utf8(pem).unwrap().contains("BEGIN CERTIFICATE"));
        assert!(user.client_key_data.is_some());
    }

    #[test]
    fn only_the_owner_can_read_keys() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::create(folder.path(), &[], &[]).unwrap();
        let mode = fs::metadata(pki.file("service-accounts.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
