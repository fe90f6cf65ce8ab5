//! Reads what a request is about: from the caches where it can, from the API server for the few things that only a request
//! looks at. It decides nothing.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource, ResourceExt};
use md5::{Digest, Md5};
use operator_runtime::REQUEST_TIMEOUT;
use serde::de::DeserializeOwned;
use shared_types::ops_request::OpsType;
use shared_types::{Alias, Pgpool, PgpoolOpsRequest, PgpoolOpsRequestStatus, PgpoolVersion, names};

use super::error::Error;
use super::plan::Facts;
use super::queue::Rival;
use super::validate::{NamedSecret, Needs, SecretState};
use crate::context::Context;

/// The other requests for the same Pgpool.
pub(crate) fn rivals(context: &Context, request: &PgpoolOpsRequest) -> Vec<Rival> {
    let all = context.caches.requests.list();
    let rivals = all.iter().filter(|other| {
        other.metadata.namespace == request.metadata.namespace
            && other.spec.database_ref.name == request.spec.database_ref.name
            && other.metadata.name != request.metadata.name
            && other.metadata.deletion_timestamp.is_none()
    });
    rivals
        .map(|other| Rival::new(other, &status(context, other)))
        .collect()
}

/// The status of a request as it is in the API server, whether or not the cache shows it yet.
pub(crate) fn status(context: &Context, request: &PgpoolOpsRequest) -> PgpoolOpsRequestStatus {
    let cached = request.status.clone().unwrap_or_default();
    context
        .pending
        .current_part(&ObjectRef::from_obj(request), cached)
}

pub(crate) fn pgpool(context: &Context, request: &PgpoolOpsRequest) -> Option<Arc<Pgpool>> {
    let name = &request.spec.database_ref.name;
    let cached = context
        .caches
        .pgpools
        .get(request.metadata.namespace.as_deref(), name);
    context
        .pending
        .current(&ObjectRef::from_obj(request), name, cached)
}

/// What can be seen of the cluster.
pub(crate) fn facts(context: &Context, request: &PgpoolOpsRequest) -> Facts {
    let Some(pgpool) = pgpool(context, request) else {
        return Facts::default();
    };
    let key = ObjectRef::from_obj(request);
    let certificates = Alias::ALL.iter().filter_map(|alias| {
        let name = names::certificate(&pgpool, *alias);
        let cached = context
            .caches
            .certificates
            .get(request.metadata.namespace.as_deref(), &name);
        Some((*alias, context.pending.current(&key, &name, cached)?))
    });
    Facts {
        certificates: certificates.collect(),
        pgpool: Some(Arc::clone(&pgpool)),
        control_port: None,
    }
}

/// What a request refers to beside its Pgpool, if anything.
///
/// # Errors
/// When the API server does not answer.
pub(crate) async fn needs(
    client: &Client,
    request: &PgpoolOpsRequest,
    pgpool: &Pgpool,
) -> Result<Needs, Error> {
    let spec = &request.spec;
    let mut needs = Needs::default();
    match spec.type_ {
        OpsType::UpdateVersion => {
            let api: Api<PgpoolVersion> = Api::all(client.clone());
            let target = spec
                .update_version
                .as_ref()
                .and_then(|update| update.target_version.as_deref());
            if let Some(target) = target {
                needs.target = read(&api, target).await?;
                needs.current = read(&api, &pgpool.spec.version).await?;
            }
        }
        OpsType::RotateAuth => {
            let secret = spec
                .authentication
                .as_ref()
                .and_then(|asked| asked.secret_ref.as_ref());
            if let Some(secret) = secret {
                needs.secret = Some(named_secret(client, request, &secret.name, "password").await?);
            }
        }
        OpsType::Reconfigure => {
            let secret = spec
                .configuration
                .as_ref()
                .and_then(|asked| asked.config_secret.as_ref());
            if let Some(secret) = secret {
                needs.secret = Some(named_secret(client, request, &secret.name, "pgpool.conf").await?);
            }
        }
        OpsType::Restart
        | OpsType::VerticalScaling
        | OpsType::HorizontalScaling
        | OpsType::ReconfigureTls => {}
    }
    Ok(needs)
}

async fn named_secret(
    client: &Client,
    request: &PgpoolOpsRequest,
    name: &str,
    key: &'static str,
) -> Result<NamedSecret, Error> {
    let namespace = request.namespace().unwrap_or_default();
    let api: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let state = match read(&api, name).await? {
        None => SecretState::Absent,
        Some(secret) if entry(&secret, key).is_some() => SecretState::Fits,
        Some(_) => SecretState::WithoutKey,
    };
    Ok(NamedSecret {
        title: format!("{namespace}/{name}"),
        key,
        state,
    })
}

/// Whether the file by which pgpool knows the PCP user holds the password that the Secret holds; `None` while one of the two
/// is missing.
///
/// # Errors
/// When the API server does not answer.
pub(crate) async fn control_port(client: &Client, pgpool: Option<&Pgpool>) -> Result<Option<bool>, Error> {
    let Some(pgpool) = pgpool else {
        return Ok(None);
    };
    let api: Api<Secret> = Api::namespaced(client.clone(), &pgpool.namespace().unwrap_or_default());
    let auth = read(&api, &names::auth_secret(pgpool)).await?;
    let file = read(&api, &names::pcp_secret(pgpool)).await?;
    Ok(auth.zip(file).and_then(|(auth, file)| {
        let password = entry(&auth, "password")?;
        Some(knows(entry(&file, "pcp.conf")?, password))
    }))
}

/// Whether a line of `pcp.conf`, `user:md5`, is about this password.
fn knows(file: &[u8], password: &[u8]) -> bool {
    use std::fmt::Write as _;
    let mut hash = String::new();
    for byte in Md5::digest(password) {
        let _ = write!(hash, "{byte:02x}");
    }
    let file = String::from_utf8_lossy(file);
    file.lines()
        .filter_map(|line| line.rsplit_once(':'))
        .any(|(_, known)| known.trim() == hash)
}

/// What stands in a Secret; nothing when it is empty.
pub(crate) fn entry<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    let value = secret.data.as_ref()?.get(key)?;
    Some(value.0.as_slice()).filter(|value| !value.is_empty())
}

/// Reads one object from the API server.
///
/// # Errors
/// When the API server does not answer, or not with the object or its absence.
pub(crate) async fn read<K>(api: &Api<K>, name: &str) -> Result<Option<K>, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let what = || format!("{} {name}", K::kind(&()));
    tokio::time::timeout(REQUEST_TIMEOUT, api.get_opt(name))
        .await
        .map_err(|_| Error::Timeout { what: what() })?
        .map_err(|source| Error::Observe {
            what: what(),
            source: Box::new(source),
        })
}

#[cfg(test)]
mod tests {
    use super::knows;

    #[test]
    fn a_line_of_pcp_conf_is_about_one_password() {
        // printf secret | md5sum
        let file = b"# users\npcp:5ebe2294ecd0e0f08eab7690d2a6ee69\n";
        assert!(knows(file, b"secret"));
        assert!(!knows(file, b"Secret"));
        assert!(!knows(b"", b"secret"));
    }
}
