//! How programs find the pool: an `AppBinding` like the one of PostgreSQL.

use kube::Resource;
use shared_types::app_binding::{AppBinding, AppBindingSpec, AppReference, ClientConfig, ServiceReference};
use shared_types::object::TypedReference;
use shared_types::{Pgpool, ports};

use super::metadata;
use crate::pgpool::validate::Validated;

/// The Service of the pool, with the login of the PostgreSQL behind it if its Secret is in the same namespace: references do
/// not cross namespaces. Without CA certificates, since this object is built before the certificates are known.
pub(super) fn app_binding(validated: &Validated) -> AppBinding {
    AppBinding {
        metadata: metadata::owned(validated, &validated.name),
        spec: AppBindingSpec {
            type_: Some("kubedb.com/pgpool".to_owned()),
            version: Some(validated.version.clone()),
            app_ref: Some(AppReference {
                api_group: Some(Pgpool::group(&()).into_owned()),
                kind: Some(Pgpool::kind(&()).into_owned()),
                namespace: Some(validated.namespace.clone()),
                name: validated.name.clone(),
            }),
            client_config: ClientConfig {
                service: Some(ServiceReference {
                    scheme: "postgresql".to_owned(),
                    name: validated.names.primary_service.clone(),
                    port: primary_port(validated),
                    query: Some(format!("sslmode={}", validated.ssl_mode)),
                    ..ServiceReference::default()
                }),
                server_name: server_name(validated),
                ..ClientConfig::default()
            },
            secret: validated.backend.login_secret.clone().map(|name| TypedReference {
                name,
                ..TypedReference::default()
            }),
            ..AppBindingSpec::default()
        },
    }
}

/// The name in the certificate, where it is not `<service>.<namespace>.svc`, under which readers of this object connect.
fn server_name(validated: &Validated) -> Option<String> {
    let address = format!("{}.{}.svc", validated.names.primary_service, validated.namespace);
    let differs = validated.serves_tls() && validated.host != address;
    differs.then(|| validated.host.clone())
}

/// The port of the Service, which users can change.
fn primary_port(validated: &Validated) -> i32 {
    let ports = validated.primary_service.spec.ports.iter().flatten();
    ports
        .map(|port| port.port)
        .next()
        .unwrap_or(i32::from(ports::PGPOOL))
}
