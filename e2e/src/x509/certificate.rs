//! Certificates of any form, signed.

use jiff::Timestamp;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Padding;
use openssl::sha::sha256;
use openssl::sign::{RsaPssSaltlen, Signer};

use super::der::{bits, boolean, element, integer, null, octets, oid, sequence, set, tagged};
use super::keys::{Key, Keys, Kind};

/// The kinds of strings in names.
pub(super) const UTF8: u8 = 0x0C;
pub(super) const PRINTABLE: u8 = 0x13;
pub(super) const IA5: u8 = 0x16;

/// One attribute of a name: its type, the tag of its string, the string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) oid: &'static str,
    pub(super) tag: u8,
    pub(super) value: Vec<u8>,
}

pub(super) const COMMON_NAME: &str = "2.5.4.3";
pub(super) const ORGANIZATION: &str = "2.5.4.10";
pub(super) const EMAIL: &str = "1.2.840.113549.1.9.1";

pub(super) type Name = Vec<Attribute>;

pub(super) fn attribute(oid: &'static str, value: &str) -> Attribute {
    Attribute {
        oid,
        tag: UTF8,
        value: value.as_bytes().to_vec(),
    }
}

pub(super) fn common_name(value: &str) -> Name {
    vec![attribute(COMMON_NAME, value)]
}

pub(super) fn name_der(name: &Name) -> Vec<u8> {
    let parts = name.iter().map(
        |Attribute {
             oid: kind,
             tag,
             value,
         }| { set(&sequence(&[oid(kind), element(*tag, value)])) },
    );
    sequence(&parts.collect::<Vec<_>>())
}

/// How an authority key identifier is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AuthorityKeyId {
    Absent,
    KeyId,
    WrongKeyId,
    /// Issuer and serial number of the issuer's certificate.
    IssuerAndSerial,
    WrongSerial,
    WrongIssuer,
    All,
    Empty,
    Content(Vec<u8>),
}

/// How a subject key identifier is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SubjectKeyId {
    Absent,
    /// A hash of the key: one of several methods.
    Method(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BasicConstraints {
    pub(super) critical: bool,
    pub(super) ca: bool,
    pub(super) path_length: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) oid: &'static str,
    pub(super) critical: bool,
    pub(super) value: Vec<u8>,
}

/// The hash of a signature, or all parameters of RSA-PSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    /// RSA-PSS with SHA-256: the length of the salt, and whether the mask uses SHA-1.
    Pss {
        salt: u8,
        sha1_mask: bool,
    },
}

/// Everything in a certificate that its issuer does not determine.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// As in the DER: 2 is version 3.
    pub(super) version: u64,
    pub(super) serial: Vec<u8>,
    pub(super) subject: Name,
    /// Instead of the subject of its issuer.
    pub(super) issuer: Option<Name>,
    pub(super) key: Key,
    /// DER of both times.
    pub(super) validity: [Vec<u8>; 2],
    pub(super) subject_key_id: SubjectKeyId,
    pub(super) authority_key_id: AuthorityKeyId,
    pub(super) basic_constraints: Option<BasicConstraints>,
    /// The count of unused bits, then the bits.
    pub(super) key_usage: Option<Vec<u8>>,
    pub(super) extended_key_usage: Option<Vec<&'static str>>,
    /// DER of each name.
    pub(super) alternative_names: Vec<Vec<u8>>,
    pub(super) extensions: Vec<Extension>,
    pub(super) algorithm: Algorithm,
    /// Instead of the key of its issuer.
    pub(super) signed_with: Option<Key>,
    /// The algorithm beside the signature is another than the one inside.
    pub(super) algorithms_differ: bool,
    /// The point of an elliptic key is compressed.
    pub(super) compressed: bool,
}

/// Returns the DER of a certificate that `issuer` issued.
pub(super) fn certificate(keys: &Keys, link: &Link, issuer: &Link) -> anyhow::Result<Vec<u8>> {
    let signer = link.signed_with.unwrap_or(issuer.key);
    let algorithm = algorithm_der(signer.kind, link.algorithm);
    let issuer_name = name_der(link.issuer.as_ref().unwrap_or(&issuer.subject));
    let mut parts = Vec::new();
    if link.version != 0 {
        parts.push(tagged(0, &integer(link.version)));
    }
    parts.extend([
        element(0x02, &link.serial),
        algorithm.clone(),
        issuer_name,
        sequence(&link.validity),
        name_der(&link.subject),
        public_key(keys, link.key, link.compressed)?,
    ]);
    let extensions = extensions(keys, link, issuer)?;
    if link.version >= 2 && !extensions.is_empty() {
        parts.push(tagged(3, &sequence(&extensions)));
    }
    let inner = sequence(&parts);
    let signature = sign(&keys.get(signer)?, signer.kind, link.algorithm, &inner)?;
    let outer_algorithm = if link.algorithms_differ {
        algorithm_der(signer.kind, Algorithm::Sha512)
    } else {
        algorithm
    };
    Ok(sequence(&[inner, outer_algorithm, bits(&signature)]))
}

