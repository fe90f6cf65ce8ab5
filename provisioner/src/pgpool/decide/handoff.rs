//! Decides when certificates that ops-manager manages may be used for pods: one table over the certificate Secrets in the
//! cache, the verdict on the channel, the verdict in the status, and the time since the Secrets are complete. Pure.
//!
//! The API server is the only source of truth. The verdict on the channel makes the handoff immediate; the status contains
//! the same verdict a little later; without either for the handoff grace the provisioner verifies the Secrets itself.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proto::verdict::CertificateVerdict;
use shared_types::Alias;
use tls_bundle::{Bundle, ChainFault, Failure, Fingerprint, Required};

use crate::pgpool::observe::{Certificate, Lookup};

#[cfg(test)]
mod tests;

/// Later, every Pgpool is reconciled again anyway.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The leaf certificates that may be used, by alias.
pub(crate) type Leaves = BTreeMap<Alias, Fingerprint>;

/// Who verified the certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verifier {
    /// ops-manager, as received on the channel.
    Channel,
    /// ops-manager, as read from the status.
    Status,
    /// This operator.
    Provisioner,
}

/// The result of the handoff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Handoff {
    /// A Secret is missing: pods get nothing new.
    Wait { message: String },
    /// The Secrets are complete, but ops-manager has not verified these certificates yet: wait this much longer for it.
    AwaitVerdict { left: Duration },
    /// The certificates are valid: pods get them.
    Use { leaves: Leaves, verifier: Verifier },
    /// A certificate is not valid: pods keep those that they have.
    Keep {
        message: String,
        /// When time alone may have fixed it.
        retry_after: Option<Duration>,
    },
    /// The handoff grace has passed without a verdict.
    VerifyLocally,
}

/// The verdicts of ops-manager in one place.
#[derive(Clone, Copy, Default)]
pub(crate) struct PublishedVerdicts<'a> {
    /// The generation of the spec that they are about.
    pub(crate) generation: Option<i64>,
    pub(crate) certificates: &'a [CertificateVerdict],
}

/// What [`decide`] needs.
pub(crate) struct HandoffView<'a> {
    /// The current generation of the spec.
    pub(crate) generation: Option<i64>,
    pub(crate) certificates: &'a [Certificate],
    /// From the channel; empty while that is not connected.
    pub(crate) channel: PublishedVerdicts<'a>,
    pub(crate) status: PublishedVerdicts<'a>,
    /// How long exactly these Secrets have been complete, under the current generation.
    pub(crate) complete_for: Duration,
    pub(crate) grace: Duration,
}

/// Applies the table of the handoff.
pub(crate) fn decide(view: &HandoffView<'_>) -> Handoff {
    let mut leaves = Vec::with_capacity(view.certificates.len());
    for certificate in view.certificates {
        match certificate.leaf() {
            Lookup::Present(leaf) => leaves.push((certificate, leaf)),
            absent => {
                return Handoff::Wait {
                    message: missing(certificate, &absent),
                };
            }
        }
    }
    let verdicts: Vec<_> = leaves
        .iter()
        .map(|(certificate, leaf)| verdict_on(view, certificate.alias, *leaf))
        .collect();
    // One bad certificate decides, whatever is known of the others.
    for (known, (certificate, _)) in verdicts.iter().zip(&leaves) {
        if let Some((_, verdict)) = known
            && !verdict.ready
        {
            return Handoff::Keep {
                message: format!("{}: {}", certificate.title(), verdict.message),
                // ops-manager verifies it again and publishes another verdict.
                retry_after: None,
            };
        }
    }
    let mut verifier = Verifier::Channel;
    let mut good = Leaves::new();
    for (known, (certificate, leaf)) in verdicts.iter().zip(&leaves) {
        match (known, leaf) {
            (Some((by, _)), Some(leaf)) => {
                good.insert(certificate.alias, *leaf);
                if *by == Verifier::Status {
                    verifier = Verifier::Status;
                }
            }
            _ => {
                return match view.grace.checked_sub(view.complete_for) {
                    Some(left) if !left.is_zero() => Handoff::AwaitVerdict { left },
                    _ => Handoff::VerifyLocally,
                };
            }
        }
    }
    Handoff::Use {
        leaves: good,
        verifier,
    }
}

