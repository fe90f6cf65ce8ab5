//! Users in the environment of container `pgpool`: each pair `X_USERNAME` and `X_PASSWORD` is one. They become lines of
//! the password file and are removed from the pod spec.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::EnvVar;
use kube::ResourceExt;
use shared_types::Pgpool;
use shared_types::conditions::Reason;
use shared_types::explanation::{Blocked, Explanation};
use shared_types::limits;

use super::Inputs;
use super::credentials::credential;
use super::explain::invalid_pod_template as invalid;
use super::pool_passwd;
use super::resolve::text;
use crate::credential::Credential;
use crate::pgpool::observe::Lookup;
use crate::pgpool::observe::env_users::{self, PASSWORD, USER, halves, reference};

/// The users in the environment.
#[derive(Default)]
pub(super) struct Environment {
    pub(crate) users: Vec<Credential>,
    /// What is wrong with the other pairs.
    pub(crate) problems: Vec<Explanation>,
}

/// The value of a variable.
enum Half {
    Text(String),
    /// There is none. What is wrong with that, unless the reference is optional.
    Nothing(Option<Explanation>),
}

/// Splits the environment into users and other variables. A password without a user is dropped too: no container needs it.
///
/// # Errors
/// When the environment itself is wrong, or a Secret cannot be read.
pub(super) fn users(
    pgpool: &Pgpool,
    env: Vec<EnvVar>,
    inputs: &Inputs,
) -> Result<(Environment, Vec<EnvVar>), Blocked> {
    let named = env_users::count_secrets(&env);
    if named > limits::ENV_SECRETS {
        return Err(invalid(&format!(
            "names {named} Secrets in the environment of container `pgpool`, and at most {} are read: put several users into \
             one Secret",
            limits::ENV_SECRETS
        )));
    }
    let reader = Reader {
        namespace: pgpool.namespace().unwrap_or_default(),
        inputs,
        known: LazyCell::new(Box::new(|| {
            let file = inputs.users_in_force.as_deref();
            file.map(pool_passwd::read).unwrap_or_default()
        })),
    };
    let (mut found, mut taken) = (Environment::default(), BTreeSet::new());
    for (prefix, halves) in halves(&env) {
        match (halves.user, halves.password) {
            (Some(user), Some(password)) => {
                reader.pair(user, password, &mut found)?;
                taken.extend([user.name.clone(), password.name.clone()]);
            }
            (Some(_), None) => found.problems.push(alone(prefix, USER, PASSWORD)),
            (None, Some(password)) => {
                found.problems.push(alone(prefix, PASSWORD, USER));
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
            "`{prefix}{there}` of container `pgpool` in `spec.podTemplate` has no effect without `{prefix}{missing}`: \
             add that, or remove it."
        ),
    )
}

type Known<'a> = Box<dyn FnOnce() -> BTreeMap<String, String> + 'a>;

struct Reader<'a> {
    namespace: String,
    inputs: &'a Inputs,
    /// The passwords in force by user, read at most once.
    known: LazyCell<BTreeMap<String, String>, Known<'a>>,
}

impl Reader<'_> {
    fn pair(&self, user: &EnvVar, password: &EnvVar, found: &mut Environment) -> Result<(), Blocked> {
        let title = format!("`{}` and `{}` of container `pgpool`", user.name, password.name);
        let is_literal = user.value_from.is_none() && password.value_from.is_none();
        match (self.half(user)?, self.half(password)?) {
            (Half::Text(name), Half::Text(secret)) => match credential(&name, &secret) {
                Ok(user) => found.users.push(user),
                Err(problem) if is_literal => {
                    return Err(invalid(&format!("{problem} in {title}: correct it")));
                }
                Err(problem) => found.problems.push(Explanation::new(
                    Reason::UserSecretInvalid,
                    format!("The pair {title} {problem}: correct the Secret it comes from."),
                )),
            },
            // A known user keeps the password: a Secret that was deleted by mistake must not lock anyone out.
            (Half::Text(name), Half::Nothing(Some(problem))) => {
                let known = self.known.get(&name);
                found
                    .users
                    .extend(known.and_then(|known| credential(&name, known).ok()));
                found.problems.push(problem);
            }
            (Half::Nothing(one), Half::Nothing(other)) => found.problems.extend(one.or(other)),
            (Half::Nothing(problem), Half::Text(_)) | (Half::Text(_), Half::Nothing(problem)) => {
                found.problems.extend(problem);
            }
        }
        Ok(())
    }

    fn half(&self, variable: &EnvVar) -> Result<Half, Blocked> {
        if variable.value_from.is_none() {
            return Ok(Half::Text(variable.value.clone().unwrap_or_default()));
        }
        let Some(reference) = reference(variable) else {
            return Err(invalid(&format!(
                "takes `{}` of container `pgpool` from something other than a Secret: use `value` or \
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
            None | Some(Lookup::Pending) => Err(Blocked::Unknown),
            Some(Lookup::Undecodable(undecodable)) => Err(Blocked::stuck(
                Reason::ReferenceDecodeFailed,
                format!("{}.", undecodable.explain(&format!("{what}, {why},"))),
            )),
            Some(Lookup::Forbidden) => Err(Blocked::waiting(
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
                Err(problem) => nothing(
                    Reason::UserSecretInvalid,
                    format!("{what} {problem}, {why}: correct it."),
                ),
            }),
        }
    }
}
