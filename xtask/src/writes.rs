//! Which file sends writes to the API server: a check that each passes the ownership check of `operator_runtime::claim`, or
//! is listed here with the reason why it need not.
//!
//! It looks for the methods of a client that write, outside of tests.

#[cfg(test)]
mod tests;

use crate::workspace::{self, Crate};

/// The crates that run in a cluster.
const CRATES: [&str; 3] = ["operator-runtime", "ops-manager", "provisioner"];

/// Methods of `kube::Api` and `kube::Client` that write.
const METHODS: [&str; 18] = [
    "create",
    "create_subresource",
    "delete",
    "delete_collection",
    "evict",
    "patch",
    "patch_metadata",
    "patch_scale",
    "patch_status",
    "patch_subresource",
    "replace",
    "replace_scale",
    "replace_status",
    "replace_subresource",
    "request",
    "request_status",
    "request_text",
    "restart",
];

/// How a write is bound to an object that may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    /// The file itself asks the claim of the owner.
    Claim,
    /// The call goes to a function in a file with [`Bound::Claim`].
    Passed,
    /// No user can redirect it.
    Fixed,
}

/// The files that write, and why each may.
const FILES: &[(&str, Bound, &str)] = &[
    (
        "operator-runtime/src/apply.rs",
        Bound::Claim,
        "every apply and delete of an owned object",
    ),
    (
        "operator-runtime/src/left_out.rs",
        Bound::Fixed,
        "the condition of an object that could not be decoded, by its UID",
    ),
    (
        "operator-runtime/src/lease/api.rs",
        Bound::Fixed,
        "the Lease of the operator, in its own namespace",
    ),
    (
        "operator-runtime/src/status.rs",
        Bound::Fixed,
        "the status of the object that is reconciled, by its UID",
    ),
    (
        "ops-manager/src/certificates/apply.rs",
        Bound::Claim,
        "deletes Certificates through the applier",
    ),
    (
        "ops-manager/src/certificates/apply/owners.rs",
        Bound::Claim,
        "owners of Secrets that were issued for our own Certificates",
    ),
    (
        "ops-manager/src/cert_manager/renew.rs",
        Bound::Claim,
        "the status of our own Certificates",
    ),
    (
        "ops-manager/src/ops_requests/apply/delete.rs",
        Bound::Fixed,
        "a finished request, by its UID and resource version",
    ),
    (
        "ops-manager/src/ops_requests/apply.rs",
        Bound::Claim,
        "the password in the generated auth Secret, and the spec of the Pgpool of a request",
    ),
    (
        "provisioner/src/pgpool/apply.rs",
        Bound::Passed,
        "deletes through the writer",
    ),
    (
        "provisioner/src/pgpool/apply/config_check.rs",
        Bound::Passed,
        "deletes through the writer",
    ),
    (
        "provisioner/src/pgpool/apply/pod_requests.rs",
        Bound::Passed,
        "pods that the StatefulSet controls, see `observe/own_pods.rs`, by their UID",
    ),
    (
        "provisioner/src/pgpool/apply/writer.rs",
        Bound::Claim,
        "through the applier; a Job is only created",
    ),
    (
        "provisioner/src/pgpool/observe/init_job.rs",
        Bound::Fixed,
        "reads the metadata of a ConfigMap, and writes nothing",
    ),
];

pub(crate) fn run() -> anyhow::Result<bool> {
    let findings = findings(&workspace::crates()?, FILES);
    for finding in &findings {
        println!("{finding}");
    }
    println!("{} findings", findings.len());
    Ok(findings.is_empty())
}

fn findings(crates: &[Crate], known: &[(&str, Bound, &str)]) -> Vec<String> {
    let mut findings = Vec::new();
    let crates = crates.iter().filter(|one| CRATES.contains(&one.name.as_str()));
    let sources = crates.flat_map(|one| &one.sources);
    let mut seen = Vec::new();
    for (path, text) in sources.filter(|(path, _)| !is_test(path)) {
        let code = production_code(text);
        let lines = writes(&code);
        let entry = known.iter().find(|(file, ..)| file == path);
        match entry {
            None => findings.extend(lines.iter().map(|(line, method)| {
                format!(
                    "{path}:{line}: `{method}` writes to the API server without the ownership check: go through \
                     `operator_runtime::Applier`, or ask `Claim` and list the file in xtask/src/writes.rs"
                )
            })),
            Some(_) if lines.is_empty() => {
                findings.push(format!("{path} does not write: remove it from xtask/src/writes.rs"));
            }
            Some((_, Bound::Claim, _)) if !code.contains("claim") => {
                findings.push(format!("{path} writes and does not ask the claim of the owner"));
            }
            Some(_) => {}
        }
        seen.push(path.as_str());
    }
    let gone = known.iter().filter(|(file, ..)| !seen.contains(file));
    findings
        .extend(gone.map(|(file, ..)| format!("{file} does not exist: remove it from xtask/src/writes.rs")));
    findings
}

fn is_test(path: &str) -> bool {
    let parts: Vec<_> = path.split('/').collect();
    let names = [
        "tests.rs",
        "tests",
        "testing.rs",
        "testing",
        "fixtures.rs",
        "fixtures",
    ];
    parts.iter().any(|part| names.contains(part))
}

/// Everything before the tests of a file, without comments.
fn production_code(text: &str) -> String {
    let code = text
        .split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The lines that call a method that writes, and its name. A method of another type that has such a name counts if its
/// receiver could be a client: it is called `api`, `client`, `applier` or `writer`, or is a call that returns one.
fn writes(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for method in METHODS {
        for call in [format!(".{method}("), format!(".{method}::<")] {
            for (at, _) in code.match_indices(&call) {
                if receives(&code[..at]) {
                    let line = code[..at].matches('\n').count() + 1;
                    found.push((line, method.to_owned()));
                }
            }
        }
    }
    found.sort();
    found
}

/// Whether the expression at the end of some code could be a client.
fn receives(before: &str) -> bool {
    let before = before.trim_end();
    let before = before.strip_suffix(')').map_or(before, |inner| {
        // The name of the function that was called.
        let mut depth = 1;
        let open = inner.char_indices().rev().find(|(_, c)| {
            match c {
                ')' => depth += 1,
                '(' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        open.map_or(inner, |(at, _)| &inner[..at])
    });
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let start = before.rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
    let name = &before[start..];
    let names = ["api", "apis", "client", "applier", "writer", "self"];
    let constructors = ["all", "namespaced", "default_namespaced", "at"];
    names.contains(&name)
        || constructors.contains(&name)
        || ["_api", "_client"].iter().any(|end| name.ends_with(end))
}
