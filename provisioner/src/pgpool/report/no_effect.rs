//! Fields without effect: reported when everything else is done, so that the user does not wait for them. Pure.

use shared_types::{Pgpool, PgpoolSpec, names};

use crate::pgpool::decide::ca_overlap;

/// Each field that is set, and why it has no effect.
pub(super) fn without_effect(spec: &PgpoolSpec) -> Vec<String> {
    let templates = spec.service_templates.iter();
    let strange = templates.filter(|template| !template.alias.is_known());
    let mut remarks: Vec<_> = strange
        .map(|template| {
            format!(
                "`spec.serviceTemplates` of alias `{}` (a Pgpool has the Services `primary` and `stats`)",
                template.alias
            )
        })
        .collect();
    let pod = spec
        .pod_template
        .as_ref()
        .and_then(|template| template.spec.as_ref());
    let Some(pod) = pod else { return remarks };
    let always = |policy: &String| policy.is_empty() || policy == "Always";
    let usual = |policy: &str| policy.is_empty() || policy == "default";
    let fields = [
        (
            "activeDeadlineSeconds",
            pod.active_deadline_seconds.is_some(),
            "pods of a StatefulSet run until they are deleted",
        ),
        (
            "ephemeralContainers",
            !pod.ephemeral_containers.is_empty(),
            "they are added to running pods by `kubectl debug`",
        ),
        (
            "podPlacementPolicy",
            pod.pod_placement_policy
                .as_ref()
                .is_some_and(|policy| !usual(&policy.name)),
            "pods spread over nodes and zones by default",
        ),
        (
            "restartPolicy",
            pod.restart_policy.as_ref().is_some_and(|policy| !always(policy)),
            "a StatefulSet supports only `Always`",
        ),
    ];
    let asked = fields.iter().filter(|(_, asked, _)| *asked);
    remarks.extend(asked.map(|(field, _, why)| format!("`spec.podTemplate.spec.{field}` ({why})")));
    remarks
}

/// An annotation that cannot be read.
pub(super) fn unreadable(pgpool: &Pgpool) -> Option<String> {
    let asked = ca_overlap::unreadable_overlap(pgpool)?;
    let annotation = names::ANNOTATION_CA_OVERLAP;
    Some(format!(
        "annotation `{annotation}` (`{asked}` is not a duration; use one such as `10m`)"
    ))
}

#[cfg(test)]
mod tests {
    use super::without_effect;

    #[test]
    fn what_has_no_effect_is_told_and_nothing_else() {
        let rows = [
            ("serviceTemplates: [{alias: primary}, {alias: stats}]", None),
            ("serviceTemplates: [{alias: standby}]", Some("alias `standby`")),
            (
                "serviceTemplates: [{alias: dashboard}]",
                Some("alias `dashboard`"),
            ),
            (
                "serviceTemplates: [{alias: secondary}]",
                Some("alias `secondary`"),
            ),
            (
                "podTemplate: {spec: {activeDeadlineSeconds: 5}}",
                Some("`spec.podTemplate.spec.activeDeadlineSeconds`"),
            ),
            (
                "podTemplate: {spec: {ephemeralContainers: [{name: x}]}}",
                Some("`spec.podTemplate.spec.ephemeralContainers`"),
            ),
            (
                "podTemplate: {spec: {podPlacementPolicy: {name: mine}}}",
                Some("`spec.podTemplate.spec.podPlacementPolicy`"),
            ),
            ("podTemplate: {spec: {podPlacementPolicy: {name: default}}}", None),
            (
                "podTemplate: {spec: {restartPolicy: OnFailure}}",
                Some("`spec.podTemplate.spec.restartPolicy`"),
            ),
            ("podTemplate: {spec: {restartPolicy: Always}}", None),
            ("autoOps: {disabled: true}", None),
            ("authSecret: {name: mine, rotateAfter: 720h}", None),
        ];
        for (spec, expected) in rows {
            let text = format!("{spec}\nversion: '4'\npostgresRef: {{name: pg}}");
            let found = without_effect(&crate::fixtures::parse(&text));
            assert_eq!(found.len(), usize::from(expected.is_some()), "{spec}: {found:?}");
            assert!(
                found.iter().all(|found| found.contains(expected.unwrap())),
                "{spec}: {found:?}"
            );
        }
    }
}
