//! Every kind that is built, against the rights that the chart grants. Adding an owned object breaks this test until it is
//! listed here, and until the chart grants what it needs.

use std::collections::{BTreeMap, BTreeSet};

use kube::Resource;

use crate::pgpool::build::{ConfigCheck, Foundation, Objects};

use super::support::{self, World, material};

const CHART: &str = include_str!("../../../../../charts/provisioner/templates/_rules.tpl");

/// What server-side apply and a watch need.
const APPLIED: [&str; 4] = ["list", "watch", "create", "patch"];

/// Group and plural.
type Kind = (String, String);

fn kind<K: Resource<DynamicType = ()>>(_: Option<&K>) -> Kind {
    (K::group(&()).into_owned(), K::plural(&()).into_owned())
}

/// The kinds of everything that is built, and whether objects of the kind are deleted one by one.
fn built() -> BTreeMap<Kind, bool> {
    let objects = support::objects(&World::tls().valid(), &material());
    // Without `..`: a new object does not compile until it is listed.
    let Objects {
        foundation,
        config_check,
        service_monitor,
        tls_copy,
        stateful_set,
        init_job,
    } = objects;
    let Foundation {
        primary_service,
        governing_service,
        stats_service,
        service_account,
        auth_secret,
        config_secret,
        pcp_secret,
        users_secret,
        exporter_secret,
        pod_disruption_budget,
        app_binding,
    } = foundation;
    let check = config_check.as_ref();
    let secrets = [
        kind(auth_secret.as_ref()),
        kind(config_secret.as_ref()),
        kind(Some(&pcp_secret)),
        kind(Some(&users_secret)),
        kind(exporter_secret.as_ref()),
        kind(tls_copy.as_ref()),
        kind(check.map(|ConfigCheck { secret, .. }| secret)),
    ];
    let services = [
        kind(Some(&primary_service)),
        kind(Some(&governing_service)),
        kind(stats_service.as_ref()),
    ];
    let deleted = secrets.into_iter().chain(services).chain([
        kind(service_monitor.as_ref()),
        kind(check.map(|ConfigCheck { pod, .. }| pod)),
    ]);
    let kept = [
        kind(service_account.as_ref()),
        kind(Some(&pod_disruption_budget)),
        kind(Some(&app_binding)),
        kind(stateful_set.as_ref()),
        kind(init_job.as_ref()),
    ];
    let deleted = deleted.map(|kind| (kind, true));
    deleted.chain(kept.map(|kind| (kind, false))).collect()
}

/// The verbs of the chart's rules, by kind.
fn granted() -> BTreeMap<Kind, BTreeSet<String>> {
    let list = |line: &str, field: &str| {
        let text = line.trim().strip_prefix("- ").unwrap_or(line.trim());
        let text = text.strip_prefix(field)?.strip_prefix(": [")?;
        Some(text.trim_end_matches(']').to_owned())
    };
    let owned = CHART
        .lines()
        .find_map(|line| line.split("$owned := ternary").nth(1))
        .unwrap();
    // Of two alternatives the narrower one: it has to be enough.
    let narrow = |text: &str| text.split('"').nth(3).map(str::to_owned);
    let owned = narrow(owned).unwrap();
    let (mut group, mut resource, mut rules) = (String::new(), String::new(), BTreeMap::new());
    for line in CHART.lines() {
        if let Some(found) = list(line, "apiGroups") {
            group = found.trim_matches('"').to_owned();
        } else if let Some(found) = list(line, "resources") {
            resource = found;
        } else if let Some(found) = list(line, "verbs") {
            let found = match found.trim() {
                verbs if verbs.contains("$owned") => owned.clone(),
                verbs if verbs.contains("ternary") => narrow(verbs).unwrap(),
                verbs => verbs.to_owned(),
            };
            let verbs = found.split(", ").map(str::to_owned).collect();
            rules.insert((group.clone(), resource.clone()), verbs);
        }
    }
    rules
}

#[test]
fn the_chart_grants_what_every_built_kind_needs() {
    let granted = granted();
    for (kind, is_deleted) in built() {
        let verbs = granted
            .get(&kind)
            .unwrap_or_else(|| panic!("no rule for {kind:?}"));
        let mut needed: Vec<_> = APPLIED.to_vec();
        if kind.1 == "jobs" {
            // Created once, and never changed.
            needed.retain(|verb| *verb != "patch");
        }
        if is_deleted {
            needed.push("delete");
        }
        for verb in needed {
            assert!(verbs.contains(verb), "{kind:?} needs {verb}");
        }
    }
}

#[test]
fn the_chart_lets_nothing_be_created_that_is_not_built() {
    let built = built();
    for (kind, verbs) in granted() {
        if verbs.contains("create") && kind.1 != "events" {
            assert!(built.contains_key(&kind), "nothing of {kind:?} is built");
        }
    }
}

/// No name that users may choose is that of another Secret of the Pgpool, if all of those are known.
#[test]
fn the_name_of_every_secret_that_is_built_is_known() {
    use kube::ResourceExt;
    use shared_types::owned_names::secret_roles;
    let world = World::tls()
        .spec("monitor: {agent: prometheus.io}\nconfiguration: {inline: {pgpool.conf: max_pool = 3}}");
    let objects = support::objects(&world.valid(), &material());
    let Foundation {
        auth_secret,
        config_secret,
        pcp_secret,
        users_secret,
        exporter_secret,
        ..
    } = objects.foundation;
    let check = support::config_check(&world.valid()).map(|check| check.secret);
    let built = [
        auth_secret,
        config_secret,
        Some(pcp_secret),
        Some(users_secret),
        exporter_secret,
        objects.tls_copy,
        check,
    ];
    let names: Vec<_> = built.iter().flatten().map(ResourceExt::name_any).collect();
    assert!(names.len() >= 6, "{names:?}");
    for name in names {
        assert_eq!(secret_roles(&world.pgpool, &name).len(), 1, "{name}");
    }
}
