//! What has to hold before a new certificate is requested: one small function each, in the order in which a person would
//! check.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_runtime::Claim;
use operator_runtime::{Availability, Lookup};
use shared_types::owned_names::{SecretRole, secret_roles};
use shared_types::pgpool::{KeyRotation, check_size};
use shared_types::{Alias, Pgpool, names};

use super::{Key, Refusal};
use crate::cert_manager::{self, IssuerReference};
use crate::certificates::observe::{self, IssuerState, Observed, Presence, controller};

/// cert-manager is installed, and the issuer is ready.
pub(super) fn open(pgpool: &Pgpool, alias: Alias, observed: &Observed) -> Result<IssuerReference, Refusal> {
    check_size(pgpool).map_err(|problem| Refusal::TooLarge { problem })?;
    cert_manager_served(observed)?;
    let issuer = IssuerReference::of(pgpool, alias);
    let issuer = issuer.ok_or(Refusal::IssuerUnnamed {
        alias: alias.as_str(),
    })?;
    issuer_known(&issuer)?;
    issuer_ready(pgpool, &issuer, observed.issuers.get(&issuer))?;
    Ok(issuer)
}

fn cert_manager_served(observed: &Observed) -> Result<(), Refusal> {
    match observed.cert_manager {
        Availability::Served => Ok(()),
        Availability::Starting => Err(Refusal::CertManagerStarting { kind: "Certificate" }),
        Availability::Absent => Err(Refusal::CertManagerAbsent { kind: "Certificate" }),
        Availability::Forbidden => Err(Refusal::CertManagerForbidden),
    }
}

fn issuer_known(issuer: &IssuerReference) -> Result<(), Refusal> {
    let known = issuer.group != cert_manager::GROUP || issuer_kind(&issuer.kind).is_some();
    known.then_some(()).ok_or_else(|| Refusal::IssuerKindUnsupported {
        kind: issuer.kind.clone(),
        name: issuer.name.clone(),
    })
}

/// The kinds of cert-manager's own issuers.
fn issuer_kind(kind: &str) -> Option<&'static str> {
    ["Issuer", "ClusterIssuer"]
        .into_iter()
        .find(|known| *known == kind)
}

fn issuer_ready(
    pgpool: &Pgpool,
    issuer: &IssuerReference,
    state: Option<&IssuerState>,
) -> Result<(), Refusal> {
    let kind = issuer.kind.clone();
    let place = place_of(pgpool, issuer);
    let known = issuer_kind(&kind).unwrap_or("Issuer");
    match state {
        Some(IssuerState::Unchecked | IssuerState::Present { ready: true, .. }) => Ok(()),
        Some(IssuerState::Starting) => Err(Refusal::CertManagerStarting { kind: known }),
        Some(IssuerState::KindAbsent) => Err(Refusal::CertManagerAbsent { kind: known }),
        Some(IssuerState::Absent) | None => Err(Refusal::IssuerNotFound { kind, place }),
        Some(IssuerState::Present { message, .. }) => {
            let message = message.clone();
            Err(Refusal::IssuerNotReady { kind, place, message })
        }
    }
}

/// `namespace/name` of an issuer; a `ClusterIssuer` has no namespace.
pub(crate) fn place_of(pgpool: &Pgpool, issuer: &IssuerReference) -> String {
    match issuer.kind.as_str() {
        "ClusterIssuer" => issuer.name.clone(),
        _ => place(pgpool, &issuer.name),
    }
}

/// cert-manager can generate the key that is wanted: with the policy `Never` it keeps the one in the Secret, and waits for ever if
/// that is of another algorithm or size.
pub(super) fn key_may_change(
    pgpool: &Pgpool,
    alias: Alias,
    wanted: &Key,
    observed: &Observed,
) -> Result<(), Refusal> {
    let child = observed.children.get(&alias);
    let certificate = child.and_then(|child| child.certificate.as_deref());
    let is_issued = child.is_some_and(|child| matches!(child.secret, Lookup::Present(_)));
    let Some(current) = certificate.and_then(|certificate| certificate.spec.private_key.as_ref()) else {
        return Ok(());
    };
    let is_same =
        current.algorithm.as_deref() == Some(wanted.algorithm.as_str()) && current.size == wanted.size;
    if wanted.rotation == KeyRotation::Always || !is_issued || is_same {
        return Ok(());
    }
    Err(Refusal::KeyKept {
        place: place(pgpool, &names::certificate_secret(pgpool, alias)),
        alias: alias.as_str(),
    })
}

