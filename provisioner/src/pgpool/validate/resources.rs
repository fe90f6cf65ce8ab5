//! Requests and limits of container `pgpool`, as `KubeDB` fills them in.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Requested where the user says nothing. There is no limit of CPU by default: throttling a proxy only adds latency.
const DEFAULTS: [(&str, &str); 2] = [("cpu", "500m"), ("memory", "1Gi")];

type Amounts = BTreeMap<String, Quantity>;

/// Fills in what the user left out: a limit alone is also the request, a request of memory is also its limit, and a
/// limit is never below its request.
///
/// # Errors
/// The text of an amount that is no quantity.
pub(super) fn resources(asked: ResourceRequirements) -> Result<ResourceRequirements, String> {
    let mut limits: Amounts = asked.limits.unwrap_or_default();
    let mut requests: Amounts = asked.requests.unwrap_or_default();
    for (resource, default) in DEFAULTS {
        let alone = limits
            .get(resource)
            .cloned()
            .unwrap_or_else(|| Quantity(default.to_owned()));
        requests.entry(resource.to_owned()).or_insert(alone);
    }
    if let Some(memory) = requests.get("memory") {
        limits
            .entry("memory".to_owned())
            .or_insert_with(|| memory.clone());
    }
    for (resource, limit) in &mut limits {
        let size = amount(limit)?;
        if let Some(request) = requests.get(resource)
            && amount(request)? > size
        {
            *limit = request.clone();
        }
    }
    for request in requests.values() {
        amount(request)?;
    }
    Ok(ResourceRequirements {
        limits: Some(limits),
        requests: Some(requests),
        claims: asked.claims,
    })
}

/// The size of a quantity, near enough to compare two of them.
fn amount(quantity: &Quantity) -> Result<f64, String> {
    let text = quantity.0.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "Pi" => 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "Ei" => 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
        exponent => {
            let digits = exponent.strip_prefix(['e', 'E']).ok_or_else(|| text.to_owned())?;
            10f64.powi(digits.parse().map_err(|_| text.to_owned())?)
        }
    };
    number
        .parse::<f64>()
        .map(|number| number * factor)
        .map_err(|_| text.to_owned())
}
