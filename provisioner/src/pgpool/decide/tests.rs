use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::json;
use shared_types::explanation::Blocked;
use shared_types::{ClientAuthMode, SslMode};

use super::*;
use crate::fixtures::{
    Pki, certificate_verdict, now, observed, parse, plain_pgpool, spoil, tls_pgpool, verdict_on,
};
use crate::health::PodIdentity;
use crate::pgpool::observe::pods::PodFacts;
use crate::pgpool::observe::{self, CertificateRevision, Lookup};
use crate::rotation_limiter::Admission;
use fixtures::{FixedLimiter, Planned};
use handoff::Verifier;

const GRACE: Duration = Duration::from_secs(2);

/// Damages a world.
type Spoil = fn(&mut Observed);

/// What a field changes about the checks.
type Change = fn(&mut Access);

fn try_plan(pgpool: &Pgpool, observed: &Observed) -> Result<Planned, Blocked> {
    let limiter = FixedLimiter::new(Admission::Granted);
    fixtures::planned(pgpool, observed, &limiter, GRACE, now())
}

fn planned(pgpool: &Pgpool, observed: &Observed) -> Planned {
    try_plan(pgpool, observed).unwrap()
}

fn asked(pgpool: &Pgpool, observed: &Observed) -> Access {
    planned(pgpool, observed).access.unwrap()
}

/// The certificates have existed for a long time, and nobody has verified them.
fn patient(pgpool: &Pgpool, pki: &Pki) -> Observed {
    Observed {
        complete_for: GRACE,
        ..observed(pgpool, pki)
    }
}

/// What a plan has left in the cluster.
fn carried_out(observed: &mut Observed, plan: Planned) -> String {
    let copy = plan.objects.tls_copy.unwrap();
    let name = copy.name_any();
    observed
        .live
        .tls_copies
        .insert(name.clone().into(), Arc::new(copy));
    observed.live.stateful_set = plan.objects.stateful_set.map(Arc::new);
    name
}

#[test]
fn without_tls_nothing_is_waited_for() {
    let pgpool = plain_pgpool();
    let plan = planned(&pgpool, &observed(&pgpool, &Pki::new()));
    assert_eq!(plan.certificates, CertificateState::NotNeeded);
    assert!(plan.objects.tls_copy.is_none());
    assert_eq!(
        CertificateRevision::of_workload(&plan.objects.stateful_set.unwrap()),
        None
    );
}

#[test]
fn a_good_set_is_copied_and_mounted() {
    let pgpool = tls_pgpool();
    let plan = planned(&pgpool, &patient(&pgpool, &Pki::new()));
    assert_eq!(
        plan.certificates,
        CertificateState::Verified(Verifier::Provisioner)
    );
    let copy = plan.objects.tls_copy.unwrap();
    assert_eq!(
        CertificateRevision::of_workload(&plan.objects.stateful_set.unwrap()),
        Some(CertificateRevision::of_copy(&copy))
    );
    let mut owned = pgpool.clone();
    owned.metadata.namespace = copy.namespace();
    assert!(observe::is_tls_copy(&copy, &owned));
}

#[test]
fn nothing_runs_before_the_handoff_and_what_runs_is_kept_after_it() {
    let (pgpool, pki) = (tls_pgpool(), Pki::new());
    let stands: [(Spoil, &str); 2] = [
        (
            |it| it.certificates[1].secret = Lookup::Absent,
            "demo/pool-client-cert",
        ),
        (
            |it| {
                for key in ["ca.crt", "tls.crt", "tls.key"] {
                    spoil(&mut it.certificates[0], key, None);
                }
            },
            "tls.crt is missing",
        ),
    ];
    for (spoil, part) in stands {
        let mut before = patient(&pgpool, &pki);
        spoil(&mut before);
        let plan = planned(&pgpool, &before);
        assert!(plan.objects.stateful_set.is_none() && plan.objects.foundation.config_secret.is_some());
        let CertificateState::Held {
            message: why,
            retry_after: after,
        } = plan.certificates
        else {
            panic!("not held")
        };
        assert!(
            why.contains(part) && !why.contains("keep their certificates"),
            "{why}"
        );
        assert_eq!(after, None);

        let mut running = patient(&pgpool, &pki);
        let good = planned(&pgpool, &running);
        let copy = carried_out(&mut running, good);
        spoil(&mut running);
        let plan = planned(&pgpool, &running);
        assert!(plan.objects.tls_copy.is_none());
        let stateful_set = plan.objects.stateful_set.unwrap();
        assert_eq!(CertificateRevision::of_workload(&stateful_set), Some(copy.into()));
        let CertificateState::Held { message: why, .. } = plan.certificates else {
            panic!("not held")
        };
        assert!(
            why.contains(part) && why.ends_with("keep their certificates"),
            "{why}"
        );

        // A workload from before TLS keeps its configuration with it.
        let mut plain = patient(&pgpool, &pki);
        plain.live.stateful_set = Some(Arc::default());
        spoil(&mut plain);
        let plan = planned(&pgpool, &plain);
        assert!(plan.objects.stateful_set.is_none() && plan.objects.foundation.config_secret.is_some());
        plain.live.config_secret = Some(Arc::default());
        let plan = planned(&pgpool, &plain);
        assert!(plan.objects.stateful_set.is_none() && plan.objects.foundation.config_secret.is_none());
    }
}

