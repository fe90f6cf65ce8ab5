//! The users of the pool: that of the `AppBinding`, those in `spec.podTemplate`, and with `spec.syncUsers` those in the labeled
//! Secrets beside PostgreSQL. The first source of a user wins; a problem with one user is reported and affects no other.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use shared_types::conditions::Reason;
use shared_types::explanation::{Blocked, Explanation};
use shared_types::{Pgpool, limits, names};

use super::Inputs;
use super::credentials::credential;
use super::env_users::Environment;
use super::pool_passwd;
use super::resolve::text;
use crate::credential::Credential;
use crate::pgpool::observe::Lookup;

#[cfg(test)]
mod tests;

/// All users of the password file by name, and what is wrong with others.
///
/// # Errors
/// When the spec contradicts itself, or a cache is still syncing.
pub(super) fn users(
    pgpool: &Pgpool,
    login: &Credential,
    environment: Environment,
    inputs: &Inputs,
) -> Result<(Vec<Credential>, Vec<Explanation>), Blocked> {
    let mut users = BTreeMap::from([(login.user.clone(), login.clone())]);
    for user in environment.users {
        let known = users.entry(user.user.clone()).or_insert_with(|| user.clone());
        if known.password != user.password {
            return Err(super::invalid(
                "Two passwords are given for one user, in `spec.podTemplate` or there and in the Secret of the \
                 AppBinding: remove one.",
            ));
        }
    }
    let mut problems = environment.problems;
    let known = inputs
        .users_in_force
        .as_deref()
        .map(pool_passwd::read)
        .unwrap_or_default();
    match &inputs.synced {
        None | Some(Lookup::Absent) => {}
        Some(Lookup::Pending | Lookup::Undecodable(_)) => {
            return Err(Blocked::Unknown);
        }
        // A missing permission must not lock out users that are in force.
        Some(Lookup::Forbidden) => {
            for (name, password) in &known {
                if let (Entry::Vacant(free), Ok(user)) =
                    (users.entry(name.clone()), credential(name, password))
                {
                    free.insert(user);
                }
            }
            problems.push(Explanation::new(Reason::UserSecretForbidden, format!(
                    "`spec.syncUsers` has no effect, and known users are kept: the provisioner does not watch \
                     namespace `{}`. Add it to the watched namespaces.",
                    names::app_binding_namespace(pgpool)
                )));
        }
        Some(Lookup::Present(secrets)) => {
            let mut given = others(pgpool, inputs, secrets);
            if given.len() > limits::SYNCED_SECRETS {
                problems.push(Explanation::new(
                    Reason::UserConflict,
                    format!(
                        "`spec.syncUsers` finds {} labeled Secrets, and only the {} oldest are read: remove the label from those \
                         without users.",
                        given.len(),
                        limits::SYNCED_SECRETS
                    ),
                ));
                given.truncate(limits::SYNCED_SECRETS);
            }
            synced(&mut users, &mut problems, &known, &given);
        }
    }
    Ok((users.into_values().collect(), problems))
}

/// The Secrets other than the one that the `AppBinding` names; the oldest first.
fn others<'a>(pgpool: &Pgpool, inputs: &Inputs, secrets: &'a [Arc<Secret>]) -> Vec<&'a Secret> {
    let binding = inputs.app_binding.present();
    let own = binding.and_then(|binding| {
        Some((
            names::app_binding_namespace(pgpool),
            binding.spec.secret.as_ref()?.name.clone(),
        ))
    });
    let title = |secret: &Secret| (secret.namespace().unwrap_or_default(), secret.name_any());
    let mut others: Vec<&Secret> = secrets
        .iter()
        .map(AsRef::as_ref)
        .filter(|secret| own.as_ref() != Some(&title(secret)))
        .collect();
    others.sort_by_key(|secret| {
        (
            secret.metadata.creation_timestamp.as_ref().map(|time| time.0),
            title(secret),
        )
    });
    others
}

/// A user from a Secret.
struct Given<'a> {
    secret: &'a Secret,
    user: Credential,
}

fn synced(
    users: &mut BTreeMap<String, Credential>,
    problems: &mut Vec<Explanation>,
    known: &BTreeMap<String, String>,
    secrets: &[&Secret],
) {
    let mut given: BTreeMap<String, Vec<Given<'_>>> = BTreeMap::new();
    for secret in secrets {
        if !is_about_user(secret) {
            continue;
        }
        let name = text(secret, "username").or_else(|problem| {
            // One of the guides for KubeDB uses this key.
            text(secret, "user").map_err(|_| problem)
        });
        let kept = |name: &String| credential(name, known.get(name)?).ok();
        let user = name.and_then(|name| {
            let found = text(secret, "password").and_then(|password| credential(&name, &password));
            found.or_else(|problem| match kept(&name) {
                Some(user) => {
                    problems.push(broken(
                        secret,
                        &format!("{problem}, and the user keeps the current password"),
                    ));
                    Ok(user)
                }
                None => Err(problem),
            })
        });
        match user {
            Ok(user) => given
                .entry(user.user.clone())
                .or_default()
                .push(Given { secret, user }),
            Err(problem) => problems.push(broken(secret, &problem)),
        }
    }
    for (name, given) in given {
        if let Some(first) = users.get(&name) {
            let different = given.iter().find(|it| it.user.password != first.password);
            problems.extend(different.map(|it| Explanation::new(Reason::UserConflict, format!(
                    "{} gives the user `{name}` a different password than the AppBinding or `spec.podTemplate`, which \
                     take precedence: correct or remove it.",
                    title(it.secret)
                ))));
        } else if let Some(user) = chosen(&name, &given, known, problems) {
            users.insert(name, user);
        }
    }
}

/// The password of a user. Of several, the one in force stays; if none is, the oldest Secret wins.
fn chosen(
    name: &str,
    given: &[Given<'_>],
    known: &BTreeMap<String, String>,
    problems: &mut Vec<Explanation>,
) -> Option<Credential> {
    let in_force = |it: &&Given<'_>| known.get(name).map(String::as_str) == Some(it.user.password.expose());
    let counts = given.iter().find(in_force).or(given.first())?;
    if let Some(other) = given.iter().find(|it| it.user.password != counts.user.password) {
        problems.push(Explanation::new(Reason::UserConflict, format!(
                "{} and {} give the user `{name}` different passwords, and the former is used: remove one of them.",
                title(counts.secret),
                title(other.secret)
            )));
    }
    Some(counts.user.clone())
}

fn title(secret: &Secret) -> String {
    format!(
        "Secret `{}/{}`",
        secret.namespace().unwrap_or_default(),
        secret.name_any()
    )
}

fn broken(secret: &Secret, problem: &str) -> Explanation {
    Explanation::new(
        Reason::UserSecretInvalid,
        format!(
            "{} {problem}: give it `username` and `password` of a PostgreSQL role, or remove its labels.",
            title(secret)
        ),
    )
}

/// Whether a Secret is about a user. Secrets of certificates and the like have the same labels, and one that another operator
/// created without a user is for its own use.
fn is_about_user(secret: &Secret) -> bool {
    let data = secret.data.as_ref();
    let has = |key: &str| data.is_some_and(|data| data.contains_key(key));
    if has("username") || has("user") || has("password") {
        return true;
    }
    let plain = ["", "Opaque", "kubernetes.io/basic-auth"];
    plain.contains(&secret.type_.as_deref().unwrap_or_default())
        && secret
            .owner_references()
            .iter()
            .all(|owner| owner.controller != Some(true))
}
