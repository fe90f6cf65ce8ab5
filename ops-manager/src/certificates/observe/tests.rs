//! What is read from the caches, and that nothing foreign is taken for ours.

use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use operator_runtime::{Availability, Lookup};
use shared_types::{Alias, Pgpool, names};

use super::{IssuerState, Presence, observe, subscribe};
use crate::cert_manager::{self, CertificateRequest, IssuerReference};
use crate::fixtures::world::{World, issuer};
use crate::fixtures::{Authority, asked, condition, named, pgpool, pgpool_with};

fn world(pgpool: &Pgpool) -> World {
    let world = World::of([pgpool.clone()], [issuer("ca", true)]);
    world.provision(pgpool);
    world
}

fn reference(kind: &str, name: &str) -> IssuerReference {
    IssuerReference {
        group: cert_manager::GROUP.into(),
        kind: kind.into(),
        name: name.into(),
    }
}

#[test]
fn groups_are_written_out() {
    let unwritten = IssuerReference::of(&pgpool(), Alias::Server);
    assert_eq!(unwritten, Some(reference("Issuer", "ca")));
    let empty = pgpool_with("issuerRef: {apiGroup: '', kind: Issuer, name: ca}");
    assert_eq!(IssuerReference::of(&empty, Alias::Server), unwritten);
    let other = pgpool_with("issuerRef: {apiGroup: example.org, kind: Issuer, name: ca}");
    assert_eq!(
        IssuerReference::of(&other, Alias::Server).unwrap().group,
        "example.org"
    );
}

#[tokio::test]
async fn all_that_is_there_is_found() {
    let pgpool = pgpool();
    let observed = observe(&world(&pgpool).caches, &pgpool);
    assert_eq!(observed.cert_manager, Availability::Served);
    let ready = &observed.issuers[&reference("Issuer", "ca")];
    assert!(
        matches!(ready, IssuerState::Present { ready: true, .. }),
        "{ready:?}"
    );
    assert_eq!(observed.prerequisites.len(), 6);
    assert!(
        observed
            .prerequisites
            .iter()
            .all(|object| matches!(object.presence, Presence::Since(_)))
    );
    assert!(observed.claims.is_empty());
}

#[tokio::test]
async fn a_users_auth_secret_under_the_default_name_is_known_by_what_is_made_from_it() {
    let plain = pgpool();
    let external = with_auth("{externallyManaged: true}");
    let chosen = with_auth("{name: my-pcp}");
    // Under a name of the user's choice it is watched.
    for (pgpool, derived_too, expected) in [
        (&plain, true, Presence::Since(None)),
        (&external, true, Presence::Since(None)),
        (&plain, false, Presence::Absent),
        (&chosen, true, Presence::Pending),
    ] {
        let world = world(pgpool);
        let mut unseen = vec![names::auth_secret(pgpool)];
        unseen.extend((!derived_too).then(|| names::pcp_secret(pgpool)));
        for name in unseen {
            let secret = world.secrets.cache.get(Some("demo"), &name).unwrap();
            world.secrets.delete((*secret).clone());
        }
        let auth = observe(&world.caches, pgpool).prerequisites.remove(0);
        assert_eq!((auth.name, auth.presence), (names::auth_secret(pgpool), expected));
    }
}

fn with_auth(auth_secret: &str) -> Pgpool {
    let mut pgpool = pgpool();
    pgpool.spec.auth_secret = serde_yaml::from_str(auth_secret).unwrap();
    pgpool
}

#[tokio::test]
async fn issuers_are_looked_up_where_they_live() {
    let pgpool = pgpool_with(
        "
        issuerRef: {kind: Issuer, name: unready}
        certificates:
        - {alias: client, issuerRef: {kind: ClusterIssuer, name: ca}}
        - {alias: metrics-exporter, issuerRef: {apiGroup: example.org, kind: Vault, name: v}}
        ",
    );
    let world = World::of([pgpool.clone()], [issuer("ca", true), issuer("unready", false)]);
    let state = |kind, name| observe(&world.caches, &pgpool).issuers[&reference(kind, name)].clone();
    let unready = state("Issuer", "unready");
    assert!(matches!(&unready, IssuerState::Present { ready: false, message, .. } if message == "words"));
    assert_eq!(
        state("ClusterIssuer", "ca"),
        IssuerState::Absent,
        "an Issuer is no ClusterIssuer"
    );
    let external = IssuerReference {
        group: "example.org".into(),
        kind: "Vault".into(),
        name: "v".into(),
    };
    assert_eq!(
        observe(&world.caches, &pgpool).issuers[&external],
        IssuerState::Unchecked
    );

    for (availability, expected) in [
        (Availability::Forbidden, IssuerState::Unchecked),
        (Availability::Absent, IssuerState::KindAbsent),
        (Availability::Starting, IssuerState::Starting),
    ] {
        world.cluster_issuers.set_availability(availability);
        assert_eq!(state("ClusterIssuer", "ca"), expected);
    }
    world.certificates.set_availability(Availability::Absent);
    assert_eq!(observe(&world.caches, &pgpool).cert_manager, Availability::Absent);
}

