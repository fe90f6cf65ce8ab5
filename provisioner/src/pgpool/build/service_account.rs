//! The account of the pods: without permissions and without a token, since pgpool uses no API server.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::metadata;
use crate::pgpool::validate::Validated;

/// `None` when the user names an account: that one is used unchanged.
pub(super) fn service_account(validated: &Validated) -> Option<ServiceAccount> {
    (!validated.pod.own_service_account).then(|| ServiceAccount {
        metadata: metadata::owned(validated, &validated.names.service_account),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    })
}
