use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use shared_types::certificates::ACCEPTED_DANGER;
use shared_types::pgpool::IssuerRef;
use shared_types::{ClientAuthMode, Pgpool, names};

use crate::fixtures::{Pki, certificates, now, observed, tls_pgpool};
use crate::pgpool::decide::CertificateState;
use crate::pgpool::decide::fixtures::{FixedLimiter, Planned, planned};
use crate::pgpool::observe::pods::PodFacts;
use crate::pgpool::observe::{CertificateRevision, Observed};
use crate::rotation_limiter::Admission;

/// A pool and the world that its plans leave.
struct Pool {
    pgpool: Pgpool,
    world: Observed,
}

impl Pool {
    /// A new one in this mode, with good certificates for it.
    fn new(mode: ClientAuthMode, pki: &Pki) -> Self {
        let mut pgpool = tls_pgpool();
        pgpool.spec.client_auth_mode = Some(mode);
        let mut world = observed(&pgpool, pki);
        world.complete_for = Duration::from_mins(1);
        world.inputs.ca_overlap = Duration::from_mins(10);
        Self { pgpool, world }
    }

    fn running(mode: ClientAuthMode, pki: &Pki) -> Self {
        let mut pool = Self::new(mode, pki);
        pool.step();
        pool
    }

    /// Changes the mode. The Secrets are as they were.
    fn asks_for(&mut self, mode: ClientAuthMode) {
        self.pgpool.spec.client_auth_mode = Some(mode);
        for (had, needed) in self
            .world
            .certificates
            .iter_mut()
            .zip(certificates(&self.pgpool, &Pki::new()))
        {
            had.required = needed.required;
        }
    }

    fn issuer_of_clients(&mut self, kind: &str, name: &str) {
        let issuer = IssuerRef {
            api_group: None,
            kind: kind.to_owned(),
            name: name.to_owned(),
        };
        self.pgpool.spec.tls.as_mut().unwrap().issuer_ref = Some(issuer);
    }

    /// The client's certificate names no role.
    fn client_names(&mut self, common_name: &str, pki: &Pki) {
        let pair = pki.client(common_name);
        let client = &mut self.world.certificates[1];
        for (key, value) in [
            ("tls.crt", &pair.certificate),
            ("tls.key", &pair.key),
            ("ca.crt", &pair.ca),
        ] {
            crate::fixtures::spoil(client, key, Some(value));
        }
    }

    fn plan(&self) -> Planned {
        let limiter = FixedLimiter::new(Admission::Granted);
        planned(&self.pgpool, &self.world, &limiter, Duration::ZERO, now()).unwrap()
    }

    /// Carries a plan out; every pod follows.
    fn step(&mut self) {
        let objects = self.plan().objects;
        let live = &mut self.world.live;
        if let Some(copy) = objects.tls_copy {
            live.tls_copies
                .insert(CertificateRevision::of_copy(&copy), Arc::new(copy));
        }
        if let Some(config) = objects.foundation.config_secret {
            live.config_secret = Some(Arc::new(config));
        }
        if let Some(stateful_set) = objects.stateful_set {
            let revision = CertificateRevision::of_workload(&stateful_set);
            live.stateful_set = Some(Arc::new(stateful_set));
            let pod = |ordinal| PodFacts {
                name: format!("pool-{ordinal}"),
                ordinal,
                ready: true,
                mounted_certificates: revision.clone(),
                ..PodFacts::default()
            };
            self.world.pods = (0..self.pgpool.spec.replicas()).map(pod).collect();
        }
    }

    /// The method in the rules of running pods.
    fn method(&self) -> String {
        let config = self.world.live.config_secret.as_ref().unwrap();
        let rules = String::from_utf8(config.data.as_ref().unwrap()["pool_hba.conf"].0.clone()).unwrap();
        rules.split_whitespace().next_back().unwrap().to_owned()
    }

    fn trusts(&self, pki: &Pki) -> bool {
        let running =
            CertificateRevision::of_workload(self.world.live.stateful_set.as_ref().unwrap()).unwrap();
        let copy = &self.world.live.tls_copies[&running];
        let trusted: Vec<_> =
            super::super::ca_overlap::read(&copy.data.as_ref().unwrap()["ca.pem"].0).collect();
        super::super::ca_overlap::read(pki.ca().as_bytes()).all(|ca| trusted.contains(&ca))
    }
}

