//! The ten steps from a manifest to a running pool, read off the objects of a namespace. Pure.

use anyhow::Context as _;
use kube::ResourceExt;
use kube::api::DynamicObject;
use shared_types::conditions::{self, ConditionType};
use shared_types::{Alias, Pgpool, names};

use crate::scene::sightings::Board;

/// Who takes each step, and what it is.
pub const STEPS: [(&str, &str); 10] = [
    ("user", "creates the issuer"),
    ("user", "creates the Pgpool"),
    ("provisioner", "sees the Pgpool"),
    ("provisioner", "creates all but the workload"),
    ("ops-manager", "sees all of them"),
    ("ops-manager", "asks for the certificates"),
    ("cert-manager", "takes the Certificates up"),
    ("cert-manager", "writes the certificate Secrets"),
    ("provisioner", "takes the certificates over"),
    ("provisioner", "creates the workload with them"),
];

/// For each step that is done, what shows it.
#[must_use]
pub fn shown(board: &Board, pool: &str) -> [Option<String>; 10] {
    let Some(Ok(pgpool)) = board.get("Pgpool", pool).map(parse) else {
        let issuer = board
            .of("Issuer")
            .find(|issuer| issuer.data["spec"].get("ca").is_some());
        let mut steps = [const { None }; 10];
        steps[0] = issuer.map(|issuer| format!("Issuer {}", issuer.name_any()));
        return steps;
    };
    let view = View {
        board,
        pgpool: &pgpool,
    };
    let asked = view.certificates();
    [
        view.issuer(),
        Some(view.user()),
        view.seen(),
        view.foundation(),
        // That it saw them shows in what it does next, and nowhere sooner.
        view.foundation().and_then(|_| View::asks(&asked)),
        View::asked(&asked),
        View::taken_up(&asked),
        view.issued(),
        view.taken_over(),
        view.workload(),
    ]
}

fn parse(object: &DynamicObject) -> anyhow::Result<Pgpool> {
    object.clone().try_parse().context("reading a Pgpool")
}

struct View<'a> {
    board: &'a Board,
    pgpool: &'a Pgpool,
}

impl<'a> View<'a> {
    fn issuer(&self) -> Option<String> {
        let issuer = self.pgpool.spec.issuer_ref(Alias::Server)?;
        match issuer.kind.as_str() {
            "Issuer" => self
                .board
                .get("Issuer", &issuer.name)
                .map(|_| format!("Issuer {}", issuer.name)),
            kind => Some(format!("{kind} {}", issuer.name)),
        }
    }

    fn user(&self) -> String {
        let spec = &self.pgpool.spec;
        let (mode, auth) = (spec.ssl_mode(), spec.client_auth_mode().as_str());
        format!(
            "Pgpool {}: sslMode {mode}, clientAuthMode {auth}",
            self.pgpool.name_any()
        )
    }

    fn seen(&self) -> Option<String> {
        // Its status may follow later than its first objects do, to save a write.
        let condition = ConditionType::ProvisioningStarted;
        let told = self
            .pgpool
            .status
            .as_ref()
            .is_some_and(|status| conditions::is_true(&status.conditions, condition));
        let uid = self.pgpool.uid()?;
        let made = ["Secret", "Service", "ServiceAccount"]
            .into_iter()
            .flat_map(|kind| self.board.of(kind));
        let made = made
            .filter(|object| object.owner_references().iter().any(|owner| owner.uid == uid))
            .count();
        (told || made > 0).then(|| "it has begun to work".to_owned())
    }

    fn foundation(&self) -> Option<String> {
        let pool = self.pgpool;
        let wanted = [
            ("Secret", names::auth_secret(pool)),
            ("Secret", names::config_secret(pool)),
            ("Secret", names::pcp_secret(pool)),
            ("Secret", names::users_secret(pool)),
            ("Service", names::primary_service(pool)),
            ("Service", names::governing_service(pool)),
            ("ServiceAccount", names::service_account(pool)),
            ("PodDisruptionBudget", pool.name_any()),
            ("AppBinding", pool.name_any()),
        ];
        let all = wanted
            .iter()
            .all(|(kind, name)| self.board.get(kind, name).is_some());
        all.then(|| "4 Secrets, 2 Services, ServiceAccount, PodDisruptionBudget, AppBinding".to_owned())
    }

