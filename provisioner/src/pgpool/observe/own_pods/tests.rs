use super::*;
use crate::fixtures::{parse, plain_pgpool};

fn stateful_set(owner: &str) -> StatefulSet {
    parse(&format!(
        "
metadata:
  name: pool
  namespace: demo
  uid: set
  ownerReferences: [{{apiVersion: kubedb.com/v1alpha2, kind: Pgpool, name: pool, uid: {owner}, controller: true}}]
"
    ))
}

fn pod(owners: &str) -> Pod {
    parse(&format!(
        "
metadata: {{name: pool-0, namespace: demo, ownerReferences: {owners}}}
spec:
  containers: []
  volumes: [{{name: certs, secret: {{secretName: pool-tls-a}}}}]
"
    ))
}

#[test]
fn only_pods_that_the_stateful_set_of_the_pool_controls_belong_to_it() {
    let pgpool = plain_pgpool();
    let uid = pgpool.metadata.uid.clone().unwrap();
    let own = "[{apiVersion: apps/v1, kind: StatefulSet, name: pool, uid: set, controller: true}]";
    let rows = [
        (own, None),
        ("[]", Some("nothing")),
        (
            "[{apiVersion: apps/v1, kind: StatefulSet, name: pool, uid: set}]",
            Some("nothing"),
        ),
        (
            "[{apiVersion: apps/v1, kind: StatefulSet, name: pool, uid: other, controller: true}]",
            Some("StatefulSet pool with the UID other"),
        ),
        (
            "[{apiVersion: apps/v1, kind: ReplicaSet, name: pool, uid: set, controller: true}]",
            Some("ReplicaSet pool with the UID set"),
        ),
    ];
    for (owners, expected) in rows {
        let foreign = foreign(&pod(owners), &pgpool, Some(&stateful_set(&uid)));
        let controller = foreign.map(|foreign| foreign.controller.unwrap());
        assert_eq!(controller.as_deref(), expected, "{owners}");
    }
    // Without a StatefulSet of the pool nothing belongs to it, and nothing is said against a pod.
    for set in [None, Some(stateful_set("someone-else"))] {
        let foreign = foreign(&pod(own), &pgpool, set.as_ref()).unwrap();
        assert_eq!(foreign.controller, None);
        assert_eq!(foreign.mounted_certificates, Some("pool-tls-a".to_owned().into()));
    }
}
