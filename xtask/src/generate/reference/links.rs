//! Where the types of Kubernetes are described that fields of ours embed.

/// The reference without a version: kubernetes.io keeps pages of versions only for some time.
const API: &str = "https://kubernetes.io/docs/reference/kubernetes-api/";
const POD: &str = "workload-resources/pod-v1/";

/// The type of an embedded field, and a link to it.
pub(super) fn embedded(path: &str) -> Option<String> {
    let field = path.rsplit('.').next().unwrap_or_default();
    let (name, page) = match field.trim_end_matches("[]").trim_end_matches("{}") {
        "containers" | "initContainers" => ("Container", POD),
        "volumes" => ("Volume", "config-and-storage-resources/volume/"),
        "env" => ("EnvVar", POD),
        "resources" => ("ResourceRequirements", POD),
        "securityContext" if path.ends_with("podTemplate.spec.securityContext") => {
            ("PodSecurityContext", POD)
        }
        "securityContext" => ("SecurityContext", POD),
        "dnsConfig" => ("PodDNSConfig", POD),
        "hostAliases" => ("HostAlias", POD),
        "imagePullSecrets" => ("LocalObjectReference", POD),
        "os" => ("PodOS", POD),
        "readinessGates" => ("PodReadinessGate", POD),
        "resourceClaims" => ("PodResourceClaim", POD),
        "schedulingGates" => ("PodSchedulingGate", POD),
        "tolerations" => ("Toleration", POD),
        "sessionAffinityConfig" => ("SessionAffinityConfig", "service-resources/service-v1/"),
        _ if path.starts_with("spec.init.script.") => ("Volume", "config-and-storage-resources/volume/"),
        _ => return None,
    };
    Some(format!("[{name}]({API}{page})"))
}
