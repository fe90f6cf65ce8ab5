//! What each manifest of `KubeDB`'s documentation is to lead to, by its place there; and each sample of our own that has the
//! same fields. Pure: a table.

/// What becomes of a manifest.
#[derive(Clone, Copy, Debug)]
pub enum Expectation {
    /// A Pgpool that serves, and of which all this holds.
    Ready(&'static [Fact]),
    /// A Pgpool that waits for something, says so with all these words, and of which all this holds.
    Waits(&'static [&'static str], &'static [Fact]),
    /// Ready on a node whose taint it tolerates.
    ReadyOnTainted,
    /// It waits as above while every node has a taint.
    WaitsOnTainted(&'static [&'static str]),
    /// Something that others refer to: it is accepted, and the others show whether it does.
    Referred,
    /// A request about the pool of another manifest, carried out with success once that is ready, in this place among
    /// the requests for it; all this holds then.
    Carried(&'static str, u8, &'static [Fact]),
    /// A kind that is not ours to serve: it is not even tried.
    Foreign,
}

/// Something that holds of a pool.
#[derive(Clone, Copy, Debug)]
pub enum Fact {
    /// Its `pgpool.conf` has the setting once, with this value.
    Setting(&'static str, &'static str),
    /// So many pods serve.
    Pods(usize),
    /// Its pods run these containers.
    Containers(&'static [&'static str]),
    /// All containers of its pods are ready.
    AllReady,
    /// Container `pgpool` has this, by its path in the container.
    Pgpool(&'static str, &'static str),
    /// Its pods have this, by its path in their spec.
    Pod(&'static str, &'static str),
    /// pgpool knows these users.
    Users(&'static [&'static str]),
    /// The user's service account is as the user made it.
    Account(&'static str),
    /// Its Service for metrics tells Prometheus to scrape port 9719.
    Annotated,
    /// The Service for metrics, and the `ServiceMonitor` where the cluster has that kind.
    Monitored,
    /// Its server certificate has these names, and others.
    Certified(&'static [&'static str]),
    /// psql gets a row with the pool's client certificate and without a password.
    ByCertificate,
    /// A Secret has something under a key.
    Credential(&'static str, &'static str),
    /// A Job is to run the script of a repository, fetched with these arguments among others.
    Fetches(&'static [&'static str]),
}

use Expectation::{Carried, Foreign, Ready, ReadyOnTainted, Referred, Waits, WaitsOnTainted};
use Fact::{
    Account, AllReady, Annotated, ByCertificate, Certified, Containers, Credential, Fetches, Monitored,
    Pgpool, Pod, Pods, Setting, Users,
};

/// The defaults of a pool whose manifest asks for next to nothing.
const DEFAULTS: &[Fact] = &[
    Pods(1),
    AllReady,
    Pgpool("/resources/requests/cpu", "500m"),
    Pgpool("/resources/requests/memory", "1Gi"),
    Pgpool("/resources/limits/memory", "1Gi"),
    Setting("num_init_children", "5"),
    Setting("max_pool", "15"),
    Users(&["postgres"]),
];

/// A pool with the resources that the requests for more of them name.
const LARGE: &[Fact] = &[
    AllReady,
    Pgpool("/resources/requests/cpu", "1"),
    Pgpool("/resources/limits/cpu", "1"),
    Pgpool("/resources/limits/memory", "2Gi"),
];

/// The settings of `configuration/pgpool.conf`, which are also in the Secret that the harness provides.
const SETTINGS: &[Fact] = &[
    Setting("num_init_children", "6"),
    Setting("max_pool", "65"),
    Setting("child_life_time", "400"),
    AllReady,
];

