//! A bundle before it is signed: what the twists change.

use jiff::{SignedDuration, Timestamp};
use openssl::pkey::{PKey, Private};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tls_bundle::Role;

use super::case::Case;
use super::certificate::{
    Algorithm, AuthorityKeyId, BasicConstraints, Link, SubjectKeyId, attribute, certificate, common_name,
    dns, sign, time,
};
use super::certificate::{COMMON_NAME, ORGANIZATION};
use super::der::{armored, bits, children, element, sequence};
use super::keys::{Key, Keys, Kind};
use super::reshape::reshaped;

pub(super) const HOST: &str = "pool.demo.svc";

/// Key usages: the count of unused bits, then the bits.
pub(super) const SIGNS_CERTIFICATES: [u8; 2] = [1, 0x06];
pub(super) const SIGNS: [u8; 2] = [7, 0x80];

pub(super) const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub(super) const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

/// Where the signed part of a certificate begins, which has 256 to 65,535 bytes.
const SIGNED_AT: usize = 4;

/// Where a certificate beside the chain goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    AfterTheLeaf,
    EndOfTheChain,
    FirstTrusted,
    LastTrusted,
}

/// A certificate beside the chain.
#[derive(Clone, Debug)]
pub(super) struct Extra {
    pub(super) link: Link,
    pub(super) issuer: Link,
    pub(super) place: Place,
}

/// How `tls.key` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyForm {
    Pkcs8,
    /// Of its algorithm: PKCS#1, SEC1.
    Traditional,
}

impl KeyForm {
    fn pem(self, key: &PKey<Private>) -> anyhow::Result<Vec<u8>> {
        Ok(match (self, key.rsa(), key.ec_key()) {
            (Self::Traditional, Ok(rsa), _) => rsa.private_key_to_pem()?,
            (Self::Traditional, _, Ok(elliptic)) => elliptic.private_key_to_pem()?,
            _ => key.private_key_to_pem_pkcs8()?,
        })
    }
}

/// The three texts, which twists may change at last.
pub(super) struct Texts {
    pub(super) ca: Vec<u8>,
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

/// A change of the texts.
pub(super) type Edit = Box<dyn FnOnce(&mut Texts)>;

pub(super) struct Plan {
    /// The time of the case.
    pub(super) now: Timestamp,
    /// The leaf first, the root last. Each is issued by the next one, the last by itself.
    pub(super) links: Vec<Link>,
    /// Which of them `tls.crt` holds, in order.
    pub(super) presented: Vec<usize>,
    /// Which of them `ca.crt` holds, in order.
    pub(super) trusted: Vec<usize>,
    pub(super) extras: Vec<Extra>,
    /// Instead of the key of the leaf.
    pub(super) other_key: Option<Key>,
    pub(super) key_form: KeyForm,
    pub(super) role: Role,
    pub(super) dns_names: Vec<String>,
    pub(super) ip_addresses: Vec<std::net::IpAddr>,
    pub(super) edits: Vec<Edit>,
    /// Bits of the signed part of a link that are turned after it was signed: of which one, at which thousandth, and which.
    pub(super) flips: Vec<(usize, usize, u8)>,
    /// Links whose signed part is changed anywhere before it is signed, each with a seed.
    pub(super) reshaped: Vec<(usize, u64)>,
}

impl Plan {
    /// A chain without a fault, with so many intermediates.
    pub(super) fn new(intermediates: usize, kind: Kind, now: Timestamp) -> Self {
        let key = |number: usize| Key {
            kind,
            number: number.to_le_bytes()[0],
        };
        let mut links = vec![leaf(key(0), now)];
        links.extend(
            (1..=intermediates).map(|number| authority(&format!("intermediate {number}"), key(number), now)),
        );
        links.push(authority("root", key(intermediates + 1), now));
        let root = links.len() - 1;
        Self {
            now,
            links,
            presented: (0..root).collect(),
            trusted: vec![root],
            extras: Vec::new(),
            other_key: None,
            key_form: KeyForm::Pkcs8,
            role: Role::Server,
            dns_names: vec![HOST.to_owned()],
            ip_addresses: Vec::new(),
            edits: Vec::new(),
            flips: Vec::new(),
            reshaped: Vec::new(),
        }
    }

    pub(super) fn leaf(&mut self) -> &mut Link {
        &mut self.links[0]
    }

