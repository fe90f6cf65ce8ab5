//! Pairs `X_USERNAME` and `X_PASSWORD` in the environment of container `pgpool`, and the Secrets that they refer to. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{EnvVar, SecretKeySelector};
use shared_types::Pgpool;
use shared_types::limits;
use shared_types::reserved::CONTAINER;

pub(crate) const USER: &str = "_USERNAME";
pub(crate) const PASSWORD: &str = "_PASSWORD";

/// The two variables of a prefix.
#[derive(Default)]
pub(crate) struct Halves<'a> {
    pub(crate) user: Option<&'a EnvVar>,
    pub(crate) password: Option<&'a EnvVar>,
}

pub(crate) fn halves(env: &[EnvVar]) -> BTreeMap<&str, Halves<'_>> {
    let mut found: BTreeMap<&str, Halves<'_>> = BTreeMap::new();
    for variable in env {
        if let Some(prefix) = prefix(&variable.name, USER) {
            found.entry(prefix).or_default().user = Some(variable);
        } else if let Some(prefix) = prefix(&variable.name, PASSWORD) {
            found.entry(prefix).or_default().password = Some(variable);
        }
    }
    found
}

fn prefix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    name.strip_suffix(suffix).filter(|prefix| !prefix.is_empty())
}

pub(crate) fn reference(variable: &EnvVar) -> Option<&SecretKeySelector> {
    variable.value_from.as_ref()?.secret_key_ref.as_ref()
}

/// How many Secrets pairs refer to.
pub(crate) fn count_secrets(env: &[EnvVar]) -> usize {
    named_by_pairs(env).len()
}

fn named_by_pairs(env: &[EnvVar]) -> BTreeSet<&str> {
    let pairs = halves(env).into_values();
    let pairs = pairs.filter_map(|halves| halves.user.zip(halves.password));
    let named = pairs
        .flat_map(|(user, password)| [user, password])
        .filter_map(reference);
    named.map(|reference| reference.name.as_str()).collect()
}

/// The Secrets that pairs refer to, in the namespace of the `Pgpool`: not more than may be named, since each is watched.
pub(crate) fn referred_secrets(pgpool: &Pgpool) -> BTreeSet<String> {
    let pod = pgpool
        .spec
        .pod_template
        .as_ref()
        .and_then(|template| template.spec.as_ref());
    let containers = pod.into_iter().flat_map(|pod| &pod.containers);
    let env = containers
        .filter(|container| container.name == CONTAINER)
        .filter_map(|container| container.env.as_deref());
    let secrets = env.flat_map(|env| named_by_pairs(env));
    secrets.take(limits::ENV_SECRETS).map(str::to_owned).collect()
}