/// The provisioner has created what certificates need first.
pub(super) fn provisioner(pgpool: &Pgpool, observed: &Observed) -> Result<(), Refusal> {
    let missing = observed
        .prerequisites
        .iter()
        .filter(|needed| !matches!(needed.presence, Presence::Since(_)));
    let missing: Vec<_> = missing.collect();
    let auth = names::auth_secret(pgpool);
    let chosen = observe::named_by_user(pgpool).contains(&auth);
    let of_user = missing
        .iter()
        .find(|needed| needed.kind == "Secret" && needed.name == auth && chosen);
    if of_user.is_some_and(|needed| needed.presence != Presence::Pending) {
        return Err(Refusal::AuthSecretMissing {
            place: place(pgpool, &auth),
        });
    }
    let objects: Vec<_> = missing
        .iter()
        .map(|needed| format!("{} {}", needed.kind, place(pgpool, &needed.name)))
        .collect();
    match objects.as_slice() {
        [] => Ok(()),
        [one] => Err(Refusal::WaitingForProvisioner { objects: one.clone() }),
        [most @ .., last] => {
            let objects = format!("{} and {last}", most.join(", "));
            Err(Refusal::WaitingForProvisioner { objects })
        }
    }
}

/// It is known whose Secret it is. To request first and look afterwards could have two Certificates write one Secret.
pub(super) fn secret_known(pgpool: &Pgpool, alias: Alias, observed: &Observed) -> Result<(), Refusal> {
    match observed.children.get(&alias).map(|child| &child.secret) {
        Some(Lookup::Pending) => Err(Refusal::SecretUnknown {
            place: place(pgpool, &names::certificate_secret(pgpool, alias)),
        }),
        _ => Ok(()),
    }
}

/// Rejects a Secret or a Certificate that belongs to another owner.
pub(super) fn contested(pgpool: &Pgpool, alias: Alias, observed: &Observed) -> Option<Refusal> {
    secret_taken(pgpool, alias, observed)
        .or_else(|| secret_foreign(pgpool, alias, observed))
        .or_else(|| certificate_taken(pgpool, alias, observed))
}

fn secret_taken(pgpool: &Pgpool, alias: Alias, observed: &Observed) -> Option<Refusal> {
    let secret = names::certificate_secret(pgpool, alias);
    let holder = twin(pgpool, alias, &secret)
        .or_else(|| part_of_provisioner(pgpool, &secret))
        .or_else(|| older_claim(pgpool, alias, &secret, observed))
        .or_else(|| other_certificate(pgpool, alias, observed));
    holder.map(|holder| Refusal::SecretNameConflict {
        place: place(pgpool, &secret),
        holder,
        alias: alias.as_str(),
    })
}

/// Another certificate of this Pgpool, before this one in the order of the aliases.
fn twin(pgpool: &Pgpool, alias: Alias, secret: &str) -> Option<String> {
    let earlier = Alias::ALL.into_iter().take_while(|other| *other != alias);
    let mut holders = earlier.filter(|other| names::certificate_secret(pgpool, *other) == secret);
    holders
        .next()
        .map(|other| format!("the {other} certificate of this Pgpool"))
}

/// A part that the provisioner writes, or may write later.
fn part_of_provisioner(pgpool: &Pgpool, secret: &str) -> Option<String> {
    let mut roles = secret_roles(pgpool, secret).into_iter();
    let part = roles.find(|role| !matches!(role, SecretRole::Certificate(_)));
    part.map(|part| format!("{} of this Pgpool", part.describe()))
}

