//! Whatever the definitions admit, the types of the operators decode: extreme values of every field are offered to the
//! API server, and what it would store is decoded.
//!
//! The order is drawn from a seed, which a failure names: `PGPOOL_E2E_SEED` repeats it. `PGPOOL_E2E_DRAW_SECONDS` is the
//! time for each kind.

mod extremes;
mod field;

use std::collections::BTreeMap;
use std::fs;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use kube::api::PostParams;
use kube::core::Request;
use local_cluster::manifests;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use shared_types::{AppBinding, Pgpool, PgpoolOpsRequest, PgpoolVersion, crds};

use self::field::Field;
use crate::case::{Case, Context};
use crate::namespace::TestNamespace;
use crate::namespace::fixtures::Manifest;

const SEED: u64 = 20_261_130;
const SECONDS: u64 = 15;

/// Requests at a time.
const CONCURRENCY: usize = 8;

/// For one object. A request that takes longer counts as rejected.
const PATIENCE: Duration = Duration::from_secs(10);

/// At least so many objects with extreme values must be accepted, or the case proves nothing.
const FEWEST_ACCEPTED: usize = 100;

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::api(
        "decoding::what_is_admitted_decodes",
        what_is_admitted_decodes,
    )]
}

async fn what_is_admitted_decodes(context: Context) -> anyhow::Result<()> {
    let ns = context.test_namespace().await?;
    let folder = context.workspace.root.join("shared-types/tests/samples");
    let mut samples = Vec::new();
    for file in ["pgpools.yaml", "ops_requests.yaml", "catalog.yaml"] {
        let text = fs::read_to_string(folder.join(file)).with_context(|| file.to_owned())?;
        for object in manifests::parse(&text)? {
            samples.push(serde_json::to_value(object)?);
        }
    }
    let seed = setting("PGPOOL_E2E_SEED", SEED)?;
    let time = Duration::from_secs(setting("PGPOOL_E2E_DRAW_SECONDS", SECONDS)?);
    let mut accepted = 0;
    for kind in ["Pgpool", "PgpoolOpsRequest", "AppBinding", "PgpoolVersion"] {
        let of_kind = samples.iter().filter(|sample| sample["kind"] == kind).cloned();
        let drawing = Drawing::new(kind, of_kind.collect(), &ns).await?;
        accepted += drawing
            .run(seed, time)
            .await
            .with_context(|| format!("{kind}, with PGPOOL_E2E_SEED={seed}"))?;
    }
    ensure!(
        accepted >= FEWEST_ACCEPTED,
        "only {accepted} objects were accepted"
    );
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a case has no arguments, and the seed is for repeating a failure"
)]
fn setting(name: &str, default: u64) -> anyhow::Result<u64> {
    match std::env::var(name) {
        Ok(text) => u64::from_str(&text).with_context(|| format!("{name} is no number")),
        Err(_) => Ok(default),
    }
}

/// Extreme values for some fields at once.
fn several(fields: &[Arc<Field>], rng: &mut StdRng) -> Vec<Extreme> {
    let count = rng.random_range(2..6);
    let mut drawn = Vec::new();
    for _ in 0..count {
        if let Some(field) = fields.choose(rng)
            && let Some(value) = extremes::of(&field.schema).choose(rng)
        {
            drawn.push((Arc::clone(field), value.clone()));
        }
    }
    drawn
}

/// The objects of one kind.
struct Drawing<'a> {
    kind: &'static str,
    schema: Value,
    samples: Vec<Value>,
    /// An object that exists, as the API server returned it.
    stored: Value,
    /// Where objects of the kind are created.
    url: String,
    ns: &'a TestNamespace,
}

/// A field with an extreme value.
type Extreme = (Arc<Field>, Value);