/// The manifests, each by its path below `docs/examples/pgpool` without ending.
pub const EXAMPLES: &[(&str, Expectation)] = &[
    (
        "autoscaling/compute/pgpool-autoscale",
        Ready(&[
            Pgpool("/resources/requests/cpu", "200m"),
            Pgpool("/resources/requests/memory", "300Mi"),
            Pgpool("/resources/limits/cpu", "200m"),
            Pgpool("/resources/limits/memory", "300Mi"),
        ]),
    ),
    ("autoscaling/compute/pgpool-autoscaler", Foreign),
    ("configuration/pgpool-config-file", Ready(SETTINGS)),
    (
        // The image is a placeholder of that documentation: nobody can pull it.
        "configuration/pgpool-config-sidecar",
        Waits(
            &["filebeat"],
            &[
                Containers(&["pgpool", "filebeat"]),
                Setting("logging_collector", "on"),
                Setting("log_directory", "/tmp/pgpool_log"),
                Setting("log_file_mode", "0777"),
                Pod("/volumes/name=data/emptyDir", "{}"),
            ],
        ),
    ),
    ("configuration/pgpool-init-config", Ready(SETTINGS)),
    (
        "configuration/pgpool-node-selector",
        Waits(
            &["pgpool-node-selector-0", "node"],
            &[Pod("/nodeSelector/disktype", "ssd")],
        ),
    ),
    ("configuration/pgpool-with-tolerations", ReadyOnTainted),
    (
        "configuration/pgpool-without-tolerations",
        WaitsOnTainted(&["pgpool-without-tolerations-0", "taint"]),
    ),
    (
        "configuration/pp-misc-config",
        Ready(&[Users(&["alice", "bob", "postgres"])]),
    ),
    ("custom-rbac/mg-custom-role", Referred),
    (
        "custom-rbac/pgpool-new",
        Ready(&[
            Pod("/serviceAccountName", "my-custom-serviceaccount"),
            Account("my-custom-serviceaccount"),
        ]),
    ),
    (
        "custom-rbac/pp-custom",
        Ready(&[
            Pod("/serviceAccountName", "my-custom-serviceaccount"),
            Account("my-custom-serviceaccount"),
        ]),
    ),
    (
        "initialization/git-sync/git-sync-public",
        Ready(&[
            Setting("max_pool", "65"),
            Fetches(&["--root=/init-scripts", "--one-time", "--link=current"]),
        ]),
    ),
    (
        "monitoring/builtin-prom-pp",
        Ready(&[Pods(1), Containers(&["pgpool", "exporter"]), AllReady, Annotated]),
    ),
    (
        "monitoring/coreos-prom-pp",
        Ready(&[Pods(1), Containers(&["pgpool", "exporter"]), AllReady, Monitored]),
    ),
    ("quickstart/quick-pgpool", Ready(DEFAULTS)),
    ("quickstart/quick-postgres", Foreign),
    ("reconfiguration/pp-custom-config", Ready(SETTINGS)),
    (
        "reconfiguration/ppops-reconfigure-apply",
        Carried(
            "reconfiguration/pp-custom-config",
            2,
            &[Setting("max_pool", "75"), AllReady],
        ),
    ),
    (
        "reconfiguration/ppops-reconfigure-remove",
        Carried(
            "reconfiguration/pp-custom-config",
            3,
            &[Setting("max_pool", "15"), AllReady],
        ),
    ),
    (
        "reconfiguration/ppops-reconfigure",
        Carried("reconfiguration/pp-custom-config", 1, SETTINGS),
    ),
    ("reconfigure-tls/issuer", Referred),
    ("reconfigure-tls/new-issuer", Referred),
    ("tls/issuer", Referred),
    ("reconfigure-tls/pgpool", Ready(DEFAULTS)),
    ("restart/pgpool", Ready(DEFAULTS)),
    ("scaling/pp-vertical", Ready(DEFAULTS)),
    (
        "reconfigure-tls/ppops-add-tls",
        Carried("reconfigure-tls/pgpool", 1, &[ByCertificate, AllReady]),
    ),
    (
        "reconfigure-tls/ppops-change-issuer",
        Carried("reconfigure-tls/pgpool", 3, &[ByCertificate, AllReady]),
    ),
    (
        "reconfigure-tls/ppops-remove",
        Carried("reconfigure-tls/pgpool", 4, &[Users(&["postgres"]), AllReady]),
    ),
    (
        "reconfigure-tls/ppops-rotate",
        Carried("reconfigure-tls/pgpool", 2, &[ByCertificate, AllReady]),
    ),
    ("restart/ops", Carried("restart/pgpool", 1, DEFAULTS)),
    (
        "rotateauth/rotateauth",
        Carried(
            "quickstart/quick-pgpool",
            1,
            &[Credential("quick-pgpool-auth", "password.prev")],
        ),
    ),
    (
        "rotateauth/rotateauthuser",
        Carried("quickstart/quick-pgpool", 2, &[AllReady]),
    ),
    (
        "scaling/pp-vertical-ops-inplace",
        Carried("scaling/pp-vertical", 1, LARGE),
    ),
    (
        "scaling/pp-vertical-ops",
        Carried("scaling/pp-vertical", 2, LARGE),
    ),
    (
        "scaling/ppops-hscale-up-ops",
        Carried("scaling/pp-horizontal", 1, &[Pods(3), AllReady]),
    ),
    (
        "scaling/ppops-hscale-down-ops",
        Carried("scaling/pp-horizontal", 2, &[Pods(2), AllReady]),
    ),
    (
        "scaling/pp-horizontal",
        Ready(&[Setting("max_pool", "60"), AllReady]),
    ),
    ("sync-users/pgpool-sync", Ready(&[Users(&["john", "postgres"])])),
    ("sync-users/secret", Referred),
    (
        "tls/pgpool-ssl",
        Ready(&[
            Certified(&["localhost", "127.0.0.1"]),
            Users(&["john", "postgres"]),
            ByCertificate,
            AllReady,
        ]),
    ),
    ("update-version/pp-update", Ready(DEFAULTS)),
    (
        "update-version/ppops-update",
        Carried("update-version/pp-update", 1, DEFAULTS),
    ),
    ("vs", Waits(&["virtual-secrets.dev"], &[])),
];

