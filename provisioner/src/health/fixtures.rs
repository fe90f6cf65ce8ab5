//! Shared by the tests of this module.

use std::time::Duration;

use shared_types::SslMode;

use super::Access;
use crate::credential::{Credential, Password};

/// A login without TLS.
pub(crate) fn access() -> Access {
    Access {
        server_names: vec!["pool.demo.svc".to_owned()],
        ssl_mode: SslMode::Disable,
        client: None,
        previous_client_certificate: None,
        login: Credential {
            user: "postgres".to_owned(),
            password: Password::new("hunter2"),
        },
        md5: true,
        md5_until: None,
        login_source: "demo/pg-auth".to_owned(),
        backend: "PostgreSQL pg.demo.svc:5432 (AppBinding demo/pg)".to_owned(),
        children: Some(5),
        writes: true,
        period: Duration::from_secs(10),
        timeout: Duration::from_secs(3),
        failure_threshold: 1,
    }
}
