//! Certificate Secrets that are invalid. cert-manager would repair them, so it does not run here; the test case acts in
//! its place.
//!
//! Each kind of damage is tried twice: before there is a workload, which must then not be created, and afterwards,
//! when the workload must stay as it is.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use local_cluster::wait;
use serde_json::json;
use shared_types::conditions::Reason;

use crate::case::Case;
use crate::case::shared_fixtures::{with_operators, without_cert_manager};
use crate::namespace::cert_manager::{SERVER, wanted};
use crate::namespace::fixtures::{self, ISSUER, POOL};
use crate::namespace::pool::certificate_copy;
use crate::namespace::test_ca::TestCa;
use crate::namespace::timeline::holds;
use crate::namespace::{SOON, TestNamespace};

pub(crate) fn cases() -> Vec<Case> {
    let damages = [
        ("damage::a_foreign_key", Damage::ForeignKey),
        ("damage::an_expired_leaf", Damage::Expired),
        ("damage::another_authority", Damage::OtherCa),
        ("damage::a_missing_name", Damage::MissingName),
    ];
    let each = damages.map(|(name, damage)| {
        Case::api(name, move |context| {
            without_cert_manager(context, move |ns| damaged(ns, damage))
        })
    });
    let mut cases = Vec::from(each);
    cases.push(Case::api("damage::an_absent_secret_is_waited_for", |context| {
        without_cert_manager(context, absent)
    }));
    cases.push(Case::api(
        "damage::what_is_deleted_or_emptied_comes_back",
        |context| with_operators(context, restored),
    ));
    cases
}

/// How long a workload is watched that must not change.
const WATCHED: Duration = Duration::from_secs(4);

#[derive(Clone, Copy)]
enum Damage {
    /// The key is not that of the certificate.
    ForeignKey,
    Expired,
    /// `ca.crt` is another CA than the one that signed.
    OtherCa,
    /// The certificate lacks a name that was requested.
    MissingName,
}

impl Damage {
    /// The reason that is reported for it, and a word of the message.
    fn report(self) -> (Reason, &'static str) {
        match self {
            Self::ForeignKey => (Reason::KeyMismatch, "tls.key"),
            Self::Expired => (Reason::Expired, "2021-01-01"),
            Self::OtherCa => (Reason::ChainBroken, "ca.crt"),
            Self::MissingName => (Reason::NameMissing, "localhost"),
        }
    }

    /// Writes the Secret of a Certificate with the damage in it.
    async fn write(self, ns: &TestNamespace, ca: &TestCa, certificate: &DynamicObject) -> anyhow::Result<()> {
        let mut wanted = wanted(certificate)?;
        wanted.expired = matches!(self, Self::Expired);
        if matches!(self, Self::MissingName) {
            wanted.dns_names.retain(|name| name != "localhost");
        }
        let mut pair = ca.issue(&wanted)?;
        let mut trusted = ca.certificate();
        match self {
            Self::ForeignKey => pair.key = ca.issue(&wanted)?.key,
            Self::OtherCa => trusted = TestCa::new("another")?.certificate(),
            Self::Expired | Self::MissingName => {}
        }
        ns.write(certificate, &pair, trusted).await
    }
}

async fn damaged(ns: TestNamespace, damage: Damage) -> anyhow::Result<()> {
    let ca = TestCa::new("platform-ca")?;
    let certificate = requested(&ns).await?;
    for name in ["pool-client-cert", "pool-metrics-exporter-cert"] {
        ns.issue(&ca, name, |_| {}).await?;
    }
    let secret = format!("Secret {}/{SERVER}", ns.name());
    let (reason, word) = damage.report();
    let words = [word, secret.as_str()];

    damage.write(&ns, &ca, &certificate).await?;
    ns.certificates_not_ready(POOL, reason, &words)
        .await
        .context("before there is a workload")?;
    ns.no_workload(POOL).await?;

    ns.issue(&ca, SERVER, |_| {})
        .await
        .context("repairing the Secret")?;
    ns.certificates_ready(POOL).await?;
    let before = ns.workload(POOL).await?;

    damage.write(&ns, &ca, &certificate).await?;
    ns.certificates_not_ready(POOL, reason, &words)
        .await
        .context("with a workload")?;
    wait::throughout("the workload stays as it is", WATCHED, async || {
        unchanged(&ns, &before).await
    })
    .await?;

    ns.issue(&ca, SERVER, |_| {})
        .await
        .context("repairing the Secret again")?;
    ns.certificates_ready(POOL).await?;
    renewed(&ns, &before).await
}