/// Our own samples of the same fields, by the names of the Pgpools.
pub const SAMPLES: &[(&str, Expectation)] = &[
    ("smallest", Ready(DEFAULTS)),
    (
        "own-resources",
        Ready(&[
            Pgpool("/resources/requests/cpu", "1"),
            Pgpool("/resources/limits/cpu", "1500m"),
            Pgpool("/resources/requests/memory", "300Mi"),
        ]),
    ),
    ("settings-in-secret", Ready(SETTINGS)),
    ("settings-in-place", Ready(&[Setting("max_pool", "65"), Pods(3)])),
    (
        "beside-another",
        Waits(&["shipper"], &[Containers(&["pgpool", "shipper"])]),
    ),
    (
        "on-chosen-nodes",
        Waits(
            &["on-chosen-nodes-0", "node"],
            &[Pod("/nodeSelector/disktype", "ssd")],
        ),
    ),
    (
        "more-users",
        Ready(&[Users(&["reports", "postgres"]), Account("own-account")]),
    ),
    (
        "scripts-from-git",
        Ready(&[Fetches(&["--root=/init-scripts", "--link=current"])]),
    ),
    ("scraped-by-annotation", Ready(&[Annotated, AllReady])),
    ("scraped-by-operator", Ready(&[Monitored, AllReady])),
    ("without-tls", Ready(&[Users(&["john", "postgres"])])),
    (
        "with-tls",
        Ready(&[
            Certified(&["localhost", "127.0.0.1"]),
            Users(&["john", "postgres"]),
            ByCertificate,
        ]),
    ),
    ("virtual-secret", Waits(&["virtual-secrets.dev"], &[])),
];

/// What is expected of a manifest; nothing when the table does not know it.
#[must_use]
pub fn of(table: &[(&str, Expectation)], name: &str) -> Option<Expectation> {
    table
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, expectation)| *expectation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manifest_is_in_the_table_once() {
        for table in [EXAMPLES, SAMPLES] {
            let mut names: Vec<_> = table.iter().map(|(name, _)| name).collect();
            names.sort();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all);
        }
        assert_eq!(EXAMPLES.len(), 45);
        assert!(of(EXAMPLES, "vs").is_some());
        assert!(of(EXAMPLES, "vs.yaml").is_none());
        for (name, expectation) in EXAMPLES {
            if let Carried(pool, ..) = expectation {
                assert!(
                    matches!(of(EXAMPLES, pool), Some(Ready(_))),
                    "{name} is about no pool"
                );
            }
        }
    }
}
