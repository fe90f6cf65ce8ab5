//! Writes a status once, and only when it differs.

use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::apply::ApplyError;
use crate::placement::Placement;

/// Applies `desired` under `.status` of the object. Returns whether anything was sent.
pub async fn write_status<K, S>(
    client: &Client,
    field_manager: &str,
    object: &K,
    desired: &S,
    current: &S,
) -> Result<bool, ApplyError>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
    K::Scope: Placement<K>,
    S: Serialize,
{
    let _ = (client, field_manager, object, desired, current);
    unimplemented!()
}
