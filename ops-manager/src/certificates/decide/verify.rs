//! Verifies the content of the certificate Secrets of a Pgpool against what is required of them now. Pure.

mod replaced_ca;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_runtime::Lookup;
use shared_types::Alias;
use tls_bundle::{Bundle, Failure, KeyId, Leaf, Verification, Warning};

use crate::cert_manager::{self, IssuerReference};
use crate::certificates::observe::Observed;
use crate::certificates::validate::{Refusal, Validated, Wanted};
use crate::public_part;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verified {
    pub(crate) alias: Alias,
    pub(crate) finding: Finding,
    /// The keys of the CAs on the verified path of the leaf.
    pub(crate) signers: Vec<KeyId>,
}

/// What a certificate Secret holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finding {
    /// Someone else holds its name: whether it fits does not matter to this Pgpool.
    Contested {
        refusal: Refusal,
        /// The provisioner acts on a verdict only if it names the leaf certificate.
        leaf: Option<Leaf>,
    },
    /// Not known yet.
    Pending,
    Absent,
    /// It may not be read.
    Forbidden,
    Present {
        /// `None` if it could not be read.
        leaf: Option<Leaf>,
        /// The root cause first.
        failures: Vec<Failure>,
        /// What clients must know before they can verify the certificate.
        warnings: Vec<Warning>,
        /// Why another certificate is needed although this one is valid.
        outdated: Option<Outdated>,
    },
}

impl Finding {
    pub(crate) fn leaf(&self) -> Option<&Leaf> {
        match self {
            Self::Contested { leaf, .. } | Self::Present { leaf, .. } => leaf.as_ref(),
            Self::Pending | Self::Absent | Self::Forbidden => None,
        }
    }
}

/// Why a certificate is not the one that would be issued now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outdated {
    /// This issuer issued it, and the spec names another one now.
    Issuer(IssuerReference),
    /// Its issuer has another CA now.
    Ca,
}

/// Verifies the Secret of every needed certificate.
pub(crate) fn verify(validated: &Validated, observed: &Observed, now: Timestamp) -> Vec<Verified> {
    let verified = validated.wanted.iter().map(|wanted| {
        let secret = observed.children.get(&wanted.alias).map(|child| &child.secret);
        let (finding, signers) = finding(wanted, secret, now);
        Verified {
            alias: wanted.alias,
            finding,
            signers,
        }
    });
    let mut verified: Vec<_> = verified.collect();
    replaced_ca::mark(validated, observed, &mut verified, now);
    verified
}

pub(crate) fn finding_of(verified: &[Verified], alias: Alias) -> Option<&Finding> {
    let verified = verified.iter().find(|verified| verified.alias == alias)?;
    Some(&verified.finding)
}

fn finding(wanted: &Wanted, secret: Option<&Lookup<Secret>>, now: Timestamp) -> (Finding, Vec<KeyId>) {
    if let Some(refusal) = &wanted.contested {
        let leaf = match secret {
            Some(Lookup::Present(secret)) => verify_secret(wanted, secret, now).leaf,
            _ => None,
        };
        let refusal = refusal.clone();
        return (Finding::Contested { refusal, leaf }, Vec::new());
    }
    let finding = match secret {
        Some(Lookup::Present(secret)) => return present(wanted, secret, now),
        Some(Lookup::Pending | Lookup::Undecodable(_)) => Finding::Pending,
        Some(Lookup::Forbidden) => Finding::Forbidden,
        Some(Lookup::Absent) | None => Finding::Absent,
    };
    (finding, Vec::new())
}

fn present(wanted: &Wanted, secret: &Secret, now: Timestamp) -> (Finding, Vec<KeyId>) {
    let Verification {
        leaf,
        signers,
        failures,
        warnings,
    } = verify_secret(wanted, secret, now);
    let finding = Finding::Present {
        leaf,
        failures,
        warnings,
        outdated: other_issuer(wanted, secret).map(Outdated::Issuer),
    };
    (finding, signers)
}

/// The leaf certificate, its signers, and what is wrong with the Secret in any role of the certificate.
fn verify_secret(wanted: &Wanted, secret: &Secret, now: Timestamp) -> Verification {
    let data = secret.data.as_ref();
    let bundle = Bundle::from_data(|key| Some(data?.get(key)?.0.as_slice()));
    // A cached Secret has the public part only.
    let part = data.and_then(public_part::of);
    let (mut leaf, mut signers) = (None, Vec::new());
    let (mut failures, mut warnings) = (Vec::<Failure>::new(), Vec::new());
    for required in &wanted.required {
        let verification = match &part {
            Some(part) => tls_bundle::verify_with_public_part(&bundle, part, required, now),
            None => tls_bundle::verify(&bundle, required, now),
        };
        leaf = verification.leaf.or(leaf);
        signers = verification.signers;
        for failure in verification.failures {
            // Both roles of the exporter's certificate report the same broken key pair.
            if !failures.contains(&failure) {
                failures.push(failure);
            }
        }
        for warning in verification.warnings {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    Verification {
        leaf,
        signers,
        failures,
        warnings,
    }
}

/// The issuer in cert-manager's annotations on the Secret, if the spec names another one. A Secret without them was made
/// by the user; only its content counts.
fn other_issuer(wanted: &Wanted, secret: &Secret) -> Option<IssuerReference> {
    let annotations = secret.annotations();
    let annotation = |key, default: &str| match annotations.get(key) {
        Some(value) if !value.is_empty() => value.clone(),
        _ => default.to_owned(),
    };
    let issuer = IssuerReference {
        group: annotation(cert_manager::ISSUER_GROUP, cert_manager::GROUP),
        kind: annotation(cert_manager::ISSUER_KIND, "Issuer"),
        name: annotations.get(cert_manager::ISSUER_NAME)?.clone(),
    };
    (wanted.issuer.as_ref() != Some(&issuer)).then_some(issuer)
}
