//! The table.

use super::Guard::{
    CheckedByOperator, CreateCertificates, CreatePods, CreateServices, Forbidden, Free, Impersonate, NoEffect,
};
use super::{Field, Guard, When};

const fn of(path: &'static str, guard: Guard) -> Field {
    Field {
        path,
        guard,
        when: When::Set,
        note: "",
    }
}

const fn when(path: &'static str, guard: Guard, when: When, note: &'static str) -> Field {
    Field {
        path,
        guard,
        when,
        note,
    }
}

const fn note(path: &'static str, guard: Guard, note: &'static str) -> Field {
    when(path, guard, When::Set, note)
}

const LABELS: &str = "Keys without a prefix, and those of app.kubernetes.io, helm.sh, kubedb.com, Argo CD and Flux, need \
                      nothing else.";
const VARIABLES: &str = "Variables with a plain value need no further right, unless a loader, a shell or a library reads them, \
                         such as LD_PRELOAD.";
const SECURITY: &str = "With tenancy `restricted`, only what the level Baseline of Pod Security allows.";

/// What the author of each field needs. Paths end where all fields below need the same.
pub const FIELDS: &[Field] = &[
    when("metadata.labels", CreatePods, When::PrefixedKey, LABELS),
    of("spec.authSecret", CheckedByOperator),
    of("spec.autoOps", Free),
    of("spec.clientAuthMode", Free),
    note(
        "spec.configuration",
        CheckedByOperator,
        "Settings that make pgpool run a command are refused unless the chart of the provisioner allows them.",
    ),
    of("spec.deletionPolicy", Free),
    of("spec.healthChecker", Free),
    of("spec.init.archiver", NoEffect),
    of("spec.init.initialized", Free),
    of("spec.init.waitForInitialRestore", NoEffect),
    note("spec.init.script", CreatePods, SECURITY),
    of("spec.init.script.hostPath", Forbidden),
    of("spec.monitor.agent", Free),
    of("spec.monitor.prometheus.exporter.args", CreatePods),
    when(
        "spec.monitor.prometheus.exporter.env[]",
        CreatePods,
        When::Variable,
        VARIABLES,
    ),
    of("spec.monitor.prometheus.exporter.port", Free),
    of("spec.monitor.prometheus.exporter.resources", Free),
    note(
        "spec.monitor.prometheus.exporter.securityContext",
        CreatePods,
        SECURITY,
    ),
    of(
        "spec.monitor.prometheus.serviceMonitor.endpoints[].metricRelabelings",
        Free,
    ),
    of("spec.monitor.prometheus.serviceMonitor.endpoints[].port", Free),
    when(
        "spec.monitor.prometheus.serviceMonitor.endpoints[].relabelings[]",
        Forbidden,
        When::Relabeling,
        "Only rules that write a label beginning with two underscores, which would send Prometheus to another target.",
    ),
    of("spec.monitor.prometheus.serviceMonitor.interval", Free),
    of("spec.monitor.prometheus.serviceMonitor.labels", Free),
    of("spec.monitor.prometheus.serviceMonitor.podTargetLabels", Free),
    of("spec.monitor.prometheus.serviceMonitor.targetLabels", Free),
    when(
        "spec.podTemplate.controller.annotations",
        CreatePods,
        When::PrefixedKey,
        LABELS,
    ),
    when(
        "spec.podTemplate.controller.labels",
        CreatePods,
        When::PrefixedKey,
        LABELS,
    ),
    when(
        "spec.podTemplate.metadata.annotations",
        CreatePods,
        When::PrefixedKey,
        LABELS,
    ),
    when(
        "spec.podTemplate.metadata.labels",
        CreatePods,
        When::PrefixedKey,
        LABELS,
    ),
    of("spec.podTemplate.spec.activeDeadlineSeconds", NoEffect),
    of("spec.podTemplate.spec.automountServiceAccountToken", CreatePods),
    when(
        "spec.podTemplate.spec.containers[]",
        CreatePods,
        When::Container,
        "Resources and variables with a plain value of the containers pgpool and exporter need no further right. With tenancy \
         `restricted`, only what the level Baseline of Pod Security allows.",
    ),
    of("spec.podTemplate.spec.dnsConfig", CreatePods),
    of("spec.podTemplate.spec.dnsPolicy", CreatePods),
    of("spec.podTemplate.spec.enableServiceLinks", Free),
    of("spec.podTemplate.spec.ephemeralContainers", NoEffect),
    of("spec.podTemplate.spec.hostAliases", CreatePods),
    of("spec.podTemplate.spec.hostIPC", Forbidden),
    of("spec.podTemplate.spec.hostNetwork", Forbidden),
    of("spec.podTemplate.spec.hostPID", Forbidden),
    of("spec.podTemplate.spec.hostUsers", CreatePods),
    of("spec.podTemplate.spec.hostname", CreatePods),
    of("spec.podTemplate.spec.imagePullSecrets", Free),
    when(
        "spec.podTemplate.spec.initContainers[]",
        CreatePods,
        When::Container,
        SECURITY,
    ),
    of("spec.podTemplate.spec.nodeName", Forbidden),
    of("spec.podTemplate.spec.nodeSelector", Free),
    of("spec.podTemplate.spec.os", CreatePods),
    of("spec.podTemplate.spec.overhead", CreatePods),
    of("spec.podTemplate.spec.podPlacementPolicy", NoEffect),
    of("spec.podTemplate.spec.preemptionPolicy", CreatePods),
    of("spec.podTemplate.spec.priority", CreatePods),
    note(
        "spec.podTemplate.spec.priorityClassName",
        CreatePods,
        "With tenancy `restricted`, system priority classes are not allowed.",
    ),
    of("spec.podTemplate.spec.readinessGates", CreatePods),
    of("spec.podTemplate.spec.resourceClaims", CreatePods),
    of("spec.podTemplate.spec.resources", Free),
    of("spec.podTemplate.spec.restartPolicy", NoEffect),
    of("spec.podTemplate.spec.runtimeClassName", CreatePods),
    of("spec.podTemplate.spec.schedulerName", CreatePods),
    of("spec.podTemplate.spec.schedulingGates", CreatePods),
    note("spec.podTemplate.spec.securityContext", CreatePods, SECURITY),
    of("spec.podTemplate.spec.serviceAccount", Impersonate),
    of("spec.podTemplate.spec.serviceAccountName", Impersonate),
    of("spec.podTemplate.spec.setHostnameAsFQDN", CreatePods),
    of("spec.podTemplate.spec.shareProcessNamespace", CreatePods),
    of("spec.podTemplate.spec.subdomain", CreatePods),
    of("spec.podTemplate.spec.terminationGracePeriodSeconds", Free),
    of("spec.podTemplate.spec.tolerations", Free),
    of("spec.podTemplate.spec.volumes", CreatePods),
    of("spec.podTemplate.spec.volumes[].hostPath", Forbidden),
    note(
        "spec.postgresRef",
        CheckedByOperator,
        "An AppBinding of another namespace needs the consent of its owner.",
    ),
    of("spec.replicas", Free),
    of("spec.serviceTemplates[].alias", Free),
    when(
        "spec.serviceTemplates[].metadata.annotations",
        Forbidden,
        When::ServiceAnnotation,
        "Keys without a prefix, and those in the list below, need no further right.",
    ),
    of("spec.serviceTemplates[].metadata.labels", Free),
    of("spec.serviceTemplates[].spec.clusterIP", CreateServices),
    of("spec.serviceTemplates[].spec.externalIPs", Forbidden),
    of("spec.serviceTemplates[].spec.externalTrafficPolicy", Free),
    of("spec.serviceTemplates[].spec.healthCheckNodePort", Free),
    of("spec.serviceTemplates[].spec.loadBalancerIP", Forbidden),
    of("spec.serviceTemplates[].spec.loadBalancerSourceRanges", Free),
    of("spec.serviceTemplates[].spec.ports", Free),
    of("spec.serviceTemplates[].spec.sessionAffinityConfig", Free),
    of("spec.serviceTemplates[].spec.type", Free),
    of("spec.sslMode", Free),
    of("spec.syncUsers", Free),
    of("spec.tls.certificates[].alias", Free),
    when(
        "spec.tls.certificates[].dnsNames[]",
        CreateCertificates,
        When::ForeignName,
        "Names of the Services and pods of the pool need no further right.",
    ),
    of("spec.tls.certificates[].duration", Free),
    of("spec.tls.certificates[].emailAddresses", CreateCertificates),
    when(
        "spec.tls.certificates[].ipAddresses[]",
        CreateCertificates,
        When::ForeignName,
        "127.0.0.1 and ::1 need no further right.",
    ),
    when(
        "spec.tls.certificates[].issuerRef",
        CreateCertificates,
        When::ClusterIssuer,
        "An Issuer in the namespace needs nothing else.",
    ),
    of("spec.tls.certificates[].privateKey", Free),
    of("spec.tls.certificates[].renewBefore", Free),
    of("spec.tls.certificates[].secretName", CheckedByOperator),
    of("spec.tls.certificates[].subject", CreateCertificates),
    of("spec.tls.certificates[].uris", CreateCertificates),
    when(
        "spec.tls.issuerRef",
        CreateCertificates,
        When::ClusterIssuer,
        "An Issuer in the namespace needs nothing else.",
    ),
    of("spec.tls.names", Free),
    of("spec.version", Free),
];
