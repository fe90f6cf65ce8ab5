//! The rules of a Pgpool.

use super::{Rules, paths, pod_template, service_templates, tls};
use crate::reserved;

/// Names of a Service are at most 63 long, and pods carry a label of the workload's revision: 10 more and a dash.
const LONGEST_NAME: usize = 52;

pub(super) fn rules() -> Rules {
    let mut rules = Rules::default();
    identity(&mut rules);
    modes(&mut rules);
    tls::rules(&mut rules, "spec.tls");
    auth_secret(&mut rules);
    configuration(&mut rules);
    init(&mut rules);
    monitor(&mut rules);
    service_templates::rules(&mut rules, "spec.serviceTemplates");
    pod_template::rules(&mut rules, "spec.podTemplate.spec");
    rules
}

fn identity(rules: &mut Rules) {
    rules
        .rule(
            "",
            format!(
                "self.metadata.name.matches(r'^[a-z]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= {LONGEST_NAME}"
            ),
            format!(
                "metadata.name names Services and pods: start with a letter, use a-z, 0-9 and -, and at most \
                 {LONGEST_NAME} characters"
            ),
        );
    rules.object_name(
        "spec.version",
        false,
        "name a PgpoolVersion, see kubectl get pgpoolversions",
    );
    rules.object_name(
        "spec.postgresRef.name",
        false,
        "name the AppBinding of the PostgreSQL",
    );
    rules.object_name(
        "spec.postgresRef.namespace",
        true,
        "name the namespace of the AppBinding, or leave it out for that of the Pgpool",
    );
}

fn modes(rules: &mut Rules) {
    for at in ["spec.sslMode", "spec.clientAuthMode", "spec.deletionPolicy"] {
        rules.words(at);
    }
    rules
        .rule(
            "spec",
            "!has(self.sslMode) || self.sslMode == 'disable' || has(self.tls)",
            "spec.sslMode other than disable needs certificates: set spec.tls.issuerRef, or set spec.sslMode to disable",
        )
        .field(".sslMode");
    rules
        .rule(
            "spec",
            "!has(self.clientAuthMode) || self.clientAuthMode != 'cert' || (has(self.tls) && (!has(self.sslMode) || \
             self.sslMode != 'disable'))",
            "spec.clientAuthMode cert needs TLS: set spec.tls.issuerRef and a spec.sslMode other than disable, or set \
             spec.clientAuthMode to md5 or scram",
        )
        .field(".clientAuthMode");
}

fn auth_secret(rules: &mut Rules) {
    let at = "spec.authSecret";
    rules.object_name(
        "spec.authSecret.name",
        true,
        "name the Secret of the PCP user, or leave it out for a generated one",
    );
    rules
        .rule(
            at,
            "!has(self.externallyManaged) || !self.externallyManaged || (has(self.name) && self.name != '')",
            "spec.authSecret.externallyManaged needs a Secret of yours: set spec.authSecret.name, or leave \
             externallyManaged out",
        )
        .field(".externallyManaged");
    rules.bound("spec.authSecret.kind", "maxLength", 63);
    rules
        .rule(
            at,
            "!has(self.kind) || self.kind == '' || self.kind.lowerAscii() == 'secret' || (has(self.apiGroup) && \
             self.apiGroup != '')",
            "spec.authSecret.kind is Secret: correct it or leave it out",
        )
        .field(".kind");
    rules
        .rule(
            at,
            "!has(self.secretStoreName) || self.secretStoreName == '' || (has(self.apiGroup) && self.apiGroup == \
             'virtual-secrets.dev')",
            "spec.authSecret.secretStoreName is for virtual secrets: leave it out for a plain Secret",
        )
        .field(".secretStoreName");
}

fn configuration(rules: &mut Rules) {
    rules.object_name(
        "spec.configuration.secretName",
        true,
        "name the Secret with key pgpool.conf, or leave it out",
    );
    rules.bound("spec.configuration.inline", "maxProperties", 16);
    rules.rule(
        "spec.configuration.inline",
        "self.all(k, k == 'pgpool.conf')",
        "spec.configuration.inline knows one file: put the settings under the key pgpool.conf",
    );
    backends(rules, "spec.configuration.backends");
}

/// pgpool's own limits of a backend's port and weight.
const PORTS: (i64, i64) = (1024, 65535);
const MOST_WEIGHT: i64 = 100_000_000;

