//! `ReconfigureTLS`: certificates are added, changed, renewed or removed.

use jiff::Timestamp;
use shared_types::conditions::{OpsCondition, OpsReason};
use shared_types::explanation::Explanation;
use shared_types::ops_request::ReconfigureTls as Tls;
use shared_types::pgpool::TlsConfig;
use shared_types::{ClientAuthMode, Pgpool, PgpoolOpsRequest, PgpoolSpec, SslMode};

use super::{Goal, Operation, Step, Task, edit, wait_for};
use crate::certificates::decide::breaker;
use crate::ops_requests::observe::Referenced;

pub(super) struct ReconfigureTls;

impl Operation for ReconfigureTls {
    fn steps(&self, request: &PgpoolOpsRequest) -> Vec<Step> {
        let tls = tls(request);
        let renew = Step {
            condition: OpsCondition::IssueCertificates,
            task: Task::Renew,
        };
        let synced = |goal| wait_for(goal, OpsCondition::CertificateSynced);
        let restarted = |goal| wait_for(goal, OpsCondition::RestartPods);
        let served = restarted(Goal::CertificatesServed);
        if tls.remove == Some(true) {
            return vec![edit(), restarted(Goal::Ready)];
        }
        match (rotates(&tls), changes(&tls)) {
            (true, false) => vec![renew, synced(Goal::CertificatesReplaced), served],
            // The change first: a certificate that is issued because of it is not requested again.
            (true, true) => vec![edit(), synced(Goal::CertificatesMatch), renew, served],
            (false, _) => vec![edit(), synced(Goal::CertificatesReplaced), served],
        }
    }

    fn change(&self, request: &PgpoolOpsRequest, _start: Timestamp, spec: &mut PgpoolSpec) {
        let tls = tls(request);
        if tls.remove == Some(true) {
            spec.tls = None;
            // The rest of the TLS settings would be rejected without certificates.
            spec.ssl_mode = spec.ssl_mode.map(|_| SslMode::Disable);
            if spec.client_auth_mode() == ClientAuthMode::Cert {
                spec.client_auth_mode = Some(ClientAuthMode::Md5);
            }
        } else if tls.issuer_ref.is_some() || tls.names.is_some() || !tls.certificates.is_empty() {
            if spec.tls.is_none() && spec.ssl_mode == Some(SslMode::Disable) {
                // Certificates are added to be used: back to the default.
                spec.ssl_mode = None;
            }
            merge(spec.tls.get_or_insert_default(), &tls);
        }
        spec.ssl_mode = tls.ssl_mode.or(spec.ssl_mode);
        spec.client_auth_mode = tls.client_auth_mode.or(spec.client_auth_mode);
    }

    fn reject(
        &self,
        request: &PgpoolOpsRequest,
        pgpool: &Pgpool,
        _referenced: &Referenced,
    ) -> Option<Explanation<OpsReason>> {
        let tls = request.spec.tls.as_ref()?;
        if !rotates(tls) {
            return None;
        }
        let name = &request.spec.database_ref.name;
        if let Some(alias) = breaker::open_circuit(pgpool) {
            let message = format!(
                "The {alias} certificate of Pgpool {name} changed so often that it is no longer requested: fix what its \
                 condition CertificatesReady names, then create another request"
            );
            return Some(Explanation::new(OpsReason::CircuitOpen, message));
        }
        let adds_none = tls.issuer_ref.is_none() && tls.ssl_mode.is_none();
        let has_some = pgpool.spec.tls.is_some() && pgpool.spec.ssl_mode().enabled();
        if adds_none && !has_some {
            let message = format!(
                "Pgpool {name} does not use TLS and has no certificates to rotate: set spec.tls.issuerRef"
            );
            return Some(Explanation::new(OpsReason::NoCertificates, message));
        }
        None
    }

    fn replaces_certificates(&self, request: &PgpoolOpsRequest) -> bool {
        rotates(&tls(request))
    }
}

fn tls(request: &PgpoolOpsRequest) -> Tls {
    request.spec.tls.clone().unwrap_or_default()
}

fn rotates(tls: &Tls) -> bool {
    tls.rotate_certificates == Some(true)
}

fn changes(tls: &Tls) -> bool {
    tls.issuer_ref.is_some()
        || tls.names.is_some()
        || !tls.certificates.is_empty()
        || tls.ssl_mode.is_some()
        || tls.client_auth_mode.is_some()
}

fn merge(config: &mut TlsConfig, tls: &Tls) {
    if tls.issuer_ref.is_some() {
        config.issuer_ref.clone_from(&tls.issuer_ref);
    }
    config.names = tls.names.or(config.names);
    for wanted in &tls.certificates {
        match config
            .certificates
            .iter_mut()
            .find(|before| before.alias == wanted.alias)
        {
            Some(before) => *before = wanted.clone(),
            None => config.certificates.push(wanted.clone()),
        }
    }
}
