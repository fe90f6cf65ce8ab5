//! Decides what is to be written now: the foundation always, the workload when the handoff allows it, the user's scripts
//! when the pool is ready. Pure.

mod advance;
mod init;
mod newest;
mod withheld;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use shared_types::{Alias, ClientAuthMode, Pgpool};

use super::build::{self, Candidate, Foundation, TlsMaterial};
use super::handoff::{self, Handoff, Judge, View, Words};
use super::judgement::{self, Doubt, Judgement};
use super::monitoring::{self, Scrape};
use super::observe::{self, Certificate, Observed};
use super::rollout::{self, Step};
use super::turn::Remark;
use super::validate::{Unmet, Validated};
use crate::fleet::Ask;
use crate::health::{Access, ClientCertificate, Pod};

pub(crate) use init::{InitStand, Initiate};
use newest::newest;

#[cfg(test)]
mod tests;

/// A check holds one of the connections that all Pgpools share, so no Pgpool may have it for longer.
const LONGEST_CHECK: Duration = Duration::from_secs(30);

/// What is to be written now.
pub(crate) struct Plan {
    /// Everything but the workload.
    pub(crate) foundation: Foundation,
    /// What becomes of the configuration Secret.
    pub(crate) configuration: Configuration,
    /// Settings that pgpool is to judge.
    pub(crate) candidate: Option<Candidate>,
    /// Name of those that are being judged, or were found bad; others are of no use any more.
    pub(crate) kept_candidate: Option<String>,
    /// What runs; `None` while nothing may run yet.
    pub(crate) workload: Option<Workload>,
    /// How far the pods may go towards it now.
    pub(crate) step: Option<Step>,
    /// How the handoff stands.
    pub(crate) handoff: Stand,
    /// The user's scripts.
    pub(crate) init: Initiate,
    /// What Prometheus is told.
    pub(crate) scrape: Scrape,
    /// When time alone changes this plan: an earlier authority has been trusted for long enough.
    pub(crate) look_again: Option<Duration>,
    /// It may go further when it is the turn of this Pgpool.
    pub(crate) asks: Option<Ask>,
    /// What there is to tell about a new certificate that waits, or does not.
    pub(crate) remark: Option<Remark>,
}

/// What becomes of the configuration Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Configuration {
    /// It is brought to what is desired.
    Write,
    /// It stays as it is, if it is there: the pods that read it serve no TLS yet, and one that restarted with settings
    /// for TLS but without certificates would refuse everybody.
    Keep,
    /// It is not touched: pgpool might not start with what is desired.
    Withhold,
}

/// The objects of step 10.
pub(crate) struct Workload {
    /// The copy of the certificates, unless the one that runs is kept.
    pub(crate) tls_copy: Option<Secret>,
    /// The workload.
    pub(crate) stateful_set: StatefulSet,
}

/// How far things may go, as the status tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// No certificates are needed.
    NotNeeded,
    /// The newest certificates are in the workload.
    Passed(Judge),
    /// ops-manager is given so much more time to judge them: what comes of it is known in a moment.
    Listening {
        /// What is left of the grace time.
        left: Duration,
    },
    /// They are not, for this reason.
    Held {
        /// One sentence.
        why: String,
        /// When to look again, if nothing happens before.
        after: Option<Duration>,
    },
    /// Pods keep the settings that they have, for this reason; where that may be, everything else is as asked.
    Doubted {
        /// What is wrong with those that are asked for.
        doubt: Doubt,
        /// When to look again for another reason: the certificates.
        after: Option<Duration>,
    },
}

impl Stand {
    /// When the certificates are to be looked at again.
    fn after(&self) -> Option<Duration> {
        match self {
            Self::NotNeeded | Self::Passed(_) => None,
            Self::Listening { left } => Some(*left),
            Self::Held { after, .. } | Self::Doubted { after, .. } => *after,
        }
    }
}

/// Decides what is to be written now.
///
/// # Errors
/// [`Unmet`] when the user's settings cannot be used, and there are none that pods could go on with.
pub(crate) fn plan(
    pgpool: &Pgpool,
    validated: &Validated,
    observed: &Observed,
    grace: Duration,
    now: Timestamp,
) -> Result<Plan, Unmet> {
    let (judgement, kept_candidate) = judgement::judge(validated, &observed.live, now);
    let mut plan = Plan {
        kept_candidate,
        ..pool(pgpool, validated, observed, grace, now)
    };
    match judgement {
        Judgement::Fit { hash } => build::mark_judged(&mut plan.foundation.config_secret, hash),
        Judgement::Ask(candidate) => {
            plan.candidate = Some(*candidate);
            let why = "Asks pgpool to judge the settings".to_owned();
            withheld::withhold(
                &mut plan,
                Doubt::Pending { why, after: None },
                validated,
                observed,
            )?;
        }
        Judgement::Doubtful(doubt) => withheld::withhold(&mut plan, doubt, validated, observed)?,
    }
    plan.step = plan
        .workload
        .as_mut()
        .map(|workload| advance::advance(validated, observed, workload, now));
    plan.init = init::initiate(pgpool, validated, observed, plan.workload.as_ref());
    Ok(plan)
}

