//! Certificate Secrets that do not fit. cert-manager stands still here, or it would mend them; its part is
//! played by the case.
//!
//! Each kind of damage is shown twice: before there is a workload, which must then not come, and afterwards,
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
use crate::cases::props::{served, still};
use crate::scene::authority::{Authority, Pair, Wanted};
use crate::scene::certificates::{SERVER, wanted};
use crate::scene::fixtures::{self, ISSUER, POOL};
use crate::scene::pool::certificate_copy;
use crate::scene::timeline::holds;
use crate::scene::{SOON, Scene};

pub fn cases() -> Vec<Case> {
    vec![
        Case::api("damage::a_foreign_key", |context| still(context, foreign_key)),
        Case::api("damage::an_expired_leaf", |context| still(context, expired)),
        Case::api("damage::a_missing_authority", |context| {
            still(context, no_authority)
        }),
        Case::api("damage::another_authority", |context| {
            still(context, other_authority)
        }),
        Case::api("damage::a_missing_name", |context| still(context, missing_name)),
        Case::api("damage::an_absent_secret_is_waited_for", |context| {
            still(context, absent)
        }),
        Case::api("damage::what_is_deleted_or_emptied_comes_back", |context| {
            served(context, mended)
        }),
    ]
}

/// How long it is looked whether a workload changes that must not.
const WATCHED: Duration = Duration::from_secs(4);

/// What stands in a damaged Secret.
struct Damaged {
    pair: Pair,
    authority: Option<String>,
}

/// The damage, the reason that is given for it, and what the message names beside the Secret.
struct Damage {
    make: fn(&Authority, &Wanted) -> anyhow::Result<Damaged>,
    reason: Reason,
    words: &'static [&'static str],
}

async fn foreign_key(scene: Scene) -> anyhow::Result<()> {
    let make = |authority: &Authority, wanted: &Wanted| {
        let pair = Pair {
            key: authority.issue(wanted)?.key,
            ..authority.issue(wanted)?
        };
        Ok(Damaged {
            pair,
            authority: Some(authority.certificate()),
        })
    };
    shown(
        scene,
        Damage {
            make,
            reason: Reason::KeyMismatch,
            words: &["tls.key"],
        },
    )
    .await
}

async fn expired(scene: Scene) -> anyhow::Result<()> {
    let make = |authority: &Authority, wanted: &Wanted| {
        let pair = authority.issue(&Wanted {
            expired: true,
            ..wanted.clone()
        })?;
        Ok(Damaged {
            pair,
            authority: Some(authority.certificate()),
        })
    };
    shown(
        scene,
        Damage {
            make,
            reason: Reason::Expired,
            words: &["2021-01-01"],
        },
    )
    .await
}

async fn no_authority(scene: Scene) -> anyhow::Result<()> {
    let make = |authority: &Authority, wanted: &Wanted| {
        Ok(Damaged {
            pair: authority.issue(wanted)?,
            authority: None,
        })
    };
    shown(
        scene,
        Damage {
            make,
            reason: Reason::CaMissing,
            words: &["ca.crt"],
        },
    )
    .await
}

async fn other_authority(scene: Scene) -> anyhow::Result<()> {
    let make = |authority: &Authority, wanted: &Wanted| {
        let other = Authority::new("another")?;
        Ok(Damaged {
            pair: authority.issue(wanted)?,
            authority: Some(other.certificate()),
        })
    };
    shown(
        scene,
        Damage {
            make,
            reason: Reason::ChainBroken,
            words: &["ca.crt"],
        },
    )
    .await
}

async fn missing_name(scene: Scene) -> anyhow::Result<()> {
    let make = |authority: &Authority, wanted: &Wanted| {
        let mut wanted = wanted.clone();
        wanted.dns_names.retain(|name| name != "localhost");
        Ok(Damaged {
            pair: authority.issue(&wanted)?,
            authority: Some(authority.certificate()),
        })
    };
    shown(
        scene,
        Damage {
            make,
            reason: Reason::NameMissing,
            words: &["localhost"],
        },
    )
    .await
}

async fn shown(scene: Scene, damage: Damage) -> anyhow::Result<()> {
    let authority = Authority::new("platform-ca")?;
    let certificate = asked(&scene).await?;
    for name in ["pool-client-cert", "pool-metrics-exporter-cert"] {
        scene.issue(&authority, name, |_| {}).await?;
    }
    let secret = format!("Secret {}/{SERVER}", scene.namespace());
    let words: Vec<&str> = damage.words.iter().copied().chain([secret.as_str()]).collect();

    strike(&scene, &authority, &certificate, &damage).await?;
    scene
        .certificates_refused(POOL, damage.reason, &words)
        .await
        .context("before there is a workload")?;
    scene.no_workload(POOL).await?;

    scene
        .issue(&authority, SERVER, |_| {})
        .await
        .context("mending the Secret")?;
    scene.certificates_ready(POOL).await?;
    let before = scene.workload(POOL).await?;

    strike(&scene, &authority, &certificate, &damage).await?;
    scene
        .certificates_refused(POOL, damage.reason, &words)
        .await
        .context("with a workload")?;
    wait::throughout("the workload stays as it is", WATCHED, async || {
        unchanged(&scene, &before).await
    })
    .await?;

    scene
        .issue(&authority, SERVER, |_| {})
        .await
        .context("mending the Secret again")?;
    scene.certificates_ready(POOL).await?;
    renewed(&scene, &before).await
}

