//! The rules of a request: one operation, with what belongs to it and nothing else, that never changes.

use super::{Rules, pgpool, tls};

/// Each operation with its field. The last two say all by their type.
const PARTS: [(&str, &str, bool); 7] = [
    ("UpdateVersion", "updateVersion", true),
    ("HorizontalScaling", "horizontalScaling", true),
    ("VerticalScaling", "verticalScaling", true),
    ("Reconfigure", "configuration", true),
    ("ReconfigureTLS", "tls", true),
    ("RotateAuth", "authentication", false),
    ("Restart", "restart", false),
];

pub(super) fn rules() -> Rules {
    let mut rules = Rules::default();
    rules.rule(
        "spec",
        "self == oldSelf",
        "spec of a PgpoolOpsRequest is carried out once and cannot change: create another request",
    );
    rules.words("spec.type");
    rules.words("spec.apply");
    rules.bound("spec.maxRetries", "minimum", 0);
    rules.object_name(
        "spec.databaseRef.name",
        false,
        "name the Pgpool, in the namespace of the request",
    );
    rules.rule(
        "spec.databaseRef",
        "has(self.name)",
        "spec.databaseRef names no Pgpool: set spec.databaseRef.name",
    );
    for (kind, field, needed) in PARTS {
        part(&mut rules, kind, field, needed);
    }
    scaling(&mut rules);
    reconfigure(&mut rules);
    reconfigure_tls(&mut rules);
    let secret = "spec.authentication.secretRef";
    rules.object_name(
        &format!("{secret}.name"),
        false,
        "name the Secret with the new credentials",
    );
    rules.bound(&format!("{secret}.kind"), "maxLength", 63);
    rules.rule(
        secret,
        "(!has(self.kind) || self.kind.lowerAscii() in ['', 'secret']) && (!has(self.apiGroup) || self.apiGroup == '')",
        format!("{secret} is not a plain Secret: remove its apiGroup and kind"),
    );
    rules
}

fn part(rules: &mut Rules, kind: &str, field: &str, needed: bool) {
    let (expression, cure) = if needed {
        (
            format!("has(self.{field}) == (self.type == '{kind}')"),
            "set both or neither",
        )
    } else {
        (
            format!("!has(self.{field}) || self.type == '{kind}'"),
            "remove it, or correct spec.type",
        )
    };
    rules.rule(
        "spec",
        expression,
        format!("spec.{field} goes with spec.type {kind}: {cure}"),
    );
}

fn scaling(rules: &mut Rules) {
    rules.rule(
        "spec.updateVersion",
        "has(self.targetVersion) && self.targetVersion != ''",
        "spec.updateVersion names no version: set spec.updateVersion.targetVersion to a PgpoolVersion",
    );
    rules.bound("spec.horizontalScaling.node", "minimum", 1);
    rules.bound("spec.horizontalScaling.node", "maximum", 9);
    rules.rule(
        "spec.horizontalScaling",
        "has(self.node)",
        "spec.horizontalScaling names no number of pods: set spec.horizontalScaling.node to 1 to 9",
    );
    let at = "spec.verticalScaling";
    rules.words(&format!("{at}.mode"));
    rules.rule(
        at,
        "has(self.node) && (has(self.node.resources) || has(self.node.topology))",
        format!("{at} changes nothing: set {at}.node.resources, or {at}.node.topology"),
    );
    rules.resources(&format!("{at}.node.resources"));
    rules.some_words(
        &format!("{at}.node.nodeSelectionPolicy"),
        &["LabelSelector", "Taint", "None"],
    );
    rules
        .rule(
            &format!("{at}.node"),
            "!has(self.nodeSelectionPolicy) || self.nodeSelectionPolicy in ['', 'None'] || (has(self.topology) && \
             has(self.topology.key) && self.topology.key != '')",
            format!("{at}.node.nodeSelectionPolicy needs nodes to choose from: set {at}.node.topology.key and value"),
        )
        .field(".nodeSelectionPolicy");
}

fn reconfigure(rules: &mut Rules) {
    let at = "spec.configuration";
    rules.words(&format!("{at}.restart"));
    rules.bound(&format!("{at}.applyConfig"), "maxProperties", 16);
    rules.rule(
        &format!("{at}.applyConfig"),
        "self.all(k, k == 'pgpool.conf')",
        format!("{at}.applyConfig knows one file: put the settings under the key pgpool.conf"),
    );
    rules.rule(
        &format!("{at}.configSecret"),
        "has(self.name)",
        format!("{at}.configSecret names no Secret: set {at}.configSecret.name"),
    );
    rules.object_name(
        &format!("{at}.configSecret.name"),
        false,
        "name the Secret with key pgpool.conf",
    );
    rules.rule(
        at,
        "(has(self.removeCustomConfig) && self.removeCustomConfig) || has(self.configSecret) || (has(self.applyConfig) && \
         size(self.applyConfig) > 0) || has(self.backend)",
        format!("{at} changes nothing: set removeCustomConfig, configSecret, applyConfig or backend in it"),
    );
    rules
        .rule(
            at,
            "!has(self.removeCustomConfig) || !self.removeCustomConfig || !has(self.backend) || !has(self.backend.delete)",
            format!("{at}.backend.delete has nothing left after removeCustomConfig: remove one of the two"),
        )
        .field(".backend.delete");
    let backend = format!("{at}.backend");
    rules.rule(
        &backend,
        "has(self.sync) || has(self.delete)",
        format!("{backend} changes nothing: list backends in sync or in delete"),
    );
    for list in ["sync", "delete"] {
        pgpool::backends(rules, &format!("{backend}.{list}"));
    }
}

fn reconfigure_tls(rules: &mut Rules) {
    let at = "spec.tls";
    for field in ["sslMode", "clientAuthMode"] {
        rules.words(&format!("{at}.{field}"));
    }
    tls::certificates(rules, at);
    let removes = "has(self.remove) && self.remove";
    let rotates = "has(self.rotateCertificates) && self.rotateCertificates";
    rules.rule(
        at,
        format!(
            "({removes}) || ({rotates}) || has(self.issuerRef) || has(self.certificates) || has(self.sslMode) || \
             has(self.clientAuthMode)"
        ),
        format!("{at} changes nothing: set issuerRef, certificates, sslMode, clientAuthMode, rotateCertificates or remove in it"),
    );
    rules
        .rule(
            at,
            format!(
                "!({removes}) || !(({rotates}) || has(self.issuerRef) || has(self.certificates) || (has(self.sslMode) && \
                 self.sslMode != 'disable') || (has(self.clientAuthMode) && self.clientAuthMode == 'cert'))"
            ),
            format!(
                "{at}.remove contradicts the rest: leave out rotateCertificates, issuerRef, certificates, a sslMode other \
                 than disable and clientAuthMode cert, or leave out remove"
            ),
        )
        .field(".remove");
    rules
        .rule(
            at,
            "!has(self.sslMode) || !has(self.clientAuthMode) || self.sslMode != 'disable' || self.clientAuthMode != 'cert'",
            format!("{at}.clientAuthMode cert needs TLS: set a {at}.sslMode other than disable, or set {at}.clientAuthMode to md5 or scram"),
        )
        .field(".clientAuthMode");
}
