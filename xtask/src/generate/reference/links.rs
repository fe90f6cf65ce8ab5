//! Where the types of Kubernetes are described that fields of ours embed.

const API: &str = "https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.33/";

/// The type of an embedded field, and a link to it.
pub(super) fn embedded(path: &str) -> Option<String> {
    let field = path.rsplit('.').next().unwrap_or_default();
    let (name, group) = match field.trim_end_matches("[]").trim_end_matches("{}") {
        "containers" | "initContainers" => ("Container", "core"),
        "volumes" => ("Volume", "core"),
        "env" => ("EnvVar", "core"),
        "resources" => ("ResourceRequirements", "core"),
        "securityContext" if path.ends_with("podTemplate.spec.securityContext") => {
            ("PodSecurityContext", "core")
        }
        "securityContext" => ("SecurityContext", "core"),
        "dnsConfig" => ("PodDNSConfig", "core"),
        "hostAliases" => ("HostAlias", "core"),
        "imagePullSecrets" => ("LocalObjectReference", "core"),
        "os" => ("PodOS", "core"),
        "readinessGates" => ("PodReadinessGate", "core"),
        "resourceClaims" => ("PodResourceClaim", "core"),
        "schedulingGates" => ("PodSchedulingGate", "core"),
        "tolerations" => ("Toleration", "core"),
        "sessionAffinityConfig" => ("SessionAffinityConfig", "core"),
        _ if path.starts_with("spec.init.script.") => ("Volume", "core"),
        _ => return None,
    };
    Some(format!("[{name}]({API}#{}-v1-{group})", name.to_lowercase()))
}
