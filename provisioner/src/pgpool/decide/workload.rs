//! Decides what goes into the pods: the newest certificates, or the current ones while new ones are unverified or have
//! to wait; and which pods may be replaced now. Pure.

use std::time::Duration;

use super::ca_overlap;
use super::config_check::Settings;
use super::handoff::{self, Handoff, HandoffView, PublishedVerdicts, Verifier};
use super::rollout::{self, Leaves, Step};
use super::rotation_gate::{self, Gate, Hold};
use super::tls_copy::{TlsMaterial, leaf, server_ca};
use super::{Situation, client_auth, probe};
use crate::pgpool::observe::{self, CertificateRevision};
use crate::rotation_limiter::Admission;
use k8s_openapi::api::core::v1::Secret;
use shared_types::certificates::EXPORTER_HOST;

/// What pods are made of, and which of them may be replaced.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// `None` without TLS.
    pub(crate) certificates: Option<CertificateRevision>,
    /// The revision of the settings that pods keep; `None` while they follow the spec.
    pub(crate) kept_config_revision: Option<String>,
    /// Whether the exporter runs, where one is asked for: its certificate may come with the next TLS copy only.
    pub(crate) exporter: bool,
    /// Whether there is a CA to verify the server certificate with.
    pub(crate) server_ca: bool,
    /// Whether the certificates that pods mount are valid for the exporter, which connects to `localhost`.
    pub(crate) names_exporter_host: bool,
    /// How far the pods may go now.
    pub(crate) step: Step,
}

/// How far the certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CertificateState {
    /// No certificates are needed.
    NotNeeded,
    /// The newest certificates are verified.
    Verified(Verifier),
    /// ops-manager is given this much more time to verify them.
    AwaitingVerdict { left: Duration },
    /// They cannot be used.
    Held {
        message: String,
        retry_after: Option<Duration>,
    },
}

impl CertificateState {
    /// When the certificates have to be looked at again.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotNeeded | Self::Verified(_) => None,
            Self::AwaitingVerdict { left } => Some(*left),
            Self::Held { retry_after, .. } => *retry_after,
        }
    }
}

/// What pods mount and run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mounted {
    pub(super) certificates: Option<CertificateRevision>,
    pub(super) exporter: bool,
    pub(super) server_ca: bool,
    pub(super) names_exporter_host: bool,
}

/// The certificates of pods, without the settings.
pub(super) struct Pods<'a> {
    pub(super) state: CertificateState,
    /// `None` while nothing may run yet.
    pub(super) mounted: Option<Mounted>,
    /// What is copied, where pods get the newest certificates.
    pub(super) material: Option<TlsMaterial<'a>>,
    pub(super) hold: Option<Hold>,
    pub(super) is_queued: bool,
    pub(super) retry_after: Option<Duration>,
}

impl Pods<'_> {
    fn new(state: CertificateState, mounted: Option<Mounted>) -> Self {
        Self {
            state,
            mounted,
            material: None,
            hold: None,
            is_queued: false,
            retry_after: None,
        }
    }
}

/// Decides about the certificates of pods.
pub(super) fn pods<'a>(situation: &Situation<'a>) -> Pods<'a> {
    if !situation.validated.serves_tls() {
        let mounted = Mounted {
            certificates: None,
            exporter: true,
            server_ca: false,
            names_exporter_host: true,
        };
        return Pods::new(CertificateState::NotNeeded, Some(mounted));
    }
    if let Some(message) = client_auth::refusal(situation) {
        let state = CertificateState::Held {
            message,
            retry_after: None,
        };
        return Pods::new(state, None);
    }
    let certificates = &situation.observed.certificates;
    match (handoff(situation), TlsMaterial::of(certificates)) {
        (Handoff::Use { verifier, .. }, Some(material)) => match backend_without_ca(situation, &material) {
            Some(message) => Pods::new(refused(&message, None, situation), running(situation)),
            None => newest(situation, verifier, material),
        },
        (handoff, _) => {
            // Pods keep their rules until there are certificates to log in with.
            let running = running(situation).filter(|_| !client_auth::is_switching(situation));
            Pods::new(held(handoff, situation), running)
        }
    }
}

/// Why pgpool could not verify PostgreSQL: the only CA for that is the one of the server certificate, and there is none.
fn backend_without_ca(situation: &Situation<'_>, material: &TlsMaterial<'_>) -> Option<String> {
    let backend = &situation.validated.backend;
    let lacks_ca = backend.verify && backend.ca.is_empty() && material.ca.trim_ascii().is_empty();
    lacks_ca.then(|| {
        format!(
            "AppBinding `{}` requires verification of PostgreSQL's certificate but has no CA certificate, and the issuer of \
             the server certificate publishes none that could be used instead: set its `spec.clientConfig.caBundle`",
            situation.pgpool.spec.postgres_ref.name
        )
    })
}

