//! A small world in which everything is in place, to be damaged by each test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::passwords::PasswordSource;
use crate::pgpool::build::{self, ConfigCheck, Foundation, Objects};
use crate::pgpool::decide::init_job::InitState;
use crate::pgpool::decide::{Decision, Preview, TlsMaterial, fixtures};
use crate::pgpool::observe::{Inputs, Lookup};
use crate::pgpool::validate::{Validated, validate};
use crate::prometheus::ServiceMonitor;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;
use shared_types::{AppBinding, Pgpool, PgpoolVersion};

pub(crate) const ISSUER_CA: &str = include_str!("../../../fixtures/issuer-ca.pem");
pub(crate) const POSTGRES_CA: &str = include_str!("../../../fixtures/postgres-ca.pem");

pub(crate) struct World {
    pub(crate) pgpool: Pgpool,
    pub(crate) version: PgpoolVersion,
    pub(crate) binding: AppBinding,
    pub(crate) inputs: Inputs,
}

fn parse<T: DeserializeOwned>(yaml: &str) -> T {
    serde_yaml::from_str(yaml).expect("a fixture parses")
}

impl World {
    fn of(pgpool: &str) -> Self {
        let secret: Secret = parse(include_str!("../../../fixtures/backend-secret.yaml"));
        Self {
            pgpool: parse(pgpool),
            version: parse(include_str!("../../../fixtures/pgpool-version.yaml")),
            binding: parse(include_str!("../../../fixtures/app-binding.yaml")),
            inputs: Inputs {
                backend_secret: Some(Lookup::Present(Arc::new(secret))),
                auth_secret: Lookup::Absent,
                passwords: PasswordSource::of(|| "sixteen-letters!".to_owned()),
                ..Inputs::default()
            },
        }
    }

    pub(crate) fn plain() -> Self {
        Self::of(include_str!("../../../fixtures/pgpool.yaml"))
    }

    pub(crate) fn tls() -> Self {
        Self::of(include_str!("../../../fixtures/pgpool-tls.yaml"))
    }

    pub(crate) fn shaped() -> Self {
        Self::of(include_str!("../../../fixtures/pgpool-shaped.yaml"))
    }

    /// Overlays the spec with what a user would write.
    pub(crate) fn spec(self, yaml: &str) -> Self {
        self.overlaid(parse(yaml))
    }

    /// Overlays the spec.
    pub(crate) fn overlaid(mut self, over: Value) -> Self {
        let mut spec = serde_json::to_value(&self.pgpool.spec).expect("serializes");
        overlay(&mut spec, over);
        self.pgpool.spec = serde_json::from_value(spec).expect("a spec");
        self
    }

    /// Overlays the spec of the `AppBinding`.
    pub(crate) fn binding(mut self, yaml: &str) -> Self {
        let mut spec = serde_json::to_value(&self.binding.spec).expect("serializes");
        overlay(&mut spec, parse(yaml));
        self.binding.spec = serde_json::from_value(spec).expect("a spec");
        self
    }

    pub(crate) fn backend_ca(mut self, pem: &str) -> Self {
        self.binding.spec.client_config.ca_bundle = Some(ByteString(pem.as_bytes().to_vec()));
        self
    }

    pub(crate) fn release(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version.spec.version);
        self
    }

    pub(crate) fn inputs(mut self, change: impl FnOnce(&mut Inputs)) -> Self {
        change(&mut self.inputs);
        self
    }

    pub(crate) fn validate(&self) -> Result<Validated, Blocked> {
        let mut inputs = self.inputs.clone();
        if inputs.version == Lookup::Pending {
            inputs.version = Lookup::Present(Arc::new(self.version.clone()));
        }
        if inputs.app_binding == Lookup::Pending {
            inputs.app_binding = Lookup::Present(Arc::new(self.binding.clone()));
        }
        let validated = validate(&self.pgpool, &inputs)?;
        match validated.blocked_settings {
            Some(blocked) => Err(blocked),
            None => Ok(validated),
        }
    }

    pub(crate) fn valid(&self) -> Validated {
        self.validate().unwrap_or_else(|blocked| panic!("{blocked:?}"))
    }

    /// The reason and the sentence of a rejection.
    pub(crate) fn rejected(&self) -> (Reason, String) {
        match self.validate() {
            Err(Blocked::Stuck(explanation)) => (explanation.reason, explanation.message),
            other => panic!("not rejected: {other:?}"),
        }
    }

    /// The reason and the sentence of a wait.
    pub(crate) fn waits(&self) -> (Reason, String) {
        match self.validate() {
            Err(Blocked::Waiting(explanation)) => (explanation.reason, explanation.message),
            other => panic!("not waiting: {other:?}"),
        }
    }

    pub(crate) fn pgpool_conf(&self) -> String {
        file(&foundation(&self.valid()).config_secret.unwrap(), "pgpool.conf")
    }

    pub(crate) fn pool_hba(&self) -> String {
        file(&foundation(&self.valid()).config_secret.unwrap(), "pool_hba.conf")
    }

    pub(crate) fn pool_passwd(&self) -> String {
        file(&foundation(&self.valid()).users_secret, "pool_passwd")
    }
}