#[test]
fn a_verdict_is_listened_for_and_counts_for_the_present_spec_alone() {
    let (pgpool, pki) = (tls_pgpool(), Pki::new());
    let mut observed = Observed {
        complete_for: Duration::ZERO,
        ..observed(&pgpool, &pki)
    };
    let verdict = |generation, observed: &Observed| {
        let certificates = observed.certificates.iter().map(|certificate| {
            let fingerprint = certificate.leaf().present().copied().flatten();
            certificate_verdict(certificate.alias, fingerprint, true, "")
        });
        Arc::new(verdict_on(&pgpool, generation, certificates.collect()))
    };
    let listens = CertificateState::AwaitingVerdict { left: GRACE };
    assert_eq!(planned(&pgpool, &observed).certificates, listens);
    observed.verdict = Some(verdict(3, &observed));
    assert_eq!(planned(&pgpool, &observed).certificates, listens);
    observed.verdict = Some(verdict(4, &observed));
    assert_eq!(
        planned(&pgpool, &observed).certificates,
        CertificateState::Verified(Verifier::Channel)
    );
}

/// As an ACME issuer writes them.
fn without_ca(pgpool: &Pgpool, pki: &Pki) -> Observed {
    let mut world = patient(pgpool, pki);
    for certificate in &mut world.certificates {
        spoil(certificate, "ca.crt", None);
    }
    world
}

#[test]
fn an_issuer_without_a_ca_is_enough_where_clients_log_in_by_password() {
    let (mut pgpool, pki) = (tls_pgpool(), Pki::new());
    let mut world = without_ca(&pgpool, &pki);
    let plan = planned(&pgpool, &world);
    let verified = CertificateState::Verified(Verifier::Provisioner);
    assert_eq!(plan.certificates, verified);
    let copy = plan.objects.tls_copy.as_ref().unwrap().data.clone().unwrap();
    assert!(copy["ca.pem"].0.is_empty() && copy["server-ca.pem"].0.is_empty());
    let name = carried_out(&mut world, plan);
    world.pods = vec![PodFacts {
        mounted_certificates: Some(name.clone().into()),
        ip: Some([10, 0, 0, 1].into()),
        running: true,
        ..PodFacts::default()
    }];
    let identity = probe::targets(&world).remove(0).identity;
    assert!(
        matches!(&identity, PodIdentity::Certificate { certificate, .. } if certificate.ca.is_none()),
        "{identity:?}"
    );
    // Nothing changes the next time, and a CA that is published later is a new copy.
    let again = planned(&pgpool, &world);
    assert_eq!(again.certificates, verified);
    assert_eq!(again.objects.tls_copy.unwrap().name_any(), name);
    let published = planned(&pgpool, &patient(&pgpool, &pki));
    assert_ne!(published.objects.tls_copy.unwrap().name_any(), name);

    pgpool.spec.client_auth_mode = Some(ClientAuthMode::Cert);
    let CertificateState::Held { message, .. } = planned(&pgpool, &without_ca(&pgpool, &pki)).certificates
    else {
        panic!("clients cannot be verified")
    };
    assert!(message.contains("ca.crt is missing"), "{message}");
}

