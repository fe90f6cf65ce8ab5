//! The Secret of the PCP user: generated, kept from an earlier pass, or the user's own.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_runtime::Claim;
use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;
use shared_types::owned_names::conflict_of_auth_secret;
use shared_types::{Pgpool, names};

use super::credentials::credential;
use super::resolve::{Reference, text};
use super::{AuthSecret, Inputs};
use crate::credential::Credential;
use crate::pgpool::observe::Lookup;

/// The PCP user in a generated Secret.
const PCP_USER: &str = "pcp";

/// Reads the Secret, or generates its content. A password that is in use is always kept.
pub(super) fn auth_secret(pgpool: &Pgpool, inputs: &Inputs) -> Result<AuthSecret, Blocked> {
    let name = names::auth_secret(pgpool);
    let what = format!("Secret `{}/{name}`", pgpool.namespace().unwrap_or_default());
    let requested = pgpool.spec.auth_secret.clone().unwrap_or_default();
    if let Some(field) = external_reference(&requested) {
        return Err(Blocked::stuck(
            Reason::NotSupported,
            format!(
                "`spec.authSecret` refers by {field} to a secret outside of the cluster, which is not supported: remove \
                 `apiGroup`, `secretStoreName` and `kind` from it, and name a Secret with `username` and `password`."
            ),
        ));
    }
    if let Some(role) = conflict_of_auth_secret(pgpool, &name) {
        return Err(Blocked::stuck(
            Reason::NameConflict,
            format!(
                "`spec.authSecret.name` is `{name}`, which is {} of this Pgpool: name another Secret.",
                role.describe()
            ),
        ));
    }
    let external = requested.externally_managed.unwrap_or(false);
    if inputs.auth_secret == Lookup::Absent && !external {
        let login =
            credential(PCP_USER, &inputs.passwords.password()).map_err(|problem| invalid(&what, &problem))?;
        return Ok(AuthSecret {
            name,
            ours: true,
            login,
            version: None,
        });
    }
    let secret = Reference {
        what: &what,
        how_to_fix: "create it, or set `spec.authSecret.externallyManaged` to false to have the operator create it",
        absent: Reason::AuthSecretNotFound,
        forbidden: Reason::AuthSecretNotFound,
    }
    .read(&inputs.auth_secret)?;
    let holder = holder(pgpool, &secret);
    if !external && let Holder::Other(owner) = &holder {
        return Err(Blocked::stuck(
            Reason::NameConflict,
            format!(
                "{what} belongs to {owner}: name another Secret in `spec.authSecret.name`, or set \
                 `spec.authSecret.externallyManaged` to share it."
            ),
        ));
    }
    let login = login(&secret).map_err(|problem| invalid(&what, &problem))?;
    Ok(AuthSecret {
        name,
        ours: !external && holder == Holder::Pgpool,
        login,
        version: secret.resource_version(),
    })
}

/// The field that refers to something else than a Secret of this namespace, such as a virtual secret in a store.
fn external_reference(requested: &shared_types::pgpool::AuthSecret) -> Option<String> {
    let fields = [
        ("apiGroup", &requested.api_group, ""),
        ("secretStoreName", &requested.secret_store_name, ""),
        ("kind", &requested.kind, "secret"),
    ];
    let external = fields.into_iter().filter_map(|(field, value, plain)| {
        let value = value.as_deref().filter(|value| !value.is_empty())?;
        (!value.eq_ignore_ascii_case(plain)).then(|| format!("`{field}: {value}`"))
    });
    external.into_iter().next()
}

fn login(secret: &Secret) -> Result<Credential, String> {
    let user = text(secret, "username").unwrap_or_else(|_| PCP_USER.to_owned());
    credential(&user, &text(secret, "password")?)
}

fn invalid(what: &str, problem: &str) -> Blocked {
    Blocked::stuck(
        Reason::AuthSecretInvalid,
        format!("{what} {problem}: give it `username` and `password` of the PCP user."),
    )
}

/// Whose the Secret is.
#[derive(PartialEq, Eq)]
enum Holder {
    /// This `Pgpool` wrote it, or an earlier one of its name.
    Pgpool,
    /// The user made it for the `Pgpool`: it is only read.
    User,
    /// The labels say that an operator wrote it, and not for this `Pgpool`.
    Other(String),
}

fn holder(pgpool: &Pgpool, secret: &Secret) -> Holder {
    let label = |key: &str| secret.labels().get(key).map(String::as_str);
    if label(names::LABEL_MANAGED_BY) != Some(names::MANAGER) {
        return Holder::User;
    }
    match Claim::of(pgpool).other_owner_of_secret(secret, names::AUTH_SECRET_TYPE) {
        Some(other) => Holder::Other(other),
        None => Holder::Pgpool,
    }
}
