//! The part of a Pgpool's status that ops-manager writes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;
use shared_types::Pgpool;
use shared_types::conditions::{self, ConditionType};
use shared_types::pgpool::CertificateStatus;

/// Empty lists are written as such: without any field the status would be `{}`, which the API server does not take for a
/// status.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct OwnStatus {
    /// `CertificatesReady`, and `ClientIssuerShared` while it holds; nothing without TLS.
    pub(crate) conditions: Vec<Condition>,
    /// One for each certificate.
    pub(crate) certificates: Vec<CertificateStatus>,
}

impl OwnStatus {
    pub(crate) fn of(pgpool: &Pgpool) -> Self {
        let Some(status) = &pgpool.status else {
            return Self::default();
        };
        let ours = [
            ConditionType::CertificatesReady,
            ConditionType::ClientIssuerShared,
        ];
        let ours = ours
            .iter()
            .filter_map(|ty| conditions::find(&status.conditions, *ty));
        Self {
            conditions: ours.cloned().collect(),
            certificates: status.certificates.clone(),
        }
    }

    pub(crate) fn condition(&self, ty: ConditionType) -> Option<&Condition> {
        conditions::find(&self.conditions, ty)
    }
}