/// Backends in a list.
pub(super) fn backends(rules: &mut Rules, at: &str) {
    let item = format!("{at}[]");
    rules.bound(at, "maxItems", 128);
    for (field, longest) in [("groupName", 253), ("hostName", 253), ("flag", 64)] {
        rules.bound(&format!("{item}.{field}"), "maxLength", longest);
    }
    for (field, (least, most)) in [("weight", (0, MOST_WEIGHT)), ("port", PORTS)] {
        rules.bound(&format!("{item}.{field}"), "minimum", least);
        rules.bound(&format!("{item}.{field}"), "maximum", most);
    }
    backend(rules, &item);
    rules.rule(
        at,
        "self.all(b, has(b.groupName) && b.groupName != '') || self.all(b, !has(b.groupName) || b.groupName == '')",
        format!("{at} names either groups or hosts: use groupName in every entry, or hostName in every entry"),
    );
    rules.rule(
        at,
        "self.all(a, self.exists_one(b, (has(a.groupName) ? a.groupName : '') == (has(b.groupName) ? b.groupName : '') \
         && (has(a.hostName) ? a.hostName : '') == (has(b.hostName) ? b.hostName : '') && (has(a.port) ? a.port : 5432) \
         == (has(b.port) ? b.port : 5432)))",
        format!("{at} has one server twice: remove the second entry with the same name and port"),
    );
    rules.rule(
        at,
        "self.filter(b, has(b.flag) && b.flag.contains('ALWAYS_PRIMARY')).size() <= 1",
        format!("{at} has flag ALWAYS_PRIMARY twice: leave it to the server that takes the writes"),
    );
}

fn backend(rules: &mut Rules, item: &str) {
    let group = "has(self.groupName) && self.groupName != ''";
    let host = "has(self.hostName) && self.hostName != ''";
    rules.rule(
        item,
        format!("({group}) != ({host})"),
        format!("{item} is one group or one host: set either groupName or hostName"),
    );
    rules
        .rule(
            item,
            format!("!({group}) || !has(self.port)"),
            format!("{item}.port belongs to a host: remove port, or set hostName instead of groupName"),
        )
        .field(".port");
    rules.rule(
        &format!("{item}.hostName"),
        "self.matches(r'^[-A-Za-z0-9._:]*$')",
        format!("{item}.hostName is no host: give a DNS name or an IP address, without scheme, port or path"),
    );
    rules.rule(
        &format!("{item}.flag"),
        "self.split('|').all(f, f.trim() in ['', 'ALLOW_TO_FAILOVER', 'DISALLOW_TO_FAILOVER', 'ALWAYS_PRIMARY'])",
        format!(
            "{item}.flag has an unknown word: use ALLOW_TO_FAILOVER, DISALLOW_TO_FAILOVER or ALWAYS_PRIMARY, joined by |"
        ),
    );
    rules.rule(
        &format!("{item}.flag"),
        "!self.contains('DISALLOW_TO_FAILOVER') || !self.matches(r'(^|[| ])ALLOW_TO_FAILOVER')",
        format!("{item}.flag contradicts itself: keep one of ALLOW_TO_FAILOVER and DISALLOW_TO_FAILOVER"),
    );
}

/// Volume sources of a pod, any of which may hold the scripts, and the one that is ours.
const SCRIPT_SOURCES: [&str; 31] = [
    "git",
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "photonPersistentDisk",
    "portworxVolume",
    "projected",
    "quobyte",
    "rbd",
    "scaleIO",
    "secret",
    "storageos",
    "vsphereVolume",
];

fn init(rules: &mut Rules) {
    let at = "spec.init.script";
    let sources: Vec<_> = SCRIPT_SOURCES
        .iter()
        .map(|source| format!("has(self.{source})"))
        .collect();
    rules.rule(
        at,
        format!("[{}].exists_one(given, given)", sources.join(", ")),
        "spec.init.script has one source: set configMap, secret, git or another volume source, and no second one",
    );
    rules.bound("spec.init.script.scriptPath", "maxLength", 512);
    rules.rule(
        "spec.init.script.scriptPath",
        r"!self.matches(r'(^|/)\.\.(/|$)')",
        "spec.init.script.scriptPath leaves its source: name a path below it, without ..",
    );
    git(rules, "spec.init.script.git");
}

