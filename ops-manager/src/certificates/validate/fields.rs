//! What the spec says about one certificate, as far as cert-manager accepts it. The API server refuses most of the rest, but not in
//! an object that is older than its rules. One field that cert-manager cannot read must not reach a Certificate: cert-manager
//! could then not list any Certificate of the cluster.

use std::net::IpAddr;
use std::time::Duration;

use shared_types::object::GoDuration;
use shared_types::pgpool::{self, CertificateNames, CertificateSpec};
use shared_types::{Alias, Pgpool, certificates};

use super::{Key, Names, Refusal};

/// Go counts nanoseconds in 64 bits.
const LONGEST: Duration = Duration::from_nanos(i64::MAX.unsigned_abs());

/// What to write where a duration is wrong.
const A_DURATION: &str = "hours, minutes and seconds, such as 2160h or 1h30m";

/// How long a certificate is valid, and how early it is renewed, as Go durations.
pub(super) struct Lifetime {
    pub(super) duration: Option<String>,
    pub(super) renew_before: Option<String>,
}

pub(super) fn lifetime(alias: Alias, spec: &CertificateSpec) -> Result<Lifetime, Refusal> {
    let duration = length(alias, "duration", spec.duration.as_ref())?;
    let renew_before = length(alias, "renewBefore", spec.renew_before.as_ref())?;
    if let Some((text, length)) = duration
        && length < pgpool::SHORTEST
    {
        let problem = "shorter than the 1h that cert-manager demands";
        return Err(invalid(alias, "duration", text, problem, A_DURATION));
    }
    let valid = duration.map_or(pgpool::LIFETIME, |(_, length)| length);
    if let Some((text, length)) = renew_before {
        let problem = if length < pgpool::SHORTEST_RENEWAL {
            Some("shorter than the 5m that cert-manager demands")
        } else if length >= valid {
            Some("not shorter than duration, which is 2160h when unset")
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(invalid(alias, "renewBefore", text, problem, A_DURATION));
        }
    }
    let text = |parsed: Option<(&str, Duration)>| parsed.map(|(text, _)| text.to_owned());
    Ok(Lifetime {
        duration: text(duration),
        renew_before: text(renew_before),
    })
}

/// A duration that Go can read, as text and parsed.
fn length<'a>(
    alias: Alias,
    field: &'static str,
    value: Option<&'a GoDuration>,
) -> Result<Option<(&'a str, Duration)>, Refusal> {
    let Some(value) = value.filter(|value| !value.0.is_empty()) else {
        return Ok(None);
    };
    let length = value.length().filter(|length| *length <= LONGEST);
    let length = length.filter(|length| !length.is_zero());
    length
        .map(|length| Some((value.0.as_str(), length)))
        .ok_or_else(|| invalid(alias, field, &value.0, "not a duration", A_DURATION))
}

pub(super) fn key(alias: Alias, spec: &CertificateSpec) -> Result<Key, Refusal> {
    let asked = spec.private_key.clone().unwrap_or_default();
    let size = asked.size().map_err(|example| {
        let value = asked.size.unwrap_or_default().to_string();
        let problem = "not a size of this algorithm";
        invalid(alias, "privateKey.size", &value, problem, example)
    })?;
    Ok(Key {
        algorithm: asked.algorithm(),
        size,
        encoding: asked.encoding.unwrap_or_default(),
        rotation: asked.rotation_policy.unwrap_or_default(),
    })
}

/// The names of the operator and those of the user.
pub(super) fn names(
    pgpool: &Pgpool,
    alias: Alias,
    spec: &CertificateSpec,
    ours: &[String],
) -> Result<Names, Refusal> {
    let addresses = addresses(alias, &spec.ip_addresses)?;
    for (field, values, is_valid, problem, example) in [
        (
            "dnsNames",
            &spec.dns_names,
            pgpool::is_dns_name as fn(&str) -> bool,
            "not a DNS name",
            "a name such as db.example.org or *.example.org",
        ),
        (
            "uris",
            &spec.uris,
            pgpool::is_uri,
            "not a URI with a scheme and without spaces",
            "one such as spiffe://example.org/pool",
        ),
        (
            "emailAddresses",
            &spec.email_addresses,
            pgpool::is_email_address,
            "not an e-mail address alone",
            "one such as dba@example.org",
        ),
    ] {
        if let Some(wrong) = values.iter().find(|value| !is_valid(value)) {
            return Err(invalid(alias, field, wrong, problem, example));
        }
    }
    let nameless = spec.dns_names.is_empty() && addresses.is_empty();
    if alias == Alias::Server && pgpool.spec.certificate_names() == CertificateNames::Own && nameless {
        return Err(Refusal::NameNeeded);
    }
    Ok(Names {
        dns: certificates::union(ours, &spec.dns_names),
        ips: certificates::union(certificates::addresses(pgpool, alias), &addresses),
        uris: certificates::union(&[], &spec.uris),
        emails: certificates::union(&[], &spec.email_addresses),
    })
}

fn addresses(alias: Alias, values: &[String]) -> Result<Vec<IpAddr>, Refusal> {
    let parsed = values.iter().map(|value| {
        certificates::address(value).ok_or_else(|| {
            let example = "an address such as 10.0.0.7, or move the name to dnsNames";
            invalid(alias, "ipAddresses", value, "not an IP address", example)
        })
    });
    parsed.collect()
}

fn invalid(
    alias: Alias,
    field: &'static str,
    value: &str,
    problem: &'static str,
    example: &'static str,
) -> Refusal {
    Refusal::FieldInvalid {
        alias: alias.as_str(),
        field,
        value: value.to_owned(),
        problem,
        example,
    }
}
