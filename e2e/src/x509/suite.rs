//! Public suites: `limbo.json` of x509-limbo, which also holds `BetterTLS`, and `vectors.json` with `certs/` as in Go's
//! copy of NIST's PKITS.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use openssl::x509::X509;
use serde::Deserialize;
use tls_bundle::Role;

use super::case::Case;

/// The certificates of PKITS are valid from 2010 to 2030.
const PKITS_TIME: &str = "2026-01-01T00:00:00Z";

/// Reads the suite in a folder. Cases without a time are about `now`.
pub(crate) fn read(folder: &Path, now: Timestamp) -> anyhow::Result<Vec<Case>> {
    let limbo = folder.join("limbo.json");
    let vectors = folder.join("vectors.json");
    if limbo.exists() {
        let text = fs::read_to_string(&limbo).with_context(|| format!("reading {}", limbo.display()))?;
        return read_limbo(&text, now).with_context(|| format!("reading {}", limbo.display()));
    }
    if vectors.exists() {
        return read_pkits(folder, &vectors).with_context(|| format!("reading {}", vectors.display()));
    }
    bail!(
        "{} holds neither limbo.json nor vectors.json: see e2e/README.md",
        folder.display()
    )
}

#[derive(Deserialize)]
struct Limbo {
    testcases: Vec<LimboCase>,
}

#[derive(Deserialize)]
struct LimboCase {
    id: String,
    validation_kind: ValidationKind,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    peer_certificate_key: Option<String>,
    validation_time: Option<Timestamp>,
    expected_peer_name: Option<PeerName>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum ValidationKind {
    Client,
    Server,
}

#[derive(Deserialize)]
struct PeerName {
    kind: NameKind,
    value: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum NameKind {
    Rfc822,
    Dns,
    Ip,
}

fn read_limbo(text: &str, now: Timestamp) -> anyhow::Result<Vec<Case>> {
    let suite: Limbo = serde_json::from_str(text)?;
    let cases = suite.testcases.into_iter();
    cases.map(|case| limbo_case(case, now)).collect()
}

fn limbo_case(case: LimboCase, now: Timestamp) -> anyhow::Result<Case> {
    let mut dns_names = Vec::new();
    let mut ip_addresses = Vec::new();
    if let Some(name) = case.expected_peer_name {
        match name.kind {
            NameKind::Dns => dns_names.push(name.value),
            NameKind::Ip => ip_addresses.push(name.value.parse()?),
            // Nobody connects to a mail address.
            NameKind::Rfc822 => {}
        }
    }
    let chain = std::iter::once(&case.peer_certificate).chain(&case.untrusted_intermediates);
    Ok(Case {
        name: case.id,
        ca: joined(&case.trusted_certs),
        certificate: joined(chain),
        key: case.peer_certificate_key.map(String::into_bytes),
        role: match case.validation_kind {
            ValidationKind::Server => Role::Server,
            ValidationKind::Client => Role::Client,
        },
        dns_names,
        ip_addresses,
        at: case.validation_time.unwrap_or(now),
    })
}

fn joined<'a>(sections: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
    let mut text = String::new();
    for section in sections {
        text.push_str(section.trim_end());
        text.push('\n');
    }
    text.into_bytes()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PkitsCase {
    name: String,
    /// The root first.
    cert_path: Vec<String>,
}

fn read_pkits(folder: &Path, vectors: &Path) -> anyhow::Result<Vec<Case>> {
    let cases: Vec<PkitsCase> = serde_json::from_str(&fs::read_to_string(vectors)?)?;
    let certificate = |name: &String| -> anyhow::Result<String> {
        let file = folder.join("certs").join(name);
        let der = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        let certificate = X509::from_der(&der).with_context(|| format!("reading {}", file.display()))?;
        Ok(String::from_utf8(certificate.to_pem()?)?)
    };
    let case = |case: PkitsCase| {
        let (root, path) = case.cert_path.split_first().context("a path without a root")?;
        let chain = path
            .iter()
            .rev()
            .map(certificate)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Case {
            name: case.name,
            ca: certificate(root)?.into_bytes(),
            certificate: joined(&chain),
            key: None,
            role: Role::Server,
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            at: PKITS_TIME.parse()?,
        })
    };
    cases.into_iter().map(case).collect()
}
