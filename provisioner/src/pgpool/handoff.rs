//! Decides when certificates pass from ops-manager's hands into the pods: one table over the certificate Secrets in
//! the cache, the verdict on the channel, the verdict in the status, and the time since the Secrets are complete.
//! Pure.
//!
//! The API server is the only truth. The verdict on the channel makes the handoff immediate; the one in the status
//! says the same a little later; when both are silent for the grace time this operator judges the Secrets itself.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proto::verdict::CertificateVerdict;
use shared_types::Alias;
use tls_bundle::{Bundle, ChainFault, Failure, Fingerprint, Required};

use crate::pgpool::observe::{Certificate, Lookup};

#[cfg(test)]
mod tests;

/// Beyond that, everything is looked at again anyway.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The leaves that may be used, by alias.
pub(crate) type Leaves = BTreeMap<Alias, Fingerprint>;

/// Whose word the handoff rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judge {
    /// ops-manager, heard on the channel.
    Channel,
    /// ops-manager, read in the status.
    Status,
    /// This operator.
    Myself,
}

/// What the handoff has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Handoff {
    /// A Secret is missing: nothing new is made.
    Wait {
        /// Which one, and what brings it, in one sentence.
        which: String,
    },
    /// The Secrets are complete, ops-manager has not judged exactly these: it is given a little more time.
    Listen {
        /// What is left of the grace time.
        left: Duration,
    },
    /// The certificates are good: the workload is made or rolled with them.
    Go {
        /// The leaves that were judged.
        leaves: Leaves,
        /// Whose judgement that is.
        judge: Judge,
    },
    /// A certificate is bad: what runs keeps running.
    Keep {
        /// The object and the cure, in one sentence.
        why: String,
        /// When time alone may have mended it.
        after: Option<Duration>,
    },
    /// Nobody else has judged within the grace time.
    JudgeMyself,
}

/// What ops-manager says in one place.
#[derive(Clone, Copy, Default)]
pub(crate) struct Words<'a> {
    /// The generation of the spec that it is said about.
    pub(crate) generation: Option<i64>,
    /// One verdict for each certificate.
    pub(crate) certificates: &'a [CertificateVerdict],
}

/// What [`decide`] looks at.
pub(crate) struct View<'a> {
    /// The present generation of the spec.
    pub(crate) generation: Option<i64>,
    /// The certificates that this `Pgpool` needs.
    pub(crate) certificates: &'a [Certificate],
    /// ops-manager's verdict as heard on the channel; empty while the channel is down.
    pub(crate) channel: Words<'a>,
    /// ops-manager's verdict as it stands in the status.
    pub(crate) status: Words<'a>,
    /// How long these very Secrets have been complete, under the present generation.
    pub(crate) complete_for: Duration,
    /// How long ops-manager may take to judge them.
    pub(crate) grace: Duration,
}

/// Applies the table of the handoff.
pub(crate) fn decide(view: &View<'_>) -> Handoff {
    let mut leaves = Vec::with_capacity(view.certificates.len());
    for certificate in view.certificates {
        match certificate.leaf() {
            Lookup::Present(leaf) => leaves.push((certificate, leaf)),
            absent => {
                return Handoff::Wait {
                    which: missing(certificate, &absent),
                };
            }
        }
    }
    let words: Vec<_> = leaves
        .iter()
        .map(|(certificate, leaf)| word(view, certificate.alias, *leaf))
        .collect();
    // One bad certificate decides, whatever is known of the others.
    for (word, (certificate, _)) in words.iter().zip(&leaves) {
        if let Some((_, verdict)) = word
            && !verdict.ready
        {
            return Handoff::Keep {
                why: format!("{}: {}", certificate.title(), verdict.message),
                // Whoever judged it looks again, and says so.
                after: None,
            };
        }
    }
    let mut judge = Judge::Channel;
    let mut good = Leaves::new();
    for (word, (certificate, leaf)) in words.iter().zip(&leaves) {
        match (word, leaf) {
            (Some((by, _)), Some(leaf)) => {
                good.insert(certificate.alias, *leaf);
                if *by == Judge::Status {
                    judge = Judge::Status;
                }
            }
            _ => {
                return match view.grace.checked_sub(view.complete_for) {
                    Some(left) if !left.is_zero() => Handoff::Listen { left },
                    _ => Handoff::JudgeMyself,
                };
            }
        }
    }
    Handoff::Go { leaves: good, judge }
}