/// One Secret is not there: the message says which, and the workload waits for it.
async fn absent(scene: Scene) -> anyhow::Result<()> {
    let authority = Authority::new("platform-ca")?;
    asked(&scene).await?;
    for name in ["pool-server-cert", "pool-client-cert"] {
        scene.issue(&authority, name, |_| {}).await?;
    }
    let name = format!("{}/pool-metrics-exporter-cert", scene.namespace());
    let secret = format!("Secret {name}");
    scene
        .certificates_refused(POOL, Reason::Issuing, &["cert-manager", &name])
        .await?;
    scene
        .waiting(POOL, Reason::WaitingForCertificates, &[&secret])
        .await?;
    scene.no_workload(POOL).await?;
    scene
        .issue(&authority, "pool-metrics-exporter-cert", |_| {})
        .await?;
    scene.workload(POOL).await?;
    Ok(())
}

/// Here cert-manager runs, and nobody has to do anything.
async fn mended(scene: Scene) -> anyhow::Result<()> {
    scene.apply(ISSUER).await?;
    scene.put(&fixtures::pgpool(scene.namespace())?).await?;
    scene.certificates_ready(POOL).await?;
    let before = scene.workload(POOL).await?;

    scene.at_rest(SERVER).await?;
    let deleted = scene.api::<Secret>().get(SERVER).await?;
    scene.delete::<Secret>(SERVER).await?;
    restored(&scene, &deleted)
        .await
        .context("after the Secret was deleted")?;
    renewed(&scene, &before).await?;

    scene.at_rest(SERVER).await?;
    let empty = Patch::Merge(json!({"data": {"tls.crt": "", "tls.key": "", "ca.crt": ""}}));
    let secrets = scene.api::<Secret>();
    let emptied = secrets.patch(SERVER, &PatchParams::default(), &empty).await?;
    let last = restored(&scene, &emptied)
        .await
        .context("after the Secret was emptied")?;

    // A Certificate that comes back finds that its Secret fits.
    scene.at_rest(SERVER).await?;
    let gone = scene.certificate(SERVER).await?.uid();
    scene
        .certificates()
        .delete(SERVER, &DeleteParams::default())
        .await?;
    let back = |certificate: &DynamicObject| {
        ensure!(
            certificate.uid() != gone && holds(certificate, "Ready"),
            "not yet"
        );
        Ok(())
    };
    wait::object(&scene.certificates(), SERVER, SOON, "is there again", back).await?;
    scene.certificates_ready(POOL).await?;
    ensure!(
        scene.secret_text(SERVER, "tls.crt").await? == last,
        "it was issued anew without need"
    );
    Ok(())
}

/// Waits until the Secret was written after the damage and holds a pair that fits; returns its certificate.
async fn restored(scene: &Scene, damaged: &Secret) -> anyhow::Result<String> {
    let secrets = scene.api::<Secret>();
    wait::until("cert-manager has written the Secret again", SOON, async || {
        let now = secrets.get(SERVER).await?;
        ensure!(now.resource_version() != damaged.resource_version(), "not yet");
        ensure!(
            !scene.secret_text(SERVER, "tls.crt").await?.is_empty(),
            "it is empty"
        );
        Ok(())
    })
    .await?;
    scene.certificates_ready(POOL).await?;
    scene.secret_text(SERVER, "tls.crt").await
}

/// Steps 1 and 2, with an issuer that is reported as ready; returns the Certificate of the server.
async fn asked(scene: &Scene) -> anyhow::Result<DynamicObject> {
    scene.apply(ISSUER).await?;
    scene.issuer_ready("platform-ca").await?;
    scene.put(&fixtures::pgpool(scene.namespace())?).await?;
    scene.certificate(SERVER).await
}

async fn strike(
    scene: &Scene,
    authority: &Authority,
    certificate: &DynamicObject,
    damage: &Damage,
) -> anyhow::Result<()> {
    let damaged = (damage.make)(authority, &wanted(certificate)?)?;
    scene.write(certificate, &damaged.pair, damaged.authority).await
}

async fn unchanged(scene: &Scene, before: &StatefulSet) -> anyhow::Result<()> {
    let now = scene.api::<StatefulSet>().get(POOL).await?;
    ensure!(now.spec == before.spec, "its spec changed");
    scene
        .api::<Secret>()
        .get(&certificate_copy(before)?)
        .await
        .context("the copy that its pods mount")?;
    Ok(())
}

/// The workload takes the new pair over, in a new copy.
async fn renewed(scene: &Scene, before: &StatefulSet) -> anyhow::Result<()> {
    let old = certificate_copy(before)?;
    wait::object(
        &scene.api::<StatefulSet>(),
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
