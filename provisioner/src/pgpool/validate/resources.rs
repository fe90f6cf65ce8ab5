//! Requests and limits of containers: of `pgpool` as KubeDB fills them in, of the others small defaults.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Default requests. There is no default CPU limit: throttling a proxy only adds latency.
const DEFAULTS: [(&str, &str); 2] = [("cpu", "500m"), ("memory", "1Gi")];

type Amounts = BTreeMap<String, Quantity>;

/// Fills in what the user left out: a limit alone is also the request, a request of memory is also its limit, and a
/// limit is never below its request.
///
/// # Errors
/// The text of an invalid quantity.
pub(super) fn resources(requested: ResourceRequirements) -> Result<ResourceRequirements, String> {
    let mut limits: Amounts = requested.limits.unwrap_or_default();
    let mut requests: Amounts = requested.requests.unwrap_or_default();
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
        claims: requested.claims,
    })
}

/// Default requests and limits of a container that is no `pgpool`. There is no limit of CPU.
#[derive(Clone, Copy)]
pub(super) struct SidecarDefaults {
    pub(super) cpu_request: &'static str,
    pub(super) memory_request: &'static str,
    pub(super) memory_limit: &'static str,
}

/// Adds the defaults of a resource that the user mentions neither in requests nor in limits: beside one of them, a default
/// of the other could contradict it.
pub(super) fn with_defaults(
    requested: Option<ResourceRequirements>,
    defaults: SidecarDefaults,
) -> ResourceRequirements {
    let requested = requested.unwrap_or_default();
    let mut limits: Amounts = requested.limits.unwrap_or_default();
    let mut requests: Amounts = requested.requests.unwrap_or_default();
    let quantity = |text: &str| Quantity(text.to_owned());
    if !limits.contains_key("cpu") && !requests.contains_key("cpu") {
        requests.insert("cpu".to_owned(), quantity(defaults.cpu_request));
    }
    if !limits.contains_key("memory") && !requests.contains_key("memory") {
        requests.insert("memory".to_owned(), quantity(defaults.memory_request));
        limits.insert("memory".to_owned(), quantity(defaults.memory_limit));
    }
    ResourceRequirements {
        limits: (!limits.is_empty()).then_some(limits),
        requests: (!requests.is_empty()).then_some(requests),
        claims: requested.claims,
    }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const DEFAULTS: SidecarDefaults = SidecarDefaults {
        cpu_request: "10m",
        memory_request: "32Mi",
        memory_limit: "128Mi",
    };

    #[test]
    fn defaults_never_contradict_what_the_user_sets() {
        let rows: [(Value, Value); 5] = [
            (
                json!({}),
                json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}),
            ),
            (
                json!({"requests": {"memory": "1Gi"}}),
                json!({"requests": {"cpu": "10m", "memory": "1Gi"}}),
            ),
            (
                json!({"limits": {"memory": "16Mi"}}),
                json!({"requests": {"cpu": "10m"}, "limits": {"memory": "16Mi"}}),
            ),
            (
                json!({"limits": {"cpu": "5m"}}),
                json!({"requests": {"memory": "32Mi"}, "limits": {"cpu": "5m", "memory": "128Mi"}}),
            ),
            (
                json!({"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}),
                json!({"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}),
            ),
        ];
        for (requested, expected) in rows {
            let given = serde_json::from_value(requested.clone()).unwrap();
            let filled = with_defaults(Some(given), DEFAULTS);
            assert_eq!(serde_json::to_value(filled).unwrap(), expected, "{requested}");
        }
    }
}
