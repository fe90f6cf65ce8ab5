//! The pools of the matrix: every combination that the API takes. Pure.

use std::fmt;

use serde::Deserialize;
use serde_json::json;
use shared_types::{ClientAuthMode, SslMode};

use crate::namespace::fixtures::{self, Manifest};

/// The pgpool of the whole matrix.
pub(crate) const VERSION: &str = "4.3.5";

/// The user of all clients.
pub(crate) const USER: &str = "postgres";

/// The newer pgpool, some of whose settings have other names.
pub(crate) const NEWER: &str = "4.6.1";

/// The PostgreSQL behind a pool, and what its `AppBinding` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    Plain,
    /// It insists on TLS, and its CA is in the `AppBinding`.
    Known,
    /// It insists on TLS, and its CA is not in the `AppBinding`.
    Unknown,
}

impl Backend {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Known, Self::Unknown];
    pub(crate) fn binding(self) -> &'static str {
        match self {
            Self::Plain | Self::Known => fixtures::DATABASE,
            Self::Unknown => "postgres-unverified",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Known => "known",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plain => "PostgreSQL without TLS",
            Self::Known => "PostgreSQL with TLS, its CA in the AppBinding",
            Self::Unknown => "PostgreSQL with TLS, its CA unknown",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) tls: bool,
    pub(crate) ssl: Option<SslMode>,
}

const SSL_MODES: [Option<SslMode>; 7] = [
    None,
    Some(SslMode::Disable),
    Some(SslMode::Allow),
    Some(SslMode::Prefer),
    Some(SslMode::Require),
    Some(SslMode::VerifyCa),
    Some(SslMode::VerifyFull),
];

const AUTH_MODES: [ClientAuthMode; 3] = [ClientAuthMode::Md5, ClientAuthMode::Scram, ClientAuthMode::Cert];

impl Mode {
    /// All modes that the API accepts: without certificates only two ways to write that there is no TLS.
    pub(crate) fn all() -> Vec<Self> {
        let bare = SSL_MODES[..2].iter().map(|ssl| Self {
            tls: false,
            ssl: *ssl,
        });
        let with = SSL_MODES.iter().map(|ssl| Self { tls: true, ssl: *ssl });
        bare.chain(with).collect()
    }

