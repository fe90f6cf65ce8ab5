//! Writes what is desired: Certificates that differ, the end of those that are needed no more, and the owner of
//! Secrets that cert-manager has issued. The only step, with the status, that sends anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use operator_runtime::apply::{ApplyError, Change};
use operator_runtime::{Applier, Lookup, REQUEST_TIMEOUT};
use serde_json::{Value, json};
use shared_types::conditions::Reason;
use shared_types::{Alias, Pgpool, names};
use tracing::info;

use super::desired::Desired;
use super::observe::Observed;
use super::validate::Needed;
use crate::cert_manager::{self, Certificate};

/// Why a Certificate could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The reason in conditions.
    pub(crate) reason: Reason,
    /// A sentence that names the object and the cure.
    pub(crate) message: String,
}

/// What applying came to.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// Certificates that the API server refuses for good, until somebody changes something.
    pub(crate) problems: BTreeMap<Alias, Problem>,
    /// The first failure that another attempt may mend.
    pub(crate) failure: Option<ApplyError>,
    /// Certificates that are new: nothing can be said about them before the next event.
    pub(crate) created: Vec<Certificate>,
}

/// Brings the Certificates to what is desired. All are sent at once: none depends on another.
pub(crate) async fn apply(applier: &Applier, desired: Desired, observed: &Observed) -> Applied {
    let Desired {
        certificates,
        withdrawn,
    } = desired;
    let writes = certificates.iter().map(|(alias, certificate)| async move {
        let live = observed
            .children
            .get(alias)
            .and_then(|child| child.certificate.as_deref());
        (*alias, applier.apply(certificate, live).await)
    });
    let deletes = withdrawn
        .iter()
        .map(|certificate| applier.delete(certificate.as_ref()));
    let (written, deleted) = futures::join!(join_all(writes), join_all(deletes));

    let mut applied = Applied::default();
    for (alias, written) in written {
        match written {
            Ok(written) if written.change == Change::Created => applied.created.push(written.object),
            Ok(_) => {}
            Err(error) => match problem(&error) {
                Some(problem) => {
                    applied.problems.insert(alias, problem);
                }
                None => applied.failure = applied.failure.or(Some(error)),
            },
        }
    }
    applied.failure = applied.failure.or(deleted.into_iter().find_map(Result::err));
    applied
}

/// What the user has to mend. Everything else is tried again and concerns nobody.
fn problem(error: &ApplyError) -> Option<Problem> {
    let reason = match error {
        ApplyError::NameConflict { .. } => Reason::NameConflict,
        _ => match error.code()? {
            400 | 403 | 422 => Reason::IssueFailed,
            _ => return None,
        },
    };
    Some(Problem {
        reason,
        message: sentence(error),
    })
}

/// What the API server says, without the form in which it says it.
fn sentence(error: &ApplyError) -> String {
    match error {
        ApplyError::Api { kind, name, source } => match source.as_ref() {
            kube::Error::Api(status) => format!("{kind} {name} could not be written: {}", status.message),
            other => format!("{kind} {name} could not be written: {other}"),
        },
        other => other.to_string(),
    }
}

/// Names the Pgpool as an owner of these Secrets, so that they go when it goes. Gives those for which that was done.
pub(crate) async fn adopt(
    client: &Client,
    orphans: Vec<Orphan>,
) -> (Vec<Arc<Secret>>, Result<(), ApplyError>) {
    let adopted = join_all(orphans.iter().map(|orphan| adopt_one(client, orphan))).await;
    let done = orphans
        .iter()
        .zip(&adopted)
        .filter(|(_, adopted)| adopted.is_ok());
    let done = done.map(|(orphan, _)| Arc::clone(&orphan.secret)).collect();
    (done, adopted.into_iter().collect())
}

/// A Secret that cert-manager issued and that does not name all of its owners.
pub(crate) struct Orphan {
    /// The Secret.
    pub(crate) secret: Arc<Secret>,
    owners: Vec<Value>,
}

/// The Secrets that cert-manager issued for the Pgpool and that do not name it and their Certificate as owners. Secrets
/// of the user are left alone.
///
/// Both, since the garbage collector waits for the last owner: were a Secret to go before its Certificate, cert-manager
/// would write it anew, and that one would stay for good.
pub(crate) fn orphans(pgpool: &Pgpool, needed: &Needed, observed: &Observed) -> Vec<Orphan> {
    let ours = needed.wanted.iter().filter(|wanted| wanted.contested.is_none());
    let orphans = ours.filter_map(|wanted| {
        let child = observed.children.get(&wanted.alias)?;
        let Lookup::Present(secret) = &child.secret else {
            return None;
        };
        let issued = secret.annotations().get(cert_manager::CERTIFICATE_NAME) == Some(&wanted.certificate);
        let certificate = child.certificate.as_deref();
        let owners = [owner_of(pgpool), certificate.and_then(owner_of)];
        let owners: Vec<_> = owners.into_iter().flatten().collect();
        let named = |uid: &Value| {
            let mut named = secret.owner_references().iter();
            named.any(|owner| *uid == owner.uid)
        };
        let owned = owners.iter().all(|owner| named(&owner["uid"]));
        (issued && !owned).then(|| Orphan {
            secret: Arc::clone(secret),
            owners,
        })
    });
    orphans.collect()
}

/// A reference that does not control: cert-manager may be told to control its Secrets, and there can be one controller
/// only.
fn owner_of<K: Resource<DynamicType = ()>>(object: &K) -> Option<Value> {
    let owner = object.owner_ref(&())?;
    Some(json!({
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
    }))
}

async fn adopt_one(client: &Client, orphan: &Orphan) -> Result<(), ApplyError> {
    let Orphan { secret, owners } = orphan;
    let namespace = secret.namespace().unwrap_or_default();
    let name = secret.name_any();
    let patch = Patch::Apply(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        // With the UID, a Secret that was deleted meanwhile is not made anew.
        "metadata": {"name": name, "uid": secret.metadata.uid, "ownerReferences": owners},
    }));
    let api: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let params = PatchParams::apply(names::OPS_MANAGER).force();
    let sent = tokio::time::timeout(REQUEST_TIMEOUT, api.patch_metadata(&name, &params, &patch)).await;
    let place = format!("{namespace}/{name}");
    match sent {
        Ok(Ok(_)) => {
            info!(%namespace, secret = %name, "owns the issued Secret");
            Ok(())
        }
        // It went, or was replaced: the next event shows what stands there now.
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => Ok(()),
        Ok(Err(source)) => Err(ApplyError::Api {
            kind: "Secret".to_owned(),
            name: place,
            source: Box::new(source),
        }),
        Err(_) => Err(ApplyError::Timeout {
            kind: "Secret".to_owned(),
            name: place,
        }),
    }
}
