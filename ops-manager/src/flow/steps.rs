//! The ten steps, each derived from the objects that show it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use operator_runtime::Lookup;
use shared_types::conditions::{self, ConditionType, Reason};

use super::{Actor, Progress, View};
use crate::cert_manager::{self, Certificate};
use crate::certificates::observe::{Child, IssuerState, Presence, created};
use crate::certificates::validate::{Refusal, Validated, Wanted};

type Step = (Actor, &'static str, Progress);

/// All ten, in order.
pub(super) fn all(view: &View<'_>) -> [Step; 10] {
    let issuer = view.with_tls(|validated| view.issuers(validated));
    let created = Progress::Done {
        at: created(&view.pgpool.metadata),
        detail: format!("Pgpool {}", view.place("")),
    };
    let foundation = view.foundation();
    let seen = view.with_tls(|validated| seen(validated, [&issuer, &created, &foundation]));
    let issued = view.with_tls(|validated| view.issued(validated));
    let started_issuing = view.with_tls(|validated| view.started_issuing(validated, at(&issued)));
    [
        (Actor::User, "creates the issuer", issuer),
        (Actor::User, "creates the Pgpool", created),
        (
            Actor::Provisioner,
            "starts on the Pgpool",
            view.started(&foundation),
        ),
        (
            Actor::Provisioner,
            "creates Secrets, Services and everything else except the workload",
            foundation,
        ),
        (
            Actor::OpsManager,
            "finds the Pgpool, its issuers, Secrets and Services",
            seen,
        ),
        (
            Actor::OpsManager,
            "requests the certificates",
            view.with_tls(|validated| view.requested(validated)),
        ),
        (
            Actor::CertManager,
            "starts to issue the Certificates",
            started_issuing,
        ),
        (Actor::CertManager, "writes the certificate Secrets", issued),
        (
            Actor::Provisioner,
            "takes the verified certificates",
            view.with_tls(|_| view.taken()),
        ),
        (Actor::Provisioner, "runs pgpool with them", view.served()),
    ]
}

fn at(progress: &Progress) -> Option<Timestamp> {
    match progress {
        Progress::Done { at, .. } => *at,
        _ => None,
    }
}

fn open(waits_for: impl Into<String>) -> Progress {
    Progress::Open {
        waits_for: waits_for.into(),
    }
}

/// Whether a refusal is about cert-manager or an issuer, and so about the first step.
fn about_issuer(refusal: &Refusal) -> bool {
    !matches!(
        refusal.reason(),
        Reason::WaitingForProvisioner
            | Reason::SecretNameConflict
            | Reason::NameConflict
            | Reason::NotSupported
    )
}

impl View<'_> {
    fn with_tls(&self, step: impl FnOnce(&Validated) -> Progress) -> Progress {
        match self.validated {
            None => Progress::NotNeeded,
            Some(validated) => step(validated),
        }
    }

    /// `namespace/name`; that of the Pgpool itself if `name` is empty.
    fn place(&self, name: &str) -> String {
        let own = self.pgpool.name_any();
        let name = if name.is_empty() { &own } else { name };
        format!("{}/{name}", self.pgpool.namespace().unwrap_or_default())
    }

    fn condition(&self, ty: ConditionType) -> Option<&Condition> {
        conditions::find(&self.pgpool.status.as_ref()?.conditions, ty)
    }

    fn condition_holds(&self, ty: ConditionType) -> Option<&Condition> {
        self.condition(ty)
            .filter(|condition| condition.status == conditions::Status::True.as_str())
    }

    fn child(&self, wanted: &Wanted) -> Option<&Child> {
        self.observed.children.get(&wanted.alias)
    }

    fn issuers(&self, validated: &Validated) -> Progress {
        let mut refusals = validated
            .wanted
            .iter()
            .filter_map(|wanted| wanted.order.as_ref().err());
        if let Some(refusal) = refusals.find(|refusal| about_issuer(refusal)) {
            return open(refusal.to_string());
        }
        let named: BTreeSet<_> = validated
            .wanted
            .iter()
            .filter_map(|wanted| wanted.issuer.as_ref())
            .collect();
        let states = named
            .iter()
            .filter_map(|issuer| self.observed.issuers.get(*issuer));
        let created = states.filter_map(|state| match state {
            IssuerState::Present { created, .. } => *created,
            _ => None,
        });
        let names: Vec<_> = named
            .iter()
            .map(|issuer| format!("{} {}", issuer.kind, issuer.name))
            .collect();
        Progress::Done {
            at: created.max(),
            detail: names.join(", "),
        }
    }

    fn started(&self, foundation: &Progress) -> Progress {
        if let Some(started) = self.condition_holds(ConditionType::ProvisioningStarted) {
            return Progress::Done {
                at: Some(started.last_transition_time.0),
                detail: started.message.clone(),
            };
        }
        match foundation {
            Progress::Done { at, .. } => Progress::Done {
                at: *at,
                detail: String::new(),
            },
            _ => open(format!(
                "the provisioner to start on Pgpool {}; check that it runs",
                self.place("")
            )),
        }
    }

    fn foundation(&self) -> Progress {
        let objects = &self.observed.prerequisites;
        let missing = objects
            .iter()
            .filter(|object| !matches!(object.presence, Presence::Since(_)));
        let missing: Vec<_> = missing
            .map(|object| format!("{} {}", object.kind, self.place(&object.name)))
            .collect();
        if !missing.is_empty() {
            let stalled = self
                .condition_holds(ConditionType::Stalled)
                .map(|stalled| format!("; {}", stalled.message));
            return open(format!("{}{}", missing.join(", "), stalled.unwrap_or_default()));
        }
        let created = objects.iter().filter_map(|object| match object.presence {
            Presence::Since(at) => at,
            _ => None,
        });
        let names: Vec<_> = objects
            .iter()
            .map(|object| format!("{} {}", object.kind, object.name))
            .collect();
        Progress::Done {
            at: created.max(),
            detail: names.join(", "),
        }
    }

    fn requested(&self, validated: &Validated) -> Progress {
        let asked = validated
            .wanted
            .iter()
            .filter_map(|wanted| self.child(wanted)?.certificate.as_ref());
        let asked: Vec<_> = asked.collect();
        if asked.len() < validated.wanted.len() {
            return open(self.verdict_or("the Certificates are being created"));
        }
        let names: Vec<_> = asked
            .iter()
            .map(|certificate| format!("Certificate {}", certificate.name_any()))
            .collect();
        let at = asked
            .iter()
            .filter_map(|certificate| created(&certificate.metadata))
            .max();
        Progress::Done {
            at,
            detail: names.join(", "),
        }
    }

    /// cert-manager sets a condition on a Certificate when it starts. The time of the condition changes with each renewal;
    /// the Secrets were created later than the first one, so they limit it.
    fn started_issuing(&self, validated: &Validated, issued: Option<Timestamp>) -> Progress {
        let certificates = validated
            .wanted
            .iter()
            .filter_map(|wanted| self.child(wanted)?.certificate.as_ref());
        let certificates: Vec<_> = certificates.collect();
        if certificates.len() < validated.wanted.len() {
            return open(self.verdict_or("the Certificates"));
        }
        if let Some(unseen) = certificates
            .iter()
            .find(|certificate| cert_manager_conditions(certificate).is_empty())
        {
            let name = self.place(&unseen.name_any());
            return open(format!(
                "cert-manager to start on Certificate {name}; check that it runs"
            ));
        }
        let first = certificates.iter().filter_map(|certificate| {
            cert_manager_conditions(certificate)
                .iter()
                .filter_map(|condition| condition.last_transition_time.as_ref())
                .map(|time| time.0)
                .min()
        });
        Progress::Done {
            at: first.max().into_iter().chain(issued).min(),
            detail: "cert-manager has started on all of them".to_owned(),
        }
    }

    fn issued(&self, validated: &Validated) -> Progress {
        let secrets = validated
            .wanted
            .iter()
            .filter(|wanted| wanted.contested.is_none());
        let secrets = secrets.filter_map(|wanted| match &self.child(wanted)?.secret {
            Lookup::Present(secret) => Some(secret),
            _ => None,
        });
        let secrets: Vec<_> = secrets.collect();
        if secrets.len() < validated.wanted.len() {
            return open(self.verdict_or("the certificate Secrets"));
        }
        let names: Vec<_> = secrets
            .iter()
            .map(|secret| format!("Secret {}", secret.name_any()))
            .collect();
        let at = secrets
            .iter()
            .filter_map(|secret| created(&secret.metadata))
            .max();
        Progress::Done {
            at,
            detail: names.join(", "),
        }
    }

    fn taken(&self) -> Progress {
        let ready = self.verdict.is_some_and(|verdict| verdict.ready);
        if !ready {
            return open(self.verdict_or("the certificates to be verified"));
        }
        let reconciling = self.condition_holds(ConditionType::Reconciling);
        if let Some(waiting) =
            reconciling.filter(|waiting| waiting.reason == Reason::WaitingForCertificates.as_str())
        {
            return open(format!(
                "the provisioner to take the certificates: {}",
                waiting.message
            ));
        }
        let since = self.condition_holds(ConditionType::CertificatesReady);
        Progress::Done {
            at: since.map(|since| since.last_transition_time.0),
            detail: self
                .verdict
                .map(|verdict| verdict.message.clone())
                .unwrap_or_default(),
        }
    }

    fn served(&self) -> Progress {
        let pods = self
            .pgpool
            .status
            .as_ref()
            .map(|status| status.pods.as_slice())
            .unwrap_or_default();
        if let Some(pod) = pods.iter().find(|pod| !pod.ready) {
            let why = pod.message.as_deref().unwrap_or("it is not ready");
            return open(format!("Pod {}: {why}", self.place(&pod.name)));
        }
        if let Some(ready) = self.condition_holds(ConditionType::ReplicaReady) {
            let detail = format!("StatefulSet {}: {}", self.pgpool.name_any(), ready.message);
            return Progress::Done {
                at: Some(ready.last_transition_time.0),
                detail,
            };
        }
        let conditions = [ConditionType::Stalled, ConditionType::Reconciling].into_iter();
        let mut messages = conditions
            .filter_map(|ty| self.condition_holds(ty))
            .chain(self.condition(ConditionType::ReplicaReady))
            .map(|condition| condition.message.clone());
        let message = messages.find(|message| !message.is_empty());
        open(message.unwrap_or_else(|| format!("the pods of StatefulSet {}", self.place(""))))
    }

    /// The message of a verdict that is not ready, or `otherwise`.
    fn verdict_or(&self, otherwise: &str) -> String {
        let bad = self.verdict.filter(|verdict| !verdict.ready);
        bad.map_or_else(|| otherwise.to_owned(), |verdict| verdict.message.clone())
    }
}

fn cert_manager_conditions(certificate: &Certificate) -> &[cert_manager::Condition] {
    certificate
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default()
}

fn seen(validated: &Validated, sources: [&Progress; 3]) -> Progress {
    if sources
        .iter()
        .all(|source| matches!(source, Progress::Done { .. }))
    {
        let at = sources.into_iter().filter_map(at).max();
        return Progress::Done {
            at,
            detail: "all of them exist".to_owned(),
        };
    }
    let mut refusals = validated
        .wanted
        .iter()
        .filter_map(|wanted| wanted.order.as_ref().err());
    open(refusals.next().map(ToString::to_string).unwrap_or_default())
}
