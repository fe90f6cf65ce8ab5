//! What no user may request under restricted tenancy: whatever the Baseline Pod Security Standard forbids, the system
//! priority classes, Service addresses and annotations that affect other tenants, and Prometheus scrape targets.
//!
//! See <https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline>.

use k8s_openapi::api::admissionregistration::v1::{Validation, Variable};

use super::cel::{list, variable};
use super::required;
use crate::rights::plain;

/// The fields of a container that the level Baseline is about.
const OF_CONTAINER: [&str; 6] = [
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "securityContext",
    "startupProbe",
];

/// Capabilities that a container may add.
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Sysctls that concern only the pod.
const SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
];

const SELINUX_TYPES: [&str; 5] = [
    "",
    "container_engine_t",
    "container_init_t",
    "container_kvm_t",
    "container_t",
];

/// How to get what is refused.
const OTHERWISE: &str = "remove it, or ask the administrators of the cluster for tenancy trusted";

pub(super) fn variables() -> Vec<Variable> {
    // The security contexts of containers that are not in a list of containers, under names that no container has.
    let containers = |spec: &str, pod: &str| {
        format!(
            "{pod}.?containers.orValue([]) + {pod}.?initContainers.orValue([]) + \
             (has({spec}.init) && has({spec}.init.script) && has({spec}.init.script.git) && \
             has({spec}.init.script.git.securityContext) ? [dyn({{'name': dyn('/git'), 'securityContext': \
             {spec}.init.script.git.securityContext}})] : []) + (has({spec}.monitor) && has({spec}.monitor.prometheus) && \
             has({spec}.monitor.prometheus.exporter) && has({spec}.monitor.prometheus.exporter.securityContext) ? \
             [dyn({{'name': dyn('/exporter'), 'securityContext': {spec}.monitor.prometheus.exporter.securityContext}})] : [])"
        )
    };
    let host_paths = |spec: &str, pod: &str| {
        format!(
            "{pod}.?volumes.orValue([]).filter(v, has(v.hostPath)).map(v, v.hostPath) + (has({spec}.init) && \
             has({spec}.init.script) && has({spec}.init.script.hostPath) ? [{spec}.init.script.hostPath] : [])"
        )
    };
    vec![
        variable("everyContainer", containers("variables.spec", "variables.pod")),
        variable(
            "everyOldContainer",
            containers("variables.old", "variables.oldPod"),
        ),
        variable("hostPaths", host_paths("variables.spec", "variables.pod")),
        variable("oldHostPaths", host_paths("variables.old", "variables.oldPod")),
        variable("services", "variables.spec.?serviceTemplates.orValue([])"),
        variable("oldServices", "variables.old.?serviceTemplates.orValue([])"),
        variable(
            "endpoints",
            "variables.spec.?monitor.?prometheus.?serviceMonitor.?endpoints.orValue([])",
        ),
        variable(
            "oldEndpoints",
            "variables.old.?monitor.?prometheus.?serviceMonitor.?endpoints.orValue([])",
        ),
    ]
}

pub(super) fn validations() -> Vec<Validation> {
    let mut validations = pods();
    validations.extend(services());
    validations.push(required(
        relabelings(),
        "spec.monitor.prometheus.serviceMonitor.endpoints[].relabelings must not write labels that begin with __, which \
         would send Prometheus to another target: write another label",
    ));
    validations
}

fn pods() -> Vec<Validation> {
    vec![
        required(
            "['hostIPC', 'hostNetwork', 'hostPID'].all(k, !variables.pod[?k].orValue(false) || variables.oldPod[?k].orValue(false))",
            format!(
                "spec.podTemplate.spec has hostIPC, hostNetwork or hostPID, which are forbidden here: {OTHERWISE}"
            ),
        ),
        required(
            "variables.hostPaths.all(p, p in variables.oldHostPaths)",
            format!(
                "a volume of spec.podTemplate.spec.volumes or spec.init.script is a hostPath, which is forbidden here: {OTHERWISE}"
            ),
        ),
        required(
            "variables.pod.?nodeName.orValue('') == '' || variables.pod.?nodeName == variables.oldPod.?nodeName",
            "spec.podTemplate.spec.nodeName is forbidden here: use nodeSelector",
        ),
        required(
            "!variables.pod.?priorityClassName.orValue('').startsWith('system-') || variables.pod.?priorityClassName == \
             variables.oldPod.?priorityClassName",
            format!(
                "spec.podTemplate.spec.priorityClassName is a class of the system, which is forbidden here: {OTHERWISE}"
            ),
        ),
        required(
            format!(
                "variables.pod.?securityContext == variables.oldPod.?securityContext || ({} && \
                 variables.pod.?securityContext.?sysctls.orValue([]).all(s, s.name in {}))",
                profiles("variables.pod"),
                list(&SYSCTLS)
            ),
            format!(
                "spec.podTemplate.spec.securityContext has a sysctl, profile or option beyond the level Baseline of Pod \
                 Security: {OTHERWISE}"
            ),
        ),
        required(
            format!(
                "variables.everyContainer.all(c, ({} && {}) || variables.everyOldContainer.exists(o, o.name == c.name && \
                 {}.all(k, c[?k] == o[?k])))",
                privileges(),
                addresses(),
                list(&OF_CONTAINER)
            ),
            format!(
                "a container of spec.podTemplate.spec, spec.init or spec.monitor has privileges, capabilities, a hostPort, a \
                 profile or a probe of another host beyond the level Baseline of Pod Security: {OTHERWISE}"
            ),
        ),
        required(
            "variables.podAnnotations.all(k, !k.startsWith('container.apparmor.security.beta.kubernetes.io/') || \
             !variables.podAnnotations[k].startsWith('unconfined') || variables.podAnnotations[?k] == \
             variables.oldPodAnnotations[?k])",
            format!(
                "an annotation in spec.podTemplate.metadata turns AppArmor off, which is forbidden here: {OTHERWISE}"
            ),
        ),
    ]
}

