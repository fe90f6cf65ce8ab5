//! Writes everything but the workload, all at once.

use k8s_openapi::api::core::v1::Secret;
use operator_runtime::apply::ApplyError;

use super::Writer;
use crate::pgpool::build::Foundation;
use crate::pgpool::decide::volume_sync::MountedSecrets;
use crate::pgpool::observe::Live;

/// Returns the current state of the Secrets that running pods mount, and the first failure.
pub(super) async fn write(
    writer: Writer<'_>,
    foundation: Foundation,
    live: &Live,
) -> (MountedSecrets, Result<(), ApplyError>) {
    // Without `..`, so that an object that is built but not written is a compile error.
    let Foundation {
        primary_service,
        governing_service,
        stats_service,
        service_account,
        auth_secret,
        config_secret,
        pcp_secret,
        users_secret,
        exporter_secret,
        pod_disruption_budget,
        app_binding,
    } = foundation;
    // All are tried before the first failure counts: one foreign object must not keep the others away.
    let (primary, governing, stats, account, auth, config, pcp, users, exporter, budget, binding) = futures::join!(
        writer.put_some(Some(primary_service), live.primary_service.as_deref()),
        writer.put_some(Some(governing_service), live.governing_service.as_deref()),
        writer.put_some(stats_service, live.stats_service.as_deref()),
        writer.put_some(service_account, live.service_account.as_deref()),
        writer.put_some(auth_secret, live.auth_secret.as_deref()),
        writer.put_some(config_secret, live.config_secret.as_deref()),
        writer.put_some(Some(pcp_secret), live.pcp_secret.as_deref()),
        writer.put_some(Some(users_secret), live.users_secret.as_deref()),
        writer.put_some(exporter_secret, live.exporter_secret.as_deref()),
        writer.put_some(Some(pod_disruption_budget), live.pod_disruption_budget.as_deref()),
        writer.put_some(Some(app_binding), live.app_binding.as_deref()),
    );
    let mut failures = Vec::new();
    let written_config: Option<Secret> = written(config, &mut failures);
    let mounted = MountedSecrets {
        config: written_config.or_else(|| live.config_secret.as_deref().cloned()),
        pcp: written(pcp, &mut failures),
        users: written(users, &mut failures),
    };
    written(primary, &mut failures);
    written(governing, &mut failures);
    written(stats, &mut failures);
    written(exporter, &mut failures);
    written(account, &mut failures);
    written(auth, &mut failures);
    written(budget, &mut failures);
    written(binding, &mut failures);
    // Report a conflict first, since the user must resolve it; other failures are retried anyway.
    failures.sort_by_key(|failure| !matches!(failure, ApplyError::NameConflict { .. }));
    (mounted, failures.into_iter().next().map_or(Ok(()), Err))
}

/// The object as it is now; a failure is added to the others.
fn written<K>(result: Result<Option<K>, ApplyError>, failures: &mut Vec<ApplyError>) -> Option<K> {
    result.unwrap_or_else(|failure| {
        failures.push(failure);
        None
    })
}