impl<'a> Drawing<'a> {
    async fn new(kind: &'static str, samples: Vec<Value>, ns: &'a TestNamespace) -> anyhow::Result<Self> {
        let schema = crds::schema(kind).context("the kind has no schema")?;
        let mut first = samples.first().context("the kind has no sample")?.clone();
        first["metadata"] = serde_json::json!({ "name": format!("stored-{}", kind.to_lowercase()) });
        let object = Manifest(first).object()?;
        let api = manifests::api(ns.client(), ns.name(), &object).await?;
        let stored = match api.create(&PostParams::default(), &object).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                api.get(object.metadata.name.as_deref().unwrap_or_default())
                    .await?
            }
            created => created?,
        };
        Ok(Self {
            kind,
            schema,
            samples,
            stored: serde_json::to_value(stored)?,
            url: api.resource_url().to_owned(),
            ns,
        })
    }

    /// Offers every extreme value of every field alone, and then several at once until the time is over. Returns how
    /// many objects were accepted.
    async fn run(&self, seed: u64, time: Duration) -> anyhow::Result<usize> {
        let mut rng = StdRng::seed_from_u64(seed);
        let fields: Vec<Arc<Field>> = field::fields(&self.schema).into_iter().map(Arc::new).collect();
        let mut alone: Vec<Extreme> = Vec::new();
        for field in &fields {
            let values = extremes::of(&field.schema).into_iter();
            alone.extend(values.map(|value| (Arc::clone(field), value)));
        }
        alone.shuffle(&mut rng);
        let (total, mut offered, mut accepted) = (alone.len(), 0, 0);
        let began = Instant::now();
        let mut answers = FuturesUnordered::new();
        loop {
            while answers.len() < CONCURRENCY && began.elapsed() < time {
                let drawn = match alone.pop() {
                    Some(one) => vec![one],
                    None => several(&fields, &mut rng),
                };
                answers.push(self.offer(offered, drawn));
                offered += 1;
            }
            match answers.next().await {
                Some(answer) => accepted += usize::from(answer?),
                None => break,
            }
        }
        println!(
            "{}: {} fields, {offered} objects of which {total} have one extreme value, {accepted} accepted",
            self.kind,
            fields.len()
        );
        Ok(accepted)
    }

    /// Returns whether the API server accepts an object with these values.
    ///
    /// # Errors
    /// It accepts the object, and the types do not decode it.
    async fn offer(&self, number: usize, extremes: Vec<Extreme>) -> anyhow::Result<bool> {
        let in_status = extremes.iter().any(|(field, _)| field.is_in_status());
        let mut object = if in_status {
            self.stored.clone()
        } else {
            self.samples[number % self.samples.len()].clone()
        };
        if !in_status {
            object["metadata"] = serde_json::json!({ "name": format!("drawn-{number}") });
        }
        let shown: Vec<String> = extremes
            .iter()
            .map(|(field, value)| format!("{field} = {:.80}", value.to_string()))
            .collect();
        for (field, value) in extremes {
            field.set(&self.schema, &mut object, value);
        }
        match self.stored_as(&object, in_status).await? {
            Some(text) => match self.decode(&text) {
                Ok(()) => Ok(true),
                Err(error) => bail!("accepted, but not decoded: {}: {error}", shown.join(", ")),
            },
            None => Ok(false),
        }
    }

    /// The object as the API server would store it; `None` if it does not accept it.
    async fn stored_as(&self, object: &Value, in_status: bool) -> anyhow::Result<Option<String>> {
        let dry_run = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let body = object.to_string().into_bytes();
        let request = Request::new(&self.url);
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let request = if in_status {
            request.replace_subresource("status", name, &dry_run, body)?
        } else {
            request.create(&dry_run, body)?
        };
        // The client repeats requests to which the API server answers that it needs more time.
        let Ok(answer) = tokio::time::timeout(PATIENCE, self.ns.client().request_text(request)).await else {
            return Ok(None);
        };
        match answer {
            Ok(text) => Ok(Some(text)),
            Err(kube::Error::Api(status)) if status.code < 500 => Ok(None),
            // Of a body that is deeper or larger than the API server reads.
            Err(kube::Error::Api(status)) if status.message.contains("exceeded max depth") => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Decodes what the user wrote, as strictly as the types do.
    fn decode(&self, text: &str) -> Result<(), serde_json::Error> {
        fn fits<K: DeserializeOwned>(text: &str) -> Result<(), serde_json::Error> {
            serde_json::from_str::<K>(text).map(drop)
        }
        let text = &without_managed_fields(text)?;
        match self.kind {
            "Pgpool" => fits::<Pgpool>(text),
            "PgpoolOpsRequest" => fits::<PgpoolOpsRequest>(text),
            "AppBinding" => fits::<AppBinding>(text),
            _ => fits::<PgpoolVersion>(text),
        }
    }
}

/// Managed fields mirror the object, one level deeper. The operators drop those that cannot be decoded.
fn without_managed_fields(object: &str) -> Result<String, serde_json::Error> {
    let mut object: BTreeMap<String, Box<RawValue>> = serde_json::from_str(object)?;
    if let Some(metadata) = object.get_mut("metadata") {
        let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(metadata.get())?;
        fields.remove("managedFields");
        *metadata = to_raw_value(&fields)?;
    }
    serde_json::to_string(&object)
}