fn overlay(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                overlay(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

pub(crate) fn secret<const N: usize>(pairs: [(&str, &str); N]) -> Secret {
    let data = pairs.map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec())));
    Secret {
        data: Some(BTreeMap::from(data)),
        ..Secret::default()
    }
}

pub(crate) fn present<const N: usize>(pairs: [(&str, &str); N]) -> Lookup<Arc<Secret>> {
    Lookup::Present(Arc::new(secret(pairs)))
}

pub(crate) fn file(secret: &Secret, key: &str) -> String {
    let bytes = &secret.data.as_ref().expect("data")[key];
    String::from_utf8(bytes.0.clone()).expect("text")
}

/// The whole object, contents of Secrets as text.
pub(crate) fn readable(object: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(object).expect("serializes");
    if value["kind"] == "Secret" {
        let secret: Secret = serde_json::from_value(value.clone()).expect("a Secret");
        for (key, text) in value["data"].as_object_mut().expect("data") {
            // Line by line, so that a change of one setting reads as one.
            *text = file(&secret, key).lines().collect();
        }
    }
    value
}

pub(crate) fn material() -> TlsMaterial<'static> {
    TlsMaterial {
        certificate: b"the leaf\n",
        key: b"its key\n",
        ca: ISSUER_CA.as_bytes(),
        client_ca: ISSUER_CA.as_bytes(),
        exporter_certificate: b"the exporter's leaf\n",
        exporter_key: b"the exporter's key\n",
        exporter_ca: ISSUER_CA.as_bytes(),
        former_cas: Vec::new(),
    }
}

/// The value of a setting, which must stand in the file exactly once.
pub(crate) fn setting(conf: &str, name: &str) -> Option<String> {
    let mut found = conf.lines().filter_map(|line| {
        let (key, value) = line.split_once(" = ")?;
        (key == name).then(|| value.to_owned())
    });
    let value = found.next();
    assert_eq!(found.next(), None, "{name} stands in the file twice");
    value
}

/// Waits until something is so that a process of the test brings about.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "not seen: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Sockets as `/proc/net/tcp` and `/proc/net/tcp6` list them: local address with port, state, inode.
pub(crate) fn listed_sockets(rows: &[(&str, &str, &str)]) -> String {
    let header =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    let rows = rows.iter().map(|(address, state, inode)| {
        format!(
            "   1: {address} 0700F40A:D431 {state} 00000000:00000001 00:00000000 00000000    70        0 {inode} 1 \
             0000000000000000 20 4 1 10 -1\n"
        )
    });
    [header.to_owned()].into_iter().chain(rows).collect()
}

/// What is built for a decision.
fn built(validated: &Validated, decision: Decision<'_>) -> Objects {
    build::build(&Ok(validated.clone()), &Ok(decision)).expect("something is decided")
}

/// Everything but the workload.
pub(crate) fn foundation(validated: &Validated) -> Foundation {
    built(validated, fixtures::foundation_only()).foundation
}

pub(crate) fn service_monitor(validated: &Validated) -> Option<ServiceMonitor> {
    built(validated, fixtures::foundation_only()).service_monitor
}

/// The workload with these certificates; every pod may be replaced.
pub(crate) fn stateful_set(validated: &Validated, certificates: Option<&str>) -> StatefulSet {
    let decision = Decision {
        workload: Some(fixtures::workload(certificates)),
        ..fixtures::foundation_only()
    };
    built(validated, decision).stateful_set.expect("a workload")
}

pub(crate) fn tls_copy(validated: &Validated, material: &TlsMaterial<'_>) -> Secret {
    let decision = Decision {
        tls_material: Some(material.clone()),
        ..fixtures::foundation_only()
    };
    built(validated, decision).tls_copy.expect("a TLS copy")
}

/// `None` where the operator alone wrote the settings.
pub(crate) fn config_check(validated: &Validated) -> Option<ConfigCheck> {
    build::Preview.config_check(validated)?;
    let mut decision = fixtures::foundation_only();
    decision.config.starts_check = true;
    built(validated, decision).config_check
}

pub(crate) fn init_job(validated: &Validated, certificates: Option<&str>) -> Job {
    let decision = Decision {
        workload: Some(fixtures::workload(certificates)),
        init: InitState::Due,
        ..fixtures::foundation_only()
    };
    built(validated, decision).init_job.expect("a Job")
}

/// Everything that can be built without an init Job and a config check.
pub(crate) fn objects(validated: &Validated, material: &TlsMaterial<'_>) -> Objects {
    let decision = Decision {
        tls_material: Some(material.clone()),
        workload: Some(fixtures::workload(Some("pool-tls-0123"))),
        ..fixtures::foundation_only()
    };
    built(validated, decision)
}
