//! Judges what stands in the certificate Secrets of one Pgpool against what it needs of them now. Pure.

mod origin;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_runtime::Lookup;
use shared_types::Alias;
use tls_bundle::{Bundle, Failure, Leaf};

use super::observe::Observed;
use super::validate::{Needed, Plan, Refusal, Wanted};
use crate::cert_manager::{self, IssuerReference};

/// A certificate Secret, judged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judged {
    /// Which certificate.
    pub(crate) alias: Alias,
    /// What was found.
    pub(crate) finding: Finding,
}

/// What stands in a certificate Secret.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finding {
    /// Somebody else holds it: whether it fits is no concern of this Pgpool.
    Contested {
        /// Who holds it.
        refusal: Refusal,
        /// Its leaf. A refusal is understood only where it names what is refused.
        leaf: Option<Leaf>,
    },
    /// Its watch has not answered yet.
    Pending,
    /// There is none.
    Absent,
    /// We may not read it.
    Forbidden,
    /// It was read.
    Present {
        /// Its leaf, when it could be read.
        leaf: Option<Leaf>,
        /// What is wrong with it, the root cause first.
        failures: Vec<Failure>,
        /// Why it has to be issued anew, though it fits.
        outdated: Option<Outdated>,
    },
}

impl Finding {
    /// The leaf, when there is one that could be read.
    pub(crate) fn leaf(&self) -> Option<&Leaf> {
        match self {
            Self::Contested { leaf, .. } | Self::Present { leaf, .. } => leaf.as_ref(),
            Self::Pending | Self::Absent | Self::Forbidden => None,
        }
    }
}

/// Judges what a plan needs: nothing without TLS.
pub(crate) fn judge_plan(plan: &Plan, observed: &Observed, now: Timestamp) -> Vec<Judged> {
    match plan {
        Plan::NotNeeded => Vec::new(),
        Plan::Needed(needed) => judge(needed, observed, now),
    }
}

/// Why a certificate is not the one that would be issued now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outdated {
    /// It comes from this issuer, which is no longer the wanted one.
    Issuer(IssuerReference),
    /// Its issuer has another CA now.
    Authority,
}

/// Judges the Secret of every needed certificate at the time `now`.
pub(crate) fn judge(needed: &Needed, observed: &Observed, now: Timestamp) -> Vec<Judged> {
    let judged = needed.wanted.iter().map(|wanted| {
        let secret = observed.children.get(&wanted.alias).map(|child| &child.secret);
        Judged {
            alias: wanted.alias,
            finding: finding(wanted, secret, now),
        }
    });
    let mut judged: Vec<_> = judged.collect();
    origin::note(needed, observed, &mut judged, now);
    judged
}

fn finding(wanted: &Wanted, secret: Option<&Lookup<Secret>>, now: Timestamp) -> Finding {
    if let Some(refusal) = &wanted.contested {
        let leaf = match secret {
            Some(Lookup::Present(secret)) => verdict(wanted, secret, now).0,
            _ => None,
        };
        return Finding::Contested {
            refusal: refusal.clone(),
            leaf,
        };
    }
    match secret {
        Some(Lookup::Present(secret)) => present(wanted, secret, now),
        Some(Lookup::Pending) => Finding::Pending,
        Some(Lookup::Forbidden) => Finding::Forbidden,
        Some(Lookup::Absent) | None => Finding::Absent,
    }
}

fn present(wanted: &Wanted, secret: &Secret, now: Timestamp) -> Finding {
    let (leaf, failures) = verdict(wanted, secret, now);
    Finding::Present {
        leaf,
        failures,
        outdated: other_issuer(wanted, secret).map(Outdated::Issuer),
    }
}

/// The leaf, and what is wrong with the Secret in any of the roles that the certificate plays.
fn verdict(wanted: &Wanted, secret: &Secret, now: Timestamp) -> (Option<Leaf>, Vec<Failure>) {
    let data = secret.data.as_ref();
    let bundle = Bundle::from_data(|key| Some(data?.get(key)?.0.as_slice()));
    let verdicts = wanted
        .required
        .iter()
        .map(|required| tls_bundle::verify(&bundle, required, now));
    let mut leaf = None;
    let mut failures = Vec::new();
    for verdict in verdicts {
        leaf = verdict.leaf.or(leaf);
        failures.extend(verdict.failures);
    }
    // Two roles see the same broken pair; each fault is told once.
    let mut told: Vec<Failure> = Vec::new();
    for failure in failures {
        if !told.contains(&failure) {
            told.push(failure);
        }
    }
    (leaf, told)
}

/// The issuer that cert-manager noted on the Secret, when the spec wants another one. A Secret without such a note
/// was made by the user and is judged by its content alone.
fn other_issuer(wanted: &Wanted, secret: &Secret) -> Option<IssuerReference> {
    let notes = secret.annotations();
    let name = notes.get(cert_manager::ISSUER_NAME)?;
    let note = |key, default: &str| {
        let note = notes.get(key).map(String::as_str).filter(|note| !note.is_empty());
        note.unwrap_or(default).to_owned()
    };
    let noted = IssuerReference {
        group: note(cert_manager::ISSUER_GROUP, cert_manager::GROUP),
        kind: note(cert_manager::ISSUER_KIND, "Issuer"),
        name: name.clone(),
    };
    (wanted.issuer.as_ref() != Some(&noted)).then_some(noted)
}