fn git(rules: &mut Rules, at: &str) {
    let args = format!("{at}.args");
    rules.bound(&args, "maxItems", 64);
    rules.bound(&format!("{args}[]"), "maxLength", 1024);
    rules.bound(&format!("{at}.env"), "maxItems", 64);
    rules.bound(&format!("{at}.env[].name"), "maxLength", 253);
    rules.rule(
        at,
        "self.args.exists(a, a.matches(r'^--?repo(=|$)')) || (has(self.env) && self.env.exists(e, e.name in \
         ['GITSYNC_REPO', 'GIT_SYNC_REPO']))",
        "spec.init.script.git.args names no repository: add --repo=URL",
    );
    let scripts = |path: &&str| *path != "/init-scripts";
    let ours: Vec<_> = (reserved::MOUNT_PATHS.into_iter().filter(scripts))
        .chain(reserved::CONTAINER_MOUNT_PATHS)
        .chain(["/tmp", "/etc/git-secret"])
        .collect();
    let inside = paths::at_or_below(&ours);
    let value = format!("({}|.*{})", inside.trim_start_matches('^'), paths::UP);
    rules.bound(&format!("{at}.env[].value"), "maxLength", 1024);
    rules
        .rule(
            at,
            format!(
                "self.args.all(a, !a.matches(r'^--?root($|={value})')) && (!has(self.env) || self.env.all(e, !(e.name in \
                 ['GITSYNC_ROOT', 'GIT_SYNC_ROOT']) || (has(e.value) && !e.value.matches(r'^{value}'))))"
            ),
            format!(
                "spec.init.script.git.args has a --root that is in use: leave it out for /init-scripts, or write \
                 --root=PATH with a path outside of {}",
                ours.join(", ")
            ),
        )
        .field(".args");
    rules.object_name(
        &format!("{at}.authSecret.name"),
        true,
        "name the Secret with the credentials of git",
    );
    rules.resources(&format!("{at}.resources"));
}

fn monitor(rules: &mut Rules) {
    rules.rule(
        "spec.monitor",
        "has(self.agent)",
        "spec.monitor says not who scrapes: set spec.monitor.agent to prometheus.io, prometheus.io/builtin or \
         prometheus.io/operator",
    );
    rules.words("spec.monitor.agent");
    let exporter = "spec.monitor.prometheus.exporter";
    // Zero is how KubeDB writes "unset".
    rules.bound(&format!("{exporter}.port"), "minimum", 0);
    rules.bound(&format!("{exporter}.port"), "maximum", 65535);
    rules.rule(
        &format!("{exporter}.port"),
        "!(self in [9999, 9595])",
        "spec.monitor.prometheus.exporter.port is one of pgpool's own, 9999 or 9595: choose another, or leave it out for \
         9719",
    );
    rules.bound(&format!("{exporter}.env"), "maxItems", 256);
    rules.bound(&format!("{exporter}.env[].name"), "maxLength", 253);
    let names: Vec<_> = reserved::EXPORTER_ENV
        .iter()
        .map(|name| format!("'{name}'"))
        .collect();
    rules.rule(
        &format!("{exporter}.env"),
        format!("self.all(e, !(e.name in [{}]))", names.join(", ")),
        format!(
            "{exporter}.env sets a variable that is reserved: remove {}, how the exporter reaches pgpool follows from the spec",
            reserved::EXPORTER_ENV.join(", ")
        ),
    );
    rules.bound(&format!("{exporter}.args"), "maxItems", 64);
    rules.bound(&format!("{exporter}.args[]"), "maxLength", 1024);
    let flags: Vec<_> = reserved::EXPORTER_FLAGS
        .iter()
        .map(|flag| format!("a.startsWith('{flag}')"))
        .collect();
    rules.rule(
        &format!("{exporter}.args"),
        format!("!self.exists(a, {})", flags.join(" || ")),
        format!(
            "{exporter}.args sets where the exporter listens: remove {}, and set {exporter}.port",
            reserved::EXPORTER_FLAGS.join(", ")
        ),
    );
    rules.resources(&format!("{exporter}.resources"));
    rules.bound("spec.monitor.prometheus.serviceMonitor.interval", "maxLength", 32);
    rules.rule(
        "spec.monitor.prometheus.serviceMonitor.interval",
        "self == '' || self.matches(r'^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$')",
        "spec.monitor.prometheus.serviceMonitor.interval is no time of Prometheus: write it as 30s or 1m30s",
    );
}