/// Profiles and options that pods and containers have.
fn profiles(of: &str) -> String {
    let context = format!("{of}.?securityContext");
    let types = list(&SELINUX_TYPES);
    format!(
        "{context}.?seLinuxOptions.?type.orValue('') in {types} && {context}.?seLinuxOptions.?user.orValue('') == '' && \
         {context}.?seLinuxOptions.?role.orValue('') == '' && {context}.?seccompProfile.?type.orValue('') != 'Unconfined' && \
         {context}.?appArmorProfile.?type.orValue('') != 'Unconfined' && \
         !{context}.?windowsOptions.?hostProcess.orValue(false)"
    )
}

fn privileges() -> String {
    let context = "c.?securityContext";
    format!(
        "{} && !{context}.?privileged.orValue(false) && {context}.?procMount.orValue('') in ['', 'Default'] && \
         {context}.?capabilities.?add.orValue([]).all(a, a in {})",
        profiles("c"),
        list(&CAPABILITIES)
    )
}

/// Of the node or of another host.
fn addresses() -> String {
    let handlers = "['livenessProbe', 'readinessProbe', 'startupProbe'].map(k, c[?k]) + [c.?lifecycle.?postStart, \
                    c.?lifecycle.?preStop]";
    format!(
        "c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0) && ({handlers}).all(h, h.?httpGet.?host.orValue('') == '' && \
         h.?tcpSocket.?host.orValue('') == '')"
    )
}

fn services() -> Vec<Validation> {
    let old = "variables.oldServices.filter(o, o.alias == s.alias)";
    vec![
        required(
            format!(
                "variables.services.all(s, s.?spec.?externalIPs.orValue([]).all(i, {old}.exists(o, i in o.?spec.?externalIPs.orValue([]))))"
            ),
            format!(
                "spec.serviceTemplates[].spec.externalIPs is forbidden here, since it can take over traffic of others: {OTHERWISE}"
            ),
        ),
        required(
            format!(
                "variables.services.all(s, s.?spec.?loadBalancerIP.orValue('') == '' || {old}.exists(o, o.?spec.?loadBalancerIP == \
                 s.?spec.?loadBalancerIP))"
            ),
            format!("spec.serviceTemplates[].spec.loadBalancerIP is forbidden here: {OTHERWISE}"),
        ),
        required(
            format!(
                "variables.services.all(s, s.?metadata.?annotations.orValue({{}}).all(k, !({}) || k in {} || {old}.exists(o, \
                 o.?metadata.?annotations.orValue({{}})[?k] == s.?metadata.?annotations.orValue({{}})[?k])))",
                super::cel::prefixed("k"),
                list(&plain::SERVICE_ANNOTATIONS)
            ),
            format!(
                "spec.serviceTemplates[].metadata.annotations has a key that is not in the list of allowed ones, see the \
                 reference page about rights: {OTHERWISE}"
            ),
        ),
    ]
}

/// With `labelmap`, `replacement` names the target labels. The default, `$1`, is part of the name of a source label.
fn relabelings() -> String {
    let label = plain::RELABELED;
    format!(
        "variables.endpoints.all(e, e.?relabelings.orValue([]).all(r, (r.?action.orValue('').lowerAscii() == 'labelmap' ? \
         r.?replacement.orValue('$1').matches('{label}') : (r.?targetLabel.orValue('') == '' || \
         r.targetLabel.matches('{label}'))) || variables.oldEndpoints.exists(o, r in o.?relabelings.orValue([]))))"
    )
}