fn handoff(situation: &Situation<'_>) -> Handoff {
    let Situation { pgpool, observed, .. } = situation;
    let channel = observed.verdict.as_ref().map(|verdict| PublishedVerdicts {
        generation: Some(verdict.generation),
        certificates: &verdict.certificates,
    });
    let published = observe::published(pgpool);
    let handoff = handoff::decide(&HandoffView {
        generation: pgpool.metadata.generation,
        certificates: &observed.certificates,
        channel: channel.unwrap_or_default(),
        status: PublishedVerdicts {
            generation: observe::published_for(pgpool),
            certificates: &published,
        },
        complete_for: observed.complete_for,
        grace: situation.policy.handoff_grace,
    });
    handoff::verify(handoff, &observed.certificates, situation.now)
}

/// The newest certificates with all additional trusted CAs, or the current ones of the pods while the newest have to
/// wait.
fn newest<'a>(situation: &Situation<'a>, verifier: Verifier, mut material: TlsMaterial<'a>) -> Pods<'a> {
    let Situation {
        pgpool,
        validated,
        observed,
        policy,
        now,
    } = *situation;
    let present = ca_overlap::client_cas(validated, &material);
    if !client_auth::is_switching(situation) {
        material.former_cas = ca_overlap::former_cas(pgpool, observed, &present, &validated.backend.ca, now);
    }
    let retry_after = ca_overlap::due(pgpool, observed, &material.former_cas, now);
    let tls_copy = policy.preview.tls_copy(validated, &material);
    let revision = CertificateRevision::of_copy(&tls_copy);
    let (gate, hold, admission) = rotation_gate::gate(situation, &revision);
    let mut pods = Pods::new(CertificateState::Verified(verifier), None);
    match gate {
        Gate::Open => {
            pods.mounted = Some(Mounted {
                certificates: Some(revision),
                exporter: true,
                server_ca: server_ca(&tls_copy).is_some(),
                names_exporter_host: names_exporter_host(&tls_copy),
            });
            pods.material = Some(material);
        }
        Gate::Closed => pods.mounted = running(situation),
    }
    Pods {
        hold,
        is_queued: matches!(admission, Some(Admission::Queued { .. })),
        retry_after,
        ..pods
    }
}

/// The certificates that pods have: everything else about them may still change.
fn running(situation: &Situation<'_>) -> Option<Mounted> {
    let Situation {
        validated,
        observed,
        policy,
        ..
    } = situation;
    let revision = CertificateRevision::of_workload(observed.live.stateful_set.as_deref()?)?;
    let copy = observed.live.tls_copies.get(&revision)?;
    if !policy.preview.is_complete(copy) {
        return None;
    }
    Some(Mounted {
        exporter: policy.preview.serves_exporter(validated, copy),
        server_ca: server_ca(copy).is_some(),
        names_exporter_host: names_exporter_host(copy),
        certificates: Some(revision),
    })
}

/// A certificate that cannot be parsed is not mounted for long.
fn names_exporter_host(copy: &Secret) -> bool {
    leaf(copy).is_none_or(|leaf| leaf.covers(EXPORTER_HOST))
}

fn held(handoff: Handoff, situation: &Situation<'_>) -> CertificateState {
    let (message, retry_after) = match handoff {
        Handoff::Wait { message } => (message, None),
        Handoff::AwaitVerdict { left } => return CertificateState::AwaitingVerdict { left },
        Handoff::Keep { message, retry_after } => (message, retry_after),
        // Excluded by `handoff::verify` and by the material that is missing.
        Handoff::VerifyLocally | Handoff::Use { .. } => {
            ("A certificate Secret is not complete".to_owned(), None)
        }
    };
    refused(&message, retry_after, situation)
}

fn refused(message: &str, retry_after: Option<Duration>, situation: &Situation<'_>) -> CertificateState {
    let runs = situation.observed.live.stateful_set.is_some();
    let consequence = if runs {
        "; running pods keep their certificates"
    } else {
        ""
    };
    CertificateState::Held {
        message: format!("{message}{consequence}"),
        retry_after,
    }
}

/// What pods are made of, and which of them may be replaced. Before pgpool has accepted new settings no pod gets them: pods
/// keep those that they have.
pub(super) fn workload(situation: &Situation<'_>, pods: &Pods<'_>, settings: &Settings) -> Option<Workload> {
    let kept_config_revision = match settings {
        Settings::Use { .. } => None,
        Settings::Keep { revision, .. } => Some(revision.clone()),
        Settings::Wait { .. } => return None,
    };
    let Mounted {
        certificates,
        exporter,
        server_ca,
        names_exporter_host,
    } = pods.mounted.clone()?;
    let mut workload = Workload {
        certificates,
        kept_config_revision,
        exporter,
        server_ca,
        names_exporter_host,
        step: Step::default(),
    };
    let live = &situation.observed.live;
    workload.step = rollout::next_pod(&rollout::View {
        desired: &situation
            .policy
            .preview
            .stateful_set(situation.validated, &workload),
        live: live.stateful_set.as_deref(),
        budget: live.pod_disruption_budget.as_deref(),
        pods: &situation.observed.pods,
        pod_health: &situation.observed.pod_health,
        certificate_delivery: situation.validated.release.certificate_delivery(),
        leaves: &Leaves::of(&live.tls_copies),
        probing: probe::can_probe(situation),
        now: situation.now,
    });
    Some(workload)
}
