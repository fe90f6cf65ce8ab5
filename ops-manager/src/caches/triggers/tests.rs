//! Every kind of event wakes the Pgpools that it concerns.

use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::runtime::reflector::ObjectRef;
use operator_runtime::Availability;
use shared_types::{Alias, Pgpool, names};

use super::Triggers;
use crate::cert_manager::{CertificateRequest, ClusterIssuer};
use crate::fixtures::world::{World, issuer};
use crate::fixtures::{Authority, asked, named, pgpool, pgpool_with};

/// The names that come until nothing comes any more.
async fn woken(stream: &mut (impl Stream<Item = ObjectRef<Pgpool>> + Unpin)) -> Vec<String> {
    let mut names = Vec::new();
    while let Ok(Some(pgpool)) = tokio::time::timeout(Duration::from_millis(20), stream.next()).await {
        names.push(pgpool.name);
    }
    names.sort();
    names.dedup();
    names
}

#[tokio::test]
async fn each_change_wakes_whom_it_concerns() {
    let of_cluster = named(
        pgpool_with("issuerRef: {kind: ClusterIssuer, name: company}"),
        "of-cluster",
    );
    let mut without_tls = named(pgpool(), "without");
    without_tls.spec.tls = None;
    let world = World::of([pgpool(), of_cluster.clone(), without_tls], [issuer("ca", true)]);
    let mut stream = Triggers::of(&world.caches).pgpools;
    assert_eq!(
        woken(&mut stream).await,
        ["of-cluster", "pool", "without"],
        "all of them at first"
    );
    assert!(woken(&mut stream).await.is_empty());

    world.issuers.apply(issuer("ca", false));
    assert_eq!(woken(&mut stream).await, ["pool"]);
    world.issuers.delete(issuer("ca", false));
    assert_eq!(woken(&mut stream).await, ["pool"]);
    let mut company = ClusterIssuer::default();
    company.metadata.name = Some("company".into());
    world.cluster_issuers.apply(company);
    assert_eq!(woken(&mut stream).await, ["of-cluster"]);

    world.provision(&of_cluster);
    assert_eq!(woken(&mut stream).await, ["of-cluster"]);
    let certificate = asked(&pgpool()).children[&Alias::Server]
        .certificate
        .clone()
        .unwrap();
    world.certificates.apply((*certificate).clone());
    assert_eq!(woken(&mut stream).await, ["pool"]);
    let metadata = certificate.metadata.clone();
    world.certificate_requests.apply(CertificateRequest {
        metadata,
        ..CertificateRequest::default()
    });
    assert_eq!(woken(&mut stream).await, ["pool"]);
    let secret = Authority::new("root").secret(&certificate, |_| ());
    world.secrets.apply(secret.clone());
    assert_eq!(woken(&mut stream).await, ["pool"]);
    world.secrets.delete(secret);
    assert_eq!(woken(&mut stream).await, ["pool"]);
    assert_eq!(
        names::certificate_secret(&pgpool(), Alias::Server),
        "pool-server-cert"
    );

    world.certificates.set_availability(Availability::Absent);
    assert_eq!(
        woken(&mut stream).await,
        ["of-cluster", "pool"],
        "those that ask for TLS"
    );
    world.pgpools.delete(pgpool());
    assert_eq!(woken(&mut stream).await, ["pool"], "so that it is forgotten");
}