#[test]
fn postgresql_is_not_verified_with_nothing() {
    let (pgpool, pki) = (tls_pgpool(), Pki::new());
    let verifying = |mut world: Observed| {
        let mut binding = world.inputs.app_binding.present().unwrap().as_ref().clone();
        binding.spec.client_config =
            parse("{url: 'postgresql://pg.demo.svc:5432/postgres?sslmode=verify-full'}");
        world.inputs.app_binding = Lookup::Present(Arc::new(binding));
        world
    };
    let plan = planned(&pgpool, &verifying(patient(&pgpool, &pki)));
    assert!(plan.objects.stateful_set.is_some());
    let plan = planned(&pgpool, &verifying(without_ca(&pgpool, &pki)));
    assert!(plan.objects.stateful_set.is_none());
    let CertificateState::Held { message, .. } = plan.certificates else {
        panic!("pgpool would refuse PostgreSQL")
    };
    assert!(
        message.contains("set its `spec.clientConfig.caBundle`"),
        "{message}"
    );
}

#[test]
fn each_pod_is_verified_with_the_ca_that_its_certificate_came_with() {
    let pgpool = tls_pgpool();
    let (old, new) = (Pki::new(), Pki::new());
    let mut world = patient(&pgpool, &old);
    let plan = planned(&pgpool, &world);
    let before = carried_out(&mut world, plan);
    world.certificates = patient(&pgpool, &new).certificates;
    let plan = planned(&pgpool, &world);
    let after = carried_out(&mut world, plan);
    assert_ne!(before, after);
    let pod = |copy: String| PodFacts {
        mounted_certificates: Some(copy.into()),
        ip: Some([10, 0, 0, 1].into()),
        running: true,
        ..PodFacts::default()
    };
    world.pods = vec![pod(before), pod(after)];
    let identities = probe::targets(&world).into_iter().map(|pod| pod.identity);
    let cas = identities.map(|identity| match identity {
        PodIdentity::Certificate { certificate, .. } => certificate.ca.unwrap().to_vec(),
        other => panic!("{other:?}"),
    });
    let expected = [&old, &new].map(|pki| pki.ca().into_bytes());
    assert_eq!(cas.collect::<Vec<_>>(), expected);
}

#[test]
fn a_pod_that_serves_the_names_from_before_is_not_broken() {
    let pki = Pki::new();
    let named = |name: &str| {
        let mut pgpool = tls_pgpool();
        pgpool.spec.tls = Some(parse(&format!(
            "{{issuerRef: {{kind: Issuer, name: ca}}, names: own, certificates: [{{alias: server, dnsNames: ['{name}']}}]}}"
        )));
        pgpool
    };
    let before = named("a.example.org");
    let mut world = patient(&before, &pki);
    assert_eq!(asked(&before, &world).server_names, ["a.example.org"]);
    let plan = planned(&before, &world);
    let copy = carried_out(&mut world, plan);
    let pod = |copy: &str| PodFacts {
        mounted_certificates: Some(copy.to_owned().into()),
        ..PodFacts::default()
    };
    world.pods = vec![pod(&copy)];

    // Without the new certificate, and with it while the pod has the earlier one.
    let after = named("b.example.org");
    let names = |world: &Observed, pgpool: &Pgpool| asked(pgpool, world).server_names;
    assert_eq!(names(&world, &after), ["b.example.org", "a.example.org"]);
    let mut renewed = patient(&after, &pki);
    renewed.live = world.live.clone();
    renewed.pods = world.pods.clone();
    assert_eq!(names(&renewed, &after), ["b.example.org", "a.example.org"]);
    let plan = planned(&after, &renewed);
    let copy = carried_out(&mut renewed, plan);
    renewed.pods = vec![pod(&copy)];
    assert_eq!(names(&renewed, &after), ["b.example.org"]);

    // What has no name to connect to is known by its fingerprint.
    let wildcard = named("*.example.org");
    assert_eq!(names(&renewed, &wildcard), ["pool.example.org", "b.example.org"]);
    let mut world = patient(&wildcard, &pki);
    let plan = planned(&wildcard, &world);
    let copy = carried_out(&mut world, plan);
    world.pods = vec![pod(&copy)];
    assert_eq!(names(&world, &wildcard), ["pool.example.org"]);
    assert_eq!(names(&world, &named("c.example.com")), Vec::<String>::new());
}

