//! Certificates change to another issuer, or the CA of their issuer is replaced, while clients connect with certificates
//! of either: no client is rejected before the earlier CA is removed, and nothing is issued twice.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use local_cluster::target::Target;
use local_cluster::wait;
use serde_json::{Value, json};
use shared_types::names;

use super::verified_clients::READY;
use crate::case::{Case, Context};
use crate::namespace::cert_manager::{SECRETS, SERVER};
use crate::namespace::fixtures::{self, Manifest, POOL};
use crate::namespace::issuers::same_text;
use crate::namespace::pool::certificate_copy;
use crate::namespace::rotation::{Follower, between};
use crate::namespace::test_ca::TestCa;
use crate::namespace::{TestNamespace, offer_version, pods, psql};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::cluster("authorities::a_change_of_the_issuer_refuses_nobody", |context| {
            change(context, Change::Issuer)
        }),
        // The operators are killed in the middle of it.
        Case::cluster("authorities::a_ca_that_is_replaced_is_followed", |context| {
            change(context, Change::Ca)
        })
        .alone(),
    ]
}

/// The Secret with the certificate that clients show.
const CLIENT: &str = SECRETS[1];
/// The issuer of the beginning, and another one.
const ISSUERS: [&str; 2] = ["first", "second"];
/// How long certificates of the earlier CA are accepted: as long as it takes to start a pod with the new ones.
const OVERLAP: &str = "60s";
const LIMIT: Duration = Duration::from_mins(5);
const REPLICAS: usize = 2;

#[derive(Clone, Copy, PartialEq)]
enum Change {
    Issuer,
    Ca,
}

async fn change(context: Context, change: Change) -> anyhow::Result<()> {
    let (old, new) = (TestCa::new("root")?, TestCa::new("root")?);
    let ns = started(&context, &old).await?;
    let both = format!("{}{}", old.certificate(), new.certificate());
    let before = Clients::start(&ns, "before", &both).await?;
    let mut follower = Follower::start(&ns).await?;
    follower.calm(Some(&old.certificate()), LIMIT).await?;
    let requests = follower.requests();

    match change {
        Change::Issuer => {
            ns.issuer_of(ISSUERS[1], &new).await?;
            ns.edit(POOL, json!({"tls": {"issuerRef": {"name": ISSUERS[1]}}}))
                .await?;
        }
        Change::Ca => {
            ns.put_ca(ISSUERS[0], &new).await?;
            issued(&ns, SERVER, &new).await?;
            kill_operators(&context).await?;
        }
    }
    issued(&ns, CLIENT, &new).await?;
    // Clients keep a certificate of the earlier CA for a while.
    let after = Clients::start(&ns, "after", &both).await?;
    wait::until("the earlier CA is dropped", LIMIT, async || {
        let output = [before.log_lines().await?, after.log_lines().await?].concat();
        // The log before the copy: what is refused afterwards is refused rightly.
        let dropped = !trusts(&ns, &old).await?;
        let refused: Vec<_> = output.iter().filter(|line| line.is_refused()).collect();
        ensure!(
            dropped || refused.is_empty(),
            wait::Hopeless(format!("refused: {refused:?}"))
        );
        ensure!(dropped, "it is trusted still");
        Ok(())
    })
    .await?;
    only_the_new_certificate_is_accepted(&before, &after).await?;

    follower.calm(Some(&new.certificate()), LIMIT).await?;
    let requested = between(&requests, &follower.requests());
    let once = SECRETS.map(|certificate| (certificate.to_owned(), 1));
    ensure!(
        requested == once.into(),
        "not one CertificateRequest for each certificate: {requested:?}"
    );
    Ok(())
}

async fn only_the_new_certificate_is_accepted(
    before: &Clients<'_>,
    after: &Clients<'_>,
) -> anyhow::Result<()> {
    wait::until(
        "every pod refuses the earlier certificate, and none the new one",
        LIMIT,
        async || {
            for pod in 0..REPLICAS {
                let last = before.last(pod).await?;
                ensure!(last.is_refused(), "pod {pod} answers the earlier one: {last:?}");
                let last = after.last(pod).await?;
                ensure!(last.is_row(), "pod {pod} answers the new one: {last:?}");
            }
            Ok(())
        },
    )
    .await?;
    let lines = after.log_lines().await?;
    let refused: Vec<_> = lines.into_iter().filter(Line::is_refused).collect();
    ensure!(refused.is_empty(), "the new certificate was refused: {refused:?}");
    Ok(())
}