    /// What holds: `verify-full` with certificates and `disable` without, unless it is written.
    pub(crate) fn effective(self) -> SslMode {
        match (self.ssl, self.tls) {
            (Some(mode), _) => mode,
            (None, true) => SslMode::VerifyFull,
            (None, false) => SslMode::Disable,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Combination {
    pub(crate) mode: Mode,
    pub(crate) auth: ClientAuthMode,
    pub(crate) backend: Backend,
    pub(crate) version: &'static str,
}

impl Combination {
    pub(crate) fn all() -> Vec<Self> {
        let each = Backend::ALL.into_iter().flat_map(|backend| {
            pairs().into_iter().map(move |(_, mode, auth)| Self {
                mode,
                auth,
                backend,
                version: VERSION,
            })
        });
        each.collect()
    }

    /// Every valid pair of mode and method once, and every kind of PostgreSQL in turn, so that each meets each mode
    /// or its like and each method.
    pub(crate) fn covering() -> Vec<Self> {
        let each = pairs().into_iter().map(|(turn, mode, auth)| Self {
            mode,
            auth,
            backend: Backend::ALL[turn % 3],
            version: VERSION,
        });
        each.collect()
    }

    /// Enough to see that the newer pgpool obeys every line that is written for it.
    pub(crate) fn newer() -> Vec<Self> {
        let rows = [
            (false, None, ClientAuthMode::Md5, Backend::Plain),
            (
                true,
                Some(SslMode::Disable),
                ClientAuthMode::Scram,
                Backend::Known,
            ),
            (true, Some(SslMode::Prefer), ClientAuthMode::Md5, Backend::Unknown),
            (
                true,
                Some(SslMode::Require),
                ClientAuthMode::Scram,
                Backend::Known,
            ),
            (true, Some(SslMode::Allow), ClientAuthMode::Cert, Backend::Plain),
            (true, None, ClientAuthMode::Cert, Backend::Known),
        ];
        let each = rows.into_iter().map(|(tls, ssl, auth, backend)| Self {
            mode: Mode { tls, ssl },
            auth,
            backend,
            version: NEWER,
        });
        each.collect()
    }

    pub(crate) fn name(&self) -> String {
        let tls = if self.mode.tls { "tls" } else { "bare" };
        let ssl = self.mode.ssl.map_or("unset", SslMode::as_str);
        let newer = if self.version == VERSION { "" } else { "-newer" };
        format!(
            "{tls}-{ssl}-{}-{}{newer}",
            self.auth.as_str(),
            self.backend.word()
        )
    }

    /// What a user would write for it. The PostgreSQL is in the namespace `database`.
    pub(crate) fn manifest(&self, database: &str) -> anyhow::Result<Manifest> {
        let mut pool = fixtures::pgpool(database)?
            .named(&self.name())
            .with("/spec/version", json!(self.version))
            .with("/spec/postgresRef/name", json!(self.backend.binding()))
            .with(
                "/spec/podTemplate/spec/containers/0/resources/requests/cpu",
                json!("10m"),
            )
            .with("/spec/clientAuthMode", json!(self.auth.as_str()))
            .without("/spec/sslMode");
        if let Some(mode) = self.mode.ssl {
            pool = pool.with("/spec/sslMode", json!(mode.as_str()));
        } else if self.auth == ClientAuthMode::Md5 {
            // What is written nowhere is the default in one place at least.
            pool = pool.without("/spec/clientAuthMode");
        }
        if !self.mode.tls {
            pool = pool.without("/spec/tls");
        }
        Ok(pool)
    }
}

impl fmt::Display for Combination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.mode.tls { "tls" } else { "no tls" };
        let ssl = match self.mode.ssl {
            Some(mode) => mode.to_string(),
            None => format!("unset ({})", self.mode.effective()),
        };
        let auth = self.auth.as_str();
        write!(
            formatter,
            "{tls}, sslMode {ssl}, clientAuthMode {auth}, {}, pgpool {}",
            self.backend, self.version
        )
    }
}

/// Every mode with every method that it may have, with a number that differs between neighbors of either kind.
fn pairs() -> Vec<(usize, Mode, ClientAuthMode)> {
    let mut pairs = Vec::new();
    for (row, mode) in Mode::all().into_iter().enumerate() {
        for (column, auth) in AUTH_MODES.into_iter().enumerate() {
            if auth != ClientAuthMode::Cert || mode.effective().enabled() {
                pairs.push((row + column, mode, auth));
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_valid_combination_is_there_once() {
        let all = Combination::all();
        // 2 modes without certificates and `disable` with them take 2 methods, the other 6 take 3.
        assert_eq!(all.len(), 3 * (3 * 2 + 6 * 3));
        let names: BTreeSet<_> = all.iter().map(Combination::name).collect();
        assert_eq!(names.len(), all.len());
        assert!(names.iter().all(|name| name.len() <= 40), "{names:?}");
    }

    #[test]
    fn the_subset_covers_every_method_on_every_postgresql() {
        let subset = Combination::covering();
        assert_eq!(subset.len() * 3, Combination::all().len());
        for auth in AUTH_MODES {
            for backend in Backend::ALL {
                let found = subset
                    .iter()
                    .any(|pool| pool.auth == auth && pool.backend == backend);
                assert!(found, "{auth:?} {backend:?}");
            }
        }
    }

    #[test]
    fn the_defaults_are_left_to_the_api() {
        let mode = Mode { tls: true, ssl: None };
        let pool = Combination {
            mode,
            auth: ClientAuthMode::Md5,
            backend: Backend::Known,
            version: VERSION,
        };
        let spec = &pool.manifest("db").unwrap().0["spec"];
        assert!(spec.get("sslMode").is_none() && spec.get("clientAuthMode").is_none());
        assert_eq!(mode.effective(), SslMode::VerifyFull);
    }
}