/// The Pgpool that has the Secret keeps it. Before one has it, the oldest Pgpool gets it; of two of the same age, the
/// first by name.
fn older_claim(pgpool: &Pgpool, alias: Alias, secret: &str, observed: &Observed) -> Option<String> {
    let issued_for = observed
        .children
        .get(&alias)
        .and_then(|child| observe::issued_for(&child.secret));
    if issued_for == Some(names::certificate(pgpool, alias).as_str()) {
        return None;
    }
    let ours = (observe::created(&pgpool.metadata), pgpool.name_any());
    let claims = observed.claims.iter().filter(|claim| claim.secret == secret);
    let oldest = claims.min_by_key(|claim| (claim.created, &claim.pgpool))?;
    ((oldest.created, &oldest.pgpool) < (ours.0, &ours.1))
        .then(|| format!("Pgpool {}, which is older", place(pgpool, &oldest.pgpool)))
}

/// cert-manager wrote the Secret for a Certificate that is not ours.
fn other_certificate(pgpool: &Pgpool, alias: Alias, observed: &Observed) -> Option<String> {
    let child = observed.children.get(&alias)?;
    let issued_for = observe::issued_for(&child.secret)?;
    // Our own of another alias does not count: two aliases may swap their Secrets.
    let ours = Alias::ALL
        .iter()
        .any(|alias| names::certificate(pgpool, *alias) == issued_for);
    // Nor does one that writes to another Secret by now and has left this one behind.
    let secret = names::certificate_secret(pgpool, alias);
    let left = child
        .maker
        .as_ref()
        .is_some_and(|maker| maker.spec.secret_name != secret);
    (!ours && !left).then(|| format!("Certificate {}", place(pgpool, issued_for)))
}

/// Someone else wrote the Secret, and cert-manager would overwrite it. If our Certificate is written to it already, or
/// none will be because no issuer is named, there is nothing to protect.
fn secret_foreign(pgpool: &Pgpool, alias: Alias, observed: &Observed) -> Option<Refusal> {
    let child = observed.children.get(&alias)?;
    let Lookup::Present(secret) = &child.secret else {
        return None;
    };
    IssuerReference::of(pgpool, alias)?;
    let name = names::certificate_secret(pgpool, alias);
    let issued_for = observe::issued_for(&child.secret);
    // A Certificate that was deleted leaves its Secret behind: that one had the name of ours does not make the Secret ours.
    let known = issued_for.is_some_and(|name| name != names::certificate(pgpool, alias))
        || has_our_labels(pgpool, secret)
        || observe::writes_to(child.certificate.as_deref(), &name);
    let holder = || match (controller(&secret.metadata), issued_for) {
        (Some(owner), _) => format!("{} {}", owner.kind, place(pgpool, &owner.name)),
        (None, Some(certificate)) => format!(
            "someone else: it was issued for a Certificate {} that no longer exists, and has no labels of this Pgpool",
            place(pgpool, certificate)
        ),
        (None, None) => "someone else: cert-manager did not write it".to_owned(),
    };
    (!known).then(|| Refusal::SecretForeign {
        place: place(pgpool, &name),
        holder: holder(),
        alias: alias.as_str(),
    })
}

fn has_our_labels(pgpool: &Pgpool, secret: &Secret) -> bool {
    let mut ours = names::selector_labels(&pgpool.name_any()).into_iter();
    ours.all(|(key, value)| secret.labels().get(&key) == Some(&value))
}

fn certificate_taken(pgpool: &Pgpool, alias: Alias, observed: &Observed) -> Option<Refusal> {
    let certificate = observed.children.get(&alias)?.certificate.as_ref()?;
    let owner = controller(&certificate.metadata)?;
    // An owner of our kind and name with another UID is this Pgpool before it was restored from a backup.
    let is_ours = Claim::of(pgpool).covers(&certificate.metadata);
    (!is_ours).then(|| Refusal::NameConflict {
        place: place(pgpool, &certificate.name_any()),
        owner: format!("{} {}", owner.kind, place(pgpool, &owner.name)),
    })
}

fn place(pgpool: &Pgpool, name: &str) -> String {
    format!("{}/{name}", pgpool.namespace().unwrap_or_default())
}