/// A pool to which clients show certificates, behind an issuer of that CA.
async fn started(context: &Context, ca: &TestCa) -> anyhow::Result<TestNamespace> {
    let database = context.database().await?;
    let ns = context.test_namespace().await?;
    offer_version(ns.client()).await?;
    ns.issuer_of(ISSUERS[0], ca).await?;
    ns.put(&database.credentials(ns.name())).await?;
    let annotation = json!({(names::ANNOTATION_CA_OVERLAP): OVERLAP});
    let pool = fixtures::pgpool(database.namespace().name())?
        .with("/metadata/annotations", annotation)
        .with("/spec/replicas", json!(REPLICAS))
        .with("/spec/sslMode", json!("verify-full"))
        .with("/spec/clientAuthMode", json!("cert"))
        .with("/spec/tls/issuerRef/name", json!(ISSUERS[0]));
    ns.apply_and_wait(&pool, READY).await?;
    Ok(ns)
}

async fn issued(ns: &TestNamespace, secret: &str, ca: &TestCa) -> anyhow::Result<()> {
    let what = format!("{secret} comes from the new CA");
    wait::until(&what, LIMIT, async || {
        let found = ns.secret_text(secret, "ca.crt").await?;
        ensure!(
            same_text(&found, &ca.certificate()),
            "not yet; {}",
            ns.conditions(POOL).await?
        );
        Ok(())
    })
    .await
}

/// Whether pods that are made now trust a CA.
async fn trusts(ns: &TestNamespace, ca: &TestCa) -> anyhow::Result<bool> {
    let copy = certificate_copy(&ns.api::<StatefulSet>().get(POOL).await?)?;
    let trusted = ns.secret_text(&copy, "ca.pem").await?;
    Ok(squeezed(&trusted).contains(&squeezed(&ca.certificate())))
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

async fn kill_operators(context: &Context) -> anyhow::Result<()> {
    let Target::Local(_) = context.target()? else {
        return Ok(());
    };
    let ns = context.test_namespace().await?;
    for operator in ["ops-manager", "provisioner"] {
        pods::kill(&pods::leader(ns.client(), operator).await?)?;
    }
    Ok(())
}

/// Clients that show one certificate to each pod of the pool, over and over.
struct Clients<'a> {
    ns: &'a TestNamespace,
    name: &'static str,
}

#[derive(Clone, Debug)]
struct Line(String);

impl Line {
    fn is_row(&self) -> bool {
        self.0.contains(" ended 0 ")
    }

    /// Pool and client do not trust each other. A pod that is not there is another matter.
    fn is_refused(&self) -> bool {
        let words = [
            "unknown ca",
            "certificate verify failed",
            "certificate authentication failed",
        ];
        words.iter().any(|words| self.0.contains(words))
    }
}

impl<'a> Clients<'a> {
    /// Starts them with the certificate that clients have now; they verify the pool by the CAs, PEM.
    async fn start(ns: &'a TestNamespace, name: &'static str, cas: &str) -> anyhow::Result<Self> {
        let pair = ns.api::<Secret>().get(CLIENT).await?.data.unwrap_or_default();
        let files = Manifest(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "data": {"tls.crt": pair.get("tls.crt"), "tls.key": pair.get("tls.key")},
            "stringData": {"cas": cas},
        }));
        ns.put(&files).await?;
        let files: Value = json!({"secret": {"secretName": name, "defaultMode": 0o440}});
        let script = script(ns.name());
        ns.put(&psql::pod(
            name,
            &script,
            "postgres-auth",
            &[("files", "/files", files)],
        ))
        .await?;
        let clients = Self { ns, name };
        wait::until(
            &format!("the clients {name} get in everywhere"),
            LIMIT,
            async || {
                for pod in 0..REPLICAS {
                    let last = clients.last(pod).await?;
                    ensure!(!last.is_refused(), wait::Hopeless(format!("{last:?}")));
                    ensure!(last.is_row(), "{last:?}");
                }
                Ok(())
            },
        )
        .await?;
        Ok(clients)
    }

    async fn log_lines(&self) -> anyhow::Result<Vec<Line>> {
        let log = self.ns.log(self.name).await?;
        Ok(log.lines().map(|line| Line(line.to_owned())).collect())
    }

    async fn last(&self, pod: usize) -> anyhow::Result<Line> {
        let begin = format!("{pod} ended ");
        let output = self.log_lines().await?;
        let mut last = output.into_iter().rev().filter(|line| line.0.starts_with(&begin));
        last.next()
            .with_context(|| format!("there is no line about pod {pod}"))
    }
}

fn script(namespace: &str) -> String {
    let connection = format!(
        "host={POOL}-$pod.{POOL}-pods.{namespace}.svc port=9999 user=postgres dbname=postgres connect_timeout=5 \
         sslmode=verify-full sslrootcert=/files/cas sslcert=/files/tls.crt sslkey=/files/tls.key \
         passfile=/dev/null password="
    );
    format!(
        "while :; do for pod in $(seq 0 {}); do\n\
           output=$(psql \"{connection}\" -wXAtqc 'select 1' 2>&1); echo \"$pod ended $? $(echo \"$output\" | tr '\\n' ' ')\"\n\
         done; sleep 0.2; done\n",
        REPLICAS - 1
    )
}
