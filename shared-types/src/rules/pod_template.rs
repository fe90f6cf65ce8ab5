//! The rules of changes to pods: what the generated pod has already cannot be taken.

use super::{Rules, paths};
use crate::reserved;

/// More than any pod has, and few enough for rules that look at every mount of every container.
const CONTAINERS: i64 = 32;
const MOUNTS: i64 = 64;
const VARIABLES: i64 = 256;
const VOLUMES: i64 = 128;

pub(super) fn rules(rules: &mut Rules, at: &str) {
    rules.bound(&format!("{at}.terminationGracePeriodSeconds"), "minimum", 0);
    for field in ["serviceAccountName", "serviceAccount"] {
        rules.object_name(
            &format!("{at}.{field}"),
            true,
            "name a service account of the namespace, or leave it out for a generated one",
        );
    }
    rules.resources(&format!("{at}.resources"));
    volumes(rules, at);
    for list in ["containers", "initContainers"] {
        containers(rules, &format!("{at}.{list}"));
    }
    let item = format!("{at}.containers[]");
    rules.bound(&format!("{item}.env"), "maxItems", VARIABLES);
    rules.bound(&format!("{item}.env[].name"), "maxLength", 253);
    for container in &GENERATED {
        generated(rules, &item, container);
    }
    let first = format!("{at}.initContainers[].name");
    rules.rule(
        &first,
        format!("self != '{}'", reserved::CONTAINER),
        format!(
            "{first} is taken: rename the init container, {} is the main one",
            reserved::CONTAINER
        ),
    );
}

fn volumes(rules: &mut Rules, at: &str) {
    let list = format!("{at}.volumes");
    rules.bound(&list, "maxItems", VOLUMES);
    rules.bound(&format!("{list}[].name"), "maxLength", 63);
    let names = quoted(&reserved::VOLUMES);
    rules.rule(
        &format!("{list}[].name"),
        format!("!(self in [{names}])"),
        format!(
            "{list}[].name is taken by a volume of the generated pod: choose another than {}",
            reserved::VOLUMES.join(", ")
        ),
    );
    for (containers, field) in [
        ("containers", ".containers"),
        ("initContainers", ".initContainers"),
    ] {
        rules
            .rule(
                at,
                format!(
                    "!has(self.{containers}) || self.{containers}.all(c, !has(c.volumeMounts) || \
                     c.volumeMounts.all(m, m.name in [{names}] || (has(self.volumes) && self.volumes.exists(v, \
                     v.name == m.name))))"
                ),
                format!(
                    "{at}.{containers} mounts a volume that is not there: add it to {at}.volumes, or correct the \
                     name in volumeMounts"
                ),
            )
            .field(field);
    }
}

fn containers(rules: &mut Rules, list: &str) {
    let item = format!("{list}[]");
    let path = format!("{item}.volumeMounts[].mountPath");
    rules.bound(list, "maxItems", CONTAINERS);
    rules.bound(&format!("{item}.name"), "maxLength", 63);
    rules.bound(&format!("{item}.volumeMounts"), "maxItems", MOUNTS);
    rules.bound(&format!("{item}.volumeMounts[].name"), "maxLength", 63);
    rules.bound(&path, "maxLength", 256);
    rules.resources(&format!("{item}.resources"));
    rules.rule(
        &path,
        format!("!self.matches(r'{}')", paths::at_or_below(&reserved::MOUNT_PATHS)),
        format!(
            "{path} is taken: mount the volume elsewhere than at or below {}",
            reserved::MOUNT_PATHS.join(", ")
        ),
    );
    rules.rule(
        &path,
        format!("!self.matches(r'{}') && self.matches(r'[^/.]')", paths::UP),
        format!("{path} is no place for a volume: name a directory other than /, without .."),
    );
    let ours = [&[reserved::CONTAINER][..], &reserved::GENERATED_CONTAINERS].concat();
    rules
        .rule(
            &item,
            format!(
                "self.name in [{}] || (has(self.image) && self.image != '')",
                quoted(&ours)
            ),
            format!(
                "{item} has no image: set it; only {} are generated and do without",
                ours.join(", ")
            ),
        )
        .field(".name");
}

/// A container that is generated: what it runs follows from elsewhere, and what it has cannot be taken.
struct Generated {
    name: &'static str,
    source: &'static str,
    env: &'static [&'static str],
    paths: &'static [&'static str],
}

const GENERATED: [Generated; 2] = [
    Generated {
        name: reserved::CONTAINER,
        source: "spec.version",
        env: &reserved::ENV,
        paths: &reserved::CONTAINER_MOUNT_PATHS,
    },
    Generated {
        name: reserved::EXPORTER,
        source: "spec.monitor",
        env: &reserved::EXPORTER_ENV,
        paths: &reserved::EXPORTER_MOUNT_PATHS,
    },
];

fn generated(rules: &mut Rules, item: &str, container: &Generated) {
    let Generated {
        name,
        source,
        env,
        paths,
    } = container;
    let other = format!("self.name != '{name}'");
    let unset = reserved::CONTAINER_FIELDS.map(|field| format!("!has(self.{field})"));
    rules
        .rule(
            item,
            format!("{other} || ({})", unset.join(" && ")),
            format!(
                "{item} of name {name} follows from {source}: leave out {}",
                reserved::CONTAINER_FIELDS.join(", ")
            ),
        )
        .field(".name");
    rules
        .rule(
            item,
            format!(
                "{other} || !has(self.env) || self.env.all(e, !(e.name in [{}]))",
                quoted(env)
            ),
            format!(
                "{item}.env of container {name} sets a variable that is reserved: remove {}",
                env.join(", ")
            ),
        )
        .field(".env");
    rules
        .rule(
            item,
            format!(
                "{other} || !has(self.volumeMounts) || self.volumeMounts.all(m, !m.mountPath.matches(r'{}'))",
                paths::at_or_below(paths)
            ),
            format!(
                "{item}.volumeMounts of container {name} takes a path that is mounted already: mount the volume \
                 elsewhere than at or below {}",
                paths.join(", ")
            ),
        )
        .field(".volumeMounts");
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    words.join(", ")
}