/// Looks at the Secrets where the table asks for it: all of their properties when nobody else has judged them, and
/// before a `Go` whether key and CA still belong to the leaf. A verdict speaks of the leaf alone, and whoever
/// replaced the key or the CA since must not get that into a pod.
pub(crate) fn settle(handoff: Handoff, certificates: &[Certificate], now: Timestamp) -> Handoff {
    match handoff {
        Handoff::JudgeMyself => judged(certificates, Judge::Myself, now, Required::clone),
        Handoff::Go { judge, .. } => judged(certificates, judge, now, |required| Required {
            role: required.role,
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            common_name: None,
        }),
        other => other,
    }
}

/// Whether a certificate is good for everything that it is needed for.
pub(crate) fn is_good(certificate: &Certificate, now: Timestamp) -> bool {
    let alone = std::slice::from_ref(certificate);
    matches!(
        judged(alone, Judge::Myself, now, Required::clone),
        Handoff::Go { .. }
    )
}

fn judged(
    certificates: &[Certificate],
    judge: Judge,
    now: Timestamp,
    required: impl Fn(&Required) -> Required,
) -> Handoff {
    let mut leaves = Leaves::new();
    for certificate in certificates {
        let Some(secret) = certificate.secret.present() else {
            return Handoff::Wait {
                which: missing(certificate, &certificate.leaf()),
            };
        };
        let data = secret.data.as_ref();
        let bundle = Bundle::from_data(|key| Some(data?.get(key)?.0.as_slice()));
        for required in certificate.required.iter().map(&required) {
            let verdict = tls_bundle::verify(&bundle, &required, now);
            if let Some(failure) = verdict.first() {
                return Handoff::Keep {
                    why: format!("{}: {failure}", certificate.title()),
                    after: mended_in(failure, now),
                };
            }
            if let Some(leaf) = verdict.leaf {
                leaves.insert(certificate.alias, leaf.fingerprint);
            }
        }
    }
    Handoff::Go { leaves, judge }
}

/// When a failure goes by itself: a certificate that is not valid yet, as when the clock of the issuer is ahead of
/// ours. Nothing else tells of that moment.
fn mended_in(failure: &Failure, now: Timestamp) -> Option<Duration> {
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

/// The verdict on exactly this leaf for exactly this spec: the channel's if it has one, else that of the status. What
/// was said for another spec counts for nothing: that one may have needed other names.
fn word<'a>(
    view: &View<'a>,
    alias: Alias,
    leaf: Option<Fingerprint>,
) -> Option<(Judge, &'a CertificateVerdict)> {
    let fits = |verdict: &&CertificateVerdict| {
        // Without a readable leaf there is nothing to be ready about; only a refusal can be meant.
        verdict.alias == alias && verdict.fingerprint == leaf && (leaf.is_some() || !verdict.ready)
    };
    let said = |words: &Words<'a>| {
        let present = words.generation.is_some() && words.generation == view.generation;
        words.certificates.iter().filter(|_| present).find(fits)
    };
    let heard = said(&view.channel).map(|verdict| (Judge::Channel, verdict));
    heard.or_else(|| said(&view.status).map(|verdict| (Judge::Status, verdict)))
}

fn missing(certificate: &Certificate, leaf: &Lookup<Option<Fingerprint>>) -> String {
    let title = certificate.title();
    match leaf {
        Lookup::Forbidden => {
            format!("{title} may not be read by this operator: grant it get, list and watch on Secrets there")
        }
        _ => format!(
            "{title} is not there yet: cert-manager writes it, condition CertificatesReady tells how far that is"
        ),
    }
}
