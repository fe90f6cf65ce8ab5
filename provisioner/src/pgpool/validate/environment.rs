//! Users in the environment of container `pgpool`: each pair `X_USERNAME` and `X_PASSWORD` is one. They become lines of
//! the password file, and have no place in a pod spec.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::EnvVar;
use kube::ResourceExt;
use shared_types::Pgpool;
use shared_types::conditions::Reason;
use shared_types::explanation::Explanation;

use super::credentials::credential;
use super::explain::invalid_pod_template as invalid;
use super::password_file;
use super::reference::text;
use super::{Inputs, Unmet};
use crate::credential::Credential;
use crate::pgpool::observe::Lookup;
use crate::pgpool::observe::env_pairs::{PASSWORD, USER, halves, reference};

/// What the environment says of users.
#[derive(Default)]
pub(super) struct Environment {
    /// The pairs.
    pub(crate) users: Vec<Credential>,
    /// What is wrong with others.
    pub(crate) complaints: Vec<Explanation>,
}

/// What a variable stands for.
enum Half {
    Text(String),
    /// Nothing, and what is wrong with that; an optional reference may lead nowhere.
    Nothing(Option<Explanation>),
}

/// Takes the pairs out of the environment. A password that stands alone goes too: it is none of the pod's.
///
/// # Errors
/// When the environment itself is wrong, or a Secret that is there may not be read.
pub(super) fn users(
    pgpool: &Pgpool,
    env: Vec<EnvVar>,
    inputs: &Inputs,
) -> Result<(Environment, Vec<EnvVar>), Unmet> {
    let look = Look {
        namespace: pgpool.namespace().unwrap_or_default(),
        inputs,
    };
    let (mut found, mut taken) = (Environment::default(), BTreeSet::new());
    for (prefix, halves) in halves(&env) {
        match (halves.user, halves.password) {
            (Some(user), Some(password)) => {
                look.pair(user, password, &mut found)?;
                taken.extend([user.name.clone(), password.name.clone()]);
            }
            (Some(_), None) => found.complaints.push(alone(prefix, USER, PASSWORD)),
            (None, Some(password)) => {
                found.complaints.push(alone(prefix, PASSWORD, USER));
                if password.value_from.is_none() {
                    taken.insert(password.name.clone());
                }
            }
            (None, None) => {}
        }
    }
    let rest = env.into_iter().filter(|variable| !taken.contains(&variable.name));
    Ok((found, rest.collect()))
}

fn alone(prefix: &str, there: &str, missing: &str) -> Explanation {
    Explanation::new(
        Reason::UserVariableIncomplete,
        format!(
            "`{prefix}{there}` of container `pgpool` in `spec.podTemplate` names no user without `{prefix}{missing}`: \
             add that, or remove it."
        ),
    )
}

struct Look<'a> {
    namespace: String,
    inputs: &'a Inputs,
}

impl Look<'_> {
    fn pair(&self, user: &EnvVar, password: &EnvVar, found: &mut Environment) -> Result<(), Unmet> {
        let title = format!("`{}` and `{}` of container `pgpool`", user.name, password.name);
        let is_literal = user.value_from.is_none() && password.value_from.is_none();
        match (self.half(user)?, self.half(password)?) {
            (Half::Text(name), Half::Text(secret)) => match credential(&name, &secret) {
                Ok(user) => found.users.push(user),
                Err(complaint) if is_literal => {
                    return Err(invalid(&format!("{complaint} in {title}: correct it")));
                }
                Err(complaint) => found.complaints.push(Explanation::new(
                    Reason::UserSecretInvalid,
                    format!("The pair {title} {complaint}: correct the Secret it comes from."),
                )),
            },
            // Who is in keeps his password: a Secret that is gone by mistake shuts nobody out.
            (Half::Text(name), Half::Nothing(Some(complaint))) => {
                let known = self.inputs.users_in_force.as_deref().map(password_file::read);
                let known = known.and_then(|mut known| known.remove(&name));
                found
                    .users
                    .extend(known.and_then(|known| credential(&name, &known).ok()));
                found.complaints.push(complaint);
            }
            (Half::Nothing(one), Half::Nothing(other)) => found.complaints.extend(one.or(other)),
            (Half::Nothing(complaint), Half::Text(_)) | (Half::Text(_), Half::Nothing(complaint)) => {
                found.complaints.extend(complaint);
            }
        }
        Ok(())
    }

    fn half(&self, variable: &EnvVar) -> Result<Half, Unmet> {
        if variable.value_from.is_none() {
            return Ok(Half::Text(variable.value.clone().unwrap_or_default()));
        }
        let Some(reference) = reference(variable) else {
            return Err(invalid(&format!(
                "takes `{}` of container `pgpool` from something that is no Secret: use `value` or \
                 `valueFrom.secretKeyRef`",
                variable.name
            )));
        };
        let what = format!("Secret `{}/{}`", self.namespace, reference.name);
        let why = format!("which `{}` of container `pgpool` names", variable.name);
        let is_optional = reference.optional == Some(true);
        let nothing = |reason, message: String| {
            Half::Nothing((!is_optional).then(|| Explanation::new(reason, message)))
        };
        match self.inputs.env_secrets.get(&reference.name) {
            None | Some(Lookup::Pending) => Err(Unmet::Reading { what }),
            Some(Lookup::Forbidden) => Err(Unmet::waiting(
                Reason::UserSecretForbidden,
                format!(
                    "The provisioner may not read {what}, {why}: grant its service account `get`, `list` and `watch` \
                     on it."
                ),
            )),
            Some(Lookup::Absent) => Ok(nothing(
                Reason::UserSecretNotFound,
                format!("{what} does not exist, {why}: create it."),
            )),
            Some(Lookup::Present(secret)) => Ok(match text(secret, &reference.key) {
                Ok(text) => Half::Text(text),
                Err(complaint) => nothing(
                    Reason::UserSecretInvalid,
                    format!("{what} {complaint}, {why}: correct it."),
                ),
            }),
        }
    }
}
