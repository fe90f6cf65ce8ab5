//! Reads what a request depends on: from the caches where possible, from the API server for the few objects that only a
//! request reads. It decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, ResourceExt};
use md5::{Digest, Md5};
use operator_runtime::decode::Received;
use operator_runtime::{Kind, REQUEST_TIMEOUT};
use shared_types::ops_request::ReplacedCertificate;
use shared_types::policies::{self, PolicyState};
use shared_types::{Alias, Pgpool, PgpoolOpsRequest, PgpoolOpsRequestStatus, PgpoolVersion, names};

use super::competing_request::{CompetingRequest, finished};
use super::error::Error;
use crate::caches::{Caches, mapping};
use crate::cert_manager::Certificate;
use crate::context::Context;

/// The objects that the steps of a request wait for.
#[derive(Clone, Default)]
pub(crate) struct Facts {
    /// Without its pod template.
    pub(crate) pgpool: Option<Arc<Pgpool>>,
    pub(crate) certificates: BTreeMap<Alias, Arc<Certificate>>,
    /// Whether pgpool's password file has the password of the Secret; `None` when it was not read.
    pub(crate) control_port: Option<bool>,
}

impl Facts {
    pub(crate) fn current_certificate(&self, alias: Alias) -> ReplacedCertificate {
        let certificate = self.certificates.get(&alias);
        let status = self.pgpool.iter().filter_map(|pgpool| pgpool.status.as_ref());
        let mut entries = status.flat_map(|status| &status.certificates);
        let entry = entries.find(|entry| entry.alias == alias);
        ReplacedCertificate {
            alias,
            revision: certificate.and_then(|certificate| certificate.revision()),
            fingerprint: entry.and_then(|entry| entry.fingerprint.clone()),
        }
    }
}

/// What a request refers to besides its Pgpool.
#[derive(Clone, Copy, Default)]
pub(crate) struct References<'a> {
    pub(crate) target_version: Option<&'a str>,
    /// The name of a Secret, and the key that it needs.
    pub(crate) secret: Option<(&'a str, &'static str)>,
}

/// The objects that [`References`] name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Referenced {
    /// `None` if it is not in the catalog.
    pub(crate) target_version: Option<PgpoolVersion>,
    /// `None` if it is not in the catalog.
    pub(crate) current_version: Option<PgpoolVersion>,
    pub(crate) secret: Option<ReferencedSecret>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReferencedSecret {
    /// `namespace/name`.
    pub(crate) title: String,
    pub(crate) key: &'static str,
    pub(crate) state: SecretState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretState {
    Absent,
    /// The key is missing or empty.
    WithoutKey,
    Complete,
}

/// Whether the API server checks the rights of authors of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) state: PolicyState,
    /// Since when. `None` if it does not.
    pub(crate) since: Option<Timestamp>,
}

pub(crate) fn rights(context: &Context) -> Rights {
    let policies = &context.caches.policies;
    Rights {
        state: policies.state(policies::REQUEST_RIGHTS),
        since: policies.since(policies::REQUEST_RIGHTS),
    }
}

/// The other requests for the same Pgpool.
pub(crate) fn competing(context: &Context, request: &PgpoolOpsRequest) -> Vec<CompetingRequest> {
    let all = of_same_pgpool(context, request);
    let competing = all.iter().filter(|other| {
        other.metadata.name != request.metadata.name && other.metadata.deletion_timestamp.is_none()
    });
    competing
        .map(|other| CompetingRequest::new(other, &status(context, other)))
        .collect()
}

/// All requests for the Pgpool of a request, itself included, from an index.
pub(crate) fn of_same_pgpool(context: &Context, request: &PgpoolOpsRequest) -> Vec<Arc<PgpoolOpsRequest>> {
    Caches::requests_of(&context.caches.requests, &mapping::pgpool_of(request))
}

