//! The Secret of the PCP user: made here, kept from before, or the user's.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use shared_types::conditions::Reason;
use shared_types::{Pgpool, names};

use super::credentials::credential;
use super::reference::{Reference, text};
use super::{AuthSecret, Inputs, Unmet};
use crate::credential::Credential;
use crate::pgpool::observe::Lookup;

/// Name of the PCP user that is made here.
const PCP_USER: &str = "pcp";

/// Decides whose Secret it is and reads it. A password that is in use is always kept.
pub(super) fn auth_secret(pgpool: &Pgpool, inputs: &Inputs) -> Result<AuthSecret, Unmet> {
    let name = names::auth_secret(pgpool);
    let what = format!("Secret `{}/{name}`", pgpool.namespace().unwrap_or_default());
    let asked = pgpool.spec.auth_secret.clone().unwrap_or_default();
    if let Some(field) = elsewhere(&asked) {
        return Err(Unmet::rejected(
            Reason::NotSupported,
            format!(
                "`spec.authSecret` asks by {field} for a secret outside of the cluster, which is not supported: remove \
                 `apiGroup`, `secretStoreName` and `kind` from it, and let it name a Secret with `username` and `password`."
            ),
        ));
    }
    let external = asked.externally_managed.unwrap_or(false);
    if inputs.auth_secret == Lookup::Absent && !external {
        let login = credential(PCP_USER, &inputs.passwords.password())
            .map_err(|complaint| invalid(&what, &complaint))?;
        return Ok(AuthSecret {
            name,
            ours: true,
            login,
            version: None,
        });
    }
    let secret = Reference {
        what: &what,
        cure: "create it, or let the operator do so by `spec.authSecret.externallyManaged: false`",
        absent: Reason::AuthSecretNotFound,
        forbidden: Reason::AuthSecretNotFound,
    }
    .read(&inputs.auth_secret)?;
    if !external && belongs_to_another(pgpool, &secret) {
        return Err(Unmet::rejected(
            Reason::NameConflict,
            format!(
                "{what} belongs to another object by its labels: name another in `spec.authSecret.name`, or set \
                 `spec.authSecret.externallyManaged` to share it."
            ),
        ));
    }
    let login = login(&secret).map_err(|complaint| invalid(&what, &complaint))?;
    Ok(AuthSecret {
        name,
        ours: !external && is_ours(pgpool, &secret),
        login,
        version: secret.resource_version(),
    })
}

/// What asks for a secret that is no Secret: a virtual one, which stands in a store.
fn elsewhere(asked: &shared_types::pgpool::AuthSecret) -> Option<String> {
    let fields = [
        ("apiGroup", &asked.api_group, ""),
        ("secretStoreName", &asked.secret_store_name, ""),
        ("kind", &asked.kind, "secret"),
    ];
    let strange = fields.into_iter().filter_map(|(field, value, plain)| {
        let value = value.as_deref().filter(|value| !value.is_empty())?;
        (!value.eq_ignore_ascii_case(plain)).then(|| format!("`{field}: {value}`"))
    });
    strange.into_iter().next()
}

fn login(secret: &Secret) -> Result<Credential, String> {
    let user = text(secret, "username").unwrap_or_else(|_| PCP_USER.to_owned());
    credential(&user, &text(secret, "password")?)
}

fn invalid(what: &str, complaint: &str) -> Unmet {
    Unmet::rejected(
        Reason::AuthSecretInvalid,
        format!("{what} {complaint}: give it `username` and `password` of the PCP user."),
    )
}

/// Ours are those that carry the labels of this Pgpool: written in this life or left by an earlier one.
fn is_ours(pgpool: &Pgpool, secret: &Secret) -> bool {
    let selector = names::selector_labels(&pgpool.name_any());
    selector
        .iter()
        .all(|(key, value)| secret.labels().get(key) == Some(value))
}

fn belongs_to_another(pgpool: &Pgpool, secret: &Secret) -> bool {
    let managed = secret
        .labels()
        .get(names::LABEL_MANAGED_BY)
        .is_some_and(|by| by == names::MANAGER);
    managed && !is_ours(pgpool, secret)
}