fn held(plan: &Planned) -> String {
    match &plan.certificates {
        CertificateState::Held { message, .. } => message.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_rules_change_when_the_certificates_do_and_not_before() {
    let pki = Pki::new();
    let mut pool = Pool::running(ClientAuthMode::Scram, &pki);
    pool.client_names("pg_pgpool_not_a_role", &pki);
    pool.asks_for(ClientAuthMode::Cert);
    let plan = pool.plan();
    assert!(held(&plan).contains("pool-client-cert"), "{}", held(&plan));
    assert!(plan.objects.stateful_set.is_none() && plan.objects.foundation.config_secret.is_none());
    // Pods still let the check in by password.
    assert!(plan.access.unwrap().client.is_none());
    pool.step();
    assert_eq!(pool.method(), "scram-sha-256");

    pool.client_names("postgres", &pki);
    pool.step();
    assert_eq!(pool.method(), "cert");
    assert!(pool.plan().access.unwrap().client.is_some());

    // From now on a certificate that is no good stops nothing.
    pool.client_names("stranger", &pki);
    let plan = pool.plan();
    assert!(plan.objects.stateful_set.is_some() && plan.objects.foundation.config_secret.is_some());
    assert!(plan.access.is_none(), "pods would refuse it");

    // Back to passwords there is nothing to wait for.
    pool.asks_for(ClientAuthMode::Scram);
    pool.step();
    assert_eq!(pool.method(), "scram-sha-256");
}

#[test]
fn an_issuer_that_others_use_lets_nobody_in_unless_that_is_meant() {
    let pki = Pki::new();
    for (mode, kind, refused) in [
        (ClientAuthMode::Cert, "ClusterIssuer", true),
        (ClientAuthMode::Cert, "VaultOfAll", true),
        (ClientAuthMode::Cert, "Issuer", false),
        (ClientAuthMode::Scram, "ClusterIssuer", false),
    ] {
        let mut pool = Pool::new(mode, &pki);
        pool.issuer_of_clients(kind, "company");
        let plan = pool.plan();
        assert_eq!(plan.objects.stateful_set.is_none(), refused, "{mode:?} {kind}");
        if refused {
            let message = held(&plan);
            for word in [
                "company",
                "log in as postgres",
                names::ANNOTATION_SHARED_CLIENT_ISSUER,
            ] {
                assert!(message.contains(word), "{message}");
            }
        }
        let annotations = pool.pgpool.annotations_mut();
        annotations.insert(
            names::ANNOTATION_SHARED_CLIENT_ISSUER.to_owned(),
            ACCEPTED_DANGER.to_owned(),
        );
        assert!(pool.plan().objects.stateful_set.is_some(), "{mode:?} {kind}");
    }
}

#[test]
fn a_pool_that_runs_keeps_running_in_the_mode_that_it_has() {
    let pki = Pki::new();
    // It ran so before; its certificates are renewed, too.
    let mut pool = Pool::running(ClientAuthMode::Cert, &pki);
    pool.issuer_of_clients("ClusterIssuer", "company");
    assert!(pool.plan().objects.stateful_set.is_some());
    assert_eq!(pool.method(), "cert");

    let mut pool = Pool::running(ClientAuthMode::Scram, &pki);
    pool.issuer_of_clients("ClusterIssuer", "company");
    pool.asks_for(ClientAuthMode::Cert);
    let plan = pool.plan();
    assert!(held(&plan).contains("company"));
    pool.step();
    assert_eq!(pool.method(), "scram-sha-256");
}

#[test]
fn a_ca_that_let_nobody_in_is_not_trusted_for_what_it_has_signed() {
    let (before, after) = (Pki::new(), Pki::new());
    for (mode, kept) in [(ClientAuthMode::Scram, false), (ClientAuthMode::Cert, true)] {
        let mut pool = Pool::running(mode, &before);
        pool.asks_for(ClientAuthMode::Cert);
        pool.world.certificates = certificates(&pool.pgpool, &after);
        pool.step();
        assert!(pool.trusts(&after));
        assert_eq!(pool.trusts(&before), kept, "{mode:?}");
    }
}