#[test]
fn the_exporter_verifies_its_host_where_the_certificate_has_it() {
    let pki = Pki::new();
    for (names, expected) in [
        ("full", "localhost:9999/postgres?sslmode=verify-full&"),
        ("service", "localhost:9999/postgres?sslmode=verify-ca&"),
    ] {
        let mut pgpool = crate::fixtures::scraped(tls_pgpool(), "prometheus.io/builtin");
        pgpool.spec.tls.as_mut().unwrap().names = Some(parse(names));
        let plan = planned(&pgpool, &patient(&pgpool, &pki));
        let workload = serde_json::to_string(&plan.objects.stateful_set).unwrap();
        assert!(workload.contains(expected), "{names}: {workload}");
    }
}

#[test]
fn the_check_logs_in_as_the_backend_does() {
    let (mut pgpool, pki) = (tls_pgpool(), Pki::new());
    let world = patient(&pgpool, &pki);
    let access = asked(&pgpool, &world);
    assert_eq!(access.server_names, ["pool.demo.svc"]);
    assert_eq!(access.ssl_mode, SslMode::VerifyFull);
    assert_eq!(
        (access.login.user.as_str(), access.login.password.expose()),
        ("postgres", "hunter2")
    );
    assert_eq!(access.login_source, "demo/pg-auth");
    assert!(access.backend.contains("(AppBinding demo/"), "{}", access.backend);
    assert_eq!(
        (access.period, access.timeout),
        (Duration::from_secs(10), Duration::from_secs(10))
    );
    assert_eq!(access.failure_threshold, 1);
    assert!(access.client.is_none());
    pgpool.spec.health_checker = Some(parse("{timeoutSeconds: 3600}"));
    assert_eq!(asked(&pgpool, &world).timeout, probe::LONGEST_PROBE);
    pgpool.spec.client_auth_mode = Some(ClientAuthMode::Cert);
    let secret = world.certificates[1]
        .secret
        .present()
        .unwrap()
        .data
        .clone()
        .unwrap();
    let client = asked(&pgpool, &world).client.unwrap();
    assert_eq!(
        (&client.chain, &client.key),
        (&secret["tls.crt"].0, &secret["tls.key"].0)
    );
}

/// The fields of `spec.healthChecker`, each with a row.
#[test]
fn every_field_of_the_health_checker_counts() {
    let (mut pgpool, pki) = (tls_pgpool(), Pki::new());
    let world = patient(&pgpool, &pki);
    let usual = asked(&pgpool, &world);
    let seconds = Duration::from_secs;
    let rows: [(&str, &str, Change); 4] = [
        ("periodSeconds", "60", |it| it.period = Duration::from_mins(1)),
        ("timeoutSeconds", "5", |it| it.timeout = Duration::from_secs(5)),
        ("failureThreshold", "3", |it| it.failure_threshold = 3),
        ("disableWriteCheck", "true", |it| it.writes = false),
    ];
    let crd = serde_json::to_value(<Pgpool as kube::CustomResourceExt>::crd()).unwrap();
    let place = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/healthChecker/properties";
    let known = crd.pointer(place).unwrap().as_object().unwrap();
    assert_eq!(known.len(), rows.len(), "a field without a row");
    for (field, value, change) in rows {
        assert!(known.contains_key(field), "{field}");
        pgpool.spec.health_checker = Some(parse(&format!("{{{field}: {value}}}")));
        let mut expected = usual.clone();
        change(&mut expected);
        assert!(
            asked(&pgpool, &world) == expected,
            "{field} changes nothing, or too much"
        );
    }
    assert_eq!(
        (usual.period, usual.timeout, usual.writes),
        (seconds(10), seconds(10), true)
    );
}

#[test]
fn a_client_certificate_that_is_no_good_is_not_shown() {
    let (mut pgpool, pki) = (tls_pgpool(), Pki::new());
    let foreign = Pki::new().client("postgres");
    let stranger = pki.client("stranger");
    let spoils: [&dyn Fn(&mut Observed); 4] = [
        &|it| it.certificates[1].secret = Lookup::Absent,
        &|it| spoil(&mut it.certificates[1], "tls.key", Some(&foreign.key)),
        &|it| {
            spoil(&mut it.certificates[1], "tls.crt", Some(&stranger.certificate));
            spoil(&mut it.certificates[1], "tls.key", Some(&stranger.key));
        },
        &|it| spoil(&mut it.certificates[1], "ca.crt", Some("")),
    ];
    for (row, spoil) in spoils.iter().enumerate() {
        for (mode, known) in [(ClientAuthMode::Scram, true), (ClientAuthMode::Cert, false)] {
            pgpool.spec.client_auth_mode = Some(mode);
            let mut world = patient(&pgpool, &pki);
            spoil(&mut world);
            let access = planned(&pgpool, &world).access;
            assert_eq!(access.is_some(), known, "row {row}, {mode:?}");
        }
    }
}

