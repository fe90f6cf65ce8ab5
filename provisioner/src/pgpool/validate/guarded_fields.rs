//! Fields whose author needs more than the right to write a `Pgpool`. A policy of the API server checks that; without it,
//! nobody knows who wrote them, and they are refused unless they were accepted before.

use kube::ResourceExt;
use serde_json::json;
use sha2::{Digest, Sha256};
use shared_types::Pgpool;
use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;
use shared_types::rights::{Guarded, Part, guarded};

use super::Inputs;
use crate::hex::first_digits;

/// Hexadecimal digits of a hash.
const HASH_LENGTH: usize = 32;

/// Returns a hash of the guarded fields, `None` if there are none.
///
/// # Errors
/// The policy is missing, and the workload does not have these fields yet.
pub(super) fn checked(pgpool: &Pgpool, inputs: &Inputs) -> Result<Option<String>, Blocked> {
    let Some(guarded) = guarded_fields(pgpool) else {
        return Ok(None);
    };
    let hash = first_digits(&Sha256::digest(&guarded.content), HASH_LENGTH);
    match inputs.rights.missing() {
        Some(missing) if inputs.checked_rights.as_ref() != Some(&hash) => Err(Blocked::stuck(
            Reason::RightsNotChecked,
            format!(
                "Nobody checked whether the author of {} may set that: {missing}. Install or upgrade the chart \
                 `pgpool-crds`, or remove the fields. Pods that run keep running.",
                guarded.paths()
            ),
        )),
        _ => Ok(Some(hash)),
    }
}

/// The fields of a `Pgpool` that the provisioner makes something of and that are guarded.
pub(in crate::pgpool) fn guarded_fields(pgpool: &Pgpool) -> Option<Guarded> {
    // Specs consist of maps with texts as keys and of finite numbers: they can be written as JSON.
    let spec = serde_json::to_value(&pgpool.spec).unwrap_or_default();
    let object = json!({"metadata": {"labels": pgpool.labels()}, "spec": spec});
    guarded(&object, Part::Pool)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use shared_types::policies::PolicyState;

    use super::*;
    use crate::fixtures;

    fn missing() -> PolicyState {
        PolicyState::Missing("there is no ValidatingAdmissionPolicy rights.pgpools.kubedb.com".to_owned())
    }

    fn pool(pod: &Value) -> Pgpool {
        let mut pgpool = fixtures::plain_pgpool();
        let template = json!({"spec": pod});
        pgpool.spec.pod_template = Some(serde_json::from_value(template).unwrap());
        pgpool
    }

    fn sidecar(image: &str) -> Pgpool {
        pool(&json!({"containers": [{"name": "side", "image": image}]}))
    }

    #[test]
    fn guarded_fields_need_the_policy_unless_they_were_accepted_before() {
        let plain = pool(&json!({"nodeSelector": {"disk": "ssd"}}));
        let mut inputs = Inputs {
            rights: missing(),
            ..Inputs::default()
        };
        assert!(matches!(checked(&plain, &inputs), Ok(None)));
        let why = format!("{:?}", checked(&sidecar("a"), &inputs).unwrap_err());
        assert!(why.contains("RightsNotChecked"), "{why}");
        assert!(why.contains("`spec.podTemplate.spec.containers[]`"), "{why}");
        for state in [PolicyState::InForce, PolicyState::Trusted] {
            inputs.rights = state;
            inputs.checked_rights = checked(&sidecar("a"), &inputs).ok().flatten();
            assert!(inputs.checked_rights.is_some());
        }
        inputs.rights = missing();
        assert!(checked(&sidecar("a"), &inputs).is_ok(), "it was accepted before");
        assert!(checked(&sidecar("b"), &inputs).is_err(), "another image");
    }
}
