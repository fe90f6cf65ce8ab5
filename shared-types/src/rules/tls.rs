//! The rules of certificates, alike in a Pgpool and in a request that changes them.

use super::Rules;
use crate::object::GO_DURATION;

/// What cert-manager itself demands: <https://cert-manager.io/docs/reference/api-docs/#cert-manager.io/v1.CertificateSpec>.
const SHORTEST: &str = "1h";
const SHORTEST_RENEWAL: &str = "5m";
/// How long a certificate is valid when nobody says.
const DEFAULT: &str = "2160h";

/// The rules of `spec.tls` of a Pgpool.
pub(super) fn rules(rules: &mut Rules, at: &str) {
    rules.rule(
        at,
        "has(self.issuerRef)",
        format!(
            "{at} needs an issuer: set {at}.issuerRef to the kind and name of an Issuer or ClusterIssuer"
        ),
    );
    certificates(rules, at);
}

/// The issuer and the certificates, wherever they stand.
pub(super) fn certificates(rules: &mut Rules, at: &str) {
    let list = format!("{at}.certificates");
    let item = format!("{list}[]");
    issuer(rules, &format!("{at}.issuerRef"));
    issuer(rules, &format!("{item}.issuerRef"));
    // Three aliases, each once; a few more leave room for a message about the alias rather than the length.
    rules.bound(&list, "maxItems", 16);
    rules.words(&format!("{item}.alias"));
    rules.words(&format!("{item}.privateKey.encoding"));
    rules.object_name(
        &format!("{item}.secretName"),
        true,
        "name the Secret that the certificate is written to, or leave it out",
    );
    rules.rule(
        &list,
        "self.all(a, !has(a.secretName) || a.secretName == '' || self.exists_one(b, has(b.secretName) && b.secretName == \
         a.secretName))",
        format!("{list} writes two certificates to one Secret: give each a secretName of its own, or leave them out"),
    );
    for field in ["duration", "renewBefore"] {
        rules.bound(&format!("{item}.{field}"), "maxLength", 64);
    }
    durations(rules, &item);
}

fn durations(rules: &mut Rules, item: &str) {
    // A text that is no duration is refused by its pattern; a rule could only add noise.
    let odd = |field: &str| format!("!has(self.{field}) || !self.{field}.matches(r'{GO_DURATION}')");
    rules
        .rule(
            item,
            format!(
                "{} || duration(self.duration) >= duration('{SHORTEST}')",
                odd("duration")
            ),
            format!("{item}.duration is shorter than cert-manager issues: make it {SHORTEST} or more"),
        )
        .field(".duration");
    let valid = format!(
        "duration(has(self.duration) && self.duration.matches(r'{GO_DURATION}') ? self.duration : '{DEFAULT}')"
    );
    rules
        .rule(
            item,
            format!(
                "{} || (duration(self.renewBefore) >= duration('{SHORTEST_RENEWAL}') && duration(self.renewBefore) < {valid})",
                odd("renewBefore")
            ),
            format!(
                "{item}.renewBefore leaves no time between issue and renewal: make it {SHORTEST_RENEWAL} or more, and \
                 shorter than duration, which is {DEFAULT} when unset"
            ),
        )
        .field(".renewBefore");
}

fn issuer(rules: &mut Rules, at: &str) {
    rules.bound(&format!("{at}.kind"), "maxLength", 63);
    rules.bound(&format!("{at}.apiGroup"), "maxLength", 253);
    rules
        .rule(
            at,
            "self.kind in ['Issuer', 'ClusterIssuer'] || (self.kind != '' && has(self.apiGroup) && !(self.apiGroup in ['', \
             'cert-manager.io']))",
            format!(
                "{at}.kind of cert-manager is Issuer or ClusterIssuer: correct it, or name the apiGroup of an external issuer"
            ),
        )
        .field(".kind");
    rules.object_name(&format!("{at}.name"), false, "name the issuer");
}
