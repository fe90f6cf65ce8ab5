//! The catalog entry: the version of pgpool, its images, and the user of the pods.

use shared_types::PgpoolVersion;
use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;

use super::{Inputs, Release, resolve::Reference};

/// User and group of the pods when the catalog names none.
const DEFAULT_USER: i64 = 70;
/// Older versions lack settings that every generated configuration contains.
const OLDEST: (u32, u32) = (4, 2);

/// Reads the catalog entry that `spec.version` names.
pub(super) fn release(name: &str, inputs: &Inputs) -> Result<Release, Blocked> {
    let what = format!("PgpoolVersion `{name}`");
    let entry = Reference {
        what: &what,
        how_to_fix: "create it, or set `spec.version` to one that exists",
        absent: Reason::VersionNotFound,
        forbidden: Reason::VersionNotFound,
    }
    .read(&inputs.version)?;
    from_entry(&what, &entry)
}

fn from_entry(what: &str, entry: &PgpoolVersion) -> Result<Release, Blocked> {
    let text = entry.spec.version.trim();
    let version = major_minor(text).ok_or_else(|| {
        Blocked::stuck(
            Reason::NotSupported,
            format!("{what} has `spec.version: {text}`: give it a version such as `4.6.1`."),
        )
    })?;
    if version < OLDEST {
        return Err(Blocked::stuck(
            Reason::NotSupported,
            format!(
                "{what} is for pgpool {text}: set `spec.version` to a PgpoolVersion for pgpool 4.2 or newer."
            ),
        ));
    }
    let image = entry.spec.pgpool.image.trim();
    if image.is_empty() {
        return Err(Blocked::stuck(
            Reason::NotSupported,
            format!("{what} names no image: set its `spec.pgpool.image`."),
        ));
    }
    let requested = entry
        .spec
        .security_context
        .as_ref()
        .and_then(|context| context.run_as_user);
    let exporter = entry.spec.exporter.as_ref().map(|it| it.image.trim().to_owned());
    Ok(Release {
        version,
        image: image.to_owned(),
        exporter: exporter.filter(|image| !image.is_empty()),
        run_as_user: requested.unwrap_or(DEFAULT_USER),
    })
}

fn major_minor(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim_start_matches('v').split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
