//! Carries out one step: the only place that writes anything but the status of a request.
//!
//! Each write is bound to the version of the object that it was computed from, so no edit is lost, and can be recognized in
//! the object, so a restarted process finds it done.

mod delete;
pub(crate) mod merge_patch;

pub(crate) use delete::delete;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use operator_runtime::Claim;
use operator_runtime::REQUEST_TIMEOUT;
use operator_runtime::decode::Received;
use rand::RngExt;
use rand::distr::Alphanumeric;
use serde_json::{Value, json};
use shared_types::conditions::OpsReason;
use shared_types::explanation::Explanation;
use shared_types::{Pgpool, PgpoolOpsRequest, PgpoolOpsRequestStatus, names, owned_names};
use tracing::info;

use super::error::Error;
use super::observe::{self, Facts};
use super::operations::{Step, Task, operation};
use super::resolution::Resolution;
use super::{decide, status};
use crate::cert_manager::renew::{Renewal, renew};
use crate::context::Context;

/// Pause before an object that was being changed is read again.
const SOON: Duration = Duration::from_secs(1);

/// How often a change is computed again at once, since others write to a Pgpool too.
const ATTEMPTS: usize = 3;

/// A step that was carried out.
#[derive(Debug)]
pub(crate) struct Done {
    /// Of the Pgpool, if it was changed.
    pub(crate) generation: Option<i64>,
    pub(crate) message: String,
}

/// `Err` if the step cannot be done, or not yet.
type Effect = Result<Done, Resolution>;

/// Carries out a step.
///
/// # Errors
/// When the API server cannot be reached: then it is not known whether the step was done.
pub(crate) async fn apply(
    request: &PgpoolOpsRequest,
    step: &Step,
    facts: &Facts,
    status: &PgpoolOpsRequestStatus,
    context: &Context,
    now: Timestamp,
) -> Result<Effect, Error> {
    match step.task {
        Task::Edit => {
            let start = status::start_time(request, status).unwrap_or(now);
            edit(request, start, facts, context).await
        }
        Task::NewPassword => new_password(request, facts, context, now).await,
        Task::Renew => renew_all(request, facts, status, context, now).await,
        // Nothing to write.
        Task::Await(_) => Ok(later("Waiting")),
    }
}

async fn edit(
    request: &PgpoolOpsRequest,
    start: Timestamp,
    facts: &Facts,
    context: &Context,
) -> Result<Effect, Error> {
    let namespace = request.namespace().unwrap_or_default();
    let name = &request.spec.database_ref.name;
    let what = format!("Pgpool {namespace}/{name}");
    let api: Api<Received<Pgpool>> = Api::namespaced(context.client.clone(), &namespace);
    let params = params();
    let mut conflict = None;
    for _ in 0..ATTEMPTS {
        // The cache has no pod template, and may be late.
        let Some(live) = observe::read(&api, name).await? else {
            return Ok(gone(name));
        };
        let Some(change) = changed(request, start, &live).map_err(|source| Error::Serialize {
            what: what.clone(),
            source,
        })?
        else {
            return Ok(Ok(edited(request, &live)));
        };
        let fields = fields(&change);
        let patch = Patch::Merge(json!({
            "metadata": {"resourceVersion": live.resource_version(), "uid": live.uid()},
            "spec": change,
        }));
        let sent = async { api.patch(name, &params, &patch).await?.decoded() };
        match answered(&what, sent).await {
            Ok(written) => {
                let generation = written.metadata.generation;
                info!(%namespace, %name, ?generation, "operation: changed {fields}");
                let key = ObjectRef::from_obj(request);
                let done = edited(request, &written);
                context.pending.object(&key, written, facts.pgpool.as_deref());
                return Ok(Ok(done));
            }
            Err(error) => match rejection(&error) {
                Some(404) => return Ok(gone(name)),
                Some(409) => conflict = Some(error),
                Some(_) => {
                    let message = format!("The API server rejects the change: {error}");
                    return Ok(Err(Resolution::failed(OpsReason::ChangeRejected, message)));
                }
                None => return Err(error),
            },
        }
    }
    Err(conflict.unwrap_or(Error::Timeout { what }))
}

/// The same whether it was written now or is found written: a repeated pass must report the same.
fn edited(request: &PgpoolOpsRequest, pgpool: &Pgpool) -> Done {
    Done {
        generation: pgpool.metadata.generation,
        message: format!(
            "The spec of Pgpool {} has the change{}",
            pgpool.name_any(),
            operation(request).remark(request)
        ),
    }
}

/// What to send so that the spec of the Pgpool has the change; `None` when it has it.
fn changed(
    request: &PgpoolOpsRequest,
    start: Timestamp,
    live: &Pgpool,
) -> Result<Option<Value>, serde_json::Error> {
    let mut spec = live.spec.clone();
    operation(request).change(request, start, &mut spec);
    let (before, after) = (serde_json::to_value(&live.spec)?, serde_json::to_value(&spec)?);
    Ok(merge_patch::difference(&before, &after))
}

/// The fields that a patch changes, for people.
fn fields(change: &Value) -> String {
    let names: Vec<_> = change
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::keys)
        .map(|field| format!("spec.{field}"))
        .collect();
    names.join(", ")
}

fn gone(name: &str) -> Effect {
    let message = format!("Pgpool {name} no longer exists");
    Err(Resolution::failed(OpsReason::PgpoolNotFound, message))
}

fn later(message: impl Into<String>) -> Effect {
    let explanation = Explanation::new(OpsReason::Progressing, message);
    Err(Resolution::Waiting(explanation.after(SOON)))
}

