//! Carries out one step: the only place where anything but the status of a request is written.
//!
//! Each write is bound to the version of the object that it was computed from, so that nobody's edit is lost, and leaves its
//! trace in the object, so that it is found done by whoever comes after a kill.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use operator_runtime::REQUEST_TIMEOUT;
use rand::RngExt;
use rand::distr::Alphanumeric;
use serde_json::{Value, json};
use shared_types::conditions::OpsReason;
use shared_types::{Pgpool, PgpoolOpsRequest, PgpoolOpsRequestStatus, names};
use tracing::info;

use super::error::Error;
use super::plan::{self, Facts, Step, Task};
use super::{difference, observe, report};
use crate::cert_manager::renew::{Renewal, renew};
use crate::context::Context;

/// When to look again at what was about to change.
pub(crate) const SOON: Duration = Duration::from_secs(1);

/// Others write to a Pgpool too: so often is a change computed anew at once.
const ATTEMPTS: usize = 3;

/// What became of a step.
#[derive(Debug)]
pub(crate) enum Effect {
    /// It is done.
    Done {
        /// The generation of the Pgpool that has the change, if it was changed.
        generation: Option<i64>,
        /// A sentence about it.
        message: String,
    },
    /// It is not allowed or not possible.
    Refused {
        /// One word why.
        reason: OpsReason,
        /// A sentence why, and what helps.
        message: String,
    },
    /// Something has to be seen first.
    Later {
        /// What it waits for.
        message: String,
    },
}

/// Carries out a step.
///
/// # Errors
/// When the API server cannot be talked to: nothing is known of the step then, and it has to be looked at again.
pub(crate) async fn carry_out(
    request: &PgpoolOpsRequest,
    step: &Step,
    facts: &Facts,
    status: &PgpoolOpsRequestStatus,
    context: &Context,
    now: Timestamp,
) -> Result<Effect, Error> {
    match step.task {
        Task::Edit => {
            let begin = report::begin(request, status).unwrap_or(now);
            edit(request, begin, facts, context).await
        }
        Task::NewPassword => new_password(request, facts, context, now).await,
        Task::Reissue => reissue_all(request, facts, status, context, now).await,
        // Nothing to do.
        Task::Await(_) => Ok(Effect::Later {
            message: String::new(),
        }),
    }
}

async fn edit(
    request: &PgpoolOpsRequest,
    begin: Timestamp,
    facts: &Facts,
    context: &Context,
) -> Result<Effect, Error> {
    let namespace = request.namespace().unwrap_or_default();
    let name = &request.spec.database_ref.name;
    let what = format!("Pgpool {namespace}/{name}");
    let api: Api<Pgpool> = Api::namespaced(context.client.clone(), &namespace);
    let params = params();
    let mut conflict = None;
    for _ in 0..ATTEMPTS {
        // The cache has no pod template, and may be late.
        let Some(live) = observe::read(&api, name).await? else {
            return Ok(gone(name));
        };
        let Some(change) = changed(request, begin, &live).map_err(|source| Error::Serialize {
            what: what.clone(),
            source,
        })?
        else {
            return Ok(edited(request, &live));
        };
        let fields = fields(&change);
        let patch = Patch::Merge(json!({
            "metadata": {"resourceVersion": live.resource_version(), "uid": live.uid()},
            "spec": change,
        }));
        match answered(&what, api.patch(name, &params, &patch)).await {
            Ok(written) => {
                let generation = written.metadata.generation;
                info!(%namespace, %name, ?generation, "operation: changed {fields}");
                let key = ObjectRef::from_obj(request);
                let done = edited(request, &written);
                context.pending.object(&key, written, facts.pgpool.as_deref());
                return Ok(done);
            }
            Err(error) => match refusal(&error) {
                Some(404) => return Ok(gone(name)),
                Some(409) => conflict = Some(error),
                Some(_) => {
                    return Ok(Effect::Refused {
                        reason: OpsReason::ChangeRejected,
                        message: format!("The API server does not take the change: {error}"),
                    });
                }
                None => return Err(error),
            },
        }
    }
    Err(conflict.unwrap_or(Error::Timeout { what }))
}

