//! The rules that are particular to this workspace, as two tables.

/// Crates by layer, the lowest first: a crate may import from lower layers only.
pub(super) const LAYERS: &[&[&str]] = &[
    &["local-cluster", "tls-bundle"],
    &["shared-types"],
    &["operator-runtime"],
    &["proto"],
    &["ops-manager", "provisioner"],
    &["e2e", "xtask"],
];

/// A controller and the modules in its folder, each of which may import from those before it only.
pub(super) struct Steps {
    pub(super) folder: &'static str,
    pub(super) modules: &'static [&'static str],
}

pub(super) const STEPS: &[Steps] = &[
    Steps {
        folder: "provisioner/src/pgpool",
        modules: &[
            "memory", "error", "observe", "validate", "decide", "build", "apply", "report", "publish",
        ],
    },
    Steps {
        folder: "ops-manager/src/certificates",
        modules: &[
            "own_status",
            "pending_writes",
            "error",
            "observe",
            "validate",
            "decide",
            "build",
            "apply",
            "report",
            "publish",
        ],
    },
    Steps {
        folder: "ops-manager/src/ops_requests",
        modules: &[
            "status",
            "competing_request",
            "error",
            "resolution",
            "observe",
            "operations",
            "validate",
            "decide",
            "apply",
            "report",
            "publish",
        ],
    },
];

/// Longest file of production code, in lines.
pub(super) const LONGEST_FILE: usize = 450;