/// One Secret is not there: the message says which, and the workload waits for it.
async fn absent(ns: TestNamespace) -> anyhow::Result<()> {
    let ca = TestCa::new("platform-ca")?;
    requested(&ns).await?;
    for name in ["pool-server-cert", "pool-client-cert"] {
        ns.issue(&ca, name, |_| {}).await?;
    }
    let name = format!("{}/pool-metrics-exporter-cert", ns.name());
    let secret = format!("Secret {name}");
    ns.certificates_not_ready(POOL, Reason::Issuing, &["cert-manager", &name])
        .await?;
    ns.waiting(POOL, Reason::WaitingForCertificates, &[&secret])
        .await?;
    ns.no_workload(POOL).await?;
    ns.issue(&ca, "pool-metrics-exporter-cert", |_| {}).await?;
    ns.workload(POOL).await?;
    Ok(())
}

/// Here cert-manager runs, and nobody has to do anything.
async fn restored(ns: TestNamespace) -> anyhow::Result<()> {
    ns.apply(ISSUER).await?;
    ns.put(&fixtures::pgpool(ns.name())?).await?;
    ns.certificates_ready(POOL).await?;
    let before = ns.workload(POOL).await?;

    ns.at_rest(SERVER).await?;
    let deleted = ns.api::<Secret>().get(SERVER).await?;
    ns.delete::<Secret>(SERVER).await?;
    rewritten(&ns, &deleted)
        .await
        .context("after the Secret was deleted")?;
    renewed(&ns, &before).await?;

    ns.at_rest(SERVER).await?;
    let empty = Patch::Merge(json!({"data": {"tls.crt": "", "tls.key": "", "ca.crt": ""}}));
    let secrets = ns.api::<Secret>();
    let emptied = secrets.patch(SERVER, &PatchParams::default(), &empty).await?;
    let last = rewritten(&ns, &emptied)
        .await
        .context("after the Secret was emptied")?;

    // A Certificate that comes back finds that its Secret fits.
    ns.at_rest(SERVER).await?;
    let gone = ns.certificate(SERVER).await?.uid();
    ns.certificates().delete(SERVER, &DeleteParams::default()).await?;
    let back = |certificate: &DynamicObject| {
        ensure!(
            certificate.uid() != gone && holds(certificate, "Ready"),
            "not yet"
        );
        Ok(())
    };
    wait::object(&ns.certificates(), SERVER, SOON, "is there again", back).await?;
    ns.certificates_ready(POOL).await?;
    ensure!(
        ns.secret_text(SERVER, "tls.crt").await? == last,
        "it was issued again without need"
    );
    Ok(())
}

/// Waits until the Secret was written after the damage and holds a pair that fits; returns its certificate.
async fn rewritten(ns: &TestNamespace, damaged: &Secret) -> anyhow::Result<String> {
    let secrets = ns.api::<Secret>();
    wait::until("cert-manager has written the Secret again", SOON, async || {
        let now = secrets.get(SERVER).await?;
        ensure!(now.resource_version() != damaged.resource_version(), "not yet");
        ensure!(
            !ns.secret_text(SERVER, "tls.crt").await?.is_empty(),
            "it is empty"
        );
        Ok(())
    })
    .await?;
    ns.certificates_ready(POOL).await?;
    ns.secret_text(SERVER, "tls.crt").await
}

/// Steps 1 and 2, with an issuer that is reported as ready; returns the Certificate of the server.
async fn requested(ns: &TestNamespace) -> anyhow::Result<DynamicObject> {
    ns.apply(ISSUER).await?;
    ns.issuer_ready("platform-ca").await?;
    ns.put(&fixtures::pgpool(ns.name())?).await?;
    ns.certificate(SERVER).await
}

async fn unchanged(ns: &TestNamespace, before: &StatefulSet) -> anyhow::Result<()> {
    let now = ns.api::<StatefulSet>().get(POOL).await?;
    ensure!(now.spec == before.spec, "its spec changed");
    ns.api::<Secret>()
        .get(&certificate_copy(before)?)
        .await
        .context("the copy that its pods mount")?;
    Ok(())
}

/// The workload takes the new pair over, in a new copy.
async fn renewed(ns: &TestNamespace, before: &StatefulSet) -> anyhow::Result<()> {
    let old = certificate_copy(before)?;
    wait::object(
        &ns.api::<StatefulSet>(),
        POOL,
        SOON,
        "takes the new pair over",
        |now| {
            ensure!(certificate_copy(now)? != old, "it still mounts {old}");
            Ok(())
        },
    )
    .await?;
    Ok(())
}
