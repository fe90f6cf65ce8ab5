//! Every name that the objects of a Pgpool may have, so that what users name can be kept apart from it.

use kube::ResourceExt;

use crate::names;
use crate::pgpool::{Alias, Pgpool};

/// Hexadecimal digits that end the name of a TLS copy or of a config check.
const HASH_LENGTH: usize = 10;

/// What a Secret of a Pgpool is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretRole {
    /// The credentials of the PCP user: the only one besides certificates whose name users may choose.
    Auth,
    /// `pgpool.conf` and `pool_hba.conf`.
    Config,
    /// `pcp.conf`.
    Pcp,
    /// `pool_passwd`.
    Users,
    /// The login of the metrics exporter.
    Exporter,
    /// A TLS copy.
    TlsCopy,
    /// The settings that a config check reads.
    ConfigCheck,
    /// What cert-manager issues.
    Certificate(Alias),
}

impl SecretRole {
    /// What the Secret is, for messages.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Auth => "the credentials of the PCP user",
            Self::Config | Self::Pcp => "the configuration",
            Self::Users => "the password file",
            Self::Exporter => "the login of the metrics exporter",
            Self::TlsCopy => "a TLS copy",
            Self::ConfigCheck => "a config check",
            Self::Certificate(Alias::Server) => "the server certificate",
            Self::Certificate(Alias::Client) => "the client certificate",
            Self::Certificate(Alias::MetricsExporter) => "the metrics-exporter certificate",
        }
    }
}

/// Everything that a Secret of this name is, or may become, for a Pgpool. More than one role means that users chose a name
/// twice, or one of ours.
#[must_use]
pub fn secret_roles(pgpool: &Pgpool, name: &str) -> Vec<SecretRole> {
    let fixed = [
        (SecretRole::Auth, names::auth_secret(pgpool)),
        (SecretRole::Config, names::config_secret(pgpool)),
        (SecretRole::Pcp, names::pcp_secret(pgpool)),
        (SecretRole::Users, names::users_secret(pgpool)),
        (SecretRole::Exporter, names::exporter_secret(pgpool)),
    ];
    let certificates = Alias::ALL
        .into_iter()
        .filter(|_| pgpool.spec.tls.is_some())
        .map(|alias| {
            (
                SecretRole::Certificate(alias),
                names::certificate_secret(pgpool, alias),
            )
        });
    let hashed = [
        (SecretRole::TlsCopy, is_hashed(pgpool, name, names::tls_secret)),
        (
            SecretRole::ConfigCheck,
            is_hashed(pgpool, name, names::config_check),
        ),
    ];
    let named = fixed.into_iter().chain(certificates).filter(|(_, of)| of == name);
    let hashed = hashed.into_iter().filter(|(_, is_named)| *is_named);
    named
        .map(|(role, _)| role)
        .chain(hashed.map(|(role, _)| role))
        .collect()
}

/// The role of the Secret that keeps a name from being that of the auth Secret.
#[must_use]
pub fn conflict_of_auth_secret(pgpool: &Pgpool, name: &str) -> Option<SecretRole> {
    let mut roles = secret_roles(pgpool, name).into_iter();
    roles.find(|role| *role != SecretRole::Auth)
}

/// Whether a name could be one that ends with the hash of its content.
fn is_hashed(pgpool: &Pgpool, name: &str, named: fn(&str, &str) -> String) -> bool {
    let hash = name.rsplit('-').next().unwrap_or_default();
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    hash.len() == HASH_LENGTH && hash.chars().all(is_hex) && name == named(&pgpool.name_any(), hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgpool::PgpoolSpec;

    fn pool(name: &str) -> Pgpool {
        let mut pgpool = Pgpool::new(name, PgpoolSpec::default());
        pgpool.metadata.uid = Some("6f1c2d3e-0000-4000-8000-0123456789ab".to_owned());
        pgpool
    }

    #[test]
    fn a_name_tells_what_it_is_for() {
        let mut pgpool = pool("a");
        let rows: [(&str, &[SecretRole]); 15] = [
            ("a-auth", &[SecretRole::Auth]),
            ("a-6789ab", &[SecretRole::Config]),
            ("a-pcp-6789ab", &[SecretRole::Pcp]),
            ("a-users", &[SecretRole::Users]),
            ("a-exporter", &[SecretRole::Exporter]),
            ("a-tls-0123456789", &[SecretRole::TlsCopy]),
            ("a-config-01234abcde", &[SecretRole::ConfigCheck]),
            ("a-config-0123456789abcdef", &[]),
            ("a-tls-server", &[]),
            ("a-tls-0123", &[]),
            ("a-config-0123456789-x", &[]),
            ("a", &[]),
            ("b-users", &[]),
            ("a-b-users", &[]),
            ("a-server-cert", &[]),
        ];
        for (name, roles) in rows {
            assert_eq!(secret_roles(&pgpool, name), roles, "{name}");
        }
        pgpool.spec.tls = Some(crate::pgpool::TlsConfig::default());
        let server = SecretRole::Certificate(Alias::Server);
        assert_eq!(secret_roles(&pgpool, "a-server-cert"), [server]);
        assert_eq!(conflict_of_auth_secret(&pgpool, "a-auth"), None);
        assert_eq!(conflict_of_auth_secret(&pgpool, "a-server-cert"), Some(server));
        assert_eq!(
            conflict_of_auth_secret(&pgpool, "a-users"),
            Some(SecretRole::Users)
        );
    }

    #[test]
    fn the_names_of_two_pgpools_do_not_mix() {
        let (short, long) = (pool("a"), pool("a-b"));
        for name in [
            "a-b-auth",
            "a-b-users",
            "a-b-exporter",
            "a-b-tls-0123456789",
            "a-b-pcp-6789ab",
        ] {
            assert_eq!(secret_roles(&short, name), [], "{name}");
            assert_eq!(secret_roles(&long, name).len(), 1, "{name}");
        }
    }
}