/// How many requests for the same Pgpool have finished after this one.
pub(crate) fn finished_later(context: &Context, request: &PgpoolOpsRequest) -> usize {
    let mine = finished(request);
    let all = of_same_pgpool(context, request);
    all.iter().filter(|other| finished(other) > mine).count()
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

/// Reads what a request refers to besides its Pgpool.
///
/// # Errors
/// When the API server does not answer.
pub(crate) async fn referenced(
    client: &Client,
    request: &PgpoolOpsRequest,
    pgpool: &Pgpool,
    references: References<'_>,
) -> Result<Referenced, Error> {
    let mut referenced = Referenced::default();
    if let Some(target) = references.target_version {
        let api: Api<Received<PgpoolVersion>> = Api::all(client.clone());
        referenced.target_version = read(&api, target).await?;
        referenced.current_version = read(&api, &pgpool.spec.version).await?;
    }
    if let Some((name, key)) = references.secret {
        referenced.secret = Some(read_secret(client, request, name, key).await?);
    }
    Ok(referenced)
}

async fn read_secret(
    client: &Client,
    request: &PgpoolOpsRequest,
    name: &str,
    key: &'static str,
) -> Result<ReferencedSecret, Error> {
    let namespace = request.namespace().unwrap_or_default();
    let api: Api<Received<Secret>> = Api::namespaced(client.clone(), &namespace);
    let state = match read(&api, name).await? {
        None => SecretState::Absent,
        Some(secret) if entry(&secret, key).is_some() => SecretState::Complete,
        Some(_) => SecretState::WithoutKey,
    };
    Ok(ReferencedSecret {
        title: format!("{namespace}/{name}"),
        key,
        state,
    })
}

/// Whether pgpool's password file has the password of the Secret; `None` while one of the two is missing.
///
/// # Errors
/// When the API server does not answer.
pub(crate) async fn control_port(client: &Client, pgpool: Option<&Pgpool>) -> Result<Option<bool>, Error> {
    let Some(pgpool) = pgpool else {
        return Ok(None);
    };
    let api: Api<Received<Secret>> = Api::namespaced(client.clone(), &pgpool.namespace().unwrap_or_default());
    let auth = read(&api, &names::auth_secret(pgpool)).await?;
    let file = read(&api, &names::pcp_secret(pgpool)).await?;
    Ok(auth.zip(file).and_then(|(auth, file)| {
        let password = entry(&auth, "password")?;
        Some(has_password(entry(&file, "pcp.conf")?, password))
    }))
}

/// Whether a line of `pcp.conf`, `user:md5`, has this password.
fn has_password(file: &[u8], password: &[u8]) -> bool {
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

/// A value of a Secret, unless it is empty.
pub(crate) fn entry<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    let value = secret.data.as_ref()?.get(key)?;
    Some(value.0.as_slice()).filter(|value| !value.is_empty())
}

/// Reads one object from the API server.
///
/// # Errors
/// When the API server does not answer, or not with the object or its absence.
pub(crate) async fn read<K>(api: &Api<Received<K>>, name: &str) -> Result<Option<K>, Error>
where
    K: Kind,
{
    if !names::is_possible(name) {
        return Ok(None);
    }
    let what = || format!("{} {name}", K::kind(&()));
    let found = async { api.get_opt(name).await?.map(Received::decoded).transpose() };
    tokio::time::timeout(REQUEST_TIMEOUT, found)
        .await
        .map_err(|_| Error::Timeout { what: what() })?
        .map_err(|source| Error::Observe {
            what: what(),
            source: Box::new(source),
        })
}

#[cfg(test)]
mod tests {
    use super::has_password;

    #[test]
    fn a_line_of_pcp_conf_is_about_one_password() {
        // printf secret | md5sum
        let file = b"# users\npcp:5ebe2294ecd0e0f08eab7690d2a6ee69\n";
        assert!(has_password(file, b"secret"));
        assert!(!has_password(file, b"Secret"));
        assert!(!has_password(b"", b"secret"));
    }
}