fn extensions(keys: &Keys, link: &Link, issuer: &Link) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    if let SubjectKeyId::Method(method) = link.subject_key_id {
        let id = key_id(keys, link.key, method)?;
        all.push(extension("2.5.29.14", false, &octets(&id)));
    }
    if let Some(content) = authority_key_id(keys, link, issuer)? {
        all.push(extension("2.5.29.35", false, &element(0x30, &content)));
    }
    if let Some(constraints) = link.basic_constraints {
        let mut content = Vec::new();
        if constraints.ca {
            content.push(boolean(true));
        }
        content.extend(constraints.path_length.map(integer));
        all.push(extension("2.5.29.19", constraints.critical, &sequence(&content)));
    }
    if let Some(usage) = &link.key_usage {
        all.push(extension("2.5.29.15", true, &element(0x03, usage)));
    }
    if let Some(usages) = &link.extended_key_usage {
        let usages: Vec<_> = usages.iter().map(|usage| oid(usage)).collect();
        all.push(extension("2.5.29.37", false, &sequence(&usages)));
    }
    if !link.alternative_names.is_empty() {
        all.push(extension("2.5.29.17", false, &sequence(&link.alternative_names)));
    }
    let others = link.extensions.iter();
    all.extend(others.map(|other| extension(other.oid, other.critical, &other.value)));
    Ok(all)
}

fn extension(kind: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let mut parts = vec![oid(kind)];
    if critical {
        parts.push(boolean(true));
    }
    parts.push(octets(value));
    sequence(&parts)
}

fn authority_key_id(keys: &Keys, link: &Link, issuer: &Link) -> anyhow::Result<Option<Vec<u8>>> {
    let id = |wrong: u8| -> anyhow::Result<Vec<u8>> {
        let method = match issuer.subject_key_id {
            SubjectKeyId::Method(method) => method,
            SubjectKeyId::Absent => 0,
        };
        Ok(element(0x80, &key_id(keys, issuer.key, method ^ wrong)?))
    };
    let issuer_name = |name: &Name| element(0xA1, &tagged(4, &name_der(name)));
    let own_issuer = issuer.issuer.as_ref().unwrap_or(&issuer.subject);
    let serial = |serial: &[u8]| element(0x82, serial);
    Ok(Some(match &link.authority_key_id {
        AuthorityKeyId::Absent => return Ok(None),
        AuthorityKeyId::KeyId => id(0)?,
        AuthorityKeyId::WrongKeyId => id(0x40)?,
        AuthorityKeyId::IssuerAndSerial => [issuer_name(own_issuer), serial(&issuer.serial)].concat(),
        AuthorityKeyId::WrongSerial => [issuer_name(own_issuer), serial(&[0x33])].concat(),
        AuthorityKeyId::WrongIssuer => [
            issuer_name(&common_name("another issuer")),
            serial(&issuer.serial),
        ]
        .concat(),
        AuthorityKeyId::All => [id(0)?, issuer_name(own_issuer), serial(&issuer.serial)].concat(),
        AuthorityKeyId::Empty => Vec::new(),
        AuthorityKeyId::Content(content) => content.clone(),
    }))
}

fn key_id(keys: &Keys, key: Key, method: u8) -> anyhow::Result<Vec<u8>> {
    let mut hashed = public_key(keys, key, false)?;
    hashed.push(method);
    Ok(sha256(&hashed)[..20].to_vec())
}

fn public_key(keys: &Keys, key: Key, compressed: bool) -> anyhow::Result<Vec<u8>> {
    use openssl::bn::BigNumContext;
    use openssl::ec::PointConversionForm;
    let made = keys.get(key)?;
    let der = made.public_key_to_der()?;
    if !compressed {
        return Ok(der);
    }
    let Ok(elliptic) = made.ec_key() else {
        return Ok(der);
    };
    let mut context = BigNumContext::new()?;
    let form = PointConversionForm::COMPRESSED;
    let point = elliptic
        .public_key()
        .to_bytes(elliptic.group(), form, &mut context)?;
    let algorithm = super::der::children(&der).first().map(|first| first.to_vec());
    Ok(sequence(&[algorithm.unwrap_or_default(), bits(&point)]))
}