/// Everything but the scripts, if the settings are good.
fn pool(
    pgpool: &Pgpool,
    validated: &Validated,
    observed: &Observed,
    grace: Duration,
    now: Timestamp,
) -> Plan {
    let mut foundation = build::foundation(validated);
    let scrape = monitoring::scrape(validated, &observed.live, &mut foundation);
    let mut plan = Plan {
        foundation,
        configuration: Configuration::Write,
        candidate: None,
        kept_candidate: None,
        workload: None,
        step: None,
        handoff: Stand::NotNeeded,
        init: Initiate::Nothing(InitStand::NotAsked),
        scrape,
        look_again: None,
        asks: None,
        remark: None,
    };
    if !validated.serves_tls() {
        let stateful_set = build::workload(validated, None);
        plan.workload = Some(Workload {
            tls_copy: None,
            stateful_set,
        });
        return plan;
    }
    let channel = observed.verdict.as_ref().map(|verdict| Words {
        generation: Some(verdict.generation),
        certificates: &verdict.certificates,
    });
    let published = observe::published(pgpool);
    let view = View {
        generation: pgpool.metadata.generation,
        certificates: &observed.certificates,
        channel: channel.unwrap_or_default(),
        status: Words {
            generation: observe::published_for(pgpool),
            certificates: &published,
        },
        complete_for: observed.complete_for,
        grace,
    };
    let handoff = handoff::settle(handoff::decide(&view), &observed.certificates, now);
    (plan.workload, plan.handoff) = match (handoff, material(&observed.certificates)) {
        (Handoff::Go { judge, .. }, Some(material)) => {
            newest(pgpool, validated, observed, material, &mut plan, now);
            (plan.workload.take(), Stand::Passed(judge))
        }
        (handoff, _) => (running(validated, observed), held(handoff, observed)),
    };
    if plan.workload.is_none() && observed.live.stateful_set.is_some() {
        plan.configuration = Configuration::Keep;
    }
    plan
}

/// The workload with the certificates that it has: everything else about it may still change.
fn running(validated: &Validated, observed: &Observed) -> Option<Workload> {
    let copy = rollout::certificates(observed.live.stateful_set.as_deref()?)?;
    let content = observed.live.tls_copies.get(copy)?;
    let stateful_set = if build::serves_exporter(validated, content) {
        build::workload(validated, Some(copy))
    } else {
        // Its certificate comes with the next copy.
        let unmonitored = Validated {
            monitoring: None,
            ..validated.clone()
        };
        build::workload(&unmonitored, Some(copy))
    };
    Some(Workload {
        tls_copy: None,
        stateful_set,
    })
}

fn held(handoff: Handoff, observed: &Observed) -> Stand {
    let (why, after) = match handoff {
        Handoff::Wait { which } => (which, None),
        Handoff::Listen { left } => return Stand::Listening { left },
        Handoff::Keep { why, after } => (why, after),
        // Settled, and complete: cannot come.
        Handoff::JudgeMyself | Handoff::Go { .. } => {
            ("A certificate Secret is not complete".to_owned(), None)
        }
    };
    let runs = observed.live.stateful_set.is_some();
    let consequence = if runs { "; what runs keeps running" } else { "" };
    Stand::Held {
        why: format!("{why}{consequence}"),
        after,
    }
}

fn material(certificates: &[Certificate]) -> Option<TlsMaterial<'_>> {
    let entry = |alias, key| entry(certificates, alias, key);
    Some(TlsMaterial {
        certificate: entry(Alias::Server, "tls.crt")?,
        key: entry(Alias::Server, "tls.key")?,
        ca: entry(Alias::Server, "ca.crt")?,
        client_ca: entry(Alias::Client, "ca.crt")?,
        exporter_certificate: entry(Alias::MetricsExporter, "tls.crt")?,
        exporter_key: entry(Alias::MetricsExporter, "tls.key")?,
        exporter_ca: entry(Alias::MetricsExporter, "ca.crt")?,
        earlier: &[],
    })
}

