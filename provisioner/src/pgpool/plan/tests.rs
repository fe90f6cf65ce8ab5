use std::sync::Arc;

use serde_json::json;
use shared_types::SslMode;

use super::*;
use crate::fixtures::{
    Pki, certificate_verdict, now, observed, parse, plain_pgpool, spoil, tls_pgpool, verdict_on,
};
use crate::pgpool::observe::Lookup;
use crate::pgpool::observe::pods::PodFacts;
use crate::pgpool::validate::validate;

const GRACE: Duration = Duration::from_secs(2);

/// Damages a world.
type Spoil = fn(&mut Observed);

/// What a field changes about the checks.
type Change = fn(&mut Access);

fn planned(pgpool: &Pgpool, observed: &Observed) -> Plan {
    let validated = validate(pgpool, &observed.inputs).unwrap();
    plan(pgpool, &validated, observed, GRACE, now()).unwrap()
}

fn asked(pgpool: &Pgpool, observed: &Observed) -> Access {
    let validated = validate(pgpool, &observed.inputs).unwrap();
    let plan = plan(pgpool, &validated, observed, GRACE, now()).unwrap();
    access(pgpool, &validated, observed, &plan, now()).unwrap()
}

/// The certificates have been there for long, and nobody has judged them.
fn patient(pgpool: &Pgpool, pki: &Pki) -> Observed {
    Observed {
        complete_for: GRACE,
        ..observed(pgpool, pki)
    }
}

/// What a plan has left in the cluster.
fn carried_out(observed: &mut Observed, plan: Plan) -> String {
    let workload = plan.workload.unwrap();
    let copy = workload.tls_copy.unwrap();
    let name = copy.name_any();
    observed.live.tls_copies.insert(name.clone(), Arc::new(copy));
    observed.live.stateful_set = Some(Arc::new(workload.stateful_set));
    name
}

#[test]
fn without_tls_nothing_is_waited_for() {
    let pgpool = plain_pgpool();
    let plan = planned(&pgpool, &observed(&pgpool, &Pki::new()));
    assert_eq!(plan.handoff, Stand::NotNeeded);
    let workload = plan.workload.unwrap();
    assert!(workload.tls_copy.is_none());
    assert_eq!(rollout::certificates(&workload.stateful_set), None);
}

#[test]
fn a_good_set_is_copied_and_mounted() {
    let pgpool = tls_pgpool();
    let plan = planned(&pgpool, &patient(&pgpool, &Pki::new()));
    assert_eq!(plan.handoff, Stand::Passed(Judge::Myself));
    let workload = plan.workload.unwrap();
    let copy = workload.tls_copy.unwrap();
    assert_eq!(
        rollout::certificates(&workload.stateful_set),
        Some(copy.name_any().as_str())
    );
    let mut owned = pgpool.clone();
    owned.metadata.namespace = copy.namespace();
    assert!(observe::is_tls_copy(&copy, &owned));
}