fn digest(algorithm: Algorithm) -> MessageDigest {
    match algorithm {
        Algorithm::Sha1 => MessageDigest::sha1(),
        Algorithm::Sha224 => MessageDigest::sha224(),
        Algorithm::Sha256 | Algorithm::Pss { .. } => MessageDigest::sha256(),
        Algorithm::Sha384 => MessageDigest::sha384(),
        Algorithm::Sha512 => MessageDigest::sha512(),
    }
}

pub(super) fn sign(
    key: &PKey<Private>,
    kind: Kind,
    algorithm: Algorithm,
    content: &[u8],
) -> anyhow::Result<Vec<u8>> {
    if matches!(kind, Kind::Ed25519 | Kind::Ed448) {
        return Ok(Signer::new_without_digest(key)?.sign_oneshot_to_vec(content)?);
    }
    let mut signer = Signer::new(digest(algorithm), key)?;
    if let (Algorithm::Pss { salt, sha1_mask }, Kind::Rsa(_)) = (algorithm, kind) {
        signer.set_rsa_padding(Padding::PKCS1_PSS)?;
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(salt.into()))?;
        signer.set_rsa_mgf1_md(if sha1_mask {
            MessageDigest::sha1()
        } else {
            MessageDigest::sha256()
        })?;
    }
    loop {
        let signature = signer.sign_oneshot_to_vec(content)?;
        // One of ECDSA differs from run to run, also in length. With one length a seed describes where a text is changed.
        if matches!(kind, Kind::Rsa(_)) || signature.len() % 2 == 1 {
            return Ok(signature);
        }
    }
}

const SHA_256: &str = "2.16.840.1.101.3.4.2.1";

fn algorithm_der(kind: Kind, algorithm: Algorithm) -> Vec<u8> {
    match kind {
        Kind::Ed25519 => sequence(&[oid("1.3.101.112")]),
        Kind::Ed448 => sequence(&[oid("1.3.101.113")]),
        Kind::Rsa(_) => match algorithm {
            Algorithm::Pss { salt, sha1_mask } => pss(salt, sha1_mask),
            Algorithm::Sha1 => sequence(&[oid("1.2.840.113549.1.1.5"), null()]),
            Algorithm::Sha224 => sequence(&[oid("1.2.840.113549.1.1.14"), null()]),
            Algorithm::Sha256 => sequence(&[oid("1.2.840.113549.1.1.11"), null()]),
            Algorithm::Sha384 => sequence(&[oid("1.2.840.113549.1.1.12"), null()]),
            Algorithm::Sha512 => sequence(&[oid("1.2.840.113549.1.1.13"), null()]),
        },
        _ => sequence(&[oid(match algorithm {
            Algorithm::Sha1 => "1.2.840.10045.4.1",
            Algorithm::Sha224 => "1.2.840.10045.4.3.1",
            Algorithm::Sha256 | Algorithm::Pss { .. } => "1.2.840.10045.4.3.2",
            Algorithm::Sha384 => "1.2.840.10045.4.3.3",
            Algorithm::Sha512 => "1.2.840.10045.4.3.4",
        })]),
    }
}

fn pss(salt: u8, sha1_mask: bool) -> Vec<u8> {
    let hash = |kind| sequence(&[oid(kind), null()]);
    let mask = if sha1_mask { "1.3.14.3.2.26" } else { SHA_256 };
    let mask = sequence(&[oid("1.2.840.113549.1.1.8"), hash(mask)]);
    let parameters = sequence(&[
        tagged(0, &hash(SHA_256)),
        tagged(1, &mask),
        tagged(2, &integer(salt.into())),
    ]);
    sequence(&[oid("1.2.840.113549.1.1.10"), parameters])
}

/// A time as a certificate writes it: `UTCTime` until 2049.
pub(super) fn time(at: Timestamp) -> Vec<u8> {
    element(0x17, at.strftime("%y%m%d%H%M%SZ").to_string().as_bytes())
}

pub(super) fn dns(name: &str) -> Vec<u8> {
    element(0x82, name.as_bytes())
}
