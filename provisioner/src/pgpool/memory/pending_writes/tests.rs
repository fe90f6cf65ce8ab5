use super::*;
use crate::fixtures::tls_pgpool;

/// A `Pgpool` as the cache shows it: our phase, and how many certificates the other operator reports.
fn shown(phase: &str, certificates: usize) -> Arc<Pgpool> {
    let mut pgpool = tls_pgpool();
    let certificate = serde_json::json!({ "alias": "server", "ready": true });
    pgpool.status = serde_json::from_value(serde_json::json!({
        "phase": phase,
        "certificates": vec![certificate; certificates],
        "conditions": [{
            "type": "CertificatesReady", "status": "True", "reason": "R", "message": "",
            "lastTransitionTime": "2027-01-01T00:00:00Z",
        }],
    }))
    .unwrap();
    Arc::new(pgpool)
}

#[test]
fn a_status_counts_until_the_cache_shows_another_of_ours() {
    let written = PendingWrites::default();
    let ready = || ours(&shown("Ready", 0).status.clone().unwrap());
    written.status(&shown("Provisioning", 0), ready());
    assert_eq!(written.with_status(shown("Provisioning", 0)), shown("Ready", 0));
    // The other operator has written meanwhile, and the cache heard of that first.
    assert_eq!(written.with_status(shown("Provisioning", 1)), shown("Ready", 1));
    assert_eq!(written.with_status(shown("Ready", 1)), shown("Ready", 1));
    let back = written.with_status(shown("Provisioning", 1));
    assert_eq!(back, shown("Provisioning", 1), "it does not come back");
}