    fn certificates(&self) -> Vec<&'a DynamicObject> {
        let names = Alias::ALL.map(|alias| names::certificate(self.pgpool, alias));
        names
            .iter()
            .filter_map(|name| self.board.get("Certificate", name))
            .collect()
    }

    fn asks(asked: &[&DynamicObject]) -> Option<String> {
        (!asked.is_empty()).then(|| "the Pgpool, its issuer, its Secrets and Services".to_owned())
    }

    fn asked(asked: &[&DynamicObject]) -> Option<String> {
        let names: Vec<_> = asked.iter().map(|certificate| certificate.name_any()).collect();
        (asked.len() == Alias::ALL.len()).then(|| format!("Certificates {}", names.join(", ")))
    }

    fn taken_up(asked: &[&DynamicObject]) -> Option<String> {
        let begun = |certificate: &&&DynamicObject| {
            certificate.data["status"]["conditions"]
                .as_array()
                .is_some_and(|conditions| !conditions.is_empty())
        };
        let all = asked.len() == Alias::ALL.len() && asked.iter().filter(begun).count() == asked.len();
        all.then(|| "each has a condition".to_owned())
    }

    fn issued(&self) -> Option<String> {
        let secrets = Alias::ALL.map(|alias| names::certificate_secret(self.pgpool, alias));
        let whole = |name: &String| {
            let secret = self.board.get("Secret", name)?;
            let filled = |key: &str| {
                secret.data["data"][key]
                    .as_str()
                    .is_some_and(|value| !value.is_empty())
            };
            ["ca.crt", "tls.crt", "tls.key"]
                .iter()
                .all(|key| filled(key))
                .then_some(())
        };
        secrets
            .iter()
            .all(|name| whole(name).is_some())
            .then(|| format!("Secrets {}", secrets.join(", ")))
    }

    /// The copy of the judged pair that the pods are to mount.
    fn taken_over(&self) -> Option<String> {
        let prefix = names::tls_secret(&self.pgpool.name_any(), "");
        let mut copies = self
            .board
            .of("Secret")
            .map(ResourceExt::name_any)
            .filter(|name| name.starts_with(&prefix));
        copies
            .next()
            .map(|copy| format!("immutable copy in Secret {copy}"))
    }

    fn workload(&self) -> Option<String> {
        let name = self.pgpool.name_any();
        self.board
            .get("StatefulSet", &name)
            .map(|_| format!("StatefulSet {name}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::{Value, json};

    use super::*;
    use crate::scene::fixtures;
    use crate::scene::sightings::Sighting;

    fn board(objects: &[(&'static str, Value)]) -> Board {
        let mut board = Board::default();
        for (kind, object) in objects {
            let object = serde_json::from_value(object.clone()).unwrap();
            board.see(&Sighting {
                at: Instant::now(),
                kind,
                object,
                gone: false,
            });
        }
        board
    }

    fn named(kind: &'static str, name: &str) -> (&'static str, Value) {
        (
            kind,
            json!({"metadata": {"name": name, "ownerReferences": [
                {"apiVersion": "", "kind": "Pgpool", "name": "pool", "uid": "u-123456"},
            ]}}),
        )
    }

    fn done(objects: &[(&'static str, Value)]) -> usize {
        shown(&board(objects), "pool")
            .iter()
            .take_while(|step| step.is_some())
            .count()
    }

    #[test]
    fn each_step_shows_in_its_objects() {
        let mut pool = fixtures::pgpool("db").unwrap().0;
        pool["metadata"]["uid"] = json!("u-123456");
        let mut objects = vec![(
            "Issuer",
            json!({"metadata": {"name": "platform-ca"}, "spec": {"ca": {}}}),
        )];
        assert_eq!(done(&objects), 1);
        objects.push(("Pgpool", pool));
        assert_eq!(done(&objects), 2);
        objects.push(named("Service", "pool"));
        assert_eq!(done(&objects), 3);
        objects.extend(
            ["pool-auth", "pool-123456", "pool-pcp-123456", "pool-users"].map(|name| named("Secret", name)),
        );
        objects.push(named("Service", "pool-pods"));
        objects
            .extend(["ServiceAccount", "PodDisruptionBudget", "AppBinding"].map(|kind| named(kind, "pool")));
        assert_eq!(done(&objects), 4);
        let certificates = [
            "pool-server-cert",
            "pool-client-cert",
            "pool-metrics-exporter-cert",
        ];
        objects.push(named("Certificate", certificates[0]));
        assert_eq!(done(&objects), 5);
        objects.extend([
            named("Certificate", certificates[1]),
            named("Certificate", certificates[2]),
        ]);
        assert_eq!(done(&objects), 6);
        for name in certificates {
            let condition =
                json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Issuing"}]}});
            objects.push(("Certificate", condition));
        }
        assert_eq!(done(&objects), 7);
        for name in certificates {
            let data = json!({"ca.crt": "eA==", "tls.crt": "eA==", "tls.key": "eA=="});
            objects.push(("Secret", json!({"metadata": {"name": name}, "data": data})));
        }
        assert_eq!(done(&objects), 8);
        objects.push(named("Secret", "pool-tls-0123"));
        assert_eq!(done(&objects), 9);
        objects.push(named("StatefulSet", "pool"));
        assert_eq!(done(&objects), 10);
    }
}
