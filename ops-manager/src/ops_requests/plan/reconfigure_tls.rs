//! `ReconfigureTLS`: certificates are added, changed, issued anew or removed.

use shared_types::conditions::OpsCondition;
use shared_types::ops_request::{ReconfigureTls, ReplacedCertificate};
use shared_types::pgpool::TlsConfig;
use shared_types::{Alias, ClientAuthMode, Pgpool, PgpoolOpsRequest, PgpoolSpec, SslMode};

use super::{Facts, Goal, Step, Task, edit, until};
use crate::cert_manager::{Certificate, Condition};

fn asked(request: &PgpoolOpsRequest) -> ReconfigureTls {
    request.spec.tls.clone().unwrap_or_default()
}

/// Whether certificates are issued anew without any change of what they say.
pub(super) fn rotates(request: &PgpoolOpsRequest) -> bool {
    asked(request).rotate_certificates == Some(true)
}

fn changes(tls: &ReconfigureTls) -> bool {
    tls.issuer_ref.is_some()
        || !tls.certificates.is_empty()
        || tls.ssl_mode.is_some()
        || tls.client_auth_mode.is_some()
}

pub(super) fn steps(request: &PgpoolOpsRequest) -> Vec<Step> {
    let tls = asked(request);
    let reissue = Step {
        milestone: OpsCondition::IssueCertificates,
        task: Task::Reissue,
    };
    let synced = |goal| until(goal, OpsCondition::CertificateSynced);
    let restarted = |goal| until(goal, OpsCondition::RestartPods);
    if tls.remove == Some(true) {
        return vec![edit(), restarted(Goal::Ready)];
    }
    match (rotates(request), changes(&tls)) {
        (true, false) => vec![reissue, synced(Goal::Issued), restarted(Goal::Served)],
        // The change first: a certificate that is issued because of it is not asked for once more.
        (true, true) => vec![edit(), synced(Goal::Fits), reissue, restarted(Goal::Served)],
        (false, _) => vec![edit(), synced(Goal::Issued), restarted(Goal::Served)],
    }
}

pub(super) fn change(request: &PgpoolOpsRequest, spec: &mut PgpoolSpec) {
    let tls = asked(request);
    if tls.remove == Some(true) {
        spec.tls = None;
        // What is left of TLS would be refused without certificates.
        spec.ssl_mode = spec.ssl_mode.map(|_| SslMode::Disable);
        if spec.client_auth_mode() == ClientAuthMode::Cert {
            spec.client_auth_mode = Some(ClientAuthMode::Md5);
        }
    } else if tls.issuer_ref.is_some() || !tls.certificates.is_empty() {
        if spec.tls.is_none() && spec.ssl_mode == Some(SslMode::Disable) {
            // Whoever adds certificates wants them used, as by default.
            spec.ssl_mode = None;
        }
        merge(spec.tls.get_or_insert_default(), &tls);
    }
    spec.ssl_mode = tls.ssl_mode.or(spec.ssl_mode);
    spec.client_auth_mode = tls.client_auth_mode.or(spec.client_auth_mode);
}

fn merge(config: &mut TlsConfig, asked: &ReconfigureTls) {
    if asked.issuer_ref.is_some() {
        config.issuer_ref.clone_from(&asked.issuer_ref);
    }
    for wanted in &asked.certificates {
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

/// A certificate as it stands.
pub(super) fn standing(alias: Alias, facts: &Facts) -> ReplacedCertificate {
    let certificate = facts.certificates.get(&alias);
    let told = facts
        .pgpool
        .iter()
        .flat_map(|pgpool| pgpool.status.iter().flat_map(|status| &status.certificates));
    ReplacedCertificate {
        alias,
        revision: certificate.and_then(|certificate| revision(certificate)),
        fingerprint: told
            .filter(|entry| entry.alias == alias)
            .find_map(|entry| entry.fingerprint.clone()),
    }
}

fn revision(certificate: &Certificate) -> Option<i64> {
    certificate.status.as_ref()?.revision
}

/// Whether a certificate was issued since it stood as noted.
pub(super) fn is_newer(replaced: &ReplacedCertificate, certificate: &Certificate) -> bool {
    revision(certificate) > replaced.revision
}

/// What keeps a Certificate from being what the spec of its Pgpool asks for.
pub(super) fn unlike_the_spec(pgpool: &Pgpool, alias: Alias, certificate: &Certificate) -> Option<String> {
    let wanted = pgpool.spec.issuer_ref(alias)?;
    let asked = &certificate.spec.issuer_ref;
    if (&asked.kind, &asked.name) != (&wanted.kind, &wanted.name) {
        return Some(format!(
            "The certificate {alias} is still one of {} {}, and not of {} {}",
            asked.kind, asked.name, wanted.kind, wanted.name
        ));
    }
    let ready = certificate.condition("Ready");
    let current = ready.is_some_and(|ready| {
        ready.is_true()
            && ready
                .observed_generation
                .is_none_or(|seen| Some(seen) == certificate.metadata.generation)
    });
    (!current).then(|| {
        let words = ready.map(Condition::message_or_reason).unwrap_or_default();
        format!("cert-manager is at work on the certificate {alias}: {words}")
    })
}