/// Verifies the Secrets where the table requires it: all of their properties when there is no verdict, and before they are
/// used whether key and CA still belong to the leaf certificate. A verdict is about the leaf certificate alone, and a key
/// or a CA that was replaced since must not reach a pod.
pub(crate) fn verify(handoff: Handoff, certificates: &[Certificate], now: Timestamp) -> Handoff {
    match handoff {
        Handoff::VerifyLocally => verified(certificates, Verifier::Provisioner, now, Required::clone),
        Handoff::Use { verifier, .. } => verified(certificates, verifier, now, |required| Required {
            role: required.role,
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            common_name: None,
            ca_required: required.ca_required,
        }),
        other => other,
    }
}

/// Whether a certificate is valid for everything that it is needed for.
pub(crate) fn is_good(certificate: &Certificate, now: Timestamp) -> bool {
    let alone = std::slice::from_ref(certificate);
    matches!(
        verified(alone, Verifier::Provisioner, now, Required::clone),
        Handoff::Use { .. }
    )
}

fn verified(
    certificates: &[Certificate],
    verifier: Verifier,
    now: Timestamp,
    required: impl Fn(&Required) -> Required,
) -> Handoff {
    let mut leaves = Leaves::new();
    for certificate in certificates {
        let Some(secret) = certificate.secret.present() else {
            return Handoff::Wait {
                message: missing(certificate, &certificate.leaf()),
            };
        };
        let data = secret.data.as_ref();
        let bundle = Bundle::from_data(|key| Some(data?.get(key)?.0.as_slice()));
        for required in certificate.required.iter().map(&required) {
            let verdict = tls_bundle::verify(&bundle, &required, now);
            if let Some(failure) = verdict.first() {
                return Handoff::Keep {
                    message: format!("{}: {failure}", certificate.title()),
                    retry_after: valid_in(failure, now),
                };
            }
            if let Some(leaf) = verdict.leaf {
                leaves.insert(certificate.alias, leaf.fingerprint);
            }
        }
    }
    Handoff::Use { leaves, verifier }
}

/// When time alone fixes a failure: a certificate that is not valid yet, as when the clock of the issuer is ahead of ours.
/// No watch event marks that moment.
fn valid_in(failure: &Failure, now: Timestamp) -> Option<Duration> {
    let begin = match failure {
        Failure::NotYetValid { not_before }
        | Failure::ChainBroken {
            fault: ChainFault::CaNotYetValid { not_before, .. },
        } => *not_before,
        _ => return None,
    };
    let left = Duration::try_from(begin.duration_since(now)).unwrap_or_default();
    Some(left.min(LONGEST_PAUSE))
}

/// The verdict on exactly this leaf certificate for exactly this spec: from the channel, else from the status. A verdict for
/// another spec does not count, since that spec may have required other names.
fn verdict_on<'a>(
    view: &HandoffView<'a>,
    alias: Alias,
    leaf: Option<Fingerprint>,
) -> Option<(Verifier, &'a CertificateVerdict)> {
    let fits = |verdict: &&CertificateVerdict| {
        // Without a readable leaf certificate nothing can be ready; only a rejection can be meant.
        verdict.alias == alias && verdict.fingerprint == leaf && (leaf.is_some() || !verdict.ready)
    };
    let published = |verdicts: &PublishedVerdicts<'a>| {
        let present = verdicts.generation.is_some() && verdicts.generation == view.generation;
        verdicts.certificates.iter().filter(|_| present).find(fits)
    };
    let from_channel = published(&view.channel).map(|verdict| (Verifier::Channel, verdict));
    from_channel.or_else(|| published(&view.status).map(|verdict| (Verifier::Status, verdict)))
}

fn missing(certificate: &Certificate, leaf: &Lookup<Option<Fingerprint>>) -> String {
    let title = certificate.title();
    match leaf {
        Lookup::Forbidden => {
            format!("{title} may not be read by this operator: grant it get, list and watch on Secrets there")
        }
        Lookup::Undecodable(why) => why.explain(&title),
        _ => format!("{title} does not exist yet: cert-manager creates it, see condition CertificatesReady"),
    }
}
