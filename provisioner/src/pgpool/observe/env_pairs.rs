//! Pairs `X_USERNAME` and `X_PASSWORD` in the environment of container `pgpool`, and the Secrets that they refer to. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{EnvVar, SecretKeySelector};
use shared_types::Pgpool;
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

/// The Secrets that pairs refer to, in the namespace of the `Pgpool`.
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
    let mut secrets = BTreeSet::new();
    for env in env {
        for halves in halves(env).into_values() {
            if let (Some(user), Some(password)) = (halves.user, halves.password) {
                let named = [user, password].into_iter().filter_map(reference);
                secrets.extend(named.map(|reference| reference.name.clone()));
            }
        }
    }
    secrets
}