#[test]
fn nothing_runs_before_the_handoff_and_what_runs_is_kept_after_it() {
    let (pgpool, pki) = (tls_pgpool(), Pki::new());
    let stands: [(Spoil, &str); 3] = [
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
        (
            |it| spoil(&mut it.certificates[0], "ca.crt", None),
            "ca.crt is missing",
        ),
    ];
    for (spoil, part) in stands {
        let mut before = patient(&pgpool, &pki);
        spoil(&mut before);
        let plan = planned(&pgpool, &before);
        assert!(plan.workload.is_none() && plan.configuration == Configuration::Write);
        let Stand::Held { why, after } = plan.handoff else {
            panic!("not held")
        };
        assert!(why.contains(part) && !why.contains("keeps running"), "{why}");
        assert_eq!(after, None);

        let mut running = patient(&pgpool, &pki);
        let good = planned(&pgpool, &running);
        let copy = carried_out(&mut running, good);
        spoil(&mut running);
        let plan = planned(&pgpool, &running);
        let workload = plan.workload.unwrap();
        assert!(workload.tls_copy.is_none());
        assert_eq!(rollout::certificates(&workload.stateful_set), Some(copy.as_str()));
        let Stand::Held { why, .. } = plan.handoff else {
            panic!("not held")
        };
        assert!(why.contains(part) && why.ends_with("keeps running"), "{why}");

        // A workload from before TLS keeps its configuration with it.
        let mut plain = patient(&pgpool, &pki);
        plain.live.stateful_set = Some(Arc::default());
        spoil(&mut plain);
        let plan = planned(&pgpool, &plain);
        assert!(plan.workload.is_none() && plan.configuration == Configuration::Keep);
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
    let listens = Stand::Listening { left: GRACE };
    assert_eq!(planned(&pgpool, &observed).handoff, listens);
    observed.verdict = Some(verdict(3, &observed));
    assert_eq!(planned(&pgpool, &observed).handoff, listens);
    observed.verdict = Some(verdict(4, &observed));
    assert_eq!(planned(&pgpool, &observed).handoff, Stand::Passed(Judge::Channel));
}

#[test]
fn every_copy_in_use_is_trusted() {
    let pgpool = tls_pgpool();
    let (old, new) = (Pki::new(), Pki::new());
    let mut world = patient(&pgpool, &old);
    let plan = planned(&pgpool, &world);
    let copy = carried_out(&mut world, plan);
    let pod = PodFacts {
        certificates: Some(copy),
        ..PodFacts::default()
    };
    let mut renewed = patient(&pgpool, &new);
    renewed.live = world.live;
    // A line of the signature.
    let body = |pem: &str| pem.lines().rev().nth(2).unwrap().trim().to_owned();
    // The copy that comes trusts what the one before did, and so do the checks before any pod mounts it, and while some
    // do; and at the end no more than the pods.
    let trusts = |world: &Observed| {
        let trust = String::from_utf8(asked(&pgpool, world).trust).unwrap();
        [&old, &new].map(|pki| trust.contains(&body(&pki.ca())))
    };
    for pods in [vec![], vec![pod]] {
        renewed.pods = pods;
        assert_eq!(trusts(&renewed), [true, true]);
    }
    for expected in [[true, true], [false, true]] {
        let plan = planned(&pgpool, &renewed);
        let copy = carried_out(&mut renewed, plan);
        let pod = |ordinal| PodFacts {
            ordinal,
            ready: true,
            certificates: Some(copy.clone()),
            ..PodFacts::default()
        };
        renewed.pods = (0..pgpool.spec.replicas()).map(pod).collect();
        assert_eq!(trusts(&renewed), expected);
    }
}

#[test]
fn the_check_logs_in_as_the_backend_does() {
    let (mut pgpool, pki) = (tls_pgpool(), Pki::new());
    let world = patient(&pgpool, &pki);
    let access = asked(&pgpool, &world);
    assert_eq!(access.server_name, "pool.demo.svc");
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
    assert_eq!(asked(&pgpool, &world).timeout, LONGEST_CHECK);
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
            let validated = validate(&pgpool, &world.inputs).unwrap();
            let plan = plan(&pgpool, &validated, &world, GRACE, now()).unwrap();
            let access = access(&pgpool, &validated, &world, &plan, now());
            assert_eq!(access.is_some(), known, "row {row}, {mode:?}");
        }
    }
}

#[test]
fn pods_without_an_address_cannot_be_asked() {
    let pod = |uid: &str, ip: Option<[u8; 4]>, ready| PodFacts {
        uid: uid.to_owned(),
        ip: ip.map(Into::into),
        ready,
        ..PodFacts::default()
    };
    let world = Observed {
        pods: vec![
            pod("a", Some([10, 0, 0, 1]), true),
            pod("b", None, false),
            pod("c", Some([10, 0, 0, 3]), false),
        ],
        ..Observed::default()
    };
    let asked: Vec<_> = reachable(&world)
        .into_iter()
        .map(|pod| (pod.uid, pod.ready))
        .collect();
    assert_eq!(asked, [("a".to_owned(), true), ("c".to_owned(), false)]);
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
        let Plan {
            foundation, workload, ..
        } = planned(&pgpool, &observed);
        let running = workload.unwrap().stateful_set;
        observed.live.config_secret = Some(Arc::new(with_data(foundation.config_secret)));
        observed.live.stateful_set = Some(Arc::new(running.clone()));
        let configuration = json!({ "inline": { "pgpool.conf": "num_init_children = 8\nssl = off" } });
        pgpool.spec.configuration = Some(serde_json::from_value(configuration).unwrap());
        edit(&mut pgpool, &mut observed);
        let validated = validate(&pgpool, &observed.inputs).unwrap();
        let plan = plan(&pgpool, &validated, &observed, GRACE, now());
        assert_eq!(plan.is_ok(), goes_on, "{what}");
        let Ok(plan) = plan else { continue };
        assert_eq!(plan.configuration, Configuration::Withhold, "{what}");
        let template = |it: StatefulSet| it.spec.unwrap().template;
        let planned = plan.workload.unwrap().stateful_set;
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
