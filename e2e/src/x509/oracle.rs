//! What pgpool and psql make of a bundle: pgpool must be able to load `tls.crt` and `tls.key`, and psql with
//! `sslmode=verify-full` and `ca.crt` as `sslrootcert` must accept what pgpool presents. Both are OpenSSL at security
//! level 2, which is the default of Debian's.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use openssl::error::ErrorStack;
use openssl::ssl::{SslContextBuilder, SslFiletype, SslMethod};
use openssl::stack::Stack;
use openssl::x509::store::{X509StoreBuilder, X509StoreBuilderRef};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509PurposeId, X509StoreContext};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;
use tls_bundle::Role;

use super::case::Case;
use super::host_name;

const SECURITY_LEVEL: u32 = 2;

/// Reads bundles as files, as pgpool and psql do.
pub(crate) struct Oracle {
    folder: TempDir,
}

/// What is true about a bundle. Each error is in OpenSSL's words.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    /// Whether pgpool loads `tls.crt` and `tls.key`.
    pub(crate) loads: Result<(), String>,
    /// Whether a client verifies the chain with `ca.crt`.
    pub(crate) verified: Result<(), String>,
    /// Likewise, when it also trusts CAs that are not self-signed; without a `ca.crt`, when it trusts all of `tls.crt`.
    pub(crate) verified_partially: Result<(), String>,
    /// Whether the leaf covers all names.
    pub(crate) named: Result<(), String>,
    /// What a server with these files presents; empty when they are not loaded.
    pub(crate) presented: Vec<CertificateDer<'static>>,
}

impl Truth {
    /// Whether everything works, and otherwise what fails first.
    pub(crate) fn result(&self) -> Result<(), &str> {
        let steps = [&self.loads, &self.verified, &self.named];
        steps
            .into_iter()
            .try_for_each(|step| step.as_ref().map(drop).map_err(String::as_str))
    }

    /// Whether everything works for clients that have the root certificate from elsewhere.
    pub(crate) fn works_with_another_root(&self) -> bool {
        [&self.loads, &self.verified_partially, &self.named]
            .iter()
            .all(|step| step.is_ok())
    }
}

impl Oracle {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("creating a temporary folder")?;
        Ok(Self { folder })
    }

    pub(crate) fn truth(&self, case: &Case) -> anyhow::Result<Truth> {
        let loaded = match self.load(case)? {
            Ok(loaded) => loaded,
            Err(error) => {
                return Ok(Truth {
                    loads: Err(error),
                    verified: Ok(()),
                    verified_partially: Ok(()),
                    named: Ok(()),
                    presented: Vec::new(),
                });
            }
        };
        let mut hosts = case.hosts();
        let presented = loaded
            .presented()
            .map(|certificate| Ok(certificate.to_der()?.into()))
            .collect::<anyhow::Result<_>>()?;
        Ok(Truth {
            loads: Ok(()),
            verified: self.verify(case, &loaded, X509VerifyFlags::empty())?,
            verified_partially: self.verify(case, &loaded, X509VerifyFlags::PARTIAL_CHAIN)?,
            named: hosts.try_for_each(|host| host_name::covers(&loaded.leaf, &host)),
            presented,
        })
    }

    /// What pgpool does at its start.
    fn load(&self, case: &Case) -> anyhow::Result<Result<Loaded, String>> {
        let chain = self.file("tls.crt", &case.certificate)?;
        let mut context = SslContextBuilder::new(SslMethod::tls())?;
        context.set_security_level(SECURITY_LEVEL);
        if let Err(error) = context.set_certificate_chain_file(&chain) {
            return Ok(Err(described("tls.crt", &error)));
        }
        if let Some(key) = &case.key {
            // OpenSSL would ask for the passphrase.
            if key.windows(9).any(|word| word == b"ENCRYPTED") {
                return Ok(Err("tls.key: encrypted".to_owned()));
            }
            let file = self.file("tls.key", key)?;
            let loaded = context
                .set_private_key_file(&file, SslFiletype::PEM)
                .and_then(|()| context.check_private_key());
            if let Err(error) = loaded {
                return Ok(Err(described("tls.key", &error)));
            }
        }
        let context = context.build();
        let leaf = context.certificate().context("no leaf was loaded")?.to_owned();
        let mut others = X509::stack_from_pem(&case.certificate).unwrap_or_default();
        // A leaf with a label of its own is not among them.
        let leaf_der = leaf.to_der()?;
        if others.first().map(|first| first.to_der()).transpose()?.as_ref() == Some(&leaf_der) {
            others.remove(0);
        }
        Ok(Ok(Loaded { leaf, others }))
    }

    fn verify(
        &self,
        case: &Case,
        loaded: &Loaded,
        flags: X509VerifyFlags,
    ) -> anyhow::Result<Result<(), String>> {
        if case.ca.trim_ascii().is_empty() {
            if flags.is_empty() {
                return Ok(Err("ca.crt: absent".to_owned()));
            }
            let mut store = X509StoreBuilder::new()?;
            for certificate in loaded.presented() {
                store.add_cert(certificate.clone())?;
            }
            prepare(&mut store, case, flags)?;
            return Ok(loaded.verified_by(&store.build())?);
        }
        let file = self.file("ca.crt", &case.ca)?;
        let mut context = SslContextBuilder::new(SslMethod::tls())?;
        if let Err(error) = context.load_verify_locations(Some(&file), None) {
            return Ok(Err(described("ca.crt", &error)));
        }
        prepare(context.cert_store_mut(), case, flags)?;
        Ok(loaded.verified_by(context.build().cert_store())?)
    }

    fn file(&self, name: &str, content: &[u8]) -> anyhow::Result<PathBuf> {
        let file = self.folder.path().join(name);
        fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    }
}

/// What libssl sets before it verifies a peer.
fn prepare(store: &mut X509StoreBuilderRef, case: &Case, flags: X509VerifyFlags) -> Result<(), ErrorStack> {
    let mut parameters = X509VerifyParam::new()?;
    parameters.set_purpose(match case.role {
        Role::Server => X509PurposeId::SSL_SERVER,
        Role::Client => X509PurposeId::SSL_CLIENT,
    })?;
    parameters.set_auth_level(SECURITY_LEVEL.cast_signed());
    parameters.set_flags(X509VerifyFlags::TRUSTED_FIRST | flags)?;
    parameters.set_time(case.at.as_second());
    store.set_param(&parameters)
}

/// What pgpool has loaded, and presents.
struct Loaded {
    leaf: X509,
    others: Vec<X509>,
}

impl Loaded {
    fn presented(&self) -> impl Iterator<Item = &X509> {
        std::iter::once(&self.leaf).chain(&self.others)
    }

    fn verified_by(
        &self,
        store: &openssl::x509::store::X509StoreRef,
    ) -> Result<Result<(), String>, ErrorStack> {
        let mut presented = Stack::new()?;
        for certificate in self.presented() {
            presented.push(certificate.clone())?;
        }
        let mut context = X509StoreContext::new()?;
        context.init(store, &self.leaf, &presented, |context| {
            let verified = context.verify_cert().unwrap_or(false);
            let error = context.error();
            let failed = || format!("error {}: {}", error.as_raw(), error.error_string());
            Ok(if verified { Ok(()) } else { Err(failed()) })
        })
    }
}

/// The last error, which is the most specific one.
fn described(entry: &str, errors: &ErrorStack) -> String {
    let reasons: Vec<_> = errors
        .errors()
        .iter()
        .filter_map(openssl::error::Error::reason)
        .collect();
    let reason = reasons.first().copied().unwrap_or("refused");
    format!("{entry}: {reason}")
}