#[tokio::test]
async fn a_secret_counts_only_with_the_labels_of_this_pgpool() {
    let pgpool = pgpool();
    let world = world(&pgpool);
    let certificate = asked(&pgpool).children[&Alias::Server]
        .certificate
        .clone()
        .unwrap();
    let mut secret = Authority::new("root").secret(&certificate, |_| ());
    let found = |world: &World| {
        observe(&world.caches, &pgpool).children[&Alias::Server]
            .secret
            .clone()
    };
    world.secrets.apply(secret.clone());
    assert!(matches!(found(&world), Lookup::Present(_)));
    secret
        .labels_mut()
        .insert(names::LABEL_INSTANCE.into(), "another".into());
    world.secrets.apply(secret);
    world.certificates.apply((*certificate).clone());
    assert!(matches!(found(&world), Lookup::Absent));
}

#[tokio::test]
async fn a_default_name_is_watched_while_no_certificate_is_written_to_it() {
    let plain = pgpool();
    let with_tls = |change: fn(&mut Pgpool)| {
        let mut pgpool = pgpool();
        change(&mut pgpool);
        pgpool
    };
    let without_tls = with_tls(|pgpool| pgpool.spec.tls = None);
    let without_issuer = with_tls(|pgpool| pgpool.spec.tls.as_mut().unwrap().issuer_ref = None);
    let mut ours = (**asked(&plain).children[&Alias::Server]
        .certificate
        .as_ref()
        .unwrap())
    .clone();
    let here = Some(ours.clone());
    ours.spec.secret_name = "elsewhere".into();
    let served = Availability::Served;
    for (case, pgpool, certificate, cert_manager, watched) in [
        ("nothing yet", &plain, None, served, true),
        ("written elsewhere", &plain, Some(ours), served, true),
        ("written here", &plain, here, served, false),
        ("no cert-manager", &plain, None, Availability::Absent, false),
        ("no TLS", &without_tls, None, served, false),
        ("no issuer", &without_issuer, None, served, false),
    ] {
        let world = world(pgpool);
        world.certificates.set_availability(cert_manager);
        if let Some(certificate) = certificate {
            world.certificates.apply(certificate);
        }
        subscribe(&world.caches, pgpool);
        let secret = &observe(&world.caches, pgpool).children[&Alias::Server].secret;
        assert_eq!(matches!(secret, Lookup::Pending), watched, "{case}: {secret:?}");
        assert!(watched || matches!(secret, Lookup::Absent), "{case}: {secret:?}");
    }
}

#[tokio::test]
async fn a_secret_named_by_the_user_is_looked_up_by_name() {
    let pgpool = pgpool_with("certificates: [{alias: server, secretName: mine}]");
    let world = world(&pgpool);
    subscribe(&world.caches, &pgpool);
    let server = |world: &World| {
        observe(&world.caches, &pgpool).children[&Alias::Server]
            .secret
            .clone()
    };
    assert!(
        matches!(server(&world), Lookup::Pending),
        "its watch has not answered yet"
    );

    let certificate = asked(&pgpool).children[&Alias::Server]
        .certificate
        .clone()
        .unwrap();
    world
        .secrets
        .apply(Authority::new("root").secret(&certificate, |_| ()));
    assert!(
        matches!(server(&world), Lookup::Present(_)),
        "with our labels it needs no watch of its own"
    );
    world.caches.unsubscribe(&ObjectRef::from_obj(&pgpool));
}

#[tokio::test]
async fn other_pgpools_of_the_namespace_claim_names() {
    let ours = pgpool_with("certificates: [{alias: server, secretName: shared}]");
    let world = world(&ours);
    let shared = |name: &str| {
        named(
            pgpool_with("certificates: [{alias: client, secretName: shared}]"),
            name,
        )
    };
    let mut elsewhere = shared("elsewhere");
    elsewhere.metadata.namespace = Some("other".into());
    let mut without_tls = shared("without");
    without_tls.spec.tls = None;
    for other in [shared("other"), elsewhere, without_tls, named(pgpool(), "plain")] {
        world.pgpools.apply(other);
    }
    let claims = observe(&world.caches, &ours).claims;
    let names: Vec<_> = claims
        .iter()
        .map(|claim| (claim.pgpool.as_str(), claim.secret.as_str()))
        .collect();
    assert_eq!(names, [("other", "shared")]);
}

#[tokio::test]
async fn the_newest_request_tells_about_a_certificate_that_is_not_ready() {
    let pgpool = pgpool();
    let world = world(&pgpool);
    let mut certificate = (**asked(&pgpool).children[&Alias::Server]
        .certificate
        .as_ref()
        .unwrap())
    .clone();
    world.certificates.apply(certificate.clone());
    for (name, made_for) in [
        ("a-1", "pool-server-cert"),
        ("a-2", "pool-server-cert"),
        ("b-9", "pool-client-cert"),
    ] {
        let mut request = CertificateRequest::default();
        request.meta_mut().name = Some(name.into());
        request.meta_mut().namespace = Some("demo".into());
        request
            .labels_mut()
            .insert(names::LABEL_INSTANCE.into(), "pool".into());
        request
            .annotations_mut()
            .insert(cert_manager::CERTIFICATE_NAME.into(), made_for.into());
        world.certificate_requests.apply(request);
    }
    let request = |world: &World| {
        observe(&world.caches, &pgpool).children[&Alias::Server]
            .request
            .clone()
    };
    assert_eq!(
        request(&world).map(|request| request.name_any()),
        Some("a-2".into())
    );

    let ready = vec![condition("Ready", "True", "Ready", "up to date")];
    certificate.status = Some(cert_manager::CertificateStatus {
        conditions: ready,
        ..Default::default()
    });
    world.certificates.apply(certificate);
    assert!(request(&world).is_none());
}
