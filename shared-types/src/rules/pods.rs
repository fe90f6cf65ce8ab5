//! Rules of embedded core types: what the generated pod already has, a user cannot take.

use k8s_openapi::api::core::v1::{Container, EnvVar, ResourceRequirements, Volume};
use kube::core::Rule as CelRule;
use schemars::{Schema, SchemaGenerator};

use super::{add, limit, quoted, rule};
use crate::{reserved, schema};

/// More than any pod has, and few enough for rules that read every mount of every container.
const CONTAINERS: i64 = 32;
const MOUNTS: i64 = 64;
const VARIABLES: i64 = 256;
const VOLUMES: i64 = 128;

/// Requests and limits of resources. Amounts may be whole numbers or quantities.
pub(crate) fn resources(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = schema::bare::<ResourceRequirements>(generator);
    add_resources(&mut schema, "");
    schema
}

fn add_resources(schema: &mut Schema, path: &str) {
    let amounts = |field: &str| {
        format!(
            "(!has(self.{field}) || self.{field}.all(k, type(self.{field}[k]) == int ? self.{field}[k] >= 0 : \
             isQuantity(self.{field}[k]) && !quantity(self.{field}[k]).isLessThan(quantity('0'))))"
        )
    };
    for field in ["limits", "requests"] {
        limit(schema, &format!("{path}.{field}"), "maxProperties", 32);
        limit(schema, &format!("{path}.{field}{{}}"), "maxLength", 64);
    }
    add(
        schema,
        path,
        &rule(
            format!("{} && {}", amounts("limits"), amounts("requests")),
            "must have only valid quantities: write 500m, 2, 1Gi or 512Mi",
        ),
    );
}

/// Environment variables that rules read.
pub(crate) fn env(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = schema::named::<EnvVar>(generator);
    limit(&mut schema, "", "maxItems", VARIABLES);
    limit(&mut schema, "[].name", "maxLength", 253);
    schema
}

/// Environment variables of git-sync.
pub(crate) fn git_env(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = env(generator);
    limit(&mut schema, "", "maxItems", 64);
    limit(&mut schema, "[].value", "maxLength", 1024);
    schema
}

/// The volumes of a pod template.
pub(crate) fn volumes(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = schema::named::<Volume>(generator);
    limit(&mut schema, "", "maxItems", VOLUMES);
    limit(&mut schema, "[].name", "maxLength", 63);
    add(
        &mut schema,
        "[].name",
        &rule(
            format!("!(self in [{}])", quoted(&reserved::VOLUMES)),
            format!(
                "is the name of a volume of the generated pod: use another name than {}",
                reserved::VOLUMES.join(", ")
            ),
        ),
    );
    schema
}

/// Every volume that a container mounts exists. A rule of the pod spec.
pub(crate) fn mounts_exist(containers: &str) -> CelRule {
    let generated = quoted(&reserved::VOLUMES);
    rule(
        format!(
            "!has(self.{containers}) || self.{containers}.all(c, !has(c.volumeMounts) || c.volumeMounts.all(m, m.name in \
             [{generated}] || (has(self.volumes) && self.volumes.exists(v, v.name == m.name))))"
        ),
        format!("{containers} mount a volume that does not exist: add it to volumes, or correct the name in volumeMounts"),
    )
    .field_path(format!(".{containers}"))
}

/// The containers of a pod template: new ones, and changes to the generated ones.
pub(crate) fn containers(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = all_containers(generator);
    limit(&mut schema, "[].env", "maxItems", VARIABLES);
    limit(&mut schema, "[].env[].name", "maxLength", 253);
    for container in &GENERATED {
        generated(&mut schema, container);
    }
    schema
}

/// The init containers of a pod template.
pub(crate) fn init_containers(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = all_containers(generator);
    add(
        &mut schema,
        "[].name",
        &rule(
            format!("self != '{}'", reserved::CONTAINER),
            format!(
                "is the name of the main container {}: rename the init container",
                reserved::CONTAINER
            ),
        ),
    );
    schema
}

fn all_containers(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = schema::named::<Container>(generator);
    limit(&mut schema, "", "maxItems", CONTAINERS);
    limit(&mut schema, "[].name", "maxLength", 63);
    limit(&mut schema, "[].volumeMounts", "maxItems", MOUNTS);
    limit(&mut schema, "[].volumeMounts[].name", "maxLength", 63);
    limit(&mut schema, "[].volumeMounts[].mountPath", "maxLength", 256);
    add_resources(&mut schema, "[].resources");
    add(
        &mut schema,
        "[].volumeMounts[].mountPath",
        &rule(
            format!("!self.matches(r'{}')", at_or_below(&reserved::MOUNT_PATHS)),
            format!(
                "is a reserved path: use a path that is not at or below {}",
                reserved::MOUNT_PATHS.join(", ")
            ),
        ),
    );
    add(
        &mut schema,
        "[].volumeMounts[].mountPath",
        &rule(
            format!("!self.matches(r'{UP}') && self.matches(r'[^/.]')"),
            "must be a directory other than /, without ..",
        ),
    );
    let generated = [&[reserved::CONTAINER][..], &reserved::GENERATED_CONTAINERS].concat();
    add(
        &mut schema,
        "[]",
        &rule(
            format!(
                "self.name in [{}] || (has(self.image) && self.image != '')",
                quoted(&generated)
            ),
            format!(
                "needs an image: only the generated containers {} have none",
                generated.join(", ")
            ),
        )
        .field_path(".name"),
    );
    schema
}

