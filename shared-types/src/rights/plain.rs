//! Which labels, annotations and variables need no right beyond that to write the Pgpool. The policies and the operators
//! share these lists.

/// Prefixes of keys of labels and annotations that no program in a cluster acts on in a way that concerns others.
pub const PLAIN_PREFIXES: [&str; 6] = [
    "app.kubernetes.io/",
    "helm.sh/",
    "kubedb.com/",
    "pgpool.kubedb.com/",
    "argocd.argoproj.io/",
    "kustomize.toolkit.fluxcd.io/",
];

/// Annotations that a Service may have while the tenancy is restricted. They decide who reaches the Service in the network
/// of the cloud, and how it is scraped; none names something that belongs to others, such as an address, a DNS name or a
/// certificate.
pub const SERVICE_ANNOTATIONS: [&str; 16] = [
    "cloud.google.com/load-balancer-type",
    "networking.gke.io/load-balancer-type",
    "networking.gke.io/internal-load-balancer-allow-global-access",
    "service.beta.kubernetes.io/aws-load-balancer-cross-zone-load-balancing-enabled",
    "service.beta.kubernetes.io/aws-load-balancer-internal",
    "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type",
    "service.beta.kubernetes.io/aws-load-balancer-scheme",
    "service.beta.kubernetes.io/aws-load-balancer-type",
    "service.beta.kubernetes.io/azure-load-balancer-internal",
    "service.beta.kubernetes.io/azure-load-balancer-tcp-idle-timeout",
    "service.kubernetes.io/topology-mode",
    "prometheus.io/path",
    "prometheus.io/port",
    "prometheus.io/scheme",
    "prometheus.io/scrape",
    "kubernetes.io/description",
];

/// Beginnings of names of variables that a loader, a shell or a library reads: their values could make a program run
/// something else, or trust or contact someone else.
pub const SPECIAL_VARIABLES: [&str; 31] = [
    "LD_",
    "BASH",
    "ENV",
    "SHELLOPTS",
    "PS4",
    "PROMPT_COMMAND",
    "IFS",
    "PATH",
    "HOME",
    "GCONV_PATH",
    "GLIBC_",
    "GODEBUG",
    "LOCPATH",
    "NLSPATH",
    "MALLOC_",
    "OPENSSL_",
    "SSL_",
    "SSLKEYLOGFILE",
    "RES_OPTIONS",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "TZDIR",
    "KRB5",
    "PGSSL",
    "PGPASS",
    "PGSERVICE",
    "PGHOST",
    "PGSYSCONFDIR",
    "PERL",
    "PYTHON",
    "HTTP",
];

/// What a name of a variable consists of. A shell reads others as functions.
pub const VARIABLE_NAME: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

/// What a label that a relabeling writes begins with: neither two underscores, which only Prometheus writes, nor a part of
/// another label, which could begin so. Labels for temporary results are allowed.
pub const RELABELED: &str = "^([A-Za-z]|_[A-Za-z0-9]|__tmp[A-Za-z0-9_]*$)";

/// Whether a label or annotation concerns only its own object.
#[must_use]
pub fn is_plain_key(key: &str) -> bool {
    !key.contains('/') || PLAIN_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// Whether a Service may have the annotation while the tenancy is restricted.
#[must_use]
pub fn is_service_annotation(key: &str) -> bool {
    is_plain_key(key) || SERVICE_ANNOTATIONS.contains(&key)
}

/// Whether a variable of this name may have any value.
#[must_use]
pub fn is_plain_variable(name: &str) -> bool {
    let mut characters = name.chars();
    let begins = characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    begins
        && characters.all(|next| next.is_ascii_alphanumeric() || next == '_')
        && !SPECIAL_VARIABLES.iter().any(|special| name.starts_with(special))
}