    /// Signs everything.
    pub(super) fn render(self, name: String, keys: &Keys) -> anyhow::Result<Case> {
        let mut ders = Vec::new();
        for (position, link) in self.links.iter().enumerate() {
            let issuer = self.links.get(position + 1).unwrap_or(link);
            let mut der = certificate(keys, link, issuer)?;
            for (_, seed) in self.reshaped.iter().filter(|(other, _)| *other == position) {
                der = signed_again(keys, link, issuer, &der, *seed)?;
            }
            ders.push(der);
        }
        for (link, thousandth, bit) in self.flips {
            if let Some(der) = ders.get_mut(link) {
                let signed = children(der).first().map_or(0, |signed| signed.len());
                der[SIGNED_AT + signed * thousandth / 1000] ^= 1 << (bit % 8);
            }
        }
        let mut extras = Vec::new();
        for extra in &self.extras {
            extras.push((extra.place, certificate(keys, &extra.link, &extra.issuer)?));
        }
        let at = |place| {
            let there = extras.iter().filter(move |(other, _)| *other == place);
            there.map(|(_, der)| der)
        };
        let chosen = |positions: &[usize]| -> Vec<&Vec<u8>> {
            positions
                .iter()
                .filter_map(|position| ders.get(*position))
                .collect()
        };
        let presented = chosen(&self.presented);
        let (first, rest) = presented.split_at(presented.len().min(1));
        let chain = first.iter().copied().chain(at(Place::AfterTheLeaf));
        let chain = chain.chain(rest.iter().copied()).chain(at(Place::EndOfTheChain));
        let trusted = at(Place::FirstTrusted).chain(chosen(&self.trusted));
        let trusted = trusted.chain(at(Place::LastTrusted));
        let pem = |der: &Vec<u8>| armored("CERTIFICATE", der);
        let key = self
            .key_form
            .pem(&keys.get(self.other_key.unwrap_or(self.links[0].key))?)?;
        let mut texts = Texts {
            ca: trusted.map(pem).collect::<String>().into_bytes(),
            certificate: chain.map(pem).collect::<String>().into_bytes(),
            key,
        };
        for edit in self.edits {
            edit(&mut texts);
        }
        Ok(Case {
            name,
            ca: texts.ca,
            certificate: texts.certificate,
            key: Some(texts.key),
            role: self.role,
            dns_names: self.dns_names,
            ip_addresses: self.ip_addresses,
            at: self.now,
        })
    }
}

/// Changes the signed part of a certificate, and signs it.
fn signed_again(keys: &Keys, link: &Link, issuer: &Link, der: &[u8], seed: u64) -> anyhow::Result<Vec<u8>> {
    let [signed, algorithm, _] = children(der)[..] else {
        return Ok(der.to_vec());
    };
    let signed = reshaped(signed, &mut StdRng::seed_from_u64(seed));
    let signer = link.signed_with.unwrap_or(issuer.key);
    let signature = sign(&keys.get(signer)?, signer.kind, link.algorithm, &signed)?;
    Ok(sequence(&[signed, algorithm.to_vec(), bits(&signature)]))
}

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

fn link(key: Key, now: Timestamp) -> Link {
    Link {
        version: 2,
        serial: vec![0x10 | key.number],
        subject: Vec::new(),
        issuer: None,
        key,
        validity: [time(now - days(100)), time(now + days(100))],
        subject_key_id: SubjectKeyId::Method(0),
        authority_key_id: AuthorityKeyId::KeyId,
        basic_constraints: None,
        key_usage: None,
        extended_key_usage: None,
        alternative_names: Vec::new(),
        extensions: Vec::new(),
        algorithm: Algorithm::Sha256,
        signed_with: None,
        algorithms_differ: false,
        compressed: false,
    }
}

fn leaf(key: Key, now: Timestamp) -> Link {
    Link {
        subject: common_name(HOST),
        key_usage: Some(SIGNS.to_vec()),
        extended_key_usage: Some(vec![SERVER_AUTH, CLIENT_AUTH]),
        alternative_names: vec![
            dns(HOST),
            dns("*.pool-pods.demo.svc"),
            element(0x87, &[127, 0, 0, 1]),
        ],
        ..link(key, now)
    }
}

/// A CA without restrictions.
pub(super) fn authority(name: &str, key: Key, now: Timestamp) -> Link {
    Link {
        subject: vec![
            attribute(ORGANIZATION, "Example Inc"),
            attribute(COMMON_NAME, name),
        ],
        basic_constraints: Some(BasicConstraints {
            critical: true,
            ca: true,
            path_length: None,
        }),
        key_usage: Some(SIGNS_CERTIFICATES.to_vec()),
        ..link(key, now)
    }
}
