//! Builds the chain that OpenSSL builds: at each step the first issuer of `ca.crt`, else of what the server presents, whose
//! name and key identifier fit, and which is valid now. It never goes back to another one, and ends only with a self-signed
//! certificate of `ca.crt`.

use std::collections::HashMap;

use jiff::Timestamp;

use super::Sources;
use crate::certificate::Certificate;
use crate::limits;
use crate::time::Moment;

/// A certificate, and where it is.
#[derive(Clone, Copy)]
pub(crate) struct Listed<'c, 'a> {
    pub(crate) certificate: &'c Certificate<'a>,
    pub(crate) file: &'static str,
    /// Counted from 1.
    pub(crate) number: usize,
}

/// How a path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a self-signed certificate of `ca.crt`.
    Trusted,
    /// With a self-signed certificate that is not in `ca.crt`.
    SelfSigned,
    /// With a certificate whose issuer is nowhere.
    Open,
    /// It is longer than the limit.
    TooLong,
}

/// What OpenSSL takes for the chain of a leaf certificate, leaf first.
pub(super) struct Path<'c, 'a> {
    pub(super) links: Vec<Listed<'c, 'a>>,
    /// How many of them, from the end, are from `ca.crt`.
    pub(super) trusted: usize,
    pub(super) end: End,
}

/// All certificates, those of `ca.crt` first.
pub(super) fn all<'c, 'a>(sources: &Sources<'c, 'a>) -> impl Iterator<Item = Listed<'c, 'a>> {
    listed(sources.anchors, "ca.crt").chain(listed(sources.presented, sources.file))
}

fn listed<'c, 'a>(
    certificates: &'c [Certificate<'a>],
    file: &'static str,
) -> impl Iterator<Item = Listed<'c, 'a>> {
    certificates
        .iter()
        .zip(1..)
        .map(move |(certificate, number)| Listed {
            certificate,
            file,
            number,
        })
}

/// Certificates by their subject, those of one subject in order.
struct BySubject<'c, 'a>(HashMap<&'c [u8], Vec<Listed<'c, 'a>>>);

impl<'c, 'a> BySubject<'c, 'a> {
    fn of(certificates: impl Iterator<Item = Listed<'c, 'a>>) -> Self {
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for listed in certificates {
            let subject = listed.certificate.subject.canonical();
            found.entry(subject).or_default().push(listed);
        }
        Self(found)
    }

    /// The first issuer that is valid now, else the one that is valid longest. Those that are in `chain` already do not
    /// count.
    fn issuer(
        &self,
        certificate: &Certificate<'_>,
        chain: &[Listed<'c, 'a>],
        now: Timestamp,
    ) -> Option<Listed<'c, 'a>> {
        let mut found: Option<Listed<'c, 'a>> = None;
        for other in self.0.get(certificate.issuer.canonical())? {
            let is_used = chain
                .iter()
                .any(|link| link.certificate.der == other.certificate.der);
            if is_used || !certificate.may_be_issued_by(other.certificate) {
                continue;
            }
            let validity = &other.certificate.validity;
            if validity.at(now) == Moment::Within {
                return Some(*other);
            }
            let is_longer = found.is_none_or(|found| {
                let longest = found.certificate.validity.not_after;
                matches!((validity.not_after, longest), (Some(new), Some(old)) if new > old)
            });
            if is_longer {
                found = Some(*other);
            }
        }
        found
    }
}

/// Builds the chain of the first presented certificate; `None` if there is none.
pub(super) fn build<'c, 'a>(sources: &Sources<'c, 'a>, now: Timestamp) -> Option<Path<'c, 'a>> {
    let anchors = BySubject::of(listed(sources.anchors, "ca.crt"));
    let presented = BySubject::of(listed(sources.presented, sources.file));
    let leaf = listed(sources.presented, sources.file).next()?;
    let mut path = Path {
        links: vec![leaf],
        trusted: 0,
        end: End::Open,
    };
    while path.links.len() <= limits::CHAIN {
        let last = *path.links.last()?;
        if last.certificate.is_self_signed() {
            path.end = root(&mut path, last, &anchors, now);
            return Some(path);
        }
        // The store may name a certificate again; a circle ends at the limit.
        if let Some(issuer) = anchors.issuer(last.certificate, &[], now) {
            path.links.push(issuer);
            path.trusted = path.trusted.saturating_add(1);
        } else if path.trusted > 0 {
            return Some(path);
        } else if let Some(issuer) = presented.issuer(last.certificate, &path.links, now) {
            path.links.push(issuer);
        } else {
            return Some(path);
        }
    }
    path.end = End::TooLong;
    Some(path)
}

/// How a path ends whose last certificate is self-signed: a presented one must be in `ca.crt` as it stands.
fn root<'c, 'a>(
    path: &mut Path<'c, 'a>,
    last: Listed<'c, 'a>,
    anchors: &BySubject<'c, 'a>,
    now: Timestamp,
) -> End {
    if path.trusted > 0 {
        return End::Trusted;
    }
    match anchors.issuer(last.certificate, &[], now) {
        Some(same) if same.certificate.der == last.certificate.der => {
            path.links.pop();
            path.links.push(same);
            path.trusted = 1;
            End::Trusted
        }
        _ => End::SelfSigned,
    }
}