fn entry<'a>(certificates: &'a [Certificate], alias: Alias, key: &str) -> Option<&'a [u8]> {
    let secret = certificates
        .iter()
        .find(|certificate| certificate.alias == alias)?
        .secret
        .present()?;
    Some(secret.data.as_ref()?.get(key)?.0.as_slice())
}

/// The pods that can be asked.
pub(crate) fn reachable(observed: &Observed) -> Vec<Pod> {
    let reachable = observed.pods.iter().filter_map(|pod| Some((pod, pod.ip?)));
    reachable
        .map(|(pod, ip)| Pod {
            uid: pod.uid.clone(),
            ip,
            ready: pod.ready,
            tls: pod.certificates.is_some(),
        })
        .collect()
}

/// How to log in to them. The authorities of every copy in use are trusted, so that a pod which still serves under
/// the previous issuer is not called broken. `None` while a client certificate is needed and the one in its Secret is
/// no good: pods would refuse it, which says nothing about them.
pub(crate) fn access(
    pgpool: &Pgpool,
    validated: &Validated,
    observed: &Observed,
    plan: &Plan,
    now: Timestamp,
) -> Option<Access> {
    let client = match validated.client_auth_mode {
        ClientAuthMode::Cert => Some(client_pair(&observed.certificates, now)?),
        ClientAuthMode::Md5 | ClientAuthMode::Scram => None,
    };
    let health = pgpool.spec.health_checker();
    Some(Access {
        server_name: format!("{}.{}.svc", validated.names.primary_service, validated.namespace),
        ssl_mode: validated.ssl_mode,
        trust: trust(observed, plan),
        client,
        previous_client_certificate: None,
        login: validated.backend.login.clone(),
        login_source: login_source(pgpool, observed),
        backend: backend(pgpool, validated),
        writes: health.writes,
        period: health.period,
        timeout: health.timeout.min(LONGEST_CHECK),
        failure_threshold: u32::try_from(health.failure_threshold).unwrap_or(1),
    })
}

fn client_pair(certificates: &[Certificate], now: Timestamp) -> Option<ClientCertificate> {
    let client = certificates
        .iter()
        .find(|certificate| certificate.alias == Alias::Client)?;
    if !handoff::is_good(client, now) {
        return None;
    }
    Some(ClientCertificate {
        chain: entry(certificates, Alias::Client, "tls.crt")?.to_vec(),
        key: entry(certificates, Alias::Client, "tls.key")?.to_vec(),
    })
}

/// The authorities of every copy that is, or will be, in use.
fn trust(observed: &Observed, plan: &Plan) -> Vec<u8> {
    let copies = &observed.live.tls_copies;
    let in_use = observed.pods.iter().filter_map(|pod| pod.certificates.as_deref());
    let coming = plan
        .workload
        .as_ref()
        .and_then(|workload| rollout::certificates(&workload.stateful_set));
    let names: BTreeSet<&str> = in_use.chain(coming).collect();
    let new = plan
        .workload
        .as_ref()
        .and_then(|workload| workload.tls_copy.as_ref());
    let mut trust = Vec::new();
    for name in names {
        let copy = new
            .filter(|copy| copy.name_any() == name)
            .or(copies.get(name).map(AsRef::as_ref));
        if let Some(authorities) = copy.and_then(|copy| copy.data.as_ref()?.get("ca.pem")) {
            trust.extend_from_slice(&authorities.0);
            trust.push(b'\n');
        }
    }
    trust
}

fn backend(pgpool: &Pgpool, validated: &Validated) -> String {
    let reference = &pgpool.spec.postgres_ref;
    let namespace = reference.namespace.as_deref().unwrap_or(&validated.namespace);
    let nodes = validated.backend.nodes.iter();
    let addresses: Vec<_> = nodes.map(|node| format!("{}:{}", node.host, node.port)).collect();
    format!(
        "PostgreSQL {} (AppBinding {namespace}/{})",
        addresses.join(" and "),
        reference.name
    )
}

fn login_source(pgpool: &Pgpool, observed: &Observed) -> String {
    let binding = observed.inputs.app_binding.present();
    let secret = binding
        .and_then(|binding| binding.spec.secret.as_ref())
        .map(|secret| secret.name.as_str());
    let namespace = binding
        .and_then(|binding| binding.namespace())
        .or_else(|| pgpool.namespace());
    format!("{}/{}", namespace.unwrap_or_default(), secret.unwrap_or_default())
}
