//! `spec.secretTransforms` of an `AppBinding`: the Secret as its consumers see it.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use shared_types::app_binding::SecretTransform;

/// Applies the transforms in order.
///
/// # Errors
/// The name of an unsupported transform: it needs more than the Secret itself.
pub(super) fn transformed(secret: &Secret, transforms: &[SecretTransform]) -> Result<Secret, &'static str> {
    let mut data = secret.data.clone().unwrap_or_default();
    for transform in transforms {
        let SecretTransform {
            rename_key,
            add_key,
            add_keys_from,
            remove_key,
        } = transform;
        if add_keys_from.is_some() {
            return Err("`addKeysFrom`");
        }
        if let Some(rename) = rename_key
            && let Some(value) = data.remove(&rename.from)
        {
            data.insert(rename.to.clone(), value);
        }
        if let Some(add) = add_key {
            let text = add
                .string_value
                .as_ref()
                .map(|text| ByteString(text.clone().into_bytes()));
            let Some(value) = add.value.clone().or(text) else {
                return Err("`addKey` of an expression");
            };
            data.insert(add.key.clone(), value);
        }
        if let Some(remove) = remove_key {
            data.remove(&remove.key);
        }
    }
    Ok(Secret {
        data: Some(data),
        ..Secret::default()
    })
}