/// The Secret belongs to the provisioner, which keeps any password that it finds there. An annotation shows that it has the
/// password of this request.
async fn new_password(
    request: &PgpoolOpsRequest,
    facts: &Facts,
    context: &Context,
    now: Timestamp,
) -> Result<Effect, Error> {
    let Some(pgpool) = &facts.pgpool else {
        return Ok(gone(&request.spec.database_ref.name));
    };
    let name = names::auth_secret(pgpool);
    let namespace = request.namespace().unwrap_or_default();
    let what = format!("Secret {namespace}/{name}");
    let api: Api<Received<Secret>> = Api::namespaced(context.client.clone(), &namespace);
    let Some(secret) = observe::read(&api, &name).await? else {
        let message = format!("{what}, which contains the credentials of the PCP user, does not exist");
        return Ok(Err(Resolution::failed(OpsReason::SecretNotFound, message)));
    };
    if let Some(refusal) = refusal_of_auth_secret(pgpool, &secret) {
        return Ok(Err(Resolution::failed(
            OpsReason::SecretExternallyManaged,
            refusal,
        )));
    }
    let done = Done {
        generation: None,
        message: format!("{what} has a new password; the previous one is in key password.prev"),
    };
    let uid = request.uid().unwrap_or_default();
    if secret.annotations().get(names::ANNOTATION_ROTATED_BY) == Some(&uid) {
        return Ok(Ok(done));
    }
    let patch = Patch::Merge(new_credentials(&secret, &uid, now));
    match answered(&what, api.patch(&name, &params(), &patch)).await {
        Ok(_) => {
            info!(%namespace, %name, "operation: set a new password");
            Ok(Ok(done))
        }
        Err(error) => match rejection(&error) {
            // It is read again.
            Some(404 | 409) => Ok(later(format!("{what} is being changed by another client"))),
            Some(_) => {
                let message = format!("The API server rejects the password: {error}");
                Ok(Err(Resolution::failed(OpsReason::ChangeRejected, message)))
            }
            None => Err(error),
        },
    }
}

/// Why the Secret of the PCP user is not written: its name is the user's to choose.
fn refusal_of_auth_secret(pgpool: &Pgpool, secret: &Secret) -> Option<String> {
    let name = secret.name_any();
    let role = owned_names::conflict_of_auth_secret(pgpool, &name);
    let holder = role.map(|role| format!("{} of this Pgpool", role.describe()));
    let holder =
        holder.or_else(|| Claim::of(pgpool).other_owner_of_secret(secret, names::AUTH_SECRET_TYPE))?;
    Some(format!(
        "Secret {}/{name} was not generated for Pgpool {} and belongs to {holder}: change its password there, or name another \
         Secret in spec.authentication.secretRef",
        secret.namespace().unwrap_or_default(),
        pgpool.name_any()
    ))
}

fn new_credentials(secret: &Secret, uid: &str, now: Timestamp) -> Value {
    let bytes = |text: &[u8]| ByteString(text.to_vec());
    // 95 bits.
    let password: String = rand::rng()
        .sample_iter(Alphanumeric)
        .take(16)
        .map(char::from)
        .collect();
    let before = |key| observe::entry(secret, key).map(bytes);
    json!({
        "metadata": {
            "resourceVersion": secret.resource_version(),
            "uid": secret.uid(),
            "annotations": {
                names::ANNOTATION_ROTATED_BY: uid,
                names::ANNOTATION_AUTH_ACTIVE_FROM: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            },
        },
        "data": {
            "password": bytes(password.as_bytes()),
            "username.prev": before("username"),
            "password.prev": before("password"),
        },
    })
}

/// Each certificate once: not those that were issued since the request started, nor those that are being issued.
async fn renew_all(
    request: &PgpoolOpsRequest,
    facts: &Facts,
    status: &PgpoolOpsRequestStatus,
    context: &Context,
    now: Timestamp,
) -> Result<Effect, Error> {
    let Some(pgpool) = &facts.pgpool else {
        return Ok(gone(&request.spec.database_ref.name));
    };
    let claim = Claim::of(pgpool);
    let why = format!("PgpoolOpsRequest {} requests it", request.name_any());
    for replaced in &status.replaced_certificates {
        let Some(certificate) = facts.certificates.get(&replaced.alias) else {
            return Ok(later(format!("Waiting for the {} Certificate", replaced.alias)));
        };
        if decide::is_replaced(replaced, certificate) {
            continue;
        }
        match renew(&context.client, (&claim, certificate), &why, now)
            .await
            .map_err(Error::Renew)?
        {
            Renewal::Requested(renewed) => {
                let key = ObjectRef::from_obj(request);
                context.pending.object(&key, *renewed, Some(certificate.as_ref()));
            }
            Renewal::InProgress => {}
            Renewal::Stale => {
                let alias = replaced.alias;
                return Ok(later(format!(
                    "The {alias} Certificate is being changed by another client"
                )));
            }
        }
    }
    Ok(Ok(Done {
        generation: None,
        message: "A new certificate with a new key was requested for every certificate".to_owned(),
    }))
}

fn params() -> PatchParams {
    PatchParams {
        field_manager: Some(names::OPS_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

async fn answered<T>(what: &str, request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
    let what = what.to_owned();
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|source| Error::Apply {
            what,
            source: Box::new(source),
        }),
        Err(_) => Err(Error::Timeout { what }),
    }
}

/// The status code with which the API server rejects a write so that a retry would not help. 404 and 409 are for the caller
/// to interpret.
fn rejection(error: &Error) -> Option<u16> {
    let Error::Apply { source, .. } = error else {
        return None;
    };
    match source.as_ref() {
        kube::Error::Api(status) if matches!(status.code, 400 | 403 | 404 | 409 | 422) => Some(status.code),
        _ => None,
    }
}