/// A generated container: its image follows from another field, and its variables and mounts are reserved.
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

fn generated(schema: &mut Schema, container: &Generated) {
    let Generated {
        name,
        source,
        env,
        paths,
    } = container;
    let other = format!("self.name != '{name}'");
    let unset = reserved::CONTAINER_FIELDS.map(|field| format!("!has(self.{field})"));
    let fixed = rule(
        format!("{other} || ({})", unset.join(" && ")),
        format!(
            "container {name} follows from {source}: leave out {}",
            reserved::CONTAINER_FIELDS.join(", ")
        ),
    );
    add(schema, "[]", &fixed.field_path(".name"));
    let variables = rule(
        format!(
            "{other} || !has(self.env) || self.env.all(e, !(e.name in [{}]))",
            quoted(env)
        ),
        format!(
            "container {name} has a reserved variable: remove {}",
            env.join(", ")
        ),
    );
    add(schema, "[]", &variables.field_path(".env"));
    let mounts = rule(
        format!(
            "{other} || !has(self.volumeMounts) || self.volumeMounts.all(m, !m.mountPath.matches(r'{}'))",
            at_or_below(paths)
        ),
        format!(
            "container {name} has a mount at a reserved path: use a path that is not at or below {}",
            paths.join(", ")
        ),
    );
    add(schema, "[]", &mounts.field_path(".volumeMounts"));
}

/// Variables of the exporter that follow from the spec.
pub(crate) fn exporter_env() -> CelRule {
    rule(
        format!("self.all(e, !(e.name in [{}]))", quoted(&reserved::EXPORTER_ENV)),
        format!(
            "has a reserved variable: remove {}, which the operator sets from the spec",
            reserved::EXPORTER_ENV.join(", ")
        ),
    )
}

/// Arguments of the exporter that follow from the spec.
pub(crate) fn exporter_args() -> CelRule {
    let flags: Vec<_> = reserved::EXPORTER_FLAGS
        .iter()
        .map(|flag| format!("a.startsWith('{flag}')"))
        .collect();
    rule(
        format!("!self.exists(a, {})", flags.join(" || ")),
        format!(
            "has a reserved flag: remove {}; set port to change where the exporter listens",
            reserved::EXPORTER_FLAGS.join(", ")
        ),
    )
}

/// git-sync writes to a directory that nothing else uses.
pub(crate) fn git_root() -> CelRule {
    let scripts = |path: &&str| *path != "/init-scripts";
    let used: Vec<_> = (reserved::MOUNT_PATHS.into_iter().filter(scripts))
        .chain(reserved::CONTAINER_MOUNT_PATHS)
        .chain(["/tmp", "/etc/git-secret"])
        .collect();
    let inside = at_or_below(&used);
    let value = format!("({}|.*{UP})", inside.trim_start_matches('^'));
    rule(
        format!(
            "self.args.all(a, !a.matches(r'^--?root($|={value})')) && (!has(self.env) || self.env.all(e, !(e.name in \
             ['GITSYNC_ROOT', 'GIT_SYNC_ROOT']) || (has(e.value) && !e.value.matches(r'^{value}'))))"
        ),
        format!(
            "must not set --root to a directory that is in use: leave it out for /init-scripts, or write --root=PATH with a \
             path outside of {}",
            used.join(", ")
        ),
    )
    .field_path(".args")
}

/// A path with `..`: the text alone does not show what it refers to.
const UP: &str = r"(^|/)\.\.(/|$)";

/// A pattern for paths at or below one of these, however they are written.
fn at_or_below(paths: &[&str]) -> String {
    // What may separate two path elements: `//`, `/./`.
    const GAP: &str = r"/+(\./+)*";
    let path = |path: &&str| {
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(GAP)
    };
    let paths: Vec<_> = paths.iter().map(path).collect();
    format!(r"^/*(\./+)*({})(/.*)?$", paths.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_parts_of_a_path() {
        assert_eq!(at_or_below(&["/a/b", "/c"]), r"^/*(\./+)*(a/+(\./+)*b|c)(/.*)?$");
    }
}
