//! The PostgreSQL behind the pool, from the `AppBinding` or from `spec.configuration.backends`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;
use shared_types::object::TypedReference;
use shared_types::{AppBinding, ClientAuthMode, Pgpool, limits, names};

use super::address::{self, Address};
use super::credentials::credential;
use super::nodes::{self, Endpoint};
use super::resolve::{Reference, text};
use super::secret_transforms::transformed;
use super::{Backend, Inputs};
use crate::across_namespaces::Consent;
use crate::credential::Credential;
use shared_types::certificates::CLIENT_USER;

use crate::pgpool::observe::Lookup;

/// Reads the `AppBinding` and its Secrets.
pub(super) fn backend(pgpool: &Pgpool, inputs: &Inputs) -> Result<Backend, Blocked> {
    let place = Place::of(pgpool);
    consent(pgpool, &place, inputs)?;
    let binding = Reference {
        what: &place.what,
        how_to_fix: "create it, or correct `spec.postgresRef`",
        absent: Reason::AppBindingNotFound,
        forbidden: Reason::AppBindingForbidden,
    }
    .read(&inputs.app_binding)?;
    let address = place.address(&binding)?;
    let login = login(&place, &binding, inputs)?;
    if pgpool.spec.client_auth_mode() == ClientAuthMode::Cert && login.user != CLIENT_USER {
        return Err(Blocked::stuck(
            Reason::NotSupported,
            format!(
                "{} logs in as `{}`, but the client certificate is issued to `{CLIENT_USER}`: put the user \
                 `{CLIENT_USER}` into its Secret, or set `spec.clientAuthMode` to `scram`.",
                place.what, login.user
            ),
        ));
    }
    let ca = ca_certificates(&place, &binding, inputs)?;
    let mode = address::ssl_mode(&address.query);
    let verify = matches!(mode, Some("verify-ca" | "verify-full"));
    let tls = verify || mode == Some("require") || !ca.is_empty() || binding.spec.tls_secret.is_some();
    let same_namespace = place.namespace == pgpool.namespace().unwrap_or_default();
    Ok(Backend {
        nodes: nodes::nodes(pgpool, &Endpoint::of(&binding, &place.namespace, address))?,
        login,
        login_secret: binding
            .spec
            .secret
            .as_ref()
            .filter(|_| same_namespace)
            .map(|secret| secret.name.clone()),
        tls,
        verify,
        ca,
    })
}

/// Whether the `Pgpool` may use what is in the other namespace. The message is the same whether or not anything is there.
fn consent(pgpool: &Pgpool, place: &Place, inputs: &Inputs) -> Result<(), Blocked> {
    let what = &place.what;
    let annotation = names::ANNOTATION_ALLOWED_NAMESPACES;
    let namespace = pgpool.namespace().unwrap_or_default();
    let refusal = match inputs.consent {
        Consent::Given => return Ok(()),
        Consent::Unknown => return Err(Blocked::Unknown),
        Consent::Missing => format!(
            "{what} does not exist, or does not allow Pgpools of namespace `{namespace}`, or the provisioner may not read \
             it: ask its owner to add `{namespace}` to its annotation `{annotation}`, or refer to an AppBinding in \
             namespace `{namespace}`."
        ),
        Consent::SwitchedOff => format!(
            "{what} is in another namespace, which this installation does not allow (`postgresRef.acrossNamespaces` of the \
             provisioner's chart is `none`): refer to an AppBinding in namespace `{namespace}`."
        ),
    };
    let copies = match inputs.users_in_force {
        Some(_) => {
            " Until then nothing of this Pgpool is changed, its certificates included. Its pods go on with the passwords \
             that were copied to this namespace; these are not renewed, and only other passwords in PostgreSQL make them \
             useless."
        }
        None => "",
    };
    Err(Blocked::stuck(
        Reason::AppBindingForbidden,
        format!("{refusal}{copies}"),
    ))
}

/// The `AppBinding`, for messages.
struct Place {
    namespace: String,
    /// Kind and name.
    what: String,
}

impl Place {
    fn of(pgpool: &Pgpool) -> Self {
        let namespace = names::app_binding_namespace(pgpool);
        let what = format!("AppBinding `{namespace}/{}`", pgpool.spec.postgres_ref.name);
        Self { namespace, what }
    }

    fn invalid(&self, problem: &str) -> Blocked {
        Blocked::stuck(Reason::AppBindingInvalid, format!("{} {problem}.", self.what))
    }