/// The same whether it was written now or is found written, since whoever looks again must not say anything else.
fn edited(request: &PgpoolOpsRequest, pgpool: &Pgpool) -> Effect {
    Effect::Done {
        generation: pgpool.metadata.generation,
        message: format!(
            "The spec of Pgpool {} says what is asked for{}",
            pgpool.name_any(),
            plan::remark(request)
        ),
    }
}

/// What has to be sent so that the Pgpool says what is asked for.
fn changed(
    request: &PgpoolOpsRequest,
    begin: Timestamp,
    live: &Pgpool,
) -> Result<Option<Value>, serde_json::Error> {
    let mut spec = live.spec.clone();
    plan::change(request, begin, &mut spec);
    let (before, after) = (serde_json::to_value(&live.spec)?, serde_json::to_value(&spec)?);
    Ok(difference::difference(&before, &after))
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
    Effect::Refused {
        reason: OpsReason::PgpoolNotFound,
        message: format!("Pgpool {name} is gone"),
    }
}

/// The Secret is the provisioner's, which keeps any password that it finds there. The mark tells that the password of
/// this request is in it.
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
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &namespace);
    let Some(secret) = observe::read(&api, &name).await? else {
        return Ok(Effect::Refused {
            reason: OpsReason::SecretNotFound,
            message: format!("{what} with the credentials of the PCP user does not exist"),
        });
    };
    let done = || Effect::Done {
        generation: None,
        message: format!("{what} holds a new password, and the one before under password.prev"),
    };
    let mark = request.uid().unwrap_or_default();
    if secret.annotations().get(names::ANNOTATION_ROTATED_BY) == Some(&mark) {
        return Ok(done());
    }
    let patch = Patch::Merge(rotation(&secret, &mark, now));
    match answered(&what, api.patch(&name, &params(), &patch)).await {
        Ok(_) => {
            info!(%namespace, %name, "operation: made a new password");
            Ok(done())
        }
        Err(error) => match refusal(&error) {
            // It is read anew.
            Some(404 | 409) => Ok(Effect::Later {
                message: format!("{what} changes at this moment"),
            }),
            Some(_) => Ok(Effect::Refused {
                reason: OpsReason::ChangeRejected,
                message: format!("The API server does not take the password: {error}"),
            }),
            None => Err(error),
        },
    }
}

fn rotation(secret: &Secret, mark: &str, now: Timestamp) -> Value {
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
                names::ANNOTATION_ROTATED_BY: mark,
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

/// Each certificate once: not those that were issued since the request began, nor those that are being issued.
async fn reissue_all(
    request: &PgpoolOpsRequest,
    facts: &Facts,
    status: &PgpoolOpsRequestStatus,
    context: &Context,
    now: Timestamp,
) -> Result<Effect, Error> {
    let why = format!("PgpoolOpsRequest {} asks for it", request.name_any());
    for replaced in &status.replaced_certificates {
        let Some(certificate) = facts.certificates.get(&replaced.alias) else {
            return Ok(Effect::Later {
                message: format!("Waits for the Certificate {}", replaced.alias),
            });
        };
        if plan::is_replaced(replaced, certificate) {
            continue;
        }
        match renew(&context.client, certificate, &why, now)
            .await
            .map_err(Error::Reissue)?
        {
            Renewal::Requested(certificate_now) => {
                let key = ObjectRef::from_obj(request);
                context
                    .pending
                    .object(&key, *certificate_now, Some(certificate.as_ref()));
            }
            Renewal::InProgress => {}
            Renewal::Stale => {
                return Ok(Effect::Later {
                    message: format!("The Certificate {} changes at this moment", replaced.alias),
                });
            }
        }
    }
    Ok(Effect::Done {
        generation: None,
        message: "cert-manager was asked for every certificate anew, with new keys".to_owned(),
    })
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

/// The status by which the API server refuses a write for what it is: another try would not differ. 404 and 409 are for the
/// caller to understand.
fn refusal(error: &Error) -> Option<u16> {
    let Error::Apply { source, .. } = error else {
        return None;
    };
    match source.as_ref() {
        kube::Error::Api(status) if matches!(status.code, 400 | 403 | 404 | 409 | 422) => Some(status.code),
        _ => None,
    }
}