#[test]
fn pods_without_an_address_cannot_be_asked() {
    let pod = |uid: &str, ip: Option<[u8; 4]>, ready| PodFacts {
        uid: uid.to_owned(),
        ip: ip.map(Into::into),
        running: uid != "d",
        ready,
        ..PodFacts::default()
    };
    let world = Observed {
        pods: vec![
            pod("a", Some([10, 0, 0, 1]), true),
            pod("b", None, false),
            pod("c", Some([10, 0, 0, 3]), false),
            // It has ended, so its address may belong to another pod.
            pod("d", Some([10, 0, 0, 4]), false),
        ],
        ..Observed::default()
    };
    let asked: Vec<_> = probe::targets(&world)
        .into_iter()
        .map(|pod| (pod.uid, pod.ready))
        .collect();
    assert_eq!(asked, [("a".to_owned(), true), ("c".to_owned(), false)]);
}

#[test]
fn md5_without_tls_is_for_pools_with_md5() {
    for (mode, expected) in [(ClientAuthMode::Md5, true), (ClientAuthMode::Scram, false)] {
        let mut pgpool = plain_pgpool();
        pgpool.spec.client_auth_mode = Some(mode);
        let world = observed(&pgpool, &Pki::new());
        assert_eq!(planned(&pgpool, &world).access.unwrap().md5, expected, "{mode:?}");
    }
}

#[test]
fn pods_go_on_with_their_settings_unless_what_is_asked_needs_others() {
    type Edit = fn(&mut Pgpool, &mut Observed);
    let rows: [(&str, Edit, bool); 6] = [
        ("nothing else", |_, _| {}, true),
        ("more pods", |pgpool, _| pgpool.spec.replicas = Some(3), true),
        (
            "other rules",
            |pgpool, _| pgpool.spec.client_auth_mode = Some(ClientAuthMode::Scram),
            false,
        ),
        (
            "another PostgreSQL",
            |_, observed| {
                let Lookup::Present(binding) = &mut observed.inputs.app_binding else {
                    panic!("no AppBinding")
                };
                let service = &mut Arc::make_mut(binding).spec.client_config.service;
                "elsewhere".clone_into(&mut service.as_mut().unwrap().name);
            },
            false,
        ),
        (
            "another pgpool",
            |_, observed| {
                let Lookup::Present(version) = &mut observed.inputs.version else {
                    panic!("no version")
                };
                "pgpool:other".clone_into(&mut Arc::make_mut(version).spec.pgpool.image);
            },
            false,
        ),
        (
            "the settings are gone",
            |_, observed| observed.live.config_secret = None,
            false,
        ),
    ];
    for (what, edit, goes_on) in rows {
        let (mut pgpool, pki) = (plain_pgpool(), Pki::new());
        let mut observed = observed(&pgpool, &pki);
        let objects = planned(&pgpool, &observed).objects;
        let running = objects.stateful_set.unwrap();
        observed.live.config_secret = objects.foundation.config_secret.map(with_data).map(Arc::new);
        observed.live.stateful_set = Some(Arc::new(running.clone()));
        let configuration = json!({ "inline": { "pgpool.conf": "num_init_children = 8\nssl = off" } });
        pgpool.spec.configuration = Some(serde_json::from_value(configuration).unwrap());
        edit(&mut pgpool, &mut observed);
        let plan = try_plan(&pgpool, &observed);
        assert_eq!(plan.is_ok(), goes_on, "{what}");
        let Ok(plan) = plan else { continue };
        assert!(plan.objects.foundation.config_secret.is_none(), "{what}");
        let template = |it: StatefulSet| it.spec.unwrap().template;
        let planned = plan.objects.stateful_set.unwrap();
        assert_eq!(template(planned), template(running), "{what}");
    }
}

/// As the API server gives a Secret back.
fn with_data(mut secret: Secret) -> Secret {
    let texts = secret.string_data.take().unwrap_or_default();
    let bytes = texts
        .into_iter()
        .map(|(key, text)| (key, k8s_openapi::ByteString(text.into_bytes())));
    secret.data.get_or_insert_default().extend(bytes);
    secret
}