    fn address(&self, binding: &AppBinding) -> Result<Address, Blocked> {
        let config = &binding.spec.client_config;
        if let Some(service) = &config.service {
            let named = service
                .namespace
                .clone()
                .filter(|namespace| !namespace.is_empty());
            let namespace = named.unwrap_or_else(|| self.namespace.clone());
            let host = format!("{}.{namespace}.svc", service.name);
            let port = u16::try_from(service.port).ok().filter(|port| *port != 0);
            let Some(port) = port.filter(|_| address::is_host(&host)) else {
                return Err(self
                    .invalid("has a `spec.clientConfig.service` without a usable name or port: correct it"));
            };
            return Ok(Address {
                host,
                port,
                query: service.query.clone().unwrap_or_default(),
            });
        }
        let url = config.url.as_deref().filter(|url| !url.is_empty()).ok_or_else(|| {
            self.invalid("has no address of PostgreSQL: set `spec.clientConfig.service` or `spec.clientConfig.url`")
        })?;
        address::from_url(url).ok_or_else(|| {
            self.invalid(
                "has a `spec.clientConfig.url` without a usable host: write it as `postgresql://HOST:PORT`",
            )
        })
    }
}

fn login(place: &Place, binding: &AppBinding, inputs: &Inputs) -> Result<Credential, Blocked> {
    let Some(named) = &binding.spec.secret else {
        return Err(
            place.invalid("names no Secret: set `spec.secret.name` to one with `username` and `password`")
        );
    };
    let secret = secret(place, named, inputs.backend_secret.as_ref())?;
    let secret = transformed(&secret, &binding.spec.secret_transforms).map_err(|what| {
        place.invalid(&format!(
            "has a `spec.secretTransforms` entry with {what}: write the keys into the Secret itself"
        ))
    })?;
    let pair = text(&secret, "username").and_then(|user| credential(&user, &text(&secret, "password")?));
    pair.map_err(|problem| {
        Blocked::stuck(
            Reason::BackendSecretInvalid,
            format!(
                "Secret `{}/{}` {problem}: give it `username` and `password` of a PostgreSQL role.",
                place.namespace, named.name
            ),
        )
    })
}

fn secret(
    place: &Place,
    named: &TypedReference,
    lookup: Option<&Lookup<Arc<Secret>>>,
) -> Result<Arc<Secret>, Blocked> {
    let what = format!("Secret `{}/{}`", place.namespace, named.name);
    let foreign = named.api_group.as_deref().is_some_and(|group| !group.is_empty());
    if foreign {
        return Err(Blocked::stuck(
            Reason::NotSupported,
            format!(
                "{} refers to a Secret of another API group: use a core Secret.",
                place.what
            ),
        ));
    }
    let Some(lookup) = lookup else {
        return Err(Blocked::Unknown);
    };
    Reference {
        what: &what,
        how_to_fix: &format!("create it, or correct {}", place.what),
        absent: Reason::BackendSecretNotFound,
        forbidden: Reason::BackendSecretForbidden,
    }
    .read(lookup)
}

/// The CAs of PostgreSQL's certificates: those in the `AppBinding`, and that of its TLS Secret.
///
/// Each must be readable: pgpool silently does without TLS when it cannot load its CA file.
fn ca_certificates(
    place: &Place,
    binding: &AppBinding,
    inputs: &Inputs,
) -> Result<Vec<CertificateDer<'static>>, Blocked> {
    let mut found = Vec::new();
    if let Some(bundle) = binding
        .spec
        .client_config
        .ca_bundle
        .as_ref()
        .filter(|bundle| !bundle.0.is_empty())
    {
        found.extend(certificates(&bundle.0).ok_or_else(|| {
            place.invalid(&format!(
                "has a `spec.clientConfig.caBundle` {}",
                not_a_list(&bundle.0)
            ))
        })?);
    }
    if let Some(named) = &binding.spec.tls_secret {
        let secret = secret(place, named, inputs.backend_tls_secret.as_ref())?;
        if let Some(bundle) = secret
            .data
            .as_ref()
            .and_then(|data| data.get("ca.crt"))
            .filter(|b| !b.0.is_empty())
        {
            found.extend(certificates(&bundle.0).ok_or_else(|| {
                Blocked::stuck(
                    Reason::BackendSecretInvalid,
                    format!(
                        "Secret `{}/{}` has a `ca.crt` {}.",
                        place.namespace,
                        named.name,
                        not_a_list(&bundle.0)
                    ),
                )
            })?);
        }
    }
    Ok(found)
}

fn not_a_list(pem: &[u8]) -> String {
    format!(
        "of {} bytes that is not a list of PEM certificates with at most {} of them and {} bytes: correct it",
        pem.len(),
        limits::CA_BUNDLE_CERTIFICATES,
        limits::CA_BUNDLE_BYTES
    )
}

/// Not more than the limits of such a list: then none can be used.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    if pem.len() > limits::CA_BUNDLE_BYTES {
        return None;
    }
    let parsed: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .take(limits::CA_BUNDLE_CERTIFICATES.saturating_add(1))
        .collect::<Result<_, _>>()
        .ok()?;
    let readable =
        |certificate: &CertificateDer<'static>| RootCertStore::empty().add(certificate.clone()).is_ok();
    let counts = 1..=limits::CA_BUNDLE_CERTIFICATES;
    (counts.contains(&parsed.len()) && parsed.iter().all(readable)).then_some(parsed)
}
